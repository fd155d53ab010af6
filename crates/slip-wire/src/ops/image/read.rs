//! A request for pictures as OpenAI's and OpenRouter's clients write it: JSON or a form, with the members of both.

use super::{MAX_N, MAX_PICTURES, Picture, Task};
use crate::ops::Body;
use crate::ops::given::{Given, members};
use crate::ops::multipart::{Part, is_form};
use crate::{Malformed, house, json};

pub(super) fn read(body: Body<'_>) -> Result<Task, Malformed> {
    let mut task = Task { form: is_form(body.media_type), ..Task::default() };
    for (name, given) in members(body)? {
        let at = name.as_str();
        match at {
            "model" => {}
            "prompt" => task.prompt = given.text(at)?.unwrap_or_default(),
            "n" => task.n = given.whole(at, 1, MAX_N)?,
            "size" => task.size = given.text(at)?,
            "resolution" => task.resolution = given.text(at)?,
            "aspect_ratio" => task.aspect_ratio = given.text(at)?,
            "quality" => task.quality = given.text(at)?,
            "background" => task.background = given.text(at)?,
            "output_format" => task.output_format = given.text(at)?,
            "output_compression" => task.output_compression = given.whole(at, 0, 100)?,
            "seed" => task.seed = given.whole(at, 0, i64::MAX)?,
            "response_format" => task.response_format = given.text(at)?,
            "stream" => task.stream = given.flag(at)?.unwrap_or(false),
            "partial_images" => task.partial_images = given.whole(at, 0, 3)?,
            "user" => task.user = given.text(at)?,
            "image" | "images" | "input_references" => pictures(at, &given, &mut task.pictures)?,
            "mask" => task.mask = one(at, &given)?,
            name if house::is_ours(name) => {}
            _ if given.is_null() => {}
            _ => task.extra.extend(given.raw().map(|raw| (name.clone(), raw))),
        }
    }
    Ok(task)
}

fn pictures(at: &str, given: &Given, into: &mut Vec<Picture>) -> Result<(), Malformed> {
    let Given::Json(span) = given else {
        into.extend(one(at, given)?);
        return Ok(());
    };
    if span.first() != Some(&b'[') {
        into.extend(one(at, given)?);
        return Ok(());
    }
    for (i, item) in json::items(span).enumerate() {
        if i > MAX_PICTURES {
            break;
        }
        into.push(shown(&format!("{at}[{i}]"), item)?);
    }
    Ok(())
}

fn one(at: &str, given: &Given) -> Result<Option<Picture>, Malformed> {
    match given {
        Given::Json(span) if span.as_ref() == b"null" => Ok(None),
        Given::Json(span) => shown(at, span).map(Some),
        Given::Part(part) => file(at, part).map(Some),
    }
}

fn file(at: &str, part: &Part) -> Result<Picture, Malformed> {
    if part.data.is_empty() {
        return Err(Malformed::new(at, "the file is empty"));
    }
    if part.file.is_none() && part.media_type.is_none() {
        // Some servers take the address of a picture where others take the file.
        return match std::str::from_utf8(&part.data) {
            Ok(url) if is_url(url) => Ok(Picture::Url(url.to_owned())),
            _ => Err(Malformed::new(at, "must be a file")),
        };
    }
    let told = part.media_type.as_deref().filter(|kind| *kind != "application/octet-stream");
    let media_type = told.or_else(|| sniff(&part.data)).unwrap_or("image/png").to_owned();
    let name = part.file.clone().unwrap_or_else(|| "image.png".to_owned());
    Ok(Picture::File { data: part.data.clone(), media_type, name })
}

/// A string, `{"image_url": …}`, `{"file_id": …}`, or a part of a chat.
fn shown(at: &str, span: &[u8]) -> Result<Picture, Malformed> {
    let url = |span: &[u8]| json::string(span).map(|url| url.into_owned());
    let of_object = |span: &[u8]| {
        let image = json::field(span, "image_url")?;
        url(image).or_else(|| json::field(image, "url").and_then(url))
    };
    if let Some(url) = url(span).or_else(|| of_object(span)) {
        return if is_url(&url) {
            Ok(Picture::Url(url))
        } else {
            Err(Malformed::new(at, "must be an http(s) or data URL"))
        };
    }
    match json::field(span, "file_id").and_then(url) {
        Some(id) => Ok(Picture::FileId(id)),
        None => Err(Malformed::new(at, "must be a picture: `{\"image_url\": …}`")),
    }
}

fn is_url(text: &str) -> bool {
    ["https://", "http://", "data:"].iter().any(|scheme| text.starts_with(scheme))
}

/// What the first bytes of a file say about it.
pub(super) fn sniff(data: &[u8]) -> Option<&'static str> {
    let table: [(&[u8], &str); 4] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"<svg", "image/svg+xml"),
    ];
    if data.starts_with(b"RIFF") && data.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    table.iter().find(|(start, _)| data.starts_with(start)).map(|(_, kind)| *kind)
}
