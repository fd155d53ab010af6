//! What routing may know of the present: who is cooling down, who failed lately, who is fast. Filled by the caller.

use crate::health::{Metric, Percentiles};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Live facts about one endpoint through one instance (base URL and key). The default knows nothing, which is good health.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vital {
    /// Not before this moment (milliseconds, the caller's clock), unless nobody else is left. 0 means no cooldown.
    pub cooldown_until_ms: u64,
    /// It failed in the last half minute or so.
    pub failing: bool,
    /// It rested after failures and has not proven itself since.
    pub half_open: bool,
    /// Half open, and a request is trying it right now.
    pub probing: bool,
    /// The share of its usual traffic it should have while it recovers, up to 1.
    pub warmth: f32,
    /// How likely an attempt is to succeed, up to 1.
    pub odds: f32,
    /// How likely an answer that began is to come to its end, up to 1.
    pub whole: f32,
    /// How likely a reply's tool calls are to be of use, up to 1.
    pub call_odds: f32,
    /// Usual time to first content.
    pub ttft_ms: Option<u32>,
    /// The same where it lately rose: up at once, down by and by.
    pub peak_ms: Option<u32>,
    /// Usual output speed.
    pub tokens_per_second: Option<u32>,
    /// Usual length of a reply.
    pub output_tokens: Option<u32>,
    /// Thousandths of the prompt tokens that are usually read from the provider's cache.
    pub cached_permille: u16,
    /// Attempts under way.
    pub in_flight: u32,
    /// Attempts that were under way when those began of which `ttft_ms` tells.
    pub ahead: Option<f32>,
    /// How long those of them that had no content yet have waited, on average.
    pub silent_ms: u32,
    /// What is left of the provider's rate limits, where it says.
    pub requests_left: Option<u32>,
    pub tokens_left: Option<u32>,
}

impl Default for Vital {
    fn default() -> Vital {
        Vital {
            cooldown_until_ms: 0,
            failing: false,
            half_open: false,
            probing: false,
            warmth: 1.0,
            odds: 1.0,
            whole: 1.0,
            call_odds: 1.0,
            ttft_ms: None,
            peak_ms: None,
            tokens_per_second: None,
            output_tokens: None,
            cached_permille: 0,
            in_flight: 0,
            ahead: None,
            silent_ms: 0,
            requests_left: None,
            tokens_left: None,
        }
    }
}

impl Vital {
    /// Not to be asked now if anybody else can be: it rests, is being tried by another request, or its rate limit is used up.
    pub fn rests(&self, now_ms: u64, tokens: u64) -> bool {
        self.cooldown_until_ms > now_ms || self.probing || self.is_spent(tokens)
    }

    /// Its rate limit has no room for a prompt of so many tokens.
    pub fn is_spent(&self, tokens: u64) -> bool {
        self.requests_left == Some(0) || self.tokens_left.is_some_and(|left| u64::from(left) < tokens)
    }
}

/// Where live facts come from. `endpoint` is [`crate::Endpoint::key`], which survives a reload of the configuration.
pub trait Vitals {
    /// Written to where they will stay: they are large, and a decision reads hundreds.
    fn read(&self, endpoint: u64, instance: u32, into: &mut Vital);

    fn vital(&self, endpoint: u64, instance: u32) -> Vital {
        let mut vital = Vital::default();
        self.read(endpoint, instance, &mut vital);
        vital
    }

    /// Percentiles of the last five minutes. Asked only for callers that set limits at percentiles.
    fn percentiles(&self, endpoint: u64, instance: u32, metric: Metric) -> Option<Percentiles> {
        let _ = (endpoint, instance, metric);
        None
    }
}

/// Something for each endpoint through each instance.
pub type ByEndpoint<T> = HashMap<(u64, u32), T, BuildHasherDefault<Mixed>>;

/// Endpoint keys are well mixed numbers of our own making: they need no hashing against strangers, and every decision looks up many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mixed(u64);

impl Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Whom a conversation used before, and what it would lose by leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sticky {
    pub endpoint: u64,
    pub instance: u32,
    /// Prompt tokens that are thought to lie in its prompt cache.
    pub cached: u64,
}

/// A moment as routing sees it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub vitals: &'a dyn Vitals,
    /// Counts up by one with every request; round robin takes turns by it.
    pub turn: u64,
    /// The conversation, as a number: the same for requests whose prompts begin alike.
    pub affinity: Option<u64>,
    pub sticky: Option<Sticky>,
}

/// Everybody is well and nobody was measured.
pub struct Calm;

impl Vitals for Calm {
    fn read(&self, _: u64, _: u32, into: &mut Vital) {
        *into = Vital::default();
    }
}

impl View<'static> {
    pub fn calm(turn: u64) -> View<'static> {
        View::of(&Calm, turn)
    }
}

impl<'a> View<'a> {
    /// Without a conversation.
    pub fn of(vitals: &'a dyn Vitals, turn: u64) -> View<'a> {
        View { vitals, turn, affinity: None, sticky: None }
    }
}

/// A plain table of live facts. Whoever is not in it is well.
#[derive(Clone, Debug, Default)]
pub struct Board(pub HashMap<(u64, u32), Vital>);

impl Vitals for Board {
    fn read(&self, endpoint: u64, instance: u32, into: &mut Vital) {
        *into = self.0.get(&(endpoint, instance)).copied().unwrap_or_default();
    }
}
