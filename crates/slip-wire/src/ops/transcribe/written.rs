//! What was heard as callers read it, whole or as the stream they asked for.

use super::{Format, Piece, Reply, Task, cues, spent};
use crate::ops::{Answer, told};
use crate::{Stamp, dialect::put_event, json};
use bytes::BytesMut;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use slip_ir::Usage;

pub(super) fn answer(task: &Task, reply: &Reply, spent: Usage, stamp: &Stamp) -> Answer {
    let usage = spent::spelt(None, &spent, stamp);
    if task.stream {
        let mut out = BytesMut::new();
        if !reply.text.is_empty() {
            let delta = json!({ "type": "transcript.text.delta", "delta": reply.text });
            put_event(Some("transcript.text.delta"), delta.to_string().as_bytes(), &mut out);
        }
        let done = json!({ "type": "transcript.text.done", "text": reply.text }).to_string();
        put_event(Some("transcript.text.done"), &told::with_usage(done.as_bytes(), &usage), &mut out);
        return Answer::bytes("text/event-stream", out.to_vec(), spent);
    }
    let plain = |text: String| Answer::bytes("text/plain; charset=utf-8", text.into_bytes(), spent.clone());
    match task.format {
        Format::Text => plain(format!("{}\n", reply.text.trim())),
        Format::Srt => plain(cues::write(reply, Format::Srt)),
        Format::Vtt => {
            Answer::bytes("text/vtt; charset=utf-8", cues::write(reply, Format::Vtt).into_bytes(), spent.clone())
        }
        Format::Json => whole(json!({ "text": reply.text }), &usage, spent),
        Format::VerboseJson | Format::DiarizedJson => whole(verbose(task, reply), &usage, spent),
    }
}

fn whole(body: Value, usage: &RawValue, spent: Usage) -> Answer {
    Answer::bytes("application/json", told::with_usage(body.to_string().as_bytes(), usage), spent)
}

fn verbose(task: &Task, reply: &Reply) -> Value {
    let number = |ms: u64| serde_json::from_str::<Value>(&spent::seconds(ms)).unwrap_or_default();
    let mut body = Map::new();
    body.insert("task".into(), if task.english { "translate" } else { "transcribe" }.into());
    body.insert("language".into(), reply.language.clone().or_else(|| task.language.clone()).into());
    let last = reply.segments.last().or(reply.words.last()).map(|last| last.end);
    body.insert("duration".into(), number(reply.duration_ms.or(last).unwrap_or(0)));
    body.insert("text".into(), reply.text.as_str().into());
    let piece = |at: usize, piece: &Piece, word: &str| {
        let mut item = json!({ word: piece.text, "start": number(piece.start), "end": number(piece.end) });
        if word == "text" {
            item["id"] = at.into();
        }
        if let Some(speaker) = &piece.speaker {
            item["speaker"] = speaker.as_str().into();
        }
        item
    };
    let list = |pieces: &[Piece], word: &str| -> Value {
        pieces.iter().enumerate().map(|(at, one)| piece(at, one, word)).collect()
    };
    let wants = |word: &str| task.granularities.iter().any(|told| told == word);
    if !reply.segments.is_empty() {
        body.insert("segments".into(), list(&reply.segments, "text"));
    }
    if !reply.words.is_empty() && (wants("word") || reply.segments.is_empty()) {
        body.insert("words".into(), list(&reply.words, "word"));
    }
    Value::Object(body)
}

/// One event of the provider's, with the price in its usage. Mistral's are named otherwise.
pub(in crate::ops) fn event(
    kind: &str,
    name: Option<&str>,
    data: &[u8],
    spent: Option<&Usage>,
    stamp: &Stamp,
    out: &mut BytesMut,
) {
    let (kind, data) = respelt(kind, data);
    let name = name.map(|_| kind);
    match spent {
        Some(spent) => {
            let usage = spent::spelt(json::field(&data, "usage"), spent, stamp);
            put_event(name, &told::with_usage(&data, &usage), out);
        }
        None => put_event(name, &data, out),
    }
}

/// `transcription.text.delta` with `text` is OpenAI's `transcript.text.delta` with `delta`.
fn respelt<'a>(kind: &'a str, data: &'a [u8]) -> (&'a str, std::borrow::Cow<'a, [u8]>) {
    let known = match kind {
        "transcription.text.delta" => Some(("transcript.text.delta", "delta")),
        "transcription.done" => Some(("transcript.text.done", "text")),
        _ => None,
    };
    let Some((kind, member)) = known else { return (kind, data.into()) };
    let text = json::field(data, "text").unwrap_or(b"\"\"");
    let mut out = format!("{{\"type\":\"{kind}\",\"{member}\":").into_bytes();
    out.extend_from_slice(text);
    if let Some(usage) = json::field(data, "usage") {
        out.extend_from_slice(b",\"usage\":");
        out.extend_from_slice(usage);
    }
    out.push(b'}');
    (kind, out.into())
}
