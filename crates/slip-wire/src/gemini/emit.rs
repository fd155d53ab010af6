//! A stream for Gemini clients.
//!
//! Text goes out as it comes; a call goes out whole, because a `functionCall` part cannot be split. Finish reasons and usage are
//! told in one last chunk, as Google does. Lines end with CRLF, there is no `[DONE]`, and there are no comments: Google's own
//! JavaScript client expects `data:` at the start of whatever is left to read, and a comment there stops it (read 2026-11).

use super::tree::Node;
use super::{error, finish, grounding, logprobs, part, reply, sealed, usage};
use crate::Stamp;
use crate::dialect::Encode;
use bytes::{BufMut, BytesMut};
use slip_ir::{Block, BlockKind, Event, Fault, Finish, Piece, Raw, Thinking, ToolCall, Usage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much text is kept for placing citations in it.
const MOST_CITED: usize = 1 << 20;

pub(super) struct Encoder {
    stamp: Arc<Stamp>,
    choices: BTreeMap<u32, Choice>,
    usage: Option<Usage>,
    tier: Option<String>,
    bytes: u64,
    done: bool,
}

#[derive(Default)]
struct Choice {
    /// Blocks now open, by number. Calls and media are kept until they are whole; of text only the kind is kept.
    open: BTreeMap<u32, Block>,
    text: String,
    annotations: Vec<Raw>,
    logprobs: Vec<Raw>,
    finish: Option<(Finish, Option<String>)>,
}

impl Encoder {
    pub(super) fn new(stamp: Arc<Stamp>) -> Encoder {
        Encoder { stamp, choices: BTreeMap::new(), usage: None, tier: None, bytes: 0, done: false }
    }

    fn open(&mut self, choice: u32, block: u32, kind: BlockKind, out: &mut BytesMut) {
        let opened = match kind {
            BlockKind::Text => Block::text(""),
            BlockKind::Refusal => Block::Refusal(String::new()),
            BlockKind::Thinking { kind, format, id } => {
                Block::Thinking(Thinking { kind, format, id, ..Thinking::default() })
            }
            BlockKind::ToolCall { id, name, .. } => Block::ToolCall(ToolCall { id, name, ..ToolCall::default() }),
            BlockKind::Opaque { dialect, raw } => {
                let whole = Block::Opaque { dialect, raw };
                return self.say(choice, reply::write_block(&whole, &self.stamp), out);
            }
            // Comes whole with its piece.
            BlockKind::Media { .. } => return,
        };
        self.choices.entry(choice).or_default().open.insert(block, opened);
    }

    fn delta(&mut self, choice: u32, block: u32, piece: &Piece, out: &mut BytesMut) {
        if let Piece::Media(media) = piece {
            return self.say(choice, part::write_media(media).0, out);
        }
        let Some(state) = self.choices.get_mut(&choice) else { return };
        let part = match (state.open.get_mut(&block), piece) {
            (Some(Block::Text(_)), Piece::Annotation(raw)) => {
                state.annotations.push(raw.clone());
                return;
            }
            (Some(open @ (Block::Text(_) | Block::Refusal(_))), Piece::Text(text)) => {
                self.bytes += text.len() as u64;
                if matches!(open, Block::Text(_)) && state.text.len() + text.len() <= MOST_CITED {
                    state.text.push_str(text);
                }
                part::write_text(text, false, None)
            }
            (Some(Block::Text(_)), Piece::Signature(signature)) => part::write_text("", false, Some(signature)),
            (Some(Block::Thinking(_)), Piece::Text(text)) => {
                self.bytes += text.len() as u64;
                if self.stamp.hide_reasoning {
                    return;
                }
                part::write_text(text, true, None)
            }
            // A signature may come in pieces and is worth nothing in parts.
            (Some(Block::Thinking(thinking)), Piece::Signature(signature)) => {
                thinking.signature.get_or_insert_default().push_str(signature);
                return;
            }
            (Some(Block::Thinking(thinking)), Piece::Data(data)) => {
                thinking.data.get_or_insert_default().push_str(data);
                return;
            }
            (Some(Block::ToolCall(call)), Piece::Arguments(json)) => {
                call.arguments.push_str(json);
                return;
            }
            (Some(Block::ToolCall(call)), Piece::Signature(signature)) => {
                call.signature.get_or_insert_default().push_str(signature);
                return;
            }
            _ => return,
        };
        let is_silent = part.get("text").and_then(Node::as_str) == Some("") && part.get("thoughtSignature").is_none();
        if !is_silent {
            self.say(choice, Some(part), out);
        }
    }

    fn close(&mut self, choice: u32, block: u32, out: &mut BytesMut) {
        let closed = self.choices.get_mut(&choice).and_then(|state| state.open.remove(&block));
        match closed {
            Some(whole @ Block::ToolCall(_)) => {
                self.bytes += reply::weight(&whole);
                self.say(choice, reply::write_block(&whole, &self.stamp), out);
            }
            // What is left to say of reasoning is what seals it.
            Some(Block::Thinking(thinking)) => {
                let Some(sealed) = sealed::seal(&thinking) else { return };
                let mut node = part::write_text("", true, None);
                node.set("thoughtSignature", sealed);
                self.say(choice, Some(node), out);
            }
            _ => {}
        }
    }

    /// Send one part.
    fn say(&self, choice: u32, part: Option<Node<'_>>, out: &mut BytesMut) {
        let Some(part) = part else { return };
        let content = Node::object([("parts", Node::Array(vec![part])), ("role", "model".into())]);
        let candidate = Node::object([("content", content), ("index", u64::from(choice).into())]);
        self.chunk(Node::object([("candidates", Node::Array(vec![candidate]))]), out);
    }

    fn chunk(&self, mut node: Node<'_>, out: &mut BytesMut) {
        node.set("modelVersion", self.stamp.model.clone());
        node.set("responseId", self.stamp.id.clone());
        let mut bytes = node.to_vec();
        // JSON that is only carried may be indented, and a line end would break the frame; inside strings it is always escaped.
        bytes.iter_mut().filter(|b| matches!(**b, b'\n' | b'\r')).for_each(|b| *b = b' ');
        out.put_slice(b"data: ");
        out.put_slice(&bytes);
        out.put_slice(b"\r\n\r\n");
    }

    fn counts(&self) -> Option<Node<'static>> {
        let usage = self.usage.clone().or_else(|| usage::estimate(&self.stamp, self.bytes))?;
        Some(usage::write(&usage, &self.stamp, self.tier.as_deref()))
    }

    /// Calls that were never closed are sent as far as they came.
    fn flush(&mut self, out: &mut BytesMut) {
        let open: Vec<(u32, u32)> =
            self.choices.iter().flat_map(|(&c, state)| state.open.keys().map(move |&b| (c, b))).collect();
        for (choice, block) in open {
            self.close(choice, block, out);
        }
    }

    fn fail(&mut self, fault: &Fault, out: &mut BytesMut) {
        self.done = true;
        let mut node = Node::object([("error", error::node(fault, Some(&self.stamp.id)))]);
        if let Some(counts) = self.counts() {
            node.set("usageMetadata", counts);
        }
        self.chunk(node, out);
    }
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.done {
            return;
        }
        match event {
            Event::Start(start) => self.tier = start.service_tier.clone(),
            Event::Open { choice, block, kind } => self.open(*choice, *block, kind.clone(), out),
            Event::Delta { choice, block, piece } => self.delta(*choice, *block, piece, out),
            Event::Close { choice, block } => self.close(*choice, *block, out),
            Event::Logprobs { choice, raw } => self.choices.entry(*choice).or_default().logprobs.push(raw.clone()),
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            Event::Finish { choice, reason, native, .. } => {
                self.choices.entry(*choice).or_default().finish = Some((*reason, native.clone()));
            }
            Event::Fault(fault) => self.fail(fault, out),
            Event::Ping | Event::Opaque(_) => {}
        }
    }

    fn eof(&mut self, out: &mut BytesMut) {
        if self.done {
            return;
        }
        self.flush(out);
        self.done = true;
        let mut candidates = Vec::new();
        for (&index, choice) in &self.choices {
            let parts = Node::Array(vec![part::write_text("", false, None)]);
            let mut node = Node::object([("content", Node::object([("parts", parts), ("role", "model".into())]))]);
            if let Some((reason, native)) = &choice.finish {
                node.set("finishReason", finish::spell(*reason, native.as_deref()));
            }
            node.set("index", u64::from(index));
            if let Some(grounding) = grounding::write(choice.annotations.iter(), &choice.text) {
                node.set("groundingMetadata", grounding);
            }
            let results: Vec<Node<'static>> = choice.logprobs.iter().filter_map(logprobs::write).collect();
            if let Some(result) = merge(results) {
                node.set("logprobsResult", result);
            }
            candidates.push(node);
        }
        let mut node = Node::object([("candidates", Node::Array(candidates))]);
        if let Some(counts) = self.counts() {
            node.set("usageMetadata", counts);
        }
        self.chunk(node, out);
    }
}

/// Several `logprobsResult` objects as one.
fn merge(results: Vec<Node<'static>>) -> Option<Node<'static>> {
    results.into_iter().reduce(|mut whole, more| {
        if let (Node::Object(whole), Node::Object(more)) = (&mut whole, more) {
            for ((_, have), (_, add)) in whole.iter_mut().zip(more) {
                if let (Node::Array(have), Node::Array(add)) = (have, add) {
                    have.extend(add);
                }
            }
        }
        whole
    })
}
