//! What of a reply the caller's dialect has no place for: seals are taken off parts that stay behind, and the rest is told as lost.

use crate::json;
use slip_ir::request::format;
use slip_ir::{BlockKind, Dialect, Event, Loss, MediaKind, Piece, Raw, ThinkingKind};

/// Enough to say what was lost; a reply of a thousand server tool results must not grow a list nobody reads.
const MOST_LOSSES: usize = 64;

pub(super) struct Ferry {
    caller: Dialect,
    losses: Vec<Loss>,
}

impl Ferry {
    pub fn new(caller: Dialect) -> Ferry {
        Ferry { caller, losses: Vec::new() }
    }

    pub fn losses(self) -> Vec<Loss> {
        self.losses
    }

    /// Pass one event on, as one or as several.
    pub fn event(&mut self, event: Event, mut pass: impl FnMut(Event)) {
        if let Event::Open { choice, block, kind: BlockKind::Opaque { dialect, raw } } = &event
            && *dialect != self.caller
        {
            self.lose(format!("content.{}", named(raw)), format!("only {dialect} knows it"));
            // The signature is for the provider to read back, even where the part itself cannot be shown.
            if let Some(signature) = json::field(raw.as_str().as_bytes(), "thoughtSignature").and_then(json::string) {
                let (choice, block) = (*choice, *block);
                let kind =
                    BlockKind::Thinking { kind: ThinkingKind::Encrypted, format: format::GEMINI.to_owned(), id: None };
                pass(Event::Open { choice, block, kind });
                return pass(Event::Delta { choice, block, piece: Piece::Data(signature.into_owned()) });
            }
        }
        self.note(&event);
        pass(event);
    }

    fn note(&mut self, event: &Event) {
        let to = self.caller;
        // Dialects whose reply is one message, and others that can show several.
        let message = !matches!(to, Dialect::OpenAiChat | Dialect::Completions | Dialect::Gemini);
        match event {
            Event::Open { choice: 1.., .. } if message => self.lose("choices", "a message has one choice"),
            Event::Logprobs { .. }
                if message && !matches!(to, Dialect::Responses | Dialect::Ollama | Dialect::OllamaGenerate) =>
            {
                self.lose("logprobs", format!("has no place in {to}"))
            }
            Event::Delta { piece: Piece::Media(media), .. } => {
                let shown = match to {
                    Dialect::OpenAiChat => matches!(media.kind, MediaKind::Image | MediaKind::Audio),
                    Dialect::Gemini => true,
                    Dialect::Responses | Dialect::Bedrock => media.kind == MediaKind::Image,
                    Dialect::Anthropic
                    | Dialect::Completions
                    | Dialect::Ollama
                    | Dialect::OllamaGenerate
                    | Dialect::Cohere => false,
                };
                if !shown {
                    self.lose(format!("content.{}", media.kind.name()), format!("has no place in {to}"));
                }
            }
            Event::Delta { piece: Piece::Signature(_) | Piece::Data(_), .. }
                if matches!(to, Dialect::Completions | Dialect::Ollama | Dialect::OllamaGenerate | Dialect::Cohere) =>
            {
                self.lose("reasoning_details.signature", format!("has no place in {to}"));
            }
            Event::Delta { piece: Piece::Annotation(raw), .. } => {
                let kind = json::field(raw.as_str().as_bytes(), "type").and_then(json::string).unwrap_or_default();
                let told = match to {
                    Dialect::OpenAiChat => matches!(&*kind, "url_citation" | "file"),
                    Dialect::Anthropic => kind == "url_citation" || kind.ends_with("_location"),
                    Dialect::Gemini => kind == "url_citation",
                    Dialect::Responses => kind == "url_citation",
                    Dialect::Cohere | Dialect::Bedrock => kind == "url_citation",
                    Dialect::Completions | Dialect::Ollama | Dialect::OllamaGenerate => false,
                };
                if !told {
                    self.lose(format!("annotations.{}", short(&kind)), format!("has no place in {to}"));
                }
            }
            Event::Open { kind: BlockKind::ToolCall { .. }, .. }
                if matches!(to, Dialect::Completions | Dialect::OllamaGenerate) =>
            {
                self.lose("tool_calls", format!("has no place in {to}"));
            }
            Event::Open { kind: BlockKind::ToolCall { extra: Some(extra), .. }, .. }
                if !message && json::field(extra.as_str().as_bytes(), "caller").is_some() =>
            {
                self.lose("tool_calls.caller", format!("has no place in {to}"));
            }
            Event::Usage(usage) if to == Dialect::Gemini && usage.cache_write + usage.cache_write_1h > 0 => {
                self.lose("usage.cache_write_tokens", format!("has no place in {to}"));
            }
            Event::Finish { stop_sequence: Some(_), .. } if !message => {
                self.lose("stop_sequence", format!("has no place in {to}"));
            }
            Event::Opaque(_) => self.lose("event", "of the provider's own kind"),
            _ => {}
        }
    }

