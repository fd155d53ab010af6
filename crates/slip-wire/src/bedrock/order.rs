//! Blocks that arrive interleaved, told one after the other: a client reads one block at a time.

use slip_ir::Event;
use slip_ir::event::{Kind, Piece};
use std::collections::VecDeque;

/// Events held back while a tool call is open. A reply that interleaves more than this is not one we can put in order.
const MAX_HELD: usize = 1 << 16;

/// What is told, in order. Every block is opened and closed once, and no two are open together.
#[derive(Debug, PartialEq)]
pub enum Step {
    Open(u32, Kind),
    Piece(Piece),
    Close,
}

/// More was interleaved than can be held back.
#[derive(Debug)]
pub struct Overfull;

#[derive(Default)]
pub struct Order {
    open: Option<(u32, Kind)>,
    /// Text and thinking that had to be closed early because something else began.
    parted: Vec<(u32, Kind)>,
    /// What came for other blocks while a tool call was open.
    held: VecDeque<Event>,
}

impl Order {
    /// Tool calls are told to their end; text and thinking make way for whatever begins.
    pub fn event(&mut self, event: &Event, steps: &mut Vec<Step>) -> Result<(), Overfull> {
        let (Event::Open { block, .. } | Event::Delta { block, .. } | Event::Close { block, .. }) = event else {
            return Ok(());
        };
        if let Some((open, Kind::ToolCall { .. })) = &self.open
            && open != block
        {
            if self.held.len() >= MAX_HELD {
                return Err(Overfull);
            }
            self.held.push_back(event.clone());
            return Ok(());
        }
        match event {
            Event::Open { kind, .. } => self.open(*block, kind.clone(), steps),
            Event::Delta { piece, .. } => {
                if self.open.as_ref().is_none_or(|(open, _)| open != block) {
                    let Some(at) = self.parted.iter().position(|(number, _)| number == block) else { return Ok(()) };
                    let (number, kind) = self.parted.swap_remove(at);
                    self.open(number, kind, steps);
                }
                steps.push(Step::Piece(piece.clone()));
            }
            Event::Close { .. } => {
                self.parted.retain(|(number, _)| number != block);
                if self.open.as_ref().is_some_and(|(open, _)| open == block) {
                    self.close(steps);
                    self.release(steps)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything that is open or held back is told and closed.
    pub fn settle(&mut self, steps: &mut Vec<Step>) -> Result<(), Overfull> {
        while self.open.is_some() || !self.held.is_empty() {
            self.close(steps);
            self.release(steps)?;
        }
        Ok(())
    }

    fn open(&mut self, block: u32, kind: Kind, steps: &mut Vec<Step>) {
        if let Some(open) = &self.open
            && matches!(open.1, Kind::Text | Kind::Thinking { .. } | Kind::Refusal)
        {
            self.parted.push(open.clone());
        }
        self.close(steps);
        steps.push(Step::Open(block, kind.clone()));
        self.open = Some((block, kind));
    }

    fn close(&mut self, steps: &mut Vec<Step>) {
        if self.open.take().is_some() {
            steps.push(Step::Close);
        }
    }

    /// Tell what was held back, until another tool call holds the rest back again.
    fn release(&mut self, steps: &mut Vec<Step>) -> Result<(), Overfull> {
        for event in std::mem::take(&mut self.held) {
            self.event(&event, steps)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_calls_come_one_after_the_other_and_text_makes_way() {
        let call = |name: &str| Kind::ToolCall { id: name.to_owned(), name: name.to_owned(), extra: None };
        let open = |block, kind| Event::Open { choice: 0, block, kind };
        let args = |block, text: &str| Event::Delta { choice: 0, block, piece: Piece::Arguments(text.to_owned()) };
        let text = |block, text: &str| Event::Delta { choice: 0, block, piece: Piece::Text(text.to_owned()) };
        let close = |block| Event::Close { choice: 0, block };
        let events = [
            open(0, Kind::Text),
            text(0, "a"),
            open(1, call("x")),
            open(2, call("y")),
            args(2, "2"),
            args(1, "1"),
            text(0, "b"),
            close(2),
            close(1),
            close(0),
        ];
        let (mut order, mut steps) = (Order::default(), Vec::new());
        events.iter().for_each(|event| order.event(event, &mut steps).unwrap());
        order.settle(&mut steps).unwrap();
        let want = [
            Step::Open(0, Kind::Text),
            Step::Piece(Piece::Text("a".into())),
            Step::Close,
            Step::Open(1, call("x")),
            Step::Piece(Piece::Arguments("1".into())),
            Step::Close,
            Step::Open(2, call("y")),
            Step::Piece(Piece::Arguments("2".into())),
            Step::Close,
            Step::Open(0, Kind::Text),
            Step::Piece(Piece::Text("b".into())),
            Step::Close,
        ];
        assert_eq!(steps, want);
    }
}
