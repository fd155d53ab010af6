//! What a request needs from an endpoint: numbers and flags, no JSON. Routing sees this and nothing else of the request.

use crate::{MediaKind, Op, Tier};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Want {
    pub op: Op,
    pub stream: bool,
    pub tools: bool,
    /// `response_format` of type `json_object`.
    pub json_object: bool,
    /// `response_format` of type `json_schema`.
    pub json_schema: bool,
    /// Reasoning was asked for.
    pub reasoning: bool,
    /// Input beyond text.
    pub media: MediaSet,
    /// What of it the house can put into text: not taking it is no reason to refuse.
    pub readable: MediaSet,
    /// `modalities` asked for beyond text.
    pub image_out: bool,
    pub audio_out: bool,
    /// Estimated prompt size (bytes of text / 4, media apart).
    pub prompt_tokens: u64,
    /// The caller would rather have the middle left out than be told that it is too long.
    pub compress: bool,
    /// The caller's cap on output, where given.
    pub max_tokens: Option<u64>,
    pub n: u32,
    /// Parameters present in the body, by OpenRouter's vocabulary (`temperature`, `tools`, `seed`, …), for `require_parameters`.
    pub params: Vec<&'static str>,
    /// The conversation carries reasoning sealed or signed by these families ([`crate::request::format`]).
    pub sealed: Vec<String>,
    /// The tier of service asked for (`service_tier`); `None` where the caller says nothing, or that it is all the same.
    pub tier: Option<Tier>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaSet(u8);

impl MediaSet {
    const fn bit(kind: MediaKind) -> u8 {
        match kind {
            MediaKind::Image => 1,
            MediaKind::Audio => 2,
            MediaKind::Video => 4,
            MediaKind::File => 8,
        }
    }

    pub fn insert(&mut self, kind: MediaKind) {
        self.0 |= MediaSet::bit(kind);
    }

    pub const fn contains(self, kind: MediaKind) -> bool {
        self.0 & MediaSet::bit(kind) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = MediaKind> {
        [MediaKind::Image, MediaKind::Audio, MediaKind::Video, MediaKind::File]
            .into_iter()
            .filter(move |k| self.contains(*k))
    }
}
