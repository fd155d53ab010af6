//! Deepgram (<https://developers.deepgram.com/reference/text-to-speech/speak-request>, 2026-11): everything but the text stands
//! in the query, and the voice is part of the model's name.

use super::openai::lose_instructions;
use super::{Format, Task};
use crate::Malformed;
use crate::ops::{Sent, segment};
use serde_json::json;

pub(super) fn lower(task: &Task, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    lose_instructions(task, &mut losses);
    let voice = task.voice().unwrap_or_else(|| "thalia".to_owned());
    // A voice that is told by its full name, or a model that has one, is whole already.
    let name = match model.matches('-').count() {
        _ if voice.starts_with("aura") => voice,
        0 | 1 => format!("{model}-{voice}-en"),
        _ => model.to_owned(),
    };
    let encoding = match task.format.unwrap_or(Format::Mp3) {
        Format::Mp3 => "mp3",
        Format::Opus => "opus&container=ogg",
        Format::Aac => "aac",
        Format::Flac => "flac",
        Format::Wav => "linear16&container=wav&sample_rate=24000",
        Format::Pcm => "linear16&container=none&sample_rate=24000",
    };
    let mut path = format!("/speak?model={}&encoding={encoding}", segment(&name));
    if let Some(speed) = &task.speed {
        path.push_str("&speed=");
        path.push_str(&segment(speed.as_str()));
    }
    Ok(Sent::json(path, &json!({ "text": task.input }), losses))
}
