//! A whole reply, and the two-way street between it and its events.

use crate::event::{Kind, Piece, Start};
use crate::{Block, Event, Fault, Media, MediaKind, Raw, Source, Text, Thinking, ThinkingKind, ToolCall, Usage};
use std::collections::BTreeMap;

/// Why a choice ended. OpenRouter's five words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finish {
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    Error,
}

impl Finish {
    pub const fn name(self) -> &'static str {
        match self {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter => "content_filter",
            Finish::Error => "error",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub start: Start,
    pub choices: Vec<Choice>,
    pub usage: Option<Usage>,
    /// An error inside an otherwise successful reply.
    pub fault: Option<Fault>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    pub index: u32,
    pub blocks: Vec<Block>,
    pub finish: Option<Finish>,
    /// The upstream's own word for it.
    pub native: Option<String>,
    pub stop_sequence: Option<String>,
    pub logprobs: Option<Raw>,
}

impl Choice {
    /// All text blocks joined, without separators.
    pub fn text(&self) -> String {
        self.blocks
            .iter()
            .filter_map(|b| match b {
                Block::Text(t) => Some(t.text.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// Collect events into the reply they describe. Tolerates events that break the grammar: a delta for a block nobody opened is
/// ignored, an unclosed block is closed.
pub fn fold(events: impl IntoIterator<Item = Event>) -> Reply {
    let mut reply = Reply::default();
    let mut choices: BTreeMap<u32, Folding> = BTreeMap::new();
    for event in events {
        match event {
            Event::Start(start) => reply.start = start,
            Event::Open { choice, block, kind } => choices.entry(choice).or_default().open(block, kind),
            Event::Delta { choice, block, piece } => choices.entry(choice).or_default().delta(block, piece),
            Event::Close { .. } | Event::Ping | Event::Opaque(_) => {}
            Event::Logprobs { choice, raw } => choices.entry(choice).or_default().logprobs.push(raw),
            Event::Usage(usage) => reply.usage = Some(usage),
            Event::Finish { choice, reason, native, stop_sequence } => {
                let c = choices.entry(choice).or_default();
                c.finish = Some(reason);
                c.native = native.or(c.native.take());
                c.stop_sequence = stop_sequence.or(c.stop_sequence.take());
            }
            Event::Fault(fault) => reply.fault = Some(fault),
        }
    }
    reply.choices = choices.into_iter().map(|(index, f)| f.finish(index)).collect();
    reply
}

#[derive(Default)]
struct Folding {
    blocks: Vec<(u32, Block)>,
    finish: Option<Finish>,
    native: Option<String>,
    stop_sequence: Option<String>,
    logprobs: Vec<Raw>,
}

impl Folding {
    fn open(&mut self, number: u32, kind: Kind) {
        let block = match kind {
            Kind::Text => Block::text(""),
            Kind::Refusal => Block::Refusal(String::new()),
            Kind::Thinking { kind, format, id } => {
                Block::Thinking(Thinking { kind, format, id, ..Thinking::default() })
            }
            Kind::ToolCall { id, name, extra } => Block::ToolCall(ToolCall { id, name, extra, ..ToolCall::default() }),
            Kind::Media { kind } => Block::Media(Media {
                kind,
                source: Source::Text(String::new()),
                name: None,
                detail: None,
                cache: None,
                extra: None,
            }),
            Kind::Opaque { dialect, raw } => Block::Opaque { dialect, raw },
        };
        self.blocks.push((number, block));
    }

    fn delta(&mut self, number: u32, piece: Piece) {
        let Some((_, block)) = self.blocks.iter_mut().rev().find(|(n, _)| *n == number) else { return };
        match (block, piece) {
            (Block::Text(t), Piece::Text(s)) => t.text.push_str(&s),
            (Block::Text(t), Piece::Annotation(raw)) => t.annotations.push(raw),
            (Block::Text(t), Piece::Signature(s)) => t.signature.get_or_insert_default().push_str(&s),
            (Block::Refusal(t), Piece::Text(s)) => t.push_str(&s),
            (Block::Thinking(t), Piece::Text(s)) => t.text.push_str(&s),
            (Block::Thinking(t), Piece::Signature(s)) => t.signature.get_or_insert_default().push_str(&s),
            (Block::Thinking(t), Piece::Data(s)) => t.data.get_or_insert_default().push_str(&s),
            (Block::ToolCall(c), Piece::Arguments(s)) => c.arguments.push_str(&s),
            (Block::ToolCall(c), Piece::Signature(s)) => c.signature.get_or_insert_default().push_str(&s),
            (slot @ Block::Media(_), Piece::Media(m)) => *slot = Block::Media(m),
            _ => {}
        }
    }

    fn finish(self, index: u32) -> Choice {
        let mut blocks: Vec<Block> = self.blocks.into_iter().map(|(_, b)| b).collect();
        for block in &mut blocks {
            if let Block::ToolCall(call) = block
                && call.arguments.is_empty()
            {
                call.arguments.push_str("{}");
            }
        }
        Choice {
            index,
            blocks,
            finish: self.finish,
            native: self.native,
            stop_sequence: self.stop_sequence,
            logprobs: merge_logprobs(self.logprobs),
        }
    }
}

/// Concatenate the `content` and `refusal` arrays of successive `logprobs` objects.
fn merge_logprobs(mut raws: Vec<Raw>) -> Option<Raw> {
    if raws.len() < 2 {
        return raws.pop();
    }
    let mut merged = serde_json::Map::new();
    for raw in raws {
        let serde_json::Value::Object(map) = raw.value() else { continue };
        for (key, value) in map {
            match (merged.get_mut(&key), value) {
                (Some(serde_json::Value::Array(have)), serde_json::Value::Array(more)) => have.extend(more),
                (Some(slot), value) if slot.is_null() => *slot = value,
                (Some(_), _) => {}
                (None, value) => {
                    merged.insert(key, value);
                }
            }
        }
    }
    Raw::of(&merged)
}

/// Tell a whole reply as the events that would have produced it. `fold(unfold(r)) == r`.
pub fn unfold(reply: &Reply, out: &mut Vec<Event>) {
    out.push(Event::Start(reply.start.clone()));
    for choice in &reply.choices {
        let index = choice.index;
        for (number, block) in choice.blocks.iter().enumerate() {
            unfold_block(index, number as u32, block, out);
        }
        if let Some(raw) = &choice.logprobs {
            out.push(Event::Logprobs { choice: index, raw: raw.clone() });
        }
        if let Some(reason) = choice.finish {
            out.push(Event::Finish {
                choice: index,
                reason,
                native: choice.native.clone(),
                stop_sequence: choice.stop_sequence.clone(),
            });
        }
    }
    if let Some(usage) = &reply.usage {
        out.push(Event::Usage(usage.clone()));
    }
    if let Some(fault) = &reply.fault {
        out.push(Event::Fault(fault.clone()));
    }
}

fn unfold_block(choice: u32, block: u32, from: &Block, out: &mut Vec<Event>) {
    let (kind, pieces) = match from {
        Block::Text(t) => {
            let mut pieces = vec![Piece::Text(t.text.clone())];
            pieces.extend(t.annotations.iter().cloned().map(Piece::Annotation));
            pieces.extend(t.signature.clone().map(Piece::Signature));
            (Kind::Text, pieces)
        }
        Block::Refusal(t) => (Kind::Refusal, vec![Piece::Text(t.clone())]),
        Block::Thinking(t) => {
            let kind = Kind::Thinking { kind: t.kind, format: t.format.clone(), id: t.id.clone() };
            let mut pieces = Vec::new();
            if !(t.text.is_empty() && t.kind == ThinkingKind::Encrypted) {
                pieces.push(Piece::Text(t.text.clone()));
            }
            pieces.extend(t.data.clone().map(Piece::Data));
            pieces.extend(t.signature.clone().map(Piece::Signature));
            (kind, pieces)
        }
        Block::ToolCall(c) => {
            let kind = Kind::ToolCall { id: c.id.clone(), name: c.name.clone(), extra: c.extra.clone() };
            let mut pieces = vec![Piece::Arguments(c.arguments.clone())];
            pieces.extend(c.signature.clone().map(Piece::Signature));
            (kind, pieces)
        }
        Block::Media(m) => (Kind::Media { kind: m.kind }, vec![Piece::Media(m.clone())]),
        Block::Opaque { dialect, raw } => (Kind::Opaque { dialect: *dialect, raw: raw.clone() }, vec![]),
        Block::ToolResult(_) => return,
    };
    out.push(Event::Open { choice, block, kind });
    out.extend(pieces.into_iter().map(|piece| Event::Delta { choice, block, piece }));
    out.push(Event::Close { choice, block });
}

impl MediaKind {
    pub const fn name(self) -> &'static str {
        match self {
            MediaKind::Image => "image",
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
            MediaKind::File => "file",
        }
    }
}

impl Text {
    pub fn plain(text: impl Into<String>) -> Text {
        Text { text: text.into(), ..Text::default() }
    }
}
