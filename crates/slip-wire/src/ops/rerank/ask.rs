//! What is asked: read of any caller, spelt for each provider
//! (<https://docs.cohere.com/reference/rerank>, <https://docs.voyageai.com/reference/reranker-api>,
//! <https://api.jina.ai/redoc>, <https://openrouter.ai/docs/api/api-reference/rerank/create-rerank>, 2026-11).

use super::{Document, MAX_DOCUMENTS, Task};
use crate::ops::{Sent, Shape, raw};
use crate::{Malformed, house, json};
use serde_json::{Map, Value};
use slip_ir::Loss;

pub(super) fn read(body: &[u8]) -> Result<Task, Malformed> {
    let mut task = Task::default();
    for member in json::members(body)? {
        let span = &body[member.value.clone()];
        let at = member.key.as_str();
        match at {
            "model" | "user" => {}
            "query" => task.query = crate::peek::text(at, span)?.unwrap_or_default(),
            "documents" => task.documents = documents(at, span)?,
            // Voyage counts from the other end of the alphabet.
            "top_n" | "top_k" => task.top = crate::peek::whole(at, span, 1, i64::MAX)?.or(task.top),
            "return_documents" => task.echo = crate::peek::flag(at, span)?,
            name if house::is_ours(name) => {}
            _ if span == b"null" => {}
            _ => task.extra.extend(Some(member.key.clone()).zip(raw(span))),
        }
    }
    if task.query.is_empty() {
        return Err(Malformed::new("query", "must be a text, and not empty"));
    }
    if task.documents.is_empty() {
        return Err(Malformed::new("documents", "must not be empty"));
    }
    Ok(task)
}

fn documents(at: &str, span: &[u8]) -> Result<Vec<Document>, Malformed> {
    let mut found = Vec::new();
    if !crate::peek::array(at, span)? {
        return Ok(found);
    }
    for (i, item) in json::items(span).enumerate() {
        if i >= MAX_DOCUMENTS {
            return Err(Malformed::new(at, format!("must hold at most {MAX_DOCUMENTS} entries")));
        }
        let at = format!("{at}[{i}]");
        found.push(match item.first() {
            Some(b'"') => Document::Text(crate::peek::text(&at, item)?.unwrap_or_default()),
            Some(b'{') => object(&at, item)?,
            _ => return Err(Malformed::new(at, "must be a string or an object")),
        });
    }
    Ok(found)
}

fn object(at: &str, item: &[u8]) -> Result<Document, Malformed> {
    let mut members = json::fields(item).filter(|(_, value)| *value != b"null");
    match (members.next(), members.next()) {
        (None, _) => Err(Malformed::new(at, "must have `text` or `image`")),
        (Some((name, value)), None) if name.is("text") => {
            Ok(Document::Text(crate::peek::text(&format!("{at}.text"), value)?.unwrap_or_default()))
        }
        _ => raw(item).map(Document::Parts).ok_or_else(|| Malformed::new(at, "is not text")),
    }
}

pub(super) fn lower(task: &Task, caller: Shape, to: Shape, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let document = |document: &Document| match (document, to) {
        (Document::Text(text), _) => Ok(Value::from(text.as_str())),
        (Document::Parts(raw), Shape::OpenAi | Shape::Jina) => Ok(raw.value()),
        _ => Err(Malformed::new("documents", "this provider takes texts only, not pictures or fields")),
    };
    let documents: Vec<Value> = task.documents.iter().map(document).collect::<Result<_, _>>()?;
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("query".into(), task.query.as_str().into());
    body.insert("documents".into(), documents.into());
    if let Some(top) = task.top {
        body.insert(if to == Shape::Voyage { "top_k" } else { "top_n" }.into(), top.into());
    }
    if to == Shape::Jina {
        // The documents are repeated from the request: they need not travel twice.
        body.insert("return_documents".into(), false.into());
    }
    // Whoever asks in the general spelling means the members a server like Jina's may know.
    if caller == to || (caller, to) == (Shape::OpenAi, Shape::Jina) {
        body.extend(task.extra.iter().map(|(name, raw)| (name.clone(), raw.value())));
    } else {
        let lost = |name: &String| Loss::new(name.clone(), "only the caller's spelling knows it");
        losses.extend(task.extra.iter().map(|(name, _)| lost(name)));
    }
    match to {
        Shape::Bedrock => {
            body.remove("model");
            if model.contains("cohere.") {
                // Which of its versions Cohere's models there are to be.
                body.insert("api_version".into(), 2.into());
            }
            Ok(Sent::json(format!("/model/{}/invoke", crate::envelope::escaped(model)), &body, losses))
        }
        Shape::OpenAi | Shape::Jina | Shape::Voyage | Shape::Cohere => Ok(Sent::json("/rerank", &body, losses)),
        other => Err(Malformed::new("", format!("documents cannot be ranked in the spelling {other}"))),
    }
}
