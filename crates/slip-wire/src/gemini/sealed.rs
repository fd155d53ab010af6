//! Reasoning signed by another family, carried through a Gemini client.
//!
//! A Gemini client keeps `thoughtSignature` and sends it back, and some decode it on the way, so that it must be base64. A
//! signature of another family travels inside, behind the family's name (`<family>:<id>:<signature>`, `<family>!<id>:<blob>`), so
//! that it reaches that family again and never Google. Google's own are binary and do not begin with a family's name.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use slip_ir::request::format;
use slip_ir::{Thinking, ThinkingKind};

const FOREIGN: [&str; 4] = [format::ANTHROPIC, format::OPENAI, format::XAI, format::UNKNOWN];
/// Characters of base64 that hold the longest family's name and the mark behind it: what is looked at before the whole is decoded.
const HEAD: usize = 32;
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
/// Google's Python client writes what it read with this alphabet.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// What a thinking block is sealed with, as a Gemini client should keep it.
pub(super) fn seal(thinking: &Thinking) -> Option<String> {
    let (mark, payload) = match (&thinking.data, &thinking.signature) {
        (Some(data), _) => ('!', data),
        (None, Some(signature)) => (':', signature),
        (None, None) => return None,
    };
    if thinking.format == format::GEMINI {
        return Some(payload.clone());
    }
    let family = FOREIGN.iter().find(|name| **name == thinking.format).unwrap_or(&format::UNKNOWN);
    let id = thinking.id.as_deref().unwrap_or_default();
    Some(STANDARD.encode(format!("{family}{mark}{id}:{payload}")))
}

/// Whose a signature is, when it is not Google's own.
pub(crate) fn family(signature: &str) -> Option<&'static str> {
    let head = signature.get(..HEAD.min(signature.len() / 4 * 4))?;
    let head = decode(head)?;
    FOREIGN
        .into_iter()
        .find(|name| head.strip_prefix(name.as_bytes()).is_some_and(|rest| matches!(rest.first(), Some(b':' | b'!'))))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let url_safe = text.contains(['-', '_']);
    if url_safe { URL_SAFE.decode(text).ok() } else { STANDARD.decode(text).ok() }
}

/// What `signature` on a part saying `text` was before it was sealed; `None` when it is Google's own.
pub(super) fn open(signature: &str, text: &str) -> Option<Thinking> {
    let family = family(signature)?;
    let whole = String::from_utf8(decode(signature)?).ok()?;
    let (mark, rest) = whole.get(family.len()..)?.split_at_checked(1)?;
    let (id, payload) = rest.split_once(':')?;
    let id = (!id.is_empty()).then(|| id.to_owned());
    let thinking = Thinking { format: family.to_owned(), id, ..Thinking::default() };
    Some(match mark {
        "!" => Thinking { kind: ThinkingKind::Encrypted, data: Some(payload.to_owned()), ..thinking },
        _ => Thinking { text: text.to_owned(), signature: Some(payload.to_owned()), ..thinking },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_seal_is_base64_and_comes_back_as_it_went() {
        let text = |format: &str, id: Option<&str>, signature: &str| Thinking {
            format: format.to_owned(),
            id: id.map(str::to_owned),
            signature: Some(signature.to_owned()),
            ..Thinking::default()
        };
        let blob = Thinking {
            kind: ThinkingKind::Encrypted,
            signature: None,
            data: Some("gAA:A!==".to_owned()),
            ..text(format::OPENAI, Some("rs_1"), "")
        };
        for thinking in [text(format::ANTHROPIC, None, "EuYB>>??CkQ=="), text(format::UNKNOWN, Some("a"), ":"), blob] {
            let sealed = seal(&thinking).expect("it has something to seal");
            assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)), "{sealed}");
            let url_safe = sealed.replace('+', "-").replace('/', "_");
            for spelling in [sealed.as_str(), url_safe.as_str(), sealed.trim_end_matches('=')] {
                assert_eq!(open(spelling, "").as_ref(), Some(&thinking), "{spelling}");
            }
        }
        for own in
            ["", "CiQBjz1rX0", "skip_thought_signature_validator", "dW5rbm93bg==", "ü:ü", "anthropic-claude-v1:x"]
        {
            assert_eq!(open(own, "x"), None, "{own}");
        }
    }
}
