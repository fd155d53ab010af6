//! Rows: what is asked for and answered in each spelling.

use super::*;
use crate::ops::{self, Inquiry, Manner};
use crate::{End, Lens, Phase};
use bytes::BytesMut;
use serde_json::{Value, json};
use slip_ir::{Block, Choice, FaultKind, Media, MediaKind, Op, Pico, Price, Remedy, Source};

fn asked(body: &Value) -> Inquiry {
    let bytes = Bytes::from(body.to_string());
    ops::read(Op::Speech, Shape::OpenAi, Body { media_type: "", bytes: &bytes }, None).expect("a request").1
}

fn opened(ask: &Value, media_type: &str) -> Option<(Lens, String)> {
    let (flow, told) = ops::open(&asked(ask), Shape::OpenAi, media_type, &Arc::new(stamp()))?;
    Some((Lens::service(flow), told))
}

/// A million characters for fifteen dollars.
fn stamp() -> Stamp {
    let price = Price { character: Pico(15_000_000), ..Price::default() };
    Stamp { id: "gen-1-x".into(), price: Some(Arc::new(price)), ..Stamp::default() }
}

#[test]
fn a_request_is_spelt_as_each_provider_reads_it() {
    let ask = json!({ "model": "a/m", "input": "Hi", "voice": "v/../1", "response_format": "wav", "speed": 1.5, "instructions": "slow", "x": 1 });
    let rows = [
        (
            Shape::OpenAi,
            "/audio/speech",
            json!({ "model": "m", "input": "Hi", "voice": "v/../1", "response_format": "wav", "speed": 1.5, "instructions": "slow", "x": 1 }),
            0,
        ),
        (
            Shape::Mistral,
            "/audio/speech",
            json!({ "model": "m", "input": "Hi", "voice": "v/../1", "response_format": "wav", "x": 1 }),
            2,
        ),
        (
            Shape::ElevenLabs,
            "/text-to-speech/v%2F..%2F1/stream?output_format=wav_24000",
            json!({ "text": "Hi", "model_id": "m", "voice_settings": { "speed": 1.5 } }),
            2,
        ),
        (
            Shape::Deepgram,
            "/speak?model=m-v%2F..%2F1-en&encoding=linear16&container=wav&sample_rate=24000&speed=1%2E5",
            json!({ "text": "Hi" }),
            2,
        ),
    ];
    for (to, path, body, losses) in rows {
        let sent = ops::lower(&asked(&ask), to, "m").expect("it can be asked");
        let told: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!((sent.path.replace("1.5", "1%2E5").as_str(), told, sent.losses.len()), (path, body, losses), "{to}");
    }
    assert_eq!(ops::lower(&asked(&json!({ "input": "a" })), Shape::ElevenLabs, "m").unwrap_err().at, "voice");
    let flac = asked(&json!({ "input": "a", "voice": "v", "response_format": "flac" }));
    assert_eq!(ops::lower(&flac, Shape::ElevenLabs, "m").unwrap_err().at, "response_format");
    assert_eq!(ops::to_chat(&flac, "m").unwrap_err().at, "response_format");
}

#[test]
fn sound_is_passed_on_byte_for_byte_and_paid_by_the_character() {
    let ask = json!({ "input": "zażółć", "voice": "v" });
    assert_eq!(asked(&ask).manner(), Manner::Bytes);
    let (mut lens, told) = opened(&ask, "audio/mpeg").expect("it flows");
    assert_eq!((told.as_str(), lens.phase(), lens.is_bare()), ("audio/mpeg", Phase::Waiting, true));
    let mut out = BytesMut::new();
    lens.push(b"", &mut out);
    assert_eq!(lens.phase(), Phase::Waiting, "nothing is no content");
    lens.push(b"ID3\n\n: data: \xff", &mut out);
    lens.push(b"\x00", &mut out);
    assert_eq!(lens.phase(), Phase::Flowing);
    let tally = lens.end(End::Eof, &mut out);
    assert_eq!(&out[..], b"ID3\n\n: data: \xff\x00");
    assert_eq!((tally.usage.map(|u| (u.characters, u.estimated)), tally.fault), (Some((6, false)), None));
    assert!(tally.finish.is_some());
}

#[test]
fn a_failure_is_never_written_into_sound() {
    let broke = Fault::upstream(FaultKind::Upstream, Remedy::Stop, "it broke");
    for (pushed, how, fault, paid) in [
        (&b"abc"[..], End::Fault(broke.clone()), true, true),
        (b"", End::Eof, true, false),
        (b"abc", End::Gone, false, true),
    ] {
        let (mut lens, _) = opened(&json!({ "input": "hi" }), "audio/mpeg").expect("it flows");
        let mut out = BytesMut::new();
        lens.push(pushed, &mut out);
        let tally = lens.end(how, &mut out);
        assert_eq!((&out[..], tally.fault.is_some(), tally.usage.is_some()), (pushed, fault, paid));
    }
}

