//! The whole reply of an OpenAI-shaped upstream in OpenRouter's form.

use super::scan::{Choice, Message, Scan};
use super::tools::Piece;
use super::{
    Text, error_in, finish_of, is_content, is_junk, put_extra, put_extras, put_identity, put_number, put_reasoning,
    put_sealed,
};
use crate::json::{self, Str};
use crate::lens::meter::Meter;
use crate::openai_chat::usage::{parse_usage, write_usage};
use crate::{Stamp, Tally};
use bytes::{BufMut, BytesMut};
use slip_ir::{Fault, FaultKind, Finish, Remedy};

/// An answer with status 200. An error inside it, and anything that is not a reply at all, is a fault.
pub fn reply(body: &[u8], stamp: &Stamp) -> Result<(Vec<u8>, Tally), Fault> {
    let mut scan = Scan::default();
    if scan.read(body).is_err() {
        return Err(crate::lens::not_json());
    }
    if scan.error.is_some() || scan.is_error {
        return Err(error_in(body, scan.error.as_ref()));
    }
    if let Some(error) = scan.choices.iter().find_map(|choice| choice.error.as_ref()) {
        return Err(error_in(body, Some(error)));
    }
    if scan.choices.is_empty() {
        let says = "the provider answered without any choice";
        return Err(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says));
    }
    let mut writer = Writer { body, scan: &scan, stamp, meter: Meter::default(), text: Text::default() };
    writer.meter.tally.upstream_id = writer.string(&scan.id);
    writer.meter.tally.upstream_model = writer.string(&scan.model);
    let mut out = BytesMut::with_capacity(body.len() + 512);
    put_identity(stamp, "chat.completion", &mut out);
    for (key, span) in [(",\"service_tier\":", &scan.tier), (",\"system_fingerprint\":", &scan.fingerprint)] {
        out.put_slice(key.as_bytes());
        out.put_slice(span.as_ref().map_or(b"null".as_slice(), |span| &body[span.clone()]));
    }
    out.put_slice(b",\"choices\":[");
    for (position, choice) in scan.choices.iter().enumerate() {
        if position > 0 {
            out.put_u8(b',');
        }
        writer.choice(position, choice, &mut out)?;
    }
    out.put_u8(b']');
    put_extras(body, &scan.extras, &mut out);
    let mut meter = writer.meter;
    let usage = scan.usage.as_ref().or(scan.inner_usage.as_ref());
    meter.tally.usage = usage.and_then(|span| parse_usage(&body[span.clone()]));
    meter.served(scan.tier.as_ref().and_then(|span| json::string(&body[span.clone()])).as_deref());
    if let Some(usage) = meter.settle(stamp) {
        out.put_slice(b",\"usage\":");
        write_usage(usage, stamp, &mut out);
    }
    out.put_u8(b'}');
    Ok((out.into(), meter.tally))
}

struct Writer<'a> {
    body: &'a [u8],
    scan: &'a Scan,
    stamp: &'a Stamp,
    meter: Meter,
    text: Text,
}

