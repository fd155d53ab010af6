//! Sound in a reply: it comes in pieces, each in base64 of its own, and leaves whole.

use super::choice::some;
use super::node::raw;
use super::{media, write};
use crate::json;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use slip_ir::{Media, MediaKind, Source};

/// Sound kept for one choice: ten minutes of 24 kHz 16-bit samples. What comes after is dropped.
const MAX_SOUND: usize = 32 * 1024 * 1024;

/// Padding at the end of each piece is optional.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Default)]
pub(super) struct Sound {
    id: Option<String>,
    bytes: Vec<u8>,
    transcript: String,
    expires_at: Option<i64>,
}

impl Sound {
    pub(super) fn read(span: &[u8]) -> Sound {
        let mut heard = Sound::default();
        for (key, value) in json::fields(span) {
            match &*key.bytes() {
                b"id" => heard.id = some(value),
                b"data" => heard.bytes = some(value).and_then(|d| LENIENT.decode(d).ok()).unwrap_or_default(),
                b"transcript" => heard.transcript = some(value).unwrap_or_default(),
                b"expires_at" => heard.expires_at = json::integer(value).filter(|n| *n != 0),
                _ => {}
            }
        }
        heard
    }

    /// Servers that write every member always send empty sound, too.
    pub(super) fn is_empty(&self) -> bool {
        self.id.is_none() && self.bytes.is_empty() && self.transcript.is_empty()
    }

    pub(super) fn extend(&mut self, more: Sound) {
        self.id = self.id.take().or(more.id);
        self.expires_at = more.expires_at.or(self.expires_at);
        if self.bytes.len() + more.bytes.len() <= MAX_SOUND && self.transcript.len() <= MAX_SOUND {
            self.bytes.extend(more.bytes);
            self.transcript.push_str(&more.transcript);
        }
    }

    pub(super) fn into_media(self) -> Media {
        let base64 = STANDARD.encode(&self.bytes);
        // OpenAI streams bare samples.
        let mime = media::sniff(&base64).unwrap_or("audio/pcm16").to_owned();
        let mut extra = Vec::new();
        write::object(&mut extra, |o| {
            o.opt_str("id", self.id.as_deref());
            if let Some(time) = self.expires_at {
                o.num("expires_at", time);
            }
            o.str("transcript", &self.transcript);
        });
        Media { extra: raw(&extra), ..media::new(MediaKind::Audio, Source::Data { mime, base64 }) }
    }
}
