//! An upstream's whole reply.

use super::{citations, finish, usage};
use crate::openai_chat::choice::some;
use crate::openai_chat::error;
use crate::{Malformed, json};
use slip_ir::event::Start;
use slip_ir::request::format;
use slip_ir::{Block, Choice, Finish, Reply, Text, Thinking, ToolCall};

/// Tool calls and parts of one reply.
const MAX_PARTS: usize = 1024;

pub(super) fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    json::check(body)?;
    let body = body.trim_ascii();
    let message = json::field(body, "message").filter(|message| message.first() == Some(&b'{'));
    let Some(message) = message else {
        let refused = json::field(body, "message").or(json::field(body, "error")).is_some_and(error::says_something);
        return match refused {
            true => Ok(Reply { fault: Some(error::inside(body)), ..Reply::default() }),
            false => Err(Malformed::new("message", "expected an object")),
        };
    };
    let mut blocks = Vec::new();
    if let Some(plan) = json::field(message, "tool_plan").and_then(some) {
        blocks.push(thought(plan));
    }
    match json::field(message, "content") {
        Some(text) if text.first() == Some(&b'"') => blocks.extend(some(text).map(Block::text)),
        parts => parts.into_iter().flat_map(json::items).take(MAX_PARTS).for_each(|part| {
            let member = |name: &str| json::field(part, name).and_then(some);
            match (member("thinking"), json::field(part, "text").and_then(json::string)) {
                (Some(text), _) => blocks.push(thought(text)),
                (None, Some(text)) => blocks.push(Block::Text(Text::plain(text))),
                (None, None) => {}
            }
        }),
    }
    cite(message, &mut blocks);
    let calls = json::field(message, "tool_calls").into_iter().flat_map(json::items).take(MAX_PARTS);
    let before = blocks.len();
    blocks.extend(calls.filter_map(tool_call).map(Block::ToolCall));
    let called = blocks.len() > before;
    let word = json::field(body, "finish_reason").and_then(some).unwrap_or_else(|| "COMPLETE".to_owned());
    let reason = finish::meaning(&word, called);
    if reason == Finish::Error {
        let mut fault = error::inside(body);
        fault.says = format!("the provider ended the reply with an error: {word}").into();
        return Ok(Reply { fault: Some(fault), ..Reply::default() });
    }
    let choice = Choice { blocks, finish: Some(reason), native: Some(word), ..Choice::default() };
    Ok(Reply {
        start: Start { id: json::field(body, "id").and_then(some), ..Start::default() },
        choices: vec![choice],
        usage: json::field(body, "usage").and_then(usage::read),
        fault: None,
    })
}

fn thought(text: String) -> Block {
    Block::Thinking(Thinking { text, format: format::UNKNOWN.to_owned(), ..Thinking::default() })
}

/// Each citation at the part of the content it counts from.
fn cite(message: &[u8], blocks: &mut Vec<Block>) {
    for citation in json::field(message, "citations").into_iter().flat_map(json::items).take(MAX_PARTS) {
        let index = json::field(citation, "content_index").and_then(json::integer);
        let mut offset = 0;
        let mut last = None;
        let mut number = 0;
        for (at, block) in blocks.iter().enumerate() {
            let Block::Text(text) = block else {
                number += i64::from(matches!(block, Block::Thinking(_)));
                continue;
            };
            if last.is_none() || Some(number) == index {
                last = Some((at, offset));
            }
            offset += text.text.chars().count() as u64;
            number += 1;
        }
        let (at, offset) = last.unwrap_or_else(|| {
            blocks.push(Block::text(""));
            (blocks.len() - 1, 0)
        });
        if let Some(Block::Text(text)) = blocks.get_mut(at) {
            text.annotations.extend(citations::to_annotations(citation, offset));
        }
    }
}

fn tool_call(call: &[u8]) -> Option<ToolCall> {
    let function = json::field(call, "function")?;
    let arguments = json::field(function, "arguments").and_then(some).unwrap_or_else(|| "{}".to_owned());
    Some(ToolCall {
        id: json::field(call, "id").and_then(some).unwrap_or_default(),
        name: json::field(function, "name").and_then(some)?,
        arguments,
        ..ToolCall::default()
    })
}
