//! A request that can be peeked at can be spliced, and what comes out is one JSON object without repeated members.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slip_wire::openai_chat::splice::{needs_ir, splice};
use slip_wire::quirks::{MaxTokens, ReasoningStyle};
use slip_wire::{Peek, Quirks, json};

fuzz_target!(|bytes: &[u8]| {
    let _ = Peek::anthropic(bytes);
    let _ = Peek::gemini(bytes, "m", false);
    let Some((flags, body)) = bytes.split_first() else { return };
    let Ok(peek) = Peek::openai_chat(body) else { return };
    let styles = [
        ReasoningStyle::Effort,
        ReasoningStyle::Object,
        ReasoningStyle::Thinking,
        ReasoningStyle::EnableThinking,
        ReasoningStyle::Unsaid,
    ];
    let quirks = Quirks {
        reasoning: styles[*flags as usize % styles.len()],
        max_tokens: if flags & 64 == 0 { MaxTokens::Plain } else { MaxTokens::Completion },
        stream_options: flags & 128 == 0,
        router: flags & 32 != 0,
        ..Quirks::OPENAI_CHAT
    };
    needs_ir(&peek, &quirks);
    let mut out = Vec::new();
    splice(body, &peek, "up/stream", &quirks, &mut out);
    let members = json::members(&out).expect("a spliced request is a JSON object");
    let model = members.iter().find(|m| m.key == "model").expect("a spliced request names a model");
    assert_eq!(&out[model.value.clone()], b"\"up/stream\"");
});
