//! The parts of messages: text and refusals, with what is cited and how probable it was.

use super::{Body, Encoder, Item};
use crate::responses::shown::{self, Part};
use crate::responses::{annotations, ids};
use bytes::BytesMut;
use slip_ir::Raw;

impl Encoder {
    /// A part of a message: of the last one, where that is the last item.
    pub(super) fn show_part(&mut self, refusal: bool, out: &mut BytesMut) -> (usize, usize) {
        let joins =
            self.items.last().is_some_and(|item| item.done.is_none() && matches!(item.body, Body::Message { .. }));
        let place = if joins {
            self.items.len() - 1
        } else {
            let id = ids::item(ids::Kind::Message, &self.stamp.id, self.items.len());
            let first = shown::message(&id, "in_progress", &[]);
            self.add(id, Body::Message { parts: Vec::new(), open: 0 }, &first, out)
        };
        let mut part = Vec::new();
        let mut at = (place, 0);
        if let Some(Item { body: Body::Message { parts, open }, .. }) = self.items.get_mut(place) {
            at.1 = parts.len();
            parts.push(Part { refusal, ..Part::default() });
            *open += 1;
            parts[at.1].write(&mut part);
        }
        self.about("response.content_part.added", at, "content_index", out, |w| {
            w.key("part").extend_from_slice(&part);
        });
        at
    }

    fn part(&mut self, at: (usize, usize)) -> Option<&mut Part> {
        match &mut self.items.get_mut(at.0)?.body {
            Body::Message { parts, .. } => parts.get_mut(at.1),
            _ => None,
        }
    }

    pub(super) fn say(&mut self, number: usize, plain: bool, text: &str, out: &mut BytesMut) {
        let event = if plain { "response.output_text.delta" } else { "response.refusal.delta" };
        let Some(at) = self.show(number, out) else { return };
        if let Some(part) = self.part(at) {
            part.text.push_str(text);
        }
        self.about(event, at, "content_index", out, |w| {
            w.text("delta", text);
            if plain {
                w.raw("logprobs", "[]");
            }
        });
    }

    pub(super) fn cite(&mut self, number: usize, annotation: &Raw, out: &mut BytesMut) {
        let Some(shown) = annotations::shown(annotation) else { return };
        let Some(at) = self.show(number, out) else { return };
        let Some(part) = self.part(at) else { return };
        let index = part.annotations.len();
        part.annotations.push(shown.clone());
        self.about("response.output_text.annotation.added", at, "content_index", out, |w| {
            w.put("annotation_index", &index).put("annotation", &shown);
        });
    }

    /// They belong to the text that is being told.
    pub(super) fn logprobs(&mut self, raw: &Raw) {
        let content = crate::json::field(raw.as_str().as_bytes(), "content").unwrap_or_default();
        let entries =
            crate::json::items(content).filter_map(|entry| std::str::from_utf8(entry).ok().and_then(Raw::parse));
        let last = self.items.iter_mut().rev().find_map(|item| match &mut item.body {
            Body::Message { parts, .. } if item.done.is_none() => parts.last_mut(),
            _ => None,
        });
        if let Some(part) = last {
            part.logprobs.extend(entries);
            self.held += raw.as_str().len() as u64;
        }
    }

    pub(super) fn close_part(&mut self, at: (usize, usize), status: &str, out: &mut BytesMut) {
        let Some(part) = self.part(at) else { return };
        let (refusal, text, logprobs) = (part.refusal, part.text.clone(), part.logprobs.clone());
        let mut whole = Vec::new();
        part.write(&mut whole);
        match refusal {
            true => self.about("response.refusal.done", at, "content_index", out, |w| {
                w.text("refusal", &text);
            }),
            false => self.about("response.output_text.done", at, "content_index", out, |w| {
                w.text("text", &text).put("logprobs", &logprobs);
            }),
        }
        self.about("response.content_part.done", at, "content_index", out, |w| {
            w.key("part").extend_from_slice(&whole);
        });
        self.release(at.0, status, out);
    }
}
