//! StepFun: the Step models, OpenAI-shaped. Docs: <https://platform.stepfun.com/docs/zh/overview/concept>, as of 2026-06.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("stepfun"),
    title: s("StepFun"),
    base: s("https://api.stepfun.com/v1"),
    key_env: names!["STEPFUN_API_KEY"],
    quirks: Quirks { structured: Structured::JsonObject, ..Quirks::OPENAI_CHAT },
    headquarters: Some(s("CN")),
    docs: s("https://platform.stepfun.com/docs/zh/overview/concept"),
    ..Provider::BLANK
};
