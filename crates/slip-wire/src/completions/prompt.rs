//! A conversation as one text, for models that only continue text.

use crate::openai_chat::encode::Losses;
use slip_ir::{Block, Dialect, Request, Role, Source};
use std::fmt::Write as _;

/// What the next speaker of a transcript would begin with: where the model must stop of itself.
pub(crate) const NEXT: &str = "\nUser:";

pub(crate) struct Prompt {
    /// JSON where it is [`Prompt::raw`], text else.
    pub text: String,
    pub raw: bool,
    /// Speakers take turns in it.
    pub transcript: bool,
}

/// A lone user turn is the prompt itself. Anything more becomes a transcript that ends where the assistant is to speak.
pub(crate) fn of(request: &Request, losses: &mut Losses) -> Prompt {
    if let [turn] = request.turns.as_slice()
        && turn.role == Role::User
    {
        if let [Block::Opaque { dialect: Dialect::Completions, raw }] = turn.blocks.as_slice() {
            return Prompt { text: raw.as_str().to_owned(), raw: true, transcript: false };
        }
        return Prompt { text: said(&turn.blocks, "\n", losses), raw: false, transcript: false };
    }
    losses.push("messages", "told as a transcript: this provider only continues text");
    let mut text = String::new();
    let mut open = false;
    for (at, turn) in request.turns.iter().enumerate() {
        let speaker = match turn.role {
            Role::System | Role::Developer => "System",
            Role::User => "User",
            Role::Assistant => "Assistant",
            Role::Tool => "Tool",
        };
        let glue = if turn.role == Role::Assistant { "" } else { "\n" };
        let _ = write!(text, "{speaker}: {}", said(&turn.blocks, glue, losses));
        // A last assistant turn is to be continued.
        open = turn.role == Role::Assistant && at + 1 == request.turns.len();
        if !open {
            text.push_str("\n\n");
        }
    }
    if !open {
        text.push_str("Assistant:");
    }
    Prompt { text, raw: false, transcript: true }
}

fn said(blocks: &[Block], glue: &str, losses: &mut Losses) -> String {
    let mut parts: Vec<String> = Vec::new();
    for block in blocks {
        match block {
            Block::Text(text) => parts.push(text.text.clone()),
            Block::Refusal(words) => parts.push(words.clone()),
            Block::Media(media) => match &media.source {
                Source::Text(text) => parts.push(text.clone()),
                _ => losses.push(format!("messages[].{}", media.kind.name()), "a prompt holds text only"),
            },
            Block::ToolCall(call) => {
                losses.push("messages[].tool_calls", "told in words: a prompt holds text only");
                parts.push(format!("[calls {} with {}]", call.name, call.arguments));
            }
            Block::ToolResult(result) => parts.push(said(&result.content, "\n", losses)),
            Block::Thinking(_) => losses.push("messages[].reasoning", "this dialect takes no earlier reasoning back"),
            Block::Opaque { dialect, .. } => {
                losses.push("messages[].content", format!("a part only {dialect} knows"));
            }
        }
    }
    parts.join(glue)
}
