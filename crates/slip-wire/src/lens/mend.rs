//! A stream that may be gone on with elsewhere: what was said is remembered, a call of a tool is held until it is whole, and what
//! another upstream says after the break is told as more of the same reply.

use super::onward::Way;
use crate::Stamp;
use slip_ir::{BlockKind, Event, Fault, Nano, Piece, Usage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A longer answer than this is not gone on with.
const MOST_SAID: usize = 256 * 1024;
/// Calls that are longer are passed on as they come, and then nobody can go on either.
const MOST_HELD: usize = 1024 * 1024;

/// An answer that broke off.
#[derive(Clone, Debug, PartialEq)]
pub struct Torn {
    pub said: String,
    pub fault: Fault,
    /// Of what was said.
    pub usage: Usage,
    pub upstream_id: Option<String>,
}

#[derive(Default)]
pub(super) struct Mend {
    /// Not told to the caller yet.
    pub fault: Option<Fault>,
    /// The decoder has nothing more.
    pub ended: bool,
    /// A failure follows: what is closed now is not whole.
    pub failing: bool,
    said: String,
    /// Something was passed on that nobody else can go on with.
    barred: bool,
    /// Blocks the caller thinks open, by the caller's number; whether they are text.
    open: BTreeMap<u32, bool>,
    /// A text block whose end is told only when something follows.
    closing: Option<u32>,
    /// The caller's next number.
    next: u32,
    /// Calls that are not whole.
    held: BTreeMap<u32, Vec<Event>>,
    bytes: usize,
    seam: Option<Seam>,
    /// Of the part before the break.
    earlier: Option<Usage>,
}

/// Between the two parts.
struct Seam {
    first: Arc<Stamp>,
    second: Arc<Stamp>,
    /// Of the part before.
    text_bytes: u64,
    way: Way,
    /// The caller's number of each block of the second upstream, where it has one.
    numbers: BTreeMap<u32, Option<u32>>,
    /// The beginning of the second part, while it may be a repetition.
    held_back: Option<String>,
    /// The block it belongs to.
    block: u32,
}

impl Mend {
    /// May somebody else go on where it stands?
    pub fn may(&self) -> bool {
        !self.barred && self.seam.is_none() && !self.said.is_empty() && self.open.values().all(|text| *text)
    }

    pub fn torn(&mut self, fault: Fault, usage: Usage, upstream_id: Option<String>) -> Torn {
        self.earlier = Some(usage.clone());
        Torn { said: self.said.clone(), fault, usage, upstream_id }
    }

    pub fn resume(&mut self, first: Arc<Stamp>, second: Arc<Stamp>, text_bytes: u64, way: Way) {
        self.held.clear();
        self.closing = None;
        self.fault = None;
        (self.ended, self.failing) = (false, false);
        let numbers = BTreeMap::new();
        self.seam = Some(Seam { first, second, text_bytes, way, numbers, held_back: Some(String::new()), block: 0 });
    }

    /// A call of a tool is coming, of which nothing was passed on yet.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Output tokens before the break.
    pub fn tokens(&self) -> u64 {
        self.earlier.as_ref().map_or(0, Usage::completion_total)
    }

    /// Where the second upstream counts nothing.
    pub fn estimate(&self, text_bytes: u64) -> Option<Usage> {
        let seam = self.seam.as_ref()?;
        let output = text_bytes.saturating_sub(seam.text_bytes).div_ceil(4);
        let said = seam.text_bytes.div_ceil(4);
        let input = seam.second.prompt_estimate + said;
        Some(self.both(Usage { input, output, estimated: true, ..Usage::default() }))
    }

    /// What both parts took, at the price of each.
    fn both(&self, later: Usage) -> Usage {
        let (Some(earlier), Some(seam)) = (&self.earlier, &self.seam) else { return later };
        let mut sum = later.clone();
        sum.add(earlier);
        if let (Some(one), Some(two)) = (&seam.first.price, &seam.second.price) {
            let apart = one.cost(earlier).total.0.saturating_add(two.cost(&later).total.0);
            sum.correction = Nano(apart.saturating_sub(one.cost(&sum).total.0));
        }
        sum
    }

    /// Nobody goes on: what the caller thinks open is closed.
    pub fn give_up(&mut self, mut pass: impl FnMut(Event)) {
        self.closing = None;
        for block in std::mem::take(&mut self.open).into_keys() {
            pass(Event::Close { choice: 0, block });
        }
    }

    /// Nothing more is waited for.
    pub fn flush(&mut self, mut pass: impl FnMut(Event)) {
        if let Some(block) = self.closing.take() {
            self.close(block, &mut pass);
        }
        self.let_go(&mut pass);
    }

    pub fn event(&mut self, event: Event, mut pass: impl FnMut(Event)) {
        match self.seam {
            None => self.before(event, &mut pass),
            Some(_) => self.after(event, &mut pass),
        }
    }

    fn before(&mut self, event: Event, pass: &mut impl FnMut(Event)) {
        if let Some(block) = self.closing.take() {
            self.close(block, pass);
        }
        match &event {
            Event::Open { choice: 0, block, kind } => {
                self.next = self.next.max(block.saturating_add(1));
                match kind {
                    BlockKind::ToolCall { .. } if !self.barred => {
                        self.held.insert(*block, vec![event]);
                        return;
                    }
                    BlockKind::Text => {
                        self.open.insert(*block, true);
                    }
                    BlockKind::Thinking { .. } => {
                        self.open.insert(*block, false);
                    }
                    _ => self.barred = true,
                }
            }
            Event::Delta { choice: 0, block, piece } => {
                if let Some(call) = self.held.get_mut(block) {
                    self.bytes += if let Piece::Arguments(text) = piece { text.len() } else { 0 };
                    call.push(event);
                    if self.bytes > MOST_HELD {
                        self.barred = true;
                        std::mem::take(&mut self.held).into_values().flatten().for_each(pass);
                    }
                    return;
                }
                match piece {
                    Piece::Text(text) if self.open.get(block) == Some(&true) => {
                        self.barred |= self.said.len() + text.len() > MOST_SAID;
                        if !self.barred {
                            self.said.push_str(text);
                        }
                    }
                    Piece::Annotation(_) => self.barred = true,
                    _ => {}
                }
            }
            Event::Close { choice: 0, block } => {
                if let Some(call) = self.held.remove(block) {
                    if self.failing {
                        return;
                    }
                    // It is whole. What would follow it is not for another model to say.
                    self.barred = true;
                    call.into_iter().for_each(&mut *pass);
                } else if self.open.get(block) == Some(&true) {
                    self.closing = Some(*block);
                    return;
                }
                // Half a thought is nobody's.
                self.barred |= self.failing;
                self.open.remove(block);
            }
            Event::Open { .. }
            | Event::Delta { .. }
            | Event::Close { .. }
            | Event::Logprobs { .. }
            | Event::Opaque(_) => {
                self.barred = true;
            }
            Event::Finish { .. } => {
                // Calls that nobody closed.
                std::mem::take(&mut self.held).into_values().flatten().for_each(&mut *pass);
            }
            Event::Start(_) | Event::Usage(_) | Event::Fault(_) | Event::Ping => {}
        }
        pass(event);
    }

    fn close(&mut self, block: u32, pass: &mut impl FnMut(Event)) {
        self.open.remove(&block);
        pass(Event::Close { choice: 0, block });
    }

    /// Said by the second upstream.
    fn after(&mut self, event: Event, pass: &mut impl FnMut(Event)) {
        match event {
            Event::Start(_) => {}
            Event::Usage(usage) => pass(Event::Usage(self.both(usage))),
            Event::Open { choice: 0, block, kind } => {
                let number = match kind {
                    // Words go on in the block that is open.
                    BlockKind::Text if self.held_back() => {
                        let joined = self.open.keys().next_back().copied();
                        let number = joined.unwrap_or(self.next);
                        if joined.is_none() {
                            self.next += 1;
                            self.open.insert(number, true);
                            pass(Event::Open { choice: 0, block: number, kind });
                        }
                        Some(number)
                    }
                    // What it thinks about going on is nobody's business.
                    BlockKind::Thinking { .. } => None,
                    kind => {
                        self.let_go(pass);
                        for open in self.open.keys().copied().collect::<Vec<_>>() {
                            self.close(open, pass);
                        }
                        let number = self.next;
                        self.next += 1;
                        self.open.insert(number, false);
                        pass(Event::Open { choice: 0, block: number, kind });
                        Some(number)
                    }
                };
                if let Some(seam) = &mut self.seam {
                    seam.numbers.insert(block, number);
                    seam.block = number.filter(|_| seam.held_back.is_some()).unwrap_or(seam.block);
                }
            }
            Event::Delta { choice: 0, block, piece } => {
                let Some(number) = self.number(block) else { return };
                match piece {
                    Piece::Text(text) if self.held_back() => {
                        if let Some(Seam { held_back: Some(held), .. }) = &mut self.seam {
                            held.push_str(&text);
                        }
                        if !self.may_repeat() {
                            self.let_go(pass);
                        }
                    }
                    piece => pass(Event::Delta { choice: 0, block: number, piece }),
                }
            }
            Event::Close { choice: 0, block } => {
                let Some(number) = self.number(block) else { return };
                self.let_go(pass);
                if self.open.contains_key(&number) {
                    self.close(number, pass);
                }
            }
            Event::Finish { .. } => {
                self.let_go(pass);
                for open in self.open.keys().copied().collect::<Vec<_>>() {
                    self.close(open, pass);
                }
                pass(event);
            }
            event => pass(event),
        }
    }

    fn number(&self, block: u32) -> Option<u32> {
        self.seam.as_ref()?.numbers.get(&block).copied().flatten()
    }

    fn held_back(&self) -> bool {
        self.seam.as_ref().is_some_and(|seam| seam.held_back.is_some())
    }

    /// Could what was held back so far still be said for the second time?
    fn may_repeat(&self) -> bool {
        let Some(Seam { held_back: Some(held), way, .. }) = &self.seam else { return false };
        way.may_repeat(&self.said, held)
    }

    /// The beginning of the second part, without what it says again.
    fn let_go(&mut self, pass: &mut impl FnMut(Event)) {
        let Some(seam) = &mut self.seam else { return };
        let Some(held) = seam.held_back.take() else { return };
        let fresh = held.get(seam.way.repeated(&self.said, &held)..).unwrap_or_default();
        if !fresh.is_empty() {
            let piece = Piece::Text(fresh.to_owned());
            pass(Event::Delta { choice: 0, block: seam.block, piece });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::frame::eventstream::EventStream;
    use crate::frame::sse::Sink;
    use crate::{End, Lens, Phase, Quirks};
    use bytes::BytesMut;
    use serde_json::{Value, json};
    use slip_ir::{Dialect, FaultKind, Pico, Price, Rates, Remedy};

    fn stamp(provider: &str, pico: u64) -> Arc<Stamp> {
        let rates = Rates { input: Pico(pico), output: Pico(pico), ..Rates::default() };
        let price = Some(Arc::new(Price { rates, ..Price::default() }));
        let (id, model) = ("gen-1-x".to_owned(), "m/one".to_owned());
        Arc::new(Stamp {
            id,
            created: 7,
            model,
            provider: provider.to_owned(),
            price,
            prompt_estimate: 10,
            ..Stamp::default()
        })
    }

    fn chunk(delta: &str) -> String {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
        )
    }

    fn words(text: &str) -> String {
        chunk(&json!({ "content": text }).to_string())
    }

    /// The caller's bytes after these pieces and a reset.
    fn broken(caller: Dialect, pieces: &[String]) -> (Lens, BytesMut, Option<Torn>) {
        let mut lens = Lens::mending(Dialect::OpenAiChat, caller, stamp("one", 1_000_000), &Quirks::OPENAI_CHAT);
        let mut out = BytesMut::new();
        pieces.iter().for_each(|piece| lens.push(piece.as_bytes(), &mut out));
        let reset = Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, "the connection was reset");
        let torn = lens.torn(&End::Fault(reset), &mut out);
        (lens, out, torn)
    }

    fn anthropic(text: &str) -> String {
        let event = |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\"{rest}}}\n\n");
        let start = r#","message":{"id":"msg","type":"message","role":"assistant","model":"n","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":30,"output_tokens":1}}"#;
        let delta = format!(r#","index":0,"delta":{{"type":"text_delta","text":{}}}"#, json!(text));
        event("message_start", start)
            + &event("content_block_start", r#","index":0,"content_block":{"type":"text","text":""}"#)
            + &event("content_block_delta", &delta)
            + &event("content_block_stop", r#","index":0"#)
            + &event(
                "message_delta",
                r#","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":5}"#,
            )
            + &event("message_stop", "")
    }

    #[test]
    fn another_dialect_goes_on_in_the_same_stream_under_the_same_id() {
        for caller in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini, Dialect::Responses, Dialect::Cohere] {
            let pieces = [words("The quick brown "), words("fox jumps")];
            let (mut lens, mut out, torn) = broken(caller, &pieces);
            let torn = torn.expect("it can be gone on with");
            assert_eq!((torn.said.as_str(), lens.phase()), ("The quick brown fox jumps", Phase::Broken));
            let told = |text: &str| text.contains("\"error\":{") || text.contains("event: error");
            assert!(!told(&String::from_utf8_lossy(&out)), "not yet");
            lens.resume(Dialect::Anthropic, stamp("two", 3_000_000), &Quirks::ANTHROPIC, Way::Asked, &mut out);
            // It says the last words again.
            lens.push(anthropic("fox jumps over it.").as_bytes(), &mut out);
            let tally = lens.end(End::Eof, &mut out);
            let text = String::from_utf8_lossy(&out).into_owned();
            assert_eq!(tally.fault, None, "{text}");
            assert!(text.contains(" over it."), "{text}");
            assert!(!told(&text), "{text}");
            // One of them says all of it again at its end.
            assert!(text.matches("fox jumps").count() == 1 || caller == Dialect::Responses, "{text}");
            let usage = tally.usage.expect("both parts");
            let (prompt, completion) = (usage.prompt_total(), usage.completion_total());
            assert_eq!((prompt, completion), (10 + 30, 7 + 5), "{usage:?}");
            let at_one = Price {
                rates: stamp("", 1_000_000).price.as_ref().expect("a price").rates.clone(),
                ..Price::default()
            };
            assert_eq!(at_one.cost(&usage).total, Nano(17 * 1_000 + 35 * 3_000), "each at its own price");
            assert_eq!(text.matches(r#""slipswitch":{"continued":{"#).count(), 1, "{text}");
            if caller == Dialect::Anthropic {
                assert_eq!(text.matches("event: content_block_start").count(), 1, "{text}");
                assert_eq!(text.matches("event: message_start").count(), 1, "{text}");
            }
        }
    }

    #[test]
    fn a_call_is_passed_on_when_it_is_whole_and_started_anew_when_it_is_not() {
        let call = |args: &str| {
            let function = json!({ "name": "f", "arguments": args });
            chunk(&json!({ "tool_calls": [{ "index": 0, "id": "call_1", "function": function }] }).to_string())
        };
        let more = |args: &str| {
            chunk(&json!({ "tool_calls": [{ "index": 0, "function": { "arguments": args } }] }).to_string())
        };
        let (mut lens, mut out, torn) =
            broken(Dialect::OpenAiChat, &[words("Let me look."), call("{\"a\":"), more("1")]);
        assert_eq!(torn.map(|torn| torn.said).as_deref(), Some("Let me look."));
        assert!(!String::from_utf8_lossy(&out).contains("call_1"), "half a call is nobody's");
        lens.resume(Dialect::OpenAiChat, stamp("two", 1), &Quirks::OPENAI_CHAT, Way::Asked, &mut out);
        let rest = [call("{\"a\":2}"), chunk("{}").replace("null", "\"tool_calls\""), "data: [DONE]\n\n".to_owned()];
        rest.iter().for_each(|piece| lens.push(piece.as_bytes(), &mut out));
        lens.end(End::Eof, &mut out);
        let text = String::from_utf8_lossy(&out).into_owned();
        assert!(text.contains("call_1") && text.contains("\"tool_calls\""), "{text}");
        assert!(text.contains(r#"{\"a\":2}"#) && text.ends_with("data: [DONE]\n\n"), "{text}");
    }

    #[test]
    fn where_nobody_can_go_on_it_ends_with_the_error_as_always() {
        let thinking = chunk(r#"{"reasoning_content":"hm"}"#);
        let second = words("x").replace("\"index\":0", "\"index\":1");
        for pieces in [vec![thinking], vec![words("a"), second], vec![]] {
            let (lens, mut out, torn) = broken(Dialect::OpenAiChat, &pieces);
            assert_eq!(torn, None, "{pieces:?}");
            let tally = lens.end(End::Eof, &mut out);
            assert!(tally.fault.is_some() && String::from_utf8_lossy(&out).contains("\"error\""), "{pieces:?}");
        }
        // It could have been gone on with, but nobody did: or somebody did and broke off too.
        for resumed in [false, true] {
            let (mut lens, mut out, torn) = broken(Dialect::OpenAiChat, &[words("The quick brown fox")]);
            assert!(torn.is_some());
            if resumed {
                lens.resume(Dialect::OpenAiChat, stamp("two", 1), &Quirks::OPENAI_CHAT, Way::Asked, &mut out);
                lens.push(words(" jumps").as_bytes(), &mut out);
                assert_eq!(lens.torn(&End::Eof, &mut out), None, "once for a reply");
            }
            let tally = lens.end(End::Eof, &mut out);
            let text = String::from_utf8_lossy(&out).into_owned();
            assert!(tally.fault.is_some() && text.contains("\"error\""), "{text}");
            assert_eq!((text.contains(" jumps"), text.matches("[DONE]").count()), (resumed, 1), "{text}");
        }
    }

    #[test]
    fn what_ended_properly_is_not_torn() {
        let mut lens = Lens::mending(Dialect::OpenAiChat, Dialect::OpenAiChat, stamp("one", 1), &Quirks::OPENAI_CHAT);
        let mut out = BytesMut::new();
        lens.push((words("hello") + &chunk("{}").replace("null", "\"stop\"")).as_bytes(), &mut out);
        assert_eq!(lens.torn(&End::Eof, &mut out), None);
        let tally = lens.end(End::Eof, &mut out);
        assert_eq!((tally.fault, tally.finish), (None, Some(slip_ir::Finish::Stop)));
    }

    /// The payloads of an event stream.
    struct Payloads(Vec<Value>);

    impl Sink for Payloads {
        fn frame(&mut self, frame: Frame<'_>) {
            self.0.push(serde_json::from_slice(frame.data).expect("JSON"));
        }
        fn raw(&mut self, _: &[u8]) {}
    }

    #[test]
    fn the_note_is_a_member_of_the_first_event_where_it_has_no_event_of_its_own() {
        for caller in [Dialect::Gemini, Dialect::Responses, Dialect::Cohere, Dialect::Ollama, Dialect::Bedrock] {
            let (mut lens, mut out, torn) = broken(caller, &[words("The quick brown fox")]);
            assert!(torn.is_some(), "{caller:?}");
            let before = out.len();
            let way = Way::Prefilled { echoes: false };
            lens.resume(Dialect::OpenAiChat, stamp("two", 1), &Quirks::OPENAI_CHAT, way, &mut out);
            assert_eq!(out.len(), before, "{caller:?}: nothing by itself");
            for piece in [" jumps", " over"] {
                lens.push(words(piece).as_bytes(), &mut out);
            }
            lens.push((chunk("{}").replace("null", "\"stop\"") + "data: [DONE]\n\n").as_bytes(), &mut out);
            lens.end(End::Eof, &mut out);
            let events: Vec<Value> = if caller == Dialect::Bedrock {
                let mut payloads = Payloads(Vec::new());
                EventStream::default().push(&out, &mut payloads).expect("checksums that are right");
                payloads.0
            } else {
                let text = String::from_utf8_lossy(&out).into_owned();
                let data = |line: &str| serde_json::from_str(line.strip_prefix("data: ").unwrap_or(line)).ok();
                text.lines().filter_map(data).collect()
            };
            let noted: Vec<&Value> = events.iter().filter(|event| event["slipswitch"].is_object()).collect();
            let [event] = noted.as_slice() else { panic!("{caller:?}: one note: {events:?}") };
            let told = &event["slipswitch"]["continued"];
            assert_eq!((&told["provider"], &told["how"]), (&json!("two"), &json!("prefill")), "{caller:?}");
            assert!(event.to_string().contains(" jumps"), "{caller:?}: on what is said: {event}");
        }
    }
}
