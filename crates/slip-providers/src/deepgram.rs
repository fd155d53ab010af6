//! Deepgram: sound into text and text into sound, and nothing else. The body is the sound itself, all the rest stands in the
//! query. Docs: <https://developers.deepgram.com/reference/deepgram-api-overview>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("deepgram"),
    title: s("Deepgram"),
    base: s("https://api.deepgram.com/v1"),
    auth: Auth::Scheme(s("Token")),
    key_env: names!["DEEPGRAM_API_KEY"],
    chats: false,
    serves: list![serves(Op::Speech, Shape::Deepgram), serves(Op::Transcription, Shape::Deepgram),],
    faults: list![(402, FaultKind::UpstreamQuota, Remedy::Elsewhere)],
    // What is sent may be learnt from unless each request opts out, at another price.
    policy: Policy { trains: Some(true), retains: Some(true), zdr: false },
    links: links("https://deepgram.com/privacy", "https://deepgram.com/terms", Some("https://status.deepgram.com")),
    headquarters: Some(s("US")),
    docs: s("https://developers.deepgram.com/reference/deepgram-api-overview"),
    ..Provider::BLANK
};
