//! Keys: how a secret is spelt, and what is known about the key it opens. The secret itself is never kept.

use crate::KeyUsage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use slip_ir::Nano;
pub use slip_quota::Reset;
use std::fmt;
use std::sync::Arc;

/// What minted keys begin with.
pub const PREFIX: &str = "sk-slip-v1-";
/// 62^43 is the first power of 62 that holds 256 bits.
const BODY: usize = 43;
/// 62^6 holds 32 bits.
const SUM: usize = 6;
/// An operator's own key: long enough to be one, short enough for a header.
const FIXED: std::ops::RangeInclusive<usize> = 8..=200;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The secret half of a key, shown once. It has no `Display`, and `Debug` shows its label.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(String);

/// Why a string cannot be a key at all. Known without looking anything up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKey {
    /// Not the form of a key.
    Shape,
    /// The form of a minted key, but mistyped or cut.
    Checksum,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadKey::Shape => "not a key: 8 to 200 visible characters are expected",
            BadKey::Checksum => "the key is mistyped: its check characters do not match",
        })
    }
}

impl std::error::Error for BadKey {}

impl SecretKey {
    /// A new random key.
    pub fn mint() -> SecretKey {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).expect("the operating system gives random bytes");
        SecretKey::from_bits(bits)
    }

    /// The key of 256 given bits.
    pub fn from_bits(bits: [u8; 32]) -> SecretKey {
        let mut text = String::with_capacity(PREFIX.len() + BODY + SUM);
        text.push_str(PREFIX);
        text.push_str(&base62(bits, BODY));
        let sum = checksum(&text);
        text.push_str(&sum);
        SecretKey(text)
    }

    /// Read a key somebody gave. A minted one must have its right check characters; any other string is a key fixed by the
    /// operator.
    pub fn parse(text: &str) -> Result<SecretKey, BadKey> {
        let Some(rest) = text.strip_prefix(PREFIX) else { return SecretKey::fixed(text) };
        if rest.len() != BODY + SUM || !rest.bytes().all(|b| b.is_ascii_alphanumeric()) {
            // Too short, too long or with a stray character: as a rule a copy that went wrong.
            return Err(BadKey::Shape);
        }
        let (signed, sum) = text.split_at(PREFIX.len() + BODY);
        if checksum(signed) == sum { Ok(SecretKey(text.to_owned())) } else { Err(BadKey::Checksum) }
    }

    /// A key chosen by the operator: any 8 to 200 visible ASCII characters.
    pub fn fixed(text: &str) -> Result<SecretKey, BadKey> {
        if looks_like_a_key(text) { Ok(SecretKey(text.to_owned())) } else { Err(BadKey::Shape) }
    }

    /// The secret. Show it once, to the one who asked for it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The key's public name: hex SHA-256 of the secret.
    pub fn hash(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(self.0.as_bytes()).into();
        hex(&digest)
    }

    /// Enough of it to tell keys apart: `sk-slip-v1-abc...123`, or two characters of a short one.
    pub fn label(&self) -> String {
        let (prefix, rest) =
            if let Some(rest) = self.0.strip_prefix(PREFIX) { (PREFIX, rest) } else { ("", self.0.as_str()) };
        // Visible ASCII only, so every offset is a boundary.
        if rest.len() >= 24 {
            format!("{prefix}{}...{}", &rest[..3], &rest[rest.len() - 3..])
        } else {
            format!("{prefix}{}...", &rest[..rest.len().min(2)])
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.label())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|n| char::from_digit(n.into(), 16).unwrap_or('0'))
        .collect()
}

/// Cheap enough to ask of anything presented, before any work is spent on it.
pub(crate) fn looks_like_a_key(text: &str) -> bool {
    FIXED.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn checksum(signed: &str) -> String {
    let mut bits = [0; 32];
    bits[28..].copy_from_slice(&crc32fast::hash(signed.as_bytes()).to_be_bytes());
    base62(bits, SUM)
}

/// A big-endian number in base 62, padded to `width` digits.
fn base62(mut number: [u8; 32], width: usize) -> String {
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0u32;
        for byte in &mut number {
            let here = rest * 256 + u32::from(*byte);
            *byte = (here / 62) as u8;
            rest = here % 62;
        }
        *digit = DIGITS[rest as usize];
    }
    digits.into_iter().map(char::from).collect()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// May call models.
    #[default]
    Api,
    /// May manage keys, and nothing else.
    Management,
}

