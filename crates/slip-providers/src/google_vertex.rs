//! Google Vertex AI: Gemini, Claude and open models, in a project of one's own. Claude's dialect comes wrapped, open models are
//! OpenAI-shaped. The `global` location and the two multi-regions have hosts of their own; a key of express mode needs no project.
//! Docs: <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("google-vertex"),
    aliases: names!["vertex", "vertex-ai"],
    title: s("Google Vertex"),
    dialect: Dialect::Gemini,
    base: s("{endpoint}/v1/projects/{project}/locations/{location}"),
    bare: Some(s("{endpoint}/v1")),
    blanks: list![
        Blank { name: s("project"), env: names!["GOOGLE_VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT"], ..Blank::REQUIRED },
        Blank {
            name: s("location"),
            env: names!["GOOGLE_VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"],
            default: Some(s("global")),
            ..Blank::REQUIRED
        },
        Blank {
            name: s("endpoint"),
            env: names!["GOOGLE_VERTEX_ENDPOINT"],
            default: Some(s("https://{location}-aiplatform.googleapis.com")),
            unless: list![
                (s("location"), s("global"), s("https://aiplatform.googleapis.com")),
                (s("location"), s("us"), s("https://aiplatform.us.rep.googleapis.com")),
                (s("location"), s("eu"), s("https://aiplatform.eu.rep.googleapis.com")),
            ],
        },
    ],
    path: Some(s("/publishers/google/models/{model}:{generateContent|streamGenerateContent?alt=sse}")),
    auth: Auth::Header(s("x-goog-api-key")),
    key_env: names!["GOOGLE_VERTEX_API_KEY"],
    issuer: Some(Issuer::Google),
    quirks: Quirks::GEMINI,
    families: list![
        Family {
            names: names!["claude"],
            dialect: Dialect::Anthropic,
            own_too: false,
            path: Some(s("/publishers/anthropic/models/{model}:{rawPredict|streamRawPredict}")),
            headers: list![],
            quirks: Quirks { envelope: Some(&Envelope::RAW_PREDICT), ..Quirks::ANTHROPIC },
        },
        Family {
            names: names!["meta/", "deepseek-ai/", "openai/", "qwen/", "moonshotai/", "minimaxai/", "zai-org/", "xai/"],
            dialect: Dialect::OpenAiChat,
            own_too: false,
            path: Some(s("/endpoints/openapi/chat/completions")),
            headers: list![],
            quirks: Quirks::OPENAI_CHAT,
        }
    ],
    policy: Policy { trains: Some(false), retains: Some(true), zdr: false },
    links: links(
        "https://cloud.google.com/terms/cloud-privacy-notice",
        "https://cloud.google.com/terms",
        Some("https://status.cloud.google.com"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference"),
    models_path: None,
    serves: list![serves(Op::Embeddings, Shape::Vertex), serves(Op::CountTokens, Shape::Vertex)],
    ..Provider::BLANK
};
