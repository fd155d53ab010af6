//! Pictures: made from a description, or from other pictures.

mod chat;
mod events;
mod openai;
mod read;
mod size;
#[cfg(test)]
mod tests;
mod written;

use super::flow::{Flow, Keeper};
use super::{Answer, Body, Sent, Shape, told, unknown};
use crate::{Malformed, Stamp};
use bytes::Bytes;
pub use chat::{from_chat, to_chat};
pub(crate) use events::event;
pub(super) use openai::usage;
use slip_ir::{Fault, Raw, Usage, Want};
use std::sync::Arc;

/// OpenRouter's limit of pictures shown, and OpenAI's.
pub const MAX_PICTURES: usize = 16;
/// Pictures of one request.
const MAX_N: i64 = 10;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub prompt: String,
    /// Pictures to start from.
    pub pictures: Vec<Picture>,
    pub mask: Option<Picture>,
    /// The caller sent a form.
    pub form: bool,
    pub n: Option<u64>,
    /// `1024x1024`, `auto`, or OpenRouter's `2K`.
    pub size: Option<String>,
    pub resolution: Option<String>,
    pub aspect_ratio: Option<String>,
    pub quality: Option<String>,
    pub background: Option<String>,
    pub output_format: Option<String>,
    pub output_compression: Option<u64>,
    pub seed: Option<u64>,
    /// `b64_json` or `url`, where the caller said.
    pub response_format: Option<String>,
    pub stream: bool,
    pub partial_images: Option<u64>,
    pub user: Option<String>,
    /// Members only the caller's spelling knows, in order.
    pub extra: Vec<(String, Raw)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    File {
        data: Bytes,
        media_type: String,
        name: String,
    },
    /// `https:` or `data:`.
    Url(String),
    /// In the provider's own store.
    FileId(String),
}

/// A picture that was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made {
    pub base64: Option<String>,
    pub url: Option<String>,
    pub media_type: Option<String>,
    pub revised_prompt: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub pictures: Vec<Made>,
    pub usage: Option<Usage>,
    pub created: Option<u64>,
}

/// Callers and providers who share OpenAI's members.
const fn is_openai(shape: Shape) -> bool {
    matches!(shape, Shape::OpenAi | Shape::OpenAiEdits | Shape::OpenAiLinks)
}

impl Task {
    pub(super) fn wants(&self, want: &mut Want) {
        want.prompt_tokens = (self.prompt.len() as u64).div_ceil(4);
        want.stream = self.stream;
        if !self.pictures.is_empty() || self.mask.is_some() {
            want.media.insert(slip_ir::MediaKind::Image);
        }
        if self.seed.is_some() {
            want.params.push("seed");
        }
    }

    fn edits(&self) -> bool {
        !self.pictures.is_empty()
    }

    /// Where an address of a picture would not do.
    fn wants_base64(&self, caller: Shape) -> bool {
        caller == Shape::OpenRouter || self.response_format.as_deref() == Some("b64_json")
    }

    /// What counts as consumed: tokens where the provider tells them, pictures where they are priced or nothing else was told.
    fn settled(&self, told: Option<Usage>, made: u64, stamp: &Stamp) -> Usage {
        let each = stamp.price.as_ref().is_some_and(|price| price.image.0 > 0);
        match told.filter(|usage| usage.total() > 0) {
            Some(usage) if !each => usage,
            Some(usage) => Usage { images: made, ..usage },
            None => Usage {
                input: stamp.prompt_estimate,
                images: made,
                // Only a price by the picture can be told exactly from the pictures.
                estimated: !each,
                ..Usage::default()
            },
        }
    }
}

pub(super) fn read(shape: Shape, body: Body<'_>) -> Result<Task, Malformed> {
    let task = read::read(body)?;
    if task.prompt.is_empty() {
        return Err(Malformed::new("prompt", "must not be empty"));
    }
    if shape == Shape::OpenAiEdits && task.pictures.is_empty() {
        return Err(Malformed::new("image", "a picture to edit is needed"));
    }
    if task.pictures.len() > MAX_PICTURES {
        return Err(Malformed::new("image", format!("at most {MAX_PICTURES} pictures can be shown")));
    }
    size::check(&task)?;
    Ok(task)
}

pub(super) fn lower(task: &Task, caller: Shape, to: Shape, model: &str) -> Result<Sent, Malformed> {
    openai::lower(task, caller, to, model)
}

#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub(super) fn reply(task: &Task, caller: Shape, body: Body<'_>, stamp: &Stamp) -> Result<Answer, Fault> {
    let bytes = body.bytes.as_ref();
    told::sound_json(bytes)?;
    let mut reply = openai::parse(bytes).ok_or_else(|| unknown("no list of pictures"))?;
    let usage = task.settled(reply.usage.take(), reply.pictures.len() as u64, stamp);
    check(task, caller, &reply)?;
    if is_openai(caller) && !task.stream {
        // What only OpenAI's clients know goes through as it came.
        let own = crate::json::field(bytes, "usage");
        let body = told::with_usage(bytes, &written::usage(own, &usage, stamp));
        return Ok(Answer::bytes("application/json", body, usage));
    }
    Ok(written::answer(task, caller, &reply, usage, stamp))
}

/// A success without a usable picture is none.
#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
fn check(task: &Task, caller: Shape, reply: &Reply) -> Result<(), Fault> {
    let usable =
        |made: &Made| made.base64.is_some() || made.url.is_some() && !task.wants_base64(caller) && !task.stream;
    match reply.pictures.iter().all(usable) {
        _ if reply.pictures.is_empty() => Err(unknown("no picture")),
        true => Ok(()),
        false => Err(unknown("the address of a picture where the picture was asked for")),
    }
}

/// A stream of OpenAI's events, passed on as it comes.
pub(super) fn open(task: &Task, caller: Shape, stamp: &Arc<Stamp>) -> Flow {
    let fallback = task.settled(None, task.n.unwrap_or(1), stamp);
    Flow::events(Keeper::Image, caller, fallback, stamp.clone())
}
