//! Chat models that speak: the text is read out as the one turn of a conversation. They make bare samples, which a head turns
//! into a WAV; into nothing else without a codec.

use super::{Format, Task, format, told_whole};
use crate::ops::{Answer, unknown};
use crate::{Malformed, Stamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use slip_ir::{Block, Fault, Loss, MediaKind, Raw, Request, Role, Source, Turn};

/// What is assumed where the media type does not tell.
const RATE: u32 = 24_000;

pub fn to_chat(task: &Task, model: &str) -> Result<(Request, Vec<Loss>), Malformed> {
    if !matches!(task.format, None | Some(Format::Wav | Format::Pcm)) {
        return Err(Malformed::new("response_format", "this provider makes wav and pcm only"));
    }
    let text = match &task.instructions {
        Some(how) => format!("{how}\n\n{}", task.input),
        None => task.input.clone(),
    };
    let mut request = Request {
        model: model.to_owned(),
        turns: vec![Turn::new(Role::User, vec![Block::text(text)])],
        ..Request::default()
    };
    request.params.modalities = vec!["audio".into()];
    if let Some(voice) = task.voice() {
        request.params.audio = Raw::of(&json!({ "voice": voice, "format": "pcm16" }));
        // Gemini's own place for it, which no other dialect reads.
        let speech = json!({ "speechConfig": { "voiceConfig": { "prebuiltVoiceConfig": { "voiceName": voice } } } });
        request.extra.extend(Raw::of(&speech).map(|raw| ("generationConfig".to_owned(), raw)));
    }
    let mut losses = Vec::new();
    if task.speed.is_some() {
        losses.push(Loss::new("speed", "a chat model is not told it"));
    }
    Ok((request, losses))
}

#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub fn from_chat(task: &Task, said: &slip_ir::Reply, stamp: &Stamp) -> Result<Answer, Fault> {
    if let Some(fault) = &said.fault {
        return Err(fault.clone());
    }
    let sound = said.choices.iter().flat_map(|choice| &choice.blocks).find_map(|block| match block {
        Block::Media(media) if media.kind == MediaKind::Audio => match &media.source {
            Source::Data { mime, base64 } => Some((mime.as_str(), STANDARD.decode(base64).ok()?)),
            _ => None,
        },
        _ => None,
    });
    let Some((mime, samples)) = sound.filter(|(_, samples)| !samples.is_empty()) else {
        return Err(unknown("words where sound was asked for"));
    };
    let rate = mime.split(';').find_map(|part| part.trim().strip_prefix("rate=")?.parse().ok()).unwrap_or(RATE);
    let headed = format::sniff(&samples).filter(|format| *format == Format::Wav || !mime.contains("L16"));
    let (sound, media_type) = match (headed, task.format) {
        (Some(format), _) => (samples, format.media_type()),
        (None, Some(Format::Pcm)) => (samples, Format::Pcm.media_type()),
        (None, _) => (format::to_wav(&samples, rate), Format::Wav.media_type()),
    };
    let usage = said.usage.clone().filter(|usage| usage.total() > 0).map(|usage| {
        let untold = usage.audio_out == 0;
        slip_ir::Usage {
            audio_out: if untold { usage.output } else { usage.audio_out },
            output: if untold { 0 } else { usage.output },
            ..usage
        }
    });
    Ok(told_whole(task, sound, media_type, usage.unwrap_or_else(|| task.spent(stamp)), stamp))
}
