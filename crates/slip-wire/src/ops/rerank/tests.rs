//! Rows: what is asked and answered in each spelling.

use super::*;
use crate::ops::{self, Inquiry};
use bytes::Bytes;
use serde_json::{Value, json};
use slip_ir::{Op, Pico, Price};
use std::sync::Arc;

fn asked(shape: Shape, body: &Value) -> Result<Inquiry, Malformed> {
    let bytes = Bytes::from(body.to_string());
    ops::read(Op::Rerank, shape, Body { media_type: "", bytes: &bytes }, None).map(|(_, inquiry)| inquiry)
}

fn sent(from: Shape, to: Shape, body: &Value) -> (Value, Vec<String>) {
    let sent = ops::lower(&asked(from, body).expect("a request"), to, "m").expect("it can be asked");
    let losses = sent.losses.iter().map(|l| l.what.to_string()).collect();
    assert_eq!(sent.path, "/rerank");
    (serde_json::from_slice(&sent.body).expect("JSON"), losses)
}

fn stamp(search: u64) -> Stamp {
    let price = Price { search: Pico(search), ..Price::default() };
    Stamp {
        id: "gen-1-x".into(),
        model: "a/m".into(),
        provider: "P".into(),
        prompt_estimate: 9,
        price: Some(Arc::new(price)),
        ..Stamp::default()
    }
}

fn heard(caller: Shape, ask: &Value, said: &str, stamp: &Stamp) -> Result<(String, Value, Usage), Fault> {
    let inquiry = asked(caller, ask).expect("a request");
    let bytes = Bytes::from(said.to_owned());
    let body = Body { media_type: "application/json", bytes: &bytes };
    let answer = ops::reply(&inquiry, Shape::Jina, body, stamp)?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let value = serde_json::from_str(&text).expect("JSON");
    Ok((text, value, answer.tally.usage.expect("usage")))
}

#[test]
fn a_request_is_spelt_as_each_provider_reads_it() {
    let ask = json!({ "model": "a/m", "query": "q", "documents": ["a", { "text": "b" }], "top_n": 1, "provider": {} });
    let rows = [
        (Shape::OpenAi, json!({ "top_n": 1 })),
        (Shape::Cohere, json!({ "top_n": 1 })),
        (Shape::Voyage, json!({ "top_k": 1 })),
        (Shape::Jina, json!({ "top_n": 1, "return_documents": false })),
    ];
    for (to, own) in rows {
        let mut want = json!({ "model": "m", "query": "q", "documents": ["a", "b"] });
        want.as_object_mut().expect("an object").extend(own.as_object().expect("an object").clone());
        assert_eq!(sent(Shape::OpenAi, to, &ask), (want, vec![]), "{to}");
    }
    let voyage = json!({ "model": "m", "query": "q", "documents": ["a"], "top_k": 3 });
    assert_eq!(sent(Shape::OpenAi, Shape::Cohere, &voyage).0["top_n"], 3);
}

#[test]
fn what_only_the_caller_s_spelling_knows_is_carried_there_and_told_elsewhere() {
    let ask = json!({ "model": "m", "query": "q", "documents": ["a"], "max_tokens_per_doc": 9 });
    assert_eq!(sent(Shape::Cohere, Shape::Cohere, &ask).0["max_tokens_per_doc"], 9);
    assert_eq!(sent(Shape::OpenAi, Shape::Jina, &ask).0["max_tokens_per_doc"], 9);
    assert_eq!(sent(Shape::OpenAi, Shape::Voyage, &ask).1, ["max_tokens_per_doc"]);
}

#[test]
fn pictures_go_only_where_they_are_understood() {
    let ask = json!({ "model": "m", "query": "q", "documents": [{ "image": "https://x/y.png", "text": "t" }] });
    assert_eq!(sent(Shape::OpenAi, Shape::Jina, &ask).0["documents"], ask["documents"]);
    for to in [Shape::Cohere, Shape::Voyage] {
        assert!(ops::lower(&asked(Shape::OpenAi, &ask).expect("a request"), to, "m").is_err(), "{to}");
    }
    let bytes = Bytes::from(ask.to_string());
    let body = Body { media_type: "", bytes: &bytes };
    let (peek, _) = ops::read(Op::Rerank, Shape::OpenAi, body, None).expect("a request");
    assert!(peek.want.media.contains(slip_ir::MediaKind::Image));
}

