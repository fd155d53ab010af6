//! Other families' sealed reasoning on its way through Anthropic-shaped clients.
//!
//! A Messages client keeps `thinking.signature` and `redacted_thinking.data` and sends them back untouched, but has no place for
//! who made them. So a seal that is not Anthropic's travels as `<format>:<id>:<payload>`. Anthropic's own seals are base64, which
//! has no colon: the two cannot be confused.

use crate::seals::{LONGEST_FORMAT, is_format};
use slip_ir::request::format;

#[derive(Debug, PartialEq, Eq)]
pub struct Unsealed<'a> {
    pub format: &'a str,
    pub id: Option<&'a str>,
    pub payload: &'a str,
}

/// Whether the family that made a seal is Anthropic.
pub fn is_ours(name: &str) -> bool {
    name == format::ANTHROPIC
}

/// The name under which an unnamed format goes.
pub fn named(name: &str) -> &str {
    if name.is_empty() { format::UNKNOWN } else { name }
}

pub fn seal(name: &str, id: Option<&str>, payload: &str) -> String {
    if is_ours(name) { payload.to_owned() } else { format!("{}:{}:{payload}", named(name), id.unwrap_or_default()) }
}

pub fn unseal(text: &str) -> Unsealed<'_> {
    let ours = Unsealed { format: format::ANTHROPIC, id: None, payload: text };
    let Some((name, rest)) = text.split_once(':') else { return ours };
    let Some((id, payload)) = rest.split_once(':') else { return ours };
    if name.len() > LONGEST_FORMAT || !is_format(name) {
        return ours;
    }
    Unsealed { format: name, id: (!id.is_empty()).then_some(id), payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_seal_comes_back_as_it_went() {
        for (name, id, payload) in [
            (format::ANTHROPIC, None, "EuYBCkQ=="),
            (format::GEMINI, Some("call_1"), "CiQB:x"),
            (format::OPENAI, Some("rs_1"), "gAAA"),
            (format::UNKNOWN, None, ""),
        ] {
            assert_eq!(unseal(&seal(name, id, payload)), Unsealed { format: name, id, payload });
        }
        for ours in ["", "a:b", "Not-A-Format:b:c", "-v:b:c", "x-v1y::"] {
            assert_eq!(unseal(ours), Unsealed { format: format::ANTHROPIC, id: None, payload: ours });
        }
    }
}
