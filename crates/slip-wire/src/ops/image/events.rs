//! Pictures as a stream: `image_generation.partial_image` and `completed`, which edits call `image_edit.…`.

use super::{Made, Task, written};
use crate::json;
use crate::ops::Shape;
use crate::{Stamp, dialect::put_event};
use bytes::BytesMut;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use slip_ir::Usage;

/// One finished picture.
pub(super) fn completed(
    task: &Task,
    caller: Shape,
    made: &Made,
    created: u64,
    usage: Option<&RawValue>,
    out: &mut BytesMut,
) {
    let kind = match caller {
        Shape::OpenRouter => "image_generation.completed",
        _ if task.edits() => "image_edit.completed",
        _ => "image_generation.completed",
    };
    let mut event = Map::new();
    event.insert("type".into(), kind.into());
    event.insert("b64_json".into(), made.base64.as_deref().into());
    if caller == Shape::OpenRouter {
        event.insert("created".into(), created.into());
        event.extend(written::media_type(made).map(|kind| ("media_type".to_owned(), Value::from(kind))));
    } else {
        event.insert("created_at".into(), created.into());
        let format = written::media_type(made).and_then(|kind| kind.strip_prefix("image/").map(str::to_owned));
        let told = [("size", &task.size), ("quality", &task.quality), ("background", &task.background)];
        let told = told.into_iter().chain([("output_format", &format)]);
        event.extend(told.filter_map(|(name, word)| Some((name.to_owned(), Value::from(word.as_deref()?)))));
    }
    let mut body = Value::Object(event).to_string().into_bytes();
    if let Some(usage) = usage {
        body.pop();
        body.extend_from_slice(b",\"usage\":");
        body.extend_from_slice(usage.get().as_bytes());
        body.push(b'}');
    }
    put_event((caller != Shape::OpenRouter).then_some(kind), &body, out);
}

/// OpenRouter's streams end with a word of their own.
pub(super) fn last(caller: Shape, out: &mut BytesMut) {
    if caller == Shape::OpenRouter {
        put_event(None, b"[DONE]", out);
    }
}

/// One event of the provider's for this caller.
pub(crate) fn event(caller: Shape, kind: &str, data: &[u8], spent: Option<&Usage>, stamp: &Stamp, out: &mut BytesMut) {
    if caller != Shape::OpenRouter {
        let own = json::field(data, "usage");
        return match spent {
            Some(spent) => {
                let usage = written::usage(own, spent, stamp);
                put_event(Some(kind), &crate::ops::told::with_usage(data, &usage), out);
            }
            None => put_event(Some(kind), data, out),
        };
    }
    let kind = kind.replace("image_edit.", "image_generation.");
    let mut body = Vec::with_capacity(data.len() + 512);
    body.extend_from_slice(format!("{{\"type\":\"{kind}\"").as_bytes());
    let mut put = |name: &str, value: &[u8]| {
        body.extend_from_slice(format!(",\"{name}\":").as_bytes());
        body.extend_from_slice(value);
    };
    for (key, value) in json::fields(data) {
        match &*key.bytes() {
            b"b64_json" => put("b64_json", value),
            b"partial_image_index" => put("partial_image_index", value),
            b"created" | b"created_at" => put("created", value),
            b"output_format" => {
                if let Some(format) = json::string(value).filter(|f| f.bytes().all(|b| b.is_ascii_alphanumeric())) {
                    put("media_type", format!("\"image/{format}\"").as_bytes());
                }
            }
            _ => {}
        }
    }
    if let Some(spent) = spent {
        put("usage", written::spelt(caller, spent, stamp).get().as_bytes());
    }
    body.push(b'}');
    put_event(None, &body, out);
}
