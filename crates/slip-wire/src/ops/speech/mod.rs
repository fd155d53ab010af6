//! Speech: text into sound, which is passed on as it is made.

mod chat;
mod deepgram;
mod elevenlabs;
pub(super) mod format;
mod openai;
#[cfg(test)]
mod tests;

use super::flow::{Flow, Keeper};
use super::{Answer, Body, Sent, Shape, told, unknown};
use crate::{Malformed, Stamp, dialect::put_event};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
pub use chat::{from_chat, to_chat};
pub use format::Format;
use slip_ir::{Fault, Raw, Usage, Want};
use std::sync::Arc;

/// OpenAI takes 4096 characters, others ten times as much; a body may be larger than either.
const MAX_CHARACTERS: usize = 200_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    pub input: String,
    /// A name, or OpenAI's `{"id": …}`.
    pub voice: Option<Raw>,
    /// It was told as `voice_id`, which is Mistral's word for it.
    pub by_id: bool,
    pub format: Option<Format>,
    /// A number, as it was written.
    pub speed: Option<Raw>,
    pub instructions: Option<String>,
    /// Sound inside events (`stream_format: "sse"`), not as bare bytes.
    pub events: bool,
    pub extra: Vec<(String, Raw)>,
}

impl Task {
    pub(super) fn wants(&self, want: &mut Want) {
        want.prompt_tokens = (self.input.len() as u64).div_ceil(4);
    }

    /// The voice's name.
    fn voice(&self) -> Option<String> {
        let raw = self.voice.as_ref()?.value();
        raw.as_str().or_else(|| raw.get("id").and_then(|id| id.as_str())).map(str::to_owned)
    }

    /// What is consumed by speaking this, for a provider that does not say: characters are exact, tokens are not.
    fn spent(&self, stamp: &Stamp) -> Usage {
        let characters = self.input.chars().count() as u64;
        let each = stamp.price.as_ref().is_none_or(|price| price.character.0 > 0);
        let timed = stamp.price.as_ref().is_some_and(|price| price.second.0 > 0);
        match (each, timed) {
            (true, _) => Usage { characters, ..Usage::default() },
            (false, true) => Usage { audio_ms: characters * MS_PER_CHARACTER, estimated: true, ..Usage::default() },
            (false, false) => Usage {
                input: characters.div_ceil(4),
                audio_out: characters * MS_PER_CHARACTER * TOKENS_PER_SECOND / 1000,
                estimated: true,
                ..Usage::default()
            },
        }
    }
}

/// A hundred and fifty words a minute.
const MS_PER_CHARACTER: u64 = 67;
/// What OpenAI's price by the minute and by the token come to.
const TOKENS_PER_SECOND: u64 = 21;

pub(super) fn read(body: &[u8]) -> Result<Task, Malformed> {
    let task = openai::read(body)?;
    match task.input.chars().count() {
        0 => Err(Malformed::new("input", "must not be empty")),
        n if n > MAX_CHARACTERS => {
            Err(Malformed::new("input", format!("must be at most {MAX_CHARACTERS} characters, not {n}")))
        }
        _ => Ok(task),
    }
}

pub(super) fn lower(task: &Task, caller: Shape, to: Shape, model: &str) -> Result<Sent, Malformed> {
    match to {
        Shape::ElevenLabs => elevenlabs::lower(task, model),
        Shape::Deepgram => deepgram::lower(task, model),
        Shape::Mistral => openai::mistral(task, model),
        _ => openai::lower(task, caller == to, model),
    }
}

/// Sound that came inside JSON: Mistral's `audio_data`, and whoever else does so.
#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub(super) fn reply(task: &Task, body: Body<'_>, stamp: &Stamp) -> Result<Answer, Fault> {
    let bytes = body.bytes.as_ref();
    told::sound_json(bytes)?;
    let data = ["audio_data", "audio", "data", "audio_base64"]
        .into_iter()
        .find_map(|name| crate::json::field(bytes, name).and_then(crate::json::string));
    let sound = data.and_then(|data| STANDARD.decode(data.as_bytes()).ok()).filter(|sound| !sound.is_empty());
    let sound = sound.ok_or_else(|| unknown("no sound"))?;
    let usage = crate::json::field(bytes, "usage").and_then(|span| usage(span, stamp));
    let usage = usage.unwrap_or_else(|| task.spent(stamp));
    let media_type = format::sniff(&sound).or(task.format).unwrap_or(Format::Mp3).media_type();
    Ok(told_whole(task, sound, media_type, usage, stamp))
}

