//! A whole reply: read by the same machine as a stream, and written for a Gemini client.

use super::stream::Decoder;
use super::tree::Node;
use super::{error, finish, grounding, logprobs, part, sealed, usage};
use crate::Stamp;
use crate::dialect::Malformed;
use serde_json::value::RawValue;
use slip_ir::{Block, Choice, Dialect, Event, Reply, Thinking, fold};

pub(super) fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    let raw: &RawValue = serde_json::from_slice(body).map_err(|e| Malformed::new("", format!("not JSON: {e}")))?;
    let mut events = Vec::new();
    let mut decoder = Decoder::default();
    decoder.document(raw, &mut events);
    let told = |event: &Event| matches!(event, Event::Start(_) | Event::Fault(_));
    if !events.iter().any(told) {
        return Err(Malformed::new("", "neither candidates nor an error"));
    }
    if !events.iter().any(|event| matches!(event, Event::Fault(_))) {
        decoder.end(&mut events);
    }
    Ok(fold(events))
}

pub(super) fn encode(reply: &Reply, stamp: &Stamp) -> Vec<u8> {
    let mut bytes = 0;
    let candidates = reply.choices.iter().map(|choice| candidate(choice, stamp, &mut bytes)).collect();
    let mut node = Node::object([("candidates", Node::Array(candidates))]);
    let estimate = || usage::estimate(stamp, bytes);
    if let Some(counts) = reply.usage.clone().or_else(estimate) {
        node.set("usageMetadata", usage::write(&counts, stamp, reply.start.service_tier.as_deref()));
    }
    node.set("modelVersion", stamp.model.as_str());
    node.set("responseId", stamp.id.as_str());
    if let Some(fault) = &reply.fault {
        node.set("error", error::node(fault, Some(&stamp.id)));
    }
    node.to_vec()
}

fn candidate<'a>(choice: &'a Choice, stamp: &Stamp, bytes: &mut u64) -> Node<'a> {
    let parts: Vec<Node<'a>> = choice.blocks.iter().filter_map(|block| write_block(block, stamp)).collect();
    let mut content = Node::object([]);
    // As the API does it: a reply without parts has no list of parts.
    if !parts.is_empty() {
        content.set("parts", parts);
    }
    content.set("role", "model");
    let mut node = Node::object([("content", content)]);
    if let Some(reason) = choice.finish {
        node.set("finishReason", finish::spell(reason, choice.native.as_deref()));
    }
    node.set("index", u64::from(choice.index));
    let text = choice.text();
    *bytes += choice.blocks.iter().map(weight).sum::<u64>();
    let annotations = choice.blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(&text.annotations),
        _ => None,
    });
    if let Some(grounding) = grounding::write(annotations.flatten(), &text) {
        node.set("groundingMetadata", grounding);
    }
    if let Some(result) = choice.logprobs.as_ref().and_then(logprobs::write) {
        node.set("logprobsResult", result);
    }
    node
}

/// Bytes a model had to write.
pub(super) fn weight(block: &Block) -> u64 {
    let len = match block {
        Block::Text(text) => text.text.len(),
        Block::Thinking(thinking) => thinking.text.len(),
        Block::Refusal(text) => text.len(),
        Block::ToolCall(call) => call.arguments.len() + call.name.len(),
        _ => 0,
    };
    len as u64
}

/// One block as a part; `None` when there is nothing to say or no way to say it.
pub(super) fn write_block<'a>(block: &'a Block, stamp: &Stamp) -> Option<Node<'a>> {
    Some(match block {
        Block::Text(text) if text.text.is_empty() && text.signature.is_none() => return None,
        Block::Text(text) => part::write_text(&text.text, false, text.signature.as_deref()),
        Block::Refusal(text) if text.is_empty() => return None,
        Block::Refusal(text) => part::write_text(text, false, None),
        Block::Thinking(thinking) => return write_thinking(thinking, stamp.hide_reasoning),
        Block::ToolCall(call) => {
            let args = part::as_object(&call.arguments).map_or_else(|| Node::object([]), Node::from);
            part::write_call(&call.id, &call.name, args, call.signature.as_deref())
        }
        Block::Media(media) => return part::write_media(media).0,
        Block::Opaque { dialect: Dialect::Gemini, raw } => raw.into(),
        Block::Opaque { .. } | Block::ToolResult(_) => return None,
    })
}

fn write_thinking(thinking: &Thinking, hide: bool) -> Option<Node<'_>> {
    let text = if hide { "" } else { thinking.text.as_str() };
    let mut node = part::write_text(text, true, None);
    match sealed::seal(thinking) {
        Some(signature) => node.set("thoughtSignature", signature),
        None if text.is_empty() => return None,
        None => {}
    }
    Some(node)
}
