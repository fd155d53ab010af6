//! The conversation: turns as `contents` and `systemInstruction`.

use super::MINTED;
use super::encode::{Ledger, is_three};
use super::part;
use super::request::plain;
use super::tree::Node;
use crate::Quirks;
use slip_ir::request::format;
use slip_ir::{Block, Dialect, Media, Raw, Request, Role, Source, Text, Thinking, ThinkingKind, ToolResult};
use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

/// Gemini 3 refuses a replayed function call it did not sign itself; this word in place of the signature lifts the check
/// (Google's documentation of thought signatures, read 2026-11).
const UNSIGNED: &str = "skip_thought_signature_validator";

/// The conversation as it grows.
pub(super) struct Contents<'a, 'l> {
    ledger: &'l mut Ledger,
    quirks: &'l Quirks,
    three: bool,
    list: Vec<Content<'a>>,
    system: Vec<Node<'a>>,
    /// Tool names by call id.
    names: HashMap<&'a str, &'a str>,
    /// Media of tool results, waiting until all results of the step stand together.
    beside: Vec<Node<'a>>,
}

struct Content<'a> {
    model: bool,
    parts: Vec<Node<'a>>,
}

impl<'a> Contents<'a, '_> {
    pub(super) fn of(request: &'a Request, quirks: &Quirks, ledger: &mut Ledger) -> (Node<'a>, Vec<Node<'a>>) {
        let three = is_three(&request.model);
        let mut all = Contents {
            ledger,
            quirks,
            three,
            list: Vec::new(),
            system: Vec::new(),
            names: HashMap::new(),
            beside: Vec::new(),
        };
        for (index, turn) in request.turns.iter().enumerate() {
            let at = format!("messages[{index}]");
            if turn.name.is_some() {
                all.ledger.lose(format!("{at}.name"), "has no place in gemini");
            }
            if turn.role != Role::Tool {
                all.flush();
            }
            match turn.role {
                Role::System | Role::Developer => all.instruct(&turn.blocks, &at),
                Role::Assistant => all.model(&turn.blocks, &at),
                Role::User | Role::Tool => all.user(&turn.blocks, &at),
            }
        }
        all.flush();
        if all.list.is_empty() && !all.system.is_empty() {
            all.ledger.lose("messages[0].role", "a conversation of instructions alone is sent as the user's");
            let parts = std::mem::take(&mut all.system);
            all.list.push(Content { model: false, parts });
        }
        all.finish()
    }

    fn finish(mut self) -> (Node<'a>, Vec<Node<'a>>) {
        if self.three {
            self.list.iter_mut().filter(|content| content.model).for_each(excuse);
        }
        let contents = self.list.into_iter().map(|content| {
            let role = if content.model { "model" } else { "user" };
            Node::object([("role", role.into()), ("parts", Node::Array(content.parts))])
        });
        (Node::Array(contents.collect()), self.system)
    }

    /// Consecutive turns of one role are one content.
    fn push(&mut self, model: bool, parts: Vec<Node<'a>>) {
        match self.list.last_mut() {
            _ if parts.is_empty() => {}
            Some(last) if last.model == model => last.parts.extend(parts),
            _ => self.list.push(Content { model, parts }),
        }
    }

    fn flush(&mut self) {
        let beside = std::mem::take(&mut self.beside);
        self.push(false, beside);
    }

    fn instruct(&mut self, blocks: &'a [Block], at: &str) {
        if !self.list.is_empty() {
            self.ledger.lose(format!("{at}.role"), "instructions are moved to the beginning");
        }
        for block in blocks {
            match block {
                Block::Text(text) => {
                    self.note_text(text, at);
                    if !text.text.is_empty() {
                        self.system.push(part::write_text(&text.text, false, text.signature.as_deref()));
                    }
                }
                _ => self.ledger.lose(format!("{at}.content"), "instructions can only be text"),
            }
        }
    }

    fn note_text(&mut self, text: &Text, at: &str) {
        if text.cache.is_some() {
            self.ledger.lose("cache_control", "has no place in gemini");
        }
        if !text.annotations.is_empty() {
            self.ledger.lose(format!("{at}.annotations"), "citations are not replayed");
        }
    }

    fn user(&mut self, blocks: &'a [Block], at: &str) {
        let mut parts = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            match block {
                Block::ToolResult(result) => self.result(result, at, &mut parts),
                _ => self.common(block, &format!("{at}.content[{index}]"), at, &mut parts),
            }
        }
        if parts.is_empty() && blocks.iter().any(|block| matches!(block, Block::Text(_))) {
            // The provider should see (and refuse, if it must) that nothing was said, rather than a turn fewer.
            parts.push(part::write_text("", false, None));
        }
        self.push(false, parts);
    }

    fn model(&mut self, blocks: &'a [Block], at: &str) {
        let borrowed = borrowed_signatures(blocks);
        let mut parts = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            match block {
                Block::Thinking(_) if borrowed.given.contains(&index) => {}
                Block::Thinking(thinking) => self.thinking(thinking, at, &mut parts),
                Block::ToolCall(call) => {
                    self.names.insert(&call.id, &call.name);
                    let signature = call.signature.as_deref().or_else(|| borrowed.by_call.get(&index).copied());
                    if call.extra.is_some() {
                        self.ledger.lose(format!("{at}.tool_calls.extra"), "unknown to gemini");
                    }
                    let args = part::as_object(&call.arguments);
                    if args.is_none() && !call.arguments.trim().is_empty() {
                        self.ledger.lose(format!("{at}.tool_calls.arguments"), "not a JSON object");
                    }
                    let args = args.map_or_else(|| Node::object([]), Node::from);
                    parts.push(part::write_call(own_id(&call.id), &call.name, args, signature));
                }
                _ => self.common(block, &format!("{at}.content[{index}]"), at, &mut parts),
            }
        }
        self.push(true, parts);
    }

    /// Blocks that look the same from either side.
    fn common(&mut self, block: &'a Block, here: &str, at: &str, parts: &mut Vec<Node<'a>>) {
        match block {
            Block::Text(text) => {
                self.note_text(text, at);
                // Google refuses parts that say nothing.
                if !text.text.is_empty() || text.signature.is_some() {
                    parts.push(part::write_text(&text.text, false, text.signature.as_deref()));
                }
            }
            Block::Refusal(text) if !text.is_empty() => {
                self.ledger.lose(format!("{at}.refusal"), "sent as text");
                parts.push(part::write_text(text, false, None));
            }
            Block::Refusal(_) => {}
            Block::Media(media) => parts.extend(self.media(media, here)),
            Block::Opaque { dialect: Dialect::Gemini, raw } => parts.push(raw.into()),
            Block::Opaque { .. } => self.ledger.lose(here.to_owned(), "a part of another dialect"),
            Block::Thinking(thinking) => self.thinking(thinking, at, parts),
            Block::ToolResult(result) => self.result(result, at, parts),
            Block::ToolCall(_) => self.ledger.lose(here.to_owned(), "only the model can call tools"),
        }
    }

    fn media(&mut self, media: &'a Media, here: &str) -> Option<Node<'a>> {
        if let Source::Url(uri) = &media.source
            && !self.quirks.image_urls
            && uri.starts_with("http")
            && !part::is_video_site(uri)
            && !uri.starts_with("https://generativelanguage.googleapis.com/")
        {
            self.ledger.lose(format!("{here}.url"), "sent as a link, which the provider may refuse to follow");
        }
        let (node, lost) = part::write_media(media);
        for name in lost {
            match name {
                "cache_control" => self.ledger.lose(name, "has no place in gemini"),
                _ => self.ledger.lose(format!("{here}.{name}"), "has no place in gemini"),
            }
        }
        node
    }

    /// Only Google's own reasoning goes back to Google.
    fn thinking(&mut self, thinking: &'a Thinking, at: &str, parts: &mut Vec<Node<'a>>) {
        if thinking.format != format::GEMINI {
            return self.ledger.lose(format!("{at}.reasoning"), "reasoning of another family is not replayed");
        }
        let signature = thinking.data.as_deref().or(thinking.signature.as_deref());
        match (thinking.text.as_str(), signature) {
            ("", None) => {}
            // Where the API put a signature on a part without words, it wants it back in the same shape.
            ("", signature) => parts.push(part::write_text("", false, signature)),
            (text, signature) => parts.push(part::write_text(text, true, signature)),
        }
    }

    fn result(&mut self, result: &'a ToolResult, at: &str, parts: &mut Vec<Node<'a>>) {
        if result.cache.is_some() {
            self.ledger.lose("cache_control", "has no place in gemini");
        }
        let known = self.names.get(result.id.as_str()).copied();
        let name = result.name.as_deref().or(known).unwrap_or(match result.id.as_str() {
            "" => "tool",
            id => id,
        });
        let mut answer = Node::object([("name", name.into()), ("response", response(result))]);
        let id = own_id(&result.id);
        if !id.is_empty() {
            answer.set("id", id);
        }
        let mut media = Vec::new();
        for (index, block) in result.content.iter().enumerate() {
            let here = format!("{at}.content[{index}]");
            match block {
                Block::Media(one) => media.extend(self.media(one, &here)),
                Block::Text(text) => self.note_text(text, at),
                _ => self.ledger.lose(here, "a tool result holds text and media only"),
            }
        }
        if self.three && !media.is_empty() {
            answer.set("parts", std::mem::take(&mut media));
        }
        parts.push(Node::object([("functionResponse", answer)]));
        if !media.is_empty() {
            self.ledger.lose(format!("{at}.content"), "media of a tool result is sent beside it");
            self.beside.append(&mut media);
        }
    }
}

