//! The top level of a request's body: what this upstream refuses is not written, and is told as lost.

use crate::Quirks;
use crate::object::{Writer, json};
use serde::Serialize;
use slip_ir::Loss;
use std::borrow::Cow;

/// Writes one body, member by member, and keeps the account of what could not be said.
pub(crate) struct Body<'a> {
    w: Writer<'a>,
    pub(crate) quirks: &'a Quirks,
    pub(crate) losses: Vec<Loss>,
}

impl<'a> Body<'a> {
    /// `losses`: what was lost before there was a body.
    pub(crate) fn open(out: &'a mut Vec<u8>, quirks: &'a Quirks, losses: Vec<Loss>) -> Body<'a> {
        Body { w: Writer::open(out), quirks, losses }
    }

    pub(crate) fn close(self) -> Vec<Loss> {
        self.w.close();
        self.losses
    }

    pub(crate) fn lose(&mut self, what: impl Into<Cow<'static, str>>, why: &'static str) {
        self.losses.push(Loss::new(what, why));
    }

    /// Where to write `name`, unless this upstream refuses it.
    pub(crate) fn member(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        if self.quirks.refuses(name) {
            self.lose(name.to_owned(), "refused by this upstream");
            return None;
        }
        Some(self.w.key(name))
    }

    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if let Some(out) = self.member(name) {
            json(out, value);
        }
    }

    pub(crate) fn put_some<T: Serialize>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Writer<'_>)) {
        if let Some(out) = self.member(name) {
            let mut w = Writer::open(out);
            fill(&mut w);
            w.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_member_is_told_and_leaves_no_gap() {
        let quirks = Quirks { refuses: Cow::Owned(vec!["b".into(), "d".into()]), ..Quirks::OPENAI_CHAT };
        let mut out = Vec::new();
        let mut body = Body::open(&mut out, &quirks, vec![Loss::new("before", "x")]);
        body.put("a", &1);
        body.put("b", &2);
        body.put_some("c", &None::<u64>);
        body.object("d", |w| {
            w.put("inner", &3);
        });
        body.object("e", |w| {
            w.put("inner", &4);
        });
        let losses = body.close();
        assert_eq!(String::from_utf8_lossy(&out), r#"{"a":1,"e":{"inner":4}}"#);
        assert_eq!(losses.iter().map(|loss| &*loss.what).collect::<Vec<_>>(), ["before", "b", "d"]);
    }
}
