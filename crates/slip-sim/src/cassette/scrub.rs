//! Taking secrets out of what is kept: those that are known, those that have the shape of one, and what is named like one.
//!
//! It works on bytes, not on values, so that what it leaves is what was said to the byte; what it puts in their place is plain
//! letters, so that JSON stays JSON.

use memchr::memmem;
use std::borrow::Cow;
use std::ops::Range;

/// What stands where a secret stood.
pub const SCRUBBED: &[u8] = b"[scrubbed]";
/// Shorter than this it is no secret, and would be found in every other word.
const MIN_SECRET: usize = 6;

/// How known credentials begin, and how many characters at least follow. Those of which the last column is set must stand at the
/// beginning of a word, and have a digit in them: they would be found in plain English.
const SHAPES: &[(&str, usize, bool)] = &[
    ("sk-", 16, true),
    ("sk_live_", 8, false),
    ("sk_test_", 8, false),
    ("rk_live_", 8, false),
    ("pk-lf-", 8, false),
    ("gsk_", 16, false),
    ("xai-", 16, true),
    ("AIza", 30, false),
    ("ya29.", 16, false),
    ("AKIA", 12, true),
    ("ASIA", 12, true),
    ("ABSK", 16, true),
    ("bedrock-api-key-", 16, false),
    ("hf_", 16, true),
    ("r8_", 16, true),
    ("pplx-", 16, true),
    ("nvapi-", 16, false),
    ("fw_", 16, true),
    ("csk-", 16, true),
    ("tgp_v1_", 16, false),
    ("jina_", 16, true),
    ("pa-", 24, true),
    ("ghp_", 16, false),
    ("gho_", 16, false),
    ("ghs_", 16, false),
    ("ghu_", 16, false),
    ("github_pat_", 16, false),
    ("glpat-", 16, false),
    ("xoxb-", 10, false),
    ("xoxp-", 10, false),
    ("xoxa-", 10, false),
    ("xapp-", 10, false),
    ("npm_", 24, true),
    ("pypi-", 24, true),
    ("dop_v1_", 16, false),
    ("SG.", 24, true),
    // Organisations, projects, accounts and users.
    ("org-", 12, true),
    ("org_", 12, true),
    ("proj_", 12, true),
    ("acct_", 12, true),
    ("wrkspc_", 12, true),
    ("user-", 20, true),
];

/// Members whose text is secret, whatever it looks like; in JSON and in the JSON within its strings.
const MEMBERS: &[&str] = &[
    "api_key",
    "apikey",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "authorization",
    "proxy-authorization",
    "password",
    "passwd",
    "secret",
    "secret_key",
    "client_secret",
    "access_token",
    "refresh_token",
    "id_token",
    "session_token",
    "auth_token",
    "bearer_token",
    "secret_access_key",
    "secretaccesskey",
    "aws_secret_access_key",
    "aws_session_token",
    "private_key",
    "cookie",
    "set-cookie",
    "openai-organization",
    "openai-project",
];

/// Parts of a query, in a URL or in a text that has one.
const QUERY: &[&str] = &[
    "key",
    "api_key",
    "apikey",
    "api-key",
    "access_token",
    "token",
    "sig",
    "signature",
    "client_secret",
    "password",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "x-goog-signature",
    "x-goog-credential",
];

/// How the name of a variable ends that holds one.
const VARIABLES: &[&str] = &["API_KEY", "SECRET", "TOKEN", "PASSWORD", "ACCESS_KEY", "SECRET_KEY"];

/// Knows what to look for beside shapes.
#[derive(Clone, Default)]
pub struct Scrub {
    known: Vec<(Vec<u8>, &'static [u8])>,
}

impl Scrub {
    /// These very texts are secret, as they are and as URLs and JSON spell them. Of `Bearer x` also the `x`.
    pub fn secrets<'a>(mut self, texts: impl IntoIterator<Item = &'a str>) -> Scrub {
        for text in texts {
            self.add(text.trim(), SCRUBBED);
            if let Some((_, word)) = text.trim().split_once(' ') {
                self.add(word.trim(), SCRUBBED);
            }
        }
        self
    }

