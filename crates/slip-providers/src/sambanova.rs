//! SambaNova: open models on its own chips, OpenAI-shaped. Docs:
//! <https://docs.sambanova.ai/docs/en/features/openai-compatibility>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("sambanova"),
    title: s("SambaNova"),
    base: s("https://api.sambanova.ai/v1"),
    key_env: names!["SAMBANOVA_API_KEY"],
    quirks: Quirks {
        refuses: names!["logit_bias", "n", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "seed"],
        ..Quirks::OPENAI_CHAT
    },
    headquarters: Some(s("US")),
    docs: s("https://docs.sambanova.ai/docs/en/features/openai-compatibility"),
    ..Provider::BLANK
};
