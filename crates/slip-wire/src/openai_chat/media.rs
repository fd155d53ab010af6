//! Pictures, sound and files: data URLs, audio formats and guesses at a missing type.

use slip_ir::{Media, MediaKind, Source};

/// Type and data of `data:<type>;base64,<data>`.
pub(crate) fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// `text/plain` of `Text/Plain; charset=utf-8`.
pub(crate) fn plain_type(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A URL as a source: `data:` URLs in base64 are taken apart, everything else stays a URL.
pub(crate) fn from_url(url: &str) -> Source {
    match data_url(url) {
        Some((mime, base64)) => {
            let mime = if mime.is_empty() { sniff(base64).unwrap_or(OCTETS) } else { mime };
            Source::Data { mime: mime.to_owned(), base64: base64.to_owned() }
        }
        None => Source::Url(url.to_owned()),
    }
}

/// The source as one URL, where it has one.
pub(crate) fn to_url(source: &Source) -> Option<String> {
    match source {
        Source::Url(url) => Some(url.clone()),
        Source::Data { mime, base64 } => Some(format!("data:{mime};base64,{base64}")),
        Source::Text(_) | Source::FileId(_) => None,
    }
}

pub(crate) fn new(kind: MediaKind, source: Source) -> Media {
    Media { kind, source, name: None, detail: None, cache: None, extra: None }
}

const OCTETS: &str = "application/octet-stream";

/// What the first bytes of a file say about it, in base64.
pub(crate) fn sniff(base64: &str) -> Option<&'static str> {
    let table = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("JVBERi0", "application/pdf"),
        ("T2dnUw", "audio/ogg"),
        ("ZkxhQ", "audio/flac"),
        ("SUQz", "audio/mp3"),
        ("//uQ", "audio/mp3"),
        ("//vQ", "audio/mp3"),
        ("//Pk", "audio/mp3"),
    ];
    // RIFF holds both sound and pictures; the type stands at byte 8, which is character 11.
    if base64.starts_with("UklGR") {
        let tail = base64.get(8..16).unwrap_or_default();
        return Some(if tail.contains("XRUJQ") || tail.contains("V0VCU") { "image/webp" } else { "audio/wav" });
    }
    table.iter().find(|(start, _)| base64.starts_with(start)).map(|(_, mime)| *mime)
}

/// A file whose type was not given: by its name, then by its first bytes.
pub(crate) fn file_mime(name: Option<&str>, base64: &str) -> &'static str {
    let extension = name.and_then(|n| n.rsplit_once('.')).map(|(_, e)| e.to_ascii_lowercase());
    match extension.as_deref() {
        Some("pdf") => "application/pdf",
        Some("txt") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => sniff(base64).unwrap_or(OCTETS),
    }
}

/// OpenAI's word for an audio type: `audio/mpeg` is `mp3`.
pub(crate) fn audio_format(mime: &str) -> &str {
    let kind = mime.split(';').next().unwrap_or(mime).trim();
    match kind.strip_prefix("audio/").unwrap_or(kind) {
        "mpeg" | "mpga" => "mp3",
        "x-wav" | "wave" | "vnd.wave" => "wav",
        "mp4" | "x-m4a" => "m4a",
        "x-flac" => "flac",
        "x-aiff" => "aiff",
        other => other,
    }
}
