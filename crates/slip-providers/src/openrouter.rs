//! OpenRouter: another router of the same kind, which understands all of our own members. What happens to a prompt depends on
//! whom it picks. Docs: <https://openrouter.ai/docs/api-reference/chat-completion>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("openrouter"),
    title: s("OpenRouter"),
    base: s("https://openrouter.ai/api/v1"),
    key_env: names!["OPENROUTER_API_KEY"],
    quirks: Quirks {
        reasoning: ReasoningStyle::Object,
        replay: Replay::Details,
        developer_role: true,
        cache_control: true,
        router: true,
        ..Quirks::OPENAI_CHAT
    },
    also: list![
        responses(Quirks { router: true, ..Quirks::RESPONSES }),
        Also { quirks: Quirks { reasoning: ReasoningStyle::Object, router: true, ..Quirks::OPENAI_CHAT }, ..TEXT }
    ],
    faults: list![(402, FaultKind::UpstreamQuota, Remedy::Elsewhere)],
    links: links("https://openrouter.ai/privacy", "https://openrouter.ai/terms", Some("https://status.openrouter.ai")),
    headquarters: Some(s("US")),
    docs: s("https://openrouter.ai/docs/api-reference/chat-completion"),
    serves: list![
        serves(Op::Embeddings, Shape::OpenAi),
        serves(Op::Rerank, Shape::OpenAi),
        serves(Op::Image, Shape::OpenRouter),
        serves(Op::Speech, Shape::OpenAi),
        serves(Op::Transcription, Shape::OpenRouter),
    ],
    ..Provider::BLANK
};