    fn lose(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let loss = Loss::new(what.into(), why.into());
        if self.losses.len() < MOST_LOSSES && !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }
}

/// What kind of part it is: its `type`, or the member that Gemini tells kinds by.
fn named(raw: &Raw) -> String {
    let text = raw.as_str().as_bytes();
    let kind = json::field(text, "type").and_then(json::string).map(|kind| kind.into_owned());
    let member = || {
        let keys = json::fields(text).map(|(key, _)| key.text().into_owned());
        keys.into_iter().find(|key| !matches!(key.as_str(), "thought" | "thoughtSignature"))
    };
    short(&kind.or_else(member).unwrap_or_else(|| "part".to_owned()))
}

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ferried(caller: Dialect, event: Event) -> (Vec<Event>, Vec<String>) {
        let mut ferry = Ferry::new(caller);
        let mut passed = Vec::new();
        ferry.event(event, |event| passed.push(event));
        (passed, ferry.losses().iter().map(|loss| loss.what.to_string()).collect())
    }

    #[test]
    fn what_has_no_place_is_told_and_what_has_one_is_not() {
        use Dialect::{Anthropic, Gemini, OpenAiChat};
        let opaque = |dialect, text: &str| Event::Open {
            choice: 0,
            block: 0,
            kind: BlockKind::Opaque { dialect, raw: Raw::parse(text).expect("a row is JSON") },
        };
        let annotation = |text: &str| Event::Delta {
            choice: 0,
            block: 0,
            piece: Piece::Annotation(Raw::parse(text).expect("a row is JSON")),
        };
        let rows: Vec<(Dialect, Event, usize, &[&str])> = vec![
            (OpenAiChat, opaque(Anthropic, r#"{"type":"server_tool_use"}"#), 1, &["content.server_tool_use"]),
            (Anthropic, opaque(Anthropic, r#"{"type":"server_tool_use"}"#), 1, &[]),
            (OpenAiChat, opaque(Gemini, r#"{"thoughtSignature":"CiQ=","toolCall":{}}"#), 2, &["content.toolCall"]),
            (OpenAiChat, opaque(Gemini, r#"{"executableCode":{}}"#), 1, &["content.executableCode"]),
            (Gemini, annotation(r#"{"type":"file","file":{}}"#), 1, &["annotations.file"]),
            (OpenAiChat, annotation(r#"{"type":"file","file":{}}"#), 1, &[]),
            (Anthropic, annotation(r#"{"type":"url_citation"}"#), 1, &[]),
        ];
        for (caller, event, events, losses) in rows {
            let shown = format!("{event:?} for {caller}");
            let (passed, lost) = ferried(caller, event);
            assert_eq!((passed.len(), lost), (events, losses.iter().map(|l| (*l).to_owned()).collect()), "{shown}");
        }
    }
}
