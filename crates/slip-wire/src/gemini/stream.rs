//! A reply as Gemini tells it, read: one state machine for streams and for whole replies.
//!
//! Every chunk is a small reply of its own. Nothing says where a part begins or ends: the first part of a chunk goes on where
//! the last chunk stopped if it is of the same kind. There are no ids and no final mark; a chunk with a `finishReason` may be
//! followed by more, so the finish is told when the bytes end.

use super::part::{self, Part};
use super::tree::{self, Members};
use super::{error, finish, grounding, logprobs, usage};
use crate::dialect::{Decode, cut_short};
use crate::frame::Frame;
use serde_json::value::RawValue;
use slip_ir::event::Start;
use slip_ir::request::format;
use slip_ir::{BlockKind, Dialect, Event, Fault, FaultKind, Finish, Media, Piece, Raw, Remedy, ThinkingKind, Usage};
use std::collections::{BTreeMap, HashSet};

/// Candidates are numbered by the upstream, and each number costs memory here; Google gives at most eight.
const MOST_CHOICES: u64 = 128;
/// Citations of one choice, over all its chunks.
const MOST_CITATIONS: usize = 10_000;
/// How much text is kept for placing citations in it. Beyond it citations have no place.
const MOST_CITED: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Decoder {
    started: bool,
    /// After a fault or the end nothing more is told.
    done: bool,
    choices: BTreeMap<u32, Choice>,
    usage: Option<Usage>,
    searches: u64,
}

#[derive(Default)]
struct Choice {
    blocks: u32,
    open: Option<Open>,
    /// Visible text so far.
    text: String,
    called: bool,
    content: bool,
    /// The upstream's word for why it ended.
    finish: Option<String>,
    blocked: bool,
    cited: HashSet<String>,
}

/// A block that the next chunk may continue.
struct Open {
    block: u32,
    thought: bool,
    /// A signature ends a block.
    signed: bool,
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.done || frame.data.trim_ascii().is_empty() {
            return;
        }
        // Google sends no such mark, servers that imitate it may.
        if frame.is_done() {
            return self.eof(out);
        }
        match serde_json::from_slice::<&RawValue>(frame.data) {
            Ok(raw) => self.document(raw, out),
            Err(_) => self.broken("the provider's stream is not JSON", out),
        }
    }

    fn eof(&mut self, out: &mut Vec<Event>) {
        if self.done {
            return;
        }
        if self.choices.values().all(|choice| choice.finish.is_none()) {
            return self.fault(cut_short(Remedy::Elsewhere), out);
        }
        self.end(out);
    }
}

impl Decoder {
    /// A chunk, or a list of chunks as sent without `alt=sse`.
    pub(super) fn document(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        match tree::list(raw) {
            Some(chunks) => chunks.into_iter().for_each(|chunk| self.chunk(chunk, out)),
            None => self.broken("the provider's stream holds no object", out),
        }
    }

    /// Close everything and tell how each choice ended.
    pub(super) fn end(&mut self, out: &mut Vec<Event>) {
        self.done = true;
        for (&index, choice) in &mut self.choices {
            choice.close(index, out);
        }
        for (&index, choice) in &self.choices {
            let Some(word) = &choice.finish else { continue };
            let reason = match choice.blocked {
                true => Finish::ContentFilter,
                false => finish::meaning(word, choice.called, choice.content),
            };
            out.push(Event::Finish { choice: index, reason, native: Some(word.clone()), stop_sequence: None });
        }
    }

