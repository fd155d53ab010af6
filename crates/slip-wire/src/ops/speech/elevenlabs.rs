//! ElevenLabs (<https://elevenlabs.io/docs/api-reference/text-to-speech/stream>, 2026-11): the voice stands in the path.

use super::openai::lose_instructions;
use super::{Format, Task};
use crate::Malformed;
use crate::ops::{Sent, segment};
use serde_json::json;

pub(super) fn lower(task: &Task, model: &str) -> Result<Sent, Malformed> {
    let Some(voice) = task.voice() else {
        return Err(Malformed::new("voice", "this provider needs the id of a voice"));
    };
    let mut losses = Vec::new();
    lose_instructions(task, &mut losses);
    let format = match task.format.unwrap_or(Format::Mp3) {
        Format::Mp3 => "mp3_44100_128",
        Format::Opus => "opus_48000_64",
        Format::Wav => "wav_24000",
        Format::Pcm => "pcm_24000",
        other => {
            return Err(Malformed::new("response_format", format!("this provider does not make {}", other.name())));
        }
    };
    let mut body = json!({ "text": task.input, "model_id": model });
    if let Some(speed) = &task.speed {
        body["voice_settings"] = json!({ "speed": speed.value() });
    }
    let path = format!("/text-to-speech/{}/stream?output_format={format}", segment(&voice));
    Ok(Sent::json(path, &body, losses))
}
