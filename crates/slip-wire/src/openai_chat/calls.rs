//! Tool calls as they come in pieces: reading a piece, and finding the call it belongs to.

use super::choice::{google_signature, some};
use crate::json;

/// Arguments kept back while a call has no name yet. Servers name a call in its first piece; this bounds those that never do.
const MAX_HELD: usize = 4 * 1024 * 1024;

/// The number of an old-style `function_call`, which no entry of `tool_calls` has.
const OLD: i64 = i64::MIN;

#[derive(Default)]
pub(super) struct Call {
    /// The upstream's own number for it.
    index: Option<i64>,
    pub id: String,
    /// Empty until the upstream has named it.
    pub name: String,
    /// Its block, once it is open.
    pub block: Option<u32>,
    pub custom: bool,
    /// What came before the name.
    pub held: String,
    pub signature: Option<String>,
}

impl Call {
    pub(super) fn new(piece: &CallPiece) -> Call {
        Call { index: piece.index, custom: piece.custom, ..Call::default() }
    }

    /// Take in a piece before the call is open.
    pub(super) fn hold(&mut self, piece: CallPiece) {
        if self.id.is_empty() {
            self.id = piece.id;
        }
        self.name = piece.name;
        self.signature = piece.signature.or(self.signature.take());
        if self.held.is_empty() || self.held.len() + piece.arguments.len() <= MAX_HELD {
            self.held.push_str(&piece.arguments);
        }
    }
}

/// One entry of a chunk's (or a whole message's) `tool_calls`.
#[derive(Default)]
pub(super) struct CallPiece {
    pub index: Option<i64>,
    pub id: String,
    pub name: String,
    pub arguments: String,
    pub custom: bool,
    pub signature: Option<String>,
}

impl CallPiece {
    pub(super) fn read(span: &[u8]) -> CallPiece {
        let mut piece = CallPiece::default();
        for (key, value) in json::fields(span) {
            match &*key.bytes() {
                b"index" => piece.index = json::integer(value),
                b"id" => piece.id = some(value).unwrap_or_default(),
                b"extra_content" => piece.signature = google_signature(value).or(piece.signature),
                b"function" => piece.function(value),
                b"custom" if value.first() == Some(&b'{') => {
                    let name = json::field(value, "name").and_then(some);
                    let input = json::field(value, "input").and_then(some);
                    // Servers that write every member always send this one empty.
                    piece.custom = name.is_some() || input.is_some();
                    piece.name = name.unwrap_or(piece.name);
                    piece.arguments = input.unwrap_or(piece.arguments);
                }
                _ => {}
            }
        }
        piece
    }

    /// The single call of the time before `tool_calls`.
    pub(super) fn read_old(span: &[u8]) -> CallPiece {
        let mut piece = CallPiece { index: Some(OLD), ..CallPiece::default() };
        piece.function(span);
        piece
    }

    fn function(&mut self, span: &[u8]) {
        for (key, value) in json::fields(span) {
            match &*key.bytes() {
                b"name" => self.name = some(value).unwrap_or_default(),
                b"arguments" => self.arguments = fragment(value).unwrap_or_default(),
                b"thought_signature" => self.signature = some(value),
                _ => {}
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.id.is_empty() && self.name.is_empty() && self.arguments.is_empty()
    }
}

/// Which call a piece belongs to. Numbers may be missing, start anywhere, or be the same for every call; ids may come once,
/// every time, or never.
pub(super) fn find(calls: &[Call], piece: &CallPiece) -> Option<usize> {
    let last = |test: &dyn Fn(&Call) -> bool| calls.iter().rposition(test);
    match piece.index {
        Some(_) => {
            let at = last(&|c| c.index == piece.index)?;
            let call = calls.get(at)?;
            let named = !piece.id.is_empty() && !piece.name.is_empty();
            if named && !call.id.is_empty() && call.id != piece.id {
                return last(&|c| c.index == piece.index && c.id == piece.id);
            }
            Some(at)
        }
        None if !piece.id.is_empty() => last(&|c| c.id == piece.id),
        None if !piece.name.is_empty() => last(&|c| c.block.is_none()),
        None => calls.len().checked_sub(1),
    }
}

/// Arguments are JSON in a string; some servers send the object itself.
fn fragment(span: &[u8]) -> Option<String> {
    match span.first() {
        Some(b'{') => String::from_utf8(span.to_vec()).ok(),
        _ => some(span),
    }
}
