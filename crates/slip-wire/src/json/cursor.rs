//! The scanner itself: a position in a document that only moves over valid JSON.

use super::text::{Str, short_run, survey, utf8};
use super::{MAX_DEPTH, Malformed};

/// The first thing wrong with a document, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad {
    pub at: usize,
    pub what: &'static str,
}

const TOO_DEEP: &str = "nested deeper than 64 levels";
const EARLY_END: &str = "the text ends too early";

impl Bad {
    /// Told to people: line and column count from one, columns and offset in bytes.
    pub fn told(self, body: &[u8]) -> Malformed {
        if self.what == TOO_DEEP {
            return Malformed::new("", TOO_DEEP);
        }
        let before = &body[..self.at.min(body.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |i| i + 1) + 1;
        let Bad { at, what } = self;
        Malformed::new("", format!("not JSON: {what} at line {line} column {column} (byte {at})"))
    }
}

/// A pull reader: peek at what comes, step into objects and arrays, or take a whole value as a span.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
    /// The text of strings was checked by an earlier walk.
    proven: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0, depth: 0, proven: false }
    }

    /// Over bytes that an earlier walk found valid: strings are only searched for their end.
    pub fn proven(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { proven: true, ..Cursor::new(bytes) }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// Continue at a value that an earlier walk found there.
    pub fn skip_to(&mut self, at: usize) {
        self.at = at.min(self.bytes.len());
    }

    fn bad<T>(&self, what: &'static str) -> Result<T, Bad> {
        let what = if self.at >= self.bytes.len() { EARLY_END } else { what };
        Err(Bad { at: self.at, what })
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte() {
            self.at += 1;
        }
    }

    /// The first byte of what comes next, after white space.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        self.space();
        self.byte()
    }

    /// Only white space may be left.
    pub fn end(&mut self) -> Result<(), Bad> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.bad("expected nothing more"),
        }
    }

    pub fn object(&mut self) -> Result<(), Bad> {
        self.enter(b'{', "expected `{`")
    }

    pub fn array(&mut self) -> Result<(), Bad> {
        self.enter(b'[', "expected `[`")
    }

    fn enter(&mut self, bracket: u8, what: &'static str) -> Result<(), Bad> {
        if self.peek() != Some(bracket) {
            return self.bad(what);
        }
        if self.depth >= MAX_DEPTH {
            return Err(Bad { at: self.at, what: TOO_DEEP });
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// The next key of the object stepped into, colon consumed; `None` once it is closed. `first` starts out true.
    #[inline]
    pub fn key(&mut self, first: &mut bool) -> Result<Option<Str<'a>>, Bad> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                return Ok(None);
            }
            Some(b',') if !*first => {
                self.at += 1;
                self.space();
            }
            Some(_) if *first => {}
            _ => return self.bad("expected `,` or `}`"),
        }
        *first = false;
        self.key_and_colon().map(Some)
    }

    /// True when the array stepped into has another element, which then comes next; false once it is closed.
    #[inline]
    pub fn item(&mut self, first: &mut bool) -> Result<bool, Bad> {
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                return Ok(false);
            }
            Some(b',') if !*first => self.at += 1,
            Some(_) if *first => {}
            _ => return self.bad("expected `,` or `]`"),
        }
        *first = false;
        Ok(true)
    }

    #[inline]
    fn key_and_colon(&mut self) -> Result<Str<'a>, Bad> {
        if self.byte() != Some(b'"') {
            return self.bad("expected a key in double quotes");
        }
        let key = self.string()?;
        if self.peek() != Some(b':') {
            return self.bad("expected `:`");
        }
        self.at += 1;
        Ok(key)
    }

    /// The whole value that comes next.
    pub fn value(&mut self) -> Result<&'a [u8], Bad> {
        self.space();
        let start = self.at;
        let mut depth = self.depth;
        // One bit per open bracket, the innermost lowest: 1 is an object.
        let mut kinds = 0u64;
        'value: loop {
            match self.byte() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'{') => {
                    if depth >= MAX_DEPTH {
                        return Err(Bad { at: self.at, what: TOO_DEEP });
                    }
                    self.at += 1;
                    if self.peek() != Some(b'}') {
                        depth += 1;
                        kinds = kinds << 1 | 1;
                        self.key_and_colon()?;
                        self.space();
                        continue 'value;
                    }
                    self.at += 1;
                }
                Some(b'[') => {
                    if depth >= MAX_DEPTH {
                        return Err(Bad { at: self.at, what: TOO_DEEP });
                    }
                    self.at += 1;
                    if self.peek() != Some(b']') {
                        depth += 1;
                        kinds <<= 1;
                        continue 'value;
                    }
                    self.at += 1;
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return self.bad("expected a value"),
            }
            while depth > self.depth {
                let object = kinds & 1 == 1;
                match (self.peek(), object) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.space();
                        self.key_and_colon()?;
                        self.space();
                        continue 'value;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        self.space();
                        continue 'value;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        depth -= 1;
                        kinds >>= 1;
                    }
                    (_, true) => return self.bad("expected `,` or `}`"),
                    (_, false) => return self.bad("expected `,` or `]`"),
                }
            }
            return Ok(&self.bytes[start..self.at]);
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Bad> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.bad("expected a value")
    }

    fn digits(&mut self) -> Result<(), Bad> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at == start { self.bad("expected a digit") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Bad> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
            if let Some(b'0'..=b'9') = self.byte() {
                return self.bad("a number starts with a needless zero");
            }
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// The string whose opening quote comes next.
    #[inline]
    pub fn string(&mut self) -> Result<Str<'a>, Bad> {
        if self.peek() != Some(b'"') {
            return self.bad("expected a string");
        }
        let quote = self.at;
        self.at += 1;
        if self.proven {
            return self.proven_string(quote);
        }
        // Keys and tokens end within a few words; of longer text the end is searched for, and what lies before is checked at once.
        let mut high = false;
        self.at += short_run(&self.bytes[self.at..], &mut high);
        let surveyed = self.at;
        let mut escaped = false;
        let ended = loop {
            match self.byte() {
                Some(b'"') => break Ok(()),
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    if let Err(bad) = self.escape() {
                        break Err(bad);
                    }
                }
                _ => {}
            }
            match memchr::memchr2(b'"', b'\\', &self.bytes[self.at..]) {
                Some(found) => self.at += found,
                None => {
                    self.at = self.bytes.len();
                    break Err(Bad { at: self.at, what: EARLY_END });
                }
            }
        };
        let (control, seen) = survey(&self.bytes[surveyed..self.at]);
        if control {
            let found = self.bytes[surveyed..self.at].iter().position(|b| *b < 0x20);
            self.at = surveyed + found.unwrap_or(0);
            return self.bad("a control character stands unescaped in a string");
        }
        ended?;
        let raw = &self.bytes[quote + 1..self.at];
        if (high || seen >= 0x80)
            && let Err(valid) = utf8(raw)
        {
            return Err(Bad { at: quote + 1 + valid, what: "a string is not UTF-8" });
        }
        self.at += 1;
        Ok(Str::found(raw, escaped, quote))
    }

    fn proven_string(&mut self, quote: usize) -> Result<Str<'a>, Bad> {
        let from = quote + 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'"', rest) else {
                self.at = self.bytes.len();
                return self.bad(EARLY_END);
            };
            self.at += found;
            let raw = &self.bytes[from..self.at];
            self.at += 1;
            // Escaped if an odd number of backslashes stands before it.
            if raw.iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0 {
                return Ok(Str::found(raw, memchr::memchr(b'\\', raw).is_some(), quote));
            }
        }
    }

    fn escape(&mut self) -> Result<(), Bad> {
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_some_and(|b| b.is_ascii_hexdigit()) {
                        return self.bad("expected four hexadecimal digits");
                    }
                    self.at += 1;
                }
                Ok(())
            }
            _ => self.bad("expected an escape"),
        }
    }
}
