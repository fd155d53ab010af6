//! Rows: what is asked for and answered in each spelling.

use super::*;
use crate::ops::multipart::{self, Part};
use crate::ops::{self, Inquiry};
use crate::{End, Lens, Phase};
use bytes::BytesMut;
use serde_json::{Value, json};
use slip_ir::{Op, Pico, Price};

fn form(op: Op, fields: &[(&str, &str)]) -> Result<Inquiry, Malformed> {
    let mut parts: Vec<Part> = fields.iter().map(|(name, text)| Part::text(*name, *text)).collect();
    parts.push(Part {
        name: "file".into(),
        file: Some("talk.MP3".into()),
        media_type: Some("application/octet-stream".into()),
        data: Bytes::from_static(b"sound"),
    });
    let (media_type, body) = multipart::write(&parts);
    let bytes = Bytes::from(body);
    ops::read(op, Shape::OpenAi, Body { media_type: &media_type, bytes: &bytes }, None).map(|read| read.1)
}

fn asked(fields: &[(&str, &str)]) -> Inquiry {
    form(Op::Transcription, fields).expect("a request")
}

fn inline(body: &Value) -> Result<Inquiry, Malformed> {
    let bytes = Bytes::from(body.to_string());
    let body = Body { media_type: "application/json", bytes: &bytes };
    ops::read(Op::Transcription, Shape::OpenAi, body, None).map(|read| read.1)
}

fn fields(sent: &Sent) -> Vec<String> {
    let parts = multipart::parse(&sent.media_type, &Bytes::copy_from_slice(&sent.body)).expect("a form");
    let told = |p: Part| {
        let file = p.file.map(|file| format!(" ({file}, {})", p.media_type.unwrap_or_default())).unwrap_or_default();
        format!("{}={}{file}", p.name, String::from_utf8_lossy(&p.data))
    };
    parts.into_iter().map(told).collect()
}

/// A second of sound for six thousand nano-dollars.
fn by_the_second() -> Stamp {
    let price = Price { second: Pico(100_000_000), ..Price::default() };
    Stamp { price: Some(Arc::new(price)), ..Stamp::default() }
}

fn heard(inquiry: &Inquiry, from: Shape, media_type: &str, said: &str, stamp: &Stamp) -> Result<Answer, Fault> {
    let bytes = Bytes::copy_from_slice(said.as_bytes());
    ops::reply(inquiry, from, Body { media_type, bytes: &bytes }, stamp)
}

#[test]
fn a_request_is_spelt_as_each_provider_reads_it() {
    let inquiry = asked(&[
        ("model", "a/m"),
        ("language", "de"),
        ("prompt", "names"),
        ("response_format", "verbose_json"),
        ("temperature", "0.2"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("chunking_strategy", "auto"),
    ]);
    let told = |to| ops::lower(&inquiry, to, "m").expect("it can be asked");
    let openai = told(Shape::OpenAi);
    assert_eq!(openai.path, "/audio/transcriptions");
    assert_eq!(
        fields(&openai),
        [
            "file=sound (talk.MP3, audio/mpeg)",
            "model=m",
            "language=de",
            "prompt=names",
            "response_format=verbose_json",
            "temperature=0.2",
            "timestamp_granularities[]=word",
            "timestamp_granularities[]=segment",
            "chunking_strategy=auto"
        ]
    );
    let mistral = told(Shape::Mistral);
    assert_eq!(
        fields(&mistral)[1..],
        ["model=m", "temperature=0.2", "timestamp_granularities=word", "timestamp_granularities=segment"]
    );
    let names = |sent: &Sent| sent.losses.iter().map(|l| l.what.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&mistral), ["language", "prompt", "chunking_strategy"]);
    let router: Value = serde_json::from_slice(&told(Shape::OpenRouter).body).expect("JSON");
    assert_eq!(
        (&router["input_audio"], &router["response_format"]),
        (&json!({ "data": "c291bmQ=", "format": "mp3" }), &json!("verbose_json"))
    );
    let deepgram = told(Shape::Deepgram);
    assert_eq!(
        (deepgram.path.as_str(), deepgram.media_type.as_str()),
        ("/listen?model=m&smart_format=true&language=de&utterances=true", "audio/mpeg")
    );
    assert_eq!(deepgram.body, b"sound");
    let eleven = told(Shape::ElevenLabs);
    assert_eq!((eleven.path.as_str(), &fields(&eleven)[0]), ("/speech-to-text", &"model_id=m".to_owned()));
}

