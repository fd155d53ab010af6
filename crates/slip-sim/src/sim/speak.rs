//! What a dialect must be able to do for the simulator. Written by hand for each, on purpose apart from the translator.

use super::ask::{Ask, Refusal, Why};
use super::mind::Answer;
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::Value;
use slip_ir::Dialect;

/// Replies are the same for the same request, so they are all made at the start of 2026.
pub(crate) const CREATED: u64 = 1_767_225_600;

/// Which of the dialect's endpoints a request is for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Route {
    Generate,
    Models,
    Lost,
}

/// One event of a stream, framed, and how many tokens of the answer it carries.
pub(crate) struct Event {
    pub bytes: Bytes,
    pub tokens: u64,
}

/// An error as the dialect tells it.
pub(crate) struct Told {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

/// What a reply leaves out.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub usage: bool,
    pub done: bool,
}

pub(crate) trait Speak: Send + Sync {
    /// The path a gateway's base URL ends with.
    fn base(&self) -> &'static str;
    fn route(&self, request: &Incoming) -> Route;
    fn credential(&self, request: &Incoming) -> Option<String>;
    fn ask(&self, request: &Incoming, body: &Value) -> Result<Ask, Refusal>;
    fn whole(&self, ask: &Ask, answer: &Answer, shape: Shape) -> Value;
    /// Who repeats what was once said has it to the byte.
    fn whole_bytes(&self, ask: &Ask, answer: &Answer, shape: Shape) -> Bytes {
        self.whole(ask, answer, shape).to_string().into()
    }
    /// The body of a stream begins and ends with what `stream` gives.
    fn stream(&self, request: &Incoming, ask: &Ask, answer: &Answer, shape: Shape) -> Vec<Event>;
    fn stream_type(&self, request: &Incoming) -> &'static str;
    fn refusal(&self, refusal: &Refusal, id: u64) -> Told;
    /// An error inside a stream that began well.
    fn error_event(&self, request: &Incoming, refusal: &Refusal, id: u64) -> Bytes;
    fn models(&self, models: &[String]) -> Value;
    /// What it says when the account is out of money, or the prompt too long: statuses differ.
    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal>;
}

pub(crate) fn speaker(dialect: Dialect) -> &'static dyn Speak {
    match dialect {
        Dialect::OpenAiChat => &super::openai::OpenAi,
        Dialect::Anthropic => &super::anthropic::Anthropic,
        Dialect::Gemini => &super::gemini::Gemini,
        Dialect::Responses => &super::responses::Responses,
        Dialect::Completions => &super::openai::text::Text,
        Dialect::Ollama => &super::ollama::Chat,
        Dialect::OllamaGenerate => &super::ollama::Generate,
        Dialect::Cohere => &super::cohere::Cohere,
        // Not simulated yet.
        Dialect::Bedrock => &super::bedrock::Bedrock,
    }
}

/// What a failing provider says in a stream.
pub(crate) fn broke_off() -> Refusal {
    Refusal::new(500, Why::Status, "the simulated model failed in the middle of its answer")
}

/// Several choices speak in turns.
pub(crate) fn interleave(choices: Vec<Vec<Event>>) -> Vec<Event> {
    let mut turns: Vec<_> = choices.into_iter().map(Vec::into_iter).collect();
    let mut out = Vec::new();
    loop {
        let before = out.len();
        out.extend(turns.iter_mut().filter_map(Iterator::next));
        if out.len() == before {
            return out;
        }
    }
}

pub(crate) fn bearer(request: &Incoming) -> Option<String> {
    let (scheme, token) = request.header("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
