//! OpenRouter's transcriptions: JSON, with the sound in base64.

use super::{Format, Task, openai};
use crate::Malformed;
use crate::ops::Sent;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use slip_ir::Loss;

pub(super) fn lower(task: &Task, same: bool, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut body = Map::new();
    let end = task.sound.name.rsplit_once('.').map_or("wav", |(_, end)| end).to_ascii_lowercase();
    body.insert("model".into(), model.into());
    body.insert("input_audio".into(), json!({ "data": STANDARD.encode(&task.sound.data), "format": end }));
    body.extend(task.language.iter().map(|language| ("language".to_owned(), Value::from(language.as_str()))));
    body.extend(task.temperature.iter().map(|raw| ("temperature".to_owned(), raw.value())));
    // It knows two formats; the others are made here of the second.
    if !matches!(task.format, Format::Json | Format::Text) {
        body.insert("response_format".into(), "verbose_json".into());
    }
    if !task.granularities.is_empty() {
        body.insert("timestamp_granularities".into(), json!(task.granularities));
    }
    if task.prompt.is_some() {
        losses.push(Loss::new("prompt", "this provider has no place for it"));
    }
    if same {
        body.extend(task.extra.iter().map(|(name, raw)| (name.clone(), raw.value())));
    } else {
        openai::lose_extra(task, &mut losses);
    }
    Ok(Sent::json("/audio/transcriptions", &body, losses))
}
