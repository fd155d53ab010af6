//! What models do besides talking: vectors, rankings, verdicts, pictures, sound, and the counting of tokens.
//!
//! A chat has many spellings and so a vocabulary, decoders and encoders of its own. These services are small: each is one folder
//! with what is asked (`Task`), what is answered (`Reply`), and a file per spelling ([`Shape`]) that knows both ways of both.
//! Where caller and provider spell alike, what nobody here understands goes through as it came.

pub mod count;
pub mod embed;
mod figures;
pub mod flow;
mod given;
pub mod image;
#[cfg(test)]
mod laws;
pub mod moderation;
pub mod multipart;
pub mod rerank;
pub mod speech;
mod told;
pub mod transcribe;

use crate::json;
use crate::peek::{MAX_MODELS, Named, Peek};
use crate::{Malformed, Stamp, Tally};
use bytes::Bytes;
pub(crate) use figures::{Charge, count, raw};
pub use flow::Flow;
use slip_ir::{Fault, FaultKind, Loss, Op, Raw, Remedy, Usage};
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

/// How one family of servers spells a service. Named after whoever spelt it first; who else speaks so is said by the providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// OpenAI's and, towards callers, OpenRouter's superset of it.
    OpenAi,
    /// The same, with vectors of signed bytes in base64 where nothing else was asked for.
    OpenAiInt8,
    /// Cohere, version 2.
    Cohere,
    /// `embedContent` for one, `batchEmbedContents` for several.
    Gemini,
    /// Vertex AI's `predict`.
    Predict,
    /// Vertex AI: `predict` or `embedContent`, as the model has it, below the publisher; and tokens counted of the bare question.
    Vertex,
    /// Amazon Bedrock: vectors and rankings by InvokeModel, in the words of the model's maker; tokens counted of a Converse request.
    Bedrock,
    /// Ollama's own.
    Ollama,
    /// Ollama's first: one prompt, one vector.
    OllamaOld,
    Voyage,
    Jina,
    /// Anthropic, where tokens are counted.
    Anthropic,
    /// OpenAI's Responses, where tokens are counted.
    Responses,
    /// OpenAI's other form for pictures: some are there, and are to be changed.
    OpenAiEdits,
    /// OpenAI's, with the addresses of pictures where nothing else was asked for.
    OpenAiLinks,
    /// OpenRouter's own, where it is not OpenAI's: pictures, and sound in base64.
    OpenRouter,
    /// A conversation in the provider's dialect.
    Chat,
    Mistral,
    ElevenLabs,
    Deepgram,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What is asked of a service, and in which spelling.
#[derive(Clone, Debug)]
pub struct Inquiry {
    pub op: Op,
    pub shape: Shape,
    pub task: Task,
}

#[derive(Clone, Debug)]
pub enum Task {
    Embed(embed::Task),
    Rerank(rerank::Task),
    Moderate(moderation::Task),
    Count(count::Task),
    Image(Box<image::Task>),
    Speech(Box<speech::Task>),
    Transcribe(Box<transcribe::Task>),
}

/// How the answer goes to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Whole,
    /// Server-sent events.
    Events,
    /// Bare bytes, as they come.
    Bytes,
}

impl Inquiry {
    pub fn manner(&self) -> Manner {
        let events = match &self.task {
            Task::Image(task) => task.stream,
            Task::Speech(task) if !task.events => return Manner::Bytes,
            Task::Speech(_) => true,
            Task::Transcribe(task) => task.stream,
            _ => false,
        };
        if events { Manner::Events } else { Manner::Whole }
    }
}

/// What goes to the provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Below the base URL, where the provider says no other.
    pub path: String,
    pub media_type: String,
    pub body: Vec<u8>,
    pub losses: Vec<Loss>,
}

impl Sent {
    pub(crate) fn json(path: impl Into<String>, body: &impl serde::Serialize, losses: Vec<Loss>) -> Sent {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Sent { path: path.into(), media_type: "application/json".to_owned(), body, losses }
    }
}

/// What goes to the caller.
#[derive(Clone, Debug)]
pub struct Answer {
    pub media_type: String,
    pub body: Bytes,
    pub tally: Tally,
}

impl Answer {
    pub(crate) fn json(body: &impl serde::Serialize, usage: Usage) -> Answer {
        Answer::bytes("application/json", serde_json::to_vec(body).unwrap_or_default(), usage)
    }

    /// The same of what is written already.
    pub(crate) fn bytes(media_type: impl Into<String>, body: impl Into<Bytes>, usage: Usage) -> Answer {
        let tally = Tally { usage: Some(usage), content: 1, finish: Some(slip_ir::Finish::Stop), ..Tally::default() };
        Answer { media_type: media_type.into(), body: body.into(), tally }
    }
}

