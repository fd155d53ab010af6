//! Laws of pictures and sound that hold for any input whatever.

use super::multipart::{Part, write};
use super::{Body, Inquiry, Manner, Shape, from_chat, lower, open, read, reply, to_chat};
use crate::{End, Lens, Phase, Stamp, Tally};
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use slip_ir::Op;
use std::sync::Arc;

const ASKED: [(Op, Shape); 6] = [
    (Op::Image, Shape::OpenAi),
    (Op::Image, Shape::OpenAiEdits),
    (Op::Image, Shape::OpenRouter),
    (Op::Speech, Shape::OpenAi),
    (Op::Transcription, Shape::OpenAi),
    (Op::Translation, Shape::OpenAi),
];
const TO: [Shape; 6] =
    [Shape::OpenAi, Shape::OpenAiLinks, Shape::OpenRouter, Shape::Mistral, Shape::ElevenLabs, Shape::Deepgram];

/// Names that mean something to one of the services, and values that may or may not.
fn member() -> impl Strategy<Value = (String, String)> {
    let names = [
        "model",
        "prompt",
        "n",
        "size",
        "resolution",
        "aspect_ratio",
        "stream",
        "image",
        "images",
        "mask",
        "seed",
        "file",
        "input_references",
        "input",
        "voice",
        "response_format",
        "speed",
        "stream_format",
        "input_audio",
        "language",
        "temperature",
        "timestamp_granularities",
        "provider",
        "text",
        "data",
        "usage",
        "segments",
        "words",
        "audio_data",
        "results",
        "error",
    ];
    let values = [
        "\"\"",
        "\"a\"",
        "\"1024x1024\"",
        "\"16:9\"",
        "\"sse\"",
        "\"srt\"",
        "\"verbose_json\"",
        "\"wav\"",
        "1",
        "-1",
        "2.5",
        "1e999",
        "true",
        "null",
        "[]",
        "{}",
        "[1]",
        "[\"https://x\"]",
        "\"data:image/png;base64,AA==\"",
        "{\"id\":\"v\"}",
        "{\"data\":\"UklGRg==\",\"format\":\"wav\"}",
        "[{\"b64_json\":\"AA==\"}]",
        "[{\"url\":\"https://x\"}]",
        "[{\"text\":\"a\",\"start\":1,\"end\":2}]",
        "{\"input_tokens\":3,\"output_tokens\":4}",
        "{\"seconds\":1e9}",
        "{\"channels\":[{\"alternatives\":[{\"transcript\":\"a\"}]}]}",
        "\"AA==\"",
    ];
    (proptest::sample::select(names.to_vec()), proptest::sample::select(values.to_vec()))
        .prop_map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn body() -> impl Strategy<Value = (String, Bytes)> {
    (vec(member(), 0..8), any::<bool>()).prop_map(|(mut members, form)| {
        members.sort();
        members.dedup_by(|a, b| a.0 == b.0);
        if !form {
            let text: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            return ("application/json".to_owned(), Bytes::from(format!("{{{}}}", text.join(","))));
        }
        let part = |(name, value): (String, String)| match name.as_str() {
            "file" | "image" | "mask" => {
                Part { name, file: Some("a.wav".into()), media_type: None, data: Bytes::from(value) }
            }
            _ => Part::text(name, value.trim_matches('"')),
        };
        let parts: Vec<Part> = members.into_iter().map(part).collect();
        let (media_type, body) = write(&parts);
        (media_type, Bytes::from(body))
    })
}

fn inquiries(media_type: &str, bytes: &Bytes) -> Vec<Inquiry> {
    let ask = |(op, shape)| read(op, shape, Body { media_type, bytes }, None).ok().map(|(_, inquiry)| inquiry);
    ASKED.into_iter().filter_map(ask).collect()
}

fn events() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA==\",\"output_format\":\"png\"}\n\n",
        "event: image_edit.completed\ndata: {\"type\":\"image_edit.completed\",\"b64_json\":\"AA==\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}\r\n\r\n",
        "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AA==\"}\n\n",
        "data: {\"type\":\"speech.audio.done\"}\n\n",
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"zażółć\"}\n\n",
        "data: {\"type\":\"transcription.done\",\"text\":\"a\"}\n\n",
        "data: {\"error\":{\"message\":\"m\"}}\n\n",
        "data: [DONE]\n\n",
        ": comment\n\n",
        "data: {\n\n",
        "\u{feff}",
    ];
    vec(proptest::sample::select(pieces.to_vec()), 0..8).prop_map(|pieces| pieces.concat().into_bytes())
}

