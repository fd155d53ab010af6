//! Rows: what is asked for and answered in each spelling.

use super::*;
use crate::ops::multipart::{self, Part};
use crate::ops::{self, Inquiry, Manner};
use crate::{End, Lens, Phase};
use bytes::BytesMut;
use serde_json::{Value, json};
use slip_ir::{Block, Choice, Media, MediaKind, Nano, Op, Pico, Price, Rates, Source};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUg==";

fn asked(shape: Shape, body: &Value) -> Inquiry {
    let bytes = Bytes::from(body.to_string());
    ops::read(Op::Image, shape, Body { media_type: "", bytes: &bytes }, None).expect("a request").1
}

fn form(parts: &[Part]) -> Result<Inquiry, Malformed> {
    let (media_type, body) = multipart::write(parts);
    let bytes = Bytes::from(body);
    ops::read(Op::Image, Shape::OpenAiEdits, Body { media_type: &media_type, bytes: &bytes }, None).map(|read| read.1)
}

fn file(name: &str, data: &'static [u8]) -> Part {
    Part {
        name: name.into(),
        file: Some("a.png".into()),
        media_type: Some("image/png".into()),
        data: Bytes::from_static(data),
    }
}

fn sent(inquiry: &Inquiry, to: Shape) -> (String, Value, Vec<String>) {
    let sent = ops::lower(inquiry, to, "m").expect("it can be asked");
    let losses = sent.losses.iter().map(|l| l.what.to_string()).collect();
    (sent.path, serde_json::from_slice(&sent.body).expect("JSON"), losses)
}

fn fields(sent: &Sent) -> Vec<(String, Option<String>, String)> {
    let parts = multipart::parse(&sent.media_type, &Bytes::copy_from_slice(&sent.body)).expect("a form");
    parts.into_iter().map(|p| (p.name, p.file, String::from_utf8_lossy(&p.data).into_owned())).collect()
}

fn stamp() -> Stamp {
    let rates =
        Rates { input: Pico(10_000_000), output: Pico(1), image_out: Some(Pico(40_000_000)), ..Rates::default() };
    let price = Price { rates, ..Price::default() };
    Stamp { id: "gen-1-x".into(), created: 7, price: Some(Arc::new(price)), ..Stamp::default() }
}

fn heard(inquiry: &Inquiry, from: Shape, said: &Value, stamp: &Stamp) -> Result<Answer, Fault> {
    let bytes = Bytes::from(said.to_string());
    ops::reply(inquiry, from, Body { media_type: "application/json", bytes: &bytes }, stamp)
}

#[test]
fn a_request_is_spelt_as_each_provider_reads_it() {
    let ask = json!({
        "model": "a/m", "prompt": "a cat", "n": 2, "size": "2K", "aspect_ratio": "16:9", "quality": "high",
        "seed": 3, "provider": { "order": ["x"] }, "style": "vivid",
    });
    let inquiry = asked(Shape::OpenRouter, &ask);
    let (path, body, losses) = sent(&inquiry, Shape::OpenAi);
    let want = json!({ "model": "m", "prompt": "a cat", "n": 2, "size": "1536x1024", "quality": "high" });
    assert_eq!((path.as_str(), body), ("/images/generations", want));
    assert_eq!(losses, ["resolution", "seed", "style"]);
    let (path, body, losses) = sent(&inquiry, Shape::OpenRouter);
    let want = json!({
        "model": "m", "prompt": "a cat", "n": 2, "size": "2K", "aspect_ratio": "16:9", "quality": "high", "seed": 3, "style": "vivid",
    });
    assert_eq!((path.as_str(), body, losses.len()), ("/images", want, 0));
    let openai = asked(Shape::OpenAi, &json!({ "model": "a/m", "prompt": "a cat", "moderation": "low" }));
    let (_, body, _) = sent(&openai, Shape::OpenAi);
    assert_eq!(body, json!({ "model": "m", "prompt": "a cat", "moderation": "low" }));
    let (_, body, _) = sent(&openai, Shape::OpenAiLinks);
    assert_eq!(body["response_format"], "b64_json", "or it would answer with an address");
}

