//! Embeddings: texts into vectors.

mod bedrock;
mod cohere;
mod gemini;
mod ollama;
mod openai;
mod purpose;
#[cfg(test)]
mod tests;
mod vector;

use super::{Answer, Body, Sent, Shape, figures, unknown};
use crate::lens::not_json;
use crate::peek::Named;
use crate::{Malformed, Stamp, json};
pub use purpose::Purpose;
use slip_ir::{Fault, Loss, Raw, Usage, Want};
pub use vector::Vector;

/// Inputs of one request: OpenAI's own limit is 2048.
pub const MAX_INPUTS: usize = 2048;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub inputs: Vec<Input>,
    pub dimensions: Option<u64>,
    pub encoding: Option<String>,
    pub purpose: Option<Purpose>,
    pub user: Option<String>,
    /// The caller asked for one vector and not for a list of them.
    pub single: bool,
    /// Members only the caller's spelling knows, in order.
    pub extra: Vec<(String, Raw)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Text(String),
    /// Token ids, of a tokeniser that only the model's maker knows.
    Tokens(Raw),
    /// A picture, as a URL or a `data:` URL.
    Image(String),
    /// Several parts that make one vector: OpenRouter's `{"content": […]}`.
    Parts(Raw),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub vectors: Vec<Vector>,
    pub usage: Option<Usage>,
    pub model: Option<String>,
}

impl Task {
    /// Bytes of text, and what else there is.
    pub(super) fn wants(&self, want: &mut Want) {
        let mut bytes = 0;
        for input in &self.inputs {
            match input {
                Input::Text(text) => bytes += text.len(),
                Input::Tokens(raw) => bytes += 4 * raw.as_str().bytes().filter(|b| *b == b',').count() + 4,
                Input::Image(_) => want.media.insert(slip_ir::MediaKind::Image),
                Input::Parts(raw) => bytes += raw.as_str().len(),
            }
        }
        want.prompt_tokens = (bytes as u64).div_ceil(4);
        if self.dimensions.is_some() {
            want.params.push("dimensions");
        }
    }

    /// Whether vectors are to be written as base64 of little-endian 32-bit floats.
    fn wants_base64(&self) -> bool {
        self.encoding.as_deref() == Some("base64")
    }

    /// Whether vectors are wanted in a form that is neither numbers nor floats in base64.
    fn has_own_encoding(&self) -> bool {
        self.encoding.as_deref().is_some_and(|e| !matches!(e, "float" | "base64"))
    }

    /// The texts, where there is nothing else.
    fn texts(&self) -> Result<Vec<&str>, Malformed> {
        let text = |input: &'_ Input| matches!(input, Input::Text(_));
        if !self.inputs.iter().all(text) {
            return Err(Malformed::new("input", "this provider takes texts only, not token ids, pictures or parts"));
        }
        Ok(self
            .inputs
            .iter()
            .filter_map(|i| if let Input::Text(text) = i { Some(text.as_str()) } else { None })
            .collect())
    }

    fn lose_extra(&self, why: &'static str, losses: &mut Vec<Loss>) {
        losses.extend(self.extra.iter().map(|(name, _)| Loss::new(name.clone(), why)));
    }
}

pub(super) fn read(shape: Shape, body: &[u8], named: Option<&Named>) -> Result<Task, Malformed> {
    json::check(body)?;
    let task = match shape {
        Shape::Cohere => cohere::read(body)?,
        Shape::Gemini | Shape::Predict => gemini::read(body, named)?,
        Shape::Ollama | Shape::OllamaOld => ollama::read(body)?,
        _ => openai::read(body)?,
    };
    match task.inputs.len() {
        0 => Err(Malformed::new("input", "must not be empty")),
        n if n > MAX_INPUTS => Err(Malformed::new("input", format!("must hold at most {MAX_INPUTS} entries"))),
        _ => Ok(task),
    }
}

