//! An upstream's stream of Responses events as events of the vocabulary.
//!
//! A stream tells everything several times: in deltas, at the end of each part, of each item and of the response. What came in
//! deltas counts; the rest fills in what no delta told.

mod calls;
mod items;
mod parts;

use self::calls::Call;
use self::parts::{Part, Sort};
use super::wire::{Wire, text};
use super::{error, family, usage};
use crate::dialect::{Decode, cut_short};
use crate::frame::Frame;
use crate::object::Object;
use serde_json::value::RawValue;
use slip_ir::event::{Kind, Start};
use slip_ir::request::format;
use slip_ir::{Event, Fault, FaultKind, Finish, Remedy, Tier, Usage};

/// Items and parts of one reply: a bound for what is remembered of them.
const MAX_PARTS: usize = 1 << 14;

pub struct Decoder {
    started: bool,
    over: bool,
    finished: bool,
    called_tools: bool,
    searches: u64,
    /// Who seals this model's reasoning.
    family: &'static str,
    /// The next block's number.
    next: u32,
    items: Vec<Item>,
    parts: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            started: false,
            over: false,
            finished: false,
            called_tools: false,
            searches: 0,
            family: format::OPENAI,
            next: 0,
            items: Vec::new(),
            parts: 0,
        }
    }
}

struct Item {
    index: Option<u64>,
    id: Option<String>,
    done: bool,
    body: Body,
}

enum Body {
    /// Messages and reasoning: texts side by side.
    Parts(Vec<Part>),
    Call(Call),
    /// Told once it is whole.
    Other,
}

impl Body {
    fn of(kind: &str) -> Body {
        match kind {
            "message" | "reasoning" => Body::Parts(Vec::new()),
            "function_call" => Body::Call(Call::new(false)),
            "custom_tool_call" => Body::Call(Call::new(true)),
            _ => Body::Other,
        }
    }
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.over || frame.is_done() || frame.data.trim_ascii().is_empty() {
            return;
        }
        let wire: Wire<'_> = match frame.read() {
            Ok(Some(wire)) => wire,
            Ok(None) => return,
            Err(fault) => return self.fail(fault, out),
        };
        let kind = wire.kind.as_deref().or(frame.event).unwrap_or_default();
        if self.finished && kind != "error" {
            return;
        }
        self.event(kind, &wire, out);
    }

    fn eof(&mut self, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        self.close_all(out);
        if !self.finished {
            self.fail(cut_short(Remedy::Again), out);
        }
        self.over = true;
    }
}

impl Decoder {
    /// A response that came whole.
    pub fn whole(&mut self, response: &str, out: &mut Vec<Event>) {
        match serde_json::from_str::<&RawValue>(response) {
            Ok(response) => self.last(Some(response), None, out),
            Err(_) => self.start(Start::default(), out),
        }
        self.over = true;
    }

    fn event(&mut self, kind: &str, wire: &Wire<'_>, out: &mut Vec<Event>) {
        let content = wire.content_index.unwrap_or(0);
        let summary = wire.summary_index.unwrap_or(0);
        match kind.strip_prefix("response.").unwrap_or(kind) {
            "created" | "in_progress" | "queued" => self.begin(wire.response, out),
            "output_item.added" => self.added(wire, out),
            "output_item.done" => self.item_done(wire, out),
            "output_text.delta" => {
                self.text(wire, Sort::Text, content, text(wire.delta), false, out);
                self.logprobs(wire, content, out);
            }
            "output_text.done" => {
                self.text(wire, Sort::Text, content, text(wire.text), true, out);
                self.logprobs(wire, content, out);
            }
            "refusal.delta" => self.text(wire, Sort::Refusal, content, text(wire.delta), false, out),
            "refusal.done" => self.text(wire, Sort::Refusal, content, text(wire.refusal), true, out),
            "reasoning_summary_text.delta" => self.text(wire, Sort::Summary, summary, text(wire.delta), false, out),
            "reasoning_summary_text.done" => self.text(wire, Sort::Summary, summary, text(wire.text), true, out),
            "reasoning_text.delta" | "reasoning.delta" => {
                self.text(wire, Sort::Reasoning, content, text(wire.delta), false, out);
            }
            "reasoning_text.done" | "reasoning.done" => {
                self.text(wire, Sort::Reasoning, content, text(wire.text), true, out);
            }
            "output_text.annotation.added" => self.annotation(wire, content, out),
            "content_part.done" => self.part_done(wire, content, out),
            "reasoning_summary_part.done" => self.part_done(wire, summary, out),
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => {
                self.arguments(wire, text(wire.delta), false, out);
            }
            "function_call_arguments.done" => self.arguments(wire, text(wire.arguments), true, out),
            "custom_tool_call_input.done" => self.arguments(wire, text(wire.input), true, out),
            "completed" | "incomplete" | "failed" | "cancelled" | "done" => self.last(wire.response, Some(kind), out),
            "error" => {
                let fault = match wire.error {
                    Some(said) => error::inside(said),
                    None if wire.code.is_none() && wire.message.is_none() => error::unsaid(),
                    None => {
                        let (code, message) = (text(wire.code), text(wire.message));
                        let raw = message.clone().unwrap_or_default();
                        error::flat(code.as_deref(), message.as_deref(), raw.as_bytes())
                    }
                };
                self.fail(fault, out);
            }
            _ => {}
        }
    }

