//! Calls of functions and of tools that take free text.

use super::{Body, Decoder, Item};
use crate::object::Object;
use crate::openai_chat::message::custom_mark;
use crate::responses::wire::Wire;
use slip_ir::event::{Kind, Piece};
use slip_ir::{Event, Raw};

#[derive(Default)]
pub(super) struct Call {
    block: Option<u32>,
    said: bool,
    custom: bool,
}

impl Call {
    pub(super) fn new(custom: bool) -> Call {
        Call { custom, ..Call::default() }
    }

    /// One that said nothing was called without arguments.
    pub(super) fn close(&self, out: &mut Vec<Event>) {
        let Some(block) = self.block else { return };
        if !self.said && !self.custom {
            out.push(Event::Delta { choice: 0, block, piece: Piece::Arguments("{}".to_owned()) });
        }
        out.push(Event::Close { choice: 0, block });
    }
}

impl Decoder {
    /// A call is opened as soon as it has a name.
    pub(super) fn open_call(&mut self, at: usize, o: &mut Object<'_>, out: &mut Vec<Event>) {
        let Some(Item { id: own, body: Body::Call(call), .. }) = self.items.get(at) else { return };
        if call.block.is_some() {
            return;
        }
        let Some(name) = o.string("name", "").ok().flatten().filter(|name| !name.is_empty()) else { return };
        let id = o.string("call_id", "").ok().flatten().filter(|id| !id.is_empty()).or(own.clone());
        let namespace = o.string("namespace", "").ok().flatten();
        let extra = match (call.custom, namespace) {
            (true, _) => custom_mark(),
            (false, Some(name)) => Raw::of(&serde_json::json!({ "namespace": name })),
            (false, None) => None,
        };
        self.called_tools = true;
        let block = self.block(Kind::ToolCall { id: id.unwrap_or_default(), name, extra }, out);
        if let Some(Item { body: Body::Call(call), .. }) = self.items.get_mut(at) {
            call.block = Some(block);
        }
    }

    pub(super) fn arguments(&mut self, wire: &Wire<'_>, said: Option<String>, whole: bool, out: &mut Vec<Event>) {
        let Some(at) = self.item(wire, || Body::Call(Call::default()), out) else { return };
        self.argue(at, said, whole, out);
    }

    pub(super) fn argue(&mut self, at: usize, said: Option<String>, whole: bool, out: &mut Vec<Event>) {
        let Some(said) = said.filter(|said| !said.is_empty()) else { return };
        let Some(Item { done: false, body: Body::Call(call), .. }) = self.items.get_mut(at) else { return };
        let Some(block) = call.block.filter(|_| !(whole && call.said)) else { return };
        call.said = true;
        out.push(Event::Delta { choice: 0, block, piece: Piece::Arguments(said) });
    }
}
