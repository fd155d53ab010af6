//! The little that must be known of a request before it is understood.

use slip_ir::{Raw, Want};
use std::ops::Range;

/// What the journey reads of a request without decoding it. `members` are the top-level members in order; their spans point into
/// the body.
#[derive(Clone, Debug, Default)]
pub struct Peek {
    pub members: Vec<Member>,
    pub model: Option<String>,
    /// OpenRouter's fallback list.
    pub models: Vec<String>,
    pub stream: bool,
    /// OpenRouter's `provider` object, as it stands.
    pub provider: Option<Raw>,
    pub route: Option<String>,
    pub user: Option<String>,
    pub session_id: Option<String>,
    /// `reasoning.exclude` or `include_reasoning: false`.
    pub hide_reasoning: bool,
    /// The body can cross to an upstream of the same dialect by splicing top-level members only. False when a message carries
    /// something only this house understands (`reasoning_details`, `cache_control`, …): then it goes through the IR.
    pub spliceable: bool,
    pub want: Want,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key, unescaped.
    pub key: String,
    /// From the key's opening quote to the end of the value.
    pub whole: Range<usize>,
    pub value: Range<usize>,
}