    /// Names of accounts, each with the word to stand in its place: addresses are built of them.
    pub fn names<'a>(mut self, names: impl IntoIterator<Item = (&'a str, &'static str)>) -> Scrub {
        for (text, word) in names {
            self.add(text, word.as_bytes());
        }
        self
    }

    fn add(&mut self, text: &str, word: &'static [u8]) {
        if text.len() < MIN_SECRET {
            return;
        }
        let json = serde_json::to_string(text).unwrap_or_default();
        for form in [text.to_owned(), json.trim_matches('"').to_owned(), escaped(text)] {
            if !self.known.iter().any(|(known, _)| *known == form.as_bytes()) {
                self.known.push((form.into_bytes(), word));
            }
        }
        // A longer one may have a shorter one in it.
        self.known.sort_by_key(|(known, _)| std::cmp::Reverse(known.len()));
    }

    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let marks = self.marks(text.as_bytes());
        if marks.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(String::from_utf8_lossy(&apply(text.as_bytes(), 0, &marks)).into_owned())
    }

    /// Where secrets stand, in order and apart, and what is to stand there instead.
    pub fn marks(&self, bytes: &[u8]) -> Vec<Mark> {
        let mut marks = Vec::new();
        for (known, word) in &self.known {
            marks.extend(memmem::find_iter(bytes, known).map(|at| (at..at + known.len(), *word)));
        }
        let mut at = 0;
        while at < bytes.len() {
            match secret(bytes, at) {
                Some(range) => {
                    at = range.end.max(at + 1);
                    marks.push((range, SCRUBBED));
                }
                None => at += 1,
            }
        }
        marks.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut apart: Vec<Mark> = Vec::with_capacity(marks.len());
        for (range, word) in marks {
            match apart.last_mut() {
                // One within another, or across its end.
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                _ => apart.push((range, word)),
            }
        }
        apart
    }
}

/// A place and the word for it.
pub type Mark = (Range<usize>, &'static [u8]);

/// A piece of the text that was marked, which begins at `from`, without what was marked. What began in an earlier piece is gone
/// from this one.
pub fn apply(piece: &[u8], from: usize, marks: &[Mark]) -> Vec<u8> {
    let end = from + piece.len();
    let mut out = Vec::with_capacity(piece.len());
    let mut at = from;
    for (range, word) in marks.iter().filter(|(range, _)| range.end > from && range.start < end) {
        out.extend_from_slice(piece.get(at - from..range.start.max(at) - from).unwrap_or_default());
        if range.start >= from {
            out.extend_from_slice(word);
        }
        at = range.end.min(end).max(at);
    }
    out.extend_from_slice(piece.get(at - from..).unwrap_or_default());
    out
}

/// Is there a secret at this place? What is to go may begin later: of `"password": "x"` only the `x`.
fn secret(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = bytes.get(at..)?;
    match rest.first()? {
        b'"' | b'\'' => member(bytes, at),
        b'?' | b'&' => part(bytes, at),
        b'-' if rest.starts_with(b"-----BEGIN ") => {
            let end = memmem::find(rest, b"-----END ").map_or(rest.len(), |n| n + 9);
            let close = memmem::find(rest.get(end..).unwrap_or_default(), b"-----").map_or(rest.len(), |n| end + n + 5);
            Some(at..at + close)
        }
        b':' if rest.starts_with(b"://") => userinfo(bytes, at + 3),
        b'e' if rest.starts_with(b"eyJ") => token(bytes, at),
        b'B' | b'b' if begins(bytes, at) => bearer(bytes, at),
        first if first.is_ascii_alphabetic() => shape(bytes, at).or_else(|| variable(bytes, at)),
        _ => None,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// How many bytes from here on are of a kind.
fn run(bytes: &[u8], at: usize, is: impl Fn(u8) -> bool) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|b| is(**b)).count()
}

/// A word begins here. What an escape ends with is not a letter before it.
fn begins(bytes: &[u8], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).and_then(|i| bytes.get(i)).copied();
    match before(1) {
        None => true,
        Some(byte) if !is_word(byte) => true,
        Some(b'n' | b'r' | b't' | b'b' | b'f') if before(2) == Some(b'\\') => true,
        Some(byte) if byte.is_ascii_hexdigit() => before(6) == Some(b'\\') && before(5) == Some(b'u'),
        _ => false,
    }
}

fn shape(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = bytes.get(at..)?;
    let (start, least, plain) =
        SHAPES.iter().filter(|(start, ..)| rest.starts_with(start.as_bytes())).max_by_key(|(start, ..)| start.len())?;
    let tail = run(bytes, at + start.len(), |b| is_word(b) || b == b'.' && !plain);
    if tail < *least {
        return None;
    }
    let end = at + start.len() + tail;
    let digit = || bytes.get(at + start.len()..end).is_some_and(|tail| tail.iter().any(u8::is_ascii_digit));
    (!plain || begins(bytes, at) && digit()).then_some(at..end)
}