#[test]
fn what_is_announced_decides_whether_it_flows() {
    let (bytes, events) =
        (json!({ "input": "a", "response_format": "pcm" }), json!({ "input": "a", "stream_format": "sse" }));
    let rows = [
        (&bytes, "audio/mpeg", Some("audio/mpeg")),
        (&bytes, "application/octet-stream", Some("audio/pcm")),
        (&bytes, "", Some("audio/pcm")),
        (&bytes, "application/json; charset=utf-8", None),
        (&bytes, "text/html", None),
        (&events, "text/event-stream; charset=utf-8", Some("text/event-stream; charset=utf-8")),
        (&events, "audio/mpeg", None),
    ];
    for (ask, kind, told) in rows {
        assert_eq!(opened(ask, kind).map(|(_, told)| told).as_deref(), told, "{kind}");
    }
}

#[test]
fn sound_inside_json_is_unpacked_and_bytes_become_events_where_they_are_wanted() {
    let told = |ask: &Value, media_type: &str, said: &[u8]| {
        let bytes = Bytes::copy_from_slice(said);
        ops::reply(&asked(ask), Shape::Mistral, Body { media_type, bytes: &bytes }, &stamp())
    };
    let (bytes, events) = (json!({ "input": "hi" }), json!({ "input": "hi", "stream_format": "sse" }));
    let packed = json!({ "audio_data": STANDARD.encode(b"ID3abc") }).to_string();
    let answer = told(&bytes, "application/json", packed.as_bytes()).expect("sound");
    assert_eq!((&answer.body[..], answer.media_type.as_str()), (&b"ID3abc"[..], "audio/mpeg"));
    assert_eq!(answer.tally.usage.map(|u| u.characters), Some(2));
    let answer = told(&events, "audio/mpeg", b"ID3abc").expect("sound");
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(text.contains("\"audio\":\"SUQzYWJj\"") && text.contains("speech.audio.done"), "{text}");
    for said in ["{}", "", "{\"audio_data\":\"!\"}", "{\"audio_data\":\"\"}", "{\"error\":{\"message\":\"m\"}}"] {
        assert!(told(&bytes, "application/json", said.as_bytes()).is_err(), "{said}");
    }
}

#[test]
fn events_of_sound_are_counted_as_they_say() {
    let price = Price {
        rates: slip_ir::Rates { input: Pico(600_000), output: Pico(12_000_000), ..Default::default() },
        ..Price::default()
    };
    let stamp = Arc::new(Stamp { price: Some(Arc::new(price)), ..Stamp::default() });
    let inquiry = asked(&json!({ "input": "hi", "stream_format": "sse" }));
    let (flow, _) = ops::open(&inquiry, Shape::OpenAi, "text/event-stream", &stamp).expect("it flows");
    let mut lens = Lens::service(flow);
    let mut out = BytesMut::new();
    lens.push(b"data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\n", &mut out);
    lens.push(b"data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":2,\"output_tokens\":50,\"total_tokens\":52}}\n\n", &mut out);
    let tally = lens.end(End::Eof, &mut out);
    assert_eq!(tally.usage.map(|u| (u.input, u.audio_out, u.estimated)), Some((2, 50, false)));
    let text = String::from_utf8(out.to_vec()).expect("text");
    assert!(text.contains("\"total_tokens\":52,\"cost\":0.000601"), "{text}");
}

#[test]
fn a_chat_models_samples_become_a_wav() {
    let ask = json!({ "input": "hi", "voice": "Kore", "instructions": "Say cheerfully:" });
    let (request, _) = ops::to_chat(&asked(&ask), "m").expect("it can be asked");
    assert_eq!(request.params.modalities, ["audio"]);
    assert!(request.extra[0].1.as_str().contains("\"voiceName\":\"Kore\""));
    let said = |mime: &str| slip_ir::Reply {
        choices: vec![Choice {
            blocks: vec![Block::Media(Media {
                kind: MediaKind::Audio,
                source: Source::Data { mime: mime.into(), base64: STANDARD.encode([1, 0, 2, 0]) },
                name: None,
                detail: None,
                cache: None,
                extra: None,
            })],
            ..Choice::default()
        }],
        ..slip_ir::Reply::default()
    };
    let said = said("audio/L16;codec=pcm;rate=16000");
    let wav = ops::from_chat(&asked(&ask), &said, &stamp()).expect("sound");
    assert_eq!(
        (wav.media_type.as_str(), &wav.body[24..28], &wav.body[44..]),
        ("audio/wav", &16_000u32.to_le_bytes()[..], &[1, 0, 2, 0][..])
    );
    let pcm = asked(&json!({ "input": "hi", "response_format": "pcm" }));
    let pcm = ops::from_chat(&pcm, &said, &stamp()).expect("sound");
    assert_eq!((pcm.media_type.as_str(), &pcm.body[..]), ("audio/pcm", &[1, 0, 2, 0][..]));
}

#[test]
fn a_request_that_cannot_be_read_is_refused_by_name() {
    let rows = [
        (json!({}), "input"),
        (json!({ "input": "" }), "input"),
        (json!({ "input": "a".repeat(MAX_CHARACTERS + 1) }), "input"),
        (json!({ "input": "a", "voice": 5 }), "voice"),
        (json!({ "input": "a", "response_format": "mp4" }), "response_format"),
        (json!({ "input": "a", "speed": "fast" }), "speed"),
        (json!({ "input": "a", "stream_format": "x" }), "stream_format"),
    ];
    for (body, at) in rows {
        let bytes = Bytes::from(body.to_string());
        let bad = ops::read(Op::Speech, Shape::OpenAi, Body { media_type: "", bytes: &bytes }, None).unwrap_err();
        assert_eq!(bad.at, at, "{bad}");
    }
}
