//! What a simulated provider does besides talking: vectors, rankings, verdicts and counts, in the spellings of OpenAI (and Voyage,
//! Jina, Mistral), Cohere, Google, Ollama and Anthropic, whatever dialect it chats in.

mod count;
mod embed;
mod judge;
mod rank;

use super::ask::{Ask, Refusal, Why, given, text_of};
use super::mind::Answer;
use super::speak::{Event, Route, Shape, Speak, Told};
use crate::fault::Mode;
use crate::http::Incoming;
use bytes::Bytes;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Embed,
    Rank,
    Moderate,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OpenAi,
    Cohere,
    Gemini,
    Ollama,
    Anthropic,
    Responses,
}

/// A service that was asked for.
pub(super) struct Service {
    what: What,
    form: Form,
    /// Google says it in the path.
    named: Option<String>,
    many: bool,
}

/// What came of it.
pub(super) struct Served {
    pub model: String,
    pub tokens: u64,
    /// With and without what it took.
    body: Value,
    plain: Value,
}

const PATHS: [(&str, What, Form); 8] = [
    ("/v1/embeddings", What::Embed, Form::OpenAi),
    ("/v2/embed", What::Embed, Form::Cohere),
    ("/api/embed", What::Embed, Form::Ollama),
    ("/v1/rerank", What::Rank, Form::OpenAi),
    ("/v2/rerank", What::Rank, Form::Cohere),
    ("/v1/moderations", What::Moderate, Form::OpenAi),
    ("/v1/messages/count_tokens", What::Count, Form::Anthropic),
    ("/v1/responses/input_tokens", What::Count, Form::Responses),
];

pub(super) fn find(request: &Incoming) -> Option<Service> {
    if request.method != "POST" {
        return None;
    }
    let path = request.path();
    if let Some((_, what, form)) = PATHS.iter().find(|(known, ..)| *known == path) {
        return Some(Service { what: *what, form: *form, named: None, many: true });
    }
    let (model, verb) = path.split_once("/models/")?.1.rsplit_once(':')?;
    let (what, many) = match verb {
        "embedContent" => (What::Embed, false),
        "batchEmbedContents" => (What::Embed, true),
        "countTokens" => (What::Count, false),
        _ => return None,
    };
    Some(Service { what, form: Form::Gemini, named: Some(model.replace("%2F", "/")), many })
}

impl Service {
    pub fn serve(&self, request: &Incoming) -> Result<Served, Refusal> {
        let body: Value = serde_json::from_slice(&request.body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Refusal::invalid("the body of the request is not a JSON object"))?;
        let model = match &self.named {
            Some(named) => named.clone(),
            None => text_of(&body, "model").to_owned(),
        };
        if model.is_empty() {
            return Err(Refusal::invalid("you must provide a model parameter").at("model"));
        }
        let (body, tokens) = match self.what {
            What::Embed => embed::answer(self, &model, &body)?,
            What::Rank => rank::answer(self, &model, &body)?,
            What::Moderate => judge::answer(&model, &body)?,
            What::Count => count::answer(self, &body)?,
        };
        let mut plain = body.clone();
        for member in ["usage", "usageMetadata", "meta", "prompt_eval_count"] {
            plain.as_object_mut().and_then(|members| members.remove(member));
        }
        Ok(Served { model, tokens, body, plain })
    }

    /// A member that must be there.
    fn must<'a>(&self, body: &'a Value, member: &str) -> Result<&'a Value, Refusal> {
        given(body, member).ok_or_else(|| Refusal::invalid(format!("'{member}' is required")).at(member))
    }
}

/// A dialect that says what a service found where it would have said what the model answers, so that it fails in all the same ways.
pub(super) struct Serving<'a> {
    pub dialect: &'a dyn Speak,
    pub service: &'a Service,
    pub served: &'a Served,
}

impl Speak for Serving<'_> {
    fn base(&self) -> &'static str {
        self.dialect.base()
    }

    fn route(&self, request: &Incoming) -> Route {
        self.dialect.route(request)
    }

    fn credential(&self, request: &Incoming) -> Option<String> {
        self.dialect.credential(request)
    }

    fn ask(&self, request: &Incoming, body: &Value) -> Result<Ask, Refusal> {
        self.dialect.ask(request, body)
    }

    fn whole(&self, _: &Ask, _: &Answer, shape: Shape) -> Value {
        if shape.usage { self.served.body.clone() } else { self.served.plain.clone() }
    }

    fn stream(&self, _: &Incoming, _: &Ask, _: &Answer, _: Shape) -> Vec<Event> {
        Vec::new()
    }

    fn stream_type(&self, request: &Incoming) -> &'static str {
        self.dialect.stream_type(request)
    }

    fn refusal(&self, refusal: &Refusal, id: u64) -> Told {
        told(self.dialect, self.service, refusal, id)
    }

    fn error_event(&self, request: &Incoming, refusal: &Refusal, id: u64) -> Bytes {
        self.dialect.error_event(request, refusal, id)
    }

    fn models(&self, models: &[String]) -> Value {
        self.dialect.models(models)
    }

    fn mode_refusal(&self, mode: &Mode) -> Option<Refusal> {
        self.dialect.mode_refusal(mode)
    }
}

/// A refusal as this spelling tells it.
pub(super) fn told(dialect: &dyn Speak, service: &Service, refusal: &Refusal, id: u64) -> Told {
    let mut told = dialect.refusal(refusal, id);
    match service.form {
        Form::Cohere => told.body = json!({ "id": format!("{id:016x}"), "message": refusal.message }),
        Form::Ollama => told.body = json!({ "error": refusal.message }),
        Form::Gemini if refusal.kind == Why::Auth => told.status = 400,
        _ => {}
    }
    told
}

/// Up to six decimals, so that what is written is what was meant.
fn rounded(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}

/// The words of a text, lower case.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}
