//! The way back: events of a reply that was asked for by other means, told as if it had been asked for plainly.

use super::fence::Fence;
use super::{Reshape, TOOL, Way};
use slip_ir::{BlockKind, Event, Finish, Piece, Raw};
use std::collections::BTreeMap;

/// Words beside the tool call are held back until it is certain that the call comes; more than this is an answer of its own.
const MOST_HELD: usize = 64 * 1024;

#[derive(Debug)]
pub struct Shape {
    way: Option<Way>,
    notes: Notes,
    choices: BTreeMap<u32, Choice>,
}

#[derive(Debug, Default)]
struct Choice {
    /// The block of the call whose arguments are the answer.
    call: Option<u32>,
    /// It has said something.
    spoke: bool,
    /// Text that came without a call so far, and how much.
    held: Vec<Event>,
    bytes: usize,
    /// Too much was held: the model answers in words.
    wordy: bool,
    /// The blocks of that text.
    holding: Vec<u32>,
    /// Blocks whose events go nowhere.
    gone: Vec<u32>,
    /// Open text blocks.
    fences: BTreeMap<u32, Fence>,
}

impl Shape {
    pub fn new(reshape: &Reshape) -> Shape {
        let notes = Notes { left: reshape.annotations.clone(), block: None };
        Shape { way: reshape.way, notes, choices: BTreeMap::new() }
    }

    /// Pass one event on, as none, one or several.
    pub fn event(&mut self, event: Event, mut pass: impl FnMut(Event)) {
        let number = match &event {
            Event::Open { choice, .. }
            | Event::Delta { choice, .. }
            | Event::Close { choice, .. }
            | Event::Finish { choice, .. } => *choice,
            _ => return pass(event),
        };
        let (choice, notes) = (self.choices.entry(number).or_default(), &mut self.notes);
        let mut pass = |event| notes.event(event, &mut pass);
        match self.way {
            Some(Way::Tool) => choice.unwrap(event, &mut pass),
            Some(Way::Prompt) => choice.unfence(event, &mut pass),
            None => pass(event),
        }
    }
}

/// Annotations of ours.
#[derive(Debug, Default)]
struct Notes {
    left: Vec<Raw>,
    /// The text block they belong to.
    block: Option<u32>,
}

/// A block nobody else opens.
const OURS: u32 = u32::MAX;

impl Notes {
    /// Behind the first words of the first choice; without any, in a block of their own before its end.
    fn event(&mut self, event: Event, pass: &mut impl FnMut(Event)) {
        if self.left.is_empty() {
            return pass(event);
        }
        match &event {
            Event::Open { choice: 0, block, kind: BlockKind::Text } if self.block.is_none() => {
                self.block = Some(*block);
                pass(event);
            }
            Event::Delta { choice: 0, block, piece: Piece::Text(_) } if self.block == Some(*block) => {
                let block = *block;
                pass(event);
                self.tell(block, pass);
            }
            Event::Finish { choice: 0, .. } => {
                pass(Event::Open { choice: 0, block: OURS, kind: BlockKind::Text });
                self.tell(OURS, pass);
                pass(Event::Close { choice: 0, block: OURS });
                pass(event);
            }
            _ => pass(event),
        }
    }

    fn tell(&mut self, block: u32, pass: &mut impl FnMut(Event)) {
        for raw in self.left.drain(..) {
            pass(Event::Delta { choice: 0, block, piece: Piece::Annotation(raw) });
        }
    }
}

impl Choice {
    fn unwrap(&mut self, event: Event, pass: &mut impl FnMut(Event)) {
        match event {
            Event::Open { choice, block, kind: BlockKind::ToolCall { name, .. } } if name == TOOL => {
                if self.call.is_some() || self.wordy {
                    self.gone.push(block);
                    return;
                }
                self.call = Some(block);
                self.held.clear();
                pass(Event::Open { choice, block, kind: BlockKind::Text });
            }
            Event::Open { block, kind: BlockKind::Text, .. } if !self.wordy => {
                self.holding.push(block);
                self.hold(event, 0, pass);
            }
            Event::Delta { choice, block, piece } if self.call == Some(block) => {
                if let Piece::Arguments(text) = piece {
                    self.spoke |= !text.is_empty();
                    pass(Event::Delta { choice, block, piece: Piece::Text(text) });
                }
            }
            Event::Close { choice, block } if self.call == Some(block) => {
                self.close(choice, block, pass);
                pass(Event::Close { choice, block });
            }
            Event::Delta { block, .. } | Event::Close { block, .. } if self.gone.contains(&block) => {}
            Event::Delta { block, .. } | Event::Close { block, .. } if self.holding.contains(&block) => {
                let bytes = match &event {
                    Event::Delta { piece: Piece::Text(text), .. } => text.len(),
                    _ => 0,
                };
                self.hold(event, bytes, pass);
            }
            Event::Finish { choice, reason, native, stop_sequence } => {
                self.held.drain(..).for_each(&mut *pass);
                let reason = match reason {
                    Finish::ToolCalls if self.call.is_some() => Finish::Stop,
                    reason => reason,
                };
                pass(Event::Finish { choice, reason, native, stop_sequence });
            }
            event => pass(event),
        }
    }

    /// A call without arguments is an empty object.
    fn close(&mut self, choice: u32, block: u32, pass: &mut impl FnMut(Event)) {
        if !std::mem::replace(&mut self.spoke, true) {
            pass(Event::Delta { choice, block, piece: Piece::Text("{}".to_owned()) });
        }
    }

    fn hold(&mut self, event: Event, bytes: usize, pass: &mut impl FnMut(Event)) {
        if self.call.is_some() {
            return;
        }
        self.held.push(event);
        self.bytes += bytes;
        if self.bytes > MOST_HELD {
            self.wordy = true;
            self.holding.clear();
            self.held.drain(..).for_each(&mut *pass);
        }
    }

    fn unfence(&mut self, event: Event, pass: &mut impl FnMut(Event)) {
        match event {
            Event::Open { block, kind: BlockKind::Text, .. } => {
                self.fences.insert(block, Fence::default());
                pass(event);
            }
            Event::Delta { choice, block, piece: Piece::Text(text) } => {
                let text = match self.fences.get_mut(&block) {
                    Some(fence) => fence.push(&text),
                    None => text,
                };
                if !text.is_empty() {
                    pass(Event::Delta { choice, block, piece: Piece::Text(text) });
                }
            }
            Event::Close { choice, block } => {
                let rest = self.fences.remove(&block).map(|mut fence| fence.end()).unwrap_or_default();
                if !rest.is_empty() {
                    pass(Event::Delta { choice, block, piece: Piece::Text(rest) });
                }
                pass(event);
            }
            event => pass(event),
        }
    }
}
