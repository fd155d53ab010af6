//! What models do besides talking: vectors, rankings, verdicts, pictures, sound, and the counting of tokens.
//!
//! A chat has many spellings and so a vocabulary, decoders and encoders of its own. These services are small: each is one folder
//! with what is asked (`Task`), what is answered (`Reply`), and a file per spelling ([`Shape`]) that knows both ways of both.
//! Where caller and provider spell alike, what nobody here understands goes through as it came.

pub mod count;
pub mod embed;
mod figures;
pub mod moderation;
pub mod rerank;

use crate::json;
use crate::peek::{MAX_MODELS, Named, Peek};
use crate::{Malformed, Stamp, Tally};
use bytes::Bytes;
pub(crate) use figures::{Charge, count, raw};
use slip_ir::{Fault, FaultKind, Loss, Op, Raw, Remedy, Usage};
use std::fmt;

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
        Answer::bytes(serde_json::to_vec(body).unwrap_or_default(), usage)
    }

    /// The same, of JSON that is written already.
    pub(crate) fn bytes(body: impl Into<Bytes>, usage: Usage) -> Answer {
        let body = body.into();
        let tally = Tally { usage: Some(usage), content: 1, finish: Some(slip_ir::Finish::Stop), ..Tally::default() };
        Answer { media_type: "application/json".to_owned(), body, tally }
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
    }
    Ok((peek, Inquiry { op, shape, task }))
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
    }
}

/// The provider said 200 and something that is no answer.
pub(crate) fn unknown(at: impl fmt::Display) -> Fault {
    Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, format!("the provider answered something unknown: {at}"))
}
