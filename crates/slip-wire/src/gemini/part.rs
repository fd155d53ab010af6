//! One part of a content: what requests and replies are made of.

use super::tree::{self, Members, Node};
use crate::dialect::Malformed;
use crate::openai_chat::media::data_url;
use serde_json::value::RawValue;
use slip_ir::{Media, MediaKind, Raw, Source, ToolCall};
use std::borrow::Cow;

/// A part as it was read.
#[derive(Debug)]
pub(super) enum Part {
    Text {
        text: String,
        thought: bool,
        signature: Option<String>,
    },
    Call(ToolCall),
    Result(Answer),
    Media(Media),
    /// Code execution, server tools, and whatever comes next.
    Opaque(Raw),
    Empty,
}

/// `functionResponse`.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON text of the response object.
    pub(super) response: String,
    pub(super) media: Vec<Media>,
}

/// Members of a media part that belong to it and not to its bytes.
const MEDIA_EXTRA: [&str; 3] = ["videoMetadata", "mediaResolution", "thoughtSignature"];

pub(super) fn read(raw: &RawValue, at: &str) -> Result<Part, Malformed> {
    let m = Members::need(raw, at)?;
    let signature = m.string("thoughtSignature", at)?.filter(|s| !s.is_empty());
    let thought = m.bool("thought", at)?.unwrap_or(false);
    if let Some(text) = m.string("text", at)? {
        return Ok(Part::Text { text, thought, signature });
    }
    if let Some(call) = m.object("functionCall", at)? {
        let at = format!("{at}.functionCall");
        let name = call.string("name", &at)?.ok_or_else(|| tree::wrong(&at, "name", "is required"))?;
        let id = call.string("id", &at)?.unwrap_or_default();
        let arguments = call.get("args").map_or_else(|| "{}".to_owned(), |args| tree::compact(args.get()));
        return Ok(Part::Call(ToolCall { id, name, arguments, signature, extra: None, cache: None }));
    }
    if let Some(answer) = m.object("functionResponse", at)? {
        return read_answer(&answer, &format!("{at}.functionResponse"));
    }
    // A picture among the thoughts is not output.
    if !thought && let Some(media) = read_media(&m, at)? {
        return Ok(Part::Media(media));
    }
    if m.iter().all(|(key, _)| matches!(key, "thought" | "thoughtSignature")) {
        let bare = |signature| Part::Text { text: String::new(), thought, signature: Some(signature) };
        return Ok(signature.map_or(Part::Empty, bare));
    }
    Ok(tree::keep(raw).map_or(Part::Empty, Part::Opaque))
}

fn read_answer(m: &Members<'_>, at: &str) -> Result<Part, Malformed> {
    let name = m.string("name", at)?.ok_or_else(|| tree::wrong(at, "name", "is required"))?;
    let mut media = Vec::new();
    for (index, raw) in m.list("parts", at)?.into_iter().enumerate() {
        let at = format!("{at}.parts[{index}]");
        let part = Members::need(raw, &at)?;
        media.extend(read_media(&part, &at)?);
    }
    let response = m.get("response").map_or_else(|| "{}".to_owned(), |raw| tree::compact(raw.get()));
    Ok(Part::Result(Answer { id: m.string("id", at)?.unwrap_or_default(), name, response, media }))
}

/// `inlineData` or `fileData`.
fn read_media(m: &Members<'_>, at: &str) -> Result<Option<Media>, Malformed> {
    let mut extra: Vec<(Cow<'_, str>, Node<'_>)> = Vec::new();
    for name in MEDIA_EXTRA {
        if let Some(raw) = m.get(name).and_then(tree::keep) {
            extra.push((name.into(), raw.into()));
        }
    }
    let (kind, source, name) = if let Some(blob) = m.object("inlineData", at)? {
        let at = format!("{at}.inlineData");
        let mime = blob.string("mimeType", &at)?.ok_or_else(|| tree::wrong(&at, "mimeType", "is required"))?;
        let base64 = blob.string("data", &at)?.ok_or_else(|| tree::wrong(&at, "data", "is required"))?;
        (kind_of(&mime), Source::Data { mime, base64 }, blob.string("displayName", &at)?)
    } else if let Some(file) = m.object("fileData", at)? {
        let at = format!("{at}.fileData");
        let uri = file.string("fileUri", &at)?.ok_or_else(|| tree::wrong(&at, "fileUri", "is required"))?;
        let mime = file.string("mimeType", &at)?;
        let kind = match &mime {
            Some(mime) => kind_of(mime),
            None if is_video_site(&uri) => MediaKind::Video,
            None => mime_of(&uri).map_or(MediaKind::File, kind_of),
        };
        // Kept only where it could not be told from the address again.
        if let Some(mime) = mime.filter(|mime| link_mime(kind, &uri) != Some(mime)) {
            extra.push(("mimeType".into(), mime.into()));
        }
        (kind, Source::Url(uri), file.string("displayName", &at)?)
    } else {
        return Ok(None);
    };
    let extra = if extra.is_empty() { None } else { Node::Object(extra).to_raw() };
    Ok(Some(Media { kind, source, name, detail: None, cache: None, extra }))
}

