//! What a streamed and a whole reply of this house have in common: ids, media, annotations, what is hidden.

use super::media;
use super::write::Obj;
use crate::{Stamp, json};
use bytes::BufMut;
use slip_ir::{Media, MediaKind, Raw, Source};
use std::collections::HashSet;

/// Tool call ids of one reply: the upstream's own where it gave them, minted where it gave none or the same twice.
pub(crate) struct CallIds {
    stem: String,
    minted: u32,
    seen: HashSet<String>,
}

impl CallIds {
    pub(crate) fn new(stamp: &Stamp) -> CallIds {
        // The random end of the generation id makes minted ids unique across turns of one conversation.
        let stem: String = stamp.id.rsplit('-').next().unwrap_or_default().chars().take(32).collect();
        CallIds { stem, minted: 0, seen: HashSet::new() }
    }

    pub(crate) fn take(&mut self, id: &str) -> String {
        if !id.is_empty() && self.seen.insert(id.to_owned()) {
            return id.to_owned();
        }
        loop {
            let minted = format!("call_{}_{}", self.stem, self.minted);
            self.minted += 1;
            if self.seen.insert(minted.clone()) {
                return minted;
            }
        }
    }
}

/// Only the two kinds strict clients know are shown.
pub(crate) fn is_annotation(raw: &Raw) -> bool {
    let kind = json::field(raw.as_str().as_bytes(), "type").and_then(json::string);
    matches!(kind.as_deref(), Some("url_citation" | "file"))
}

pub(crate) fn write_image<B: BufMut>(o: &mut Obj<'_, B>, image: &Media) {
    o.str("type", "image_url");
    o.obj("image_url", |o| o.str("url", &media::to_url(&image.source).unwrap_or_default()));
}

/// OpenAI's `audio` object of a reply.
pub(crate) fn write_audio<B: BufMut>(o: &mut Obj<'_, B>, audio: &Media) {
    if let Some(extra) = &audio.extra {
        o.merge(extra);
    }
    if let Source::Data { base64, .. } = &audio.source {
        o.str("data", base64);
    }
}

/// Pictures and sound are shown; nothing else has a place in a reply of this dialect.
pub(crate) fn is_shown(media: &Media) -> bool {
    match media.kind {
        MediaKind::Image => media::to_url(&media.source).is_some(),
        MediaKind::Audio => matches!(media.source, Source::Data { .. }),
        MediaKind::Video | MediaKind::File => false,
    }
}
