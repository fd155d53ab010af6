//! Azure OpenAI: OpenAI's models in a resource of one's own, where a model is called by the name of its deployment. The API
//! without versions lives below `/openai/v1`; where `api_version` holds a date, the older one below `/openai/deployments`. What it
//! filters is a 400 or a finish of `content_filter`. Docs:
//! <https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("azure"),
    aliases: names!["azure-openai"],
    title: s("Azure"),
    base: s("{endpoint}/openai"),
    blanks: list![
        Blank { name: s("resource"), env: names!["AZURE_RESOURCE_NAME"], ..Blank::REQUIRED },
        Blank {
            name: s("endpoint"),
            env: names!["AZURE_OPENAI_ENDPOINT"],
            default: Some(s("https://{resource}.openai.azure.com")),
            ..Blank::REQUIRED
        },
        Blank { name: s("api_version"), env: names!["AZURE_API_VERSION", "OPENAI_API_VERSION"], ..Blank::REQUIRED },
    ],
    path: Some(s("/v1/chat/completions")),
    dated: Some(s("/deployments/{model}/chat/completions?api-version={api_version}")),
    auth: Auth::Header(s("api-key")),
    key_env: names!["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
    issuer: Some(Issuer::Entra { scope: s("https://cognitiveservices.azure.com/.default") }),
    quirks: Quirks { max_tokens: MaxTokens::Completion, developer_role: true, ..Quirks::OPENAI_CHAT },
    policy: Policy::RETAINS,
    links: links(
        "https://www.microsoft.com/privacy/privacystatement",
        "https://www.microsoft.com/licensing/terms/product/ForOnlineServices/all",
        Some("https://azure.status.microsoft"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle"),
    models_path: None,
    ..Provider::BLANK
};
