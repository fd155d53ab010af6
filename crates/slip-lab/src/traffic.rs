//! Who asks for what and when: real traces of LLM services, read from text, or a seeded process where there are none.

use fastrand::Rng;
use std::sync::Arc;

mod azure;
mod mooncake;
mod synthetic;

/// Tokens of one block of a prefix cache, as in Mooncake's trace.
pub const BLOCK: u32 = 512;

/// One request of a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub at_ms: u64,
    pub prompt: u32,
    pub output: u32,
    /// Its prompt in blocks of [`BLOCK`] tokens: equal numbers are equal text with equal text before it. Empty: nothing is shared.
    pub blocks: Arc<[u32]>,
}

impl Call {
    /// What all turns of one conversation share and hardly another has: its beginning. The gateway takes the system prompt and the
    /// first message; here it is the first two blocks, of which the first is the system prompt of everybody.
    pub fn conversation(&self) -> Option<u64> {
        let (first, second) = (*self.blocks.first()?, self.blocks.get(1).copied().unwrap_or(u32::MAX));
        Some(u64::from(first) << 32 | u64::from(second))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// People talking: Azure 2023, conversation.
    Chat,
    /// Completion of code, long in and short out: Azure 2023, code.
    Code,
    /// Conversations with what they share: Mooncake.
    Conversations,
}

/// Calls in the order of time.
#[derive(Clone, Debug)]
pub struct Trace {
    pub calls: Vec<Call>,
    /// Of a real service, and not of a seed.
    pub real: bool,
}

/// The traces at hand.
#[derive(Clone, Debug)]
pub struct Library {
    pub chat: Trace,
    pub code: Trace,
    pub conversations: Trace,
}

impl Library {
    /// Texts of the traces that are there; a seeded process stands in for the others.
    pub fn new(chat: Option<&str>, code: Option<&str>, conversations: Option<&str>) -> Result<Library, String> {
        let real = |calls| Trace { calls, real: true };
        let made = |kind| Trace { calls: synthetic::calls(kind, &mut Rng::with_seed(20_231_116)), real: false };
        let azure = |text: Option<&str>, kind| match text {
            Some(text) => azure::parse(text).map(real),
            None => Ok(made(kind)),
        };
        Ok(Library {
            chat: azure(chat, Kind::Chat)?,
            code: azure(code, Kind::Code)?,
            conversations: match conversations {
                Some(text) => mooncake::parse(text).map(real)?,
                None => made(Kind::Conversations),
            },
        })
    }

    pub fn of(&self, kind: Kind) -> &Trace {
        match kind {
            Kind::Chat => &self.chat,
            Kind::Code => &self.code,
            Kind::Conversations => &self.conversations,
        }
    }
}

impl Trace {
    /// So many calls from a place in the trace on (round its end), squeezed or stretched in time to so many a second. Gaps keep
    /// their proportions: a burst stays a burst.
    pub fn piece(&self, from: usize, count: usize, per_second: f64) -> Vec<Call> {
        let len = self.calls.len();
        if len == 0 || count == 0 {
            return Vec::new();
        }
        let mut gaps = 0.0;
        let mut piece: Vec<(f64, &Call)> = Vec::with_capacity(count);
        for nth in 0..count {
            let at = (from + nth) % len;
            let Some(call) = self.calls.get(at) else { break };
            let before = at.checked_sub(1).and_then(|b| self.calls.get(b)).map_or(call.at_ms, |b| b.at_ms);
            gaps += call.at_ms.saturating_sub(before) as f64;
            piece.push((gaps, call));
        }
        let scale = count as f64 / per_second * 1000.0 / gaps.max(1.0);
        piece.into_iter().map(|(at, call)| Call { at_ms: (at * scale) as u64, ..call.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_the_rate_asked_for_and_keeps_its_bursts() {
        let call = |at_ms| Call { at_ms, prompt: 1, output: 1, blocks: Arc::new([]) };
        let trace = Trace { calls: [0, 10, 20, 1_000].map(call).to_vec(), real: true };
        let at = |from| trace.piece(from, 4, 2.0).iter().map(|c| c.at_ms).collect::<Vec<_>>();
        assert_eq!(at(0), [0, 20, 40, 2_000]);
        assert_eq!(at(2), [20, 1_980, 1_980, 2_000]);
    }

    #[test]
    fn without_traces_the_same_made_traffic_comes_every_time() {
        let (a, b) = (Library::new(None, None, None).unwrap(), Library::new(None, None, None).unwrap());
        assert_eq!(a.chat.calls, b.chat.calls);
        for trace in [&a.chat, &a.code, &a.conversations] {
            assert!(!trace.real && trace.calls.len() > 5_000);
            assert!(trace.calls.is_sorted_by_key(|c| c.at_ms));
        }
        assert_ne!(a.chat.calls, a.code.calls);
    }
}
