//! Whole replies, both ways.

use super::blocks::Reader;
use super::messages::{write_call, write_thinking};
use super::{citations, error, finish_of, media, stop_reason, usage};
use crate::anthropic::messages::object_text;
use crate::anthropic::reply::{shown_id, text_bytes};
use crate::object::{Object, Writer, array};
use crate::{Malformed, Stamp};
use slip_ir::request::format;
use slip_ir::{Block, Choice, Dialect, Finish, Reply, Text, Thinking, ThinkingKind, Usage};
use std::borrow::Cow;

pub fn decode(body: &[u8]) -> Result<Reply, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::new("", "the body is not UTF-8"))?;
    let mut o = Object::parse(text, "")?;
    let Some(mut output) = o.object("output", "")? else {
        if o.has("message") || o.has("Message") || o.has("__type") {
            let fault = error::decode(200, &http::HeaderMap::new(), body);
            return Ok(Reply { fault: Some(fault), ..Reply::default() });
        }
        return Err(Malformed::new("output", "is required"));
    };
    let message = output.object("message", "output")?;
    let mut message = message.ok_or_else(|| Malformed::new("output.message", "is required"))?;
    let items = message.array("content", "output.message")?.unwrap_or_default();
    let blocks = Reader::new(true, &mut Vec::new()).content(items, "output.message.content")?;
    let native = o.string("stopReason", "").ok().flatten();
    let called_tools = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let choice = Choice {
        index: 0,
        finish: Some(finish_of(native.as_deref(), called_tools)),
        native,
        stop_sequence: stop_sequence(&mut o),
        blocks,
        logprobs: None,
    };
    let tier = usage::served(o.take("serviceTier").map(|raw| raw.get().as_bytes()));
    let usage = o.take("usage").and_then(usage::read).map(|usage| Usage { tier, ..usage });
    Ok(Reply { choices: vec![choice], usage, ..Reply::default() })
}

/// Which sequence stopped the model, where the caller asked for the model's own fields.
pub fn stop_sequence(o: &mut Object<'_>) -> Option<String> {
    o.object("additionalModelResponseFields", "").ok()??.string("stop_sequence", "").ok()?
}

pub fn encode(reply: &Reply, stamp: &Stamp) -> Vec<u8> {
    let nothing = Choice::default();
    let choice = reply.choices.iter().min_by_key(|choice| choice.index).unwrap_or(&nothing);
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    let mut output = Writer::open(w.key("output"));
    let mut message = Writer::open(output.key("message"));
    message.put("role", "assistant");
    array(message.key("content"), tell(choice, stamp), |out, block| out.extend_from_slice(&block));
    message.close();
    output.close();
    let finish = choice.finish.unwrap_or(Finish::Stop);
    write_ending(&mut w, finish, choice.native.as_deref(), choice.stop_sequence.as_deref());
    let usage = match &reply.usage {
        Some(usage) => Cow::Borrowed(usage),
        None => Cow::Owned(stamp.estimate(text_bytes(choice))),
    };
    usage::write(w.key("usage"), &usage, stamp);
    w.raw("metrics", METRICS);
    w.close();
    out
}

/// Clients insist on a latency. Theirs they can measure; ours is in the record.
pub const METRICS: &str = r#"{"latencyMs":0}"#;

/// How a message ends, whole or streamed.
pub fn write_ending(w: &mut Writer<'_>, finish: Finish, native: Option<&str>, stop_sequence: Option<&str>) {
    w.put("stopReason", stop_reason(finish, native, stop_sequence));
    if let Some(sequence) = stop_sequence {
        let mut fields = Writer::open(w.key("additionalModelResponseFields"));
        fields.put("stop_sequence", sequence);
        fields.close();
    }
}

/// The blocks a caller sees.
fn tell(choice: &Choice, stamp: &Stamp) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    for (n, block) in choice.blocks.iter().enumerate() {
        match block {
            Block::Text(text) => {
                blocks.extend(text_block(text));
                blocks.extend(text.signature.as_ref().map(|signature| signature_block(None, signature)));
            }
            Block::Refusal(text) => blocks.extend(text_block(&Text::plain(text.as_str()))),
            Block::Thinking(thinking) => blocks.extend(thinking_block(thinking, stamp.hide_reasoning)),
            Block::ToolCall(call) => {
                let id = shown_id(&call.id, stamp, n as u64);
                let mut out = Vec::new();
                write_call(&mut out, &id, &call.name, object_text(&call.arguments).unwrap_or("{}"));
                blocks.push(out);
                blocks.extend(call.signature.as_ref().map(|signature| signature_block(Some(&id), signature)));
            }
            Block::Media(media) => {
                blocks.extend(media::picture(media).map(|(format, base64)| picture(format, &base64)))
            }
            Block::Opaque { dialect: Dialect::Bedrock, raw } => blocks.push(raw.as_str().as_bytes().to_vec()),
            // Other dialects' blocks have no place in a message.
            Block::ToolResult(_) | Block::Opaque { .. } => {}
        }
    }
    blocks
}

fn text_block(text: &Text) -> Option<Vec<u8>> {
    let cited: Vec<_> = text.annotations.iter().filter_map(citations::to_citation).collect();
    if text.text.is_empty() && cited.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    if cited.is_empty() {
        w.text("text", &text.text);
    } else {
        let mut inner = Writer::open(w.key("citationsContent"));
        array(inner.key("content"), [&text.text], |out, text| {
            let mut w = Writer::open(out);
            w.text("text", text);
            w.close();
        });
        inner.put("citations", &cited);
        inner.close();
    }
    w.close();
    Some(out)
}

/// Reasoning a caller did not want to see keeps its signature, which a tool loop needs.
fn thinking_block(thinking: &Thinking, hide: bool) -> Option<Vec<u8>> {
    if hide && thinking.kind != ThinkingKind::Encrypted && thinking.signature.is_none() {
        return None;
    }
    let hidden;
    let shown = if hide && thinking.kind != ThinkingKind::Encrypted {
        hidden = Thinking { text: String::new(), ..thinking.clone() };
        &hidden
    } else {
        thinking
    };
    let mut out = Vec::new();
    write_thinking(&mut out, shown);
    Some(out)
}

/// A signature on text or on a call, which a message has no place for, as a sealed block that names the call. Only Gemini signs
/// these.
fn signature_block(call: Option<&str>, signature: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_thinking(&mut out, &sealed_signature(call, signature));
    out
}

pub fn sealed_signature(call: Option<&str>, signature: &str) -> Thinking {
    Thinking {
        kind: ThinkingKind::Encrypted,
        data: Some(signature.to_owned()),
        format: format::GEMINI.to_owned(),
        id: call.map(str::to_owned),
        ..Thinking::default()
    }
}

fn picture(format: &str, base64: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    let mut image = Writer::open(w.key("image"));
    image.put("format", format);
    write_bytes(image.key("source"), base64);
    image.close();
    w.close();
    out
}

/// `{"bytes": …}`
pub fn write_bytes(out: &mut Vec<u8>, base64: &str) {
    let mut w = Writer::open(out);
    w.text("bytes", base64);
    w.close();
}
