//! A secret in its envelope: sealed with a key of its own, which is sealed with the master key. Both are bound to the row they stand in:
//! moved to another row, workspace or provider they open nothing.

use super::masters::{Master, Masters};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Of what is bound, and how. Another one is not understood here.
const VERSION: u32 = 1;
const NONCE: usize = 24;
const KEY: usize = 32;

/// As it is stored.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    version: u32,
    /// Which master key sealed `key`.
    pub(super) master: String,
    /// The key of the secret: nonce and ciphertext.
    key: String,
    /// The same of the secret.
    secret: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed(by {})", self.master)
    }
}

/// Where a secret stands.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub id: &'a str,
    pub workspace: &'a str,
    pub provider: &'a str,
}

/// Why an envelope does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It was sealed with a master key that is not here.
    OtherMaster,
    /// It was changed, or belongs to another row.
    Tampered,
    /// Sealed by a later release.
    Newer,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unopened::OtherMaster => "it was sealed with another master key",
            Unopened::Tampered => "what is stored of it was changed, or belongs to another row",
            Unopened::Newer => "it was sealed by a later release",
        })
    }
}

impl Row<'_> {
    /// Lengths before words, so that no two rows say the same.
    fn bound(&self, what: &str, master: &str) -> Vec<u8> {
        let mut bound = Vec::with_capacity(128);
        bound.extend_from_slice(&VERSION.to_be_bytes());
        for word in ["provider-key", what, master, self.id, self.workspace, self.provider] {
            bound.extend_from_slice(&(word.len() as u64).to_be_bytes());
            bound.extend_from_slice(word.as_bytes());
        }
        bound
    }
}

impl Sealed {
    pub(super) fn seal(masters: &Masters, row: &Row<'_>, secret: &str) -> Sealed {
        let mut key = Zeroizing::new([0; KEY]);
        getrandom::fill(&mut *key).expect("the operating system gives random bytes");
        let secret = sealed(&key, &row.bound("secret", ""), secret.as_bytes());
        Sealed { version: VERSION, secret, ..Sealed::default() }.under(&masters.current, row, &key)
    }

    pub(super) fn open(&self, masters: &Masters, row: &Row<'_>) -> Result<Zeroizing<String>, Unopened> {
        let key = self.key(masters, row)?;
        let secret = opened(&key, &row.bound("secret", ""), &self.secret)?;
        let text = std::str::from_utf8(&secret).map_err(|_| Unopened::Tampered)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The same secret, its key sealed with the master key that seals now. `None`: it is.
    pub(super) fn resealed(&self, masters: &Masters, row: &Row<'_>) -> Result<Option<Sealed>, Unopened> {
        if self.master == masters.current.id {
            return Ok(None);
        }
        let key = self.key(masters, row)?;
        Ok(Some(self.clone().under(&masters.current, row, &key)))
    }

    fn under(self, master: &Master, row: &Row<'_>, key: &[u8; KEY]) -> Sealed {
        let key = sealed(&master.sealing, &row.bound("key", &master.id), key);
        Sealed { master: master.id.clone(), key, ..self }
    }

    fn key(&self, masters: &Masters, row: &Row<'_>) -> Result<Zeroizing<[u8; KEY]>, Unopened> {
        if self.version > VERSION {
            return Err(Unopened::Newer);
        }
        let master = masters.find(&self.master).ok_or(Unopened::OtherMaster)?;
        let key = opened(&master.sealing, &row.bound("key", &self.master), &self.key)?;
        let key: &[u8; KEY] = key.as_slice().try_into().map_err(|_| Unopened::Tampered)?;
        Ok(Zeroizing::new(*key))
    }
}

fn sealed(key: &[u8; KEY], bound: &[u8], text: &[u8]) -> String {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).expect("the operating system gives random bytes");
    let cipher = XChaCha20Poly1305::new(key.into());
    let payload = Payload { msg: text, aad: bound };
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).expect("it is far shorter than the longest");
    BASE64.encode([nonce.as_slice(), &sealed].concat())
}