#[test]
fn sound_in_json_is_the_same_as_in_a_form() {
    let ask = json!({ "model": "a/m", "input_audio": { "data": "c291bmQ", "format": "mp3" }, "provider": {} });
    let sent = ops::lower(&inline(&ask).expect("a request"), Shape::OpenAi, "m").expect("it can be asked");
    assert_eq!(fields(&sent), ["file=sound (audio.mp3, audio/mpeg)", "model=m"]);
}

#[test]
fn translation_goes_only_where_it_is_done() {
    let inquiry = form(Op::Translation, &[("model", "a/m"), ("language", "de")]).expect("a request");
    let sent = ops::lower(&inquiry, Shape::OpenAi, "m").expect("it can be asked");
    assert_eq!((sent.path.as_str(), fields(&sent).len()), ("/audio/translations", 2));
    for to in [Shape::OpenRouter, Shape::Deepgram, Shape::ElevenLabs, Shape::Mistral] {
        assert!(ops::lower(&inquiry, to, "m").is_err(), "{to}");
    }
}

#[test]
fn what_openai_said_goes_through_with_its_price() {
    let said = r#"{"text":"Hi.","logprobs":[1],"usage":{"type":"duration","seconds":6}}"#;
    let answer =
        heard(&asked(&[("model", "m")]), Shape::OpenAi, "application/json", said, &by_the_second()).expect("text");
    let told: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(
        told,
        json!({ "text": "Hi.", "logprobs": [1], "usage": { "type": "duration", "seconds": 6, "cost": 0.0006 } })
    );
    let srt = "1\n00:00:00,000 --> 00:00:02,500\nHi.\n";
    let answer =
        heard(&asked(&[("response_format", "srt")]), Shape::OpenAi, "text/plain", srt, &by_the_second()).expect("text");
    assert_eq!((&answer.body[..], answer.media_type.as_str()), (srt.as_bytes(), "text/plain"));
    assert_eq!(answer.tally.usage.map(|u| (u.audio_ms, u.estimated)), Some((2500, true)));
}

#[test]
fn usage_is_understood_in_every_spelling() {
    let plain = Stamp { price: Some(Arc::new(Price::default())), ..Stamp::default() };
    let rows = [
        (
            r#"{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":5,"total_tokens":19}"#,
            (4, 10, 5, 0),
        ),
        (r#"{"type":"duration","seconds":2.5}"#, (0, 0, 0, 2500)),
        (
            r#"{"prompt_audio_seconds":36,"prompt_tokens":13,"completion_tokens":151,"total_tokens":164}"#,
            (13, 0, 151, 0),
        ),
        (r#"{"cost":0.0006,"seconds":6}"#, (0, 0, 0, 6000)),
    ];
    for (span, want) in rows {
        let u = usage(span.as_bytes(), &plain).unwrap_or_else(|| panic!("{span}"));
        assert_eq!((u.input, u.audio_in, u.output, u.audio_ms), want, "{span}");
    }
    let both = usage(rows[2].0.as_bytes(), &by_the_second()).expect("usage");
    assert_eq!((both.input, both.audio_ms), (13, 36_000), "it is priced by the second");
    assert_eq!(usage(rows[3].0.as_bytes(), &plain).and_then(|u| u.upstream_cost), Some(slip_ir::Nano(600_000)));
    for span in ["{}", "null", r#"{"seconds":-1}"#, r#"{"seconds":1e300}"#] {
        assert_eq!(usage(span.as_bytes(), &plain), None, "{span}");
    }
}

const DEEPGRAM: &str = r#"{"metadata":{"duration":3.5},"results":{"channels":[{"detected_language":"en","alternatives":[{"transcript":"Hi there.",
    "words":[{"word":"hi","punctuated_word":"Hi","start":0.1,"end":0.5},{"word":"there","punctuated_word":"there.","start":0.6,"end":1.25}]}]}]}}"#;
const ELEVEN: &str = r#"{"language_code":"eng","text":"Hi there.","words":[{"text":"Hi","start":0.1,"end":0.5,"type":"word"},
    {"text":" ","start":0.5,"end":0.6,"type":"spacing"},{"text":"there.","start":0.6,"end":1.25,"type":"word"}]}"#;
const MISTRAL: &str = r#"{"model":"v","text":"Hi there.","language":null,"segments":[{"type":"transcription_segment","text":" Hi there.","start":0.1,"end":1.25}],
    "usage":{"prompt_audio_seconds":4,"prompt_tokens":4,"completion_tokens":9,"total_tokens":13}}"#;

