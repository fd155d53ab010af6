//! OpenAI's embeddings, and those who spell nearly like it: Voyage and Jina with other names for two members.

use super::{Input, MAX_INPUTS, Purpose, Reply, Task, Vector};
use crate::json;
use crate::openai_chat::usage::parse_usage;
use crate::ops::{Answer, Sent, Shape, raw};
use crate::{Malformed, Stamp, house};
use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use slip_ir::{Loss, Raw, Usage};

pub(super) fn read(body: &[u8]) -> Result<Task, Malformed> {
    let mut task = Task::default();
    for member in json::members(body)? {
        let span = &body[member.value.clone()];
        let at = member.key.as_str();
        match at {
            "model" => {}
            "input" => task.inputs = inputs(at, span)?,
            "dimensions" | "output_dimension" => {
                task.dimensions = crate::peek::whole(at, span, 1, i64::MAX)?;
            }
            "encoding_format" => task.encoding = crate::peek::text(at, span)?.or(task.encoding),
            // Jina's and Voyage's words for the same; a list of several only Jina makes.
            "embedding_type" | "output_dtype" if span.first() == Some(&b'"') => {
                task.encoding = task.encoding.or(crate::peek::text(at, span)?);
            }
            "input_type" | "task" => task.purpose = crate::peek::text(at, span)?.map(|word| Purpose::parse(&word)),
            "user" => task.user = crate::peek::text(at, span)?,
            name if house::is_ours(name) => {}
            _ if span == b"null" => {}
            _ => task.extra.extend(Some(member.key.clone()).zip(raw(span))),
        }
    }
    Ok(task)
}

/// A text, a list of texts, token ids, lists of token ids, or parts.
fn inputs(at: &str, span: &[u8]) -> Result<Vec<Input>, Malformed> {
    let bad = |at: String, why: &str| Err(Malformed::new(at, why));
    match span.first() {
        Some(b'"') => Ok(crate::peek::text(at, span)?.map(Input::Text).into_iter().collect()),
        Some(b'[') => {
            let mut found = Vec::new();
            if json::items(span).next().is_some_and(|first| !matches!(first.first(), Some(b'"' | b'[' | b'{'))) {
                // One list of token ids is one input.
                return Ok(raw(span).map(Input::Tokens).into_iter().collect());
            }
            for (i, item) in json::items(span).enumerate() {
                let at = format!("{at}[{i}]");
                if i >= MAX_INPUTS {
                    return bad("input".into(), &format!("must hold at most {MAX_INPUTS} entries"));
                }
                match item.first() {
                    Some(b'"') => found.extend(crate::peek::text(&at, item)?.map(Input::Text)),
                    Some(b'[') => found.extend(raw(item).map(Input::Tokens)),
                    Some(b'{') => found.push(part(&at, item)?),
                    _ => return bad(at, "must be a string, a list of token ids or an object"),
                }
            }
            Ok(found)
        }
        _ => bad(at.into(), "must be a string or an array"),
    }
}

/// `{"content": […]}` (OpenRouter), `{"text": …}` and `{"image": …}` (Jina).
fn part(at: &str, span: &[u8]) -> Result<Input, Malformed> {
    if let Some(text) = json::field(span, "text").and_then(json::string) {
        return Ok(Input::Text(text.into_owned()));
    }
    if let Some(image) = json::field(span, "image").and_then(json::string) {
        return Ok(Input::Image(image.into_owned()));
    }
    let Some(content) = json::field(span, "content") else {
        return Err(Malformed::new(at, "must have `content`, `text` or `image`"));
    };
    let parts: Vec<&[u8]> = json::items(content).collect();
    if let [only] = parts.as_slice() {
        if let Some(text) = json::field(only, "text").and_then(json::string) {
            return Ok(Input::Text(text.into_owned()));
        }
        let url = json::field(only, "image_url").and_then(|image| json::field(image, "url").or(Some(image)));
        if let Some(url) = url.and_then(json::string) {
            return Ok(Input::Image(url.into_owned()));
        }
    }
    raw(span).map(Input::Parts).ok_or_else(|| Malformed::new(at, "is not text"))
}