impl Writer<'_> {
    fn string(&self, span: &Option<super::Span>) -> Option<String> {
        json::string(&self.body[span.clone()?]).map(|text| text.into_owned())
    }

    fn choice(&mut self, position: usize, choice: &Choice, out: &mut BytesMut) -> Result<(), Fault> {
        let body = self.body;
        let index = choice.index.as_ref().and_then(|span| json::integer(&body[span.clone()]));
        let index = index.and_then(|n| u32::try_from(n).ok()).unwrap_or(position as u32);
        let empty = Message::default();
        let message = choice.message.as_ref().or(choice.delta.as_ref()).unwrap_or(&empty);
        out.put_slice(b"{\"index\":");
        put_number(index as u64, out);
        out.put_slice(b",\"logprobs\":");
        out.put_slice(choice.logprobs.as_ref().map_or(b"null".as_slice(), |span| &body[span.clone()]));
        out.put_slice(b",\"message\":{\"role\":\"assistant\",\"content\":");
        self.content(message, out);
        self.refusal(message, out);
        self.reasoning(message, out);
        let tools = self.tools(message, index, out);
        for extra in &self.scan.inner[message.extras.clone()] {
            let (key, value) = (&body[extra.key.clone()], &body[extra.value.clone()]);
            let name = &key[1..key.len() - 1];
            if name == b"refusal" || is_junk(name, value) {
                continue;
            }
            if is_content(name) {
                self.meter.content(0);
            }
            put_extra(key, value, out);
        }
        let native = choice.native.as_ref().or(choice.finish.as_ref());
        let raw = native.map_or(b"null".as_slice(), |span| &body[span.clone()]);
        let raw = if raw == b"\"\"" { b"null" } else { raw };
        let word = choice.finish.as_ref().and_then(|span| json::string(&body[span.clone()])).unwrap_or_default();
        let finish = finish_of(&word, tools);
        if finish == Finish::Error {
            let says = "the provider ended the reply with an error";
            return Err(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says));
        }
        out.put_slice(b"},\"finish_reason\":\"");
        out.put_slice(finish.name().as_bytes());
        out.put_slice(b"\",\"native_finish_reason\":");
        out.put_slice(raw);
        put_extras(body, &self.scan.outer[choice.extras.clone()], out);
        out.put_u8(b'}');
        self.meter.finish(index, finish, json::string(raw).map(|text| text.into_owned()));
        Ok(())
    }

    fn content(&mut self, message: &Message, out: &mut BytesMut) {
        self.text.clear();
        let value = message.content.as_ref().map_or(b"null".as_slice(), |span| &self.body[span.clone()]);
        if let Some(text) = Str::of(value) {
            out.put_slice(value);
            if !text.is_empty() {
                self.meter.content(text.text_len());
            }
            return;
        }
        if value.first() == Some(&b'[') {
            self.text.gather(value);
        }
        if self.text.content.is_empty() {
            out.put_slice(b"null");
            return;
        }
        self.meter.content(super::text_len(&self.text.content));
        out.put_u8(b'"');
        out.put_slice(&self.text.content);
        out.put_u8(b'"');
    }

    fn refusal(&mut self, message: &Message, out: &mut BytesMut) {
        let extras = &self.scan.inner[message.extras.clone()];
        let found = extras.iter().find(|extra| &self.body[extra.key.clone()] == b"\"refusal\"");
        let text = found.and_then(|extra| Str::of(&self.body[extra.value.clone()])).filter(|text| !text.is_empty());
        out.put_slice(b",\"refusal\":");
        match text {
            Some(text) => {
                self.meter.content(text.text_len());
                out.put_u8(b'"');
                out.put_slice(text.raw());
                out.put_u8(b'"');
            }
            None => out.put_slice(b"null"),
        }
    }

    fn reasoning(&mut self, message: &Message, out: &mut BytesMut) {
        let details = message.details.as_ref().map(|span| &self.body[span.clone()]);
        let mut sealed = false;
        let body = match (&message.reasoning, details) {
            (Some(span), _) => &self.body[span.start + 1..span.end - 1],
            (None, Some(details)) => {
                sealed = self.text.gather_details(details);
                self.text.reasoning.as_slice()
            }
            (None, None) => self.text.reasoning.as_slice(),
        };
        if !body.is_empty() || sealed {
            self.meter.content(super::text_len(body));
        }
        match details {
            _ if self.stamp.hide_reasoning => {
                out.put_slice(b",\"reasoning\":null");
                put_sealed(details.unwrap_or_default(), out);
            }
            None if body.is_empty() => out.put_slice(b",\"reasoning\":null"),
            None => put_reasoning(body, out),
            Some(details) => {
                out.put_slice(b",\"reasoning\":");
                if body.is_empty() {
                    out.put_slice(b"null");
                } else {
                    out.put_u8(b'"');
                    out.put_slice(body);
                    out.put_u8(b'"');
                }
                put_extra(b"\"reasoning_details\"", details, out);
            }
        }
    }

    /// True when the message really calls some tool.
    fn tools(&mut self, message: &Message, choice: u32, out: &mut BytesMut) -> bool {
        let Some(span) = &message.tools else { return false };
        let mark = out.len();
        out.put_slice(b",\"tool_calls\":[");
        let mut number = 0;
        for call in json::items(&self.body[span.clone()]).take(super::MAX_TOOL_CALLS) {
            let mut piece = Piece::read(call);
            if piece.is_blank() {
                continue;
            }
            if number > 0 {
                out.put_u8(b',');
            }
            piece.default_arguments();
            piece.put(number, choice, b"", self.stamp, out);
            self.meter.content(piece.text_len());
            self.meter.tally.calls.whole(piece.called());
            number += 1;
        }
        if number == 0 {
            out.truncate(mark);
            return false;
        }
        out.put_u8(b']');
        true
    }
}
