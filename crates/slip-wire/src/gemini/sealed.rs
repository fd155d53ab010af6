//! Reasoning signed by another family, carried through a Gemini client.
//!
//! A Gemini client keeps `thoughtSignature` as an opaque string and sends it back. A signature of another family travels in that
//! string behind the family's name, so that it reaches that family again and never Google. Google's own are plain base64 and hold
//! neither `:` nor `!`.

use slip_ir::request::format;
use slip_ir::{Thinking, ThinkingKind};

const FOREIGN: [&str; 4] = [format::ANTHROPIC, format::OPENAI, format::XAI, format::UNKNOWN];

fn family(format: &str) -> &str {
    if format.is_empty() { format::UNKNOWN } else { format }
}

/// A signature as a Gemini client should keep it.
pub(super) fn seal(format: &str, signature: &str) -> String {
    if format == format::GEMINI { signature.to_owned() } else { format!("{}:{signature}", family(format)) }
}

/// A sealed blob as a Gemini client should keep it.
pub(super) fn seal_data(format: &str, data: &str) -> String {
    if format == format::GEMINI { data.to_owned() } else { format!("{}!{data}", family(format)) }
}

/// What `signature` on a part saying `text` was before it was sealed; `None` when it is Google's own.
pub(super) fn open(signature: &str, text: &str) -> Option<Thinking> {
    FOREIGN.iter().find_map(|name| {
        let rest = signature.strip_prefix(name)?;
        let thinking = Thinking { format: (*name).to_owned(), ..Thinking::default() };
        if let Some(signature) = rest.strip_prefix(':') {
            return Some(Thinking { text: text.to_owned(), signature: Some(signature.to_owned()), ..thinking });
        }
        let data = rest.strip_prefix('!')?;
        Some(Thinking { kind: ThinkingKind::Encrypted, data: Some(data.to_owned()), ..thinking })
    })
}
