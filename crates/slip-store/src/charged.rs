//! The unit prices of a record: what each class that was used cost, and whose prices they were. Prices change; what was charged does not.

use serde::{Deserialize, Serialize};
use slip_ir::{Nano, Pico, Price, Usage};
use std::sync::Arc;

/// Pico-dollars per unit. Of the classes beside input and output only those that were used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Charged {
    /// `catalogue 2026-11-20`; absent: the operator's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
    /// The prompt was longer than so many tokens, from which on other prices hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<u64>,
    pub input: u64,
    pub output: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub character: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<u64>,
}

impl Charged {
    /// As [`Price::cost`] reckons, at the tier of service the usage was served at. `None`: nobody knows its price.
    pub fn of(price: &Price, usage: &Usage) -> Option<Charged> {
        let price = price.at(usage.tier)?;
        let prompt = usage.prompt_total();
        let rates = price.rates_for(prompt);
        let part = |count: u64, own: Option<Pico>, or: Pico| (count > 0).then_some(own.unwrap_or(or).0);
        let unit = |count: u64, price: Pico| (count > 0 && price.0 > 0).then_some(price.0);
        let write = rates.cache_write.unwrap_or(rates.input);
        Some(Charged {
            version: price.version.clone(),
            above: price.tiers.iter().rev().map(|(above, _)| *above).find(|above| prompt > *above),
            input: rates.input.0,
            output: rates.output.0,
            cache_read: part(usage.cache_read, rates.cache_read, rates.input),
            cache_write: part(usage.cache_write, rates.cache_write, rates.input),
            cache_write_1h: part(usage.cache_write_1h, rates.cache_write_1h, write),
            reasoning: part(usage.reasoning, rates.reasoning, rates.output),
            audio_in: part(usage.audio_in, rates.audio_in, rates.input),
            image_in: part(usage.image_in, rates.image_in, rates.input),
            audio_out: part(usage.audio_out, rates.audio_out, rates.output),
            image_out: part(usage.image_out, rates.image_out, rates.output),
            request: unit(1, price.request),
            web_search: unit(usage.web_searches, price.web_search),
            image: unit(usage.images, price.image),
            second: unit(usage.audio_ms, price.second),
            character: unit(usage.characters, price.character),
            search: unit(usage.searches, price.search),
        })
    }

    /// By how much the prompt's cached tokens made it cheaper than if none had been cached; less than nothing where writing them cost
    /// more than reading saved. `None`: it made no difference.
    pub fn cache_discount(&self, usage: &Usage) -> Option<Nano> {
        let classes = [
            (usage.cache_read, self.cache_read),
            (usage.cache_write, self.cache_write),
            (usage.cache_write_1h, self.cache_write_1h),
        ];
        let saved: i128 = classes
            .iter()
            .filter_map(|(count, price)| Some(i128::from(*count) * (i128::from(self.input) - i128::from((*price)?))))
            .sum();
        let nano = i64::try_from((saved + 500).div_euclid(1000)).ok()?;
        (nano != 0).then_some(Nano(nano))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Rates;

    fn price() -> Price {
        let rates = Rates {
            input: Pico(2_000_000),
            output: Pico(8_000_000),
            cache_read: Some(Pico(500_000)),
            cache_write: Some(Pico(2_500_000)),
            ..Rates::default()
        };
        let long = Rates { input: Pico(4_000_000), ..rates.clone() };
        Price { rates, tiers: vec![(1000, long)], version: Some("catalogue 2026-11-20".into()), ..Price::default() }
    }

    #[test]
    fn what_was_used_is_named_at_the_price_it_has() {
        let usage = Usage { input: 10, cache_read: 100, reasoning: 5, output: 7, ..Usage::default() };
        let charged = Charged::of(&price(), &usage).expect("a price");
        let want = Charged {
            version: Some("catalogue 2026-11-20".into()),
            input: 2_000_000,
            output: 8_000_000,
            cache_read: Some(500_000),
            reasoning: Some(8_000_000),
            ..Charged::default()
        };
        assert_eq!(charged, want);
        let long = Usage { input: 1001, ..Usage::default() };
        let charged = Charged::of(&price(), &long).expect("a price");
        assert_eq!((charged.above, charged.input), (Some(1000), 4_000_000));
    }

    #[test]
    fn a_cache_saves_what_reading_is_cheaper_and_costs_what_writing_is_dearer() {
        let rows = [
            (Usage { cache_read: 100, ..Usage::default() }, Some(150_000)),
            (Usage { cache_write: 100, ..Usage::default() }, Some(-50_000)),
            (Usage { cache_read: 100, cache_write: 300, ..Usage::default() }, None),
            (Usage { input: 100, ..Usage::default() }, None),
        ];
        for (usage, want) in rows {
            let charged = Charged::of(&price(), &usage).expect("a price");
            assert_eq!(charged.cache_discount(&usage).map(|n| n.0), want, "{usage:?}");
        }
    }
}