/// Each as its provider writes it: out of order, with other names, with the counts in other places.
const SAID: [(&str, &str, u64, u64); 7] = [
    (
        "OpenRouter",
        r#"{"results":[{"index":1,"relevance_score":0.90},{"index":0,"relevance_score":1e-3}],"usage":{"total_tokens":4,"cost":3.4e-7}}"#,
        4,
        0,
    ),
    (
        "Cohere",
        r#"{"results":[{"index":1,"relevance_score":0.90},{"index":0,"relevance_score":1e-3}],"id":"x","meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2.0}}}"#,
        0,
        2,
    ),
    (
        "Voyage",
        r#"{"object":"list","data":[{"relevance_score":0.90,"index":1},{"relevance_score":1e-3,"index":0}],"usage":{"total_tokens":4}}"#,
        4,
        0,
    ),
    (
        "Jina",
        r#"{"results":[{"index":0,"relevance_score":1e-3},{"index":1,"document":{"text":"b"},"relevance_score":0.90}],"usage":{"total_tokens":4}}"#,
        4,
        0,
    ),
    (
        "llama.cpp",
        r#"{"object":"list","usage":{"prompt_tokens":4,"total_tokens":4},"results":[{"index":0,"relevance_score":1e-3},{"index":1,"relevance_score":0.90}]}"#,
        4,
        0,
    ),
    (
        "SiliconFlow",
        r#"{"results":[{"index":0,"relevance_score":1e-3},{"index":1,"relevance_score":0.90}],"tokens":{"input_tokens":4,"output_tokens":0}}"#,
        4,
        0,
    ),
    ("text-embeddings-inference", r#"[{"index":1,"score":0.90},{"index":0,"score":1e-3}]"#, 9, 0),
];

#[test]
fn every_ranking_comes_back_best_first_with_its_documents_and_every_digit() {
    let ask = json!({ "model": "a/m", "query": "q", "documents": ["a", "b"] });
    for (who, said, tokens, searches) in SAID {
        let (text, told, usage) = heard(Shape::OpenAi, &ask, said, &stamp(0)).expect("an answer");
        assert!(
            text.contains(r#""results":[{"index":1,"relevance_score":0.90,"document":{"text":"b"}},{"index":0,"relevance_score":1e-3,"document":{"text":"a"}}]"#),
            "{who}: {text}"
        );
        assert_eq!((usage.input, usage.searches), (tokens, searches), "{who}");
        assert_eq!(told["usage"]["total_tokens"], tokens, "{who}");
        assert_eq!(told["usage"].get("search_units").is_some(), searches > 0, "{who}");
        assert_eq!((&told["id"], &told["model"], &told["provider"]), (&json!("gen-1-x"), &json!("a/m"), &json!("P")));
    }
}

#[test]
fn cohere_s_callers_hear_cohere_s_words() {
    let ask = json!({ "model": "a/m", "query": "q", "documents": ["a", "b"], "top_n": 1 });
    let (_, told, _) = heard(Shape::Cohere, &ask, SAID[1].1, &stamp(0)).expect("an answer");
    assert_eq!(
        told,
        json!({
            "id": "gen-1-x",
            "results": [{ "index": 1, "relevance_score": 0.9 }],
            "meta": { "api_version": { "version": "2" }, "billed_units": { "search_units": 2 } },
        })
    );
}

#[test]
fn only_the_best_are_told_and_without_documents_where_that_was_asked() {
    let ask = json!({ "query": "q", "documents": ["a", "b"], "top_n": 1, "return_documents": false, "model": "m" });
    let (text, _, _) = heard(Shape::OpenAi, &ask, SAID[3].1, &stamp(0)).expect("an answer");
    assert!(text.contains(r#""results":[{"index":1,"relevance_score":0.90}]"#), "{text}");
}

#[test]
fn searches_are_counted_where_they_are_paid_and_nobody_counted_them() {
    let ask = json!({ "model": "m", "query": "q", "documents": vec!["a"; 250] });
    let said = json!({ "results": [{ "index": 7, "relevance_score": 0.5 }] }).to_string();
    let two_dollars_a_thousand = Pico::per_unit("0.002").expect("a price").0;
    let (_, told, usage) = heard(Shape::OpenAi, &ask, &said, &stamp(two_dollars_a_thousand)).expect("an answer");
    assert_eq!((usage.searches, usage.estimated), (3, true));
    assert_eq!((&told["usage"]["search_units"], &told["usage"]["cost"]), (&json!(3), &json!(0.006)));
}

#[test]
fn nonsense_is_the_provider_s_failure() {
    let ask = json!({ "model": "a/m", "query": "q", "documents": ["a", "b"] });
    for said in [
        "{}",
        "[]",
        "x",
        r#"{"results":[]}"#,
        r#"{"results":[{"index":2,"relevance_score":0.5}]}"#,
        r#"{"results":[{"index":0,"relevance_score":0.5},{"index":0,"relevance_score":0.5}]}"#,
        r#"{"results":[{"index":-1,"relevance_score":0.5}]}"#,
        r#"{"results":[{"index":0,"relevance_score":"high"}]}"#,
        r#"{"results":[{"index":0}]}"#,
    ] {
        assert!(heard(Shape::OpenAi, &ask, said, &stamp(0)).is_err(), "{said}");
    }
}

#[test]
fn a_request_that_cannot_be_read_is_refused_by_name() {
    let rows = [
        (json!({ "documents": ["a"] }), "query"),
        (json!({ "query": "", "documents": ["a"] }), "query"),
        (json!({ "query": {}, "documents": ["a"] }), "query"),
        (json!({ "query": "q" }), "documents"),
        (json!({ "query": "q", "documents": [] }), "documents"),
        (json!({ "query": "q", "documents": "a" }), "documents"),
        (json!({ "query": "q", "documents": ["a", 5] }), "documents[1]"),
        (json!({ "query": "q", "documents": [{}] }), "documents[0]"),
        (json!({ "query": "q", "documents": [{ "text": 5 }] }), "documents[0].text"),
        (json!({ "query": "q", "documents": ["a"], "top_n": 0 }), "top_n"),
        (json!({ "query": "q", "documents": vec!["a"; MAX_DOCUMENTS + 1] }), "documents"),
    ];
    for (body, at) in rows {
        assert_eq!(asked(Shape::OpenAi, &body).unwrap_err().at, at, "{body:.80}");
    }
}
