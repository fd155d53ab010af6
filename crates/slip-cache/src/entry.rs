//! What is kept of an answer: the answer's own bytes, and in front of them what must be known to hand it out.

use crate::Key;
use bytes::Bytes;
use slip_ir::{Dialect, Nano};

/// What an entry takes beside its own bytes: its places in the maps, and its share of the past that the policy remembers.
pub const OVERHEAD: u64 = 768;

/// How a reply's body is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One document.
    Whole,
    /// The events of a stream, as the provider's words came.
    Events,
    /// Neither: sound, a picture.
    Raw,
}

impl Form {
    pub const ALL: [Form; 3] = [Form::Whole, Form::Events, Form::Raw];
}

/// What is known of an answer. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose it is. It is in the key already; here it is for purging and for the books.
    pub tenant: String,
    /// The model that was asked for, as the key has it.
    pub model: String,
    /// The generation that this is the answer of: `X-OpenRouter-Cache-Source-Id`.
    pub generation: String,
    pub dialect: Dialect,
    pub form: Form,
    pub status: u16,
    pub created_ms: i64,
    /// It may be handed out as it is for so long.
    pub ttl_ms: u64,
    /// And for so long after that, while it is asked for anew.
    pub stale_ms: u64,
    /// What it cost, and so what a hit saves.
    pub cost: Nano,
    /// How long it took, and so what a hit saves of that.
    pub took_ms: u64,
}

/// How old an entry may be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Fresh,
    /// Past its time, but not past what was asked for to bridge asking anew.
    Stale,
    Gone,
}

impl Header {
    /// Its age, in milliseconds. A clock that went back makes nothing older.
    pub fn age_ms(&self, now_ms: i64) -> u64 {
        u64::try_from(now_ms.saturating_sub(self.created_ms)).unwrap_or(0)
    }

    pub fn age(&self, now_ms: i64) -> Age {
        let age = self.age_ms(now_ms);
        match age {
            _ if age < self.ttl_ms => Age::Fresh,
            _ if age < self.ttl_ms.saturating_add(self.stale_ms) => Age::Stale,
            _ => Age::Gone,
        }
    }

    /// How long it is fresh from now on: `X-OpenRouter-Cache-TTL`.
    pub fn left_ms(&self, now_ms: i64) -> u64 {
        self.ttl_ms.saturating_sub(self.age_ms(now_ms))
    }
}

/// An answer that is kept. Its bytes are shared, not copied, and were not changed since it was made, or [`Entry::is_whole`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    pub header: Header,
    body: Bytes,
    checksum: u32,
}

impl Entry {
    pub fn new(key: Key, header: Header, body: Bytes) -> Entry {
        let checksum = crc32fast::hash(&body);
        Entry { key, header, body, checksum }
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Are these still the bytes that were put in? Memory goes bad, seldom; an answer with one wrong digit is worse than none.
    pub fn is_whole(&self) -> bool {
        crc32fast::hash(&self.body) == self.checksum
    }

    #[cfg(test)]
    pub(crate) fn spoilt(mut self) -> Entry {
        self.checksum ^= 1;
        self
    }

    /// What it occupies.
    pub fn bytes(&self) -> u64 {
        let Header { tenant, model, generation, .. } = &self.header;
        (self.body.len() + tenant.len() + model.len() + generation.len()) as u64 + OVERHEAD
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn header() -> Header {
        Header {
            tenant: "key_1".to_owned(),
            model: "m/n".to_owned(),
            generation: "gen-1-abc".to_owned(),
            dialect: Dialect::OpenAiChat,
            form: Form::Events,
            status: 200,
            created_ms: 1_000_000,
            ttl_ms: 300_000,
            stale_ms: 60_000,
            cost: Nano(1_500_000),
            took_ms: 2_345,
        }
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_gone() {
        let header = header();
        for (after, age, left) in [
            (-5, Age::Fresh, 300_000),
            (0, Age::Fresh, 300_000),
            (299_999, Age::Fresh, 1),
            (300_000, Age::Stale, 0),
            (359_999, Age::Stale, 0),
            (360_000, Age::Gone, 0),
            (i64::MAX / 2, Age::Gone, 0),
        ] {
            let now = 1_000_000 + after;
            assert_eq!((header.age(now), header.left_ms(now)), (age, left), "after {after}");
        }
        let forever = Header { ttl_ms: u64::MAX, stale_ms: u64::MAX, created_ms: i64::MIN, ..header };
        assert_eq!(forever.age(i64::MAX), Age::Fresh);
    }
}
