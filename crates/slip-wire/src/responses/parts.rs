//! Parts of messages and of tool outputs, as callers write them.

use super::annotations;
use crate::Malformed;
use crate::object::{Object, below, is_object, is_string, read};
use crate::openai_chat::media;
use serde_json::value::RawValue;
use slip_ir::{Block, Cache, Loss, Media, MediaKind, Source, Text};

/// `content` or `output`: a string or an array of parts.
pub fn content(raw: &RawValue, at: &str, losses: &mut Vec<Loss>) -> Result<Vec<Block>, Malformed> {
    if is_string(raw) {
        let text: String = read(raw, at, "a string or an array of parts")?;
        return Ok(vec![Block::text(text)]);
    }
    let parts: Vec<&RawValue> = read(raw, at, "a string or an array of parts")?;
    parts.into_iter().enumerate().map(|(n, part)| self::part(part, &format!("{at}[{n}]"), losses)).collect()
}

fn part(raw: &RawValue, at: &str, losses: &mut Vec<Loss>) -> Result<Block, Malformed> {
    let mut o = Object::parse(raw.get(), at)?;
    let kind = o.required("type", at)?;
    let cache = cache(&mut o, at)?;
    let block = match kind.as_str() {
        "input_text" | "output_text" | "text" => text(&mut o, at, cache)?,
        "refusal" => Block::Refusal(o.required("refusal", at)?),
        "input_image" | "image_url" => image(&mut o, at, cache)?,
        "input_file" | "file" => file(o.object("file", at)?.unwrap_or(std::mem::take(&mut o)), at, cache)?,
        "input_audio" => audio(&mut o, at, cache)?,
        "input_video" | "video_url" => {
            let url = address(&mut o, "video_url", at)?
                .ok_or_else(|| Malformed::new(below(at, "video_url"), "is required"))?;
            Block::Media(Media { cache, ..media::new(MediaKind::Video, media::from_url(&url)) })
        }
        _ => {
            let why = format!(
                "must be input_text, input_image, input_file or output_text, not {}",
                crate::json::shown(&kind)
            );
            return Err(Malformed::new(below(at, "type"), why));
        }
    };
    losses.extend(o.rest().map(|(name, _)| Loss::new(below(at, &name), "not a member we know")));
    Ok(block)
}

/// A breakpoint, in OpenAI's words or in those OpenRouter takes everywhere.
pub fn cache(o: &mut Object<'_>, at: &str) -> Result<Option<Cache>, Malformed> {
    let own = o.object("prompt_cache_breakpoint", at)?;
    match o.object("cache_control", at)? {
        Some(mut mark) => Ok(Some(Cache { ttl: mark.string("ttl", &below(at, "cache_control"))? })),
        None => Ok(own.map(|_| Cache::default())),
    }
}

fn text(o: &mut Object<'_>, at: &str, cache: Option<Cache>) -> Result<Block, Malformed> {
    let text = o.required("text", at)?;
    let annotations = o.array("annotations", at)?.unwrap_or_default();
    let annotations = annotations.into_iter().filter_map(annotations::read).collect();
    o.take("logprobs");
    Ok(Block::Text(Text { text, cache, annotations, signature: None }))
}

/// A URL on its own, or (as chat completions have it) in an object.
fn address(o: &mut Object<'_>, name: &str, at: &str) -> Result<Option<String>, Malformed> {
    match o.take(name) {
        Some(raw) if is_object(raw) => Object::parse(raw.get(), &below(at, name))?.string("url", &below(at, name)),
        Some(raw) => read(raw, &below(at, name), "a string").map(Some),
        None => Ok(None),
    }
}

fn image(o: &mut Object<'_>, at: &str, cache: Option<Cache>) -> Result<Block, Malformed> {
    let detail = o.string("detail", at)?;
    let source = match (address(o, "image_url", at)?, o.string("file_id", at)?) {
        (Some(url), _) => media::from_url(&url),
        (None, Some(id)) => Source::FileId(id),
        (None, None) => return Err(Malformed::new(below(at, "image_url"), "is required")),
    };
    Ok(Block::Media(Media { detail, cache, ..media::new(MediaKind::Image, source) }))
}

fn file(mut o: Object<'_>, at: &str, cache: Option<Cache>) -> Result<Block, Malformed> {
    let name = o.string("filename", at)?;
    let source = match (o.string("file_data", at)?, o.string("file_url", at)?, o.string("file_id", at)?) {
        (Some(data), ..) if data.starts_with("data:") || data.starts_with("http") => media::from_url(&data),
        (Some(base64), ..) => Source::Data { mime: media::file_mime(name.as_deref(), &base64).to_owned(), base64 },
        (None, Some(url), _) => media::from_url(&url),
        (None, None, Some(id)) => Source::FileId(id),
        (None, None, None) => return Err(Malformed::new(below(at, "file_data"), "is required")),
    };
    Ok(Block::Media(Media { name, cache, ..media::new(MediaKind::File, source) }))
}

fn audio(o: &mut Object<'_>, at: &str, cache: Option<Cache>) -> Result<Block, Malformed> {
    let inner = o.object("input_audio", at)?;
    let at = below(at, "input_audio");
    let mut inner = inner.ok_or_else(|| Malformed::new(&at, "is required"))?;
    let base64 = inner.required("data", &at)?;
    let mime = format!("audio/{}", inner.string("format", &at)?.unwrap_or_else(|| "wav".to_owned()));
    Ok(Block::Media(Media { cache, ..media::new(MediaKind::Audio, Source::Data { mime, base64 }) }))
}