#[test]
fn pictures_to_change_go_as_files_where_they_are_here_and_as_addresses_where_not() {
    let inquiry = form(&[
        Part::text("model", "a/m"),
        Part::text("prompt", "a hat"),
        file("image[]", b"one"),
        file("image[]", b"two"),
        file("mask", b"hole"),
        Part::text("input_fidelity", "high"),
    ])
    .expect("a request");
    let told = ops::lower(&inquiry, Shape::OpenAi, "m").expect("it can be asked");
    let names: Vec<String> =
        fields(&told).iter().map(|(name, file, data)| format!("{name}={data}{}", file.iter().len())).collect();
    assert_eq!(told.path, "/images/edits");
    assert_eq!(
        names,
        ["model=m0", "prompt=a hat0", "input_fidelity=high0", "image[]=one1", "image[]=two1", "mask=hole1"]
    );

    let data = format!("data:image/png;base64,{PNG}");
    let shown = |url: &str| json!({ "model": "a/m", "prompt": "p", "input_references": [{ "type": "image_url", "image_url": { "url": url } }] });
    let inline = ops::lower(&asked(Shape::OpenRouter, &shown(&data)), Shape::OpenAi, "m").expect("it can be asked");
    assert_eq!(
        fields(&inline).last().map(|(name, file, _)| (name.clone(), file.clone())),
        Some(("image".into(), Some("image.png".into())))
    );
    let (path, body, _) = sent(&asked(Shape::OpenRouter, &shown("https://x/a.png")), Shape::OpenAi);
    assert_eq!((path.as_str(), &body["images"]), ("/images/edits", &json!([{ "image_url": "https://x/a.png" }])));
    let (_, body, _) = sent(&inquiry, Shape::OpenRouter);
    assert_eq!(body["input_references"][1]["image_url"]["url"], "data:image/png;base64,dHdv");
}

#[test]
fn an_answer_is_told_in_the_words_of_each_caller() {
    let said = json!({
        "created": 5, "output_format": "webp", "data": [{ "b64_json": PNG }],
        "usage": { "input_tokens": 10, "output_tokens": 100, "total_tokens": 110, "input_tokens_details": { "text_tokens": 6, "image_tokens": 4 } },
    });
    let ask = json!({ "model": "a/m", "prompt": "a cat" });
    let cost = 0.0041;
    let openai = heard(&asked(Shape::OpenAi, &ask), Shape::OpenAi, &said, &stamp()).expect("an answer");
    let told: Value = serde_json::from_slice(&openai.body).expect("JSON");
    assert_eq!(
        (&told["output_format"], &told["usage"]["output_tokens"], &told["usage"]["cost"]),
        (&json!("webp"), &json!(100), &json!(cost))
    );
    assert_eq!(told["usage"]["input_tokens_details"], json!({ "text_tokens": 6, "image_tokens": 4 }));
    assert_eq!(openai.tally.usage, Some(Usage { input: 6, image_in: 4, image_out: 100, ..Usage::default() }));
    let router = heard(&asked(Shape::OpenRouter, &ask), Shape::OpenAi, &said, &stamp()).expect("an answer");
    let told: Value = serde_json::from_slice(&router.body).expect("JSON");
    assert_eq!(told["data"], json!([{ "b64_json": PNG, "media_type": "image/webp" }]));
    assert_eq!(
        (&told["created"], &told["usage"]["completion_tokens"], &told["usage"]["cost"]),
        (&json!(5), &json!(100), &json!(cost))
    );
}

#[test]
fn a_picture_priced_by_the_piece_is_counted_by_the_piece() {
    let price = Price { image: Pico(40_000_000_000), ..Price::default() };
    let stamp = Stamp { price: Some(Arc::new(price)), ..Stamp::default() };
    let said = json!({ "data": [{ "b64_json": PNG }, { "b64_json": PNG }] });
    let answer =
        heard(&asked(Shape::OpenAi, &json!({ "prompt": "p" })), Shape::OpenAi, &said, &stamp).expect("an answer");
    let usage = answer.tally.usage.expect("usage");
    assert_eq!((usage.images, usage.estimated), (2, false));
    assert_eq!(stamp.price.map(|p| p.cost(&usage).total), Some(Nano(80_000_000)));
}

