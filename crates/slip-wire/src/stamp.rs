//! What the house writes onto a reply: the generation's identity and its price.

use crate::responses::Echo;
use bytes::BufMut;
use slip_ir::money::Cost;
use slip_ir::{Dialect, Nano, Price, Usage};
use std::sync::Arc;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stamp {
    /// `gen-<unix seconds>-<20 alphanumerics>`.
    pub id: String,
    /// Unix seconds.
    pub created: u64,
    /// Canonical slug of the model that answered.
    pub model: String,
    /// Display name of the provider that answered.
    pub provider: String,
    /// `None` when the catalogue does not know it: the cost is then written as 0 with `"cost_unknown": true` beside it.
    pub price: Option<Arc<Price>>,
    /// The caller brought their own provider key.
    pub byok: bool,
    /// The caller asked not to see reasoning. Signatures and sealed blobs are still shown when tools are in play.
    pub hide_reasoning: bool,
    /// Our estimate of the prompt, used when the provider reports no usage.
    pub prompt_estimate: u64,
    /// A JSON object that tells how the reply was routed, for callers who asked for it.
    pub metadata: Option<Arc<str>>,
    /// What the reply repeats of its request, where the caller's dialect does so.
    pub echo: Option<Box<Echo>>,
}

/// What a reply cost, as its caller is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bill {
    /// What this house charges. With the caller's own key that is nothing: the provider bills them.
    pub charged: Nano,
    /// What the provider asks, as far as the price is known.
    pub upstream: Cost,
    /// Whether it is known. If not, that must be said: 0 alone would read as free.
    pub known: bool,
}

impl Stamp {
    pub(crate) fn bill(&self, usage: &Usage) -> Bill {
        let price = self.price.as_ref();
        let upstream = price.map(|price| price.cost(usage)).unwrap_or_default();
        let charged = if self.byok { Nano(0) } else { upstream.total };
        Bill { charged, upstream, known: price.is_some_and(|price| price.at(usage.tier).is_some()) }
    }

    /// Two answers that are both paid for, each at the tier of service it was served at.
    pub(crate) fn both(&self, earlier: &Usage, later: &Usage) -> Usage {
        let mut sum = later.clone();
        sum.add(earlier);
        if let Some(price) = self.price.as_ref().filter(|_| earlier.tier != later.tier) {
            let apart = price.cost(earlier).total.0.saturating_add(price.cost(later).total.0);
            sum.correction = Nano(0);
            sum.correction = Nano(apart.saturating_sub(price.cost(&sum).total.0));
        }
        sum
    }

    /// What is told when the provider counted nothing: our estimate of the prompt, and a token for every four bytes of text.
    pub(crate) fn estimate(&self, text_bytes: u64) -> Usage {
        Usage { input: self.prompt_estimate, output: text_bytes.div_ceil(4), estimated: true, ..Usage::default() }
    }

    /// As a member after others, where the caller asked for it.
    pub(crate) fn put_metadata(&self, out: &mut impl BufMut) {
        if let Some(metadata) = &self.metadata {
            out.put_slice(b",\"openrouter_metadata\":");
            out.put_slice(metadata.as_bytes());
        }
    }

    /// The same at the end of a whole reply in a dialect that has a place for it.
    pub(crate) fn signed(&self, dialect: Dialect, reply: Vec<u8>) -> Vec<u8> {
        match &self.metadata {
            Some(metadata) => signed(dialect, metadata, reply),
            None => reply,
        }
    }
}

/// A whole reply, or an error, with OpenRouter's account of its routing as the last member. Only where OpenRouter itself puts it:
/// clients of other APIs refuse members they do not know.
pub fn signed(dialect: Dialect, metadata: &str, mut reply: Vec<u8>) -> Vec<u8> {
    use Dialect::{Anthropic, Completions, OpenAiChat, Responses};
    if !matches!(dialect, OpenAiChat | Anthropic | Responses | Completions) {
        return reply;
    }
    let end = reply.trim_ascii_end().len();
    if reply.get(..end).is_some_and(|whole| whole.len() > 2 && whole.ends_with(b"}")) {
        reply.truncate(end - 1);
        reply.extend_from_slice(b",\"openrouter_metadata\":");
        reply.extend_from_slice(metadata.as_bytes());
        reply.push(b'}');
    }
    reply
}
