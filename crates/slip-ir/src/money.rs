//! Prices and amounts. Integers only; no float touches money.
//!
//! A price is pico-USD (10⁻¹²) per token; an amount is nano-USD (10⁻⁹) in an `i64` (±9.2 billion dollars), rounded half up
//! exactly once, when a usage is priced.

use crate::{Tier, Usage};
use std::fmt;
use std::ops::Add;
use std::sync::Arc;

/// 10⁻¹² USD. One dollar per million tokens is 1 000 000 pico-USD per token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pico(pub u64);

/// 10⁻⁹ USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nano(pub i64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAmount(pub String);

impl fmt::Display for BadAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a decimal amount of at most 12 digits after the point: {}", self.0)
    }
}

impl std::error::Error for BadAmount {}

/// Read a plain decimal ("0.5", "15", "1.25e-6") as a count of 10^-`digits`, exactly. Refuses what would need rounding.
fn decimal(text: &str, digits: i32) -> Result<u64, BadAmount> {
    let bad = || BadAmount(text.to_owned());
    let trimmed = text.trim();
    let (mantissa, exponent) = match trimmed.find(['e', 'E']) {
        Some(at) => (&trimmed[..at], trimmed[at + 1..].parse::<i32>().map_err(|_| bad())?),
        None => (trimmed, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    let all: String = [whole, fraction.trim_end_matches('0')].concat();
    let scale = digits + exponent - fraction.trim_end_matches('0').len() as i32;
    let mut number: u128 = all
        .trim_start_matches('0')
        .parse::<u128>()
        .or_else(|e| if all.trim_start_matches('0').is_empty() { Ok(0) } else { Err(e) })
        .map_err(|_| bad())?;
    if number == 0 {
        return Ok(0);
    }
    if !(-40..=40).contains(&scale) {
        return Err(bad());
    }
    for _ in 0..scale.max(0) {
        number = number.checked_mul(10).ok_or_else(bad)?;
    }
    for _ in scale.min(0)..0 {
        if !number.is_multiple_of(10) {
            return Err(bad());
        }
        number /= 10;
    }
    u64::try_from(number).map_err(|_| bad())
}

impl Pico {
    /// USD per million tokens, as a decimal string: `"0.15"` is 150 000 pico-USD per token.
    pub fn per_million(text: &str) -> Result<Pico, BadAmount> {
        decimal(text, 6).map(Pico)
    }

    /// USD per single unit, as a decimal string (OpenRouter's catalogue form): `"0.00000015"`.
    pub fn per_unit(text: &str) -> Result<Pico, BadAmount> {
        decimal(text, 12).map(Pico)
    }

    /// OpenRouter's catalogue form: USD per unit as a plain decimal string without trailing zeros.
    pub fn to_unit_string(self) -> String {
        decimal_string("", self.0, 12)
    }

    /// USD per million, as a plain decimal string.
    pub fn to_million_string(self) -> String {
        decimal_string("", self.0, 6)
    }
}

/// `amount` of so many digits behind the point, without noughts at the end: digit by digit, as one divides by hand, for every reply
/// says several amounts.
fn decimal_string(sign: &str, amount: u64, digits: u32) -> String {
    use std::fmt::Write as _;
    let unit = 10u64.pow(digits);
    let mut text = String::with_capacity(24);
    let _ = write!(text, "{sign}{}", amount / unit);
    let mut rest = amount % unit;
    if rest > 0 {
        text.push('.');
    }
    while rest > 0 {
        rest *= 10;
        text.push(char::from(b'0' + (rest / unit) as u8));
        rest %= unit;
    }
    text
}

impl Nano {
    /// Dollars as a decimal string: `"0.01"` is 10 000 000 nano-USD.
    pub fn usd(text: &str) -> Result<Nano, BadAmount> {
        decimal(text, 9).and_then(|n| i64::try_from(n).map(Nano).map_err(|_| BadAmount(text.to_owned())))
    }

    /// A JSON number of dollars, exact to the nano: `0.000214`.
    pub fn to_usd_string(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        decimal_string(sign, self.0.unsigned_abs(), 9)
    }
}

impl fmt::Display for Nano {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_usd_string())
    }
}

impl Add for Nano {
    type Output = Nano;
    fn add(self, other: Nano) -> Nano {
        Nano(self.0.saturating_add(other.0))
    }
}

/// What one unit of each class costs. An absent class falls back to the class it is a part of, so that an unknown surcharge is
/// never counted as free: cached reads and writes, sound and pictures shown at the input price, reasoning and produced media at the output
/// price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: Pico,
    pub output: Pico,
    pub cache_read: Option<Pico>,
    pub cache_write: Option<Pico>,
    pub cache_write_1h: Option<Pico>,
    pub reasoning: Option<Pico>,
    pub audio_in: Option<Pico>,
    pub image_in: Option<Pico>,
    pub audio_out: Option<Pico>,
    pub image_out: Option<Pico>,
}

/// The price of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    pub rates: Rates,
    /// Fixed, per request.
    pub request: Pico,
    /// Per web search made by the provider.
    pub web_search: Pico,
    /// Per picture made, per second of sound heard, per character spoken, per search through documents: what a provider counts
    /// where it does not count tokens.
    pub image: Pico,
    pub second: Pico,
    pub character: Pico,
    pub search: Pico,
    /// Dearer rates above a prompt size: `(prompt tokens exceeded, rates)`, ascending.
    pub tiers: Vec<(u64, Rates)>,
    /// The tier of service that this is the price of.
    pub service: Tier,
    /// What the same model costs at the same provider's other tiers of service: a request is not always served at the one it was
    /// sent to.
    pub elsewhere: Vec<Arc<Price>>,
    /// Which one it is, for whoever asks later: `catalogue 2026-11-20`. `None`: the operator's own.
    pub version: Option<Arc<str>>,
}

