//! Deepgram (<https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded>, 2026-11): the body is the sound
//! itself, everything else stands in the query.

use super::openai::{lose_extra, piece};
use super::{Piece, Reply, Task};
use crate::ops::told::thousandths;
use crate::ops::{Sent, segment};
use crate::{Malformed, json};
use slip_ir::Loss;

pub(super) fn lower(task: &Task, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut path = format!("/listen?model={}&smart_format=true", segment(model));
    path.push_str(match &task.language {
        Some(_) => "&language=",
        None => "&detect_language=true",
    });
    path.push_str(&task.language.as_deref().map(segment).unwrap_or_default());
    if !matches!(task.format, super::Format::Json | super::Format::Text) {
        path.push_str("&utterances=true");
    }
    for (name, told) in [("prompt", task.prompt.is_some()), ("temperature", task.temperature.is_some())] {
        if told {
            losses.push(Loss::new(name, "this provider has no place for it"));
        }
    }
    lose_extra(task, &mut losses);
    let media_type = task.sound.media_type.clone();
    Ok(Sent { path, media_type, body: task.sound.data.to_vec(), losses })
}

pub(super) fn parse(body: &[u8]) -> Option<Reply> {
    let results = json::field(body, "results")?;
    let channel = json::items(json::field(results, "channels")?).next()?;
    let best = json::items(json::field(channel, "alternatives")?).next()?;
    let text = json::field(best, "transcript").and_then(json::string)?.into_owned();
    let pieces = |list: Option<&[u8]>, word: &str| -> Vec<Piece> {
        json::items(list.unwrap_or(b"[]")).filter_map(|item| piece(item, word)).collect()
    };
    let mut words = pieces(json::field(best, "words"), "punctuated_word");
    if words.is_empty() {
        words = pieces(json::field(best, "words"), "word");
    }
    let duration_ms = json::field(body, "metadata").and_then(|metadata| thousandths(metadata, "duration"));
    let language = json::field(channel, "detected_language").and_then(json::string).map(|l| l.into_owned());
    let segments = pieces(json::field(results, "utterances"), "transcript");
    Some(Reply { text, language, duration_ms, segments, words, usage: None })
}
