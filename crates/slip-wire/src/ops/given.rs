//! The members of a request, from JSON or from a form: the services that take files are asked in both.

use super::Body;
use super::multipart::{self, Part};
use crate::json;
use crate::{Malformed, peek};
use bytes::Bytes;
use slip_ir::Raw;

/// One member, in either spelling.
pub(crate) enum Given {
    /// A span of a JSON body.
    Json(Bytes),
    Part(Part),
}

/// The members in order, without the `[]` that forms write behind the name of a list.
pub(crate) fn members(body: Body<'_>) -> Result<Vec<(String, Given)>, Malformed> {
    if multipart::is_form(body.media_type) {
        let parts = multipart::parse(body.media_type, body.bytes)?;
        let named = |part: Part| (part.name.strip_suffix("[]").unwrap_or(&part.name).to_owned(), Given::Part(part));
        return Ok(parts.into_iter().map(named).collect());
    }
    let members = json::members(body.bytes)?;
    Ok(members.into_iter().map(|m| (m.key, Given::Json(body.bytes.slice(m.value)))).collect())
}

impl Given {
    /// As JSON: forms write numbers, flags and objects as text.
    pub fn raw(&self) -> Option<Raw> {
        let text = match self {
            Given::Json(span) => return std::str::from_utf8(span).ok().and_then(Raw::parse),
            Given::Part(part) => std::str::from_utf8(&part.data).ok()?,
        };
        let plain = |text: &str| Raw::of(text);
        match text.trim().as_bytes().first() {
            Some(b'{' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f') => Raw::parse(text).or_else(|| plain(text)),
            _ => plain(text),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Given::Json(span) if span.as_ref() == b"null")
    }

    pub fn text(&self, at: &str) -> Result<Option<String>, Malformed> {
        match self {
            Given::Json(span) => peek::text(at, span),
            Given::Part(part) => match std::str::from_utf8(&part.data) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err(Malformed::new(at, "must be text in UTF-8")),
            },
        }
    }

    pub fn whole(&self, at: &str, least: i64, most: i64) -> Result<Option<u64>, Malformed> {
        match self {
            Given::Json(span) => peek::whole(at, span, least, most),
            Given::Part(part) => peek::whole(at, part.data.trim_ascii(), least, most),
        }
    }

    pub fn flag(&self, at: &str) -> Result<Option<bool>, Malformed> {
        match self {
            Given::Json(span) => peek::flag(at, span),
            Given::Part(part) => match part.data.trim_ascii() {
                b"True" | b"1" => Ok(Some(true)),
                b"False" | b"0" => Ok(Some(false)),
                word => peek::flag(at, word),
            },
        }
    }

    /// A number as it was written.
    pub fn number(&self, at: &str) -> Result<Option<Raw>, Malformed> {
        let number = self.raw().filter(|raw| raw.as_str().starts_with(|c: char| c == '-' || c.is_ascii_digit()));
        match number {
            None if self.is_null() => Ok(None),
            None => Err(Malformed::new(at, "must be a number")),
            some => Ok(some),
        }
    }

    /// A list of texts; in a form, one of its entries.
    pub fn texts(&self, at: &str, most: usize) -> Result<Vec<String>, Malformed> {
        match self {
            Given::Json(span) if span.first() == Some(&b'[') => peek::texts(at, span, most),
            _ => Ok(self.text(at)?.into_iter().collect()),
        }
    }
}

/// Members nobody here has a word for, as fields of a form.
pub(crate) fn as_field(name: &str, raw: &Raw) -> Part {
    let text = json::string(raw.as_str().as_bytes()).map_or_else(|| raw.as_str().to_owned(), |text| text.into_owned());
    Part::text(name, text)
}
