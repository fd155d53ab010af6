//! One choice of an upstream's reply: its deltas (or its whole message) in, events out.

use super::calls::{self, Call, CallPiece};
use super::details::{self, Detail};
use super::media;
use super::node::raw;
use super::sound::Sound;
use crate::json;
use slip_ir::event::Kind;
use slip_ir::request::format;
use slip_ir::{Event, Finish, Media, MediaKind, Piece, Raw, ThinkingKind};

/// Parallel tool calls of one choice; a model that repeats itself could otherwise open one per token.
const MAX_CALLS: usize = 512;
pub(super) struct Choice {
    pub index: u32,
    blocks: u32,
    open: Open,
    calls: Vec<Call>,
    /// Sealed details that name a tool call which has not begun.
    seals: Vec<Detail>,
    sound: Option<Sound>,
    /// The signature already told for the text.
    signed: Option<String>,
    /// URLs already cited, so that lists repeated in every chunk are told once.
    cited: Vec<String>,
    ending: Option<Ending>,
    /// Something with meaning came since the last call of [`Choice::settle`].
    stirred: bool,
    spoke: bool,
    pub done: bool,
}

/// The block that text is going into.
enum Open {
    Nothing,
    Text(u32),
    Refusal(u32),
    Thinking { block: u32, kind: ThinkingKind, index: Option<i64>, signed: bool },
}

#[derive(Default)]
struct Ending {
    word: String,
    native: Option<String>,
    stop_sequence: Option<String>,
}

impl Choice {
    pub(super) fn new(index: u32) -> Choice {
        Choice {
            index,
            blocks: 0,
            open: Open::Nothing,
            calls: Vec::new(),
            seals: Vec::new(),
            sound: None,
            signed: None,
            cited: Vec::new(),
            ending: None,
            stirred: false,
            spoke: false,
            done: false,
        }
    }

    /// Take in one element of `choices`.
    pub(super) fn feed(&mut self, span: &[u8], out: &mut Vec<Event>) {
        if self.done {
            return;
        }
        let (mut delta, mut message, mut text, mut logprobs) = (None, None, None, None);
        let mut ending = Ending::default();
        let mut ended = false;
        for (key, value) in json::fields(span) {
            match &*key.bytes() {
                b"delta" if value.first() == Some(&b'{') => delta = Some(value),
                b"message" if value.first() == Some(&b'{') => message = Some(value),
                b"text" => text = json::string(value).filter(|t| !t.is_empty()),
                b"logprobs" if value.first() == Some(&b'{') => logprobs = raw(value),
                b"finish_reason" => {
                    if let Some(word) = json::string(value) {
                        ended = true;
                        ending.word = word.into_owned();
                    }
                }
                b"native_finish_reason" => ending.native = some(value),
                b"stop_reason" => ending.stop_sequence = some(value),
                _ => {}
            }
        }
        // Some chunks carry the whole message so far beside the delta; it counts only where there is nothing else.
        match (delta, message) {
            (Some(delta), _) => self.message(delta, false, out),
            (None, Some(message)) if !self.spoke => self.message(message, true, out),
            _ => {
                if let Some(text) = text {
                    self.text(&text, out);
                }
            }
        }
        if let Some(raw) = logprobs {
            self.stirred = true;
            out.push(Event::Logprobs { choice: self.index, raw });
        }
        // The first word counts: later chunks repeat it or send an empty one.
        let better = self.ending.as_ref().is_none_or(|e| e.word.is_empty());
        if ended && better {
            self.ending = Some(ending);
            self.stirred = true;
        }
    }

    /// More text, where text is what it is saying; false, and nothing done, where it is not.
    pub(super) fn goes_on(&mut self, text: &str, out: &mut Vec<Event>) -> bool {
        let speaks = matches!(self.open, Open::Text(_)) && !self.has_ending();
        if speaks {
            self.text(text, out);
        }
        speaks
    }

