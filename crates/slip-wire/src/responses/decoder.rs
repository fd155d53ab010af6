//! An upstream's stream of Responses events as events of the vocabulary.
//!
//! A stream tells everything several times: in deltas, at the end of each part, of each item and of the response. What came in
//! deltas counts; the rest fills in what no delta told.

use super::wire::{Wire, text};
use super::{annotations, error, family, usage};
use crate::anthropic::object::{Object, read};
use crate::dialect::Decode;
use crate::frame::Frame;
use crate::openai_chat::media;
use crate::openai_chat::message::custom_mark;
use serde_json::value::RawValue;
use slip_ir::event::{Kind, Piece, Start};
use slip_ir::request::format;
use slip_ir::{Dialect, Event, Fault, FaultKind, Finish, MediaKind, Raw, Remedy, Source, ThinkingKind, Usage};

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

struct Part {
    kind: Sort,
    number: u64,
    block: u32,
    said: bool,
    open: bool,
    annotations: usize,
    /// Probabilities have come.
    logprobs: bool,
}

/// The kinds of text an item can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Text,
    Refusal,
    Summary,
    Reasoning,
}

#[derive(Default)]
struct Call {
    block: Option<u32>,
    said: bool,
    custom: bool,
}

impl Decode for Decoder {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) {
        if self.over || frame.is_done() || frame.data.trim_ascii().is_empty() {
            return;
        }
        let wire = match serde_json::from_slice::<Wire<'_>>(frame.data) {
            Ok(wire) => wire,
            // An event of a shape we do not know is passed over. Bytes that are no JSON mean that a part of the reply is lost, and
            // a reply with a hole in it must not look whole.
            Err(e) if e.is_data() => return,
            Err(_) => {
                let says = "the provider sent an event that is not JSON";
                return self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Elsewhere, says), out);
            }
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
            let says = "the stream ended before it was finished";
            self.fail(Fault::upstream(FaultKind::Upstream, Remedy::Again, says), out);
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

    /// The item an event is about; events about one nobody announced announce it.
    fn item(&mut self, wire: &Wire<'_>, otherwise: impl FnOnce() -> Body, out: &mut Vec<Event>) -> Option<usize> {
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

    fn new_item(&mut self, index: Option<u64>, id: Option<String>, body: Body, out: &mut Vec<Event>) -> Option<usize> {
        if self.many(out) {
            return None;
        }
        self.start(Start::default(), out);
        self.items.push(Item { index, id, done: false, body });
        Some(self.items.len() - 1)
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

    fn added(&mut self, wire: &Wire<'_>, out: &mut Vec<Event>) {
        let Some(mut o) = wire.item.and_then(|raw| Object::parse(raw.get(), "").ok()) else { return };
        let kind = o.string("type", "").ok().flatten().unwrap_or_default();
        let id = o.string("id", "").ok().flatten();
        let body = match kind.as_str() {
            "message" | "reasoning" => Body::Parts(Vec::new()),
            "function_call" | "custom_tool_call" => {
                Body::Call(Call { custom: kind == "custom_tool_call", ..Call::default() })
            }
            _ => Body::Other,
        };
        // A number used again is another item.
        if let Some(old) = self.items.iter().rposition(|item| item.index.is_some() && item.index == wire.output_index) {
            self.close_item(old, out);
            self.items[old].index = None;
        }
        let Some(at) = self.new_item(wire.output_index, id, body, out) else { return };
        self.open_call(at, &mut o, out);
    }

    /// A call is opened as soon as it has a name.
    fn open_call(&mut self, at: usize, o: &mut Object<'_>, out: &mut Vec<Event>) {
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

    /// Text of a part: a piece of it, or (`whole`) all of it, which counts where no piece came.
    fn text(
        &mut self,
        wire: &Wire<'_>,
        kind: Sort,
        number: u64,
        said: Option<String>,
        whole: bool,
        out: &mut Vec<Event>,
    ) {
        let Some(at) = self.item(wire, || Body::Parts(Vec::new()), out) else { return };
        self.say(at, kind, number, said, whole, out);
    }

    fn say(&mut self, at: usize, kind: Sort, number: u64, said: Option<String>, whole: bool, out: &mut Vec<Event>) {
        let Some(said) = said.filter(|said| !said.is_empty()) else { return };
        let Some(part) = self.part(at, kind, number, out) else { return };
        if !part.open || whole && part.said {
            return;
        }
        part.said = true;
        let block = part.block;
        out.push(Event::Delta { choice: 0, block, piece: Piece::Text(said) });
    }

    /// The part of that number; opens it.
    fn part(&mut self, at: usize, kind: Sort, number: u64, out: &mut Vec<Event>) -> Option<&mut Part> {
        let Item { done, body: Body::Parts(parts), .. } = self.items.get(at)? else { return None };
        let found = parts.iter().rposition(|part| part.kind == kind && part.number == number);
        if found.is_none() {
            if *done || self.many(out) {
                return None;
            }
            let id = self.items.get(at)?.id.clone();
            let thinking = |kind| Kind::Thinking { kind, format: self.family.to_owned(), id };
            let block = match kind {
                Sort::Text => Kind::Text,
                Sort::Refusal => Kind::Refusal,
                Sort::Summary => thinking(ThinkingKind::Summary),
                Sort::Reasoning => thinking(ThinkingKind::Text),
            };
            let block = self.block(block, out);
            let part = Part { kind, number, block, said: false, open: true, annotations: 0, logprobs: false };
            if let Some(Item { body: Body::Parts(parts), .. }) = self.items.get_mut(at) {
                parts.push(part);
            }
        }
        match &mut self.items.get_mut(at)?.body {
            Body::Parts(parts) => parts.iter_mut().rfind(|part| part.kind == kind && part.number == number),
            _ => None,
        }
    }

    fn annotation(&mut self, wire: &Wire<'_>, number: u64, out: &mut Vec<Event>) {
        let Some(raw) = wire.annotation.and_then(annotations::read) else { return };
        let Some(at) = self.item(wire, || Body::Parts(Vec::new()), out) else { return };
        if let Some(part) = self.part(at, Sort::Text, number, out).filter(|part| part.open) {
            part.annotations += 1;
            let block = part.block;
            out.push(Event::Delta { choice: 0, block, piece: Piece::Annotation(raw) });
        }
    }

    /// In the shape of chat completions, whose entries are the same.
    fn logprobs(&mut self, wire: &Wire<'_>, number: u64, out: &mut Vec<Event>) {
        let Some(raw) = wire.logprobs.filter(|raw| raw.get().starts_with('[') && raw.get().len() > 2) else { return };
        let whole = wire.text.is_some();
        let Some(at) = self.item(wire, || Body::Parts(Vec::new()), out) else { return };
        self.probable(at, number, raw, whole, out);
    }

    fn probable(&mut self, at: usize, number: u64, raw: &RawValue, whole: bool, out: &mut Vec<Event>) {
        let Some(part) = self.part(at, Sort::Text, number, out) else { return };
        if !part.open || whole && part.logprobs {
            return;
        }
        part.logprobs = true;
        let raw = Raw::parse(format!("{{\"content\":{},\"refusal\":null}}", raw.get()));
        out.extend(raw.map(|raw| Event::Logprobs { choice: 0, raw }));
    }

    fn part_done(&mut self, wire: &Wire<'_>, number: u64, out: &mut Vec<Event>) {
        let Some(part) = wire.part else { return };
        let Some(at) = self.item(wire, || Body::Parts(Vec::new()), out) else { return };
        let Ok(mut o) = Object::parse(part.get(), "") else { return };
        if let Some(kind) = self.fill(at, number, &mut o, None, out) {
            self.close_part(at, kind, number, out);
        }
    }

    /// What a whole part says that no event before it said. `otherwise` is its kind where it has no name.
    fn fill(
        &mut self,
        at: usize,
        number: u64,
        o: &mut Object<'_>,
        otherwise: Option<Sort>,
        out: &mut Vec<Event>,
    ) -> Option<Sort> {
        let kind = match o.string("type", "").ok().flatten().as_deref() {
            Some("output_text") => Sort::Text,
            Some("refusal") => Sort::Refusal,
            Some("summary_text") => Sort::Summary,
            Some("reasoning_text") => Sort::Reasoning,
            Some("text") | None => otherwise?,
            Some(_) => return None,
        };
        let said = text(o.take(if kind == Sort::Refusal { "refusal" } else { "text" }));
        self.say(at, kind, number, said, true, out);
        if kind == Sort::Text {
            if let Some(raw) = o.take("logprobs").filter(|raw| raw.get().starts_with('[') && raw.get().len() > 2) {
                self.probable(at, number, raw, true, out);
            }
            let cited = o.array("annotations", "").ok().flatten().unwrap_or_default();
            if !cited.is_empty()
                && let Some(part) = self.part(at, kind, number, out).filter(|part| part.open)
            {
                let (block, known) = (part.block, part.annotations);
                part.annotations = known.max(cited.len());
                let more = cited.into_iter().skip(known).filter_map(annotations::read);
                out.extend(more.map(|raw| Event::Delta { choice: 0, block, piece: Piece::Annotation(raw) }));
            }
        }
        Some(kind)
    }

    fn close_part(&mut self, at: usize, kind: Sort, number: u64, out: &mut Vec<Event>) {
        let Some(Item { body: Body::Parts(parts), .. }) = self.items.get_mut(at) else { return };
        let open = parts.iter_mut().filter(|part| part.open && part.kind == kind && part.number == number);
        for part in open {
            part.open = false;
            out.push(Event::Close { choice: 0, block: part.block });
        }
    }

    fn arguments(&mut self, wire: &Wire<'_>, said: Option<String>, whole: bool, out: &mut Vec<Event>) {
        let Some(at) = self.item(wire, || Body::Call(Call::default()), out) else { return };
        self.argue(at, said, whole, out);
    }

    fn argue(&mut self, at: usize, said: Option<String>, whole: bool, out: &mut Vec<Event>) {
        let Some(said) = said.filter(|said| !said.is_empty()) else { return };
        let Some(Item { done: false, body: Body::Call(call), .. }) = self.items.get_mut(at) else { return };
        let Some(block) = call.block.filter(|_| !(whole && call.said)) else { return };
        call.said = true;
        out.push(Event::Delta { choice: 0, block, piece: Piece::Arguments(said) });
    }

    fn item_done(&mut self, wire: &Wire<'_>, out: &mut Vec<Event>) {
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
    fn complete(&mut self, at: usize, id: Option<String>, mut o: Object<'_>, raw: &RawValue, out: &mut Vec<Event>) {
        let kind = o.string("type", "").ok().flatten().unwrap_or_default();
        let Some(item) = self.items.get_mut(at).filter(|item| !item.done) else { return };
        item.id = id.or(item.id.take());
        let fresh = matches!(&item.body, Body::Other);
        match kind.as_str() {
            "message" | "reasoning" if fresh => item.body = Body::Parts(Vec::new()),
            "function_call" | "custom_tool_call" if fresh => {
                item.body = Body::Call(Call { custom: kind == "custom_tool_call", ..Call::default() });
            }
            _ => {}
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

    fn texts(&mut self, at: usize, o: &mut Object<'_>, member: &str, otherwise: Sort, out: &mut Vec<Event>) {
        let Some(raw) = o.take(member) else { return };
        for (number, part) in read::<Vec<&RawValue>>(raw, "", "").unwrap_or_default().into_iter().enumerate() {
            if let Ok(mut part) = Object::parse(part.get(), "")
                && let Some(kind) = self.fill(at, number as u64, &mut part, Some(otherwise), out)
            {
                self.close_part(at, kind, number as u64, out);
            }
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
            Body::Parts(parts) => {
                for part in parts.iter_mut().filter(|part| part.open) {
                    part.open = false;
                    out.push(Event::Close { choice: 0, block: part.block });
                }
            }
            Body::Call(call) => {
                if let Some(block) = call.block {
                    if !call.said && !call.custom {
                        let piece = Piece::Arguments("{}".to_owned());
                        out.push(Event::Delta { choice: 0, block, piece });
                    }
                    out.push(Event::Close { choice: 0, block });
                }
                item.done = true;
            }
            Body::Other => {}
        }
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for at in 0..self.items.len() {
            self.close_item(at, out);
        }
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
        let counted: Option<Usage> = o.take("usage").and_then(usage::read);
        out.extend(counted.map(|usage| Event::Usage(Usage { web_searches: self.searches, ..usage })));
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
        let counted: Option<Usage> = o.take("usage").and_then(usage::read);
        self.close_all(out);
        out.extend(counted.map(Event::Usage));
        self.fail(fault, out);
    }
}
