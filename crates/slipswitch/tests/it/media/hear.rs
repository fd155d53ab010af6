//! Sound: what is said is what is heard, in every format and from every kind of request.

use super::{HEAR, SPEECH, form, provider, say, send_form, sim};
use crate::harness::{Gateway, send};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_sim::{Script, Scripted};

#[tokio::test]
async fn speech_is_the_providers_byte_for_byte_and_paid_by_the_character() {
    let lab = sim(None).await;
    let gateway = Gateway::start(&provider("lab", &lab));
    for (format, media_type) in [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("pcm", "audio/pcm")] {
        let got = gateway.post(SPEECH, &say(json!({ "response_format": format }))).await;
        assert_eq!((got.status, got.header("content-type")), (200, media_type), "{format}");
        let direct = json!({ "model": "one", "input": "Hello there, how are you?", "voice": "alloy", "response_format": format });
        let direct = Bytes::from(direct.to_string());
        let itself =
            send(lab.addr(), Method::POST, "/v1/audio/speech", &[("content-type", "application/json")], direct).await;
        assert!(got.body == itself.body && !got.body.is_empty(), "{format}");
        let record = gateway.record(&got).await;
        assert_eq!(
            (&record["api_type"], &record["total_cost"], &record["finish_reason"]),
            (&json!("tts"), &json!(0.000375), &json!("stop"))
        );
    }
    let got = gateway.post(SPEECH, &say(json!({ "stream_format": "sse" }))).await;
    let events = got.events();
    assert_eq!(events[0]["type"], "speech.audio.delta");
    assert_eq!(
        (&events[events.len() - 1]["type"], got.header("content-type").starts_with("text/event-stream")),
        (&json!("speech.audio.done"), true)
    );
    let bad = gateway.post(SPEECH, &say(json!({ "response_format": "flac" }))).await;
    assert_eq!((bad.status, bad.header("content-type")), (400, "application/json"), "{}", bad.text());
}