#[test]
fn an_address_will_do_only_for_whom_it_does() {
    let said = json!({ "created": 1, "data": [{ "url": "https://x/a.png" }] });
    let rows = [
        (Shape::OpenAi, json!({ "prompt": "p" }), true),
        (Shape::OpenAi, json!({ "prompt": "p", "response_format": "url" }), true),
        (Shape::OpenAi, json!({ "prompt": "p", "response_format": "b64_json" }), false),
        (Shape::OpenRouter, json!({ "prompt": "p" }), false),
    ];
    for (caller, ask, fine) in rows {
        assert_eq!(heard(&asked(caller, &ask), Shape::OpenAiLinks, &said, &stamp()).is_ok(), fine, "{caller} {ask}");
    }
    for said in [json!({}), json!({ "data": [] }), json!({ "data": [{}] }), json!({ "error": { "message": "no" } })] {
        assert!(
            heard(&asked(Shape::OpenAi, &json!({ "prompt": "p" })), Shape::OpenAi, &said, &stamp()).is_err(),
            "{said}"
        );
    }
}

#[test]
fn a_stream_is_passed_on_with_its_price_and_told_in_openrouters_words() {
    let events = [
        json!({ "type": "image_edit.partial_image", "b64_json": "AAAA", "partial_image_index": 0, "output_format": "png" }),
        json!({ "type": "image_edit.completed", "b64_json": PNG, "created_at": 9, "output_format": "png",
                "usage": { "input_tokens": 10, "output_tokens": 100, "total_tokens": 110 } }),
    ];
    let wire: String =
        events.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap_or(""))).collect();
    for caller in [Shape::OpenAi, Shape::OpenRouter] {
        let inquiry = asked(caller, &json!({ "prompt": "p", "stream": true }));
        assert_eq!(inquiry.manner(), Manner::Events);
        for size in [1, 7, wire.len()] {
            let (flow, _) =
                ops::open(&inquiry, Shape::OpenAi, "text/event-stream", &Arc::new(stamp())).expect("it flows");
            let mut lens = Lens::service(flow);
            let mut out = BytesMut::new();
            wire.as_bytes().chunks(size).for_each(|chunk| lens.push(chunk, &mut out));
            assert_eq!(lens.phase(), Phase::Finished);
            let tally = lens.end(End::Eof, &mut out);
            assert_eq!((tally.fault, tally.usage.map(|u| u.image_out)), (None, Some(100)));
            let told = String::from_utf8(out.to_vec()).expect("text");
            assert!(told.contains("\"cost\":0.0041"), "{told}");
            match caller {
                Shape::OpenRouter => {
                    assert!(told.starts_with("data: {\"type\":\"image_generation.partial_image\""), "{told}");
                    assert!(
                        told.contains("\"media_type\":\"image/png\"") && told.ends_with("data: [DONE]\n\n"),
                        "{told}"
                    );
                }
                _ => assert!(told.starts_with("event: image_edit.partial_image\ndata: {"), "{told}"),
            }
        }
    }
}

#[test]
fn who_answers_whole_is_told_as_a_stream() {
    let said = json!({ "created": 5, "data": [{ "b64_json": PNG }] });
    let told = |caller| {
        let inquiry = asked(caller, &json!({ "prompt": "p", "stream": true }));
        let answer = heard(&inquiry, Shape::OpenAiLinks, &said, &stamp()).expect("an answer");
        assert_eq!(answer.media_type, "text/event-stream");
        String::from_utf8(answer.body.to_vec()).expect("text")
    };
    let openai = told(Shape::OpenAi);
    assert!(openai.starts_with("event: image_generation.completed\ndata: {") && !openai.contains("[DONE]"), "{openai}");
    let router = told(Shape::OpenRouter);
    assert!(router.contains("\"media_type\":\"image/png\"") && router.ends_with("data: [DONE]\n\n"), "{router}");
}

#[test]
fn a_stream_that_fails_says_so_in_its_own_form() {
    for (caller, start) in
        [(Shape::OpenAi, "event: error\ndata: {\"type\":\"error\","), (Shape::OpenRouter, "data: {\"type\":\"error\",")]
    {
        let inquiry = asked(caller, &json!({ "prompt": "p", "stream": true }));
        let (flow, _) = ops::open(&inquiry, Shape::OpenAi, "text/event-stream", &Arc::new(stamp())).expect("it flows");
        let mut lens = Lens::service(flow);
        let mut out = BytesMut::new();
        lens.push(b"data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AAAA\"}\n\n", &mut out);
        assert_eq!(lens.phase(), Phase::Flowing);
        out.clear();
        let tally = lens.end(End::Eof, &mut out);
        assert!(tally.fault.is_some() && out.starts_with(start.as_bytes()), "{caller}: {out:?}");
    }
}

