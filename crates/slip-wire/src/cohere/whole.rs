//! A whole reply, written as Cohere's clients read it.

use super::{Cohere, citations, finish, usage};
use crate::Stamp;
use crate::dialect::Wire;
use crate::openai_chat::encoder::readable;
use crate::openai_chat::spell::CallIds;
use crate::openai_chat::write::{Obj, object};
use bytes::BytesMut;
use slip_ir::{Block, Choice, Finish, Raw, Reply};

pub(super) fn encode(reply: &Reply, stamp: &Stamp) -> Vec<u8> {
    if let Some(fault) = &reply.fault {
        return Cohere.encode_error(fault, Some(&stamp.id));
    }
    let empty = Choice::default();
    let choice = reply.choices.iter().find(|choice| choice.index == 0).unwrap_or(&empty);
    let told = reply.usage.clone().unwrap_or_else(|| stamp.estimate(choice.text().len() as u64));
    let reason = choice.finish.unwrap_or(Finish::Stop);
    let mut out = BytesMut::with_capacity(1024);
    object(&mut out, |o| {
        o.str("id", &stamp.id);
        o.str("finish_reason", finish::spell(reason, choice.native.as_deref(), choice.stop_sequence.is_some()));
        o.obj("message", |o| {
            o.str("role", "assistant");
            content(o, choice, stamp);
            calls(o, choice, stamp);
        });
        usage::write(o, &told, stamp);
    });
    out.into()
}

fn content(o: &mut Obj<'_, BytesMut>, choice: &Choice, stamp: &Stamp) {
    let mut cited: Vec<(u32, Raw)> = Vec::new();
    o.arr("content", |a| {
        let mut number = 0;
        for block in &choice.blocks {
            let (kind, text) = match block {
                Block::Text(text) => ("text", text.text.as_str()),
                Block::Refusal(words) => ("text", words.as_str()),
                Block::Thinking(thinking) if !stamp.hide_reasoning => ("thinking", readable(thinking)),
                _ => continue,
            };
            if let Block::Text(text) = block {
                cited.extend(text.annotations.iter().filter_map(citations::to_citation).map(|c| (number, c)));
            }
            if text.is_empty() {
                continue;
            }
            number += 1;
            a.obj(|o| {
                o.str("type", kind);
                o.str(kind, text);
            });
        }
    });
    if cited.is_empty() {
        return;
    }
    o.arr("citations", |a| {
        for (number, citation) in &cited {
            a.obj(|o| {
                o.merge(citation);
                if crate::json::field(citation.as_str().as_bytes(), "content_index").is_none() {
                    o.num("content_index", *number);
                }
            });
        }
    });
}

fn calls(o: &mut Obj<'_, BytesMut>, choice: &Choice, stamp: &Stamp) {
    let calls: Vec<_> =
        choice.blocks.iter().filter_map(|b| if let Block::ToolCall(call) = b { Some(call) } else { None }).collect();
    if calls.is_empty() {
        return;
    }
    let mut ids = CallIds::new(stamp);
    o.arr("tool_calls", |a| {
        for call in calls {
            a.obj(|o| {
                o.str("id", &ids.take(&call.id));
                o.str("type", "function");
                o.obj("function", |o| {
                    o.str("name", &call.name);
                    o.str("arguments", if call.arguments.is_empty() { "{}" } else { &call.arguments });
                });
            });
        }
    });
}
