//! A whole reply, written as OpenRouter's clients read it.

use super::encoder::{model, readable};
use super::spell::{self, CallIds};
use super::turns::write_call;
use super::usage::write_usage;
use super::write::{Arr, Obj, object};
use super::{details, error};
use crate::Stamp;
use bytes::BytesMut;
use slip_ir::{Block, Choice, Fault, Finish, Media, MediaKind, Reply, Thinking};

pub(super) fn encode(reply: &Reply, stamp: &Stamp) -> Vec<u8> {
    if let (Some(fault), true) = (&reply.fault, reply.choices.is_empty()) {
        return error::encode(fault);
    }
    let mut out = BytesMut::with_capacity(1024);
    let mut ids = CallIds::new(stamp);
    object(&mut out, |o| {
        o.str("id", &stamp.id);
        o.str("object", "chat.completion");
        o.num("created", stamp.created);
        o.str("model", model(stamp, &reply.start));
        o.str("provider", &stamp.provider);
        o.str_or_null("service_tier", reply.start.service_tier.as_deref());
        o.str_or_null("system_fingerprint", reply.start.fingerprint.as_deref());
        o.arr("choices", |a| {
            for (nth, choice) in reply.choices.iter().enumerate() {
                let fault = reply.fault.as_ref().filter(|_| nth == 0);
                write_choice(a, choice, fault, stamp, &mut ids);
            }
        });
        let counted = reply.usage.clone();
        let usage = counted.unwrap_or_else(|| stamp.estimate(reply.choices.iter().map(text_bytes).sum()));
        write_usage(&usage, stamp, o.key("usage"));
    });
    Vec::from(out)
}

fn text_bytes(choice: &Choice) -> u64 {
    let bytes = |block: &Block| match block {
        Block::Text(t) => t.text.len(),
        Block::Refusal(t) => t.len(),
        Block::Thinking(t) => t.text.len(),
        Block::ToolCall(c) => c.arguments.len(),
        _ => 0,
    };
    choice.blocks.iter().map(|b| bytes(b) as u64).sum()
}

fn write_choice(a: &mut Arr<'_, BytesMut>, choice: &Choice, fault: Option<&Fault>, stamp: &Stamp, ids: &mut CallIds) {
    a.obj(|o| {
        o.num("index", choice.index);
        match &choice.logprobs {
            Some(raw) => o.raw("logprobs", raw),
            None => o.null("logprobs"),
        }
        // A reply that failed late must not look finished.
        let reason = if fault.is_some() { Some(Finish::Error) } else { choice.finish };
        o.str_or_null("finish_reason", reason.map(Finish::name));
        o.str_or_null("native_finish_reason", choice.native.as_deref());
        o.obj("message", |o| message(o, choice, stamp, ids));
        if let Some(fault) = fault {
            error::write(o, "error", fault);
        }
    });
}

/// The parts of a message, gathered from blocks in order.
#[derive(Default)]
struct Message<'a> {
    text: Option<String>,
    refusal: Option<String>,
    reasoning: String,
    details: Vec<Thinking>,
    annotations: Vec<&'a slip_ir::Raw>,
    images: Vec<&'a Media>,
    audio: Option<&'a Media>,
    calls: Vec<(String, &'a slip_ir::ToolCall)>,
}

fn message(o: &mut Obj<'_, BytesMut>, choice: &Choice, stamp: &Stamp, ids: &mut CallIds) {
    let mut m = Message::default();
    for block in &choice.blocks {
        match block {
            Block::Text(text) => {
                m.text.get_or_insert_default().push_str(&text.text);
                m.annotations.extend(text.annotations.iter().filter(|raw| spell::is_annotation(raw)));
                m.details.extend(text.signature.as_deref().map(|s| Thinking { id: None, ..details::seal("", s) }));
            }
            Block::Refusal(words) => m.refusal.get_or_insert_default().push_str(words),
            Block::Thinking(thinking) => {
                m.reasoning.push_str(readable(thinking));
                m.details.push(thinking.clone());
            }
            Block::ToolCall(call) => {
                let id = ids.take(&call.id);
                m.details.extend(call.signature.as_deref().map(|s| details::seal(&id, s)));
                m.calls.push((id, call));
            }
            Block::Media(media) if spell::is_shown(media) => match media.kind {
                MediaKind::Audio => m.audio = Some(media),
                _ => m.images.push(media),
            },
            Block::Media(_) | Block::ToolResult(_) | Block::Opaque { .. } => {}
        }
    }
    let mut numbered: Vec<(u32, Thinking)> = (0u32..).zip(m.details).collect();
    if stamp.hide_reasoning {
        m.reasoning.clear();
        let called = !m.calls.is_empty();
        numbered.retain(|(_, t)| called && (t.signature.is_some() || t.data.is_some()));
        numbered.iter_mut().for_each(|(_, t)| t.text.clear());
    }
    o.str("role", "assistant");
    let elsewhere = !m.calls.is_empty() || m.refusal.is_some() || m.audio.is_some();
    match (&m.text, elsewhere) {
        (None, true) => o.null("content"),
        (text, _) => o.str("content", text.as_deref().unwrap_or_default()),
    }
    o.str_or_null("refusal", m.refusal.as_deref());
    o.str_or_null("reasoning", Some(m.reasoning.as_str()).filter(|r| !r.is_empty()));
    if !numbered.is_empty() {
        o.arr("reasoning_details", |a| {
            for (number, thinking) in &numbered {
                a.obj(|o| details::write(o, thinking, *number));
            }
        });
    }
    if !m.annotations.is_empty() {
        o.arr("annotations", |a| m.annotations.iter().for_each(|raw| a.raw(raw)));
    }
    if !m.images.is_empty() {
        o.arr("images", |a| m.images.iter().for_each(|image| a.obj(|o| spell::write_image(o, image))));
    }
    if let Some(audio) = m.audio {
        o.obj("audio", |o| spell::write_audio(o, audio));
    }
    if !m.calls.is_empty() {
        o.arr("tool_calls", |a| {
            for (number, (id, call)) in m.calls.iter().enumerate() {
                a.obj(|o| {
                    o.num("index", number);
                    o.str("id", id);
                    write_call(o, call, if call.arguments.is_empty() { "{}" } else { &call.arguments });
                });
            }
        });
    }
}
