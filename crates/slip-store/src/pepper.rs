//! The pepper: 32 bytes that turn a key into what is stored of it. Without them a copy of the database cannot confirm a guess at a key,
//! and no key opens anything.

use crate::Error;
use crate::place::{io, private};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

const PEPPER_BYTES: usize = 32;

#[derive(Clone, PartialEq, Eq)]
pub struct Pepper(pub(crate) [u8; PEPPER_BYTES]);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

impl Pepper {
    /// The 32 bytes themselves, as in the file of a data directory, or their 64 hex digits. `None` when it is neither.
    pub fn read(given: &[u8]) -> Option<Pepper> {
        if let Ok(bytes) = given.try_into() {
            return Some(Pepper(bytes));
        }
        let digits = given.trim_ascii();
        let mut bytes = [0; PEPPER_BYTES];
        if digits.len() != 2 * PEPPER_BYTES {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Pepper(bytes))
    }

    pub(crate) fn random() -> Pepper {
        let mut bytes = [0; PEPPER_BYTES];
        getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
        Pepper(bytes)
    }
}

/// Read the pepper, or make it once. It is written aside and renamed, so that a crash never leaves half of one.
pub(crate) fn pepper(path: &Path) -> Result<Pepper, Error> {
    match File::open(path) {
        Ok(file) => read_pepper(file, path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let pepper = Pepper::random();
            let aside = path.with_extension("new");
            let mut file = private().write(true).create(true).truncate(true).open(&aside).map_err(io(&aside))?;
            file.write_all(&pepper.0).and_then(|()| file.sync_all()).map_err(io(&aside))?;
            std::fs::rename(&aside, path).map_err(io(path))?;
            Ok(pepper)
        }
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}

fn read_pepper(file: File, path: &Path) -> Result<Pepper, Error> {
    let bad = |why| Error::Pepper { path: path.to_owned(), why };
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().map_err(io(path))?.permissions());
        if mode & 0o077 != 0 {
            return Err(bad("the pepper may be read by others; run chmod 600 on it"));
        }
    }
    let mut bytes = Vec::with_capacity(PEPPER_BYTES + 1);
    file.take(PEPPER_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io(path))?;
    bytes.try_into().map(Pepper).map_err(|_| bad("the pepper is not 32 bytes; restore it from a backup"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pepper_is_read_raw_or_in_hex_and_never_shown() {
        let raw: [u8; 32] = std::array::from_fn(|at| at as u8 * 8);
        let hex: String = raw.iter().map(|byte| format!("{byte:02X}")).collect();
        for given in [raw.to_vec(), hex.clone().into_bytes(), format!(" {hex}\n").into_bytes()] {
            assert_eq!(Pepper::read(&given), Some(Pepper(raw)));
        }
        for given in ["", "short", &hex[..62], &hex.replace('0', "g")] {
            assert_eq!(Pepper::read(given.as_bytes()), None, "{given}");
        }
        assert_eq!(format!("{:?}", Pepper(raw)), "Pepper(…)");
    }
}
