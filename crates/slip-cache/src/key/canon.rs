//! The canonical form of a body: read once into a tape of its values, written to the digest with the members of every object in
//! the order of their names.
//!
//! Equal values have one form and different values different ones: texts carry their length, objects and arrays their end.

use super::rows::{Row, Say};
use super::{Refusal, Sink, number, text};
use slip_wire::json::{Cursor, MAX_DEPTH, Str};

/// Values of one body. A conversation of a thousand turns has some ten thousand.
pub const MAX_VALUES: usize = 65_536;

/// What the tape keeps of its room from one body to the next.
const KEPT_VALUES: usize = 4096;
const KEPT_TEXT: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    True,
    False,
    Number,
    Text,
    Array,
    Object,
}

/// A piece of the body, or of what had to be unescaped.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    from: u32,
    length: u32,
    ours: bool,
}

/// The name of a member, and whether it is another's that stands for this one.
#[derive(Clone, Copy, Debug, Default)]
struct Name {
    span: Span,
    alias: bool,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    kind: Kind,
    name: Name,
    span: Span,
    /// The place on the tape after it and everything in it.
    end: u32,
}

#[derive(Default)]
pub(super) struct Tape {
    values: Vec<Value>,
    /// What is not in the body as it should be written.
    text: Vec<u8>,
    /// Members being sorted, a run per object that is open.
    order: Vec<u32>,
}

/// An object or array that is being read.
#[derive(Clone, Copy)]
struct Open {
    at: u32,
    first: bool,
    object: bool,
    /// Of the rows, those whose path leads here: a bit each.
    rows: u64,
    /// Those whose member was here: a bit each. What is passed over must not be said twice either.
    seen: u64,
}

fn piece<'a>(body: &'a [u8], text: &'a [u8], span: Span) -> &'a [u8] {
    let from = span.from as usize;
    let of = if span.ours { text } else { body };
    of.get(from..from + span.length as usize).unwrap_or_default()
}

impl Tape {
    /// Take in a body, without what its table says is silent.
    pub(super) fn read(&mut self, body: &[u8], rows: &'static [Row]) -> Result<(), Refusal> {
        debug_assert!(rows.len() <= 64, "a bit each");
        self.values.clear();
        self.values.shrink_to(KEPT_VALUES);
        self.text.clear();
        self.text.shrink_to(KEPT_TEXT);
        // Places are counted in 32 bits; nobody sends a body of this size.
        if body.len() > (u32::MAX / 2) as usize {
            return Err(Refusal::TooLarge);
        }
        let mut cursor = Cursor::new(body);
        if cursor.peek() != Some(b'{') {
            return Err(Refusal::NotJson);
        }
        let mut open: Vec<Open> = Vec::with_capacity(MAX_DEPTH as usize);
        let mut here = (Name::default(), rows_at_the_root(rows));
        loop {
            let (name, live) = here;
            if self.values.len() >= MAX_VALUES {
                return Err(Refusal::TooLarge);
            }
            let at = self.values.len() as u32;
            match self.value(&mut cursor, name)? {
                Kind::Object => {
                    cursor.object().map_err(|_| Refusal::NotJson)?;
                    open.push(Open { at, first: true, object: true, rows: live, seen: 0 });
                }
                Kind::Array => {
                    cursor.array().map_err(|_| Refusal::NotJson)?;
                    open.push(Open { at, first: true, object: false, rows: live, seen: 0 });
                }
                _ => {}
            }
            // On to the next value, through whatever ends here.
            here = loop {
                let level = open.len();
                let Some(inner) = open.last_mut() else {
                    return cursor.end().map_err(|_| Refusal::NotJson);
                };
                let next = match inner.object {
                    true => self.member(&mut cursor, inner, rows, level)?,
                    false => match cursor.item(&mut inner.first).map_err(|_| Refusal::NotJson)? {
                        true => Some((Name::default(), lead(rows, inner.rows, level, |step| step == "*"))),
                        false => None,
                    },
                };
                if let Some(next) = next {
                    break next;
                }
                let (at, seen) = (inner.at as usize, inner.seen);
                open.pop();
                let bare = seen != 0 && self.values.len() == at + 1;
                if bare && open.last().is_some_and(|outer| !outer.object) {
                    // An element of which nothing is left (a cache point) is no element.
                    self.values.truncate(at);
                } else {
                    let end = self.values.len() as u32;
                    if let Some(value) = self.values.get_mut(at) {
                        value.end = end;
                    }
                }
            };
        }
    }

