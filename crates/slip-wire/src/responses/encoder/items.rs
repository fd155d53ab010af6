//! The items of a reply: which stands where, and what is said at its beginning and its end.

use super::{Body, Encoder, Item};
use crate::responses::shown;
use bytes::BytesMut;

impl Encoder {
    /// A new item behind the others. Those that wait for more of their kind, and have nothing open, end here.
    pub(super) fn add(&mut self, id: String, body: Body, shown: &[u8], out: &mut BytesMut) -> usize {
        self.begin(out);
        if let Some(last) = self.items.len().checked_sub(1)
            && self.idle(last)
        {
            self.end_item(last, "completed", out);
        }
        let place = self.items.len();
        self.items.push(Item { id, body, done: None });
        self.send("response.output_item.added", out, |w, _| {
            w.put("output_index", &place);
            w.key("item").extend_from_slice(shown);
        });
        place
    }

    fn idle(&self, at: usize) -> bool {
        self.items.get(at).is_some_and(|item| {
            item.done.is_none() && matches!(&item.body, Body::Message { open: 0, .. } | Body::Thought { open: 0, .. })
        })
    }

    /// An item that came whole.
    pub(super) fn whole(&mut self, item: Vec<u8>, out: &mut BytesMut) {
        self.held += item.len() as u64;
        let place = self.add(String::new(), Body::Whole, &item, out);
        self.finish_item(place, item, out);
    }

    fn finish_item(&mut self, place: usize, shown: Vec<u8>, out: &mut BytesMut) {
        self.send("response.output_item.done", out, |w, _| {
            w.put("output_index", &place);
            w.key("item").extend_from_slice(&shown);
        });
        if let Some(item) = self.items.get_mut(place) {
            item.done = Some(shown);
        }
    }

    pub(super) fn end_item(&mut self, place: usize, status: &str, out: &mut BytesMut) {
        let Some(item) = self.items.get(place).filter(|item| item.done.is_none()) else { return };
        let shown = match &item.body {
            Body::Message { parts, .. } => shown::message(&item.id, status, parts),
            Body::Thought { thought, .. } => thought.write(&item.id),
            Body::Call(call) => call.write(&item.id, status),
            Body::Whole => return,
        };
        self.finish_item(place, shown, out);
    }

    /// Once nothing of it is open, an item that others have begun behind ends.
    pub(super) fn release(&mut self, place: usize, status: &str, out: &mut BytesMut) {
        if let Some(Item { body: Body::Message { open, .. } | Body::Thought { open, .. }, .. }) =
            self.items.get_mut(place)
        {
            *open = open.saturating_sub(1);
        }
        if place + 1 < self.items.len() && self.idle(place) {
            self.end_item(place, status, out);
        }
    }
}
