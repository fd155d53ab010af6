//! The shapes a streamed event has, and what can be read off them alone.

use crate::object::{Object, Writer, to_raw};
use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;
use slip_ir::Raw;

/// One event as it stands on the wire.
#[derive(Deserialize)]
pub struct Wire<'a> {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub index: Option<u64>,
    #[serde(borrow)]
    pub message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    pub delta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// What a delta may carry. One shape for all kinds: imitators leave out `type`.
#[derive(Deserialize)]
pub struct Delta<'a> {
    pub text: Option<String>,
    pub thinking: Option<String>,
    pub signature: Option<String>,
    pub partial_json: Option<String>,
    #[serde(borrow)]
    pub citation: Option<&'a RawValue>,
    #[serde(borrow)]
    pub content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub encrypted_content: Option<&'a RawValue>,
}

/// Why a refused request was refused, where the upstream says so.
pub fn explanation(of: &mut Object<'_>, stop_reason: Option<&str>) -> Option<String> {
    let mut details = of.object("stop_details", "").ok().flatten()?;
    if stop_reason != Some("refusal") {
        return None;
    }
    details.string("explanation", "").ok().flatten().filter(|text| !text.is_empty())
}

pub fn is_empty(object: &RawValue) -> bool {
    Object::parse(object.get(), "").is_ok_and(|o| o.all().next().is_none())
}

/// An opaque block with what its deltas said put in its place.
pub fn whole(raw: Raw, input: &str, replaced: &[(&'static str, Raw)]) -> Raw {
    let input = Raw::parse(input).filter(|raw| raw.as_str().trim_start().starts_with('{'));
    if input.is_none() && replaced.is_empty() {
        return raw;
    }
    let mut out = Vec::new();
    let Ok(mut members) = Object::parse(raw.as_str(), "") else { return raw };
    let mut w = Writer::open(&mut out);
    w.put_some("type", &members.take("type"));
    if let Some(input) = &input {
        members.take("input");
        w.raw("input", input.as_str());
    }
    for (name, value) in replaced {
        members.take(name);
        w.raw(name, value.as_str());
    }
    for (name, value) in members.all() {
        w.raw(&name, value.get());
    }
    w.close();
    to_raw(out).unwrap_or(raw)
}

/// One event, in one line of data whatever the raw values inside look like.
pub fn frame(name: &str, payload: &mut [u8], out: &mut BytesMut) {
    // Line breaks can only stand between the tokens of raw values; there they mean nothing, here they would end the line.
    for byte in payload.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    for part in [b"event: ", name.as_bytes(), b"\ndata: ", payload, b"\n\n"] {
        out.extend_from_slice(part);
    }
}

/// A server tool's call with its input taken out.
pub fn without_input(raw: &Raw) -> Option<(Raw, Option<Raw>)> {
    let mut members = Object::parse(raw.as_str(), "").ok()?;
    let kind = members.take("type")?;
    if !kind.get().ends_with("_tool_use\"") {
        return None;
    }
    let input = members.take("input").and_then(|raw| Raw::parse(raw.get()))?;
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.raw("type", kind.get());
    for (name, value) in members.all() {
        w.raw(&name, value.get());
    }
    w.raw("input", "{}");
    w.close();
    Some((to_raw(out)?, Some(input)))
}