/// A JSON Web Token: three parts, of which the first is an object.
fn token(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let len = run(bytes, at, |b| is_word(b) || b == b'.');
    let dots = bytes.get(at..at + len)?.iter().filter(|b| **b == b'.').count();
    (len >= 40 && dots >= 2).then_some(at..at + len)
}

/// `Bearer x`, `Basic x`: the `x`.
fn bearer(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let word = run(bytes, at, |b| b.is_ascii_alphabetic());
    let scheme = bytes.get(at..at + word)?;
    if !(scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"basic")) {
        return None;
    }
    if bytes.get(at + word) != Some(&b' ') {
        return None;
    }
    let from = at + word + 1;
    let len = run(bytes, from, |b| is_word(b) || matches!(b, b'.' | b'~' | b'+' | b'/' | b'='));
    let text = bytes.get(from..from + len)?;
    (len >= 12 && text.iter().any(u8::is_ascii_digit)).then_some(from..from + len)
}

/// `"password": "x"`, and the same within a JSON string: the `x`.
fn member(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let quote = *bytes.get(at)?;
    let len = run(bytes, at + 1, is_word);
    let name = bytes.get(at + 1..at + 1 + len)?.to_ascii_lowercase();
    if len == 0 || !MEMBERS.iter().any(|known| known.as_bytes() == name) {
        return None;
    }
    let mut next = at + 1 + len;
    let slashes = run(bytes, next, |b| b == b'\\');
    next += slashes;
    if bytes.get(next) != Some(&quote) {
        return None;
    }
    next += 1 + run(bytes, next + 1, |b| b == b' ');
    if bytes.get(next) != Some(&b':') {
        return None;
    }
    next += 1;
    next += run(bytes, next, |b| matches!(b, b' ' | b'\n' | b'\r' | b'\t'));
    next += run(bytes, next, |b| b == b'\\');
    if bytes.get(next) != Some(&quote) {
        return None;
    }
    let from = next + 1;
    let mut end = from;
    while let Some(byte) = bytes.get(end) {
        let escapes = run(bytes, end, |b| b == b'\\');
        match byte {
            // As many of them as before the quotes of the name: this is the closing one.
            b'\\' if slashes > 0 && escapes == slashes && bytes.get(end + escapes) == Some(&quote) => break,
            b'\\' if slashes > 0 => end += escapes + 1,
            b'\\' => end += 2,
            b if *b == quote => break,
            _ => end += 1,
        }
    }
    let end = end.min(bytes.len());
    (end > from).then_some(from..end)
}

/// `?key=x`: the `x`.
fn part(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let len = run(bytes, at + 1, is_word);
    let name = bytes.get(at + 1..at + 1 + len)?.to_ascii_lowercase();
    let from = at + 1 + len + 1;
    if bytes.get(from - 1) != Some(&b'=') || !QUERY.iter().any(|known| known.as_bytes() == name) {
        return None;
    }
    let value =
        run(bytes, from, |b| b.is_ascii_graphic() && !matches!(b, b'&' | b'"' | b'\'' | b'\\' | b'#' | b'<' | b'>'));
    (value > 0).then_some(from..from + value)
}

/// `https://user:x@host`: the `x`.
fn userinfo(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let user = run(bytes, at, |b| is_word(b) || matches!(b, b'.' | b'%' | b'+'));
    if bytes.get(at + user) != Some(&b':') {
        return None;
    }
    let from = at + user + 1;
    let len = run(bytes, from, |b| b.is_ascii_graphic() && !matches!(b, b'@' | b'/' | b'"' | b'\'' | b'\\'));
    (len > 0 && bytes.get(from + len) == Some(&b'@')).then_some(from..from + len)
}

/// `OPENAI_API_KEY=x`: the `x`.
fn variable(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    if !begins(bytes, at) {
        return None;
    }
    let len = run(bytes, at, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    let name = bytes.get(at..at + len)?;
    if !VARIABLES.iter().any(|end| name.ends_with(end.as_bytes())) || !matches!(bytes.get(at + len), Some(b'=' | b':'))
    {
        return None;
    }
    let from = at + len + 1 + run(bytes, at + len + 1, |b| matches!(b, b' ' | b'"' | b'\'' | b'\\'));
    let value = run(bytes, from, |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'$' | b'{' | b'<'));
    (value >= 8).then_some(from..from + value)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
