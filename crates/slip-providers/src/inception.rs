//! Inception: the Mercury diffusion models, OpenAI-shaped. Docs:
//! <https://docs.inceptionlabs.ai/api-reference/chat/create-a-chat-completion>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("inception"),
    title: s("Inception"),
    base: s("https://api.inceptionlabs.ai/v1"),
    key_env: names!["INCEPTION_API_KEY"],
    quirks: Quirks::OPENAI_CHAT,
    headquarters: Some(s("US")),
    docs: s("https://docs.inceptionlabs.ai/api-reference/chat/create-a-chat-completion"),
    ..Provider::BLANK
};
