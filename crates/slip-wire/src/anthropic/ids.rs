//! Tool call ids: Anthropic refuses what is not made of letters, digits, `_` and `-`, and some providers give none at all.

use crate::quirks::ToolIds;
use slip_ir::{ToolCall, ToolResult};
use std::borrow::Cow;
use std::collections::VecDeque;

/// The longest id [`ToolIds::Word64`] lets through.
const MAX_LEN: usize = 64;
/// Length of the part after `toolu_` in ids we mint.
const MINTED: usize = 24;

/// Gives each call of a conversation the id it is sent under, and each result the id of its call.
pub struct Ids {
    shape: ToolIds,
    calls: u64,
    /// Calls that came without an id and wait for their result: name, minted id.
    pending: VecDeque<(String, String)>,
}

impl Ids {
    pub fn new(shape: ToolIds) -> Ids {
        Ids { shape, calls: 0, pending: VecDeque::new() }
    }

    pub fn call<'a>(&mut self, call: &'a ToolCall) -> Cow<'a, str> {
        self.calls += 1;
        if !call.id.is_empty() {
            return fit(&call.id, self.shape);
        }
        let minted = mint(&call.name, self.calls);
        self.pending.push_back((call.name.clone(), minted.clone()));
        match fit(&minted, self.shape) {
            Cow::Borrowed(_) => Cow::Owned(minted),
            Cow::Owned(fitted) => Cow::Owned(fitted),
        }
    }

    /// A result without an id answers the oldest unanswered call of its name, or else the oldest of all.
    pub fn result<'a>(&mut self, result: &'a ToolResult) -> Cow<'a, str> {
        if !result.id.is_empty() {
            return fit(&result.id, self.shape);
        }
        let named = self.pending.iter().position(|(name, _)| Some(name) == result.name.as_ref()).unwrap_or(0);
        let id = self.pending.remove(named).map(|(_, id)| id).unwrap_or_else(|| mint("", self.calls));
        Cow::Owned(fit(&id, self.shape).into_owned())
    }
}

/// `id` where its shape allows, else one made from it: the same for the same id, in every request of a conversation.
pub fn fit(id: &str, shape: ToolIds) -> Cow<'_, str> {
    let fits = match shape {
        ToolIds::Any => true,
        ToolIds::Alnum9 => id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()),
        ToolIds::Word64 => {
            id.len() <= MAX_LEN && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        }
    };
    match shape {
        _ if fits => Cow::Borrowed(id),
        ToolIds::Alnum9 => Cow::Owned(letters(id, 0, 9)),
        ToolIds::Any | ToolIds::Word64 => Cow::Owned(format!("toolu_{}", letters(id, 0, MINTED))),
    }
}

/// An id for a call that has none. `seed` tells generations apart, `number` the calls of one.
pub fn mint(seed: &str, number: u64) -> String {
    format!("toolu_{}", letters(seed, number, MINTED))
}

/// Letters and digits spelt out of a 64-bit FNV-1a hash, rehashed as often as needed. Nobody is kept out by it: two ids of one
/// conversation must not meet by accident, that is all.
pub(crate) fn letters(seed: &str, number: u64, len: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash
    };
    eat(seed.as_bytes());
    eat(&number.to_le_bytes());
    (0..len)
        .map(|n| {
            let mixed = eat(&[n as u8]);
            char::from(ALPHABET[(mixed >> 32) as usize % ALPHABET.len()])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_fit_are_kept_and_others_are_mapped_stably() {
        assert_eq!(fit("toolu_01-A", ToolIds::Word64), "toolu_01-A");
        let odd = fit("functions.weather:0", ToolIds::Word64).into_owned();
        assert_eq!(fit(&odd, ToolIds::Word64), odd.as_str(), "a mapped id fits");
        assert_eq!(fit("functions.weather:0", ToolIds::Word64), odd.as_str());
        assert_ne!(fit("functions.weather:1", ToolIds::Word64), odd.as_str());
        assert_eq!(fit("functions.weather:0", ToolIds::Alnum9).len(), 9);
        assert_eq!(fit("functions.weather:0", ToolIds::Any), "functions.weather:0");
    }

    #[test]
    fn results_without_an_id_find_their_call_by_name_then_by_order() {
        let mut ids = Ids::new(ToolIds::Word64);
        let call = |name: &str| ToolCall { name: name.to_owned(), ..ToolCall::default() };
        let result = |name: Option<&str>| ToolResult { name: name.map(str::to_owned), ..ToolResult::default() };
        let (a, b) = (call("a"), call("b"));
        let (a, b) = (ids.call(&a).into_owned(), ids.call(&b).into_owned());
        assert_ne!(a, b);
        assert_eq!(ids.result(&result(Some("b"))), b.as_str());
        assert_eq!(ids.result(&result(None)), a.as_str());
        assert!(!ids.result(&result(None)).is_empty(), "an orphan still gets an id");
    }
}
