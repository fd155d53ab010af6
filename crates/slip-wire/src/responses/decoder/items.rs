//! The items of a reply as they are announced, and as they stand when they are whole.

use super::parts::Sort;
use super::{Body, Decoder, Item};
use crate::object::Object;
use crate::openai_chat::media;
use crate::responses::wire::{Wire, text};
use serde_json::value::RawValue;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::{Dialect, Event, MediaKind, Raw, Source, ThinkingKind};

impl Decoder {
    /// The item an event is about; events about one nobody announced announce it.
    pub(super) fn item(
        &mut self,
        wire: &Wire<'_>,
        otherwise: impl FnOnce() -> Body,
        out: &mut Vec<Event>,
    ) -> Option<usize> {
        let same = |item: &Item| match (wire.output_index, item.index) {
            (Some(said), Some(known)) => said == known,
            _ => wire.item_id.is_some() && wire.item_id.as_deref() == item.id.as_deref(),
        };
        if let Some(at) = self.items.iter().rposition(same) {
            return Some(at);
        }
        let id = wire.item_id.as_deref().map(str::to_owned);
        self.new_item(wire.output_index, id, otherwise(), out)
    }

    pub(super) fn new_item(
        &mut self,
        index: Option<u64>,
        id: Option<String>,
        body: Body,
        out: &mut Vec<Event>,
    ) -> Option<usize> {
        if self.many(out) {
            return None;
        }
        self.start(Start::default(), out);
        self.items.push(Item { index, id, done: false, body });
        Some(self.items.len() - 1)
    }

    pub(super) fn added(&mut self, wire: &Wire<'_>, out: &mut Vec<Event>) {
        let Some(mut o) = wire.item.and_then(|raw| Object::parse(raw.get(), "").ok()) else { return };
        let kind = o.string("type", "").ok().flatten().unwrap_or_default();
        let id = o.string("id", "").ok().flatten();
        // A number used again is another item.
        if let Some(old) = self.items.iter().rposition(|item| item.index.is_some() && item.index == wire.output_index) {
            self.close_item(old, out);
            self.items[old].index = None;
        }
        let Some(at) = self.new_item(wire.output_index, id, Body::of(&kind), out) else { return };
        self.open_call(at, &mut o, out);
    }

    pub(super) fn item_done(&mut self, wire: &Wire<'_>, out: &mut Vec<Event>) {
        let Some(raw) = wire.item else { return };
        let Ok(mut o) = Object::parse(raw.get(), "") else { return };
        let id = o.string("id", "").ok().flatten();
        let same = |item: &Item| match (wire.output_index, item.index) {
            (Some(said), Some(known)) => said == known,
            _ => id.is_some() && id == item.id,
        };
        let at = match self.items.iter().rposition(same) {
            Some(at) => at,
            None => match self.new_item(wire.output_index, id.clone(), Body::Other, out) {
                Some(at) => at,
                None => return,
            },
        };
        self.complete(at, id, o, raw, out);
    }

    /// A whole item: what of it has not been told is told, and the item is closed.
    pub(super) fn complete(
        &mut self,
        at: usize,
        id: Option<String>,
        mut o: Object<'_>,
        raw: &RawValue,
        out: &mut Vec<Event>,
    ) {
        let kind = o.string("type", "").ok().flatten().unwrap_or_default();
        let Some(item) = self.items.get_mut(at).filter(|item| !item.done) else { return };
        item.id = id.or(item.id.take());
        if matches!(item.body, Body::Other) {
            item.body = Body::of(&kind);
        }
        match kind.as_str() {
            "message" => self.texts(at, &mut o, "content", Sort::Text, out),
            "reasoning" => {
                self.texts(at, &mut o, "summary", Sort::Summary, out);
                self.texts(at, &mut o, "content", Sort::Reasoning, out);
                self.close_item(at, out);
                self.seal(at, &mut o, out);
            }
            "function_call" | "custom_tool_call" => {
                self.open_call(at, &mut o, out);
                let said = o.take(if kind == "custom_tool_call" { "input" } else { "arguments" });
                let said = said.map(|raw| text(Some(raw)).unwrap_or_else(|| raw.get().to_owned()));
                self.argue(at, said, true, out);
            }
            _ => self.other(&kind, &mut o, raw, out),
        }
        self.close_item(at, out);
        if let Some(item) = self.items.get_mut(at) {
            item.done = true;
        }
    }

    /// The sealed form of a reasoning item comes last and whole.
    fn seal(&mut self, at: usize, o: &mut Object<'_>, out: &mut Vec<Event>) {
        let Some(sealed) = text(o.take("encrypted_content")).filter(|sealed| !sealed.is_empty()) else { return };
        let id = self.items.get(at).and_then(|item| item.id.clone());
        let format = self.family.to_owned();
        let block = self.block(Kind::Thinking { kind: ThinkingKind::Encrypted, format, id }, out);
        out.push(Event::Delta { choice: 0, block, piece: Piece::Data(sealed) });
        out.push(Event::Close { choice: 0, block });
    }

    /// An item of a tool that runs on the provider's side.
    fn other(&mut self, kind: &str, o: &mut Object<'_>, raw: &RawValue, out: &mut Vec<Event>) {
        if kind == "web_search_call" {
            self.searches += 1;
        }
        if kind == "image_generation_call"
            && let Some(result) = text(o.take("result")).filter(|result| !result.is_empty())
        {
            let block = self.block(Kind::Media { kind: MediaKind::Image }, out);
            let source = if result.starts_with("http") || result.starts_with("data:") {
                media::from_url(&result)
            } else {
                let told = o.string("output_format", "").ok().flatten().map(|name| format!("image/{name}"));
                let mime = told.unwrap_or_else(|| match media::file_mime(None, &result) {
                    mime if mime.starts_with("image/") => mime.to_owned(),
                    _ => "image/png".to_owned(),
                });
                Source::Data { mime, base64: result }
            };
            let media = media::new(MediaKind::Image, source);
            out.push(Event::Delta { choice: 0, block, piece: Piece::Media(media) });
            out.push(Event::Close { choice: 0, block });
            return;
        }
        let Some(raw) = Raw::parse(raw.get()) else { return };
        let block = self.block(Kind::Opaque { dialect: Dialect::Responses, raw }, out);
        out.push(Event::Close { choice: 0, block });
    }

    fn close_item(&mut self, at: usize, out: &mut Vec<Event>) {
        let Some(item) = self.items.get_mut(at).filter(|item| !item.done) else { return };
        match &mut item.body {
            Body::Parts(parts) => parts.iter_mut().for_each(|part| part.close(out)),
            Body::Call(call) => {
                call.close(out);
                item.done = true;
            }
            Body::Other => {}
        }
    }

    pub(super) fn close_all(&mut self, out: &mut Vec<Event>) {
        for at in 0..self.items.len() {
            self.close_item(at, out);
        }
    }
}
