//! A small HTTP/1.1 server that does exactly as it is told, the truth or not.
//!
//! A reply is a list of [`Step`]s; a fault is a change to that list. Reading is in `read.rs`, carrying the steps out in
//! `serve.rs`.

mod read;
mod serve;

pub(crate) use serve::{Answer, Outcome, Server, listen};

use bytes::Bytes;
use std::time::Duration;

/// A request as it came in.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// In order of arrival, names as they were spelt.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The client wants the connection closed afterwards.
    pub close: bool,
}

impl Incoming {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').find_map(|pair| match pair.split_once('=') {
            Some((key, value)) => (key == name).then_some(value),
            None => (pair == name).then_some(""),
        })
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// This many bytes are promised, whatever is sent.
    Length(u64),
    Chunked,
    /// The end of the connection is the end of the body.
    UntilClose,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// The status line and the headers.
    Head,
    Wait(Duration),
    /// Body bytes, which carry this many tokens of the answer.
    Send {
        bytes: Bytes,
        tokens: u64,
    },
    /// Bytes outside HTTP.
    Raw(Bytes),
    /// The proper end of the body; the connection lives on.
    End,
    /// Silence until the client leaves.
    Hang,
    /// Close in the middle (FIN).
    Cut,
    /// Abort in the middle (RST).
    Reset,
}

/// A reply to be carried out.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub framing: Framing,
    pub steps: Vec<Step>,
    /// Pieces that are due at once may share a write (each keeps its own chunk).
    pub coalesce: bool,
    /// What the journal should know.
    pub note: Note,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Note {
    pub model: Option<String>,
    pub fault: Option<String>,
    pub prompt_tokens: u64,
    /// A reply that is not streamed is generated, and billed, whole whether or not anybody reads it.
    pub whole: Option<u64>,
}

impl Outgoing {
    /// A whole body, told truthfully.
    pub fn plain(status: u16, content_type: &str, body: impl Into<Bytes>) -> Outgoing {
        let bytes = body.into();
        Outgoing {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            framing: Framing::Length(bytes.len() as u64),
            steps: vec![Step::Head, Step::Send { bytes, tokens: 0 }, Step::End],
            coalesce: true,
            note: Note::default(),
        }
    }

    pub fn json(status: u16, body: &serde_json::Value) -> Outgoing {
        Outgoing::plain(status, "application/json", body.to_string())
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Outgoing {
        self.headers.push((name.into(), value.into()));
        self
    }
}
