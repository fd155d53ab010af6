//! What all things of the [`crate::Directory`] have in common: a name, two times, and a body that is stored as JSON.

use crate::Error;
use crate::keys::hex;
use crate::things::{Kind, Thing};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Under which something is kept, and since when. Times are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filed {
    pub id: Arc<str>,
    pub created_ms: i64,
    pub updated_ms: Option<i64>,
}

impl Filed {
    pub fn new(id: impl Into<Arc<str>>, now_ms: i64) -> Filed {
        Filed { id: id.into(), created_ms: now_ms, updated_ms: None }
    }
}

pub(crate) trait Kept: Serialize + DeserializeOwned {
    const KIND: Kind;

    fn filed(&self) -> &Filed;
    fn file(&mut self, filed: Filed);

    fn thing(&self) -> Result<Thing, Error> {
        let Filed { id, created_ms, updated_ms } = self.filed().clone();
        let body = serde_json::to_value(self).map_err(|why| bad::<Self>(&why))?;
        Ok(Thing { id: id.to_string(), created_ms, updated_ms, body })
    }

    fn read(thing: Thing) -> Result<Self, Error> {
        let mut read: Self = serde_json::from_value(thing.body).map_err(|why| bad::<Self>(&why))?;
        read.file(Filed { id: thing.id.into(), created_ms: thing.created_ms, updated_ms: thing.updated_ms });
        Ok(read)
    }
}

fn bad<T: Kept>(why: &serde_json::Error) -> Error {
    Error::BadRow { table: T::KIND.name(), why: why.to_string() }
}

/// A new random id, as RFC 9562 writes them (version 4).
pub fn random_id() -> String {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the operating system gives random bytes");
    spelt(bits, 4)
}

/// The id that follows from these words, the same for ever (version 8: made by us, by SHA-256).
pub fn derived_id(words: &[&str]) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word.as_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let mut bits = [0; 16];
    bits.copy_from_slice(&digest[..16]);
    spelt(bits, 8)
}

fn spelt(mut bits: [u8; 16], version: u8) -> String {
    bits[6] = bits[6] & 0x0f | version << 4;
    bits[8] = bits[8] & 0x3f | 0x80;
    [&bits[..4], &bits[4..6], &bits[6..8], &bits[8..10], &bits[10..]].map(hex).join("-")
}

/// Whether it has the form of an id made here.
pub fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Amounts are stored as whole nano-USD.
pub(crate) mod nano {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use slip_ir::Nano;

    pub fn serialize<S: Serializer>(nano: &Option<Nano>, s: S) -> Result<S::Ok, S::Error> {
        nano.map(|n| n.0).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Nano>, D::Error> {
        Option::<i64>::deserialize(d).map(|n| n.map(Nano))
    }
}

/// When a limit starts anew, by its name.
pub(crate) mod reset {
    use crate::Reset;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(reset: &Option<Reset>, s: S) -> Result<S::Ok, S::Error> {
        reset.map(Reset::name).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Reset>, D::Error> {
        let name = Option::<String>::deserialize(d)?;
        name.map(|name| Reset::parse(&name).ok_or_else(|| D::Error::custom(format!("not an interval: {name}"))))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_a_uuid() {
        let (one, two) = (random_id(), random_id());
        assert_ne!(one, two);
        assert_eq!((&one[14..15], one.len()), ("4", 36));
        assert!("89ab".contains(&one[19..20]), "{one}");
        let (made, again) = (derived_id(&["a", "bc"]), derived_id(&["a", "bc"]));
        assert_eq!(made, again, "the same words, the same id");
        assert_ne!(made, derived_id(&["ab", "c"]), "words do not run together");
        for id in [&one, &made] {
            assert!(is_id(id), "{id}");
        }
        for no in ["", "default", "550e8400-e29b-41d4-a716-44665544000", "550e8400ae29b-41d4-a716-446655440000"] {
            assert!(!is_id(no), "{no}");
        }
    }
}