    /// A delta, or a `whole` message: there every entry of `tool_calls` is a call of its own.
    fn message(&mut self, span: &[u8], whole: bool, out: &mut Vec<Event>) {
        let mut content = None;
        let mut thought = None;
        let mut list = None;
        let mut calls = None;
        let mut old_call = None;
        let mut refusal = None;
        let (mut annotations, mut images, mut audio, mut signature) = (None, None, None, None);
        for (key, value) in json::fields(span) {
            if value == b"null" {
                continue;
            }
            match &*key.bytes() {
                b"content" => content = Some(value),
                b"reasoning_details" => list = Some(value),
                b"reasoning_content" | b"reasoning" | b"reasoning_text" => thought = thought.or(some(value)),
                b"tool_calls" => calls = Some(value),
                b"function_call" => old_call = Some(value),
                b"refusal" => refusal = some(value),
                b"annotations" => annotations = Some(value),
                b"images" => images = Some(value),
                b"audio" => audio = Some(value),
                b"thought_signature" => signature = signature.or(some(value)),
                b"extra_content" => signature = google_signature(value).or(signature),
                _ => {}
            }
        }
        self.reasoning(list, thought, out);
        if let Some(content) = content {
            self.content(content, out);
        }
        for annotation in annotations.into_iter().flat_map(json::items).filter_map(raw) {
            self.annotation(annotation, out);
        }
        // Said beside the text and again in `extra_content`, in one chunk or in two.
        if let Some(signature) = signature.filter(|s| self.signed.as_ref() != Some(s)) {
            self.signed = Some(signature.clone());
            let block = self.text_block(out);
            self.delta(block, Piece::Signature(signature), out);
        }
        if let Some(words) = refusal {
            let block = self.refusal_block(out);
            self.delta(block, Piece::Text(words), out);
        }
        for image in images.into_iter().flat_map(json::items) {
            self.image(image, out);
        }
        if let Some(audio) = audio {
            self.hear(audio);
        }
        for call in calls.into_iter().flat_map(json::items) {
            self.call(CallPiece::read(call), whole, out);
        }
        // Where both are sent, they tell the same call.
        if let Some(call) = old_call.filter(|_| calls.is_none_or(|list| json::items(list).next().is_none())) {
            self.call(CallPiece::read_old(call), whole, out);
        }
    }

    fn delta(&mut self, block: u32, piece: Piece, out: &mut Vec<Event>) {
        self.stirred = true;
        self.spoke = true;
        out.push(Event::Delta { choice: self.index, block, piece });
    }

    fn begin(&mut self, kind: Kind, out: &mut Vec<Event>) -> u32 {
        self.stirred = true;
        self.spoke = true;
        let block = self.blocks;
        self.blocks += 1;
        out.push(Event::Open { choice: self.index, block, kind });
        block
    }

    fn end_open(&mut self, out: &mut Vec<Event>) {
        let (Open::Text(block) | Open::Refusal(block) | Open::Thinking { block, .. }) = self.open else { return };
        out.push(Event::Close { choice: self.index, block });
        self.open = Open::Nothing;
    }

    fn text_block(&mut self, out: &mut Vec<Event>) -> u32 {
        if let Open::Text(block) = self.open {
            return block;
        }
        self.end_open(out);
        let block = self.begin(Kind::Text, out);
        self.open = Open::Text(block);
        block
    }

    fn refusal_block(&mut self, out: &mut Vec<Event>) -> u32 {
        if let Open::Refusal(block) = self.open {
            return block;
        }
        self.end_open(out);
        let block = self.begin(Kind::Refusal, out);
        self.open = Open::Refusal(block);
        block
    }

    fn text(&mut self, text: &str, out: &mut Vec<Event>) {
        if !text.is_empty() {
            let block = self.text_block(out);
            self.delta(block, Piece::Text(text.to_owned()), out);
        }
    }

    /// A string, or parts in the order the model made them.
    fn content(&mut self, span: &[u8], out: &mut Vec<Event>) {
        if let Some(text) = json::string(span) {
            return self.text(&text, out);
        }
        for part in json::items(span) {
            let field = |name: &str| json::field(part, name);
            match field("type").and_then(json::string).as_deref() {
                Some("thinking") => {
                    let Some(inner) = field("thinking") else { continue };
                    match json::string(inner) {
                        Some(text) => self.think(&text, out),
                        None => {
                            for piece in json::items(inner) {
                                let text = json::field(piece, "text").and_then(json::string);
                                self.think(&text.unwrap_or_default(), out);
                            }
                        }
                    }
                }
                Some("image_url") => self.image(part, out),
                Some("refusal") => {
                    if let Some(words) = field("refusal").and_then(some) {
                        let block = self.refusal_block(out);
                        self.delta(block, Piece::Text(words), out);
                    }
                }
                _ => {
                    let text = field("text").and_then(json::string).or_else(|| json::string(part));
                    self.text(&text.unwrap_or_default(), out);
                }
            }
        }
    }

