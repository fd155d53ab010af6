//! Reasoning: its texts, told as they come, and what seals them or anything else, told at the end.

use super::{Body, Encoder, Item};
use crate::responses::shown::{self, Thought};
use bytes::BytesMut;
use slip_ir::ThinkingKind;

impl Encoder {
    /// A text of a reasoning item: of the last one, where that is the last item and the provider says they are one.
    pub(super) fn show_thought(
        &mut self,
        kind: ThinkingKind,
        format: String,
        id: Option<String>,
        out: &mut BytesMut,
    ) -> (usize, usize) {
        let joins = self.items.last().is_some_and(|item| match &item.body {
            Body::Thought { thought, .. } => {
                item.done.is_none()
                    && id.is_some()
                    && thought.id == id
                    && thought.format == format
                    && thought.sealed.is_none()
            }
            _ => false,
        });
        let place = if joins {
            self.items.len() - 1
        } else {
            let thought = Thought { format, id, ..Thought::default() };
            let id = thought.shown_id(&self.stamp, self.items.len());
            let first = thought.write(&id);
            self.add(id, Body::Thought { thought, open: 0 }, &first, out)
        };
        let mut at = (place, 0);
        if let Some(Item { body: Body::Thought { thought, open }, .. }) = self.items.get_mut(place) {
            *open += 1;
            let texts = match kind {
                ThinkingKind::Summary => &mut thought.summary,
                ThinkingKind::Text => &mut thought.content,
                ThinkingKind::Encrypted => return at,
            };
            at.1 = texts.len();
            texts.push(String::new());
        }
        let (event, index, part) = match kind {
            ThinkingKind::Summary => ("response.reasoning_summary_part.added", "summary_index", "summary_text"),
            _ => ("response.content_part.added", "content_index", "reasoning_text"),
        };
        self.about(event, at, index, out, |w| shown::text_part(w.key("part"), part, ""));
        at
    }

    /// What a caller does not want to see is not told, but what seals it is.
    pub(super) fn thought(&mut self, number: usize, kind: ThinkingKind, text: &str, out: &mut BytesMut) {
        if self.stamp.hide_reasoning {
            return;
        }
        let Some(at) = self.show(number, out) else { return };
        if let Some(Item { body: Body::Thought { thought, .. }, .. }) = self.items.get_mut(at.0) {
            let texts = if kind == ThinkingKind::Summary { &mut thought.summary } else { &mut thought.content };
            if let Some(said) = texts.get_mut(at.1) {
                said.push_str(text);
            }
        }
        let (event, index) = match kind {
            ThinkingKind::Summary => ("response.reasoning_summary_text.delta", "summary_index"),
            _ => ("response.reasoning_text.delta", "content_index"),
        };
        self.about(event, at, index, out, |w| {
            w.text("delta", text);
        });
    }

    pub(super) fn close_thought(
        &mut self,
        at: (usize, usize),
        kind: ThinkingKind,
        sealed: (ThinkingKind, String),
        status: &str,
        out: &mut BytesMut,
    ) {
        let Some(Item { body: Body::Thought { thought, .. }, .. }) = self.items.get_mut(at.0) else { return };
        if !sealed.1.is_empty() {
            thought.sealed = Some(sealed);
        }
        let text = match kind {
            ThinkingKind::Summary => thought.summary.get(at.1).cloned(),
            ThinkingKind::Text => thought.content.get(at.1).cloned(),
            ThinkingKind::Encrypted => None,
        };
        if let Some(text) = text {
            let (event, part_event, index, part) = match kind {
                ThinkingKind::Summary => (
                    "response.reasoning_summary_text.done",
                    "response.reasoning_summary_part.done",
                    "summary_index",
                    "summary_text",
                ),
                _ => ("response.reasoning_text.done", "response.content_part.done", "content_index", "reasoning_text"),
            };
            self.about(event, at, index, out, |w| {
                w.text("text", &text);
            });
            self.about(part_event, at, index, out, |w| shown::text_part(w.key("part"), part, &text));
        }
        self.release(at.0, status, out);
    }

    pub(super) fn sealed(&mut self, call: Option<&str>, payload: &str, out: &mut BytesMut) {
        let thought = shown::signature(call, payload);
        let id = thought.shown_id(&self.stamp, self.items.len());
        let shown = thought.write(&id);
        self.whole(shown, out);
    }
}
