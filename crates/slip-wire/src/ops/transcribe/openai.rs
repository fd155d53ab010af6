//! OpenAI's transcriptions, which Groq and many others copy, and Mistral's, which are nearly the same.

use super::{Piece, Reply, Task, spent};
use crate::ops::Sent;
use crate::ops::given::as_field;
use crate::ops::multipart::{self, Part};
use crate::ops::told::thousandths;
use crate::{Malformed, Stamp, json};
use slip_ir::Loss;

pub(super) fn lower(task: &Task, same: bool, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut parts = vec![sound(task), Part::text("model", model)];
    let mut put = |name: &str, text: Option<&str>| parts.extend(text.map(|text| Part::text(name, text)));
    if !task.english {
        put("language", task.language.as_deref());
    }
    put("prompt", task.prompt.as_deref());
    // What comes when nothing is said is what is meant then.
    put("response_format", (task.format != super::Format::Json).then_some(task.format.name()));
    put("temperature", task.temperature.as_ref().map(|raw| raw.as_str()));
    task.granularities.iter().for_each(|word| put("timestamp_granularities[]", Some(word)));
    put("stream", task.stream.then_some("true"));
    if same {
        parts.extend(task.extra.iter().flat_map(|(name, raw)| list(name, raw)));
    } else {
        lose_extra(task, &mut losses);
    }
    let path = if task.english { "/audio/translations" } else { "/audio/transcriptions" };
    let (media_type, body) = multipart::write(&parts);
    Ok(Sent { path: path.into(), media_type, body, losses })
}

/// A list is a field for each of its entries.
fn list(name: &str, raw: &slip_ir::Raw) -> Vec<Part> {
    let span = raw.as_str().as_bytes();
    if span.first() != Some(&b'[') {
        return vec![as_field(name, raw)];
    }
    let entries = json::items(span).filter_map(|item| std::str::from_utf8(item).ok().and_then(slip_ir::Raw::parse));
    entries.map(|entry| as_field(&format!("{name}[]"), &entry)).collect()
}

/// Members that only OpenAI has.
const OPENAIS: [&str; 4] = ["chunking_strategy", "include", "known_speaker_names", "known_speaker_references"];

/// It answers in JSON alone, with its text in segments where one asks for them.
pub(super) fn mistral(task: &Task, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut parts = vec![sound(task), Part::text("model", model)];
    let mut put = |name: &str, text: Option<&str>| parts.extend(text.map(|text| Part::text(name, text)));
    put("temperature", task.temperature.as_ref().map(|raw| raw.as_str()));
    let timed = !matches!(task.format, super::Format::Json | super::Format::Text);
    let segments = ["segment".to_owned()];
    let asked = if task.granularities.is_empty() && timed { &segments[..] } else { &task.granularities };
    match asked {
        [] => put("language", task.language.as_deref()),
        // Mistral takes the one or the other.
        asked => {
            asked.iter().for_each(|word| put("timestamp_granularities", Some(word)));
            if task.language.is_some() {
                losses.push(Loss::new("language", "this provider is told either the language or the times"));
            }
        }
    }
    put("stream", task.stream.then_some("true"));
    if task.prompt.is_some() {
        losses.push(Loss::new("prompt", "this provider has no place for it"));
    }
    // What is not OpenAI's is its own (`diarize`, `context_bias`).
    for (name, raw) in &task.extra {
        match OPENAIS.contains(&name.as_str()) {
            true => losses.push(Loss::new(name.clone(), "this provider has no place for it")),
            false => parts.extend(list(name, raw)),
        }
    }
    let (media_type, body) = multipart::write(&parts);
    Ok(Sent { path: "/audio/transcriptions".into(), media_type, body, losses })
}

pub(super) fn sound(task: &Task) -> Part {
    let sound = &task.sound;
    Part {
        name: "file".into(),
        file: Some(sound.name.clone()),
        media_type: Some(sound.media_type.clone()),
        data: sound.data.clone(),
    }
}

pub(super) fn lose_extra(task: &Task, losses: &mut Vec<Loss>) {
    losses.extend(task.extra.iter().map(|(name, _)| Loss::new(name.clone(), "only the caller's spelling knows it")));
}

pub(super) fn parse(body: &[u8], stamp: &Stamp) -> Option<Reply> {
    let text = json::field(body, "text").and_then(json::string)?.into_owned();
    let language = json::field(body, "language").and_then(json::string).map(|language| language.into_owned());
    let duration_ms = thousandths(body, "duration");
    let pieces = |name: &str, word: &str| {
        let list = json::field(body, name).unwrap_or(b"[]");
        json::items(list).map(|item| piece(item, word)).collect::<Option<Vec<_>>>().unwrap_or_default()
    };
    let usage = json::field(body, "usage").and_then(|span| spent::usage(span, stamp));
    let (segments, words) = (pieces("segments", "text"), pieces("words", "word"));
    Some(Reply { text, language, duration_ms, segments, words, usage })
}

pub(super) fn piece(item: &[u8], word: &str) -> Option<Piece> {
    let text = json::field(item, word).and_then(json::string)?.into_owned();
    let speaker = ["speaker", "speaker_id"].into_iter().find_map(|name| json::field(item, name).and_then(json::string));
    Some(Piece {
        text,
        start: thousandths(item, "start")?,
        end: thousandths(item, "end")?,
        speaker: speaker.map(|speaker| speaker.into_owned()),
    })
}