/// A body as it arrived.
#[derive(Clone, Copy)]
pub struct Body<'a> {
    /// The whole `content-type`, empty where there was none.
    pub media_type: &'a str,
    pub bytes: &'a Bytes,
}

/// Read what is asked. `named` carries what the path says.
pub fn read(op: Op, shape: Shape, body: Body<'_>, named: Option<&Named>) -> Result<(Peek, Inquiry), Malformed> {
    let (task, mut peek) = match op {
        Op::Embeddings => {
            let task = embed::read(shape, body.bytes, named)?;
            let peek = routing(body.bytes)?;
            (Task::Embed(task), peek)
        }
        Op::Rerank => (Task::Rerank(rerank::read(body.bytes)?), routing(body.bytes)?),
        Op::Moderation => {
            let task = moderation::read(body.bytes)?;
            let mut peek = routing(body.bytes)?;
            if peek.models.is_empty() {
                peek.model.get_or_insert_with(|| moderation::USUAL.to_owned());
            }
            (Task::Moderate(task), peek)
        }
        Op::CountTokens => {
            // Who counts is who would chat, so that it is chosen like one.
            let (task, peek) = count::read(shape, body.bytes, named)?;
            return Ok((peek, Inquiry { op, shape, task: Task::Count(task) }));
        }
        Op::Image => (Task::Image(Box::new(image::read(shape, body)?)), form_routing(body)?),
        Op::Speech => (Task::Speech(Box::new(speech::read(body.bytes)?)), routing(body.bytes)?),
        Op::Transcription | Op::Translation => {
            let task = transcribe::read(body, op == Op::Translation)?;
            (Task::Transcribe(Box::new(task)), form_routing(body)?)
        }
        other => return Err(Malformed::new("", format!("{other} is not answered here"))),
    };
    if let Some(named) = named.filter(|named| !named.model.is_empty()) {
        peek.model = Some(named.model.clone());
    }
    peek.want.op = op;
    peek.want.n = 1;
    match &task {
        Task::Embed(task) => task.wants(&mut peek.want),
        Task::Rerank(task) => task.wants(&mut peek.want),
        Task::Moderate(task) => task.wants(&mut peek.want),
        Task::Count(_) => {}
        Task::Image(task) => task.wants(&mut peek.want),
        Task::Speech(task) => task.wants(&mut peek.want),
        Task::Transcribe(task) => task.wants(&mut peek.want),
    }
    let inquiry = Inquiry { op, shape, task };
    peek.stream = inquiry.manner() != Manner::Whole;
    Ok((peek, inquiry))
}

/// The same of a body that may be a form.
fn form_routing(body: Body<'_>) -> Result<Peek, Malformed> {
    if !multipart::is_form(body.media_type) {
        return routing(body.bytes);
    }
    let mut peek = Peek::default();
    for (name, given) in given::members(body)? {
        let at = name.as_str();
        match at {
            "model" => peek.model = given.text(at)?.filter(|model| !model.is_empty()),
            "models" => peek.models.extend(given.texts(at, MAX_MODELS)?),
            "provider" => match given.raw() {
                Some(raw) if raw.as_str().starts_with('{') => peek.provider = Some(raw),
                _ => return Err(Malformed::new(at, "must be an object")),
            },
            "user" => peek.user = given.text(at).ok().flatten(),
            "session_id" => peek.session_id = given.text(at)?,
            _ => {}
        }
    }
    peek.models.truncate(MAX_MODELS);
    Ok(peek)
}

/// The most bytes a body of this kind may have, where that is less than a body in general.
pub fn most_bytes(op: Op, media_type: &str) -> Option<u64> {
    /// The other fields of the form, and its boundaries.
    const ROOM: u64 = 1024 * 1024;
    let heard = matches!(op, Op::Transcription | Op::Translation) && multipart::is_form(media_type);
    heard.then_some(transcribe::MAX_FILE + ROOM)
}

/// The members of a JSON body that say who may answer, by OpenRouter's names whatever the spelling of the rest.
pub(crate) fn routing(body: &[u8]) -> Result<Peek, Malformed> {
    let mut peek = Peek { members: json::members(body)?, ..Peek::default() };
    for member in &peek.members {
        let span = &body[member.value.clone()];
        let at = member.key.as_str();
        match at {
            "model" => peek.model = crate::peek::text(at, span)?.filter(|model| !model.is_empty()),
            "models" => peek.models = crate::peek::texts(at, span, MAX_MODELS)?,
            "provider" if crate::peek::object(at, span)? => {
                peek.provider = std::str::from_utf8(span).ok().and_then(Raw::parse);
            }
            "user" => peek.user = crate::peek::text(at, span).ok().flatten(),
            "session_id" => peek.session_id = crate::peek::text(at, span)?,
            _ => {}
        }
    }
    Ok(peek)
}