#[test]
fn other_spellings_are_told_in_whichever_format_was_asked_for() {
    for (from, said, ms) in
        [(Shape::Deepgram, DEEPGRAM, 3500), (Shape::ElevenLabs, ELEVEN, 1250), (Shape::Mistral, MISTRAL, 4000)]
    {
        let told = |format: &str| {
            let answer =
                heard(&asked(&[("response_format", format)]), from, "application/json", said, &by_the_second())
                    .expect("text");
            assert_eq!(answer.tally.usage.as_ref().map(|u| u.audio_ms), Some(ms), "{from}");
            String::from_utf8(answer.body.to_vec()).expect("text")
        };
        let plain: Value = serde_json::from_str(&told("json")).expect("JSON");
        assert_eq!((&plain["text"], plain.as_object().map(|o| o.len())), (&json!("Hi there."), Some(2)), "{from}");
        assert_eq!(told("text"), "Hi there.\n");
        assert_eq!(told("srt"), "1\n00:00:00,100 --> 00:00:01,250\nHi there.\n\n", "{from}");
        assert_eq!(told("vtt"), "WEBVTT\n\n00:00:00.100 --> 00:00:01.250\nHi there.\n\n");
        let verbose: Value = serde_json::from_str(&told("verbose_json")).expect("JSON");
        assert_eq!(verbose["task"], "transcribe");
        let first = if from == Shape::Mistral { &verbose["segments"][0]["end"] } else { &verbose["words"][1]["end"] };
        assert_eq!(first, &json!(1.25), "{from}");
    }
}

#[test]
fn nonsense_is_the_providers_failure() {
    let inquiry = asked(&[]);
    for from in [Shape::OpenAi, Shape::Deepgram, Shape::ElevenLabs, Shape::Mistral, Shape::OpenRouter] {
        for said in ["", "{}", "[]", "{\"results\":{\"channels\":[]}}", "{\"error\":{\"message\":\"m\"}}"] {
            assert!(heard(&inquiry, from, "application/json", said, &by_the_second()).is_err(), "{from}: {said}");
        }
    }
    let text = asked(&[("response_format", "text")]);
    assert!(heard(&text, Shape::OpenAi, "text/html", "<html>", &by_the_second()).is_err());
}

#[test]
fn a_transcript_streams_or_is_told_as_a_stream() {
    let inquiry = asked(&[("stream", "true")]);
    for wire in [
        "event: transcript.text.delta\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"Hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":3,\"output_tokens\":1,\"total_tokens\":4}}\n\ndata: [DONE]\n\n",
        "data: {\"type\":\"transcription.text.delta\",\"text\":\"Hi\"}\n\ndata: {\"type\":\"transcription.done\",\"text\":\"Hi\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\ndata: [DONE]\n\n",
    ] {
        let stamp = Arc::new(Stamp { price: Some(Arc::new(Price::default())), ..Stamp::default() });
        let (flow, _) = ops::open(&inquiry, Shape::OpenAi, "text/event-stream", &stamp).expect("it flows");
        let mut lens = Lens::service(flow);
        let mut out = BytesMut::new();
        wire.as_bytes().chunks(5).for_each(|chunk| lens.push(chunk, &mut out));
        assert_eq!(lens.phase(), Phase::Finished);
        let tally = lens.end(End::Eof, &mut out);
        assert_eq!(tally.usage.map(|u| (u.input, u.output)), Some((3, 1)));
        let text = String::from_utf8(out.to_vec()).expect("text");
        assert!(text.contains("{\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}"), "{text}");
        assert!(text.contains("\"cost\":0") && text.ends_with("data: [DONE]\n\n"), "{text}");
    }
    let whole = heard(&inquiry, Shape::Deepgram, "application/json", DEEPGRAM, &by_the_second()).expect("text");
    let text = String::from_utf8(whole.body.to_vec()).expect("text");
    assert!(text.contains("transcript.text.done") && whole.media_type == "text/event-stream", "{text}");
}

#[test]
fn a_request_that_cannot_be_read_is_refused_by_name() {
    let rows: &[(&[(&str, &str)], &str)] = &[
        (&[("response_format", "xml")], "response_format"),
        (&[("temperature", "warm")], "temperature"),
        (&[("stream", "perhaps")], "stream"),
        (&[("file", "text")], "file"),
    ];
    for (fields, at) in rows {
        assert_eq!(form(Op::Transcription, fields).unwrap_err().at, *at);
    }
    let rows = [
        (json!({ "model": "m" }), "file"),
        (json!({ "input_audio": {} }), "input_audio.data"),
        (json!({ "input_audio": { "data": "!" } }), "input_audio.data"),
        (json!({ "input_audio": { "data": "AAAA", "format": "../x" } }), "input_audio.format"),
        (json!({ "input_audio": { "data": "" } }), "file"),
        (json!({ "file": "AAAA" }), "file"),
    ];
    for (body, at) in rows {
        assert_eq!(inline(&body).unwrap_err().at, at, "{body}");
    }
}
