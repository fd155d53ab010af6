//! Pictures, documents, sounds and films: Converse names formats where others name media types, and takes bytes but no addresses.

use crate::Malformed;
use crate::object::{Object, Writer, below};
use crate::openai_chat::media::{data_url, plain_type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use slip_ir::{Loss, Media, MediaKind, Source};
use std::borrow::Cow;
use std::collections::HashSet;

/// Converse's name of a format, what it is, and its media type. The first of a media type's names is the one that is written.
const FORMATS: [(&str, MediaKind, &str); 38] = [
    ("png", MediaKind::Image, "image/png"),
    ("jpeg", MediaKind::Image, "image/jpeg"),
    ("jpeg", MediaKind::Image, "image/jpg"),
    ("gif", MediaKind::Image, "image/gif"),
    ("webp", MediaKind::Image, "image/webp"),
    ("pdf", MediaKind::File, "application/pdf"),
    ("csv", MediaKind::File, "text/csv"),
    ("doc", MediaKind::File, "application/msword"),
    ("docx", MediaKind::File, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", MediaKind::File, "application/vnd.ms-excel"),
    ("xlsx", MediaKind::File, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", MediaKind::File, "text/html"),
    ("txt", MediaKind::File, "text/plain"),
    ("md", MediaKind::File, "text/markdown"),
    ("mp4", MediaKind::Video, "video/mp4"),
    ("mov", MediaKind::Video, "video/quicktime"),
    ("mkv", MediaKind::Video, "video/x-matroska"),
    ("webm", MediaKind::Video, "video/webm"),
    ("flv", MediaKind::Video, "video/x-flv"),
    ("mpeg", MediaKind::Video, "video/mpeg"),
    ("mpg", MediaKind::Video, "video/mpg"),
    ("wmv", MediaKind::Video, "video/x-ms-wmv"),
    ("three_gp", MediaKind::Video, "video/3gpp"),
    ("mp3", MediaKind::Audio, "audio/mp3"),
    ("mp3", MediaKind::Audio, "audio/mpeg"),
    ("mpeg", MediaKind::Audio, "audio/mpeg"),
    ("wav", MediaKind::Audio, "audio/wav"),
    ("wav", MediaKind::Audio, "audio/x-wav"),
    ("aac", MediaKind::Audio, "audio/aac"),
    ("flac", MediaKind::Audio, "audio/flac"),
    ("ogg", MediaKind::Audio, "audio/ogg"),
    ("opus", MediaKind::Audio, "audio/opus"),
    ("m4a", MediaKind::Audio, "audio/m4a"),
    ("mp4", MediaKind::Audio, "audio/mp4"),
    ("mka", MediaKind::Audio, "audio/x-matroska"),
    ("mpga", MediaKind::Audio, "audio/mpga"),
    ("pcm", MediaKind::Audio, "audio/pcm"),
    ("webm", MediaKind::Audio, "audio/webm"),
];
/// Members of a document beside its source and name.
const DOCUMENT_EXTRA: [&str; 2] = ["context", "citations"];
/// The longest name a document may have.
const MAX_NAME: usize = 200;

/// The kind a block's member names.
pub fn kind_of(member: &str) -> Option<MediaKind> {
    let kinds = [
        ("image", MediaKind::Image),
        ("document", MediaKind::File),
        ("video", MediaKind::Video),
        ("audio", MediaKind::Audio),
    ];
    kinds.iter().find(|(name, _)| *name == member).map(|(_, kind)| *kind)
}

fn member_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::File => "document",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
    }
}

/// The media type of a format; one nobody knows is named as it is.
pub fn mime_of(kind: MediaKind, format: &str) -> String {
    let known =
        FORMATS.iter().find(|(name, of, _)| *name == format && *of == kind).map(|(.., mime)| (*mime).to_owned());
    known.unwrap_or_else(|| match kind {
        MediaKind::Image => format!("image/{format}"),
        MediaKind::File => "application/octet-stream".to_owned(),
        MediaKind::Video => format!("video/{format}"),
        MediaKind::Audio => format!("audio/{format}"),
    })
}

/// What stands inside an `image`, `document`, `video` or `audio`. `None` where its source is one the vocabulary cannot hold.
pub fn read(kind: MediaKind, mut o: Object<'_>, at: &str) -> Result<Option<Media>, Malformed> {
    let format = o.string("format", at)?.unwrap_or_else(|| "txt".to_owned());
    let name = o.string("name", at)?;
    let at = below(at, "source");
    let mut source = o.object("source", "")?.ok_or_else(|| Malformed::new(&at, "is required"))?;
    let source = if let Some(base64) = source.string("bytes", &at)? {
        Source::Data { mime: mime_of(kind, &format), base64 }
    } else if let Some(text) = source.string("text", &at)? {
        Source::Text(text)
    } else if let Some(mut place) = source.object("s3Location", &at)? {
        Source::Url(place.required("uri", &below(&at, "s3Location"))?)
    } else {
        return Ok(None);
    };
    Ok(Some(Media { kind, source, name, detail: None, cache: None, extra: o.rest_object() }))
}

/// Writes media, and knows which names of documents are taken.
#[derive(Default)]
pub struct Album {
    names: HashSet<String>,
}

impl Album {
    /// One block; what could not be told goes to `lose`. The kind it came to is what its bytes are, not the part it came in.
    pub fn write(&mut self, media: &Media, mut lose: impl FnMut(&str, &'static str)) -> Option<(MediaKind, Vec<u8>)> {
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            lose("image_url.detail", "not known to this dialect");
        }
        let (kind, format, source) = match placed(media) {
            Ok(placed) => placed,
            Err(why) => {
                lose(media.kind.name(), why);
                return None;
            }
        };
        let mut out = Vec::new();
        let mut block = Writer::open(&mut out);
        let mut w = Writer::open(block.key(member_of(kind)));
        w.put("format", format);
        if kind == MediaKind::File {
            w.put("name", &self.name(media.name.as_deref(), format));
        }
        let mut from = Writer::open(w.key("source"));
        match source {
            Place::Bytes(base64) => from.text("bytes", &base64),
            Place::Bucket(uri) => {
                let mut place = Writer::open(from.key("s3Location"));
                place.put("uri", uri);
                place.close();
                &mut from
            }
        };
        from.close();
        if let Some(extra) = &media.extra {
            let known: &[&str] = if kind == MediaKind::File { &DOCUMENT_EXTRA } else { &[] };
            w.known(extra, known, |name| lose(name, "not known to this dialect"));
        }
        w.close();
        block.close();
        Some((kind, out))
    }

    /// A name as Converse allows it: letters, digits, single spaces, hyphens and brackets; no ending, and no two alike.
    fn name(&mut self, given: Option<&str>, format: &str) -> String {
        let given = given.unwrap_or("document");
        let given = given.strip_suffix(format).and_then(|stem| stem.strip_suffix('.')).unwrap_or(given);
        let mut plain = String::new();
        for letter in given.chars() {
            let letter = match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '(' | ')' | '[' | ']' => letter,
                letter if letter.is_whitespace() => ' ',
                _ => '-',
            };
            if plain.len() < MAX_NAME - 8 && !(letter == ' ' && (plain.is_empty() || plain.ends_with(' '))) {
                plain.push(letter);
            }
        }
        let plain = plain.trim().trim_matches('-');
        let plain = if plain.is_empty() { "document" } else { plain };
        let mut name = plain.to_owned();
        let mut number = 1u32;
        while !self.names.insert(name.to_lowercase()) {
            number += 1;
            name = format!("{plain}-{number}");
        }
        name
    }
}