/// Spell a task for a provider. A task it has no way to be asked for is an error that another provider may not share.
pub fn lower(inquiry: &Inquiry, shape: Shape, model: &str) -> Result<Sent, Malformed> {
    match &inquiry.task {
        Task::Embed(task) => embed::lower(task, inquiry.shape, shape, model),
        Task::Rerank(task) => rerank::lower(task, inquiry.shape, shape, model),
        Task::Moderate(task) => moderation::lower(task, shape, model),
        Task::Count(task) => count::lower(task, shape, model),
        Task::Image(task) => image::lower(task, inquiry.shape, shape, model),
        Task::Speech(task) => speech::lower(task, inquiry.shape, shape, model),
        Task::Transcribe(task) => transcribe::lower(task, inquiry.shape, shape, model),
    }
}

/// The task as a conversation, for a provider whose chat models do it ([`Shape::Chat`]). It has no dialect's own members but
/// Gemini's: see [`crate::cross()`].
pub fn to_chat(inquiry: &Inquiry, model: &str) -> Result<(slip_ir::Request, Vec<Loss>), Malformed> {
    match &inquiry.task {
        Task::Image(task) => image::to_chat(task, model),
        Task::Speech(task) => speech::to_chat(task, model),
        _ => Err(Malformed::new("", format!("{} cannot be asked for in a conversation", inquiry.op))),
    }
}

/// What a chat model said to it, in the caller's spelling.
#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub fn from_chat(inquiry: &Inquiry, said: &slip_ir::Reply, stamp: &Stamp) -> Result<Answer, Fault> {
    match &inquiry.task {
        Task::Image(task) => image::from_chat(task, inquiry.shape, said, stamp),
        Task::Speech(task) => speech::from_chat(task, said, stamp),
        _ => Err(unknown("a conversation")),
    }
}

/// An answer that can be passed on as it arrives, with its media type; `None` where it must be read whole before.
pub fn open(inquiry: &Inquiry, shape: Shape, media_type: &str, stamp: &Arc<Stamp>) -> Option<(Flow, String)> {
    match &inquiry.task {
        _ if shape == Shape::Chat => None,
        Task::Image(task) if task.stream && media_type.starts_with("text/event-stream") => {
            Some((image::open(task, inquiry.shape, stamp), media_type.to_owned()))
        }
        Task::Speech(task) => speech::open(task, media_type, inquiry.shape, stamp),
        Task::Transcribe(task) => transcribe::open(task, media_type, inquiry.shape, stamp),
        _ => None,
    }
}

/// A successful answer in the caller's spelling.
#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub fn reply(inquiry: &Inquiry, shape: Shape, body: Body<'_>, stamp: &Stamp) -> Result<Answer, Fault> {
    match &inquiry.task {
        Task::Embed(task) => embed::reply(task, inquiry.shape, shape, body, stamp),
        Task::Rerank(task) => rerank::reply(task, inquiry.shape, body, stamp),
        Task::Moderate(_) => moderation::reply(body, stamp),
        Task::Count(_) => count::reply(inquiry.shape, shape, body),
        Task::Image(task) => image::reply(task, inquiry.shape, body, stamp),
        Task::Speech(task) if task.events && body.media_type.starts_with("audio/") => {
            Ok(speech::from_bytes(task, body.bytes, stamp))
        }
        Task::Speech(task) => speech::reply(task, body, stamp),
        Task::Transcribe(task) => transcribe::reply(task, shape, body, stamp),
    }
}

/// Text as one segment of a path, or one value of a query: it can reach neither another path nor another parameter.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            // Two dots would be a way up.
            b'.' if !out.is_empty() => out.push('.'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// Members a caller gave for this provider alone (`provider.options.<slug>`), where the body does not say them already.
pub fn with_options(sent: &mut Sent, provider: Option<&Raw>, slug: &str) {
    let Some(provider) = provider.filter(|_| sent.media_type == "application/json") else { return };
    let Some(options) = json::field(provider.as_str().as_bytes(), "options").and_then(|all| json::field(all, slug))
    else {
        return;
    };
    let Ok(said) = json::members(&sent.body) else { return };
    for (key, value) in json::fields(options) {
        let key = key.text();
        if sent.body.len() > 2 && !said.iter().any(|member| member.key == *key) {
            sent.body.pop();
            sent.body.extend_from_slice(b",");
            sent.body.extend_from_slice(serde_json::to_string(&key).unwrap_or_default().as_bytes());
            sent.body.extend_from_slice(b":");
            sent.body.extend_from_slice(value);
            sent.body.extend_from_slice(b"}");
        }
    }
}

/// The provider said 200 and something that is no answer.
pub(crate) fn unknown(at: impl fmt::Display) -> Fault {
    Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, format!("the provider answered something unknown: {at}"))
}