    fn reasoning(&mut self, list: Option<&[u8]>, plain: Option<String>, out: &mut Vec<Event>) {
        let list: Vec<Detail> = list.into_iter().flat_map(json::items).filter_map(details::read).collect();
        let told = list.iter().any(|d| d.kind != ThinkingKind::Encrypted && !d.text.is_empty());
        if !told && let Some(text) = plain {
            self.think(&text, out);
        }
        for detail in list {
            self.detail(detail, out);
        }
    }

    /// Reasoning without an envelope.
    fn think(&mut self, text: &str, out: &mut Vec<Event>) {
        let detail = Detail { text: text.to_owned(), format: format::UNKNOWN.to_owned(), ..Detail::default() };
        self.detail(detail, out);
    }

    fn detail(&mut self, detail: Detail, out: &mut Vec<Event>) {
        if detail.kind == ThinkingKind::Encrypted {
            return self.sealed(detail, out);
        }
        if detail.text.is_empty() && detail.signature.is_none() {
            return;
        }
        let current = match self.open {
            Open::Thinking { block, kind, index, signed } => {
                let same = index.is_none() || detail.index.is_none() || index == detail.index;
                // A signature ends the block it signs.
                (same && kind == detail.kind && (!signed || detail.text.is_empty())).then_some(block)
            }
            _ => None,
        };
        let block = match current {
            Some(block) => block,
            None => {
                self.end_open(out);
                let kind = Kind::Thinking { kind: detail.kind, format: detail.format, id: detail.id };
                let block = self.begin(kind, out);
                self.open = Open::Thinking { block, kind: detail.kind, index: detail.index, signed: false };
                block
            }
        };
        if !detail.text.is_empty() {
            self.delta(block, Piece::Text(detail.text), out);
        }
        if let Some(signature) = detail.signature {
            self.delta(block, Piece::Signature(signature), out);
            if let Open::Thinking { signed, .. } = &mut self.open {
                *signed = true;
            }
        }
    }

    fn sealed(&mut self, detail: Detail, out: &mut Vec<Event>) {
        let Some(data) = detail.data.clone() else { return };
        if let Some(id) = &detail.id {
            if let Some(call) = self.calls.iter().find(|c| c.id == *id && c.block.is_some()) {
                let block = call.block.unwrap_or_default();
                return self.delta(block, Piece::Signature(data), out);
            }
            // Gemini's signatures belong to a call, which may come after them.
            if detail.format == format::GEMINI && self.seals.len() < MAX_CALLS {
                self.stirred = true;
                self.seals.push(detail);
                return;
            }
        }
        self.seal_alone(detail, data, out);
    }

    fn seal_alone(&mut self, detail: Detail, data: String, out: &mut Vec<Event>) {
        self.end_open(out);
        let block = self.begin(Kind::Thinking { kind: detail.kind, format: detail.format, id: detail.id }, out);
        self.delta(block, Piece::Data(data), out);
        if let Some(signature) = detail.signature {
            self.delta(block, Piece::Signature(signature), out);
        }
        out.push(Event::Close { choice: self.index, block });
    }

    fn annotation(&mut self, annotation: Raw, out: &mut Vec<Event>) {
        let text = annotation.as_str().as_bytes();
        let url = json::field(text, "url_citation").and_then(|c| json::field(c, "url")).and_then(some);
        self.cited.extend(url);
        let block = self.text_block(out);
        self.delta(block, Piece::Annotation(annotation), out);
    }

    /// A list of sources that stands beside the choices (Perplexity, xAI), told once at the end.
    pub(super) fn cite(&mut self, url: &str, annotation: &Raw, out: &mut Vec<Event>) {
        if self.done || !self.spoke || self.cited.iter().any(|c| c == url) {
            return;
        }
        self.annotation(annotation.clone(), out);
    }

    fn image(&mut self, span: &[u8], out: &mut Vec<Event>) {
        let holder = json::field(span, "image_url");
        let url = holder.and_then(|h| json::string(h).or_else(|| json::field(h, "url").and_then(json::string)));
        let Some(url) = url.filter(|u| !u.is_empty()) else { return };
        self.media(media::new(MediaKind::Image, media::from_url(&url)), out);
    }

    fn media(&mut self, media: Media, out: &mut Vec<Event>) {
        self.end_open(out);
        let block = self.begin(Kind::Media { kind: media.kind }, out);
        self.delta(block, Piece::Media(media), out);
        out.push(Event::Close { choice: self.index, block });
    }

    fn hear(&mut self, span: &[u8]) {
        let heard = Sound::read(span);
        if !heard.is_empty() {
            self.stirred = true;
            self.spoke = true;
            self.sound.get_or_insert_default().extend(heard);
        }
    }

