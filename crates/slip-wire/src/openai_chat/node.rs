//! Reading a caller's JSON strictly: every value knows its path, so that a refusal can name it.

use crate::{Malformed, json};
use serde_json::Number;
use slip_ir::Raw;
use std::borrow::Cow;

/// A value of the request and the way to it. Spans are valid JSON: the whole body is checked before the first node is made.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    span: &'a [u8],
    up: Option<&'a Node<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Node<'a> {
    pub(crate) fn root(body: &'a [u8]) -> Result<Node<'a>, Malformed> {
        json::check(body)?;
        Ok(Node { span: body.trim_ascii(), up: None, step: Step::Root })
    }

    fn child<'b>(&'b self, step: Step<'b>, span: &'b [u8]) -> Node<'b> {
        Node { span, up: Some(self), step }
    }

    /// `messages[2].content[0].image_url.url`
    pub(crate) fn path(&self) -> String {
        let mut path = self.up.map(Node::path).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
            Step::Index(n) => path.push_str(&format!("[{n}]")),
        }
        path
    }

    pub(crate) fn expected(&self, what: &str) -> Malformed {
        let found = match self.span.first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            _ => "a number",
        };
        Malformed::new(self.path(), format!("expected {what}, found {found}"))
    }

    pub(crate) fn wrong(&self, why: impl Into<String>) -> Malformed {
        Malformed::new(self.path(), why)
    }

    /// A member that must be there is not.
    pub(crate) fn lacks(&self, key: &str, what: &str) -> Malformed {
        let missing = self.child(Step::Key(key), self.span);
        Malformed::new(missing.path(), format!("expected {what}, found nothing"))
    }

    pub(crate) fn span(&self) -> &'a [u8] {
        self.span
    }

    pub(crate) fn is_string(&self) -> bool {
        self.span.first() == Some(&b'"')
    }

    pub(crate) fn is_object(&self) -> bool {
        self.span.first() == Some(&b'{')
    }

    pub(crate) fn is_array(&self) -> bool {
        self.span.first() == Some(&b'[')
    }

    pub(crate) fn text(&self) -> Result<Cow<'a, str>, Malformed> {
        match json::string(self.span) {
            Some(text) => Ok(text),
            None => Err(self.expected("a string")),
        }
    }

    pub(crate) fn string(&self) -> Result<String, Malformed> {
        self.text().map(Cow::into_owned)
    }

    pub(crate) fn bool(&self) -> Result<bool, Malformed> {
        match self.span {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(self.expected("a boolean")),
        }
    }

    pub(crate) fn number(&self) -> Result<Number, Malformed> {
        let text = std::str::from_utf8(self.span).unwrap_or_default();
        let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
        // The standard library's reading is exact, so that what is written again is what was said.
        let number = whole.ok().or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
        let is_number = matches!(self.span.first(), Some(b'-' | b'0'..=b'9'));
        number.filter(|_| is_number).ok_or_else(|| self.expected("a number"))
    }

    pub(crate) fn integer(&self) -> Result<i64, Malformed> {
        json::integer(self.span).ok_or_else(|| self.expected("an integer"))
    }

    pub(crate) fn count(&self) -> Result<u64, Malformed> {
        let number = self.integer()?;
        u64::try_from(number).map_err(|_| self.wrong(format!("expected a count, found: {number}")))
    }

    pub(crate) fn small(&self) -> Result<u32, Malformed> {
        let number = self.count()?;
        u32::try_from(number).map_err(|_| self.wrong(format!("expected a small count, found: {number}")))
    }

    pub(crate) fn raw(&self) -> Result<Raw, Malformed> {
        raw(self.span).ok_or_else(|| self.expected("a JSON value"))
    }

    pub(crate) fn raw_object(&self) -> Result<Raw, Malformed> {
        if self.is_object() { self.raw() } else { Err(self.expected("an object")) }
    }

    pub(crate) fn items<'b>(&'b self) -> Result<Vec<Node<'b>>, Malformed> {
        if !self.is_array() {
            return Err(self.expected("an array"));
        }
        Ok(json::items(self.span).enumerate().map(|(n, span)| self.child(Step::Index(n), span)).collect())
    }

    pub(crate) fn members<'b>(&'b self) -> Result<Members<'b>, Malformed> {
        if !self.is_object() {
            return Err(self.expected("an object"));
        }
        Ok(self.members_if_any())
    }

    /// Empty for anything but an object.
    pub(crate) fn members_if_any<'b>(&'b self) -> Members<'b> {
        let present = json::fields(self.span).filter(|(_, value)| *value != b"null");
        Members { of: self, list: present.map(|(key, value)| (key.text(), value)).collect() }
    }
}

/// The members of an object; explicit nulls count as absent, and of repeated keys the last one counts.
pub(crate) struct Members<'a> {
    of: &'a Node<'a>,
    list: Vec<(Cow<'a, str>, &'a [u8])>,
}

impl<'a> Members<'a> {
    pub(crate) fn get<'b>(&'b self, key: &'b str) -> Option<Node<'b>> {
        let (_, span) = self.list.iter().rev().find(|(k, _)| k == key)?;
        Some(self.of.child(Step::Key(key), span))
    }

    pub(crate) fn need<'b>(&'b self, key: &'b str, what: &str) -> Result<Node<'b>, Malformed> {
        self.get(key).ok_or_else(|| self.of.lacks(key, what))
    }

    pub(crate) fn string(&self, key: &str) -> Result<Option<String>, Malformed> {
        self.get(key).map(|node| node.string()).transpose()
    }

    pub(crate) fn iter<'b>(&'b self) -> impl Iterator<Item = (&'b str, Node<'b>)> {
        self.list.iter().map(|(key, span)| (&**key, self.of.child(Step::Key(key), span)))
    }

    /// The members not named in `known`, as an object.
    pub(crate) fn rest(&self, known: &[&str]) -> Option<Raw> {
        let unknown: Vec<_> = self.list.iter().filter(|(key, _)| !known.contains(&&**key)).collect();
        if unknown.is_empty() {
            return None;
        }
        let mut text = Vec::new();
        super::write::object(&mut text, |o| {
            for (key, span) in unknown {
                o.span(key, span);
            }
        });
        raw(&text)
    }
}

pub(crate) fn raw(span: &[u8]) -> Option<Raw> {
    Raw::parse(std::str::from_utf8(span).ok()?)
}