fn opened(key: &[u8; KEY], bound: &[u8], sealed: &str) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let sealed = BASE64.decode(sealed).map_err(|_| Unopened::Tampered)?;
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(Unopened::Tampered)?;
    let cipher = XChaCha20Poly1305::new(key.into());
    let opened = cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: bound });
    opened.map(Zeroizing::new).map_err(|_| Unopened::Tampered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "sk-proj-canary-0123456789";
    const ROW: Row<'_> = Row { id: "one", workspace: "default", provider: "openai" };

    fn masters(byte: u8) -> Masters {
        Masters::read(&[byte; 32]).expect("32 bytes")
    }

    #[test]
    fn what_was_sealed_opens_in_its_row_and_nowhere_else() {
        let sealed = Sealed::seal(&masters(1), &ROW, SECRET);
        assert_eq!(sealed.open(&masters(1), &ROW).map(|s| s.to_string()), Ok(SECRET.to_owned()));
        let others = [
            Row { id: "two", ..ROW },
            Row { workspace: "other", ..ROW },
            Row { provider: "anthropic", ..ROW },
            // The same letters, cut elsewhere.
            Row { id: "oned", workspace: "efault", ..ROW },
        ];
        for row in others {
            assert_eq!(sealed.open(&masters(1), &row), Err(Unopened::Tampered), "{row:?}");
        }
        assert_eq!(sealed.open(&masters(2), &ROW), Err(Unopened::OtherMaster));
        let newer = Sealed { version: VERSION + 1, ..sealed };
        assert_eq!(newer.open(&masters(1), &ROW), Err(Unopened::Newer));
    }

    #[test]
    fn nothing_of_an_envelope_can_be_changed_or_put_into_another() {
        let (one, two) = (Sealed::seal(&masters(1), &ROW, SECRET), Sealed::seal(&masters(1), &ROW, "another"));
        let crossed = [
            Sealed { key: two.key.clone(), ..one.clone() },
            Sealed { secret: two.secret.clone(), ..one.clone() },
            Sealed { secret: one.key.clone(), key: one.secret.clone(), ..one.clone() },
            Sealed { secret: String::new(), ..one.clone() },
            Sealed { key: "not base64!".to_owned(), ..one.clone() },
        ];
        for (at, sealed) in crossed.iter().enumerate() {
            assert_eq!(sealed.open(&masters(1), &ROW), Err(Unopened::Tampered), "{at}");
        }
        for (text, which) in [(&one.key, 0), (&one.secret, 1)] {
            let bytes = BASE64.decode(text).expect("base64");
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let changed = BASE64.encode(bytes);
                let sealed = match which {
                    0 => Sealed { key: changed, ..one.clone() },
                    _ => Sealed { secret: changed, ..one.clone() },
                };
                assert_eq!(sealed.open(&masters(1), &ROW), Err(Unopened::Tampered), "{which} {bit}");
            }
        }
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike_and_never_shown() {
        let (one, two) = (Sealed::seal(&masters(1), &ROW, SECRET), Sealed::seal(&masters(1), &ROW, SECRET));
        assert!(one.key != two.key && one.secret != two.secret);
        let stored = serde_json::to_string(&one).expect("JSON") + &format!("{one:?}");
        assert!(!stored.contains("canary") && !stored.contains(&BASE64.encode(SECRET)), "{stored}");
    }

    #[test]
    fn a_new_master_key_reseals_the_key_and_leaves_the_secret() {
        let (old, new) = (masters(1), masters(2).with_old(masters(1)));
        let sealed = Sealed::seal(&old, &ROW, SECRET);
        let again = sealed.resealed(&new, &ROW).expect("opens").expect("another master key");
        assert_eq!(again.open(&masters(2), &ROW).map(|s| s.to_string()), Ok(SECRET.to_owned()));
        assert_eq!((again.open(&old, &ROW), &again.secret), (Err(Unopened::OtherMaster), &sealed.secret));
        assert_eq!(again.resealed(&new, &ROW), Ok(None));
        assert_eq!(sealed.resealed(&masters(3), &ROW), Err(Unopened::OtherMaster));
        assert_eq!(sealed.resealed(&new, &Row { id: "two", ..ROW }), Err(Unopened::Tampered));
    }
}