    fn start(&mut self, start: Start, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start(start));
        }
    }

    fn begin(&mut self, response: Option<&RawValue>, out: &mut Vec<Event>) {
        if self.started {
            return;
        }
        let mut o = response.and_then(|raw| Object::parse(raw.get(), "").ok()).unwrap_or_default();
        let start = Start {
            id: o.string("id", "").ok().flatten(),
            model: o.string("model", "").ok().flatten(),
            created: o
                .number("created_at", "")
                .ok()
                .flatten()
                .and_then(|n| n.as_u64().or(n.as_f64().map(|n| n as u64))),
            fingerprint: None,
            service_tier: o.string("service_tier", "").ok().flatten(),
        };
        self.family = family(start.model.as_deref().unwrap_or_default());
        self.start(start, out);
    }

    /// Blocks that were open are left whole, so that what follows a fault can be read by the grammar.
    fn fail(&mut self, fault: Fault, out: &mut Vec<Event>) {
        self.close_all(out);
        out.push(Event::Fault(fault));
        self.over = true;
    }

    /// Count one more item or part; whether there are too many.
    fn many(&mut self, out: &mut Vec<Event>) -> bool {
        self.parts += 1;
        if self.parts > MAX_PARTS && !self.over {
            let says = "the provider's reply has too many parts";
            self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
        }
        self.over
    }

    fn block(&mut self, kind: Kind, out: &mut Vec<Event>) -> u32 {
        let block = self.next;
        self.next = self.next.saturating_add(1);
        out.push(Event::Open { choice: 0, block, kind });
        block
    }

    /// The response as it stands at its end: items that were never told one by one, how it ended, and what it cost.
    fn last(&mut self, response: Option<&RawValue>, named: Option<&str>, out: &mut Vec<Event>) {
        self.begin(response, out);
        let mut o = response.and_then(|raw| Object::parse(raw.get(), "").ok()).unwrap_or_default();
        let status = o.string("status", "").ok().flatten();
        let word = status.as_deref().or(named.and_then(|name| name.strip_prefix("response.")));
        let said = o.take("error");
        if word == Some("failed") || said.is_some() {
            return self.failed(said, &mut o, out);
        }
        if named.is_none() && matches!(word, Some("in_progress" | "queued")) {
            let says = "the provider's reply was not finished";
            return self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
        }
        if self.items.is_empty() {
            for raw in o.array("output", "").ok().flatten().unwrap_or_default() {
                let Ok(mut item) = Object::parse(raw.get(), "") else { continue };
                let id = item.string("id", "").ok().flatten();
                let Some(at) = self.new_item(None, id.clone(), Body::Other, out) else { return };
                self.complete(at, id, item, raw, out);
            }
        }
        self.close_all(out);
        // At the beginning it says what was asked for, at the end what was done.
        let tier = served(&mut o);
        let counted: Option<Usage> = o.take("usage").and_then(usage::read);
        out.extend(counted.map(|usage| Event::Usage(Usage { web_searches: self.searches, tier, ..usage })));
        let reason = o.object("incomplete_details", "").ok().flatten();
        let reason = reason.and_then(|mut details| details.string("reason", "").ok().flatten());
        let finish = match (word, reason.as_deref()) {
            (Some("incomplete"), Some("content_filter")) => Finish::ContentFilter,
            (Some("incomplete"), _) => Finish::Length,
            (Some("cancelled"), _) => Finish::Error,
            _ if self.called_tools => Finish::ToolCalls,
            _ => Finish::Stop,
        };
        let native = reason.or(status);
        out.push(Event::Finish { choice: 0, reason: finish, native, stop_sequence: None });
        self.finished = true;
    }

    fn failed(&mut self, said: Option<&RawValue>, o: &mut Object<'_>, out: &mut Vec<Event>) {
        let fault = said.map_or_else(error::unsaid, error::inside);
        let tier = served(o);
        let counted: Option<Usage> = o.take("usage").and_then(usage::read);
        self.close_all(out);
        out.extend(counted.map(|usage| Event::Usage(Usage { tier, ..usage })));
        self.fail(fault, out);
    }
}

/// The tier of service a response names.
fn served(response: &mut Object<'_>) -> Option<Tier> {
    response.string("service_tier", "").ok().flatten().and_then(|word| Tier::parse(&word))
}
