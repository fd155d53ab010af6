//! A whole text completion, written as OpenRouter's clients read it.

use super::encoder::{identity, word};
use super::logprobs;
use crate::Stamp;
use crate::openai_chat::encoder::{model, readable};
use crate::openai_chat::error;
use crate::openai_chat::usage::write_usage;
use crate::openai_chat::write::object;
use bytes::BytesMut;
use slip_ir::{Block, Choice, Reply};

pub(super) fn encode(reply: &Reply, stamp: &Stamp) -> Vec<u8> {
    if let (Some(fault), true) = (&reply.fault, reply.choices.is_empty()) {
        return error::encode(fault);
    }
    let mut out = BytesMut::with_capacity(1024);
    object(&mut out, |o| {
        identity(o, stamp, model(stamp, &reply.start), reply.start.fingerprint.as_deref());
        o.arr("choices", |a| {
            for choice in &reply.choices {
                a.obj(|o| {
                    o.num("index", choice.index);
                    o.str("text", &text(choice));
                    let thought = thought(choice);
                    o.opt_str("reasoning", Some(thought.as_str()).filter(|t| !t.is_empty() && !stamp.hide_reasoning));
                    match &choice.logprobs {
                        Some(rows) => o.raw("logprobs", &logprobs::columns(rows, &mut 0)),
                        None => o.null("logprobs"),
                    }
                    o.str_or_null("finish_reason", choice.finish.map(word));
                    o.str_or_null("native_finish_reason", choice.native.as_deref());
                });
            }
        });
        if let Some(fault) = &reply.fault {
            error::write(o, "error", fault);
        }
        let bytes = reply.choices.iter().map(|choice| text(choice).len() as u64).sum();
        let usage = reply.usage.clone().unwrap_or_else(|| stamp.estimate(bytes));
        write_usage(&usage, stamp, o.key("usage"));
    });
    Vec::from(out)
}

fn text(choice: &Choice) -> String {
    let said = choice.blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.text.as_str()),
        Block::Refusal(words) => Some(words.as_str()),
        _ => None,
    });
    said.collect()
}

fn thought(choice: &Choice) -> String {
    let thought = choice.blocks.iter().filter_map(|block| match block {
        Block::Thinking(thinking) => Some(readable(thinking)),
        _ => None,
    });
    thought.collect()
}
