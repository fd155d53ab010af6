//! What the house writes onto the answer of a service: what it cost.

use crate::lens::not_json;
use crate::{Stamp, json, wire};
use bytes::{BufMut, BytesMut};
use http::HeaderMap;
use serde_json::value::RawValue;
use slip_ir::{Dialect, Fault, Nano, Usage};

/// Usage in the words of a chat, which are OpenRouter's for every service that counts tokens.
pub(crate) fn as_chat(usage: &Usage, stamp: &Stamp) -> Box<RawValue> {
    let mut out = BytesMut::new();
    crate::openai_chat::usage::write_usage(usage, stamp, &mut out);
    raw(out)
}

/// The provider's own usage object with the price in it, or that of the words given.
pub(crate) fn priced(own: Option<&[u8]>, words: &[(&str, String)], usage: &Usage, stamp: &Stamp) -> Box<RawValue> {
    let mut out = BytesMut::from(&b"{"[..]);
    let mut put = |name: &str, value: &[u8]| {
        if out.len() > 1 {
            out.put_u8(b',');
        }
        out.put_slice(serde_json::to_string(name).unwrap_or_default().as_bytes());
        out.put_u8(b':');
        out.put_slice(value);
    };
    match own.filter(|own| own.first() == Some(&b'{')) {
        Some(own) => {
            let ours = ["cost", "cost_unknown", "cost_details", "is_byok", "estimated"];
            json::fields(own)
                .map(|(key, value)| (key.text(), value))
                .filter(|(key, _)| !ours.contains(&key.as_ref()))
                .for_each(|(key, value)| put(&key, value));
        }
        None => words.iter().for_each(|(name, value)| put(name, value.as_bytes())),
    }
    put("cost", cost(usage, stamp).to_usd_string().as_bytes());
    if stamp.price.is_none() {
        put("cost_unknown", b"true");
    }
    if usage.estimated {
        put("estimated", b"true");
    }
    out.put_u8(b'}');
    raw(out)
}

fn raw(out: BytesMut) -> Box<RawValue> {
    let text = String::from_utf8(out.to_vec()).unwrap_or_default();
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn cost(usage: &Usage, stamp: &Stamp) -> Nano {
    match &stamp.price {
        Some(price) if !stamp.byok => price.cost(usage).total,
        _ => Nano(0),
    }
}

/// The members of an object with `usage` in place of its own, or behind them.
pub(crate) fn with_usage(body: &[u8], usage: &RawValue) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 256);
    let mut put = |name: &str, value: &[u8]| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.extend_from_slice(serde_json::to_string(name).unwrap_or_default().as_bytes());
        out.push(b':');
        out.extend_from_slice(value);
    };
    let mut written = false;
    for (key, value) in json::fields(body) {
        if key.is("usage") {
            written = true;
            put("usage", usage.get().as_bytes());
        } else {
            put(&key.text(), value);
        }
    }
    if !written {
        put("usage", usage.get().as_bytes());
    }
    out.push(b'}');
    out
}

/// JSON, and no error in spite of its status.
#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub(crate) fn sound_json(body: &[u8]) -> Result<(), Fault> {
    if json::check(body).is_err() {
        return Err(not_json());
    }
    match json::field(body, "error") {
        Some(error) if error != b"null" => Err(wire(Dialect::OpenAiChat).decode_error(500, &HeaderMap::new(), body)),
        _ => Ok(()),
    }
}

/// A count of an object, where it is one.
pub(crate) fn count(span: &[u8], name: &str) -> Option<u64> {
    const MOST: i64 = 1_000_000_000;
    json::field(span, name).and_then(json::integer).filter(|n| (0..=MOST).contains(n)).map(i64::cast_unsigned)
}

/// Thousandths, of a number with a fraction.
pub(crate) fn thousandths(span: &[u8], name: &str) -> Option<u64> {
    /// Twelve days of sound.
    const MOST: f64 = 1_000_000.0;
    let text = std::str::from_utf8(json::field(span, name)?).ok()?;
    let number = text.parse::<f64>().ok().filter(|n| (0.0..=MOST).contains(n))?;
    // Not money: a length of time, to the nearest thousandth.
    Some((number * 1000.0).round() as u64)
}