    fn broken(&mut self, says: &'static str, out: &mut Vec<Event>) {
        self.fault(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
    }

    fn fault(&mut self, fault: Fault, out: &mut Vec<Event>) {
        for (&index, choice) in &mut self.choices {
            choice.close(index, out);
        }
        self.done = true;
        out.push(Event::Fault(fault));
    }

    fn chunk(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        if self.done {
            return;
        }
        let Some(m) = Members::of(raw) else { return self.broken("the provider's stream holds no object", out) };
        if let Some(raw) = m.get("error") {
            return self.fault(error::in_band(raw), out);
        }
        if !is_known(&m) {
            // Nothing may stand before the start, and this does not say who answers.
            out.extend(tree::keep(raw).filter(|_| self.started).map(Event::Opaque));
            return;
        }
        let metadata = m.get("usageMetadata");
        if !self.started {
            self.started = true;
            let text = |name: &str| m.get(name).and_then(tree::string).filter(|text| !text.is_empty());
            let tier = metadata.and_then(Members::of).and_then(|m| m.get("serviceTier").and_then(tree::string));
            let start =
                Start { id: text("responseId"), model: text("modelVersion"), service_tier: tier, ..Start::default() };
            out.push(Event::Start(start));
        }
        let candidates = m.get("candidates").and_then(tree::list).unwrap_or_default();
        for (place, raw) in candidates.iter().enumerate() {
            self.candidate(raw, place as u64, out);
        }
        if candidates.is_empty()
            && let Some(feedback) = m.get("promptFeedback").and_then(Members::of)
        {
            self.blocked(&feedback, out);
        }
        if let Some(mut usage) = metadata.and_then(usage::read) {
            usage.web_searches = self.searches;
            if self.usage.as_ref() != Some(&usage) {
                self.usage = Some(usage.clone());
                out.push(Event::Usage(usage));
            }
        }
    }

    /// The prompt itself was refused: there is no candidate, only the reason.
    fn blocked(&mut self, feedback: &Members<'_>, out: &mut Vec<Event>) {
        let number = |raw| tree::count(raw).map(|n| n.to_string());
        let Some(reason) = feedback.get("blockReason").and_then(|raw| tree::string(raw).or_else(|| number(raw))) else {
            return;
        };
        let choice = self.choices.entry(0).or_default();
        if choice.finish.is_some() {
            return;
        }
        choice.finish = Some(reason);
        choice.blocked = true;
        if let Some(message) = feedback.get("blockReasonMessage").and_then(tree::string).filter(|m| !m.is_empty()) {
            choice.whole(0, BlockKind::Refusal, Some(Piece::Text(message)), out);
        }
    }

    fn candidate(&mut self, raw: &RawValue, place: u64, out: &mut Vec<Event>) {
        let Some(m) = Members::of(raw) else { return };
        let number = m.get("index").and_then(tree::count).unwrap_or(place);
        let Some(index) = u32::try_from(number).ok().filter(|_| number < MOST_CHOICES) else { return };
        let choice = self.choices.entry(index).or_default();
        let content = m.get("content").and_then(Members::of);
        let parts = content.and_then(|content| content.get("parts").and_then(tree::list)).unwrap_or_default();
        let mut first = true;
        for raw in parts {
            // A part that is not what it should be says nothing; the others still count.
            let Ok(part) = part::read(raw, "") else {
                choice.opaque(index, raw, out);
                first = false;
                continue;
            };
            let is_silent = match &part {
                Part::Empty => true,
                Part::Text { text, signature, .. } => text.is_empty() && signature.is_none(),
                _ => false,
            };
            if !is_silent {
                choice.part(index, part, raw, first, out);
                first = false;
            }
        }
        let mut citations = Vec::new();
        grounding::read(&m, &choice.text, &mut citations);
        choice.cite(index, citations, out);
        self.searches = self.searches.max(grounding::searches(&m));
        if let Some(raw) = m.get("logprobsResult").and_then(logprobs::read) {
            out.push(Event::Logprobs { choice: index, raw });
        }
        if let Some(word) = m.get("finishReason").and_then(finish::word) {
            choice.finish = Some(word);
        }
    }
}

fn is_known(m: &Members<'_>) -> bool {
    ["candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId"]
        .iter()
        .any(|name| m.get(name).is_some())
}

impl Choice {
    fn open(&mut self, choice: u32, kind: BlockKind, out: &mut Vec<Event>) -> u32 {
        self.close(choice, out);
        let block = self.blocks;
        self.blocks += 1;
        out.push(Event::Open { choice, block, kind });
        block
    }