    fn call(&mut self, piece: CallPiece, whole: bool, out: &mut Vec<Event>) {
        let known = if whole { None } else { calls::find(&self.calls, &piece) };
        let at = match known {
            Some(at) => at,
            None if piece.is_empty() || self.calls.len() >= MAX_CALLS => return,
            None => {
                self.stirred = true;
                self.calls.push(Call::new(&piece));
                self.calls.len() - 1
            }
        };
        let Some(call) = self.calls.get_mut(at) else { return };
        let Some(block) = call.block else {
            call.hold(piece);
            if !call.name.is_empty() {
                self.open_call(at, out);
            }
            return;
        };
        if !piece.arguments.is_empty() {
            self.delta(block, Piece::Arguments(piece.arguments), out);
        }
        if let Some(signature) = piece.signature {
            self.delta(block, Piece::Signature(signature), out);
        }
    }

    fn open_call(&mut self, at: usize, out: &mut Vec<Event>) {
        self.end_open(out);
        let Some(call) = self.calls.get_mut(at) else { return };
        let extra = if call.custom { super::message::custom_mark() } else { None };
        let kind = Kind::ToolCall { id: call.id.clone(), name: call.name.clone(), extra };
        let held = std::mem::take(&mut call.held);
        let mut signature = call.signature.take();
        if let Some(seal) = self.seals.iter().position(|s| s.id.as_deref() == Some(&call.id)) {
            signature = self.seals.remove(seal).data.or(signature);
        }
        let block = self.begin(kind, out);
        if let Some(call) = self.calls.get_mut(at) {
            call.block = Some(block);
        }
        if !held.is_empty() {
            self.delta(block, Piece::Arguments(held), out);
        }
        if let Some(signature) = signature {
            self.delta(block, Piece::Signature(signature), out);
        }
    }

    /// After each chunk: a finish is told one chunk late, because some servers say it early and then go on. True when it was.
    pub(super) fn settle(&mut self, citations: &[(String, Raw)], out: &mut Vec<Event>) {
        if !std::mem::take(&mut self.stirred) && self.ending.is_some() {
            self.finish(citations, out);
        }
    }

    pub(super) fn has_ending(&self) -> bool {
        self.done || self.ending.is_some()
    }

    /// Close every block.
    pub(super) fn close(&mut self, citations: &[(String, Raw)], out: &mut Vec<Event>) {
        if self.done {
            return;
        }
        for (url, annotation) in citations {
            self.cite(url, annotation, out);
        }
        for at in 0..self.calls.len() {
            if self.calls.get(at).is_some_and(|c| c.block.is_none()) {
                self.open_call(at, out);
            }
        }
        for seal in std::mem::take(&mut self.seals) {
            let data = seal.data.clone().unwrap_or_default();
            self.seal_alone(seal, data, out);
        }
        if let Some(sound) = self.sound.take() {
            self.media(sound.into_media(), out);
        }
        self.end_open(out);
        for block in self.calls.iter().filter_map(|c| c.block) {
            out.push(Event::Close { choice: self.index, block });
        }
        self.done = true;
    }

    /// Close every block and say why it ended.
    pub(super) fn finish(&mut self, citations: &[(String, Raw)], out: &mut Vec<Event>) {
        if self.done {
            return;
        }
        self.close(citations, out);
        let ending = self.ending.take().unwrap_or_default();
        let reason = finish_of(&ending.word, !self.calls.is_empty());
        let native = ending.native.or((!ending.word.is_empty()).then_some(ending.word));
        let stop_sequence = ending.stop_sequence.filter(|_| reason == Finish::Stop);
        out.push(Event::Finish { choice: self.index, reason, native, stop_sequence });
    }
}

/// OpenRouter's word for an upstream's. Calls decide where the upstream's word does not: forced calls end with `stop`, some
/// servers say nothing.
pub(crate) fn finish_of(word: &str, called: bool) -> Finish {
    match word.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => Finish::Length,
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" | "refusal" | "safety" | "recitation" | "prohibited_content" | "blocklist" | "sensitive" => {
            Finish::ContentFilter
        }
        "error" | "network_error" | "insufficient_system_resource" => Finish::Error,
        _ if called => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// The text of a string, unless it is empty or something else.
pub(crate) fn some(span: &[u8]) -> Option<String> {
    json::string(span).filter(|t| !t.is_empty()).map(|t| t.into_owned())
}

pub(super) fn google_signature(span: &[u8]) -> Option<String> {
    json::field(span, "google").and_then(|g| json::field(g, "thought_signature")).and_then(some)
}