/// Sound that is there whole, as the caller wanted it.
fn told_whole(task: &Task, sound: Vec<u8>, media_type: &str, spent: Usage, stamp: &Stamp) -> Answer {
    if !task.events {
        return Answer::bytes(media_type, sound, spent);
    }
    let mut out = BytesMut::new();
    let delta = format!("{{\"type\":\"speech.audio.delta\",\"audio\":\"{}\"}}", STANDARD.encode(&sound));
    put_event(Some("speech.audio.delta"), delta.as_bytes(), &mut out);
    let done = format!("{{\"type\":\"speech.audio.done\",\"usage\":{}}}", spelt(None, &spent, stamp).get());
    put_event(Some("speech.audio.done"), done.as_bytes(), &mut out);
    Answer::bytes("text/event-stream", out.to_vec(), spent)
}

/// Bare sound, or OpenAI's events of it, passed on as it comes. `None` where the answer must be read whole first.
pub(super) fn open(task: &Task, media_type: &str, caller: Shape, stamp: &Arc<Stamp>) -> Option<(Flow, String)> {
    let kind = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let spent = task.spent(stamp);
    match (kind.as_str(), task.events) {
        ("text/event-stream", true) => {
            Some((Flow::events(Keeper::Speech, caller, spent, stamp.clone()), media_type.to_owned()))
        }
        (kind, _) if kind.starts_with("text/") || kind.ends_with("json") => None,
        (_, true) => None,
        (kind, false) => {
            let told = kind.starts_with("audio/").then(|| media_type.to_owned());
            let told = told.unwrap_or_else(|| task.format.unwrap_or(Format::Mp3).media_type().to_owned());
            Some((Flow::bytes(spent, stamp.clone()), told))
        }
    }
}

/// A caller who asked for events where the provider has only bytes.
pub(super) fn from_bytes(task: &Task, sound: &Bytes, stamp: &Stamp) -> Answer {
    told_whole(task, sound.to_vec(), task.format.unwrap_or(Format::Mp3).media_type(), task.spent(stamp), stamp)
}

/// `{"input_tokens", "output_tokens"}`, or characters, which Mistral and ElevenLabs count.
pub(super) fn usage(span: &[u8], stamp: &Stamp) -> Option<Usage> {
    let characters = told::count(span, "characters").or_else(|| told::count(span, "prompt_characters"));
    let each = stamp.price.as_ref().is_none_or(|price| price.character.0 > 0);
    match (told::count(span, "input_tokens"), told::count(span, "output_tokens")) {
        (Some(input), Some(audio_out)) if input + audio_out > 0 && !(each && characters.is_some()) => {
            Some(Usage { input, audio_out, ..Usage::default() })
        }
        _ => characters.map(|characters| Usage { characters, ..Usage::default() }),
    }
}

fn spelt(own: Option<&[u8]>, usage: &Usage, stamp: &Stamp) -> Box<serde_json::value::RawValue> {
    let (input, output) = (usage.prompt_total(), usage.completion_total());
    let words = [
        ("input_tokens", input.to_string()),
        ("output_tokens", output.to_string()),
        ("total_tokens", (input + output).to_string()),
    ];
    told::priced(own, &words, usage, stamp)
}

/// One event of the provider's, with the price in its usage.
pub(super) fn event(
    kind: &str,
    name: Option<&str>,
    data: &[u8],
    spent: Option<&Usage>,
    stamp: &Stamp,
    out: &mut BytesMut,
) {
    let name = name.map(|_| kind);
    match spent {
        Some(spent) => {
            let usage = spelt(crate::json::field(data, "usage"), spent, stamp);
            put_event(name, &told::with_usage(data, &usage), out);
        }
        None => put_event(name, data, out),
    }
}
