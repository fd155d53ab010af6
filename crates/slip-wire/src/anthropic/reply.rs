//! Whole replies, both ways.

use super::blocks::Reader;
use super::messages::object_text;
use super::usage::{self, Counts};
use super::{citations, error, finish_of, ids, seal, stop_reason, wire};
use crate::object::{Object, Writer, array, read};
use crate::{Malformed, Stamp};
use serde_json::value::RawValue;
use slip_ir::event::Start;
use slip_ir::request::format;
use slip_ir::{Block, Choice, Dialect, Finish, Raw, Reply, Thinking, ThinkingKind, ToolCall, Usage};
use std::borrow::Cow;

pub fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::new("", "the body is not UTF-8"))?;
    let mut o = Object::parse(text, "")?;
    if let Some(said) = o.take("error") {
        return Ok(Reply { fault: Some(error::in_reply(said)), ..Reply::default() });
    }
    let mut counts = Counts::default();
    if let Some(usage) = o.take("usage") {
        counts.absorb(usage);
    }
    let start = Start {
        // A name of an odd shape is no reason to throw an answer away.
        id: o.string("id", "").ok().flatten(),
        model: o.string("model", "").ok().flatten(),
        service_tier: counts.service_tier.clone(),
        ..Start::default()
    };
    let content = o.take("content").ok_or_else(|| Malformed::new("content", "is required"))?;
    let mut losses = Vec::new();
    let mut blocks = Reader::new(&mut losses).content(content, "content")?;
    name_unsigned(&mut blocks, content)?;
    let native = o.string("stop_reason", "").ok().flatten();
    if blocks.is_empty()
        && let Some(explanation) = wire::explanation(&mut o, native.as_deref())
    {
        blocks.push(Block::Refusal(explanation));
    }
    let called_tools = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let choice = Choice {
        index: 0,
        finish: Some(finish_of(native.as_deref(), called_tools)),
        native,
        stop_sequence: o.string("stop_sequence", "").ok().flatten(),
        blocks,
        logprobs: None,
    };
    Ok(Reply { start, choices: vec![choice], usage: counts.usage(), fault: None })
}

/// Thinking in a reply that has the `signature` member but no signature is still Anthropic's, as in a stream; only in a request
/// does its absence mean that it cannot be read again.
fn name_unsigned(blocks: &mut [Block], content: &RawValue) -> Result<(), Malformed> {
    let unsigned = |block: &Block| matches!(block, Block::Thinking(t) if t.format == format::UNKNOWN);
    if !blocks.iter().any(unsigned) {
        return Ok(());
    }
    let items: Vec<&RawValue> = read(content, "content", "an array of blocks")?;
    for (block, item) in blocks.iter_mut().zip(items) {
        if let Block::Thinking(thinking) = block
            && thinking.format == format::UNKNOWN
            && Object::parse(item.get(), "").is_ok_and(|o| o.has("signature") && !o.has("format"))
            && thinking.signature.is_none()
        {
            thinking.format = format::ANTHROPIC.to_owned();
        }
    }
    Ok(())
}

pub fn encode(reply: &Reply, stamp: &Stamp) -> Vec<u8> {
    let nothing = Choice::default();
    let choice = reply.choices.iter().min_by_key(|choice| choice.index).unwrap_or(&nothing);
    let told = tell(choice, stamp);
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    head(&mut w, stamp);
    array(w.key("content"), &told.blocks, |out, block| out.extend_from_slice(block));
    let end = Ending {
        finish: choice.finish.unwrap_or(Finish::Stop),
        native: choice.native.as_deref(),
        stop_sequence: choice.stop_sequence.as_deref(),
        explanation: told.explanation,
    };
    end.write(&mut w);
    let usage = match &reply.usage {
        Some(usage) => Cow::Borrowed(usage),
        None => Cow::<Usage>::Owned(stamp.estimate(text_bytes(choice))),
    };
    usage::write(w.key("usage"), &usage, &reply.start, stamp, true);
    w.close();
    out
}

/// What every message begins with, streamed or not.
pub fn head(w: &mut Writer<'_>, stamp: &Stamp) {
    w.put("id", &stamp.id).put("type", "message").put("role", "assistant");
    w.put("model", &stamp.model).put("provider", &stamp.provider);
}

/// How a message ends, at its own top level or in a `message_delta`.
pub struct Ending<'a> {
    pub finish: Finish,
    pub native: Option<&'a str>,
    pub stop_sequence: Option<&'a str>,
    /// Why the request was refused, where nothing else was said.
    pub explanation: Option<&'a str>,
}

impl Ending<'_> {
    pub fn write(&self, w: &mut Writer<'_>) {
        w.put("stop_reason", stop_reason(self.finish, self.native, self.stop_sequence));
        w.put("stop_sequence", &self.stop_sequence);
        match self.explanation {
            Some(explanation) => {
                let mut details = Writer::open(w.key("stop_details"));
                details.put("type", "refusal").raw("category", "null").put("explanation", explanation);
                details.close();
            }
            None => {
                w.raw("stop_details", "null");
            }
        }
        w.raw("container", "null");
    }
}