pub(super) fn lower(task: &Task, caller: Shape, to: Shape, model: &str) -> Result<Sent, Malformed> {
    // Whoever asks in the general spelling means the members that those near it may know.
    let same = caller == to || caller == Shape::OpenAi && matches!(to, Shape::Voyage | Shape::Jina);
    match to {
        Shape::Cohere => cohere::lower(task, same, model),
        Shape::Gemini => gemini::lower(task, same, model),
        Shape::Predict => gemini::predict(task, same, model),
        Shape::Vertex => gemini::vertex(task, caller == Shape::Gemini, model),
        Shape::Bedrock => bedrock::lower(task, caller, model),
        Shape::Ollama | Shape::OllamaOld => ollama::lower(task, same, model),
        _ => openai::lower(task, to, same, model),
    }
}

/// At least one vector, or it is no answer in this spelling.
fn parse(task: &Task, from: Shape, bytes: &[u8]) -> Option<Reply> {
    let reply = match from {
        Shape::Cohere => cohere::parse(bytes),
        Shape::Gemini => gemini::parse(bytes),
        Shape::Predict => gemini::parse_predictions(bytes),
        Shape::Vertex => gemini::parse_predictions(bytes).or_else(|| gemini::parse(bytes)),
        Shape::Bedrock => bedrock::parse(bytes),
        Shape::Ollama | Shape::OllamaOld => ollama::parse(bytes),
        // Bytes, unless another form of its own was asked for.
        Shape::OpenAiInt8 => openai::parse(bytes, !task.has_own_encoding()),
        _ => openai::parse(bytes, false),
    };
    reply.filter(|reply| !reply.vectors.is_empty())
}

#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub(super) fn reply(task: &Task, caller: Shape, from: Shape, body: Body<'_>, stamp: &Stamp) -> Result<Answer, Fault> {
    let bytes = body.bytes.as_ref();
    if json::check(bytes).is_err() {
        return Err(not_json());
    }
    // A server may answer in another spelling than the one it was asked in: behind the same address stand different programs.
    let (mut reply, as_asked) = match parse(task, from, bytes) {
        Some(reply) => (reply, true),
        None => {
            let others = [Shape::OpenAi, Shape::Cohere, Shape::Gemini, Shape::Ollama, Shape::Predict];
            let told = others.into_iter().find_map(|shape| parse(task, shape, bytes));
            (told.ok_or_else(|| unknown("no list of embeddings"))?, false)
        }
    };
    if reply.vectors.len() != task.inputs.len() {
        let (asked, got) = (task.inputs.len(), reply.vectors.len());
        return Err(unknown(format_args!("{got} vectors for {asked} inputs")));
    }
    let usage = reply.usage.take().unwrap_or_else(|| Usage {
        input: stamp.prompt_estimate,
        estimated: true,
        ..Usage::default()
    });
    // Where both spell alike, whatever else the provider says goes along.
    let own = match (caller, from) {
        (Shape::Cohere, Shape::Cohere) => Some(("id", &stamp.id)),
        (Shape::Ollama, Shape::Ollama) => Some(("model", &stamp.model)),
        (Shape::Gemini, Shape::Gemini) => Some(("", &stamp.model)),
        _ => None,
    };
    let list = json::field(bytes, "embeddings").is_some();
    if let Some((member, name)) = own.filter(|_| as_asked && list != task.single) {
        let told = figures::replaced(bytes, &[(member, &figures::quoted(name))]);
        return Ok(Answer::bytes("application/json", told, usage));
    }
    match caller {
        Shape::Cohere => cohere::write(task, &reply, usage, stamp),
        Shape::Gemini | Shape::Predict => gemini::write(task, &reply, usage),
        Shape::Ollama | Shape::OllamaOld => ollama::write(caller, &reply, usage, stamp),
        _ => openai::write(task, &reply, usage, stamp),
    }
    .ok_or_else(|| unknown("a vector that is not one"))
}
