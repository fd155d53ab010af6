//! A form that can be read comes back from writing it, and nothing a caller sends stops a service from being asked or refused.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use slip_ir::Op;
use slip_wire::ops::{self, Body, Shape, multipart};

const TO: [Shape; 7] = [
    Shape::OpenAi,
    Shape::OpenAiLinks,
    Shape::OpenRouter,
    Shape::Mistral,
    Shape::ElevenLabs,
    Shape::Deepgram,
    Shape::Chat,
];

fuzz_target!(|bytes: &[u8]| {
    let [kind, body @ ..] = bytes else { return };
    let body = Bytes::copy_from_slice(body);
    let form = "multipart/form-data; boundary=x";
    let media_type = if kind & 1 == 0 { form } else { "application/json" };
    if let Ok(parts) = multipart::parse(form, &body) {
        let (media_type, written) = multipart::write(&parts);
        let again = multipart::parse(&media_type, &Bytes::from(written)).expect("a written form can be read");
        assert_eq!(again.len(), parts.len());
        assert!(again.iter().zip(&parts).all(|(one, other)| one.data == other.data));
    }
    let asked = [
        (Op::Image, Shape::OpenAi),
        (Op::Image, Shape::OpenAiEdits),
        (Op::Image, Shape::OpenRouter),
        (Op::Speech, Shape::OpenAi),
        (Op::Transcription, Shape::OpenAi),
        (Op::Translation, Shape::OpenAi),
    ];
    for (op, shape) in asked {
        let Ok((_, inquiry)) = ops::read(op, shape, Body { media_type, bytes: &body }, None) else { continue };
        for to in TO {
            let _ = ops::lower(&inquiry, to, "m/n");
            // What was asked may also be what is answered: it is nonsense then, and must be told so.
            let answer = Body { media_type: "application/json", bytes: &body };
            let _ = ops::reply(&inquiry, to, answer, &slip_fuzz::stamp());
        }
        let _ = ops::to_chat(&inquiry, "m/n");
    }
});
