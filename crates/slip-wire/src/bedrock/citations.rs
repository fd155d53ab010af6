//! Citations: Converse says in camel case and a union what Anthropic says in location objects, so that each is told as the other.

use crate::anthropic::citations as anthropic;
use crate::object::{Object, Writer, array, to_raw};
use serde_json::value::RawValue;
use slip_ir::Raw;

/// Converse's union member, Anthropic's type, and the members of each.
type Place = (&'static str, &'static str, [(&'static str, &'static str); 3]);
const PLACES: [Place; 4] = [
    (
        "documentChar",
        "char_location",
        [("documentIndex", "document_index"), ("start", "start_char_index"), ("end", "end_char_index")],
    ),
    (
        "documentPage",
        "page_location",
        [("documentIndex", "document_index"), ("start", "start_page_number"), ("end", "end_page_number")],
    ),
    (
        "documentChunk",
        "content_block_location",
        [("documentIndex", "document_index"), ("start", "start_block_index"), ("end", "end_block_index")],
    ),
    (
        "searchResultLocation",
        "search_result_location",
        [("searchResultIndex", "search_result_index"), ("start", "start_block_index"), ("end", "end_block_index")],
    ),
];
const WEB: &str = "web_search_result_location";

/// A citation of Converse on a span of the reply's text as an annotation.
pub fn to_annotation(citation: &RawValue, start: usize, end: usize) -> Option<Raw> {
    let location = to_location(citation)?;
    let location: &RawValue = serde_json::from_str(location.as_str()).ok()?;
    anthropic::to_annotation(location, start, end)
}

fn to_location(citation: &RawValue) -> Option<Raw> {
    let mut o = Object::parse(citation.get(), "").ok()?;
    let title = o.string("title", "").ok().flatten();
    let source = o.string("source", "").ok().flatten();
    let cited: String = o
        .array("sourceContent", "")
        .ok()
        .flatten()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|part| Object::parse(part.get(), "").ok()?.string("text", "").ok()?)
        .collect();
    let mut place = o.object("location", "").ok().flatten().unwrap_or_default();
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    if let Some((member, kind, names)) = PLACES.iter().find(|(member, ..)| place.has(member)) {
        let mut numbers = place.object(member, "").ok().flatten()?;
        w.put("type", kind);
        for (theirs, ours) in names {
            w.put_some(ours, &numbers.count(theirs, "").ok().flatten());
        }
        if *kind == "search_result_location" {
            w.put("source", &source.unwrap_or_default()).put("title", &title);
        } else {
            w.put("document_title", &title);
        }
    } else {
        let web = place.object("web", "").ok().flatten().and_then(|mut web| web.string("url", "").ok()?);
        w.put("type", WEB).put("url", &web.or(source)?).put("title", &title);
    }
    w.put("cited_text", &cited);
    w.close();
    to_raw(out)
}

/// An annotation as a citation of Converse, or `None` when it cannot be told as one.
pub fn to_citation(annotation: &Raw) -> Option<Raw> {
    let location = anthropic::to_citation(annotation, false)?;
    let mut o = Object::parse(location.as_str(), "").ok()?;
    let kind = o.string("type", "").ok()??;
    let mut text = |name: &str| o.string(name, "").ok().flatten();
    let (title, document, source) = (text("title"), text("document_title"), text("source"));
    let (cited, url) = (text("cited_text").unwrap_or_default(), text("url"));
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put_some("title", &title.or(document)).put_some("source", &source);
    array(w.key("sourceContent"), Some(cited).filter(|cited| !cited.is_empty()), |out, cited| {
        let mut w = Writer::open(out);
        w.put("text", &cited);
        w.close();
    });
    let mut place = Writer::open(w.key("location"));
    match PLACES.iter().find(|(_, theirs, _)| *theirs == kind) {
        Some((member, _, names)) => {
            let mut numbers = Writer::open(place.key(member));
            for (ours, theirs) in names {
                numbers.put_some(ours, &o.count(theirs, "").ok().flatten());
            }
            numbers.close();
        }
        None => {
            let mut web = Writer::open(place.key("web"));
            web.put("url", &url?);
            web.close();
        }
    }
    place.close();
    w.close();
    to_raw(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_place_has_an_address_and_comes_back_as_it_was() {
        let rows = [
            (
                r#"{"title":"T","sourceContent":[{"text":"c"}],"location":{"documentChunk":{"documentIndex":0,"start":1,"end":2}}}"#,
                "#document-0",
            ),
            (
                r#"{"title":"T","sourceContent":[{"text":"c"}],"location":{"documentPage":{"documentIndex":2,"start":3,"end":4}}}"#,
                "#document-2-page-3",
            ),
            (
                r#"{"title":"T","sourceContent":[{"text":"c"}],"location":{"documentChar":{"documentIndex":1,"start":3,"end":4}}}"#,
                "#document-1",
            ),
            (
                r#"{"title":"T","source":"https://s","sourceContent":[{"text":"c"}],"location":{"searchResultLocation":{"searchResultIndex":1,"start":3,"end":4}}}"#,
                "https://s",
            ),
            (r#"{"title":"T","sourceContent":[{"text":"c"}],"location":{"web":{"url":"https://w"}}}"#, "https://w"),
        ];
        for (citation, url) in rows {
            let raw: &RawValue = serde_json::from_str(citation).expect("a row is JSON");
            let told = to_annotation(raw, 2, 5).expect("it is a citation");
            assert_eq!(told.value()["url_citation"]["url"], url, "{citation}");
            let back = to_citation(&told).expect("it can be told").value();
            assert_eq!(back, serde_json::from_str::<Value>(citation).unwrap(), "{citation}");
        }
    }
}
