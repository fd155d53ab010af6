//! Pieces that the services share: counts, costs, members kept as they came.

use crate::{Stamp, json};
use serde::Serialize;
use slip_ir::{Nano, Raw, Usage};

/// No request holds more of anything than this; a figure above it is noise.
const MOST: f64 = 1e12;

/// A member's bytes, kept.
pub(crate) fn raw(span: &[u8]) -> Option<Raw> {
    std::str::from_utf8(span).ok().and_then(Raw::parse)
}

/// A count, which some write with a decimal point.
pub(crate) fn count(span: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(span).ok()?.parse::<f64>().ok()?;
    (0.0..MOST).contains(&number).then_some(number as u64)
}

/// A document with some of its members replaced, the others byte for byte as they were.
pub(crate) fn replaced(body: &[u8], with: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    out.push(b'{');
    for (name, value) in json::fields(body) {
        if out.len() > 1 {
            out.push(b',');
        }
        key(name.raw(), &mut out);
        match with.iter().find(|(member, _)| name.is(member)) {
            Some((_, new)) => out.extend_from_slice(new.as_bytes()),
            None => out.extend_from_slice(value),
        }
    }
    out.push(b'}');
    out
}

/// A member's name, as it was escaped.
pub(crate) fn key(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":");
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The members of `usage` that say what the house charges.
#[derive(Serialize)]
pub(crate) struct Charge {
    cost: Raw,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cost_unknown: bool,
    is_byok: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

impl Charge {
    pub(crate) fn of(usage: &Usage, stamp: &Stamp) -> Option<Charge> {
        let cost = stamp.price.as_ref().map(|price| price.cost(usage).total).unwrap_or_default();
        // With the caller's own key the provider bills them.
        let charged = if stamp.byok { Nano(0) } else { cost };
        Some(Charge {
            cost: Raw::parse(charged.to_usd_string())?,
            cost_unknown: stamp.price.is_none(),
            is_byok: stamp.byok,
            estimated: usage.estimated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_replaced_and_the_rest_left_byte_for_byte() {
        let body = br#"{ "id" : "a", "n":1.50, "deep": {"id": 2} }"#;
        let told = replaced(body, &[("id", "\"b\""), ("absent", "1")]);
        assert_eq!(String::from_utf8_lossy(&told), r#"{"id":"b","n":1.50,"deep":{"id": 2}}"#);
    }

    #[test]
    fn counts_are_whole_and_not_absurd() {
        let rows: [(&[u8], Option<u64>); 6] =
            [(b"4", Some(4)), (b"4.0", Some(4)), (b"-1", None), (b"1e30", None), (b"null", None), (b"\"4\"", None)];
        for (span, want) in rows {
            assert_eq!(count(span), want, "{}", String::from_utf8_lossy(span));
        }
    }
}
