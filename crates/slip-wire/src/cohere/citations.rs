//! Citations: Cohere's stretches of text with their sources, and OpenRouter's annotations.

use crate::json;
use crate::openai_chat::choice::some;
use crate::openai_chat::node::raw;
use crate::openai_chat::write::object;
use slip_ir::Raw;

/// Sources of one citation that are told.
const MAX_SOURCES: usize = 32;

/// A citation as annotations, one to a source. A source without a web address gets one within the conversation; Cohere's own
/// words travel along as `location`. `offset` is where its block begins in the text as a whole.
pub(super) fn to_annotations(citation: &[u8], offset: u64) -> Vec<Raw> {
    let number = |name: &str| json::field(citation, name).and_then(json::integer).and_then(|n| u64::try_from(n).ok());
    let (start, end) = (number("start").unwrap_or(0) + offset, number("end").unwrap_or(0) + offset);
    let cited = json::field(citation, "text").and_then(some).unwrap_or_default();
    let about_text = json::field(citation, "type").and_then(some).is_none_or(|kind| kind == "TEXT_CONTENT");
    let sources = json::field(citation, "sources").into_iter().flat_map(json::items).take(MAX_SOURCES);
    let told: Vec<Raw> = sources
        .filter(|_| about_text)
        .filter_map(|source| {
            let id = json::field(source, "id").and_then(some).unwrap_or_default();
            let inner = json::field(source, "document").or(json::field(source, "tool_output")).unwrap_or(b"{}");
            let member = |name: &str| json::field(inner, name).and_then(some);
            let web = member("url").filter(|url| url.starts_with("http://") || url.starts_with("https://"));
            let mut text = Vec::new();
            object(&mut text, |o| {
                o.str("type", "url_citation");
                o.obj("url_citation", |o| {
                    o.str("url", web.as_deref().unwrap_or(&format!("#document-{id}")));
                    o.str("title", &member("title").unwrap_or_else(|| id.clone()));
                    o.str("content", &cited);
                    o.num("start_index", start);
                    o.num("end_index", end);
                    o.span("location", citation);
                });
            });
            raw(&text)
        })
        .collect();
    match told.is_empty() {
        true => raw(citation).into_iter().collect(),
        false => told,
    }
}

/// An annotation as a citation; `None` for what cannot be told as one.
pub(super) fn to_citation(annotation: &Raw) -> Option<Raw> {
    let span = annotation.as_str().as_bytes();
    if json::field(span, "sources").is_some() {
        return Some(annotation.clone());
    }
    let cited = json::field(span, "url_citation")?;
    if let Some(own) = json::field(cited, "location").filter(|own| json::field(own, "sources").is_some()) {
        return raw(own);
    }
    let url = json::field(cited, "url").and_then(some)?;
    let title = json::field(cited, "title").and_then(some);
    let number = |name: &str| json::field(cited, name).and_then(json::integer).unwrap_or(0);
    let mut text = Vec::new();
    object(&mut text, |o| {
        o.num("start", number("start_index"));
        o.num("end", number("end_index"));
        o.str("text", &json::field(cited, "content").and_then(some).unwrap_or_default());
        o.arr("sources", |a| {
            a.obj(|o| {
                o.str("type", "document");
                o.str("id", &url);
                o.obj("document", |o| {
                    o.str("id", &url);
                    o.str("url", &url);
                    o.opt_str("title", title.as_deref());
                });
            });
        });
        o.str("type", "TEXT_CONTENT");
    });
    raw(&text)
}
