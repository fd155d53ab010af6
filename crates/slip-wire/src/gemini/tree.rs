//! JSON as Gemini spells it: objects read member by member whatever their spelling, and an ordered tree to write from.
//!
//! The API is protobuf JSON: `inlineData` and `inline_data` are one member, `null` is the same as absent, a list of one may be
//! written without its brackets, and 64-bit numbers may be strings.

use crate::dialect::Malformed;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::Number;
use serde_json::value::RawValue;
use slip_ir::Raw;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// The members of one object in order, their keys in camelCase; members that are `null` are left out, and so is a member named
/// again.
pub(super) struct Members<'a> {
    list: Vec<(Cow<'a, str>, &'a RawValue)>,
    repeats: bool,
}

impl<'a> Members<'a> {
    /// `None` when `raw` is not an object.
    pub(super) fn of(raw: &'a RawValue) -> Option<Members<'a>> {
        serde_json::from_str(raw.get()).ok()
    }

    pub(super) fn need(raw: &'a RawValue, at: &str) -> Result<Members<'a>, Malformed> {
        match Members::of(raw) {
            Some(members) if members.repeats => Err(Malformed::new(at, "names a member twice")),
            Some(members) => Ok(members),
            None => Err(Malformed::new(at, "must be an object")),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.list.iter().map(|(key, value)| (key.as_ref(), *value))
    }

    pub(super) fn get(&self, camel: &str) -> Option<&'a RawValue> {
        self.list.iter().find(|(key, _)| key == camel).map(|(_, value)| *value)
    }

    pub(super) fn string(&self, name: &str, at: &str) -> Result<Option<String>, Malformed> {
        self.get(name).map(|raw| string(raw).ok_or_else(|| wrong(at, name, "must be a string"))).transpose()
    }

    pub(super) fn bool(&self, name: &str, at: &str) -> Result<Option<bool>, Malformed> {
        let read =
            |raw: &RawValue| serde_json::from_str(raw.get()).map_err(|_| wrong(at, name, "must be true or false"));
        self.get(name).map(read).transpose()
    }

    pub(super) fn object(&self, name: &str, at: &str) -> Result<Option<Members<'a>>, Malformed> {
        let here = || if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        self.get(name).map(|raw| Members::need(raw, &here())).transpose()
    }

    /// A list; one object without brackets counts as a list of one. Absent is empty.
    pub(super) fn list(&self, name: &str, at: &str) -> Result<Vec<&'a RawValue>, Malformed> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(raw) => list(raw).ok_or_else(|| wrong(at, name, "must be a list")),
        }
    }
}

pub(super) fn wrong(at: &str, name: &str, why: &str) -> Malformed {
    Malformed::new(if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }, why)
}

pub(super) fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A number, or a string holding one.
pub(super) fn number(raw: &RawValue) -> Option<Number> {
    match serde_json::from_str::<Number>(raw.get()) {
        Ok(number) => Some(number),
        Err(_) => string(raw).and_then(|text| serde_json::from_str(&text).ok()),
    }
}

/// A count: whole and not negative, however it is spelt (`5`, `5.0`, `"5"`).
pub(super) fn count(raw: &RawValue) -> Option<u64> {
    let number = number(raw)?;
    if let Some(n) = number.as_u64() {
        return Some(n);
    }
    // Above 2^53 a float no longer names one integer.
    number.as_f64().filter(|f| f.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(f)).map(|f| f as u64)
}

pub(super) fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    match raw.get().as_bytes().first()? {
        b'[' => serde_json::from_str(raw.get()).ok(),
        b'{' => Some(vec![raw]),
        _ => None,
    }
}

pub(super) fn keep(raw: &RawValue) -> Option<Raw> {
    Raw::parse(raw.get())
}

/// The same JSON without insignificant white space: replies are often indented to the depth of the document they came from.
pub(super) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if quoted {
            out.push(c);
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => quoted = false,
                _ => {}
            }
        } else if !matches!(c, ' ' | '\t' | '\r' | '\n') {
            quoted = c == '"';
            out.push(c);
        }
    }
    out
}

