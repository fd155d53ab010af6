//! What one chunk of a stream costs on its way through a lens, by who speaks upstream and who listens. Prints nanoseconds per chunk,
//! the best of nine.

#![allow(clippy::disallowed_methods, reason = "a bench is a stopwatch")]

use bytes::BytesMut;
use slip_ir::Dialect;
use slip_wire::{End, Lens, Quirks, Stamp};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const CHUNKS: usize = 200;

/// A stream of so many words, an event to a piece.
fn stream(dialect: Dialect) -> Vec<Vec<u8>> {
    let chat = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz\",\"object\":\"chat.completion.chunk\",\"created\":1795900000,\
             \"model\":\"gpt-x-2026-08-01\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\
             \"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
    };
    let event = |name: &str, data: &str| format!("event: {name}\ndata: {data}\n\n");
    let mut all = Vec::new();
    match dialect {
        Dialect::Anthropic => {
            all.push(event(
                "message_start",
                r#"{"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}"#,
            ));
            all.push(event(
                "content_block_start",
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            ));
            for n in 0..CHUNKS {
                let data = format!(
                    r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":" word{n}"}}}}"#
                );
                all.push(event("content_block_delta", &data));
            }
            all.push(event("content_block_stop", r#"{"type":"content_block_stop","index":0}"#));
            all.push(event(
                "message_delta",
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":200}}"#,
            ));
            all.push(event("message_stop", r#"{"type":"message_stop"}"#));
        }
        _ => {
            all.push(chat(r#"{"role":"assistant","content":"","refusal":null}"#, "null"));
            for n in 0..CHUNKS {
                all.push(chat(&format!(r#"{{"content":" word{n}"}}"#), "null"));
            }
            all.push(chat("{}", "\"stop\""));
            all.push("data: [DONE]\n\n".to_owned());
        }
    }
    all.into_iter().map(String::into_bytes).collect()
}

fn main() {
    let stamp = Arc::new(Stamp { id: "gen-1795900000-0123456789abcdefghij".to_owned(), ..Stamp::default() });
    for upstream in [Dialect::OpenAiChat, Dialect::Anthropic] {
        let chunks = stream(upstream);
        for caller in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini, Dialect::Responses, Dialect::Ollama] {
            let best = (0..9)
                .map(|_| {
                    let start = Instant::now();
                    for _ in 0..50 {
                        let mut lens = Lens::new(upstream, caller, stamp.clone(), Quirks::of(upstream));
                        let mut out = BytesMut::with_capacity(256 * 1024);
                        for chunk in &chunks {
                            lens.push(black_box(chunk), &mut out);
                        }
                        assert!(lens.end(End::Eof, &mut out).fault.is_none());
                        black_box(&out);
                    }
                    start.elapsed().as_nanos() / (50 * CHUNKS as u128)
                })
                .min();
            println!("{:>16} to {:<18} {:>6} ns", upstream.name(), caller.name(), best.unwrap_or_default());
        }
    }
}