    /// The next member that counts; those that do not are passed over.
    fn member(
        &mut self,
        cursor: &mut Cursor<'_>,
        inner: &mut Open,
        rows: &'static [Row],
        level: usize,
    ) -> Result<Option<(Name, u64)>, Refusal> {
        let bad = |_| Refusal::NotJson;
        while let Some(name) = cursor.key(&mut inner.first).map_err(bad)? {
            let live = lead(rows, inner.rows, level, |step| name.is(step));
            cursor.peek();
            let Some((bit, row)) = ending(rows, live, level) else {
                return Ok(Some((Name { span: self.span(&name), alias: false }, live)));
            };
            if inner.seen & bit != 0 {
                return Err(Refusal::Twice(row.name()));
            }
            inner.seen |= bit;
            let ahead = cursor.at();
            let value = cursor.value().map_err(bad)?;
            match row.say {
                Say::Nothing => continue,
                Say::Usual(usual) if self.is_usual(value, usual) => continue,
                Say::Live if matches!(value, b"null" | b"false" | b"[]") => continue,
                Say::Live => return Err(Refusal::Live(row.name())),
                Say::LiveIf(words) if starts(value, words) => return Err(Refusal::Live(row.name())),
                Say::Alias(_) | Say::Usual(_) | Say::LiveIf(_) => {}
            }
            cursor.skip_to(ahead);
            let name = match row.say {
                Say::Alias(other) => {
                    let from = self.text.len() as u32;
                    self.text.extend_from_slice(other.as_bytes());
                    Name { span: Span { from, length: other.len() as u32, ours: true }, alias: true }
                }
                _ => Name { span: self.span(&name), alias: false },
            };
            return Ok(Some((name, live)));
        }
        Ok(None)
    }

    /// Puts what comes next on the tape; of an object or array the beginning.
    fn value(&mut self, cursor: &mut Cursor<'_>, name: Name) -> Result<Kind, Refusal> {
        let bad = |_| Refusal::NotJson;
        let start = cursor.peek().ok_or(Refusal::NotJson)?;
        let (kind, span) = match start {
            b'{' => (Kind::Object, Span::default()),
            b'[' => (Kind::Array, Span::default()),
            b'"' => {
                let string = cursor.string().map_err(bad)?;
                (Kind::Text, self.span(&string))
            }
            _ => {
                let from = cursor.at() as u32;
                let raw = cursor.value().map_err(bad)?;
                match start {
                    b't' => (Kind::True, Span::default()),
                    b'f' => (Kind::False, Span::default()),
                    b'n' => (Kind::Null, Span::default()),
                    _ if number::is_plain(raw) => (Kind::Number, Span { from, length: raw.len() as u32, ours: false }),
                    _ => {
                        let from = self.text.len() as u32;
                        number::write(raw, &mut self.text);
                        (Kind::Number, Span { from, length: self.text.len() as u32 - from, ours: true })
                    }
                }
            }
        };
        let end = self.values.len() as u32 + 1;
        self.values.push(Value { kind, name, span, end });
        Ok(kind)
    }

    /// Where a string's text is; what has escapes is written out first.
    fn span(&mut self, string: &Str<'_>) -> Span {
        let raw = string.raw();
        if memchr::memchr(b'\\', raw).is_none() {
            return Span { from: string.start() as u32 + 1, length: raw.len() as u32, ours: false };
        }
        let from = self.text.len() as u32;
        text::write(string, &mut self.text);
        Span { from, length: self.text.len() as u32 - from, ours: true }
    }

    fn is_usual(&mut self, value: &[u8], usual: &str) -> bool {
        if value == usual.as_bytes() {
            return true;
        }
        if !matches!(value.first(), Some(b'-' | b'0'..=b'9')) {
            return false;
        }
        let from = self.text.len();
        number::write(value, &mut self.text);
        let same = self.text.get(from..) == Some(usual.as_bytes());
        self.text.truncate(from);
        same
    }

    /// Everything, in the order of names.
    pub(super) fn write(&mut self, body: &[u8], out: &mut Sink) -> Result<(), Refusal> {
        self.order.clear();
        self.order.shrink_to(KEPT_VALUES);
        let Tape { values, text, order } = self;
        Writer { values, text, body, order, out }.value(0)
    }
}

