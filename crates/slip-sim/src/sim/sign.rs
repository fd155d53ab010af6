//! Signatures on reasoning: issued with a reply, and refused on the way back when they, or what they sign, were touched.
//!
//! No secret is kept from anybody and nothing is remembered: a signature proves itself.

use super::ask::{fnv, mix};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const HOUSE: u64 = 0x51a7_0f5e_a1ed_0b0c;

/// 24 bytes: an id, and two checks over the id and the content.
pub(crate) fn sign(id: u64, content: &str) -> String {
    let mut bytes = Vec::with_capacity(24);
    bytes.extend_from_slice(&id.to_le_bytes());
    bytes.extend_from_slice(&check(id, content, 1).to_le_bytes());
    bytes.extend_from_slice(&check(id, content, 2).to_le_bytes());
    STANDARD.encode(bytes)
}

pub(crate) fn verify(signature: &str, content: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(signature) else { return false };
    let Some(id) = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b)) else { return false };
    sign(id, content) == signature
}

/// As [`verify`], for a member that is bytes to its API: either base64 alphabet will do, with padding or without. (Google's own
/// client sends back in one what came in the other.)
pub(crate) fn verify_bytes(signature: &str, content: &str) -> bool {
    let standard: String = signature.chars().map(standard_letter).filter(|c| *c != '=').collect();
    let padding = "=".repeat((4 - standard.len() % 4) % 4);
    verify(&(standard + &padding), content)
}

/// The letter of the standard alphabet for one of the URL-safe one.
pub(crate) fn standard_letter(letter: char) -> char {
    match letter {
        '-' => '+',
        '_' => '/',
        other => other,
    }
}

fn check(id: u64, content: &str, salt: u64) -> u64 {
    fnv(mix(HOUSE ^ salt, id), content.as_bytes())
}

/// A sealed blob: text nobody may read, which must come back as it is.
pub(crate) fn seal(id: u64) -> String {
    sign(id, "sealed")
}

pub(crate) fn is_sealed(blob: &str) -> bool {
    verify(blob, "sealed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_own_content_only() {
        let signature = sign(7, "Let me think");
        assert!(verify(&signature, "Let me think"));
        assert!(!verify(&signature, "Let me think "));
        assert!(!verify(&signature[1..], "Let me think"));
        assert!(!verify("", "Let me think"));
        let odd = (0..).map(|id| sign(id, "x")).find(|s| s.contains('/') && s.contains('+')).unwrap();
        let safe = odd.replace('+', "-").replace('/', "_");
        assert!(verify_bytes(&safe, "x") && verify_bytes(&odd, "x") && verify_bytes(safe.trim_end_matches('='), "x"));
        assert!(!verify(&safe, "x") && !verify_bytes(&safe, "y"));
        assert!(!verify("AAAA", "Let me think"));
        assert!(is_sealed(&seal(9)) && !is_sealed(&signature));
    }
}
