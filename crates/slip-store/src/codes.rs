//! Authorization codes: what somebody allowed an app, until the app exchanges the code for a key. They lie in the database, so that
//! whichever gateway the app asks knows them, and each is taken out once, whoever asks first.

use crate::Error;
use crate::filed::{nano, reset};
use crate::keys::{Reset, hex};
use crate::store::Store;
use crate::things::{Kind, Thing};
use serde::{Deserialize, Serialize};
use slip_ir::Nano;
use std::sync::Arc;

/// How long a code may be exchanged.
pub const LIFE_MS: i64 = 10 * 60 * 1000;
/// Codes that wait to be exchanged: of one key, and of everybody.
const MOST_OF_KEY: usize = 20;
const MOST: usize = 1000;

/// What the key made for it will be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthCode {
    /// The hash of the key that allowed it.
    pub by: Arc<str>,
    pub name: String,
    #[serde(with = "nano")]
    pub limit: Option<Nano>,
    #[serde(with = "reset")]
    pub limit_reset: Option<Reset>,
    pub expires_ms: Option<i64>,
    pub workspace: Arc<str>,
    /// What the app must show that it began this; absent where it asked for no such protection.
    pub challenge: Option<Challenge>,
}

/// As the app sent it when it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Challenge {
    pub text: String,
    /// `S256` or `plain`; absent where the app did not say.
    pub method: Option<String>,
}

impl Store {
    /// Keep a code for [`LIFE_MS`], of the code itself its HMAC alone. `false`: too many wait already.
    pub async fn put_code(&self, code: &str, what: AuthCode, now_ms: i64) -> Result<bool, Error> {
        let body = serde_json::to_value(&what).map_err(|why| bad(&why))?;
        let thing = Thing { id: self.code_id(code), created_ms: now_ms, updated_ms: None, body };
        self.write(move |db| {
            let (over, waiting): (Vec<_>, Vec<_>) =
                db.things(Kind::AuthCode)?.into_iter().partition(|old| is_over(old, now_ms));
            for old in over {
                db.delete_thing(Kind::AuthCode, &old.id)?;
            }
            let of_key = waiting.iter().filter(|old| old.body["by"] == *what.by).count();
            if waiting.len() >= MOST || of_key >= MOST_OF_KEY {
                return Ok(false);
            }
            db.put_thing(Kind::AuthCode, &thing)?;
            Ok(true)
        })
        .await
    }

    /// Take a code out: nobody else gets it, here or at another gateway. `None` when it is not there, or its time is up.
    pub async fn take_code(&self, code: &str, now_ms: i64) -> Result<Option<AuthCode>, Error> {
        let id = self.code_id(code);
        let taken = self.write(move |db| {
            let Some(thing) = db.things(Kind::AuthCode)?.into_iter().find(|thing| thing.id == id) else {
                return Ok(None);
            };
            // Of several who saw it the one who removed it has it.
            let mine = db.delete_thing(Kind::AuthCode, &id)?;
            Ok(Some(thing).filter(|thing| mine && !is_over(thing, now_ms)))
        });
        taken.await?.map(|thing| serde_json::from_value(thing.body).map_err(|why| bad(&why))).transpose()
    }

    /// What only a gateway of this database can have said of these words.
    pub fn seal(&self, words: &[&str]) -> String {
        self.keyring().sealed("slipswitch seal", words)
    }

    fn code_id(&self, code: &str) -> String {
        self.keyring().sealed("slipswitch code", &[code])
    }
}

impl crate::Keyring {
    /// HMACs of one purpose are never those of another, nor of a key: no key holds a NUL.
    fn sealed(&self, purpose: &str, words: &[&str]) -> String {
        let mut text = purpose.as_bytes().to_vec();
        for word in words {
            text.push(0);
            text.extend_from_slice(&(word.len() as u64).to_be_bytes());
            text.extend_from_slice(word.as_bytes());
        }
        hex(&self.mac(&text))
    }
}

fn is_over(thing: &Thing, now_ms: i64) -> bool {
    now_ms.saturating_sub(thing.created_ms) >= LIFE_MS
}

fn bad(why: &serde_json::Error) -> Error {
    Error::BadRow { table: Kind::AuthCode.name(), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Place;

    fn code(by: &str) -> AuthCode {
        let challenge = Some(Challenge { text: "c".repeat(43), method: Some("S256".into()) });
        let (limit, limit_reset) = (Some(Nano(7)), Some(Reset::Weekly));
        AuthCode { by: by.into(), name: "app".into(), limit, limit_reset, challenge, ..AuthCode::default() }
    }

    #[tokio::test]
    async fn a_code_is_taken_once_and_in_time() {
        let store = Store::open(Place::Memory, None).expect("opens");
        assert!(store.put_code("one", code("k"), 1000).await.expect("kept"));
        assert_eq!(store.take_code("other", 1001).await.expect("asked"), None);
        let (first, second) = tokio::join!(store.take_code("one", 1001), store.take_code("one", 1001));
        let both = [first.expect("asked"), second.expect("asked")];
        assert_eq!(both.iter().flatten().collect::<Vec<_>>(), [&code("k")], "one of them has it");
        for (waited, there) in [(LIFE_MS - 1, true), (LIFE_MS, false)] {
            assert!(store.put_code("two", code("k"), 5).await.expect("kept"));
            assert_eq!(store.take_code("two", 5 + waited).await.expect("asked").is_some(), there, "{waited}");
            assert_eq!(store.take_code("two", 6).await.expect("asked"), None, "and what was too late is gone");
        }
    }

    #[tokio::test]
    async fn codes_that_wait_are_few_and_none_is_kept_as_it_is() {
        let store = Store::open(Place::Memory, None).expect("opens");
        for n in 0..MOST_OF_KEY {
            assert!(store.put_code(&format!("code-{n}"), code("k"), 0).await.expect("kept"));
        }
        assert!(!store.put_code("more", code("k"), 1).await.expect("asked"));
        assert!(store.put_code("more", code("other"), 1).await.expect("asked"));
        let kept = store.things(Kind::AuthCode).await.expect("read");
        assert!(!format!("{kept:?}").contains("code-1"));
        assert!(store.put_code("late", code("k"), LIFE_MS).await.expect("asked"), "theirs are over");
        assert_eq!(store.things(Kind::AuthCode).await.expect("read").len(), 2);
    }

    #[test]
    fn what_is_sealed_is_sealed_word_by_word() {
        let store = Store::open(Place::Memory, None).expect("opens");
        assert_eq!(store.seal(&["a", "b"]), store.seal(&["a", "b"]));
        assert_ne!(store.seal(&["ab"]), store.seal(&["a", "b"]));
        assert_ne!(store.seal(&["a"]), store.code_id("a"));
    }
}