enum Place<'m> {
    Bytes(Cow<'m, str>),
    Bucket(&'m str),
}

/// What a piece of media is, by its real type, and where its bytes are; or why it cannot be sent.
fn placed(media: &Media) -> Result<(MediaKind, &'static str, Place<'_>), &'static str> {
    let (mime, place) = match &media.source {
        Source::Data { mime, base64 } => (mime.as_str(), Place::Bytes(Cow::Borrowed(base64.as_str()))),
        Source::Text(text) => ("text/plain", Place::Bytes(Cow::Owned(STANDARD.encode(text)))),
        Source::FileId(_) => return Err("there are no stored files here"),
        Source::Url(url) => match data_url(url) {
            Some((mime, base64)) => (mime, Place::Bytes(Cow::Borrowed(base64))),
            None if url.starts_with("s3://") => {
                let ending = url.rsplit_once('.').map_or("", |(_, ending)| ending);
                let same = |(name, kind, _): &&(&str, MediaKind, &str)| *kind == media.kind && *name == ending;
                let format = FORMATS.iter().find(same).map(|(name, ..)| *name);
                return Ok((media.kind, format.unwrap_or(fallback(media.kind)), Place::Bucket(url)));
            }
            None => return Err("this dialect fetches nothing by its address"),
        },
    };
    let mime = plain_type(mime);
    // A sound's media type may name the container that films have too.
    let mut known = FORMATS.iter().filter(|(.., known)| *known == mime);
    if let Some((format, kind, _)) = known.next() {
        return Ok((*kind, format, place));
    }
    match mime.split('/').next() {
        Some("text") => Ok((MediaKind::File, "txt", place)),
        _ if matches!(mime.as_str(), "application/json" | "application/xml" | "application/yaml") => {
            Ok((MediaKind::File, "txt", place))
        }
        _ => Err("a media type this dialect does not read"),
    }
}

