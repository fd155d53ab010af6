//! A request as OpenAI's clients send it, a form with a file, or as OpenRouter's do, JSON with the sound in base64.

use super::{Format, MAX_FILE, Sound, Task};
use crate::ops::Body;
use crate::ops::given::{Given, members};
use crate::ops::multipart::Part;
use crate::{Malformed, house, json};
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn read(body: Body<'_>, english: bool) -> Result<Task, Malformed> {
    let mut task = Task { english, ..Task::default() };
    for (name, given) in members(body)? {
        let at = name.as_str();
        match at {
            "model" => {}
            "file" => match &given {
                Given::Part(part) => task.sound = file(at, part)?,
                Given::Json(_) => {
                    return Err(Malformed::new(at, "must be a file of a form; in JSON it is `input_audio`"));
                }
            },
            "input_audio" => task.sound = inline(at, &given)?,
            "language" => task.language = given.text(at)?.filter(|language| !language.is_empty()),
            "prompt" => task.prompt = given.text(at)?.filter(|prompt| !prompt.is_empty()),
            "response_format" => {
                if let Some(name) = given.text(at)? {
                    let names = Format::ALL.map(Format::name).join(", ");
                    let why = || format!("must be one of {names}, not {}", json::shown(&name));
                    task.format = Format::parse(&name).ok_or_else(|| Malformed::new(at, why()))?;
                }
            }
            "temperature" => task.temperature = given.number(at)?,
            "timestamp_granularities" => task.granularities.extend(given.texts(at, 4)?),
            "stream" => task.stream = given.flag(at)?.unwrap_or(false),
            name if house::is_ours(name) => {}
            _ if given.is_null() => {}
            _ => task.extra.extend(given.raw().map(|raw| (name.clone(), raw))),
        }
    }
    Ok(task)
}

fn file(at: &str, part: &Part) -> Result<Sound, Malformed> {
    if part.file.is_none() && part.media_type.is_none() {
        return Err(Malformed::new(at, "must be a file"));
    }
    if part.data.len() as u64 > MAX_FILE {
        return Err(Malformed::new(at, "is larger than 25 MB, the most that is heard at once"));
    }
    let name = part.file.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| "audio.wav".to_owned());
    let told = part.media_type.clone().filter(|kind| kind.starts_with("audio/") || kind.starts_with("video/"));
    let media_type = told.unwrap_or_else(|| media_type(name.rsplit_once('.').map_or("", |(_, end)| end)).to_owned());
    Ok(Sound { data: part.data.clone(), name, media_type })
}

fn inline(at: &str, given: &Given) -> Result<Sound, Malformed> {
    let raw = given.raw().ok_or_else(|| Malformed::new(at, "must be an object"))?;
    let text = |name: &str| json::field(raw.as_str().as_bytes(), name).and_then(json::string);
    let data = text("data").ok_or_else(|| Malformed::new(format!("{at}.data"), "must be sound in base64"))?;
    let data = data.split_once(";base64,").map_or(&*data, |(_, data)| data);
    let bytes = LENIENT.decode(data).map_err(|_| Malformed::new(format!("{at}.data"), "is not base64"))?;
    let format = text("format").unwrap_or_else(|| "wav".into());
    if format.is_empty() || !format.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Malformed::new(format!("{at}.format"), "must be a format such as wav or mp3"));
    }
    let media_type = media_type(&format).to_owned();
    Ok(Sound { data: Bytes::from(bytes), name: format!("audio.{format}"), media_type })
}

/// The media type of a file's ending, or of a format's name.
fn media_type(format: &str) -> &'static str {
    match format.to_ascii_lowercase().as_str() {
        "mp3" | "mpga" | "mpeg" => "audio/mpeg",
        "mp4" | "m4a" => "audio/mp4",
        "flac" => "audio/flac",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "webm" => "audio/webm",
        "aac" => "audio/aac",
        "aiff" => "audio/aiff",
        "wav" => "audio/wav",
        _ => "application/octet-stream",
    }
}