pub(super) fn kind_of(mime: &str) -> MediaKind {
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

/// Google reads YouTube addresses as video, without being told a type.
pub(super) fn is_video_site(uri: &str) -> bool {
    let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://")).unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    matches!(host, "youtu.be" | "youtube.com" | "www.youtube.com" | "m.youtube.com")
}

const EXTENSIONS: [(&str, &str); 27] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("bmp", "image/bmp"),
    ("svg", "image/svg+xml"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mpeg", "video/mpeg"),
    ("avi", "video/x-msvideo"),
    ("pdf", "application/pdf"),
    ("json", "application/json"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("xml", "text/xml"),
];

fn mime_of(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    EXTENSIONS.iter().find(|(e, _)| e.eq_ignore_ascii_case(extension)).map(|(_, mime)| *mime)
}

/// The type to give with a link: by its extension, else the commonest of its kind.
pub(super) fn link_mime(kind: MediaKind, uri: &str) -> Option<&'static str> {
    if is_video_site(uri) {
        return None;
    }
    Some(mime_of(uri).filter(|mime| kind_of(mime) == kind).unwrap_or(match kind {
        MediaKind::Image => "image/jpeg",
        MediaKind::Audio => "audio/mpeg",
        MediaKind::Video => "video/mp4",
        MediaKind::File => "application/pdf",
    }))
}

/// A media part to write. Gives the part and the names of what had no place in it.
pub(super) fn write_media(media: &Media) -> (Option<Node<'_>>, Vec<&'static str>) {
    use base64::Engine;
    let mut lost = Vec::new();
    let extra = media.extra.as_ref().and_then(|raw| Node::parse(raw.as_str()));
    let text_of = |name: &str| extra.as_ref().and_then(|e| e.get(name)).and_then(Node::as_str).map(str::to_owned);
    let mut node = match &media.source {
        Source::Data { mime, base64 } => inline(mime.as_str(), base64.as_str()),
        Source::Text(text) => {
            let data = base64::engine::general_purpose::STANDARD.encode(text);
            inline("text/plain", data)
        }
        Source::Url(uri) => match data_url(uri) {
            Some((mime, data)) => inline(mime, data),
            None => link(media.kind, uri.as_str().into(), text_of("mimeType")),
        },
        // The name of a file at Google; ids of other stores mean nothing to it.
        Source::FileId(id) if id.starts_with("files/") => {
            let uri = format!("https://generativelanguage.googleapis.com/v1beta/{id}");
            link(media.kind, uri.into(), text_of("mimeType"))
        }
        Source::FileId(_) => return (None, vec!["file_id"]),
    };
    if media.name.is_some() {
        lost.push("filename");
    }
    if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
        lost.push("detail");
    }
    if media.cache.is_some() {
        lost.push("cache_control");
    }
    if let Some(Node::Object(members)) = extra {
        for (key, value) in members {
            match &*key {
                name if MEDIA_EXTRA.contains(&name) => node.set(key, value),
                "mimeType" => {}
                _ if lost.contains(&"extra") => {}
                _ => lost.push("extra"),
            }
        }
    }
    (Some(node), lost)
}

fn inline<'a>(mime: impl Into<Node<'a>>, data: impl Into<Node<'a>>) -> Node<'a> {
    Node::object([("inlineData", Node::object([("mimeType", mime.into()), ("data", data.into())]))])
}

fn link<'a>(kind: MediaKind, uri: Cow<'a, str>, mime: Option<String>) -> Node<'a> {
    let mime = mime.or_else(|| link_mime(kind, &uri).map(str::to_owned));
    let mut file = Node::object([("fileUri", Node::Str(uri))]);
    if let Some(mime) = mime {
        file.set("mimeType", mime);
    }
    Node::object([("fileData", file)])
}

/// `functionCall`. `args` must be JSON text of an object.
pub(super) fn write_call<'a>(id: &'a str, name: &'a str, args: Node<'a>, signature: Option<&'a str>) -> Node<'a> {
    let mut call = Node::object([("name", name.into()), ("args", args)]);
    if !id.is_empty() {
        call.set("id", id);
    }
    let mut node = Node::object([("functionCall", call)]);
    if let Some(signature) = signature {
        node.set("thoughtSignature", signature);
    }
    node
}

/// JSON text as an object, when it is one.
pub(super) fn as_object(text: &str) -> Option<Raw> {
    text.trim_ascii_start().starts_with('{').then(|| Raw::parse(text))?
}

pub(super) fn write_text<'a>(text: &'a str, thought: bool, signature: Option<&'a str>) -> Node<'a> {
    let mut node = Node::object([("text", text.into())]);
    if thought {
        node.set("thought", true);
    }
    if let Some(signature) = signature {
        node.set("thoughtSignature", signature);
    }
    node
}