fn fallback(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "jpeg",
        MediaKind::File => "txt",
        MediaKind::Video => "mp4",
        MediaKind::Audio => "mp3",
    }
}

/// The format and bytes of a picture the model made, where it can be told.
pub fn picture(media: &Media) -> Option<(&'static str, Cow<'_, str>)> {
    match placed(media).ok()? {
        (MediaKind::Image, format, Place::Bytes(base64)) => Some((format, base64)),
        _ => None,
    }
}

/// Say why one was lost.
pub fn lost(at: usize, what: &str, why: &'static str) -> Loss {
    Loss::new(format!("messages[{at}].{what}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: Option<&str>, mime: &str) -> Media {
        Media {
            kind: MediaKind::File,
            source: Source::Data { mime: mime.to_owned(), base64: "AAAA".to_owned() },
            name: name.map(str::to_owned),
            detail: None,
            cache: None,
            extra: None,
        }
    }

    #[test]
    fn names_of_documents_are_plain_and_no_two_are_alike() {
        let mut album = Album::default();
        let long = "x".repeat(500);
        let rows = [
            (Some("report.pdf"), "report"),
            (Some("Report.pdf"), "Report-2"),
            (Some("a  b\t(1) [x]_é.pdf"), "a b (1) [x]"),
            (Some("../.."), "document"),
            (None, "document-2"),
            (Some(""), "document-3"),
            (Some(long.as_str()), &long[..MAX_NAME - 8]),
        ];
        for (given, want) in rows {
            assert_eq!(album.name(given, "pdf"), want, "{given:?}");
        }
    }

    #[test]
    fn media_becomes_what_its_bytes_are() {
        let image = |url: &str| Media { kind: MediaKind::Image, source: Source::Url(url.to_owned()), ..file(None, "") };
        let rows = [
            (
                file(None, "image/png"),
                Some((MediaKind::Image, r#"{"image":{"format":"png","source":{"bytes":"AAAA"}}}"#)),
            ),
            (
                file(Some("a.csv"), "text/csv; charset=utf-8"),
                Some((MediaKind::File, r#"{"document":{"format":"csv","name":"a","source":{"bytes":"AAAA"}}}"#)),
            ),
            (
                image("data:image/jpg;base64,QQ=="),
                Some((MediaKind::Image, r#"{"image":{"format":"jpeg","source":{"bytes":"QQ=="}}}"#)),
            ),
            (
                image("s3://bucket/a.webp"),
                Some((
                    MediaKind::Image,
                    r#"{"image":{"format":"webp","source":{"s3Location":{"uri":"s3://bucket/a.webp"}}}}"#,
                )),
            ),
            (image("https://example.com/a.png"), None),
            (file(None, "application/zip"), None),
        ];
        for (media, want) in rows {
            let mut lost = 0;
            let got = Album::default().write(&media, |_, _| lost += 1);
            let got = got.map(|(kind, json)| (kind, String::from_utf8(json).unwrap()));
            assert_eq!(got, want.map(|(kind, json)| (kind, json.to_owned())), "{media:?}");
            assert_eq!(lost, usize::from(want.is_none()), "{media:?}");
        }
    }
}
