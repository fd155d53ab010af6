//! A validating JSON scanner that finds spans instead of building values.
//!
//! It accepts exactly the documents serde_json accepts as a raw value, except that nesting is limited. One pass, no
//! allocation: whoever needs a member's meaning reads it from the span.

mod cursor;
#[cfg(test)]
mod tests;
mod text;

pub use cursor::{Bad, Cursor};
pub use text::{Str, write_string, write_string_body};

use crate::Malformed;
use crate::peek::Member;
use std::borrow::Cow;
use std::collections::HashSet;

/// How deep arrays and objects may nest. Real requests stay under 20; a limit keeps every walk over them bounded.
pub const MAX_DEPTH: u32 = 64;

/// Above this many members a hash set finds repeated keys; below it, comparing is cheaper.
const FEW_MEMBERS: usize = 32;

/// Why a walk over a document stopped: its bytes are not JSON, or its JSON is not what was wanted.
#[derive(Debug)]
pub enum Stop {
    Bad(Bad),
    Malformed(Malformed),
}

impl From<Bad> for Stop {
    fn from(bad: Bad) -> Stop {
        Stop::Bad(bad)
    }
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Stop {
        Stop::Malformed(malformed)
    }
}

impl Stop {
    /// Told with the place in `body`.
    pub fn told(self, body: &[u8]) -> Malformed {
        match self {
            Stop::Bad(bad) => bad.told(body),
            Stop::Malformed(malformed) => malformed,
        }
    }
}

/// Is the whole of `body` one valid JSON value?
pub fn check(body: &[u8]) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(body);
    cursor.value().and_then(|_| cursor.end()).map_err(|bad| bad.told(body))
}

/// The members of the object that `body` is, in order. The whole body is validated; a key that appears twice is refused,
/// because two readers could disagree about which one counts.
pub fn members(body: &[u8]) -> Result<Vec<Member>, Malformed> {
    walk_members(body, |_, cursor| cursor.value().map(|_| ()).map_err(Stop::from))
}

/// [`members`], where `visit` consumes each member's value (at least by [`Cursor::value`]) and may refuse it.
pub fn walk_members<'a>(
    body: &'a [u8],
    mut visit: impl FnMut(&Str<'a>, &mut Cursor<'a>) -> Result<(), Stop>,
) -> Result<Vec<Member>, Malformed> {
    let mut members: Vec<Member> = Vec::with_capacity(16);
    let mut seen: HashSet<String> = HashSet::new();
    let mut cursor = Cursor::new(body);
    let mut walk = || -> Result<(), Stop> {
        if cursor.peek() != Some(b'{') {
            cursor.value()?;
            cursor.end()?;
            return Err(Malformed::new("", "must be a JSON object").into());
        }
        cursor.object()?;
        let mut first = true;
        while let Some(key) = cursor.key(&mut first)? {
            cursor.peek();
            let from = cursor.at();
            visit(&key, &mut cursor)?;
            let name = key.text().into_owned();
            let twice = if members.len() < FEW_MEMBERS {
                members.iter().any(|m| m.key == name)
            } else {
                if seen.is_empty() {
                    seen.extend(members.iter().map(|m| m.key.clone()));
                }
                !seen.insert(name.clone())
            };
            if twice {
                let why = format!("the member `{}` appears twice", shown(&name));
                return Err(Malformed::new("", why).into());
            }
            let value = from..cursor.at();
            members.push(Member { key: name, whole: key.start()..value.end, value });
        }
        cursor.end()?;
        Ok(())
    };
    walk().map_err(|stop| stop.told(body))?;
    Ok(members)
}

/// A caller's text as it may appear inside an error message: short, one line.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    const LIMIT: usize = 64;
    if text.len() <= LIMIT && !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let clean = text.chars().filter(|c| !c.is_control()).take(LIMIT).collect::<String>();
    Cow::Owned(if clean.len() < text.len() { clean + "…" } else { clean })
}

/// The members of an object's span. Ends early at the first byte that is not JSON, so hand it spans already found valid.
pub fn fields(span: &[u8]) -> Fields<'_> {
    let mut cursor = Cursor::proven(span);
    let live = cursor.peek() == Some(b'{') && cursor.object().is_ok();
    Fields { cursor, first: true, live }
}

pub struct Fields<'a> {
    cursor: Cursor<'a>,
    first: bool,
    live: bool,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Str<'a>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.live {
            return None;
        }
        let found = match self.cursor.key(&mut self.first) {
            Ok(Some(key)) => self.cursor.value().ok().map(|value| (key, value)),
            _ => None,
        };
        self.live = found.is_some();
        found
    }
}

/// The value of one member of an object's span.
pub fn field<'a>(span: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(span).find(|(key, _)| key.is(name)).map(|(_, value)| value)
}

/// The elements of an array's span; see [`fields`].
pub fn items(span: &[u8]) -> Items<'_> {
    let mut cursor = Cursor::proven(span);
    let live = cursor.peek() == Some(b'[') && cursor.array().is_ok();
    Items { cursor, first: true, live }
}

pub struct Items<'a> {
    cursor: Cursor<'a>,
    first: bool,
    live: bool,
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if !self.live {
            return None;
        }
        let found = match self.cursor.item(&mut self.first) {
            Ok(true) => self.cursor.value().ok(),
            _ => None,
        };
        self.live = found.is_some();
        found
    }
}

/// The text of a string's span.
pub fn string(span: &[u8]) -> Option<Cow<'_, str>> {
    Str::of(span).map(|s| s.text())
}

/// The value of an integer's span (`3`, `3.0`, `3e0`), when it is one.
pub fn integer(span: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(span).ok()?;
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole);
    }
    if !matches!(span.first(), Some(b'-' | b'0'..=b'9')) {
        return None;
    }
    // Doubles hold integers exactly up to 2^53.
    let float = text.parse::<f64>().ok()?;
    (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
}
