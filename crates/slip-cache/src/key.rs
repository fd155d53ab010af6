//! Which requests are the same request: a digest of everything that can change the answer, and of nothing else.

mod canon;
mod number;
pub mod rows;
#[cfg(test)]
mod tests;
mod text;

pub use canon::MAX_VALUES;

use canon::Tape;
use sha2::{Digest, Sha256};
use slip_ir::{Dialect, Op};
use std::fmt;

/// Raised when the canonical form or a table of [`rows`] changes its meaning: what older code kept is then found by nobody.
pub const VERSION: u8 = 1;

/// 256 bits that stand for a request. Two requests have the same one only if one answer serves both.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    pub const fn new(bytes: [u8; 32]) -> Key {
        Key(bytes)
    }

    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first eight bytes, which a map may be indexed by: they are as good as random.
    pub fn id(&self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().unwrap_or(&[0; 8]))
    }

    /// From the 64 hexadecimal digits that it is shown as.
    pub fn parse(hex: &str) -> Option<Key> {
        let digit = |b: &u8| char::from(*b).to_digit(16);
        let mut bytes = [0; 32];
        let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
        }
        Some(Key(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// What an answer depends on beside the request's body.
///
/// Two dialects never share an entry, though one question can be asked in both: what is kept is the answer in its own spelling,
/// and a translation back could lose what the first caller never had to lose. `stream` is no part of it: an answer is kept
/// once and told either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Who shares answers with whom: a key, or a workspace. Part of the digest and not a filter after it, so that nobody can
    /// find, time or displace by collision what another has asked.
    pub tenant: &'a str,
    /// Whatever of the house's own rules shapes an answer: guardrails, transforms, the text of a preset, which providers may
    /// serve. Its bytes are the caller's business; equal bytes must mean equal rules.
    pub policy: &'a [u8],
    /// The model as resolved, with its variant: an alias that is pointed elsewhere misses, two names of one model hit. Where
    /// several may answer, all of them in order. The version of the catalogue is no part: a new price is no new answer, and
    /// would empty the cache every day.
    pub model: &'a str,
    pub op: Op,
    pub dialect: Dialect,
}

/// Why an answer to this request is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing a provider would answer either.
    NotJson,
    /// One name twice in one object (or in two spellings, as `max_tokens` and `max_completion_tokens`). Readers disagree about
    /// which of them counts, so one digest would stand for two requests; and who writes so is not worth the guess.
    Twice(String),
    /// The answer depends on something that is not in the request, or the request does something: names the member.
    Live(String),
    /// More values than [`MAX_VALUES`]: reading it would hold up the others.
    TooLarge,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotJson => f.write_str("the body is not a JSON object"),
            Refusal::Twice(name) => write!(f, "a member is said twice: {name}"),
            Refusal::Live(name) => write!(f, "the answer is more than a function of the request: {name}"),
            Refusal::TooLarge => write!(f, "the body has more than {MAX_VALUES} values"),
        }
    }
}

/// Makes keys. Keep one per thread: it has the room it works in, which stays small.
///
/// ```
/// use slip_cache::{Keyer, Scope};
/// use slip_ir::{Dialect, Op};
///
/// let scope = Scope { tenant: "key_1", policy: b"", model: "m/n", op: Op::Chat, dialect: Dialect::OpenAiChat };
/// let mut keyer = Keyer::default();
/// let one = keyer.key(&scope, br#"{"model":"n","messages":[{"role":"user","content":"h\u00e9"}],"temperature":0,"stream":true}"#);
/// let same = keyer.key(&scope, r#"{ "temperature": 0.0, "messages": [{"content": "hé", "role": "user"}], "user": "ann" }"#.as_bytes());
/// assert_eq!(one, same);
/// assert_ne!(one, keyer.key(&Scope { tenant: "key_2", ..scope }, br#"{"messages":[{"role":"user","content":"h\u00e9"}],"temperature":0}"#));
/// ```
#[derive(Default)]
pub struct Keyer {
    tape: Tape,
}

impl Keyer {
    /// The key of a request whose body is JSON, or why it has none. Validates the body itself, whoever did so before.
    pub fn key(&mut self, scope: &Scope<'_>, body: &[u8]) -> Result<Key, Refusal> {
        let mut sink = Sink::new();
        sink.scope(b"json", scope);
        self.tape.read(body, rows::of(scope.dialect, scope.op))?;
        self.tape.write(body, &mut sink)?;
        Ok(sink.finish())
    }

    /// The key of a request whose body is something else (a form with sound in it): every byte counts, so that a boundary drawn
    /// by lot makes it another. Hand over the parts in a fixed order instead of the form.
    pub fn raw<'a>(&mut self, scope: &Scope<'_>, parts: impl IntoIterator<Item = &'a [u8]>) -> Key {
        let mut sink = Sink::new();
        sink.scope(b"raw", scope);
        parts.into_iter().for_each(|part| sink.text(b's', part));
        sink.finish()
    }
}

/// The digest under way. What comes in crumbs is gathered, what is long goes through as it is.
struct Sink {
    sha: Sha256,
    crumbs: [u8; Sink::CRUMBS],
    used: usize,
}

impl Sink {
    const CRUMBS: usize = 512;

    fn new() -> Sink {
        Sink { sha: Sha256::new(), crumbs: [0; Sink::CRUMBS], used: 0 }
    }

    fn scope(&mut self, form: &[u8], scope: &Scope<'_>) {
        self.put(&[VERSION]);
        let Scope { tenant, policy, model, op, dialect } = scope;
        for part in [form, tenant.as_bytes(), policy, model.as_bytes(), op.name().as_bytes(), dialect.name().as_bytes()]
        {
            self.text(b's', part);
        }
    }

    /// Any text, so that nothing in it can pass for what comes after it.
    fn text(&mut self, tag: u8, text: &[u8]) {
        // Five bytes count further than anything in memory is long.
        let [a, b, c, d, e, ..] = (text.len() as u64).to_le_bytes();
        self.put(&[tag, a, b, c, d, e]);
        self.put(text);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.crumbs.get_mut(self.used..self.used + bytes.len()) {
            room.copy_from_slice(bytes);
            self.used += bytes.len();
            return;
        }
        self.flush();
        match self.crumbs.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.used = bytes.len();
            }
            None => self.sha.update(bytes),
        }
    }

    fn flush(&mut self) {
        self.sha.update(self.crumbs.get(..self.used).unwrap_or_default());
        self.used = 0;
    }

    fn finish(mut self) -> Key {
        self.flush();
        Key(self.sha.finalize().into())
    }
}
