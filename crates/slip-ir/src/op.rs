//! What is asked of a model: a reply in a conversation, or one of the smaller services.

use std::fmt;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    #[default]
    Chat,
    /// Texts (or pictures) into vectors.
    Embeddings,
    /// Documents in the order of how well they answer a query.
    Rerank,
    /// Whether a text is harmful.
    Moderation,
    /// A picture from a description, or from another picture.
    Image,
    /// Text into sound.
    Speech,
    /// Sound into text.
    Transcription,
    /// Sound into English text.
    Translation,
    /// How many tokens a conversation would take.
    CountTokens,
}

impl Op {
    pub const ALL: [Op; 9] = [
        Op::Chat,
        Op::Embeddings,
        Op::Rerank,
        Op::Moderation,
        Op::Image,
        Op::Speech,
        Op::Transcription,
        Op::Translation,
        Op::CountTokens,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Op::Chat => "chat",
            Op::Embeddings => "embeddings",
            Op::Rerank => "rerank",
            Op::Moderation => "moderation",
            Op::Image => "image",
            Op::Speech => "speech",
            Op::Transcription => "transcription",
            Op::Translation => "translation",
            Op::CountTokens => "count_tokens",
        }
    }

    /// The catalogue's word among a model's outputs (OpenRouter's `output_modalities`) that says it can do this; `None` where any
    /// chat model can.
    pub const fn output(self) -> Option<&'static str> {
        match self {
            Op::Chat | Op::CountTokens => None,
            Op::Embeddings => Some("embeddings"),
            Op::Rerank => Some("rerank"),
            Op::Moderation => Some("moderation"),
            Op::Image => Some("image"),
            Op::Speech => Some("speech"),
            Op::Transcription | Op::Translation => Some("transcription"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ops(u16);

impl Ops {
    pub const CHAT: Ops = Ops(1);

    pub fn of(ops: impl IntoIterator<Item = Op>) -> Ops {
        Ops(ops.into_iter().fold(0, |set, op| set | 1 << op as u16))
    }

    pub const fn contains(self, op: Op) -> bool {
        self.0 & (1 << op as u16) != 0
    }

    pub const fn with(self, op: Op) -> Ops {
        Ops(self.0 | 1 << op as u16)
    }
}
