//! A reply as it happens. Streaming is the base case; a plain reply is a short stream.
//!
//! Grammar, per choice, which every decoder keeps for *any* input bytes:
//! `Start (Open Delta* Close | Logprobs | Opaque | Ping | Usage)* Finish? Usage* `, and at most one `Fault`, which is last.
//! Block numbers are minted by the decoder, unique within a choice, in order of opening. Blocks of different choices (and parallel
//! tool calls of one choice) may be open at once.

use crate::{Fault, Finish, MediaKind, Raw, ThinkingKind, Tier, Usage};

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The upstream accepted and says who it is. At most once, first.
    Start(Start),
    Open {
        choice: u32,
        block: u32,
        kind: Kind,
    },
    Delta {
        choice: u32,
        block: u32,
        piece: Piece,
    },
    Close {
        choice: u32,
        block: u32,
    },
    /// OpenAI's `logprobs` object of one chunk.
    Logprobs {
        choice: u32,
        raw: Raw,
    },
    /// Cumulative: the last one counts, they are never added.
    Usage(Usage),
    Finish {
        choice: u32,
        reason: Finish,
        native: Option<String>,
        stop_sequence: Option<String>,
    },
    /// The upstream failed in the middle.
    Fault(Fault),
    /// Keep-alive.
    Ping,
    /// Valid but unmodelled; carried only where the dialect matches.
    Opaque(Raw),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Start {
    /// The upstream's own id of this reply.
    pub id: Option<String>,
    pub model: Option<String>,
    /// Unix seconds.
    pub created: Option<u64>,
    pub fingerprint: Option<String>,
    pub service_tier: Option<String>,
}

impl Start {
    /// At its end a reply may know better at which tier of service it was served.
    pub fn served(&mut self, tier: Option<Tier>) {
        if let Some(tier) = tier
            && self.service_tier.as_deref().and_then(Tier::parse).is_none()
        {
            self.service_tier = Some(tier.name().to_owned());
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Text,
    Refusal,
    Thinking {
        kind: ThinkingKind,
        format: String,
        id: Option<String>,
    },
    ToolCall {
        id: String,
        name: String,
        extra: Option<Raw>,
    },
    /// Media produced by the model arrives whole in one [`Piece::Media`].
    Media {
        kind: MediaKind,
    },
    /// An opaque block of the upstream's dialect arrives whole.
    Opaque {
        dialect: crate::Dialect,
        raw: Raw,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Text of a text, refusal or thinking block.
    Text(String),
    /// A fragment of a tool call's JSON arguments.
    Arguments(String),
    /// A signature for the open block.
    Signature(String),
    /// The sealed blob of an encrypted thinking block.
    Data(String),
    /// Media, whole.
    Media(crate::Media),
    /// A citation, as OpenRouter's annotation object where it can be told as such.
    Annotation(Raw),
}
