//! Reasoning as OpenRouter's `reasoning_details`: reading, joining and writing them.

use super::write::Obj;
use crate::json;
use bytes::BufMut;
use slip_ir::request::format;
use slip_ir::{Block, Thinking, ThinkingKind};

/// One element of a `reasoning_details` array.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Detail {
    pub kind: ThinkingKind,
    /// The text or the summary.
    pub text: String,
    pub signature: Option<String>,
    pub data: Option<String>,
    pub format: String,
    pub id: Option<String>,
    /// Details of the same kind and number are pieces of one block.
    pub index: Option<i64>,
}

/// Read one detail leniently; `None` for kinds nobody replays.
pub(super) fn read(span: &[u8]) -> Option<Detail> {
    let mut detail = Detail { format: format::UNKNOWN.to_owned(), ..Detail::default() };
    let mut kind = None;
    let some = |span: &[u8]| json::string(span).filter(|t| !t.is_empty()).map(|t| t.into_owned());
    for (key, value) in json::fields(span) {
        match &*key.bytes() {
            b"type" => {
                kind = match json::string(value).as_deref() {
                    Some("reasoning.text") => Some(ThinkingKind::Text),
                    Some("reasoning.summary") => Some(ThinkingKind::Summary),
                    Some("reasoning.encrypted") => Some(ThinkingKind::Encrypted),
                    _ => None,
                }
            }
            b"text" | b"summary" => detail.text = some(value).unwrap_or(detail.text),
            b"signature" => detail.signature = some(value),
            b"data" => detail.data = some(value),
            b"format" => detail.format = some(value).unwrap_or(detail.format),
            b"id" => detail.id = some(value),
            b"index" => detail.index = json::integer(value),
            _ => {}
        }
    }
    detail.kind = kind?;
    Some(detail)
}

/// Join an array of details, as a client collected it, into blocks. Details sealed for a tool call (their id is the call's) come
/// back as `(call id, signature)`.
pub(super) fn collect(array: &[u8], is_call: impl Fn(&str) -> bool) -> (Vec<Block>, Vec<(String, String)>) {
    let mut found: Vec<(Option<i64>, Thinking)> = Vec::new();
    let mut sealed = Vec::new();
    for detail in json::items(array).filter_map(read) {
        if detail.kind == ThinkingKind::Encrypted
            && let (Some(id), Some(data)) = (&detail.id, &detail.data)
            && is_call(id)
        {
            sealed.push((id.clone(), data.clone()));
            continue;
        }
        let same = found.iter_mut().rev().find(|(index, block)| {
            index.is_some() && *index == detail.index && block.kind == detail.kind && joins(block, &detail)
        });
        match same {
            Some((_, block)) => {
                block.text.push_str(&detail.text);
                block.signature = detail.signature.or(block.signature.take());
                block.id = block.id.take().or(detail.id);
                if block.format == format::UNKNOWN {
                    block.format = detail.format;
                }
            }
            None => found.push((
                detail.index,
                Thinking {
                    kind: detail.kind,
                    text: if detail.kind == ThinkingKind::Encrypted { String::new() } else { detail.text },
                    signature: detail.signature,
                    data: detail.data,
                    format: detail.format,
                    id: detail.id,
                },
            )),
        }
    }
    let says = |t: &Thinking| !t.text.is_empty() || t.signature.is_some() || t.data.is_some();
    (found.into_iter().map(|(_, t)| t).filter(says).map(Block::Thinking).collect(), sealed)
}

/// Sealed blobs come whole, and a signature ends the block it signs.
fn joins(block: &Thinking, detail: &Detail) -> bool {
    block.kind != ThinkingKind::Encrypted && (block.signature.is_none() || detail.text.is_empty())
}

/// Write the members of one whole detail.
pub(super) fn write<B: BufMut>(o: &mut Obj<'_, B>, thinking: &Thinking, index: u32) {
    match thinking.kind {
        ThinkingKind::Text => {
            o.str("type", "reasoning.text");
            o.str("text", &thinking.text);
        }
        ThinkingKind::Summary => {
            o.str("type", "reasoning.summary");
            o.str("summary", &thinking.text);
        }
        ThinkingKind::Encrypted => {
            o.str("type", "reasoning.encrypted");
            o.str("data", thinking.data.as_deref().unwrap_or_default());
        }
    }
    o.opt_str("signature", thinking.signature.as_deref());
    o.opt_str("id", thinking.id.as_deref());
    o.str("format", if thinking.format.is_empty() { format::UNKNOWN } else { &thinking.format });
    o.num("index", index);
}

/// The detail that carries a tool call's signature (Gemini's `thoughtSignature`).
pub(super) fn seal(call: &str, signature: &str) -> Thinking {
    Thinking {
        kind: ThinkingKind::Encrypted,
        data: Some(signature.to_owned()),
        format: format::GEMINI.to_owned(),
        id: Some(call.to_owned()),
        ..Thinking::default()
    }
}
