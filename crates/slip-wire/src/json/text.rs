//! JSON strings: finding their end, reading and writing them.

use bytes::BufMut;
use std::borrow::Cow;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// What is looked at word by word before anything with a set-up cost is begun.
const SHORT: usize = 24;

/// Bytes of `word` that end a plain run, as their top bits. The lowest set bit is exact; higher ones may be false.
#[inline]
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let below = |x: u64, n: u64| x.wrapping_sub(ONES * n) & !x;
    (below(quote, 1) | below(slash, 1) | below(word, 0x20)) & HIGHS
}

#[inline]
const fn is_special(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < 0x20
}

/// How many of the first few bytes need no attention inside a string. `high` is set when some of them may not be ASCII.
#[inline]
pub(super) fn short_run(bytes: &[u8], high: &mut bool) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().take(SHORT / 8).enumerate() {
        let word = u64::from_le_bytes(*word);
        *high |= word & HIGHS != 0;
        let hit = special(word);
        if hit != 0 {
            return n * 8 + (hit.trailing_zeros() / 8) as usize;
        }
    }
    if words.len() > SHORT / 8 {
        return SHORT;
    }
    *high |= !tail.is_ascii();
    words.len() * 8 + tail.iter().position(|b| is_special(*b)).unwrap_or(tail.len())
}

/// How many leading bytes need no attention inside a string.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    match short_run(bytes, &mut false) {
        SHORT => SHORT + long_run(bytes.get(SHORT..).unwrap_or_default()),
        run => run,
    }
}

/// Long text, a window at a time: what ends it is searched for, then what lies before is checked, both in vector instructions.
#[inline(never)]
fn long_run(bytes: &[u8]) -> usize {
    /// Bounds what is searched again after each control character, of which prose that is about to be escaped has many.
    const WINDOW: usize = 1024;
    let mut clean = 0;
    for window in bytes.chunks(WINDOW) {
        let end = memchr::memchr2(b'"', b'\\', window).unwrap_or(window.len());
        let run = window.get(..end).unwrap_or(window);
        if survey(run).0 {
            return clean + run.iter().position(|b| *b < 0x20).unwrap_or(end);
        }
        clean += end;
        if end < window.len() {
            break;
        }
    }
    clean
}

/// Is there a control character, and which bits occur at all? Each lane keeps its own least and union, which is the form the compiler
/// makes vector instructions of.
#[inline]
pub(super) fn survey(run: &[u8]) -> (bool, u8) {
    const LANES: usize = 32;
    let (mut least, mut seen) = ([0xffu8; LANES], [0u8; LANES]);
    let (blocks, tail) = run.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            least[lane] = least[lane].min(block[lane]);
            seen[lane] |= block[lane];
        }
    }
    let least = least.iter().chain(tail).fold(0xff, |least, b| (*b).min(least));
    let seen = seen.iter().chain(tail).fold(0, |seen, b| seen | b);
    (least < 0x20, seen)
}

/// A valid JSON string where it lies. `raw` is what stands between the quotes.
#[derive(Clone, Copy, Debug)]
pub struct Str<'a> {
    raw: &'a [u8],
    escaped: bool,
    start: usize,
}

impl<'a> Str<'a> {
    pub(super) fn found(raw: &'a [u8], escaped: bool, start: usize) -> Str<'a> {
        Str { raw, escaped, start }
    }

    /// The string that a value's span is.
    pub fn of(span: &'a [u8]) -> Option<Str<'a>> {
        let raw = span.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(Str { raw, escaped: memchr::memchr(b'\\', raw).is_some(), start: 0 })
    }

    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Where its opening quote stood in the document it was scanned from.
    pub fn start(&self) -> usize {
        self.start
    }

    #[inline]
    pub fn is(&self, name: &str) -> bool {
        if self.escaped { self.text() == name } else { self.raw == name.as_bytes() }
    }

    /// The decoded bytes; borrowed unless something was escaped.
    #[inline]
    pub fn bytes(&self) -> Cow<'a, [u8]> {
        if self.escaped { Cow::Owned(self.text().into_owned().into_bytes()) } else { Cow::Borrowed(self.raw) }
    }

    pub fn text(&self) -> Cow<'a, str> {
        if !self.escaped {
            return match utf8(self.raw) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(self.raw),
            };
        }
        let mut text = String::with_capacity(self.raw.len());
        self.decode(&mut |piece| text.push_str(piece));
        Cow::Owned(text)
    }

    /// The length of [`Str::text`] without building it.
    #[inline]
    pub fn text_len(&self) -> usize {
        if !self.escaped {
            return self.raw.len();
        }
        let mut length = 0;
        self.decode(&mut |piece| length += piece.len());
        length
    }

    /// Half of a surrogate pair alone is no character; it becomes U+FFFD.
    fn decode(&self, each: &mut dyn FnMut(&str)) {
        // A string the scanner found is UTF-8 as a whole, and escapes lie between characters.
        let lossy;
        let mut rest = match utf8(self.raw) {
            Ok(text) => text,
            Err(_) => {
                lossy = String::from_utf8_lossy(self.raw);
                &*lossy
            }
        };
        while let Some((before, escape)) =
            memchr::memchr(b'\\', rest.as_bytes()).and_then(|at| rest.split_at_checked(at))
        {
            each(before);
            let (character, length) = unescape(escape.as_bytes());
            each(character.encode_utf8(&mut [0; 4]));
            rest = escape.get(length..).unwrap_or_default();
        }
        each(rest);
    }
}

/// Fails with how much of `raw` is UTF-8.
pub(super) fn utf8(raw: &[u8]) -> Result<&str, usize> {
    /// Below this the vector form's set-up costs more than it saves.
    const SHORT: usize = 64;
    if raw.len() >= SHORT
        && let Ok(text) = simdutf8::basic::from_utf8(raw)
    {
        return Ok(text);
    }
    std::str::from_utf8(raw).map_err(|e| e.valid_up_to())
}

/// The escape that `bytes` starts with, and its length.
fn unescape(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let Some(unit) = hex(bytes) else { return (char::REPLACEMENT_CHARACTER, 2) };
            if let 0xd800..=0xdbff = unit
                && let Some(low @ 0xdc00..=0xdfff) = bytes.get(6..).and_then(hex)
            {
                let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
            }
            return (char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
        }
        _ => char::REPLACEMENT_CHARACTER,
    };
    (simple, 2)
}

/// The code unit of a `\uXXXX` that `bytes` starts with.
fn hex(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, b| Some(code * 16 + (*b as char).to_digit(16)?))
}

/// `text` as a JSON string, quotes included.
pub fn write_string(text: &str, out: &mut impl BufMut) {
    out.put_u8(b'"');
    write_string_body(text, out);
    out.put_u8(b'"');
}

/// `text` as it must stand between the quotes of a JSON string.
pub fn write_string_body(text: &str, out: &mut impl BufMut) {
    let mut rest = text.as_bytes();
    loop {
        let run = plain_run(rest);
        out.put_slice(&rest[..run]);
        let Some(byte) = rest.get(run) else { return };
        match byte {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            other => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.put_slice(b"\\u00");
                out.put_u8(DIGITS[(other >> 4) as usize]);
                out.put_u8(DIGITS[(other & 15) as usize]);
            }
        }
        rest = &rest[run + 1..];
    }
}
