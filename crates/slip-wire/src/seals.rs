//! Sealed reasoning that its reader will not have: how such a refusal reads, and a conversation without seals.
//!
//! Providers sign or encrypt a model's reasoning and read it back with the next turn. A seal made with another account, by another
//! model or in an older session is refused, and with it the whole conversation, for good: every later turn carries it again.

use crate::json;
use slip_ir::request::format;
use slip_ir::{Block, Dialect, Fault, FaultKind, Loss, Raw, Request, ThinkingKind};

/// How one maker of seals refuses them.
struct Refusal {
    /// Where it is heard from its maker.
    from: Dialect,
    /// In lower case, without quotes and backticks: each must occur.
    words: &'static [&'static str],
}

const fn refusal(from: Dialect, words: &'static [&'static str]) -> Refusal {
    Refusal { from, words }
}

/// Refusals as they were seen in 2025 and 2026.
const REFUSALS: [Refusal; 13] = [
    refusal(Dialect::Anthropic, &["invalid signature in thinking block"]),
    refusal(Dialect::Anthropic, &["thinking", "blocks in the latest assistant message cannot be modified"]),
    refusal(Dialect::Anthropic, &["invalid data in redacted_thinking block"]),
    refusal(Dialect::Anthropic, &["thinking.signature", "field required"]),
    refusal(Dialect::Gemini, &["thought signature is not valid"]),
    refusal(Dialect::Gemini, &["corrupted thought signature"]),
    refusal(Dialect::Gemini, &["missing a thought_signature"]),
    refusal(Dialect::Responses, &["invalid_encrypted_content"]),
    refusal(Dialect::Responses, &["encrypted content", "could not be verified"]),
    refusal(Dialect::Responses, &["encrypted content", "could not be decrypted"]),
    // Reasoning named by an id only the account that made it knows.
    refusal(Dialect::Responses, &["items are not persisted when store is set to false"]),
    refusal(Dialect::Responses, &["of type reasoning was provided without its required following item"]),
    refusal(Dialect::Responses, &["reasoning", "item with id", "not found"]),
];

/// Who passes other makers' words on: routers that speak OpenAI chat, and clouds that run models of many authors.
fn passes_on(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::OpenAiChat | Dialect::Bedrock)
}

/// Does an upstream of this dialect refuse the seals of the conversation? Then it may take the conversation without them.
pub fn refused(by: Dialect, fault: &Fault) -> bool {
    if !matches!(fault.kind, FaultKind::BadRequest | FaultKind::Unprocessable | FaultKind::NotFound) {
        return false;
    }
    let told = [fault.code.as_deref(), Some(&*fault.says), fault.raw.as_deref()];
    let told: Vec<String> = told.into_iter().flatten().map(plain).collect();
    let says = |words: &[&str]| words.iter().all(|word| told.iter().any(|text| text.contains(word)));
    REFUSALS.iter().any(|row| (row.from == by || passes_on(by)) && says(row.words))
}

/// Lower case, without the marks that some put around names (escaped ones, too), white space as single spaces.
fn plain(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !matches!(c, '`' | '\'' | '"' | '\\')).collect();
    bare.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Take the seals out: what was only sealed goes, what can be read stays as nobody's in particular.
pub fn strip(request: &mut Request) -> Loss {
    for turn in &mut request.turns {
        turn.blocks.retain_mut(|block| match block {
            Block::Thinking(thinking) => {
                let sealed = thinking.kind == ThinkingKind::Encrypted || thinking.text.is_empty();
                thinking.signature = None;
                thinking.data = None;
                thinking.id = None;
                format::UNKNOWN.clone_into(&mut thinking.format);
                !sealed
            }
            Block::Text(text) => {
                text.signature = None;
                true
            }
            Block::ToolCall(call) => {
                call.signature = None;
                true
            }
            Block::Opaque { raw, .. } => {
                if let Some(bare) = without_signature(raw) {
                    *raw = bare;
                }
                true
            }
            _ => true,
        });
    }
    Loss::new("reasoning.signature", "refused by the provider, so that the conversation was sent without its seals")
}

/// A part of Gemini's own kind, without its seal; `None` when it has none.
fn without_signature(raw: &Raw) -> Option<Raw> {
    const NAMES: [&str; 2] = ["thoughtSignature", "thought_signature"];
    let text = raw.as_str().as_bytes();
    if !NAMES.iter().any(|name| json::field(text, name).is_some()) {
        return None;
    }
    let mut value = raw.value();
    let members = value.as_object_mut()?;
    NAMES.iter().for_each(|name| drop(members.remove(*name)));
    Raw::of(&value)
}

/// Our own surfaces show the signature of a call as sealed reasoning that names the call; here it finds its way back.
pub(crate) fn reunite(blocks: &mut Vec<Block>) {
    let mut orphans = Vec::new();
    blocks.retain_mut(|block| match block {
        Block::Thinking(t) if t.kind == ThinkingKind::Encrypted && t.format == format::GEMINI && t.id.is_some() => {
            orphans.push(std::mem::take(t));
            false
        }
        _ => true,
    });
    for orphan in orphans {
        let call = blocks.iter_mut().find_map(|block| match block {
            Block::ToolCall(call) if Some(&call.id) == orphan.id.as_ref() && call.signature.is_none() => Some(call),
            _ => None,
        });
        match call {
            Some(call) => call.signature = orphan.data,
            None => blocks.insert(0, Block::Thinking(orphan)),
        }
    }
}