/// An id a Gemini client never gave is not shown to Gemini.
fn own_id(id: &str) -> &str {
    if id.starts_with(MINTED) { "" } else { id }
}

/// Text goes into `result`; a JSON object is the response itself, unless it would then be read as something else.
fn response(result: &ToolResult) -> Node<'_> {
    let texts: Vec<&str> = result
        .content
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    let member = if result.is_error { "error" } else { "result" };
    let wrap = |text: Cow<'_, str>| Node::object([(member, Node::Str(Cow::Owned(text.into_owned())))]);
    match texts.as_slice() {
        [] if !result.is_error => Node::object([]),
        [one] => match part::as_object(one).filter(|raw| !result.is_error && is_unmistakable(raw)) {
            Some(raw) => raw.into(),
            None => wrap((*one).into()),
        },
        many => wrap(many.join("\n").into()),
    }
}

fn is_unmistakable(raw: &Raw) -> bool {
    plain(raw.as_str()).is_none() && raw.as_str().trim_ascii() != "{}"
}

/// Signatures that callers of other dialects keep apart from the call they belong to.
struct Borrowed<'a> {
    /// By the place of the call among the turn's blocks.
    by_call: HashMap<usize, &'a str>,
    /// Places of the reasoning blocks that gave theirs.
    given: HashSet<usize>,
}