impl KeyKind {
    pub const fn name(self) -> &'static str {
        match self {
            KeyKind::Api => "api",
            KeyKind::Management => "management",
        }
    }

    pub fn parse(name: &str) -> Option<KeyKind> {
        [KeyKind::Api, KeyKind::Management].into_iter().find(|k| k.name() == name)
    }
}

/// What is known about a key. To change one, clone it, edit the clone and give it to [`crate::Store::update_key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub(crate) mac: [u8; 32],
    /// Hex SHA-256 of the secret: the key's name in the API.
    pub hash: Arc<str>,
    /// `sk-slip-v1-abc...123`.
    pub label: String,
    pub name: String,
    pub kind: KeyKind,
    pub disabled: bool,
    pub limit: Option<Nano>,
    pub limit_reset: Option<Reset>,
    pub include_byok_in_limit: bool,
    /// Unix milliseconds, like all times here.
    pub expires_ms: Option<i64>,
    pub created_ms: i64,
    pub updated_ms: Option<i64>,
    pub workspace: Arc<str>,
    pub detail: KeyDetail,
}

/// What a key is made to stay within, and what else is known of it. As JSON what is not set is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyDetail {
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<Arc<str>>,
    /// Patterns of models (`openai/*`) and slugs of providers; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<String>,
    /// Addresses and networks (`10.0.0.0/8`) it may be used from; empty: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Requests at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// `interactive`, `batch` or `background`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
    /// Days for which what is asked and answered is kept; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_content_days: Option<u16>,
    /// Whether answers are kept to be given again: `on`, `off` unless a request asks for it, `never`; absent: as everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// For how many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_ttl: Option<u32>,
    /// Among whom: `key` or `workspace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_scope: Option<String>,
    /// The secret before the last rotation still opens it for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// The hash of the key an app was signed in with, where this is the app's: it may nothing that one may not, what it spends
    /// that one spends, and it goes where that one goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Arc<str>>,
}

/// A secret that is being replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    pub(crate) mac: [u8; 32],
    pub until_ms: i64,
}

/// The workspace of whoever has been put into none.
pub const DEFAULT_WORKSPACE: &str = "default";

impl Key {
    pub fn expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|at| now_ms >= at)
    }

    /// What may still be spent in the running period, never below zero; `None` when there is no limit.
    pub fn remaining(&self, usage: &KeyUsage) -> Option<Nano> {
        let (own, byok) = match self.limit_reset {
            None => (usage.total, usage.byok_total),
            Some(Reset::Daily) => (usage.daily, usage.byok_daily),
            Some(Reset::Weekly) => (usage.weekly, usage.byok_weekly),
            Some(Reset::Monthly) => (usage.monthly, usage.byok_monthly),
        };
        let spent = if self.include_byok_in_limit { own + byok } else { own };
        self.limit.map(|limit| Nano(limit.0.saturating_sub(spent.0).max(0)))
    }
}

