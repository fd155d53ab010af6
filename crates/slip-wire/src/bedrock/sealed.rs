//! Sealed reasoning as Converse carries it: `redactedContent` is a blob, so that Anthropic's own text, itself base64, is coded once
//! more. The vocabulary keeps whichever form arrived, byte for byte; each encoder writes the one its API reads.

use crate::anthropic::seal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use slip_ir::request::format;
use slip_ir::{Thinking, ThinkingKind};
use std::borrow::Cow;

/// The text inside a blob, where there is one: Anthropic's base64, or a seal of ours. What Anthropic's own text codes is binary (it
/// begins with the byte 0x12), so that a text which was coded once is not taken for one that was coded twice.
fn inside(data: &str) -> Option<String> {
    let text = STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok())?;
    let coded = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_');
    let plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    let foreign = || text.bytes().all(plain) && !seal::is_ours(seal::unseal(&text).format);
    (!text.is_empty() && (text.bytes().all(coded) || foreign())).then_some(text)
}

/// What stands in `redactedContent`.
pub fn to_blob<'a>(data: &'a str, name: &str, id: Option<&str>) -> Cow<'a, str> {
    if !seal::is_ours(name) {
        return Cow::Owned(STANDARD.encode(seal::seal(name, id, data)));
    }
    if inside(data).is_some() { Cow::Borrowed(data) } else { Cow::Owned(STANDARD.encode(data)) }
}

/// What a blob seals, and who sealed it.
pub fn from_blob(blob: &str) -> Thinking {
    let text = inside(blob).unwrap_or_default();
    let unsealed = seal::unseal(&text);
    let ours = seal::is_ours(unsealed.format);
    Thinking {
        kind: ThinkingKind::Encrypted,
        data: Some(if ours { blob.to_owned() } else { unsealed.payload.to_owned() }),
        format: if ours { format::ANTHROPIC.to_owned() } else { unsealed.format.to_owned() },
        id: unsealed.id.map(str::to_owned),
        ..Thinking::default()
    }
}

/// Sealed data as Anthropic's own API reads it, whichever of its two homes it came from.
pub fn for_anthropic(data: &str) -> Cow<'_, str> {
    inside(data).map_or(Cow::Borrowed(data), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_reads_the_same_in_both_of_its_homes() {
        // Binary, as Anthropic's are.
        let direct = STANDARD.encode([0x12, 0xd9, 0x04, 0x0a, 0x48, 0x08, 0x07]);
        let blob = STANDARD.encode(&direct);
        assert_eq!(to_blob(&direct, format::ANTHROPIC, None), blob);
        assert_eq!(to_blob(&blob, format::ANTHROPIC, None), blob);
        assert_eq!((for_anthropic(&blob), for_anthropic(&direct)), (direct.as_str().into(), direct.as_str().into()));
        let read = from_blob(&blob);
        assert_eq!((read.data.as_deref(), read.format.as_str()), (Some(blob.as_str()), format::ANTHROPIC));
        // Text that a blob would not hold is no blob, though it decodes.
        assert_eq!(STANDARD.decode("aidA").ok().as_deref(), Some(&b"j'@"[..]));
        assert_eq!(for_anthropic("aidA"), "aidA");
    }

    #[test]
    fn a_foreign_seal_comes_back_as_it_went() {
        for (name, id, data) in [(format::GEMINI, Some("call_1"), "CiQB:x"), (format::OPENAI, None, "gAAA")] {
            let read = from_blob(&to_blob(data, name, id));
            assert_eq!((read.data.as_deref(), read.format.as_str(), read.id.as_deref()), (Some(data), name, id));
        }
        assert_eq!(from_blob("not base64!").data.as_deref(), Some("not base64!"));
    }
}