pub(super) fn lower(task: &Task, to: Shape, same: bool, model: &str) -> Result<Sent, Malformed> {
    let mut losses = Vec::new();
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    let input = |input: &Input| match (input, to) {
        (Input::Text(text), _) => Ok(Value::from(text.as_str())),
        (Input::Tokens(raw) | Input::Parts(raw), Shape::OpenAi | Shape::OpenAiInt8) => Ok(raw.value()),
        (Input::Image(url), Shape::Jina) => Ok(serde_json::json!({ "image": url })),
        (Input::Image(url), Shape::OpenAi) => {
            Ok(serde_json::json!({ "content": [{ "type": "image_url", "image_url": { "url": url } }] }))
        }
        _ => Err(Malformed::new("input", "this provider takes texts only, not token ids, pictures or parts")),
    };
    let inputs: Vec<Value> = task.inputs.iter().map(input).collect::<Result<_, _>>()?;
    body.insert("input".into(), inputs.into());
    let dimensions = if to == Shape::Voyage { "output_dimension" } else { "dimensions" };
    if let Some(n) = task.dimensions {
        body.insert(dimensions.into(), n.into());
    }
    if let Some(encoding) = &task.encoding {
        let usual = matches!(encoding.as_str(), "float" | "base64");
        let name = match to {
            // Floats have no word: they are what comes when nothing is said.
            Shape::Voyage if encoding == "float" => None,
            Shape::Voyage if !usual => Some("output_dtype"),
            Shape::Jina => Some("embedding_type"),
            // It makes bytes only, and they are made into floats here.
            Shape::OpenAiInt8 if usual => None,
            Shape::OpenAiInt8 => Some("encoding_format"),
            _ if usual || same => Some("encoding_format"),
            _ => return Err(Malformed::new("encoding_format", "this provider makes floats only")),
        };
        name.map(|name| body.insert(name.into(), encoding.as_str().into()));
    }
    if let Some(purpose) = &task.purpose {
        let told = match to {
            Shape::Voyage => purpose.voyage().map(|word| ("input_type", word)),
            Shape::Jina => purpose.jina().map(|word| ("task", word)),
            // Other routers pass it on; OpenAI's own models know nothing of it and refuse what they do not know.
            _ => purpose.cohere().or(purpose.gemini()).filter(|_| same).map(|word| ("input_type", word)),
        };
        match told {
            Some((name, word)) => drop(body.insert(name.into(), word.into())),
            None => losses.push(Loss::new("input_type", "this provider has no word for it")),
        }
    }
    match &task.user {
        Some(user) if matches!(to, Shape::OpenAi | Shape::OpenAiInt8) => {
            drop(body.insert("user".into(), user.as_str().into()))
        }
        Some(_) => losses.push(Loss::new("user", "this provider has no place for it")),
        None => {}
    }
    if same {
        body.extend(task.extra.iter().map(|(name, raw)| (name.clone(), raw.value())));
    } else {
        task.lose_extra("only the caller's spelling knows it", &mut losses);
    }
    Ok(Sent::json("/embeddings", &body, losses))
}

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    model: Option<String>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
    #[serde(default)]
    index: Option<usize>,
}

/// `bytes`: strings hold signed bytes and not floats.
pub(super) fn parse(body: &[u8], bytes: bool) -> Option<Reply> {
    let listed: Listed<'_> = serde_json::from_slice(body).ok()?;
    let mut items: Vec<(usize, &Item<'_>)> =
        listed.data.iter().enumerate().map(|(n, i)| (i.index.unwrap_or(n), i)).collect();
    // In the order of the inputs, whatever the order in which they came.
    items.sort_by_key(|(index, _)| *index);
    let vectors = items.iter().map(|(_, item)| Vector::of(item.embedding, bytes)).collect::<Option<Vec<_>>>()?;
    let usage = listed.usage.and_then(|raw| counted(raw.get().as_bytes()));
    Some(Reply { vectors, usage, model: listed.model })
}

/// Some count prompt tokens, some only a total.
pub(super) fn counted(raw: &[u8]) -> Option<Usage> {
    parse_usage(raw).filter(|usage| usage.total() > 0).map(|usage| Usage { output: 0, ..usage }).or_else(|| {
        let total = json::field(raw, "total_tokens").and_then(json::integer)?;
        Some(Usage { input: u64::try_from(total).ok()?, ..Usage::default() })
    })
}

#[derive(Serialize)]
struct Written<'a> {
    object: &'static str,
    data: Vec<WrittenItem>,
    model: &'a str,
    usage: Box<RawValue>,
    id: &'a str,
    provider: &'a str,
}

#[derive(Serialize)]
struct WrittenItem {
    object: &'static str,
    embedding: Encoded,
    index: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Encoded {
    /// With the digits the provider wrote.
    Numbers(Raw),
    Base64(String),
}

pub(super) fn write(task: &Task, reply: &Reply, usage: Usage, stamp: &Stamp) -> Option<Answer> {
    let vector = |vector: &Vector| {
        // An encoding of the provider's own goes through as it came.
        let own = task.encoding.as_deref().is_some_and(|e| !matches!(e, "float" | "base64"));
        Some(match vector {
            Vector::Floats(text) | Vector::Bytes(text) if own => Encoded::Base64(text.clone()),
            vector if task.wants_base64() => Encoded::Base64(vector.base64()?),
            vector => Encoded::Numbers(vector.numbers()?),
        })
    };
    let data = reply
        .vectors
        .iter()
        .enumerate()
        .map(|(index, v)| Some(WrittenItem { object: "embedding", embedding: vector(v)?, index }))
        .collect::<Option<Vec<_>>>()?;
    let usage_json = priced(&usage, stamp)?;
    let written = Written {
        object: "list",
        data,
        model: &stamp.model,
        usage: usage_json,
        id: &stamp.id,
        provider: &stamp.provider,
    };
    Some(Answer::json(&written, usage))
}

/// Usage with its cost, as chat writes it.
pub(super) fn priced(usage: &Usage, stamp: &Stamp) -> Option<Box<RawValue>> {
    let mut out = BytesMut::new();
    crate::openai_chat::usage::write_usage(usage, stamp, &mut out);
    String::from_utf8(out.to_vec()).ok().and_then(|text| RawValue::from_string(text).ok())
}