#[test]
fn a_chat_model_is_asked_in_a_turn_and_its_pictures_are_taken_out() {
    let data = format!("data:image/png;base64,{PNG}");
    let ask = json!({ "prompt": "a hat", "input_references": [{ "image_url": { "url": data } }], "size": "1536x1024", "quality": "high" });
    let inquiry = asked(Shape::OpenRouter, &ask);
    let (request, losses) = ops::to_chat(&inquiry, "m").expect("it can be asked");
    assert_eq!(request.params.modalities, ["image", "text"]);
    assert_eq!(request.params.image_config.as_ref().map(Raw::as_str), Some(r#"{"aspect_ratio":"3:2"}"#));
    assert_eq!((request.turns[0].blocks.len(), losses.len()), (2, 1));
    let media = |mime: &str| {
        Block::Media(Media {
            kind: MediaKind::Image,
            source: Source::Data { mime: mime.into(), base64: PNG.into() },
            name: None,
            detail: None,
            cache: None,
            extra: None,
        })
    };
    let said = |blocks| slip_ir::Reply {
        choices: vec![Choice { blocks, ..Choice::default() }],
        usage: Some(Usage { input: 3, output: 100, ..Usage::default() }),
        ..slip_ir::Reply::default()
    };
    let answer =
        ops::from_chat(&inquiry, &said(vec![Block::text("here"), media("image/png")]), &stamp()).expect("a picture");
    let told: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(told["data"], json!([{ "b64_json": PNG, "media_type": "image/png" }]));
    assert_eq!(answer.tally.usage, Some(Usage { input: 3, image_out: 100, ..Usage::default() }));
    assert!(ops::from_chat(&inquiry, &said(vec![Block::text("no")]), &stamp()).is_err());
    let two = asked(Shape::OpenAi, &json!({ "prompt": "p", "n": 2 }));
    assert_eq!(ops::to_chat(&two, "m").unwrap_err().at, "n");
}

#[test]
fn a_request_that_cannot_be_read_is_refused_by_name() {
    let rows = [
        (json!({}), "prompt"),
        (json!({ "prompt": "" }), "prompt"),
        (json!({ "prompt": 5 }), "prompt"),
        (json!({ "prompt": "p", "n": 0 }), "n"),
        (json!({ "prompt": "p", "n": 11 }), "n"),
        (json!({ "prompt": "p", "stream": "yes" }), "stream"),
        (json!({ "prompt": "p", "size": "1024x1024", "resolution": "2K" }), "resolution"),
        (json!({ "prompt": "p", "size": "1024x1024", "aspect_ratio": "16:9" }), "aspect_ratio"),
        (json!({ "prompt": "p", "input_references": ["ftp://x"] }), "input_references[0]"),
        (json!({ "prompt": "p", "input_references": [{}] }), "input_references[0]"),
        (json!({ "prompt": "p", "images": vec!["https://x"; 17] }), "image"),
    ];
    for (body, at) in rows {
        let bytes = Bytes::from(body.to_string());
        let bad = ops::read(Op::Image, Shape::OpenAi, Body { media_type: "", bytes: &bytes }, None).unwrap_err();
        assert_eq!(bad.at, at, "{bad}");
    }
    let rows = [
        (vec![Part::text("prompt", "p")], "image"),
        (vec![Part::text("prompt", "p"), Part::text("image", "word")], "image"),
        (vec![Part::text("prompt", "p"), file("image", b"")], "image"),
        (vec![Part::text("prompt", "p"), file("image", b"x"), Part::text("n", "many")], "n"),
        (vec![Part::text("prompt", "p"), file("image", b"x"), Part::text("provider", "x")], "provider"),
    ];
    for (parts, at) in rows {
        assert_eq!(form(&parts).unwrap_err().at, at);
    }
}