#[tokio::test]
async fn what_was_said_is_heard_again_in_every_format() {
    let lab = sim(None).await;
    let gateway = Gateway::start(&provider("lab", &lab));
    let text = "Hello there, how are you?";
    let spoken = gateway.post(SPEECH, &say(json!({ "response_format": "wav" }))).await.body;
    let hear = async |fields: &[(&str, &str)]| {
        let fields = [&[("model", "lab/one")], fields].concat();
        send_form(&gateway, HEAR, form(&fields, &[("file", "talk.wav", &spoken)])).await
    };
    let plain = hear(&[]).await;
    assert_eq!((plain.status, &plain.json()["text"]), (200, &json!(text)), "{}", plain.text());
    assert_eq!(plain.json()["usage"], json!({ "type": "duration", "seconds": 1.0, "cost": 0.0001 }));
    let record = gateway.record(&plain).await;
    assert_eq!((&record["api_type"], &record["total_cost"]), (&json!("stt"), &json!(0.0001)));
    let verbose = hear(&[("response_format", "verbose_json"), ("timestamp_granularities[]", "segment")]).await;
    assert_eq!((&verbose.json()["segments"][0]["text"], &verbose.json()["duration"]), (&json!(text), &json!(0.5)));
    for (format, starts) in [("text", "Hello"), ("srt", "1\n00:00:00,000 --> 00:00:00,500\nHello"), ("vtt", "WEBVTT")] {
        let got = hear(&[("response_format", format)]).await;
        assert!(
            got.text().starts_with(starts) && got.header("content-type").starts_with("text/"),
            "{format}: {}",
            got.text()
        );
        assert_eq!(
            gateway.record(&got).await["total_cost"],
            json!(0.00005),
            "{format}: half a second by the file's head"
        );
    }
    let streamed = hear(&[("stream", "true")]).await;
    let events = streamed.events();
    let deltas: String = events.iter().filter_map(|e| e["delta"].as_str()).collect();
    assert_eq!((deltas.as_str(), &events[events.len() - 1]["usage"]["cost"]), (text, &json!(0.0001)));
    let english = form(&[("model", "lab/one")], &[("file", "talk.wav", &spoken)]);
    let english = send_form(&gateway, "/api/v1/audio/translations", english).await;
    assert_eq!(english.json()["text"], format!("in English: {text}"), "{}", english.text());
    let inline = json!({ "model": "lab/one", "input_audio": { "data": STANDARD.encode(&spoken), "format": "wav" } });
    assert_eq!(gateway.post(HEAR, &inline).await.json()["text"], text);
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_refused_by_name_and_reaches_nobody() {
    let lab = sim(None).await;
    let gateway = Gateway::start(&provider("lab", &lab));
    let many: Vec<(&str, &str)> = vec![("a", "1"); 100];
    let rows: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("no file", form(&[("model", "lab/one")], &[]), 400, "file"),
        ("an empty file", form(&[("model", "lab/one")], &[("file", "a.wav", b"")]), 400, "file"),
        ("no model", form(&[], &[("file", "a.wav", b"RIFF")]), 400, "model"),
        (
            "a bad format",
            form(&[("model", "lab/one"), ("response_format", "xml")], &[("file", "a.wav", b"RIFF")]),
            400,
            "response_format",
        ),
        ("too many parts", form(&many, &[]), 400, "more than 64 parts"),
        ("no end", form(&[("model", "lab/one")], &[("file", "a.wav", b"RIFF")])[..120].to_vec(), 400, "multipart form"),
        ("not a form", b"hello".to_vec(), 400, "does not hold its boundary"),
    ];
    for (what, body, status, word) in rows {
        let got = send_form(&gateway, HEAR, body).await;
        assert!(got.status == status && got.text().contains(word), "{what}: {} {}", got.status, got.text());
    }
    let large = form(&[("model", "lab/one")], &[("file", "a.wav", &vec![0; 27 * 1024 * 1024])]);
    let got = send_form(&gateway, HEAR, large).await;
    assert_eq!((got.status, got.text().contains("25 MB")), (413, true), "{}", got.text());
    let bare = gateway.post_raw(HEAR, "{").await;
    assert_eq!(bare.status, 400, "{}", bare.text());
    assert_eq!(lab.journal().total(), 0);
    let noise = send_form(&gateway, HEAR, form(&[("model", "lab/one")], &[("file", "a.wav", b"noise")])).await;
    assert_eq!(
        (noise.status, noise.error()["message"].as_str().is_some_and(|m| m.contains("decoded"))),
        (400, true),
        "{}",
        noise.text()
    );
    gateway.is_well("bad forms").await;
}

