//! Citations: Anthropic's location objects and OpenRouter's annotations.

use crate::object::{Object, Writer, to_raw};
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
/// `url_citation`; `encrypted_index` stays inside it, because Anthropic demands it back on replay. A place in a document has no
/// address of its own and gets one within the conversation; Anthropic's own words for it travel along as `location`.
pub fn to_annotation(citation: &RawValue, start: usize, end: usize) -> Option<Raw> {
    let mut members = Object::parse(citation.get(), "").ok()?;
    let kind = members.string("type", "").ok()??;
    let mut text = |name: &str| members.string(name, "").ok().flatten();
    let (title, content, index) = (text("title"), text("cited_text"), text("encrypted_index"));
    let (document, source, web) = (text("document_title"), text("source"), text("url"));
    let mut number = |name: &str| members.count(name, "").ok().flatten().unwrap_or(0);
    let url = match kind.as_str() {
        "web_search_result_location" => web,
        "search_result_location" => source,
        "page_location" => Some(format!("#document-{}-page-{}", number("document_index"), number("start_page_number"))),
        kind if LOCATIONS.contains(&kind) => Some(format!("#document-{}", number("document_index"))),
        _ => None,
    };
    let Some(url) = url else { return Raw::parse(citation.get()) };
    let mut out = Vec::new();
    let mut annotation = Writer::open(&mut out);
    annotation.put("type", "url_citation");
    let mut inner = Writer::open(annotation.key("url_citation"));
    inner.put("url", &url);
    inner.put("title", &title.or(document).unwrap_or_default());
    inner.put("content", &content.unwrap_or_default());
    inner.put("start_index", &start).put("end_index", &end);
    inner.put_some("encrypted_index", &index);
    if kind != "web_search_result_location" {
        inner.raw("location", citation.get());
    }
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
    if let Some(location) = inner.take("location").filter(|raw| is_location(raw)) {
        return Raw::parse(location.get());
    }
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

fn is_location(raw: &RawValue) -> bool {
    let kind = Object::parse(raw.get(), "").ok().and_then(|mut members| members.string("type", "").ok().flatten());
    kind.is_some_and(|kind| LOCATIONS.contains(&kind.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_an_address_and_comes_back_as_it_was() {
        let rows = [
            (
                r#"{"type":"page_location","document_index":1,"document_title":"T","start_page_number":3,"end_page_number":4,"cited_text":"c"}"#,
                "#document-1-page-3",
                "T",
            ),
            (
                r#"{"type":"char_location","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":9,"cited_text":"c"}"#,
                "#document-0",
                "",
            ),
            (
                r#"{"type":"content_block_location","document_index":2,"start_block_index":0,"end_block_index":1,"cited_text":"c"}"#,
                "#document-2",
                "",
            ),
            (
                r#"{"type":"search_result_location","source":"https://x/y","title":"X","search_result_index":0,"start_block_index":0,"end_block_index":1,"cited_text":"c"}"#,
                "https://x/y",
                "X",
            ),
            (
                r#"{"type":"web_search_result_location","cited_text":"c","url":"https://x","title":"X","encrypted_index":"E=="}"#,
                "https://x",
                "X",
            ),
        ];
        for (location, url, title) in rows {
            let raw: &RawValue = serde_json::from_str(location).expect("a row is JSON");
            let told = to_annotation(raw, 2, 5).expect("it is a citation");
            let value = told.value();
            assert_eq!(value["url_citation"]["url"], url, "{location}");
            assert_eq!(value["url_citation"]["title"], title, "{location}");
            assert_eq!(value["url_citation"]["start_index"], 2, "{location}");
            let back = to_citation(&told, true).expect("it can be replayed");
            assert_eq!(back.value(), serde_json::from_str::<serde_json::Value>(location).unwrap(), "{location}");
        }
    }
}
