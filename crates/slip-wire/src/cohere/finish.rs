//! Why Cohere stopped: its words and ours.

use slip_ir::Finish;

pub(super) fn meaning(word: &str, called: bool) -> Finish {
    match word {
        "MAX_TOKENS" | "ERROR_LIMIT" => Finish::Length,
        "TOOL_CALL" => Finish::ToolCalls,
        "ERROR_TOXIC" => Finish::ContentFilter,
        "ERROR" | "TIMEOUT" => Finish::Error,
        _ if called => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// The word to tell a Cohere client: its enumeration has none for filtered content but the one for errors.
pub(super) fn spell(finish: Finish, native: Option<&str>, stop_sequence: bool) -> &'static str {
    match finish {
        Finish::Stop if stop_sequence || native == Some("STOP_SEQUENCE") => "STOP_SEQUENCE",
        Finish::Stop => "COMPLETE",
        Finish::Length => "MAX_TOKENS",
        Finish::ToolCalls => "TOOL_CALL",
        Finish::ContentFilter | Finish::Error => "ERROR",
    }
}
