//! What is counted while a reply crosses, in the same way by every grade of lens.

use super::{Phase, Tally};
use crate::Stamp;
use slip_ir::{Event, Fault, Finish, Piece, Tier, Usage};

#[derive(Debug)]
pub(crate) struct Meter {
    pub phase: Phase,
    pub tally: Tally,
    /// Choice 0 said how it ended; its word is not replaced by another choice's.
    first_finished: bool,
    /// The last tier of service the upstream named.
    served: Option<Tier>,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter { phase: Phase::Waiting, tally: Tally::default(), first_finished: false, served: None }
    }
}

impl Meter {
    /// Something the caller can use has come; `bytes` of it are text.
    #[inline]
    pub fn content(&mut self, bytes: usize) {
        self.tally.content += 1;
        self.tally.text_bytes += bytes as u64;
        if self.phase == Phase::Waiting {
            self.phase = Phase::Flowing;
        }
    }

    pub fn finish(&mut self, choice: u32, reason: Finish, native: Option<String>) {
        if choice == 0 || !self.first_finished {
            self.tally.finish = Some(reason);
            self.tally.native = native;
            self.first_finished = choice == 0;
        }
        if self.phase != Phase::Broken {
            self.phase = Phase::Finished;
        }
    }

    /// The upstream says at which tier of service it serves.
    pub fn served(&mut self, word: Option<&str>) {
        self.served = word.and_then(Tier::parse).or(self.served);
    }

    /// The first fault is the cause; later ones are its consequences.
    pub fn fault(&mut self, fault: Fault) {
        self.phase = Phase::Broken;
        self.tally.fault.get_or_insert(fault);
    }

    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Start(start) => {
                self.tally.upstream_id.clone_from(&start.id);
                self.tally.upstream_model.clone_from(&start.model);
                self.served(start.service_tier.as_deref());
            }
            Event::Open { choice, block, kind } => match kind {
                slip_ir::BlockKind::ToolCall { name, .. } => {
                    self.content(0);
                    self.tally.calls.open((*choice, *block), name);
                }
                slip_ir::BlockKind::Media { .. } => self.content(0),
                _ => {}
            },
            Event::Delta { choice, block, piece } => match piece {
                Piece::Arguments(text) if !text.is_empty() => {
                    self.content(text.len());
                    self.tally.calls.argue((*choice, *block), text);
                }
                Piece::Text(text) if !text.is_empty() => self.content(text.len()),
                Piece::Data(data) if !data.is_empty() => self.content(0),
                _ => {}
            },
            Event::Usage(usage) => self.tally.usage = Some(usage.clone()),
            Event::Finish { choice, reason, native, .. } => self.finish(*choice, *reason, native.clone()),
            Event::Fault(fault) => self.fault(fault.clone()),
            Event::Close { .. } | Event::Logprobs { .. } | Event::Ping | Event::Opaque(_) => {}
        }
    }

    /// Tokens of the answer so far, estimated: four bytes of text make one, and an event with content is no less than one.
    pub fn said(&self) -> u64 {
        self.tally.text_bytes.div_ceil(4).max(self.tally.content)
    }

    /// Did anything happen that must be paid for?
    pub fn owes(&self) -> bool {
        self.tally.content > 0 || self.tally.finish.is_some()
    }

    /// A count of nothing beside visible content is no count.
    pub fn reported(&self) -> Option<&Usage> {
        self.tally.usage.as_ref().filter(|usage| usage.total() > 0 || !self.owes())
    }

    /// Settle on the usage: what was reported, or an estimate marked as one.
    pub fn settle(&mut self, stamp: &Stamp) -> Option<&Usage> {
        if self.reported().is_none() {
            self.tally.usage = self.owes().then(|| stamp.estimate(self.tally.text_bytes));
        } else if self.tally.finish.is_none()
            && let Some(usage) = &mut self.tally.usage
        {
            // What was counted when a stream began does not cover what came before it broke off.
            let missing = self.tally.text_bytes.div_ceil(4).saturating_sub(usage.completion_total());
            usage.output += missing;
            usage.estimated |= missing > 0;
        }
        if let Some(usage) = &mut self.tally.usage {
            usage.tier = usage.tier.or(self.served);
        }
        self.tally.usage.as_ref()
    }
}
