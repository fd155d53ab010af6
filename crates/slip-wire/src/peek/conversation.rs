//! Which conversation a request belongs to, as a number: the same for requests that begin alike, because their beginning is what a
//! provider's prompt cache holds. Not for telling people apart, and not secret.

use super::Peek;
use crate::json::{self, Str};

/// Of each part of a beginning, no more bytes than this are looked at (and its length).
const LOOKED_AT: usize = 4096;
/// Where the standing instructions are, by dialect.
const INSTRUCTIONS: [&str; 4] = ["system", "instructions", "systemInstruction", "system_instruction"];
/// Where the turns are.
const TURNS: [&str; 4] = ["messages", "contents", "input", "prompt"];
/// Turns that stand before what the user says first.
const BEFORE: [&str; 3] = ["system", "developer", "tool"];

/// A number for some bytes, well mixed; eight at a time, with a fold of a wide product.
fn mix(seed: u64, bytes: &[u8]) -> u64 {
    const MULTIPLE: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
    let fold = |n: u64| {
        let wide = u128::from(n).wrapping_mul(MULTIPLE);
        (wide >> 64) as u64 ^ wide as u64
    };
    let mut state = fold(seed ^ bytes.len() as u64 ^ 0xA076_1D64_78BD_642F);
    for piece in bytes.chunks(8) {
        let word = piece.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        state = fold(state ^ word);
    }
    state
}

impl Peek {
    /// By `session_id`, else `prompt_cache_key`, else the instructions and the turns up to the first that is not an instruction.
    /// `None` when it has none of these.
    pub fn conversation(&self, body: &[u8]) -> Option<u64> {
        if let Some(session) = &self.session_id {
            return Some(mix(1, session.as_bytes()));
        }
        let value = |name: &str| body.get(self.member(name)?.value.clone());
        if let Some(key) = value("prompt_cache_key").filter(|v| v.len() > 2 && v.starts_with(b"\"")) {
            return Some(mix(2, key));
        }
        let head = |bytes: &[u8], seed| mix(seed ^ bytes.len() as u64, bytes.get(..LOOKED_AT).unwrap_or(bytes));
        let mut state = INSTRUCTIONS.iter().find_map(|name| value(name)).map(|said| head(said, 3));
        let turns = TURNS.iter().find_map(|name| value(name))?;
        if !turns.starts_with(b"[") {
            return Some(head(turns, state.unwrap_or(4)));
        }
        for turn in json::items(turns) {
            state = Some(head(turn, state.unwrap_or(5)));
            let role = json::field(turn, "role").and_then(Str::of);
            if !role.is_some_and(|role| BEFORE.iter().any(|before| role.is(before))) {
                break;
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::Dialect;

    fn of(body: &str) -> Option<u64> {
        Peek::openai_chat(body.as_bytes()).unwrap().conversation(body.as_bytes())
    }

    #[test]
    fn later_turns_belong_to_the_conversation_they_continue() {
        let first = of(r#"{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hello"}]}"#);
        let second =
            of(r#"{"model":"x","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hello"},
                {"role":"assistant","content":"hi"},{"role":"user","content":"and now?"}]}"#);
        assert!(first.is_some() && first == second);
        for other in [
            r#"{"messages":[{"role":"system","content":"be long"},{"role":"user","content":"hello"}]}"#,
            r#"{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hallo"}]}"#,
            r#"{"messages":[{"role":"user","content":"hello"}]}"#,
        ] {
            assert_ne!(of(other), first, "{other}");
        }
    }

    #[test]
    fn a_session_or_a_cache_key_says_it_outright() {
        let body = |extra: &str, says: &str| {
            of(&format!(r#"{{"messages":[{{"role":"user","content":"{says}"}}]{extra}}}"#)).unwrap()
        };
        assert_eq!(body(r#","session_id":"s1""#, "a"), body(r#","session_id":"s1""#, "b"));
        assert_ne!(body(r#","session_id":"s1""#, "a"), body(r#","session_id":"s2""#, "a"));
        assert_eq!(body(r#","prompt_cache_key":"k""#, "a"), body(r#","prompt_cache_key":"k""#, "b"));
        assert_ne!(body(r#","prompt_cache_key":"k""#, "a"), body("", "a"));
    }

    #[test]
    fn other_dialects_have_their_beginnings_too() {
        let anthropic = |system: &str| {
            let body = format!(
                r#"{{"model":"m","max_tokens":1,"system":"{system}","messages":[{{"role":"user","content":"hi"}}]}}"#
            );
            Peek::anthropic(body.as_bytes()).unwrap().conversation(body.as_bytes())
        };
        assert!(anthropic("a").is_some() && anthropic("a") != anthropic("b") && anthropic("a") == anthropic("a"));
        let body = br#"{"model":"m","input":"hello"}"#;
        let (peek, _) = Peek::of(Dialect::Responses, body, None).unwrap();
        assert!(peek.conversation(body).is_some());
    }
}
