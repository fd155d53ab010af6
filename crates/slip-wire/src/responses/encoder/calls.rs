//! Calls of functions and of tools that take free text.

use super::{Body, Encoder, Item, Open};
use crate::openai_chat::message::is_custom;
use crate::responses::{custom, ids, shown};
use bytes::BytesMut;
use slip_ir::Raw;
use slip_ir::event::Kind;

impl Encoder {
    pub(super) fn open_call(
        &mut self,
        id: &str,
        name: &str,
        extra: Option<&Raw>,
        out: &mut BytesMut,
    ) -> (usize, usize) {
        let place = self.items.len();
        let marked = is_custom(extra);
        let call = shown::Call {
            id: if id.is_empty() { ids::call(&self.stamp.id, place) } else { id.to_owned() },
            name: name.to_owned(),
            arguments: String::new(),
            custom: marked || self.stamp.echo.as_ref().is_some_and(|echo| echo.is_custom(name)),
            extra: extra.cloned(),
        };
        let kind = if call.custom { ids::Kind::Custom } else { ids::Kind::Function };
        let id = ids::item(kind, &self.stamp.id, place);
        let first = call.write(&id, "in_progress");
        (self.add(id, Body::Call(call), &first, out), 0)
    }

    /// Free text that comes wrapped in JSON is told once it is whole.
    pub(super) fn arguments(&mut self, number: usize, json: &str, out: &mut BytesMut) {
        let Open { at: Some(at), kind: Kind::ToolCall { extra, .. }, .. } = &self.open[number] else { return };
        let (at, marked) = (*at, is_custom(extra.as_ref()));
        let Some(Item { body: Body::Call(call), .. }) = self.items.get_mut(at.0) else { return };
        call.arguments.push_str(json);
        match (call.custom, marked) {
            (false, _) => self.about("response.function_call_arguments.delta", at, "", out, |w| {
                w.text("delta", json);
            }),
            (true, true) => self.about("response.custom_tool_call_input.delta", at, "", out, |w| {
                w.text("delta", json);
            }),
            (true, false) => {}
        }
    }

    /// The call's id, for what is sealed about it.
    pub(super) fn close_call(&mut self, at: (usize, usize), status: &str, out: &mut BytesMut) -> Option<String> {
        let Some(Item { body: Body::Call(call), .. }) = self.items.get_mut(at.0) else { return None };
        let marked = is_custom(call.extra.as_ref());
        if call.custom && !marked {
            call.arguments = custom::unwrapped(&call.arguments).into_owned();
        } else if call.arguments.is_empty() && !call.custom {
            call.arguments.push_str("{}");
        }
        let (id, name) = (call.id.clone(), call.name.clone());
        let (custom, arguments) = (call.custom, call.arguments.clone());
        if custom && !marked && !arguments.is_empty() {
            self.about("response.custom_tool_call_input.delta", at, "", out, |w| {
                w.text("delta", &arguments);
            });
        }
        match custom {
            true => self.about("response.custom_tool_call_input.done", at, "", out, |w| {
                w.text("input", &arguments);
            }),
            // The name is OpenRouter's.
            false => self.about("response.function_call_arguments.done", at, "", out, |w| {
                w.put("name", &name).text("arguments", &arguments);
            }),
        }
        self.end_item(at.0, status, out);
        Some(id)
    }
}