struct Told<'r> {
    blocks: Vec<Vec<u8>>,
    explanation: Option<&'r str>,
}

/// The blocks a caller sees. A refusal that is all there is is told as Anthropic does: no content, and why.
fn tell<'r>(choice: &'r Choice, stamp: &Stamp) -> Told<'r> {
    if let ([Block::Refusal(explanation)], Some(Finish::ContentFilter)) = (choice.blocks.as_slice(), choice.finish) {
        return Told { blocks: Vec::new(), explanation: Some(explanation) };
    }
    let mut blocks = Vec::new();
    for (n, block) in choice.blocks.iter().enumerate() {
        match block {
            Block::Text(text) => {
                let cited: Vec<Raw> =
                    text.annotations.iter().filter_map(|a| citations::to_citation(a, false)).collect();
                // Programs take a message's last block for its answer.
                blocks.extend(text.signature.as_ref().map(|signature| signature_block(None, signature)));
                if !text.text.is_empty() || !cited.is_empty() {
                    blocks.push(text_block(&text.text, &cited));
                }
            }
            Block::Refusal(text) if text.is_empty() => {}
            Block::Refusal(text) => blocks.push(text_block(text, &[])),
            Block::Thinking(thinking) => blocks.extend(thinking_block(thinking, stamp.hide_reasoning)),
            Block::ToolCall(call) => {
                let id = shown_id(&call.id, stamp, n as u64);
                blocks.push(call_block(call, &id));
                blocks.extend(call.signature.as_ref().map(|signature| signature_block(Some(&id), signature)));
            }
            Block::Opaque { dialect: Dialect::Anthropic, raw } => blocks.push(raw.as_str().as_bytes().to_vec()),
            // Produced media and other dialects' blocks have no place in a message.
            Block::Media(_) | Block::ToolResult(_) | Block::Opaque { .. } => {}
        }
    }
    Told { blocks, explanation: None }
}

fn text_block(text: &str, cited: &[Raw]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("type", "text").put("text", text);
    if cited.is_empty() {
        w.raw("citations", "null")
    } else {
        w.put("citations", cited)
    };
    w.close();
    out
}

/// Reasoning a caller did not want to see keeps its signature, which a tool loop needs: Anthropic itself shows it so
/// (`display: "omitted"`).
fn thinking_block(thinking: &Thinking, hide: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if thinking.kind == ThinkingKind::Encrypted {
        sealed_block(&mut out, thinking.data.as_deref().unwrap_or_default(), &thinking.format, thinking.id.as_deref());
        return Some(out);
    }
    if hide && thinking.signature.is_none() {
        return None;
    }
    let text = if hide { "" } else { thinking.text.as_str() };
    let signature = thinking.signature.as_ref().map(|s| seal::seal(&thinking.format, thinking.id.as_deref(), s));
    thinking_start(&mut out, text, signature.as_deref().unwrap_or_default(), &thinking.format, thinking.id.as_deref());
    Some(out)
}

/// A thinking block. Who thought is said where it was not Anthropic.
pub fn thinking_start(out: &mut Vec<u8>, text: &str, signature: &str, name: &str, id: Option<&str>) {
    let mut w = Writer::open(out);
    w.put("type", "thinking").put("thinking", text).put("signature", signature);
    if !seal::is_ours(name) {
        w.put("format", seal::named(name)).put_some("id", &id);
    }
    w.close();
}

pub fn sealed_block(out: &mut Vec<u8>, data: &str, name: &str, id: Option<&str>) {
    let mut w = Writer::open(out);
    w.put("type", "redacted_thinking").put("data", &seal::seal(name, id, data));
    w.close();
}

/// A signature on text or on a call, which a message has no place for, as a sealed block that names the call. Only Gemini signs
/// these.
pub fn signature_block(call: Option<&str>, signature: &str) -> Vec<u8> {
    let mut out = Vec::new();
    sealed_block(&mut out, signature, format::GEMINI, call);
    out
}

pub fn shown_id<'a>(id: &'a str, stamp: &Stamp, block: u64) -> Cow<'a, str> {
    if id.is_empty() { Cow::Owned(ids::mint(&stamp.id, block)) } else { Cow::Borrowed(id) }
}

fn call_block(call: &ToolCall, id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    call_start(&mut out, id, &call.name, object_text(&call.arguments).unwrap_or("{}"), call.extra.as_ref());
    out
}

pub fn call_start(out: &mut Vec<u8>, id: &str, name: &str, input: &str, extra: Option<&Raw>) {
    let mut w = Writer::open(out);
    w.put("type", "tool_use").put("id", id).put("name", name).raw("input", input);
    if let Some(extra) = extra {
        w.known(extra, &["caller"], |_| {});
    }
    w.close();
}

/// Bytes of everything the model wrote, for an estimate.
pub fn text_bytes(choice: &Choice) -> u64 {
    let bytes = |block: &Block| match block {
        Block::Text(text) => text.text.len(),
        Block::Refusal(text) => text.len(),
        Block::Thinking(thinking) => thinking.text.len(),
        Block::ToolCall(call) => call.arguments.len(),
        _ => 0,
    };
    choice.blocks.iter().map(|block| bytes(block) as u64).sum()
}
