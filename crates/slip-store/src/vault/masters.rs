//! Master keys: 32 bytes each, the first of which seals. The others only open what was sealed before it took their place.

use crate::Error;
use crate::keys::hex;
use crate::place::{io, private};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

const BYTES: usize = 32;
/// Keys that can be told at once.
const MOST: usize = 16;
/// No file of so many keys is longer.
const MAX_FILE: u64 = 4096;
/// Of an id.
const ID_BYTES: usize = 8;

const FOR_IDS: &[u8] = b"slipswitch master key: id";
const FOR_SEALING: &[u8] = b"slipswitch master key: provider keys";

/// One, as the two things it is used for: neither tells the other, or the key.
#[derive(Clone)]
pub(super) struct Master {
    /// Which it is, for whoever has several. Not a secret.
    pub id: String,
    pub sealing: Zeroizing<[u8; BYTES]>,
}

impl Master {
    fn of(key: &[u8; BYTES]) -> Master {
        let derived = |what: &[u8]| -> Zeroizing<[u8; BYTES]> {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a mac takes a key of any length");
            mac.update(what);
            Zeroizing::new(mac.finalize().into_bytes().into())
        };
        Master { id: hex(&derived(FOR_IDS)[..ID_BYTES]), sealing: derived(FOR_SEALING) }
    }
}

/// The master keys of an installation, the one that seals first.
#[derive(Clone)]
pub struct Masters {
    pub(super) current: Master,
    pub(super) old: Vec<Master>,
}

impl fmt::Debug for Masters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masters({}, and {} before it)", self.current.id, self.old.len())
    }
}

impl PartialEq for Masters {
    fn eq(&self, other: &Masters) -> bool {
        self.ids().eq(other.ids())
    }
}

impl Eq for Masters {}

impl Masters {
    /// The 32 bytes of one key, or the 64 hex digits of one or several, apart by spaces, commas or line ends. `None` when it is neither.
    pub fn read(given: &[u8]) -> Option<Masters> {
        if let Ok(raw) = <&[u8; BYTES]>::try_from(given) {
            return Some(Masters { current: Master::of(raw), old: Vec::new() });
        }
        let words = given.split(|byte| byte.is_ascii_whitespace() || *byte == b',').filter(|word| !word.is_empty());
        let mut all = words.map(|word| Some(Master::of(&*unhex(word)?))).take(MOST + 1).collect::<Option<Vec<_>>>()?;
        if all.is_empty() || all.len() > MOST {
            return None;
        }
        let current = all.remove(0);
        Some(Masters { current, old: all })
    }

    /// These, and what those open.
    pub fn with_old(mut self, old: Masters) -> Masters {
        self.old.push(old.current);
        self.old.extend(old.old);
        self
    }

    /// Which one seals.
    pub fn id(&self) -> &str {
        &self.current.id
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(|master| &*master.id)
    }

    fn all(&self) -> impl Iterator<Item = &Master> {
        std::iter::once(&self.current).chain(&self.old)
    }

    pub(super) fn find(&self, id: &str) -> Option<&Master> {
        self.all().find(|master| master.id == id)
    }

    pub(super) fn random() -> Masters {
        Masters { current: Master::of(&random()), old: Vec::new() }
    }

    /// The file's, if there is one.
    pub(super) fn of_file(path: &Path) -> Result<Option<Masters>, Error> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { path: path.to_owned(), source }),
        };
        let bad = |why| Error::Master { path: path.to_owned(), why };
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().map_err(io(path))?.permissions());
            if mode & 0o077 != 0 {
                return Err(bad("the master key may be read by others; run chmod 600 on it"));
            }
        }
        // With room for all of it, so that no copy is left behind where it grew.
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
        file.take(MAX_FILE).read_to_end(&mut text).map_err(io(path))?;
        Masters::read(&text).map(Some).ok_or_else(|| bad("not a master key; restore it from a backup"))
    }

    /// A new one in a file of its own. Written aside and renamed, so that a crash never leaves half of one.
    pub(super) fn make(path: &Path) -> Result<Masters, Error> {
        let key = random();
        let text = Zeroizing::new(hex(&*key) + "\n");
        let aside = path.with_extension("new");
        let mut file = private().write(true).create(true).truncate(true).open(&aside).map_err(io(&aside))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io(&aside))?;
        std::fs::rename(&aside, path).map_err(io(path))?;
        Ok(Masters { current: Master::of(&key), old: Vec::new() })
    }
}

fn random() -> Zeroizing<[u8; BYTES]> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *bytes).expect("the operating system gives random bytes");
    bytes
}

fn unhex(digits: &[u8]) -> Option<Zeroizing<[u8; BYTES]>> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    if digits.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_keys_are_read_raw_or_in_hex_and_never_shown() {
        let raw: [u8; BYTES] = std::array::from_fn(|at| at as u8 * 8);
        let (one, two) = (hex(&raw), hex(&[7; BYTES]));
        let id = Masters::read(&raw).expect("raw").id().to_owned();
        let rows = [
            (one.clone(), 0),
            (format!(" {}\n", one.to_uppercase()), 0),
            (format!("{one}\n{two}\n"), 1),
            (format!("{one},{two}, {one}"), 2),
        ];
        for (text, old) in rows {
            let read = Masters::read(text.as_bytes()).expect("keys");
            assert_eq!((read.id(), read.old.len()), (&*id, old), "{text}");
            let shown = format!("{read:?}");
            assert!(!shown.contains(&one[..16]) && !shown.contains(&two[..16]), "{shown}");
        }
        let many = vec![two.clone(); MOST + 1].join(" ");
        for text in ["", " \n", "short", &one[1..], &one.replace('0', "g"), &format!("{one} short"), &many] {
            assert!(Masters::read(text.as_bytes()).is_none(), "{text}");
        }
        assert!(!hex(&raw).contains(&id), "an id is not a part of its key");
    }
}
