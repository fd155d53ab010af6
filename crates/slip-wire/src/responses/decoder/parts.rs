//! The texts of messages and of reasoning, told in pieces, at the end of each part, or with the whole item.

use super::{Body, Decoder, Item};
use crate::object::{Object, read};
use crate::responses::annotations;
use crate::responses::wire::{Wire, text};
use serde_json::value::RawValue;
use slip_ir::event::{Kind, Piece};
use slip_ir::{Event, Raw, ThinkingKind};

pub(super) struct Part {
    kind: Sort,
    number: u64,
    block: u32,
    said: bool,
    open: bool,
    annotations: usize,
    /// Probabilities have come.
    logprobs: bool,
}

/// The kinds of text an item can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Text,
    Refusal,
    Summary,
    Reasoning,
}

impl Part {
    pub(super) fn close(&mut self, out: &mut Vec<Event>) {
        if std::mem::take(&mut self.open) {
            out.push(Event::Close { choice: 0, block: self.block });
        }
    }
}

impl Decoder {
    /// Text of a part: a piece of it, or (`whole`) all of it, which counts where no piece came.
    pub(super) fn text(
        &mut self,
        wire: &Wire<'_>,
        kind: Sort,
        number: u64,
        said: Option<String>,
        whole: bool,
        out: &mut Vec<Event>,
    ) {
        let Some(at) = self.item(wire, || Body::Parts(Vec::new()), out) else { return };
        self.say(at, kind, number, said, whole, out);
    }

    fn say(&mut self, at: usize, kind: Sort, number: u64, said: Option<String>, whole: bool, out: &mut Vec<Event>) {
        let Some(said) = said.filter(|said| !said.is_empty()) else { return };
        let Some(part) = self.part(at, kind, number, out) else { return };
        if !part.open || whole && part.said {
            return;
        }
        part.said = true;
        let block = part.block;
        out.push(Event::Delta { choice: 0, block, piece: Piece::Text(said) });
    }

    /// The part of that number; opens it.
    fn part(&mut self, at: usize, kind: Sort, number: u64, out: &mut Vec<Event>) -> Option<&mut Part> {
        let Item { done, body: Body::Parts(parts), .. } = self.items.get(at)? else { return None };
        let found = parts.iter().rposition(|part| part.kind == kind && part.number == number);
        if found.is_none() {
            if *done || self.many(out) {
                return None;
            }
            let id = self.items.get(at)?.id.clone();
            let thinking = |kind| Kind::Thinking { kind, format: self.family.to_owned(), id };
            let block = match kind {
                Sort::Text => Kind::Text,
                Sort::Refusal => Kind::Refusal,
                Sort::Summary => thinking(ThinkingKind::Summary),
                Sort::Reasoning => thinking(ThinkingKind::Text),
            };
            let block = self.block(block, out);
            let part = Part { kind, number, block, said: false, open: true, annotations: 0, logprobs: false };
            if let Some(Item { body: Body::Parts(parts), .. }) = self.items.get_mut(at) {
                parts.push(part);
            }
        }
        match &mut self.items.get_mut(at)?.body {
            Body::Parts(parts) => parts.iter_mut().rfind(|part| part.kind == kind && part.number == number),
            _ => None,
        }
    }

    pub(super) fn annotation(&mut self, wire: &Wire<'_>, number: u64, out: &mut Vec<Event>) {
        let Some(raw) = wire.annotation.and_then(annotations::read) else { return };
        let Some(at) = self.item(wire, || Body::Parts(Vec::new()), out) else { return };
        if let Some(part) = self.part(at, Sort::Text, number, out).filter(|part| part.open) {
            part.annotations += 1;
            let block = part.block;
            out.push(Event::Delta { choice: 0, block, piece: Piece::Annotation(raw) });
        }
    }

    /// In the shape of chat completions, whose entries are the same.
    pub(super) fn logprobs(&mut self, wire: &Wire<'_>, number: u64, out: &mut Vec<Event>) {
        let Some(raw) = wire.logprobs.filter(|raw| raw.get().starts_with('[') && raw.get().len() > 2) else { return };
        let whole = wire.text.is_some();
        let Some(at) = self.item(wire, || Body::Parts(Vec::new()), out) else { return };
        self.probable(at, number, raw, whole, out);
    }

    fn probable(&mut self, at: usize, number: u64, raw: &RawValue, whole: bool, out: &mut Vec<Event>) {
        let Some(part) = self.part(at, Sort::Text, number, out) else { return };
        if !part.open || whole && part.logprobs {
            return;
        }
        part.logprobs = true;
        let raw = Raw::parse(format!("{{\"content\":{},\"refusal\":null}}", raw.get()));
        out.extend(raw.map(|raw| Event::Logprobs { choice: 0, raw }));
    }

    pub(super) fn part_done(&mut self, wire: &Wire<'_>, number: u64, out: &mut Vec<Event>) {
        let Some(part) = wire.part else { return };
        let Some(at) = self.item(wire, || Body::Parts(Vec::new()), out) else { return };
        let Ok(mut o) = Object::parse(part.get(), "") else { return };
        if let Some(kind) = self.fill(at, number, &mut o, None, out) {
            self.close_part(at, kind, number, out);
        }
    }

    /// What a whole part says that no event before it said. `otherwise` is its kind where it has no name.
    fn fill(
        &mut self,
        at: usize,
        number: u64,
        o: &mut Object<'_>,
        otherwise: Option<Sort>,
        out: &mut Vec<Event>,
    ) -> Option<Sort> {
        let kind = match o.string("type", "").ok().flatten().as_deref() {
            Some("output_text") => Sort::Text,
            Some("refusal") => Sort::Refusal,
            Some("summary_text") => Sort::Summary,
            Some("reasoning_text") => Sort::Reasoning,
            Some("text") | None => otherwise?,
            Some(_) => return None,
        };
        let said = text(o.take(if kind == Sort::Refusal { "refusal" } else { "text" }));
        self.say(at, kind, number, said, true, out);
        if kind == Sort::Text {
            if let Some(raw) = o.take("logprobs").filter(|raw| raw.get().starts_with('[') && raw.get().len() > 2) {
                self.probable(at, number, raw, true, out);
            }
            let cited = o.array("annotations", "").ok().flatten().unwrap_or_default();
            if !cited.is_empty()
                && let Some(part) = self.part(at, kind, number, out).filter(|part| part.open)
            {
                let (block, known) = (part.block, part.annotations);
                part.annotations = known.max(cited.len());
                let more = cited.into_iter().skip(known).filter_map(annotations::read);
                out.extend(more.map(|raw| Event::Delta { choice: 0, block, piece: Piece::Annotation(raw) }));
            }
        }
        Some(kind)
    }

    pub(super) fn texts(&mut self, at: usize, o: &mut Object<'_>, member: &str, otherwise: Sort, out: &mut Vec<Event>) {
        let Some(raw) = o.take(member) else { return };
        for (number, part) in read::<Vec<&RawValue>>(raw, "", "").unwrap_or_default().into_iter().enumerate() {
            if let Ok(mut part) = Object::parse(part.get(), "")
                && let Some(kind) = self.fill(at, number as u64, &mut part, Some(otherwise), out)
            {
                self.close_part(at, kind, number as u64, out);
            }
        }
    }

    fn close_part(&mut self, at: usize, kind: Sort, number: u64, out: &mut Vec<Event>) {
        let Some(Item { body: Body::Parts(parts), .. }) = self.items.get_mut(at) else { return };
        let these = parts.iter_mut().filter(|part| part.kind == kind && part.number == number);
        these.for_each(|part| part.close(out));
    }
}