/// `inline_data` is `inlineData`. A leading underscore is part of the name.
pub(super) fn camel(key: Cow<'_, str>) -> Cow<'_, str> {
    if !key.get(1..).is_some_and(|rest| rest.contains('_')) {
        return key;
    }
    let mut out = String::with_capacity(key.len());
    let mut raise = false;
    for (at, c) in key.char_indices() {
        if c == '_' && at > 0 {
            raise = true;
        } else if raise {
            out.push(c.to_ascii_uppercase());
            raise = false;
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// `imageSize` is `image_size`.
pub(super) fn snake(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// Keep the first of each name. Looking a member up again and again by a name given a thousand times would cost a thousand
/// times its size.
fn dedup(members: &mut Vec<(Cow<'_, str>, &RawValue)>) {
    const FEW: usize = 16;
    let repeated = match members.len() {
        ..=FEW => members.iter().enumerate().any(|(at, (key, _))| members.iter().take(at).any(|(k, _)| k == key)),
        _ => true,
    };
    if repeated {
        let mut seen = HashSet::new();
        members.retain(|(key, _)| seen.insert(key.to_string()));
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Key<'de>, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        d.deserialize_str(Keys)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Members<'de>, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if value.get() != "null" {
                        members.push((camel(key), value));
                    }
                }
                let before = members.len();
                dedup(&mut members);
                Ok(Members { repeats: members.len() < before, list: members })
            }
        }
        d.deserialize_map(Object)
    }
}

/// JSON to be written. Unlike `serde_json::Value` it keeps the order of members and the spelling of what it only carries.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Str(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    Raw(Cow<'a, Raw>),
}

impl<'a> Node<'a> {
    pub(super) fn object<const N: usize>(members: [(&'static str, Node<'a>); N]) -> Node<'a> {
        Node::Object(members.into_iter().map(|(key, node)| (Cow::Borrowed(key), node)).collect())
    }

    /// Add a member; anything but an object is left alone.
    pub(super) fn set(&mut self, key: impl Into<Cow<'a, str>>, node: impl Into<Node<'a>>) {
        if let Node::Object(members) = self {
            members.push((key.into(), node.into()));
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, node)| node),
            _ => None,
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Node::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Node::Object(members) => members.is_empty(),
            Node::Array(items) => items.is_empty(),
            _ => false,
        }
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn to_raw(&self) -> Option<Raw> {
        Raw::of(self)
    }
}

impl Node<'static> {
    /// `None` when the text is not JSON or nested deeper than the parser goes (128).
    pub(super) fn parse(text: &str) -> Option<Node<'static>> {
        serde_json::from_str(text).ok()
    }
}

impl<'a> From<&'a str> for Node<'a> {
    fn from(text: &'a str) -> Node<'a> {
        Node::Str(Cow::Borrowed(text))
    }
}

impl From<String> for Node<'_> {
    fn from(text: String) -> Self {
        Node::Str(Cow::Owned(text))
    }
}

impl From<bool> for Node<'_> {
    fn from(value: bool) -> Self {
        Node::Bool(value)
    }
}

impl From<u64> for Node<'_> {
    fn from(value: u64) -> Self {
        Node::Number(value.into())
    }
}

impl From<i32> for Node<'_> {
    fn from(value: i32) -> Self {
        Node::Number(value.into())
    }
}

impl From<Number> for Node<'_> {
    fn from(value: Number) -> Self {
        Node::Number(value)
    }
}

impl<'a> From<&'a Raw> for Node<'a> {
    fn from(raw: &'a Raw) -> Node<'a> {
        Node::Raw(Cow::Borrowed(raw))
    }
}

impl From<Raw> for Node<'_> {
    fn from(raw: Raw) -> Self {
        Node::Raw(Cow::Owned(raw))
    }
}

impl<'a> From<Vec<Node<'a>>> for Node<'a> {
    fn from(items: Vec<Node<'a>>) -> Node<'a> {
        Node::Array(items)
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Null => s.serialize_unit(),
            Node::Bool(value) => s.serialize_bool(*value),
            Node::Number(value) => value.serialize(s),
            Node::Str(text) => s.serialize_str(text),
            Node::Raw(raw) => raw.serialize(s),
            Node::Array(items) => {
                let mut seq = s.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Node::Object(members) => {
                let mut map = s.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node<'static> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Node<'static>, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Node<'static>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Node::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Node::Bool(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Node::Number(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Node::Number(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Node::Str(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::Array(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Node<'static>>()? {
                    members.push((Cow::Owned(key), value));
                }
                Ok(Node::Object(members))
            }
        }
        d.deserialize_any(Any)
    }
}