/// A priced usage, in nano-USD. `total` is rounded once; `input` and `output` are for show and may differ from it by a nano.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub total: Nano,
    pub input: Nano,
    pub output: Nano,
}

impl Price {
    pub fn rates_for(&self, prompt_tokens: u64) -> &Rates {
        self.tiers.iter().rev().find(|(above, _)| prompt_tokens > *above).map_or(&self.rates, |(_, rates)| rates)
    }

    pub fn is_free(&self) -> bool {
        let free = |r: &Rates| r.input.0 == 0 && r.output.0 == 0;
        let each = [self.request, self.image, self.second, self.character, self.search];
        free(&self.rates) && each.iter().all(|p| p.0 == 0) && self.tiers.iter().all(|(_, r)| free(r))
    }

    /// The price at the tier of service that the provider says it served at; this one, where it does not say. `None`: it was served
    /// at a tier whose price nobody knows.
    pub fn at(&self, served: Option<Tier>) -> Option<&Price> {
        match served {
            Some(tier) if tier != self.service => self.elsewhere.iter().map(|p| &**p).find(|p| p.service == tier),
            _ => Some(self),
        }
    }

    /// What `usage` costs, at the tier of service it was served at. See [`Price::at`] for when that is a guess.
    pub fn cost(&self, usage: &Usage) -> Cost {
        self.at(usage.tier).unwrap_or(self).cost_here(usage)
    }

    fn cost_here(&self, usage: &Usage) -> Cost {
        let r = self.rates_for(usage.prompt_total());
        let part = |tokens: u64, price: Option<Pico>, or: Pico| tokens as u128 * price.unwrap_or(or).0 as u128;
        let write = r.cache_write.unwrap_or(r.input);
        let input = part(usage.input, None, r.input)
            + part(usage.cache_read, r.cache_read, r.input)
            + part(usage.cache_write, r.cache_write, r.input)
            + part(usage.cache_write_1h, r.cache_write_1h, write)
            + part(usage.audio_in, r.audio_in, r.input)
            + part(usage.image_in, r.image_in, r.input);
        let output = part(usage.output, None, r.output)
            + part(usage.reasoning, r.reasoning, r.output)
            + part(usage.audio_out, r.audio_out, r.output)
            + part(usage.image_out, r.image_out, r.output);
        let units = |count: u64, price: Pico| count as u128 * price.0 as u128;
        let fixed = units(1, self.request)
            + units(usage.web_searches, self.web_search)
            + units(usage.images, self.image)
            + units(usage.audio_ms, self.second) / 1000
            + units(usage.characters, self.character)
            + units(usage.searches, self.search);
        let total = round(input + output + fixed).0.saturating_add(usage.correction.0).max(0);
        Cost { total: Nano(total), input: round(input), output: round(output) }
    }
}

/// Pico to nano, half up, saturating.
fn round(pico: u128) -> Nano {
    Nano(i64::try_from((pico + 500) / 1000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        let rows: &[(&str, Option<u64>)] = &[
            ("0.15", Some(150_000)),
            ("15", Some(15_000_000)),
            ("0", Some(0)),
            ("0.000", Some(0)),
            (".5", Some(500_000)),
            ("1.25e-3", Some(1_250)),
            ("0.0000001", None),
            ("-1", None),
            ("", None),
            ("1.2.3", None),
            ("1e999", None),
            ("99999999999999999999999999999999999999999999", None),
            ("NaN", None),
        ];
        for (text, want) in rows {
            assert_eq!(Pico::per_million(text).ok().map(|p| p.0), *want, "{text}");
        }
        assert_eq!(Pico(150_000).to_unit_string(), "0.00000015");
        assert_eq!(Pico(3_000_000).to_million_string(), "3");
        assert_eq!(Nano(214_000).to_usd_string(), "0.000214");
        assert_eq!(Nano(-1).to_usd_string(), "-0.000000001");
        assert_eq!(Nano(i64::MIN).to_usd_string(), "-9223372036.854775808");
        assert_eq!(Nano(120_000_000_000).to_usd_string(), "120");
        assert_eq!(Pico(u64::MAX).to_unit_string(), "18446744.073709551615");
        assert_eq!(Pico(0).to_unit_string(), "0");
    }

    #[test]
    fn cost_rounds_once_and_half_up() {
        let price =
            Price { rates: Rates { input: Pico(500), output: Pico(500), ..Rates::default() }, ..Price::default() };
        let cost = price.cost(&Usage { input: 1, output: 1, ..Usage::default() });
        assert_eq!(cost.total, Nano(1), "0.5 + 0.5 is 1, not 1 + 1");
        assert_eq!((cost.input, cost.output), (Nano(1), Nano(1)));
    }

    #[test]
    fn an_unpriced_class_costs_what_its_parent_costs() {
        let price = Price {
            rates: Rates {
                input: Pico(3_000_000),
                output: Pico(15_000_000),
                cache_read: Some(Pico(300_000)),
                image_in: Some(Pico(4_000_000)),
                ..Rates::default()
            },
            tiers: vec![(1000, Rates { input: Pico(6_000_000), output: Pico(15_000_000), ..Rates::default() })],
            ..Price::default()
        };
        let usage =
            Usage { cache_read: 10, cache_write_1h: 10, audio_in: 1, image_in: 1, reasoning: 10, ..Usage::default() };
        assert_eq!(price.cost(&usage).total, Nano(3_000 + 30_000 + 3_000 + 4_000 + 150_000));
        let large = Usage { input: 1001, ..Usage::default() };
        assert_eq!(price.cost(&large).total, Nano(6_006_000));
    }
}
