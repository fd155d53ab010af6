//! RFC 7636: the app that exchanges a code shows that it is the one that began. It sent a digest of a secret then, and sends the
//! secret now.

use crate::api::fields::bad;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use slip_ir::Fault;
use slip_store::Challenge;
use subtle::ConstantTimeEq;

/// Of a verifier, and of a challenge that is one.
const LENGTH: std::ops::RangeInclusive<usize> = 43..=128;
/// A digest of 256 bits.
const DIGEST: usize = 43;

/// A method by its name.
pub fn method(text: &str) -> Option<String> {
    ["S256", "plain"].into_iter().find(|method| *method == text).map(str::to_owned)
}

/// What an app sends when it begins.
pub fn challenge(text: Option<String>, method: Option<String>) -> Result<Option<Challenge>, Fault> {
    let Some(text) = text else {
        return match method {
            None => Ok(None),
            Some(_) => Err(bad("code_challenge", "`code_challenge` is needed where `code_challenge_method` is said")),
        };
    };
    if method.as_deref() == Some("S256") && (text.len() != DIGEST || URL_SAFE_NO_PAD.decode(&text).is_err()) {
        let says = "`code_challenge` must be the SHA-256 of the verifier in base64url without padding, 43 characters (RFC 7636)";
        return Err(bad("code_challenge", says));
    }
    if !is_verifier(&text) {
        return Err(bad("code_challenge", says_of("code_challenge")));
    }
    Ok(Some(Challenge { text, method }))
}

/// What it sends when it exchanges the code.
pub fn verifier(text: Option<String>) -> Result<Option<String>, Fault> {
    match text {
        Some(text) if !is_verifier(&text) => Err(bad("code_verifier", says_of("code_verifier"))),
        text => Ok(text),
    }
}

fn says_of(name: &str) -> String {
    format!("`{name}` must be 43 to 128 letters, digits and `-._~` (RFC 7636)")
}

fn is_verifier(text: &str) -> bool {
    LENGTH.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// Whether the one who exchanges is the one who began. Where no challenge was sent none may be answered: somebody may have left it
/// out on the way.
pub fn agrees(challenge: Option<&Challenge>, verifier: Option<&str>, said: Option<&str>) -> bool {
    let (challenge, verifier) = match (challenge, verifier) {
        (None, None) => return true,
        (Some(challenge), Some(verifier)) => (challenge, verifier),
        _ => return false,
    };
    let method = match (challenge.method.as_deref(), said) {
        (Some(then), Some(now)) if then != now => return false,
        (then, now) => then.or(now).unwrap_or("plain"),
    };
    let shown = match method {
        "S256" => URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())),
        _ => verifier.to_owned(),
    };
    shown.as_bytes().ct_eq(challenge.text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn who_exchanges_a_code_must_have_begun() {
        let other = &*"x".repeat(43);
        type Row<'a> = (Option<(&'a str, Option<&'a str>)>, Option<&'a str>, Option<&'a str>, bool);
        let rows: &[Row<'_>] = &[
            (Some((CHALLENGE, Some("S256"))), Some(VERIFIER), Some("S256"), true),
            (Some((CHALLENGE, Some("S256"))), Some(VERIFIER), None, true),
            (Some((CHALLENGE, None)), Some(VERIFIER), Some("S256"), true),
            (Some((CHALLENGE, Some("S256"))), Some(VERIFIER), Some("plain"), false),
            (Some((CHALLENGE, Some("S256"))), Some(CHALLENGE), Some("plain"), false),
            (Some((CHALLENGE, Some("S256"))), Some(CHALLENGE), None, false),
            (Some((CHALLENGE, Some("S256"))), Some(other), None, false),
            (Some((CHALLENGE, Some("S256"))), None, None, false),
            (Some((VERIFIER, Some("plain"))), Some(VERIFIER), Some("plain"), true),
            (Some((VERIFIER, Some("plain"))), Some(VERIFIER), Some("S256"), false),
            (Some((VERIFIER, None)), Some(VERIFIER), None, true),
            (None, None, None, true),
            (None, Some(VERIFIER), None, false),
        ];
        for (began, verifier, said, want) in rows {
            let began = began.map(|(text, method)| Challenge { text: text.into(), method: method.map(str::to_owned) });
            assert_eq!(agrees(began.as_ref(), *verifier, *said), *want, "{began:?} {verifier:?} {said:?}");
        }
    }

    #[test]
    fn challenges_and_verifiers_have_their_form() {
        let padded = format!("{CHALLENGE}=");
        let long = "a".repeat(129);
        let rows = [
            (Some(CHALLENGE), Some("S256"), true),
            (Some(CHALLENGE), None, true),
            (Some(&*padded), Some("S256"), false),
            (Some(&CHALLENGE[1..]), Some("S256"), false),
            (Some(&*long), Some("plain"), false),
            (Some("short"), Some("plain"), false),
            (None, Some("S256"), false),
            (None, None, true),
        ];
        for (text, method, good) in rows {
            let read = challenge(text.map(str::to_owned), method.map(str::to_owned));
            assert_eq!(read.is_ok(), good, "{text:?} {method:?}: {read:?}");
        }
        assert!(verifier(Some(VERIFIER.into())).is_ok() && verifier(Some("x y".repeat(20))).is_err());
        assert_eq!((method("S256").as_deref(), method("s256"), method("none")), (Some("S256"), None, None));
    }
}
