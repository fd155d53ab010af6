//! Tool calls: numbered from 0, opened once with id, type and name, continued with arguments alone.

use super::{MAX_TOOL_CALLS, put_number, put_value};
use crate::json::{self, Str, write_string_body};
use crate::lens::Called;
use crate::{Stamp, json::write_string};
use bytes::{BufMut, BytesMut};

/// Arguments that may wait for the name of their call. Real servers send the name first.
const MAX_HELD: usize = 64 * 1024;

/// One call as the upstream tells it; the spans are of one delta.
#[derive(Default)]
pub(super) struct Piece<'a> {
    index: Option<i64>,
    id: Option<Str<'a>>,
    name: Option<Str<'a>>,
    /// The body of a JSON string.
    arguments: Vec<u8>,
    /// Members without a name here (`extra_content` with a signature, …), written as they came.
    extras: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Piece<'a> {
    pub fn read(call: &'a [u8]) -> Piece<'a> {
        let mut piece = Piece::default();
        let some = |value| Str::of(value).filter(|text| !text.is_empty());
        for (key, value) in json::fields(call) {
            match &*key.bytes() {
                b"index" => piece.index = json::integer(value),
                b"id" => piece.id = some(value),
                b"type" => {}
                b"function" => {
                    for (key, value) in json::fields(value) {
                        match &*key.bytes() {
                            b"name" => piece.name = some(value),
                            b"arguments" => piece.arguments(value),
                            _ => {}
                        }
                    }
                }
                b"custom" => {
                    let blank = json::field(value, "name").and_then(Str::of).is_none_or(|name| name.is_empty());
                    if !blank {
                        piece.extras.push((key.raw(), value));
                    }
                }
                _ if value == b"null" => {}
                _ => piece.extras.push((key.raw(), value)),
            }
        }
        piece
    }

    /// A string; but some servers send the object itself.
    fn arguments(&mut self, value: &[u8]) {
        match (Str::of(value), value.first()) {
            (Some(text), _) => self.arguments.extend_from_slice(text.raw()),
            (None, Some(b'{' | b'[')) => write_string_body(&String::from_utf8_lossy(value), &mut self.arguments),
            _ => {}
        }
    }

    /// What it calls, and with what.
    pub fn called(&self) -> Option<Called> {
        called(self.name.map_or(b"".as_slice(), |name| name.raw()), &self.arguments)
    }

    pub fn is_blank(&self) -> bool {
        self.name.is_none()
    }

    pub fn text_len(&self) -> usize {
        super::text_len(&self.arguments)
    }

    /// The call as it opens, or whole.
    pub fn put(&self, number: u64, choice: u32, held: &[u8], stamp: &Stamp, out: &mut BytesMut) {
        out.put_slice(b"{\"index\":");
        put_number(number, out);
        out.put_slice(b",\"id\":");
        match self.id {
            Some(id) => put_quoted(id.raw(), out),
            // Unique within the conversation, because the generation's id is.
            None => {
                let tail = stamp.id.rsplit('-').next().unwrap_or_default();
                write_string(&format!("call_{tail}_{choice}_{number}"), out);
            }
        }
        out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
        put_quoted(self.name.map_or(b"".as_slice(), |name| name.raw()), out);
        out.put_slice(b",\"arguments\":\"");
        out.put_slice(held);
        out.put_slice(&self.arguments);
        out.put_slice(b"\"}");
        for (key, value) in &self.extras {
            out.put_u8(b',');
            put_quoted(key, out);
            out.put_u8(b':');
            put_value(value, out);
        }
        out.put_u8(b'}');
    }

    pub fn has_arguments(&self) -> bool {
        !self.arguments.is_empty()
    }

    /// No arguments at all is the empty object.
    pub fn default_arguments(&mut self) {
        if self.arguments.is_empty() {
            self.arguments.extend_from_slice(b"{}");
        }
    }
}

/// Of the bodies of two JSON strings.
fn called(name: &[u8], arguments: &[u8]) -> Option<Called> {
    let text = |body: &[u8]| Some(Str::of(&[b"\"", body, b"\""].concat())?.text().into_owned());
    Some(Called { name: text(name)?, arguments: text(arguments)? })
}

fn put_quoted(body: &[u8], out: &mut BytesMut) {
    out.put_u8(b'"');
    out.put_slice(body);
    out.put_u8(b'"');
}

/// The tool calls of one streamed choice.
#[derive(Default)]
pub(super) struct Calls {
    slots: Vec<Slot>,
    opened: u64,
}

#[derive(Default)]
struct Slot {
    index: Option<i64>,
    id: Vec<u8>,
    /// Its number towards the caller, once opened.
    number: Option<u64>,
    has_arguments: bool,
    /// Arguments that came before the name.
    held: Vec<u8>,
    name: Vec<u8>,
    /// All arguments, as far as they are kept for being judged.
    said: Vec<u8>,
    /// There were more.
    over: bool,
}

