//! JSON objects read member by member without losing the spelling of what is inside, and written the same way.

use crate::Malformed;
use crate::json::write_string;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;
use slip_ir::Raw;
use std::borrow::Cow;
use std::fmt;

/// Members of one object we look at. The widest object of any dialect has about forty; thousands would make the look-ups by name
/// expensive.
const MAX_MEMBERS: usize = 512;

/// The members of an object in order, values unread. `take*` remove what they return, so that what is left was not understood.
/// A member that is `null` counts as absent; of members with one name the last counts.
#[derive(Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                #[derive(Deserialize)]
                struct Key<'a>(#[serde(borrow)] Cow<'a, str>);
                let mut members = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(serde::de::Error::custom("too many members"));
                    }
                    members.push((key, map.next_value()?));
                }
                Ok(Object { members })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A path one step deeper.
pub fn below(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// Read one value, or say where it is wrong.
pub fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue, at: &str, what: &str) -> Result<T, Malformed> {
    serde_json::from_str(raw.get()).map_err(|_| Malformed::new(at, format!("must be {what}")))
}

/// Whether a value opens as an object.
pub fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

pub fn is_string(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

impl<'a> Object<'a> {
    pub fn parse(text: &'a str, at: &str) -> Result<Object<'a>, Malformed> {
        serde_json::from_str(text).map_err(|e| Malformed::new(at, format!("must be an object: {e}")))
    }

    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut found = None;
        self.members.retain(|(key, value)| {
            let hit = key == name;
            if hit {
                found = Some(*value);
            }
            !hit
        });
        found.filter(|raw| raw.get() != "null")
    }

    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(key, _)| key == name)
    }

    fn take_as<T: Deserialize<'a>>(&mut self, name: &str, at: &str, what: &str) -> Result<Option<T>, Malformed> {
        self.take(name).map(|raw| read(raw, &below(at, name), what)).transpose()
    }

    pub fn string(&mut self, name: &str, at: &str) -> Result<Option<String>, Malformed> {
        self.take_as(name, at, "a string")
    }

    pub fn required(&mut self, name: &str, at: &str) -> Result<String, Malformed> {
        self.string(name, at)?.ok_or_else(|| Malformed::new(below(at, name), "is required"))
    }

    pub fn bool(&mut self, name: &str, at: &str) -> Result<Option<bool>, Malformed> {
        self.take_as(name, at, "true or false")
    }

    pub fn number(&mut self, name: &str, at: &str) -> Result<Option<Number>, Malformed> {
        self.take_as(name, at, "a number")
    }

    /// A count: a whole number that is not negative (some clients write `1024.0`).
    pub fn count(&mut self, name: &str, at: &str) -> Result<Option<u64>, Malformed> {
        let Some(number) = self.number(name, at)? else { return Ok(None) };
        whole(&number).map(Some).ok_or_else(|| Malformed::new(below(at, name), "must be a whole number of 0 or more"))
    }

    pub fn array(&mut self, name: &str, at: &str) -> Result<Option<Vec<&'a RawValue>>, Malformed> {
        self.take_as(name, at, "an array")
    }

    pub fn object(&mut self, name: &str, at: &str) -> Result<Option<Object<'a>>, Malformed> {
        self.take(name).map(|raw| Object::parse(raw.get(), &below(at, name))).transpose()
    }

    /// What nobody took, nulls apart.
    pub fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.members.into_iter().filter(|(_, raw)| raw.get() != "null")
    }

    /// What nobody took, nulls too.
    pub fn all(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.members.into_iter()
    }

    /// What nobody took, as an object of its own; `None` when nothing is left.
    pub fn rest_object(self) -> Option<Raw> {
        let mut out = Vec::new();
        let mut writer = Writer::open(&mut out);
        let mut any = false;
        for (key, raw) in self.rest() {
            writer.raw(&key, raw.get());
            any = true;
        }
        writer.close();
        any.then(|| to_raw(out)).flatten()
    }
}

/// A count said as any kind of JSON number.
pub fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        // Above 2^53 a float no longer counts one by one.
        (float >= 0.0 && float.fract() == 0.0 && float <= 9_007_199_254_740_992.0).then_some(float as u64)
    })
}

/// Bytes a [`Writer`] made, as one value.
pub fn to_raw(bytes: Vec<u8>) -> Option<Raw> {
    String::from_utf8(bytes).ok().and_then(Raw::parse)
}

/// Writes one object, member by member.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Writer<'a> {
    pub fn open(out: &'a mut Vec<u8>) -> Writer<'a> {
        out.push(b'{');
        Writer { out, first: true }
    }

    /// The place where the value of `name` must now be written.
    pub fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write_string(name, self.out);
        self.out.push(b':');
        self.out
    }

    /// Like [`Writer::put`], for text that may be long.
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        write_string(text, self.key(name));
        self
    }

    pub fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> &mut Self {
        json(self.key(name), value);
        self
    }

    pub fn put_some<T: Serialize>(&mut self, name: &str, value: &Option<T>) -> &mut Self {
        if let Some(value) = value {
            self.put(name, value);
        }
        self
    }

    /// `text` must be one JSON value.
    pub fn raw(&mut self, name: &str, text: &str) -> &mut Self {
        self.key(name).extend_from_slice(text.as_bytes());
        self
    }

    /// Every member of `extra` that `known` lists; the names of the others go to `refused`.
    pub fn known(&mut self, extra: &Raw, known: &[&str], mut refused: impl FnMut(&str)) -> &mut Self {
        let Ok(members) = Object::parse(extra.as_str(), "") else { return self };
        for (key, raw) in members.rest() {
            if known.contains(&&*key) {
                self.raw(&key, raw.get());
            } else {
                refused(&key);
            }
        }
        self
    }

    /// The members of `extra` that have not been `said` yet.
    pub fn others(&mut self, extra: Option<&Raw>, said: &[&str]) -> &mut Self {
        let Some(Ok(members)) = extra.map(|raw| Object::parse(raw.as_str(), "")) else { return self };
        for (name, raw) in members.rest().filter(|(name, _)| !said.contains(&&**name)) {
            self.raw(&name, raw.get());
        }
        self
    }

    pub fn close(self) {
        self.out.push(b'}');
    }
}

/// Append a value as JSON. Writing strings, numbers and raw values into memory cannot fail.
pub fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}

/// Write an array, one element per item.
pub fn array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}
