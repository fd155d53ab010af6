//! Azure AI Foundry's model inference API: deployments of many authors behind one OpenAI-shaped address, and Claude in Anthropic's
//! own dialect beside it. Parameters it does not know are passed on to the model. Docs:
//! <https://learn.microsoft.com/rest/api/aifoundry/modelinference/>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("azure-foundry"),
    aliases: names!["azure-ai"],
    title: s("Azure AI Foundry"),
    base: s("{endpoint}"),
    blanks: list![
        Blank { name: s("resource"), env: names!["AZURE_AI_RESOURCE_NAME"], ..Blank::REQUIRED },
        Blank {
            name: s("endpoint"),
            env: names!["AZURE_AI_ENDPOINT"],
            default: Some(s("https://{resource}.services.ai.azure.com")),
            ..Blank::REQUIRED
        },
        Blank {
            name: s("api_version"),
            env: names!["AZURE_AI_API_VERSION"],
            default: Some(s("2024-05-01-preview")),
            ..Blank::REQUIRED
        },
    ],
    path: Some(s("/models/chat/completions?api-version={api_version}")),
    auth: Auth::Header(s("api-key")),
    key_env: names!["AZURE_AI_API_KEY"],
    issuer: Some(Issuer::Entra { scope: s("https://cognitiveservices.azure.com/.default") }),
    headers: list![(s("extra-parameters"), s("pass-through"))],
    families: list![Family {
        names: names!["claude"],
        dialect: Dialect::Anthropic,
        own_too: false,
        path: Some(s("/anthropic/v1/messages")),
        headers: list![(s("anthropic-version"), s("2023-06-01"))],
        quirks: Quirks::ANTHROPIC,
    }],
    policy: Policy::RETAINS,
    links: links(
        "https://www.microsoft.com/privacy/privacystatement",
        "https://www.microsoft.com/licensing/terms/product/ForOnlineServices/all",
        Some("https://azure.status.microsoft"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://learn.microsoft.com/rest/api/aifoundry/modelinference/"),
    models_path: None,
    ..Provider::BLANK
};