    fn close(&mut self, choice: u32, out: &mut Vec<Event>) {
        if let Some(open) = self.open.take() {
            out.push(Event::Close { choice, block: open.block });
        }
    }

    /// A block that comes in one piece.
    fn whole(&mut self, choice: u32, kind: BlockKind, pieces: impl IntoIterator<Item = Piece>, out: &mut Vec<Event>) {
        let block = self.open(choice, kind, out);
        out.extend(pieces.into_iter().map(|piece| Event::Delta { choice, block, piece }));
        out.push(Event::Close { choice, block });
    }

    fn opaque(&mut self, choice: u32, raw: &RawValue, out: &mut Vec<Event>) {
        if let Some(raw) = tree::keep(raw) {
            self.whole(choice, BlockKind::Opaque { dialect: Dialect::Gemini, raw }, None, out);
        }
    }

    fn part(&mut self, choice: u32, part: Part, raw: &RawValue, first: bool, out: &mut Vec<Event>) {
        match part {
            Part::Text { text, thought, signature } => self.said(choice, text, thought, signature, first, out),
            Part::Call(call) => {
                self.called = true;
                self.content = true;
                let mut pieces = vec![Piece::Arguments(call.arguments)];
                pieces.extend(call.signature.map(Piece::Signature));
                let kind = BlockKind::ToolCall { id: call.id, name: call.name, extra: None };
                self.whole(choice, kind, pieces, out);
            }
            Part::Media(media) => {
                self.content = true;
                let Media { kind, .. } = media;
                self.whole(choice, BlockKind::Media { kind }, Some(Piece::Media(media)), out);
            }
            Part::Opaque(raw) => {
                self.whole(choice, BlockKind::Opaque { dialect: Dialect::Gemini, raw }, None, out);
            }
            Part::Result(_) => self.opaque(choice, raw, out),
            Part::Empty => {}
        }
    }

    fn said(
        &mut self,
        choice: u32,
        text: String,
        thought: bool,
        signature: Option<String>,
        first: bool,
        out: &mut Vec<Event>,
    ) {
        let goes_on = first && self.open.as_ref().is_some_and(|open| open.thought == thought && !open.signed);
        // A signature on a part without words is reasoning without words, unless it closes what is being said.
        let thought = thought || text.is_empty() && !goes_on;
        let block = match &self.open {
            Some(open) if goes_on => open.block,
            _ => {
                let format = format::GEMINI.to_owned();
                let kind = match thought {
                    true => BlockKind::Thinking { kind: ThinkingKind::Text, format, id: None },
                    false => BlockKind::Text,
                };
                let block = self.open(choice, kind, out);
                self.open = Some(Open { block, thought, signed: false });
                block
            }
        };
        if !thought && !text.is_empty() {
            self.content = true;
            if self.text.len() + text.len() <= MOST_CITED {
                self.text.push_str(&text);
            }
        }
        if !text.is_empty() {
            out.push(Event::Delta { choice, block, piece: Piece::Text(text) });
        }
        if let Some(signature) = signature {
            out.push(Event::Delta { choice, block, piece: Piece::Signature(signature) });
            if let Some(open) = &mut self.open {
                open.signed = true;
            }
        }
    }

    /// Citations come with the last chunk and belong to the text being said; grounding may be repeated from chunk to chunk.
    fn cite(&mut self, choice: u32, citations: Vec<Raw>, out: &mut Vec<Event>) {
        let fresh: Vec<Raw> = citations.into_iter().filter(|raw| self.cited.insert(raw.as_str().to_owned())).collect();
        if fresh.is_empty() || self.cited.len() > MOST_CITATIONS {
            return;
        }
        let block = match &self.open {
            Some(open) if !open.thought => open.block,
            _ => {
                let block = self.open(choice, BlockKind::Text, out);
                self.open = Some(Open { block, thought: false, signed: false });
                block
            }
        };
        out.extend(fresh.into_iter().map(|raw| Event::Delta { choice, block, piece: Piece::Annotation(raw) }));
    }
}
