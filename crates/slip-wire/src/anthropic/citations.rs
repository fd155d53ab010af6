//! Citations: Anthropic's location objects and OpenRouter's annotations.

use super::object::{Object, Writer, to_raw};
use serde_json::value::RawValue;
use slip_ir::Raw;

/// The location objects Anthropic knows.
const LOCATIONS: [&str; 5] = [
    "char_location",
    "page_location",
    "content_block_location",
    "search_result_location",
    "web_search_result_location",
];

/// A citation on a span of the reply's text (`start..end`, in characters) as an annotation. A web address becomes a
/// `url_citation`; `encrypted_index` stays inside it, because Anthropic demands it back on replay. Other locations stay as they are.
pub fn to_annotation(citation: &RawValue, start: usize, end: usize) -> Option<Raw> {
    let mut members = Object::parse(citation.get(), "").ok()?;
    let kind = members.string("type", "").ok()?;
    if kind.as_deref() != Some("web_search_result_location") {
        return Raw::parse(citation.get());
    }
    let Some(url) = members.string("url", "").ok()? else { return Raw::parse(citation.get()) };
    let mut out = Vec::new();
    let mut annotation = Writer::open(&mut out);
    annotation.put("type", "url_citation");
    let mut inner = Writer::open(annotation.key("url_citation"));
    inner.put("url", &url);
    inner.put("title", &members.string("title", "").ok().flatten().unwrap_or_default());
    inner.put("content", &members.string("cited_text", "").ok().flatten().unwrap_or_default());
    inner.put("start_index", &start).put("end_index", &end);
    inner.put_some("encrypted_index", &members.string("encrypted_index", "").ok().flatten());
    inner.close();
    annotation.close();
    to_raw(out)
}

/// An annotation as a location object, or `None` when it cannot be told as one. `replayed` asks for what Anthropic accepts back:
/// a web citation without its `encrypted_index` is refused there.
pub fn to_citation(annotation: &Raw, replayed: bool) -> Option<Raw> {
    let mut members = Object::parse(annotation.as_str(), "").ok()?;
    let kind = members.string("type", "").ok()??;
    if LOCATIONS.contains(&kind.as_str()) {
        return Some(annotation.clone());
    }
    if kind != "url_citation" {
        return None;
    }
    let mut inner = members.object("url_citation", "").ok().flatten().unwrap_or(members);
    let url = inner.string("url", "").ok()??;
    let index = inner.string("encrypted_index", "").ok().flatten();
    if replayed && index.is_none() {
        return None;
    }
    let mut out = Vec::new();
    let mut citation = Writer::open(&mut out);
    citation.put("type", "web_search_result_location");
    citation.put("cited_text", &inner.string("content", "").ok().flatten().unwrap_or_default());
    citation.put("url", &url);
    citation.put("title", &inner.string("title", "").ok().flatten());
    citation.put("encrypted_index", &index.unwrap_or_default());
    citation.close();
    to_raw(out)
}