/// What a provider is asked and says, and what comes of it.
#[tokio::test]
async fn providers_of_sound_are_asked_in_their_own_spelling() {
    let lab = Scripted::start().await.expect("a socket");
    let provider = |slug: &str, models: &str| {
        let base = format!("http://{}/{slug}", lab.addr());
        format!(
            "[providers.{slug}]\nbase_url = \"{base}\"\nkey = \"secret\"\nallow_private = true\nmodels = [{models}]\n\n"
        )
    };
    let config = provider(
        "deepgram",
        "{ id = \"lab/dg\", upstream = \"aura-2\" }, { id = \"lab/ears\", upstream = \"nova-3\" }",
    ) + &provider("elevenlabs", "{ id = \"lab/el\", upstream = \"eleven\" }")
        + &provider("mistral", "\"lab/mi\"");
    let gateway = Gateway::start(&config);
    let say = |model: &str| json!({ "model": model, "input": "Hi", "voice": "nova" });
    let sound = || Script::new(200, "audio/mpeg", "ID3sound");
    lab.push(sound());
    let got = gateway.post(SPEECH, &say("lab/dg")).await;
    assert_eq!((got.status, &got.body[..]), (200, &b"ID3sound"[..]), "{}", got.text());
    let sent = lab.journal().last().expect("it was asked");
    assert_eq!(
        (sent.path.as_str(), sent.header("authorization")),
        ("/deepgram/speak?model=aura-2-nova-en&encoding=mp3", Some("Token secret"))
    );
    lab.push(sound());
    assert_eq!(gateway.post(SPEECH, &say("lab/el")).await.status, 200);
    let sent = lab.journal().last().expect("it was asked");
    assert_eq!(sent.path, "/elevenlabs/text-to-speech/nova/stream?output_format=mp3_44100_128");
    assert_eq!(
        (sent.header("xi-api-key"), sent.json()),
        (Some("secret"), json!({ "text": "Hi", "model_id": "eleven" }))
    );
    lab.push(Script::json(200, &json!({ "audio_data": STANDARD.encode(b"ID3packed") })));
    let got = gateway.post(SPEECH, &say("lab/mi")).await;
    assert_eq!((&got.body[..], got.header("content-type")), (&b"ID3packed"[..], "audio/mpeg"));

    let heard = json!({ "metadata": { "duration": 2.0 }, "results": { "channels": [{ "alternatives": [{ "transcript": "Hi." , "words": [] }] }] } });
    lab.push(Script::json(200, &heard));
    let got = send_form(&gateway, HEAR, form(&[("model", "lab/ears")], &[("file", "a.flac", b"fLaC")])).await;
    assert_eq!(got.json()["text"], "Hi.", "{}", got.text());
    let sent = lab.journal().last().expect("it was asked");
    assert_eq!((sent.header("content-type"), &sent.body[..]), (Some("audio/flac"), &b"fLaC"[..]));
    let refused = send_form(
        &gateway,
        "/api/v1/audio/translations",
        form(&[("model", "lab/ears")], &[("file", "a.flac", b"fLaC")]),
    )
    .await;
    assert_eq!(refused.status, 404, "{}", refused.text());
    let _: Value = refused.json();
}

#[tokio::test]
async fn a_chat_model_reads_aloud_when_asked_to_speak() {
    let lab = Scripted::start().await.expect("a socket");
    let config = format!(
        "[providers.lab]\ndialect = \"gemini\"\nbase_url = \"http://{}/v1beta\"\nkey = \"k\"\nmodels = [\"lab/one\"]\n\
         price = {{ input = \"1\", output = \"2\", audio_out = \"20\" }}\n",
        lab.addr()
    );
    let gateway = Gateway::start(&config);
    let data = STANDARD.encode([1u8, 0, 2, 0]);
    let said = json!({
        "candidates": [{ "content": { "parts": [{ "inlineData": { "mimeType": "audio/L16;codec=pcm;rate=24000", "data": data } }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 5, "candidatesTokenCount": 50, "totalTokenCount": 55 },
    });
    for (format, media_type, head) in [("wav", "audio/wav", &b"RIFF"[..]), ("pcm", "audio/pcm", &[1, 0, 2, 0][..])] {
        lab.push(Script::json(200, &said));
        let got = gateway
            .post(SPEECH, &json!({ "model": "lab/one", "input": "Hi", "voice": "Kore", "response_format": format }))
            .await;
        assert_eq!((got.status, got.header("content-type")), (200, media_type), "{}", got.text());
        assert!(got.body.starts_with(head) && got.body.ends_with(&[1, 0, 2, 0]), "{format}");
        assert_eq!(gateway.record(&got).await["total_cost"], json!(0.001005), "{format}: its tokens are sound");
        let sent = lab.journal().last().expect("it was asked");
        let config = &sent.json()["generationConfig"];
        assert_eq!(config["responseModalities"], json!(["AUDIO"]));
        assert_eq!(config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"], "Kore");
    }
    let mp3 = gateway.post(SPEECH, &json!({ "model": "lab/one", "input": "Hi", "response_format": "mp3" })).await;
    assert_eq!((mp3.status, &mp3.error()["metadata"]["param"]), (400, &json!("response_format")), "{}", mp3.text());
}