struct Writer<'a> {
    values: &'a [Value],
    text: &'a [u8],
    body: &'a [u8],
    order: &'a mut Vec<u32>,
    out: &'a mut Sink,
}

impl Writer<'_> {
    /// Calls itself for what lies within, which is never deeper than the scanner went.
    fn value(&mut self, at: u32) -> Result<(), Refusal> {
        let Some(value) = self.values.get(at as usize).copied() else { return Ok(()) };
        let of = |span| piece(self.body, self.text, span);
        match value.kind {
            Kind::Null => self.out.put(b"0"),
            Kind::True => self.out.put(b"t"),
            Kind::False => self.out.put(b"f"),
            Kind::Number => self.out.text(b'n', of(value.span)),
            Kind::Text => self.out.text(b's', of(value.span)),
            Kind::Array => {
                self.out.put(b"[");
                let mut next = at + 1;
                while next < value.end {
                    self.value(next)?;
                    next = self.after(next);
                }
                self.out.put(b"]");
            }
            Kind::Object => self.object(at, value.end)?,
        }
        Ok(())
    }

    fn object(&mut self, at: u32, end: u32) -> Result<(), Refusal> {
        let (root, base) = (at == 0, self.order.len());
        let mut next = at + 1;
        while next < end {
            self.order.push(next);
            next = self.after(next);
        }
        let (values, body, text) = (self.values, self.body, self.text);
        let member = |at: &u32| values.get(*at as usize);
        let name = |at: &u32| member(at).map_or(&[][..], |value| piece(body, text, value.name.span));
        let is_null = |at: &u32| member(at).is_some_and(|value| value.kind == Kind::Null);
        let is_alias = |at: &u32| member(at).is_some_and(|value| value.name.alias);
        let members = self.order.get_mut(base..).unwrap_or_default();
        members.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        // Of two names of one member, one may well be null.
        let clash =
            |[a, b]: &&[u32; 2]| name(a) == name(b) && !(is_alias(a) != is_alias(b) && (is_null(a) || is_null(b)));
        if let Some([twice, _]) = members.array_windows().find(clash) {
            let shown: String = String::from_utf8_lossy(name(twice)).chars().take(64).collect();
            return Err(Refusal::Twice(shown));
        }
        self.out.put(b"{");
        for nth in base..self.order.len() {
            let Some(at) = self.order.get(nth).copied() else { break };
            // At the top, an explicit null says what silence says.
            if root && is_null(&at) {
                continue;
            }
            self.out.text(b's', name(&at));
            self.value(at)?;
        }
        self.out.put(b"}");
        self.order.truncate(base);
        Ok(())
    }

    fn after(&self, at: u32) -> u32 {
        self.values.get(at as usize).map_or(u32::MAX, |value| value.end.max(at + 1))
    }
}

fn rows_at_the_root(rows: &[Row]) -> u64 {
    (0..rows.len().min(64)).fold(0, |set, n| set | 1 << n)
}

/// Of the rows that lead to an object or array at `level` (1 is the body), those that lead on by this step.
#[inline]
fn lead(rows: &[Row], mut live: u64, level: usize, step: impl Fn(&str) -> bool) -> u64 {
    let mut on = 0;
    while live != 0 {
        let n = live.trailing_zeros();
        live &= live - 1;
        let path = rows.get(n as usize).map_or(&[][..], |row| row.path);
        if path.get(level - 1).is_some_and(|name| step(name)) {
            on |= 1 << n;
        }
    }
    on
}

/// The row whose path ends at this level, and its bit.
#[inline]
fn ending(rows: &'static [Row], mut live: u64, level: usize) -> Option<(u64, &'static Row)> {
    while live != 0 {
        let nth = live.trailing_zeros();
        live &= live - 1;
        if let Some(row) = rows.get(nth as usize)
            && row.path.len() == level
        {
            return Some((1 << nth, row));
        }
    }
    None
}

/// Is the value a string that begins with one of these?
fn starts(value: &[u8], words: &[&str]) -> bool {
    Str::of(value).is_some_and(|string| {
        let text = string.text();
        words.iter().any(|word| text.starts_with(word))
    })
}
