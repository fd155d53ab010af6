//! Amazon Bedrock: models of many authors through its Converse API, and Claude in Anthropic's own words through InvokeModel for
//! who speaks them. Requests are signed with the credentials of an AWS account,
//! or carry a Bedrock API key as a bearer token; a bad or expired credential is answered 403. Docs:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>, as of 2026-11.

use crate::prelude::*;

/// What whoever speaks Converse has beside it.
pub(crate) const SERVES: &[Serves] = &[
    serves(Op::Embeddings, Shape::Bedrock),
    serves(Op::Rerank, Shape::Bedrock),
    serves(Op::CountTokens, Shape::Bedrock),
];

pub static PROVIDER: Provider = Provider {
    id: s("amazon-bedrock"),
    aliases: names!["bedrock"],
    title: s("Amazon Bedrock"),
    dialect: Dialect::Bedrock,
    base: s("https://bedrock-runtime.{region}.amazonaws.com"),
    blanks: list![Blank { name: s("region"), env: names!["AWS_REGION", "AWS_DEFAULT_REGION"], ..Blank::REQUIRED }],
    key_env: names!["AWS_BEARER_TOKEN_BEDROCK"],
    issuer: Some(Issuer::Aws { service: s("bedrock") }),
    quirks: Quirks::BEDROCK,
    families: list![Family {
        names: names![
            "anthropic.",
            "us.anthropic.",
            "eu.anthropic.",
            "apac.anthropic.",
            "jp.anthropic.",
            "au.anthropic.",
            "us-gov.anthropic.",
            "global.anthropic."
        ],
        dialect: Dialect::Anthropic,
        own_too: true,
        path: None,
        headers: list![],
        quirks: Quirks { envelope: Some(&Envelope::INVOKE_MODEL), ..Quirks::ANTHROPIC },
    }],
    policy: Policy::ZERO,
    links: links(
        "https://aws.amazon.com/privacy/",
        "https://aws.amazon.com/service-terms/",
        Some("https://health.aws.amazon.com/health/status"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html"),
    models_path: None,
    serves: std::borrow::Cow::Borrowed(SERVES),
    ..Provider::BLANK
};
