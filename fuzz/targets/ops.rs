//! No bytes break a service beside chat, asked or answered, in any spelling; and what is written is JSON.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use slip_ir::Op;
use slip_wire::ops::{self, Body, Shape};
use slip_wire::peek::Named;

const OPS: [Op; 4] = [Op::Embeddings, Op::Rerank, Op::Moderation, Op::CountTokens];
const SHAPES: [Shape; 11] = [
    Shape::OpenAi,
    Shape::OpenAiInt8,
    Shape::Cohere,
    Shape::Gemini,
    Shape::Predict,
    Shape::Ollama,
    Shape::OllamaOld,
    Shape::Voyage,
    Shape::Jina,
    Shape::Anthropic,
    Shape::Responses,
];

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(bytes).is_ok()
}

// Which service, in which spelling, then what is asked, a line's end, and what is answered.
fuzz_target!(|bytes: &[u8]| {
    let [op, shape, rest @ ..] = bytes else { return };
    let op = OPS[*op as usize % OPS.len()];
    let caller = SHAPES[*shape as usize % SHAPES.len()];
    let at = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    let asked = Bytes::copy_from_slice(&rest[..at]);
    let said = Bytes::copy_from_slice(rest.get(at + 1..).unwrap_or_default());
    let named = Named { model: "a/m".into(), stream: false };
    let body = Body { media_type: "application/json", bytes: &asked };
    let Ok((_, inquiry)) = ops::read(op, caller, body, Some(&named)) else { return };
    for shape in SHAPES {
        if let Ok(sent) = ops::lower(&inquiry, shape, "m") {
            assert!(is_json(&sent.body), "no JSON is sent to {shape}");
            assert!(sent.path.starts_with('/'), "{}", sent.path);
        }
        let body = Body { media_type: "application/json", bytes: &said };
        if let Ok(answer) = ops::reply(&inquiry, shape, body, &slip_fuzz::stamp()) {
            assert!(is_json(&answer.body), "no JSON is told of {shape}");
        }
    }
});
