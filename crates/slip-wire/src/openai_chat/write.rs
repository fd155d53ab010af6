//! Writing JSON by hand: members in a fixed order, no values in between.

use crate::json;
use bytes::BufMut;
use slip_ir::Raw;

/// An object being written.
pub(crate) struct Obj<'a, B: BufMut> {
    out: &'a mut B,
    first: bool,
}

/// An array being written.
pub(crate) struct Arr<'a, B: BufMut> {
    out: &'a mut B,
    first: bool,
}

pub(crate) fn object<B: BufMut>(out: &mut B, fill: impl FnOnce(&mut Obj<'_, B>)) {
    out.put_u8(b'{');
    fill(&mut Obj { out, first: true });
    out.put_u8(b'}');
}

pub(crate) fn array<B: BufMut>(out: &mut B, fill: impl FnOnce(&mut Arr<'_, B>)) {
    out.put_u8(b'[');
    fill(&mut Arr { out, first: true });
    out.put_u8(b']');
}

impl<B: BufMut> Obj<'_, B> {
    /// Start a member; whoever calls writes exactly one value into what is returned.
    pub(crate) fn key(&mut self, key: &str) -> &mut B {
        if !self.first {
            self.out.put_u8(b',');
        }
        self.first = false;
        json::write_string(key, self.out);
        self.out.put_u8(b':');
        self.out
    }

    pub(crate) fn str(&mut self, key: &str, value: &str) {
        json::write_string(value, self.key(key));
    }

    pub(crate) fn opt_str(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.str(key, value);
        }
    }

    pub(crate) fn str_or_null(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.str(key, value),
            None => self.null(key),
        }
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.key(key).put_slice(b"null");
    }

    pub(crate) fn bool(&mut self, key: &str, value: bool) {
        self.key(key).put_slice(if value { b"true" } else { b"false" });
    }

    pub(crate) fn num(&mut self, key: &str, value: impl itoa::Integer) {
        self.key(key).put_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Anything that prints as JSON.
    pub(crate) fn shown(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key).put_slice(value.to_string().as_bytes());
    }

    pub(crate) fn raw(&mut self, key: &str, value: &Raw) {
        self.span(key, value.as_str().as_bytes());
    }

    pub(crate) fn span(&mut self, key: &str, value: &[u8]) {
        in_one_line(value, self.key(key));
    }

    pub(crate) fn obj(&mut self, key: &str, fill: impl FnOnce(&mut Obj<'_, B>)) {
        object(self.key(key), fill);
    }

    pub(crate) fn arr(&mut self, key: &str, fill: impl FnOnce(&mut Arr<'_, B>)) {
        array(self.key(key), fill);
    }

    /// Every member of the object that `raw` is.
    pub(crate) fn merge(&mut self, raw: &Raw) {
        for (key, value) in json::fields(raw.as_str().as_bytes()) {
            self.span(&key.text(), value);
        }
    }
}

impl<B: BufMut> Arr<'_, B> {
    /// Start an element; whoever calls writes exactly one value into what is returned.
    pub(crate) fn item(&mut self) -> &mut B {
        if !self.first {
            self.out.put_u8(b',');
        }
        self.first = false;
        self.out
    }

    pub(crate) fn str(&mut self, value: &str) {
        json::write_string(value, self.item());
    }

    pub(crate) fn raw(&mut self, value: &Raw) {
        in_one_line(value.as_str().as_bytes(), self.item());
    }

    pub(crate) fn obj(&mut self, fill: impl FnOnce(&mut Obj<'_, B>)) {
        object(self.item(), fill);
    }
}

/// JSON as it stands, without its line breaks: inside a server-sent event they would end the line. Strings hold none.
fn in_one_line(value: &[u8], out: &mut impl BufMut) {
    for line in value.split(|b| matches!(b, b'\n' | b'\r')) {
        out.put_slice(line);
    }
}
