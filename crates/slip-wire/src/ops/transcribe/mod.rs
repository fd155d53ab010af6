//! Transcription: sound into text, in its own language or in English.

mod cues;
mod deepgram;
mod elevenlabs;
mod openai;
mod openrouter;
mod read;
mod spent;
#[cfg(test)]
mod tests;
mod written;

use super::flow::{Flow, Keeper};
use super::{Answer, Body, Sent, Shape, told, unknown};
use crate::{Malformed, Stamp};
use bytes::Bytes;
use slip_ir::{Fault, Raw, Usage, Want};
pub(super) use spent::usage;
use std::sync::Arc;
pub(super) use written::event;

/// OpenAI's limit of a file, and OpenRouter's. Sound inside JSON is bounded by the body alone.
pub const MAX_FILE: u64 = 25 * 1024 * 1024;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// Into English, whatever it is in.
    pub english: bool,
    pub sound: Sound,
    pub language: Option<String>,
    pub prompt: Option<String>,
    pub format: Format,
    /// A number, as it was written.
    pub temperature: Option<Raw>,
    /// `word` and `segment`.
    pub granularities: Vec<String>,
    pub stream: bool,
    /// Members only the caller's spelling knows, in order.
    pub extra: Vec<(String, Raw)>,
}

/// What is heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sound {
    pub data: Bytes,
    /// `talk.mp3`
    pub name: String,
    pub media_type: String,
}

/// How the text is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Json,
    Text,
    Srt,
    Vtt,
    VerboseJson,
    /// With who speaks when; only OpenAI knows it.
    DiarizedJson,
}

impl Format {
    pub const ALL: [Format; 6] =
        [Format::Json, Format::Text, Format::Srt, Format::Vtt, Format::VerboseJson, Format::DiarizedJson];

    pub const fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Text => "text",
            Format::Srt => "srt",
            Format::Vtt => "vtt",
            Format::VerboseJson => "verbose_json",
            Format::DiarizedJson => "diarized_json",
        }
    }

    pub fn parse(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Told as JSON, and not as bare text.
    const fn is_json(self) -> bool {
        matches!(self, Format::Json | Format::VerboseJson | Format::DiarizedJson)
    }
}

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub text: String,
    pub language: Option<String>,
    pub duration_ms: Option<u64>,
    pub segments: Vec<Piece>,
    pub words: Vec<Piece>,
    pub usage: Option<Usage>,
}

/// Text with its time, in thousandths of a second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    pub text: String,
    pub start: u64,
    pub end: u64,
    pub speaker: Option<String>,
}

impl Task {
    pub(super) fn wants(&self, want: &mut Want) {
        want.stream = self.stream;
        want.prompt_tokens = (self.prompt.as_ref().map_or(0, String::len) as u64).div_ceil(4);
        if self.temperature.is_some() {
            want.params.push("temperature");
        }
    }
}

pub(super) fn read(body: Body<'_>, english: bool) -> Result<Task, Malformed> {
    let task = read::read(body, english)?;
    if task.sound.data.is_empty() {
        return Err(Malformed::new("file", "the sound to be heard is missing"));
    }
    Ok(task)
}

pub(super) fn lower(task: &Task, caller: Shape, to: Shape, model: &str) -> Result<Sent, Malformed> {
    let english = || Err(Malformed::new("", "this provider does not translate what it hears"));
    match to {
        Shape::OpenRouter | Shape::Mistral | Shape::Deepgram | Shape::ElevenLabs if task.english => english(),
        Shape::OpenRouter => openrouter::lower(task, caller == to, model),
        Shape::Deepgram => deepgram::lower(task, model),
        Shape::ElevenLabs => elevenlabs::lower(task, model),
        Shape::Mistral => openai::mistral(task, model),
        _ => openai::lower(task, caller == to, model),
    }
}

#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub(super) fn reply(task: &Task, from: Shape, body: Body<'_>, stamp: &Stamp) -> Result<Answer, Fault> {
    let bytes = body.bytes.as_ref();
    let asked_so = !matches!(from, Shape::OpenRouter | Shape::Mistral | Shape::Deepgram | Shape::ElevenLabs);
    if asked_so && !task.stream && !task.format.is_json() && !body.media_type.starts_with("application/json") {
        // Text of a form of its own goes through as it came.
        let text = std::str::from_utf8(bytes).map_err(|_| unknown("text that is not UTF-8"))?;
        if body.media_type.starts_with("text/html") {
            return Err(unknown("a page where text was asked for"));
        }
        let spent = spent::guess(task, cues::last_ms(text), stamp);
        let media_type = if body.media_type.is_empty() { "text/plain; charset=utf-8" } else { body.media_type };
        return Ok(Answer::bytes(media_type, bytes.to_vec(), spent));
    }
    told::sound_json(bytes)?;
    let parsed = match from {
        Shape::Deepgram => deepgram::parse(bytes),
        Shape::ElevenLabs => elevenlabs::parse(bytes),
        _ => openai::parse(bytes, stamp),
    };
    let reply = parsed.ok_or_else(|| unknown("no text of what was heard"))?;
    let spent = match &reply.usage {
        Some(usage) => usage.clone(),
        None => match reply.duration_ms.filter(|ms| *ms > 0) {
            Some(audio_ms) => Usage { audio_ms, ..Usage::default() },
            None => spent::guess(task, reply.segments.last().or(reply.words.last()).map(|last| last.end), stamp),
        },
    };
    if asked_so && !task.stream && task.format.is_json() {
        // What only this spelling knows goes through as it came.
        let usage = spent::spelt(crate::json::field(bytes, "usage"), &spent, stamp);
        return Ok(Answer::bytes("application/json", told::with_usage(bytes, &usage), spent));
    }
    Ok(written::answer(task, &reply, spent, stamp))
}

/// OpenAI's events of a transcript, passed on as they come. `None` where the answer is one whole.
pub(super) fn open(task: &Task, media_type: &str, caller: Shape, stamp: &Arc<Stamp>) -> Option<(Flow, String)> {
    let events = task.stream && media_type.starts_with("text/event-stream");
    let fallback = || spent::guess(task, None, stamp);
    events.then(|| (Flow::events(Keeper::Transcript, caller, fallback(), stamp.clone()), media_type.to_owned()))
}
