//! Token counts, in disjoint classes.

use crate::{Nano, Tier};

/// What a generation consumed. The classes are disjoint: their sums are the totals, and each has one price.
/// How each provider's own counters map here is written in its dialect (Anthropic's `input_tokens` excludes the cache, OpenAI's
/// `prompt_tokens` includes it, Gemini's `candidatesTokenCount` excludes thoughts, …).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to a prompt cache, audio apart, and pictures where they are counted apart.
    pub input: u64,
    pub cache_read: u64,
    /// Written with the default (five minute) lifetime.
    pub cache_write: u64,
    pub cache_write_1h: u64,
    pub audio_in: u64,
    pub image_in: u64,
    /// Visible output tokens.
    pub output: u64,
    pub reasoning: u64,
    pub audio_out: u64,
    pub image_out: u64,
    /// Predicted-output counters (OpenAI), already inside `output`.
    pub accepted_prediction: u64,
    pub rejected_prediction: u64,
    pub web_searches: u64,
    /// Pictures made, where they are counted and not their tokens.
    pub images: u64,
    /// Sound heard, in thousandths of a second, where it is timed and not counted in tokens.
    pub audio_ms: u64,
    /// Characters spoken, where they are counted and not their tokens.
    pub characters: u64,
    /// Searches through documents (Cohere's `search_units`).
    pub searches: u64,
    /// What the upstream says it charged (OpenRouter-like upstreams).
    pub upstream_cost: Option<Nano>,
    /// True when we counted because the provider did not.
    pub estimated: bool,
    /// Of an answer that several endpoints gave together, by how much they cost more than all of it would at one's price.
    pub correction: Nano,
    /// At which tier of service the provider says it was served: that is the price it has.
    pub tier: Option<Tier>,
}

impl Usage {
    pub fn prompt_total(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write, self.cache_write_1h, self.audio_in, self.image_in]
            .iter()
            .fold(0u64, |sum, n| sum.saturating_add(*n))
    }

    pub fn completion_total(&self) -> u64 {
        [self.output, self.reasoning, self.audio_out, self.image_out].iter().fold(0u64, |sum, n| sum.saturating_add(*n))
    }

    /// Another answer to the same question was paid for too.
    pub fn add(&mut self, other: &Usage) {
        let counts: [(&mut u64, u64); 13] = [
            (&mut self.input, other.input),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write, other.cache_write),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.audio_in, other.audio_in),
            (&mut self.image_in, other.image_in),
            (&mut self.output, other.output),
            (&mut self.reasoning, other.reasoning),
            (&mut self.audio_out, other.audio_out),
            (&mut self.image_out, other.image_out),
            (&mut self.accepted_prediction, other.accepted_prediction),
            (&mut self.rejected_prediction, other.rejected_prediction),
            (&mut self.web_searches, other.web_searches),
        ];
        counts.into_iter().for_each(|(sum, more)| *sum = sum.saturating_add(more));
        self.upstream_cost = match (self.upstream_cost, other.upstream_cost) {
            (Some(one), Some(two)) => Some(Nano(one.0.saturating_add(two.0))),
            (one, two) => one.or(two),
        };
        self.estimated |= other.estimated;
        self.correction = Nano(self.correction.0.saturating_add(other.correction.0));
    }

    pub fn total(&self) -> u64 {
        self.prompt_total().saturating_add(self.completion_total())
    }
}