impl Slot {
    fn hear(&mut self, arguments: &[u8]) {
        self.over |= self.said.len() + arguments.len() > MAX_HELD;
        if !self.over {
            self.said.extend_from_slice(arguments);
        }
    }
}

/// What a delta's calls came to.
#[derive(Default, Clone, Copy)]
pub(super) struct Wrote {
    pub any: bool,
    /// Events that carried content, and their bytes of text.
    pub content: usize,
    pub text: usize,
}

impl Calls {
    /// Was any call told of? One without a name counts too, though there is nothing to show of it.
    pub fn any(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Write the elements for one delta's `tool_calls`, comma separated.
    pub fn push(&mut self, calls: &[u8], choice: u32, stamp: &Stamp, out: &mut BytesMut) -> Wrote {
        let mut wrote = Wrote::default();
        for call in json::items(calls) {
            let mut piece = Piece::read(call);
            if piece.id.is_none() && piece.name.is_none() && piece.arguments.is_empty() {
                continue;
            }
            let Some(at) = self.slot(&piece) else { continue };
            let slot = &mut self.slots[at];
            slot.hear(&piece.arguments);
            let comma = |wrote: &Wrote, out: &mut BytesMut| {
                if wrote.any {
                    out.put_u8(b',');
                }
            };
            match (slot.number, piece.name) {
                (None, Some(_)) => {
                    let number = self.opened;
                    self.opened += 1;
                    slot.number = Some(number);
                    slot.name = piece.name.map_or(Vec::new(), |name| name.raw().to_vec());
                    slot.has_arguments = piece.has_arguments() || !slot.held.is_empty();
                    let held = std::mem::take(&mut slot.held);
                    let kept = Str::of(&slot.id).map(|_| slot.id.clone());
                    if piece.id.is_none() {
                        piece.id = kept.as_deref().and_then(Str::of);
                    }
                    comma(&wrote, out);
                    piece.put(number, choice, &held, stamp, out);
                    wrote.any = true;
                    wrote.content += 1;
                    wrote.text += piece.text_len() + super::text_len(&held);
                }
                (None, None) => {
                    if slot.held.len() + piece.arguments.len() <= MAX_HELD {
                        slot.held.extend_from_slice(&piece.arguments);
                    }
                }
                (Some(number), _) if piece.has_arguments() => {
                    comma(&wrote, out);
                    put_continuation(number, &piece.arguments, out);
                    slot.has_arguments = true;
                    wrote.any = true;
                    wrote.content += 1;
                    wrote.text += piece.text_len();
                }
                (Some(_), _) => {}
            }
        }
        wrote
    }

    /// The calls the caller was told of; `None` for one of which not all is known.
    pub fn told(&self) -> impl Iterator<Item = Option<Called>> {
        let known = |slot: &Slot| if slot.over { None } else { called(&slot.name, &slot.said) };
        self.slots.iter().filter(|slot| slot.number.is_some()).map(known)
    }

    /// At the end of the choice: calls that never got arguments get `{}`, which every client can parse.
    pub fn finish(&mut self, out: &mut BytesMut) -> bool {
        let mut any = false;
        for slot in &mut self.slots {
            if let Some(number) = slot.number
                && !std::mem::replace(&mut slot.has_arguments, true)
            {
                if any {
                    out.put_u8(b',');
                }
                put_continuation(number, b"{}", out);
                any = true;
            }
        }
        any
    }

    /// Which call a piece belongs to. Servers disagree: some repeat the index for parallel calls, some send none.
    fn slot(&mut self, piece: &Piece<'_>) -> Option<usize> {
        let id = piece.id.map_or(b"".as_slice(), |id| id.raw());
        let quoted = |id: &[u8]| [b"\"", id, b"\""].concat();
        let found = match piece.index {
            Some(index) => self.slots.iter().rposition(|slot| slot.index == Some(index)),
            None if !id.is_empty() => self.slots.iter().rposition(|slot| slot.id == quoted(id)),
            None if piece.name.is_some() => None,
            None => self.slots.len().checked_sub(1),
        };
        if let Some(at) = found {
            let slot = &mut self.slots[at];
            let another = slot.number.is_some()
                && piece.name.is_some()
                && !id.is_empty()
                && !slot.id.is_empty()
                && slot.id != quoted(id);
            if !another {
                if slot.id.is_empty() && !id.is_empty() {
                    slot.id = quoted(id);
                }
                return Some(at);
            }
        }
        if self.slots.len() >= MAX_TOOL_CALLS {
            return None;
        }
        let id = if id.is_empty() { Vec::new() } else { quoted(id) };
        self.slots.push(Slot { index: piece.index, id, number: None, ..Slot::default() });
        Some(self.slots.len() - 1)
    }
}

fn put_continuation(number: u64, arguments: &[u8], out: &mut BytesMut) {
    out.put_slice(b"{\"index\":");
    put_number(number, out);
    out.put_slice(b",\"function\":{\"arguments\":\"");
    out.put_slice(arguments);
    out.put_slice(b"\"}}");
}