/// No format's name is longer than this; the bound keeps a long seal from being searched for one.
pub(crate) const LONGEST_FORMAT: usize = 48;

/// Whether this is how formats of sealed reasoning are named: a family in small letters, and a version.
pub(crate) fn is_format(name: &str) -> bool {
    name == format::UNKNOWN
        || name.rsplit_once("-v").is_some_and(|(family, version)| {
            !family.is_empty()
                && family.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !version.is_empty()
                && version.bytes().all(|b| b.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Quirks, wire};
    use slip_ir::{Role, Text, Thinking, ToolCall, Turn};

    #[test]
    fn a_refusal_of_seals_is_recognised_and_no_other() {
        use Dialect::{Anthropic, Gemini, OpenAiChat};
        let google =
            |text: &str| serde_json::json!({"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}});
        let anthropic = |text: &str| serde_json::json!({"type": "error", "error": {"type": "invalid_request_error", "message": text}});
        let openai = |text: &str, code: &str| serde_json::json!({"error": {"message": text, "type": "invalid_request_error", "code": code}});
        let modified = "messages.3.content.8: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These blocks must remain as they were in the original response.";
        let missing = "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly.";
        let inside = anthropic("messages.1.content.0: Invalid `signature` in `thinking`       block").to_string();
        let rows = [
            (Anthropic, 400, anthropic("messages.1.content.0: Invalid `signature` in `thinking` block"), true),
            (Anthropic, 400, anthropic(modified), true),
            (Anthropic, 400, anthropic("messages.1.content.0: Invalid `data` in `redacted_thinking` block"), true),
            (Anthropic, 400, anthropic("messages.1.content.0.thinking.signature: Field required"), true),
            (Anthropic, 400, google(&inside), true),
            (Anthropic, 400, anthropic("messages: text content blocks must be non-empty"), false),
            (Anthropic, 400, anthropic("`max_tokens` must be greater than `thinking.budget_tokens`"), false),
            (Anthropic, 429, anthropic("Invalid `signature` in `thinking` block"), false),
            (
                Gemini,
                400,
                google("Unable to submit request because Thought signature is not valid.. Learn more: https://x"),
                true,
            ),
            (Gemini, 400, google("Corrupted thought signature."), true),
            (Gemini, 400, google(missing), true),
            (Gemini, 400, google("Request contains an invalid argument."), false),
            (Gemini, 500, google("Corrupted thought signature."), false),
            // A router's words are its providers'.
            (
                OpenAiChat,
                400,
                openai("The encrypted content gAAA...DQ== could not be verified.", "invalid_encrypted_content"),
                true,
            ),
            (OpenAiChat, 400, openai(&inside, "400"), true),
            (
                OpenAiChat,
                400,
                openai("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.", ""),
                true,
            ),
            (
                OpenAiChat,
                400,
                openai("Item 'rs_1' of type 'reasoning' was provided without its required following item.", ""),
                true,
            ),
            (OpenAiChat, 400, openai("Invalid value: 'signature'", "invalid_value"), false),
        ];
        for (dialect, status, body, want) in rows {
            let fault = wire(dialect).decode_error(status, &http::HeaderMap::new(), body.to_string().as_bytes());
            assert_eq!(refused(dialect, &fault), want, "{dialect} {status} {body}: {fault:?}");
        }
    }

    #[test]
    fn what_is_left_has_no_seal_in_any_dialect() {
        let seal = || Some("SEAL".to_owned());
        let thinking = |kind, text: &str, format: &str| {
            Block::Thinking(Thinking {
                kind,
                text: text.to_owned(),
                signature: seal(),
                data: (kind == ThinkingKind::Encrypted).then(|| "SEAL".to_owned()),
                format: format.to_owned(),
                id: seal(),
            })
        };
        let blocks = vec![
            thinking(ThinkingKind::Text, "hm", format::ANTHROPIC),
            thinking(ThinkingKind::Encrypted, "", format::OPENAI),
            thinking(ThinkingKind::Text, "", format::GEMINI),
            Block::Opaque {
                dialect: Dialect::Gemini,
                raw: Raw::parse(r#"{"thoughtSignature":"SEAL","executableCode":{}}"#).expect("JSON"),
            },
            Block::Text(Text { text: "so".to_owned(), signature: seal(), ..Text::default() }),
            Block::ToolCall(ToolCall {
                id: "call_1".to_owned(),
                name: "f".to_owned(),
                arguments: "{}".to_owned(),
                signature: seal(),
                ..ToolCall::default()
            }),
        ];
        let turns = vec![Turn::new(Role::User, vec![Block::text("hi")]), Turn::new(Role::Assistant, blocks)];
        let mut request = Request { model: "m".to_owned(), turns, ..Request::default() };
        assert_eq!(strip(&mut request).what, "reasoning.signature");
        assert_eq!(request.turns.last().map(|turn| turn.blocks.len()), Some(4));
        for dialect in Dialect::ALL {
            let (body, _) = wire(dialect).encode_request(&request, Quirks::of(dialect));
            let text = String::from_utf8(body).expect("JSON is UTF-8");
            assert!(!text.contains("SEAL"), "{dialect}: {text}");
        }
    }
}
