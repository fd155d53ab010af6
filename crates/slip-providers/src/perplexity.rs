//! Perplexity: answers from a web search, OpenAI-shaped but without tools. Usage is cumulative on every chunk and comes
//! unasked; the stream ends without `[DONE]`. Docs: <https://docs.perplexity.ai/api-reference/sonar-post>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("perplexity"),
    title: s("Perplexity"),
    base: s("https://api.perplexity.ai"),
    key_env: names!["PERPLEXITY_API_KEY"],
    quirks: Quirks {
        stream_options: false,
        refuses: names![
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "n",
            "logprobs",
            "top_logprobs",
            "logit_bias",
            "seed",
            "stop"
        ],
        ..Quirks::OPENAI_CHAT
    },
    policy: Policy { trains: Some(false), retains: Some(false), zdr: false },
    links: links(
        "https://www.perplexity.ai/hub/legal/privacy-policy",
        "https://www.perplexity.ai/hub/legal/perplexity-api-terms-of-service",
        Some("https://status.perplexity.com"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://docs.perplexity.ai/api-reference/sonar-post"),
    models_path: Some(s("/v1/models")),
    serves: list![serves_at(Op::Embeddings, Shape::OpenAiInt8, "/v1/embeddings")],
    ..Provider::BLANK
};
