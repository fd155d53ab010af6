//! Pictures as callers read them, whole or as the stream they asked for.

use super::read::sniff;
use super::{Made, Reply, Task, events, is_openai};
use crate::Stamp;
use crate::ops::{Answer, Shape, told};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use slip_ir::Usage;

/// OpenAI's words for what was consumed.
pub(super) fn usage(own: Option<&[u8]>, usage: &Usage, stamp: &Stamp) -> Box<RawValue> {
    let (input, output) = (usage.prompt_total(), usage.completion_total());
    let words = [
        ("input_tokens", input.to_string()),
        ("output_tokens", output.to_string()),
        ("total_tokens", (input + output).to_string()),
        (
            "input_tokens_details",
            format!("{{\"text_tokens\":{},\"image_tokens\":{}}}", input - usage.image_in, usage.image_in),
        ),
    ];
    told::priced(own, &words, usage, stamp)
}

pub(super) fn spelt(caller: Shape, spent: &Usage, stamp: &Stamp) -> Box<RawValue> {
    if is_openai(caller) { usage(None, spent, stamp) } else { told::as_chat(spent, stamp) }
}

pub(super) fn answer(task: &Task, caller: Shape, reply: &Reply, spent: Usage, stamp: &Stamp) -> Answer {
    let usage = spelt(caller, &spent, stamp);
    let created = reply.created.unwrap_or(stamp.created);
    if task.stream {
        let mut out = BytesMut::new();
        let last = reply.pictures.len().saturating_sub(1);
        for (at, made) in reply.pictures.iter().enumerate() {
            events::completed(task, caller, made, created, (at == last).then_some(&*usage), &mut out);
        }
        events::last(caller, &mut out);
        return Answer::bytes("text/event-stream", out.to_vec(), spent);
    }
    let picture = |made: &Made| {
        let mut item = Map::new();
        match (&made.base64, &made.url) {
            (Some(base64), _) => item.insert("b64_json".into(), base64.as_str().into()),
            (None, url) => item.insert("url".into(), url.as_deref().into()),
        };
        if caller == Shape::OpenRouter {
            item.extend(media_type(made).map(|kind| ("media_type".to_owned(), kind.into())));
        } else {
            item.extend(made.revised_prompt.as_deref().map(|text| ("revised_prompt".to_owned(), text.into())));
        }
        Value::Object(item)
    };
    #[derive(serde::Serialize)]
    struct Written {
        created: u64,
        data: Vec<Value>,
        usage: Box<RawValue>,
    }
    let data = reply.pictures.iter().map(picture).collect();
    Answer::json(&Written { created, data, usage }, spent)
}

/// What was said of it, or what its first bytes say.
pub(super) fn media_type(made: &Made) -> Option<String> {
    let sniffed = || {
        // Sixteen letters are twelve bytes.
        let head = made.base64.as_deref()?.get(..16)?;
        sniff(&STANDARD.decode(head).ok()?).map(str::to_owned)
    };
    made.media_type.clone().or_else(sniffed)
}
