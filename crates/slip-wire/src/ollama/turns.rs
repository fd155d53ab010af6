//! The turns of a conversation as Ollama's messages: text in one string, pictures beside it, arguments as objects.

use crate::json;
use crate::openai_chat::encode::Losses;
use crate::openai_chat::write::{Arr, Obj};
use bytes::{BufMut, BytesMut};
use slip_ir::{Block, Media, MediaKind, Role, Source, ThinkingKind, ToolCall, Turn};
use std::collections::HashMap;

const NO_MEDIA: &str = "this dialect takes pictures in base64 only";

pub(super) fn write(a: &mut Arr<'_, BytesMut>, turns: &[Turn], losses: &mut Losses) {
    let names = names(turns);
    for turn in turns {
        let role = match turn.role {
            Role::System | Role::Developer => "system",
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        for result in turn.blocks.iter().filter_map(|b| if let Block::ToolResult(r) = b { Some(r) } else { None }) {
            if result.is_error {
                losses.push("tool result error mark", "this dialect cannot mark a result as failed");
            }
            a.obj(|o| {
                o.str("role", "tool");
                content(o, &result.content, "\n", losses);
                let name = result.name.as_deref().or(names.get(result.id.as_str()).copied());
                o.opt_str("tool_name", name);
                o.opt_str("tool_call_id", Some(result.id.as_str()).filter(|id| !id.is_empty()));
            });
        }
        let rest: Vec<&Block> = turn.blocks.iter().filter(|b| !matches!(b, Block::ToolResult(_))).collect();
        if rest.is_empty() && !turn.blocks.is_empty() {
            continue;
        }
        a.obj(|o| {
            o.str("role", role);
            content(o, rest.iter().copied(), if turn.role == Role::Assistant { "" } else { "\n" }, losses);
            thinking(o, &rest, losses);
            calls(o, &rest);
        });
    }
}

/// Names of tools by the ids of their calls, for results that do not say.
fn names(turns: &[Turn]) -> HashMap<&str, &str> {
    let calls = turns.iter().flat_map(|turn| &turn.blocks).filter_map(|block| match block {
        Block::ToolCall(call) if !call.id.is_empty() => Some((call.id.as_str(), call.name.as_str())),
        _ => None,
    });
    calls.collect()
}

/// `content`, and `images` where there are any.
pub(super) fn content<'a>(
    o: &mut Obj<'_, BytesMut>,
    blocks: impl IntoIterator<Item = &'a Block>,
    glue: &str,
    losses: &mut Losses,
) {
    let (texts, images) = said(blocks, losses);
    o.str("content", &texts.join(glue));
    write_images(o, &images);
}

pub(super) fn write_images(o: &mut Obj<'_, BytesMut>, images: &[&str]) {
    if !images.is_empty() {
        o.arr("images", |a| images.iter().for_each(|image| a.str(image)));
    }
}

/// What of the blocks can be told: texts, and pictures in base64.
pub(super) fn said<'a>(
    blocks: impl IntoIterator<Item = &'a Block>,
    losses: &mut Losses,
) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for block in blocks {
        match block {
            Block::Text(text) => {
                if text.cache.is_some() {
                    losses.push("cache_control", "this provider has no cache breakpoints");
                }
                texts.push(text.text.as_str());
            }
            Block::Refusal(words) => texts.push(words),
            Block::Media(Media { kind: MediaKind::Image, source: Source::Data { base64, .. }, .. }) => {
                images.push(base64.as_str());
            }
            Block::Media(Media { source: Source::Text(text), .. }) => texts.push(text),
            Block::Media(media) => losses.push(format!("messages[].{}", media.kind.name()), NO_MEDIA),
            Block::Opaque { dialect, .. } => {
                losses.push("messages[].content", format!("a part only {dialect} knows"));
            }
            Block::Thinking(_) | Block::ToolCall(_) | Block::ToolResult(_) => {}
        }
    }
    (texts, images)
}

fn thinking(o: &mut Obj<'_, BytesMut>, blocks: &[&Block], losses: &mut Losses) {
    let mut text = String::new();
    for block in blocks {
        let Block::Thinking(thinking) = block else { continue };
        if thinking.kind == ThinkingKind::Encrypted || thinking.signature.is_some() {
            losses.push("messages[].reasoning_details", "this provider takes reasoning back as plain text only");
        }
        text.push_str(&thinking.text);
    }
    if !text.is_empty() {
        o.str("thinking", &text);
    }
}

fn calls(o: &mut Obj<'_, BytesMut>, blocks: &[&Block]) {
    let calls: Vec<&ToolCall> =
        blocks.iter().filter_map(|block| if let Block::ToolCall(call) = block { Some(call) } else { None }).collect();
    if calls.is_empty() {
        return;
    }
    o.arr("tool_calls", |a| {
        for call in calls {
            a.obj(|o| {
                o.opt_str("id", Some(call.id.as_str()).filter(|id| !id.is_empty()));
                o.obj("function", |o| {
                    o.str("name", &call.name);
                    arguments(o, &call.arguments);
                });
            });
        }
    });
}

/// Arguments as the object they must be here; anything else is put into one.
pub(super) fn arguments<B: BufMut>(o: &mut Obj<'_, B>, text: &str) {
    let bytes = text.trim().as_bytes();
    match bytes.first() {
        Some(b'{') if json::check(bytes).is_ok() => o.span("arguments", bytes),
        None => o.span("arguments", b"{}"),
        _ if json::check(bytes).is_ok() => o.obj("arguments", |o| o.span("input", bytes)),
        _ => o.obj("arguments", |o| o.str("input", text)),
    }
}
