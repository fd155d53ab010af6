//! Why Gemini stopped: its words, its numbers, and ours.

use super::tree;
use serde_json::value::RawValue;
use slip_ir::Finish;

/// What a word means before it is known whether the reply holds anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sense {
    Done,
    Cut,
    Filtered,
    /// The model or the service went wrong.
    Odd,
}

/// Names from Google's reference of `FinishReason` (Gemini API and Vertex AI), read 2026-11. The numbers are Vertex AI's, which
/// is where integers have been seen; the two services agree on 0 to 5.
const REASONS: &[(&str, Option<u64>, Sense)] = &[
    ("FINISH_REASON_UNSPECIFIED", Some(0), Sense::Odd),
    ("STOP", Some(1), Sense::Done),
    ("MAX_TOKENS", Some(2), Sense::Cut),
    ("SAFETY", Some(3), Sense::Filtered),
    ("RECITATION", Some(4), Sense::Filtered),
    ("OTHER", Some(5), Sense::Odd),
    ("BLOCKLIST", Some(6), Sense::Filtered),
    ("PROHIBITED_CONTENT", Some(7), Sense::Filtered),
    ("SPII", Some(8), Sense::Filtered),
    ("MALFORMED_FUNCTION_CALL", Some(9), Sense::Odd),
    ("MODEL_ARMOR", Some(10), Sense::Filtered),
    ("IMAGE_SAFETY", Some(11), Sense::Filtered),
    ("IMAGE_PROHIBITED_CONTENT", Some(12), Sense::Filtered),
    ("IMAGE_RECITATION", Some(13), Sense::Filtered),
    ("IMAGE_OTHER", Some(14), Sense::Odd),
    ("UNEXPECTED_TOOL_CALL", Some(15), Sense::Odd),
    ("NO_IMAGE", Some(16), Sense::Odd),
    ("LANGUAGE", None, Sense::Odd),
    ("TOO_MANY_TOOL_CALLS", None, Sense::Odd),
    ("MISSING_THOUGHT_SIGNATURE", None, Sense::Odd),
    ("MALFORMED_RESPONSE", None, Sense::Odd),
];

/// The word of a `finishReason`, given as a name or as a number.
pub(super) fn word(raw: &RawValue) -> Option<String> {
    if let Some(name) = tree::string(raw) {
        return (!name.is_empty()).then_some(name);
    }
    let number = tree::count(raw)?;
    let known = REASONS.iter().find(|(_, n, _)| *n == Some(number)).map(|(name, _, _)| (*name).to_owned());
    Some(known.unwrap_or_else(|| number.to_string()))
}

/// Gemini says `STOP` also when it calls tools. An odd end is an error only when nothing usable came with it.
pub(super) fn meaning(word: &str, called: bool, content: bool) -> Finish {
    let sense = REASONS.iter().find(|(name, _, _)| *name == word).map_or(Sense::Odd, |(_, _, sense)| *sense);
    match sense {
        Sense::Cut => Finish::Length,
        Sense::Filtered => Finish::ContentFilter,
        _ if called => Finish::ToolCalls,
        Sense::Done => Finish::Stop,
        Sense::Odd if content => Finish::Stop,
        Sense::Odd => Finish::Error,
    }
}

/// The word to tell a Gemini client: the upstream's own where it is one of Google's and says the same.
pub(super) fn spell(finish: Finish, native: Option<&str>) -> &'static str {
    let own = REASONS.iter().find(|(name, _, _)| Some(*name) == native);
    match (own, finish) {
        (Some((name, _, Sense::Filtered)), Finish::ContentFilter) => name,
        (Some((name, _, Sense::Odd)), Finish::Stop | Finish::ToolCalls | Finish::Error) => name,
        (_, Finish::Stop | Finish::ToolCalls) => "STOP",
        (_, Finish::Length) => "MAX_TOKENS",
        (_, Finish::ContentFilter) => "SAFETY",
        (_, Finish::Error) => "OTHER",
    }
}
