//! ElevenLabs (<https://elevenlabs.io/docs/api-reference/speech-to-text/convert>, 2026-11).

use super::openai::{lose_extra, piece, sound};
use super::{Piece, Reply, Task};
use crate::ops::Sent;
use crate::ops::multipart::{self, Part};
use crate::ops::told::thousandths;
use crate::{Malformed, json};
use slip_ir::Loss;

pub(super) fn lower(task: &Task, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut parts = vec![Part::text("model_id", model), sound(task)];
    parts.extend(task.language.iter().map(|language| Part::text("language_code", language.as_str())));
    parts.extend(task.temperature.iter().map(|raw| Part::text("temperature", raw.as_str())));
    if task.prompt.is_some() {
        losses.push(Loss::new("prompt", "this provider has no place for it"));
    }
    lose_extra(task, &mut losses);
    let (media_type, body) = multipart::write(&parts);
    Ok(Sent { path: "/speech-to-text".into(), media_type, body, losses })
}

pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let text = |span: &[u8], name: &str| json::field(span, name).and_then(json::string).map(|text| text.into_owned());
    // Blanks between words are entries too.
    let spoken = |item: &&[u8]| json::field(item, "type").and_then(json::string).is_none_or(|kind| kind == "word");
    let list = json::field(body, "words").unwrap_or(b"[]");
    let words: Vec<Piece> = json::items(list).filter(spoken).filter_map(|item| piece(item, "text")).collect();
    Some(Reply {
        text: text(body, "text")?,
        language: text(body, "language_code"),
        duration_ms: thousandths(body, "audio_duration_secs").or_else(|| words.last().map(|word| word.end)),
        words,
        ..Reply::default()
    })
}