/// A wordless piece of Google's reasoning names the call it was taken from, or, without a name, goes to the first unsigned call.
fn borrowed_signatures(blocks: &[Block]) -> Borrowed<'_> {
    let mut borrowed = Borrowed { by_call: HashMap::new(), given: HashSet::new() };
    let mut calls = HashMap::new();
    let mut first = None;
    for (index, block) in blocks.iter().enumerate() {
        if let Block::ToolCall(call) = block
            && call.signature.is_none()
        {
            calls.entry(call.id.as_str()).or_insert(index);
            first.get_or_insert(index);
        }
    }
    // What names its call comes first, so that nothing nameless takes its place.
    for nameless in [false, true] {
        for (index, block) in blocks.iter().enumerate() {
            let Block::Thinking(thinking) = block else { continue };
            let Some(signature) = thinking.data.as_deref().or(thinking.signature.as_deref()) else { continue };
            if thinking.format != format::GEMINI || !thinking.text.is_empty() || thinking.id.is_none() != nameless {
                continue;
            }
            let named = thinking.id.as_deref().and_then(|id| calls.get(id)).copied();
            let sealed = thinking.kind == ThinkingKind::Encrypted;
            let Some(call) = named.or(if sealed && nameless { first } else { None }) else { continue };
            if let Entry::Vacant(slot) = borrowed.by_call.entry(call) {
                slot.insert(signature);
                borrowed.given.insert(index);
            }
        }
    }
    borrowed
}

/// Give the first call the word that lifts the check, when no call of the content is signed.
fn excuse(content: &mut Content<'_>) {
    let is_call = |part: &Node<'_>| part.get("functionCall").is_some();
    if content.parts.iter().any(|part| is_call(part) && part.get("thoughtSignature").is_some()) {
        return;
    }
    if let Some(call) = content.parts.iter_mut().find(|part| is_call(part)) {
        call.set("thoughtSignature", UNSIGNED);
    }
}
