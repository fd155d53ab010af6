//! `/audio/speech`, `/audio/transcriptions` and `/audio/translations`.

use super::{Fields, Kind, Made, sound};
use crate::http::Incoming;
use crate::sim::ask::Refusal;
use crate::sim::tokens;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;

/// A piece of sound that is sent at once.
const PIECE: usize = 4800;
/// OpenAI's limit.
const MOST: usize = 4096;

pub(super) fn say(request: &Incoming) -> Result<Made, Refusal> {
    let fields = Fields::of(request)?;
    fields.only(&["model", "input", "voice", "response_format", "speed", "instructions", "stream_format"])?;
    let (model, input) = (fields.needed("model")?, fields.needed("input")?);
    fields.needed("voice")?;
    if input.chars().count() > MOST {
        return Err(Refusal::invalid(format!("Invalid 'input': string too long, at most {MOST}.")).at("input"));
    }
    let (media_type, sound) = match fields.text("response_format").as_deref() {
        None | Some("mp3") => ("audio/mpeg", sound::mp3(&input)),
        Some("wav") => ("audio/wav", sound::wav(&input)),
        Some("pcm") => ("audio/pcm", sound::samples(&input)),
        Some(_) => {
            return Err(Refusal::invalid("This simulated voice makes mp3, wav and pcm.").at("response_format"));
        }
    };
    let sound = Bytes::from(sound);
    let mut pieces: Vec<Bytes> =
        (0..sound.len().div_ceil(PIECE)).map(|at| sound.slice(at * PIECE..sound.len().min((at + 1) * PIECE))).collect();
    if fields.text("stream_format").as_deref() == Some("sse") {
        let event = |piece: &Bytes| {
            let body = json!({ "type": "speech.audio.delta", "audio": STANDARD.encode(piece) });
            Bytes::from(format!("data: {body}\n\n"))
        };
        let (spoken, heard) = (tokens::count(&input), pieces.len() as u64 * 2);
        let usage = json!({ "input_tokens": spoken, "output_tokens": heard, "total_tokens": spoken + heard });
        let done = json!({ "type": "speech.audio.done", "usage": usage });
        pieces = pieces.iter().map(event).chain([Bytes::from(format!("data: {done}\n\n"))]).collect();
        return Ok(Made {
            model,
            text: input,
            kind: Kind::Flow { media_type: "text/event-stream; charset=utf-8", pieces },
        });
    }
    Ok(Made { model, text: input, kind: Kind::Flow { media_type, pieces } })
}

pub(super) fn hear(request: &Incoming, english: bool) -> Result<Made, Refusal> {
    let fields = Fields::of(request)?;
    let known = [
        "file",
        "model",
        "language",
        "prompt",
        "response_format",
        "temperature",
        "timestamp_granularities[]",
        "stream",
    ];
    fields.only(&known)?;
    let model = fields.needed("model")?;
    let file = fields.files(&["file"]).next();
    let file = file.ok_or_else(|| Refusal::invalid("Missing required parameter: 'file'.").at("file"))?;
    let Some((said, seconds)) = sound::heard(file) else {
        return Err(Refusal::invalid("The audio file could not be decoded or its format is not supported.").at("file"));
    };
    let text = if english { format!("in English: {said}") } else { said };
    let language = fields.text("language").unwrap_or_else(|| "english".to_owned());
    let whole = |body| Ok(Made { model: model.clone(), text: text.clone(), kind: Kind::Whole(body) });
    let flow = |media_type, text: String| {
        Ok(Made {
            model: model.clone(),
            text: text.clone(),
            kind: Kind::Flow { media_type, pieces: vec![text.into()] },
        })
    };
    // Whole seconds, begun ones included.
    let usage = json!({ "type": "duration", "seconds": seconds.ceil() });
    if fields.text("stream").as_deref() == Some("true") {
        let mut pieces: Vec<Bytes> = tokens::split(&text)
            .iter()
            .map(|piece| {
                let body = json!({ "type": "transcript.text.delta", "delta": piece });
                Bytes::from(format!("data: {body}\n\n"))
            })
            .collect();
        let done = json!({ "type": "transcript.text.done", "text": text, "usage": usage });
        pieces.push(format!("data: {done}\n\n").into());
        return Ok(Made { model, text, kind: Kind::Flow { media_type: "text/event-stream; charset=utf-8", pieces } });
    }
    let clock = |comma: char| {
        let ms = (seconds * 1000.0) as u64;
        format!("{:02}:{:02}:{:02}{comma}{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
    };
    match fields.text("response_format").as_deref() {
        None | Some("json") => whole(json!({ "text": text, "usage": usage })),
        Some("verbose_json") => {
            let segment = json!({ "id": 0, "seek": 0, "start": 0.0, "end": seconds, "text": text, "tokens": [], "temperature": 0.0 });
            whole(json!({
                "task": if english { "translate" } else { "transcribe" },
                "language": language, "duration": seconds, "text": text, "segments": [segment], "usage": usage,
            }))
        }
        Some("text") => flow("text/plain; charset=utf-8", format!("{text}\n")),
        Some("srt") => flow("text/plain; charset=utf-8", format!("1\n00:00:00,000 --> {}\n{text}\n\n", clock(','))),
        Some("vtt") => flow("text/vtt", format!("WEBVTT\n\n00:00:00.000 --> {}\n{text}\n\n", clock('.'))),
        Some(other) => Err(Refusal::invalid(format!("Invalid response_format: '{other}'.")).at("response_format")),
    }
}