/// What a new key is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewKey {
    pub name: String,
    pub kind: KeyKind,
    pub limit: Option<Nano>,
    pub limit_reset: Option<Reset>,
    pub include_byok_in_limit: bool,
    pub expires_ms: Option<i64>,
    /// `None`: [`DEFAULT_WORKSPACE`].
    pub workspace: Option<Arc<str>>,
    pub detail: KeyDetail,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_key_reads_back_and_every_single_typo_is_caught() {
        let key = SecretKey::mint();
        assert_eq!(key.expose().len(), PREFIX.len() + BODY + SUM);
        assert_eq!(SecretKey::parse(key.expose()), Ok(key.clone()));
        for at in PREFIX.len()..key.expose().len() {
            for other in [b'0', b'Z', b'q'] {
                let mut typo = key.expose().as_bytes().to_vec();
                if typo[at] == other {
                    continue;
                }
                typo[at] = other;
                let typo = String::from_utf8(typo).expect("ascii");
                assert_eq!(SecretKey::parse(&typo), Err(BadKey::Checksum), "{typo}");
            }
        }
    }

    /// Worked out apart, with Python's integers and zlib.
    #[test]
    fn keys_are_spelt_the_same_for_ever() {
        let rows = [
            ([0; 32], "sk-slip-v1-00000000000000000000000000000000000000000000xSgYb"),
            ([0xff; 32], "sk-slip-v1-yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp12vScH3"),
            (std::array::from_fn(|at| at as u8), "sk-slip-v1-003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0SlEO9"),
        ];
        for (bits, want) in rows {
            assert_eq!(SecretKey::from_bits(bits).expose(), want);
        }
    }

    #[test]
    fn what_is_and_is_not_a_key() {
        let long = "x".repeat(201);
        let rows: &[(&str, Option<BadKey>)] = &[
            ("operator", None),
            ("sk-slip-demo-3nV8qT1xZr7LkP0c41f", None),
            (&long[..200], None),
            (&long, Some(BadKey::Shape)),
            ("short", Some(BadKey::Shape)),
            ("", Some(BadKey::Shape)),
            ("with a space", Some(BadKey::Shape)),
            ("tab\tinside", Some(BadKey::Shape)),
            ("schlüssel-lang", Some(BadKey::Shape)),
            ("sk-slip-v1-tooshort", Some(BadKey::Shape)),
            ("sk-slip-v1-0000000000000000000000000000000000000000000000000", Some(BadKey::Checksum)),
            ("sk-slip-v1-000000000000000000000000000000000000000000000000-", Some(BadKey::Shape)),
        ];
        for (text, want) in rows {
            assert_eq!(SecretKey::parse(text).err(), *want, "{text}");
        }
        assert!(SecretKey::fixed("sk-slip-v1-tooshort").is_ok(), "the operator may fix any string");
    }

    #[test]
    fn nothing_prints_the_secret() {
        let key = SecretKey::mint();
        let label = key.label();
        assert_eq!(label.len(), PREFIX.len() + 9);
        assert_eq!(format!("{key:?}"), format!("SecretKey({label})"));
        assert_eq!(SecretKey::fixed("operator").expect("a key").label(), "op...");
        let fixed = SecretKey::fixed("an-operators-own-long-key").expect("a key");
        assert_eq!(fixed.label(), "an-...key");
        assert_eq!(
            SecretKey::fixed("12345678").expect("a key").hash(),
            "ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f"
        );
    }

    #[test]
    fn a_limit_counts_the_period_it_names() {
        let usage =
            KeyUsage { total: Nano(90), daily: Nano(10), weekly: Nano(20), byok_daily: Nano(7), ..KeyUsage::default() };
        let key = Key {
            mac: [0; 32],
            hash: "h".into(),
            label: String::new(),
            name: String::new(),
            kind: KeyKind::Api,
            disabled: false,
            limit: Some(Nano(50)),
            limit_reset: None,
            include_byok_in_limit: false,
            expires_ms: Some(1000),
            created_ms: 0,
            updated_ms: None,
            workspace: DEFAULT_WORKSPACE.into(),
            detail: KeyDetail::default(),
        };
        let rows = [
            (None, false, 0),
            (Some(Reset::Daily), false, 40),
            (Some(Reset::Daily), true, 33),
            (Some(Reset::Weekly), false, 30),
            (Some(Reset::Monthly), true, 50),
        ];
        for (limit_reset, include_byok_in_limit, want) in rows {
            let key = Key { limit_reset, include_byok_in_limit, ..key.clone() };
            assert_eq!(key.remaining(&usage), Some(Nano(want)), "{limit_reset:?}");
        }
        assert_eq!(Key { limit: None, ..key.clone() }.remaining(&usage), None);
        assert!(key.expired(1000) && !key.expired(999));
    }
}
