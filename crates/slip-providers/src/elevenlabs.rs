//! ElevenLabs: voices, and sound into text. A voice is told by its id, which stands in the path.
//! Docs: <https://elevenlabs.io/docs/api-reference/introduction>, as of 2026-11.

use crate::prelude::*;

pub static PROVIDER: Provider = Provider {
    id: s("elevenlabs"),
    aliases: names!["eleven-labs"],
    title: s("ElevenLabs"),
    base: s("https://api.elevenlabs.io/v1"),
    auth: Auth::Header(s("xi-api-key")),
    key_env: names!["ELEVENLABS_API_KEY", "ELEVEN_API_KEY"],
    chats: false,
    serves: list![serves(Op::Speech, Shape::ElevenLabs), serves(Op::Transcription, Shape::ElevenLabs),],
    links: links(
        "https://elevenlabs.io/privacy-policy",
        "https://elevenlabs.io/terms-of-use",
        Some("https://status.elevenlabs.io"),
    ),
    headquarters: Some(s("US")),
    docs: s("https://elevenlabs.io/docs/api-reference/introduction"),
    ..Provider::BLANK
};