fn crossed(inquiry: &Inquiry, media_type: &str, chunks: &[&[u8]]) -> Option<(Vec<u8>, Tally, Phase)> {
    let stamp = Arc::new(Stamp { id: "gen-1-x".into(), created: 1, ..Stamp::default() });
    let mut lens = Lens::service(open(inquiry, Shape::OpenAi, media_type, &stamp)?.0);
    let mut out = BytesMut::new();
    chunks.iter().for_each(|chunk| lens.push(chunk, &mut out));
    let phase = lens.phase();
    let tally = lens.end(End::Eof, &mut out);
    Some((out.to_vec(), tally, phase))
}

proptest! {
    #[test]
    fn whatever_is_asked_and_answered_nothing_breaks((media_type, asked) in body(), (said_type, said) in body()) {
        for inquiry in inquiries(&media_type, &asked) {
            for to in TO {
                if let Ok(sent) = lower(&inquiry, to, "m/../n?x#y") {
                    prop_assert!(sent.path.starts_with('/') && !sent.path.contains("/../") && !sent.path.contains('#'), "{}", sent.path);
                }
                let answer = Body { media_type: &said_type, bytes: &said };
                if let Ok(answer) = reply(&inquiry, to, answer, &Stamp::default()) {
                    prop_assert!(answer.tally.usage.is_some() && !answer.media_type.is_empty());
                }
            }
            if let Ok((request, _)) = to_chat(&inquiry, "m") {
                prop_assert_eq!(request.turns.len(), 1);
                prop_assert!(from_chat(&inquiry, &slip_ir::Reply::default(), &Stamp::default()).is_err());
            }
        }
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_bytes(stream in events(), size in 1usize..9) {
        let asks = [
            (Op::Image, Shape::OpenAi, r#"{"prompt":"p","stream":true}"#, "text/event-stream"),
            (Op::Image, Shape::OpenRouter, r#"{"prompt":"p","stream":true}"#, "text/event-stream"),
            (Op::Speech, Shape::OpenAi, r#"{"input":"hi","stream_format":"sse"}"#, "text/event-stream"),
            (Op::Speech, Shape::OpenAi, r#"{"input":"hi"}"#, "audio/mpeg"),
            (Op::Transcription, Shape::OpenAi, r#"{"input_audio":{"data":"AAAA","format":"mp3"},"stream":true}"#, "text/event-stream"),
        ];
        for (op, shape, ask, kind) in asks {
            let bytes = Bytes::from_static(ask.as_bytes());
            let (_, inquiry) = read(op, shape, Body { media_type: "", bytes: &bytes }, None).expect("a request");
            let whole = crossed(&inquiry, kind, &[&stream]).expect("it flows");
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            prop_assert_eq!(crossed(&inquiry, kind, &chunks).expect("it flows"), whole.clone());
            if inquiry.manner() == Manner::Bytes {
                prop_assert_eq!(&whole.0, &stream);
            }
            if whole.1.content > 0 {
                prop_assert!(whole.1.usage.is_some(), "what was given is paid for");
            }
            if shape == Shape::OpenRouter {
                prop_assert!(whole.0.ends_with(b"data: [DONE]\n\n"));
            }
        }
    }
}
