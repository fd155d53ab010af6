//! Rows: what is asked and answered in each spelling.

use super::*;
use crate::ops::{self, Inquiry};
use bytes::Bytes;
use serde_json::{Value, json};
use slip_ir::Op;

fn asked(shape: Shape, body: &Value) -> Inquiry {
    let bytes = Bytes::from(body.to_string());
    ops::read(Op::Embeddings, shape, Body { media_type: "", bytes: &bytes }, None).expect("a request").1
}

fn sent(from: Shape, to: Shape, body: &Value) -> (String, Value, Vec<String>) {
    let sent = ops::lower(&asked(from, body), to, "m").expect("it can be asked");
    let losses = sent.losses.iter().map(|l| l.what.to_string()).collect();
    (sent.path, serde_json::from_slice(&sent.body).expect("JSON"), losses)
}

fn heard(from: Shape, to: Shape, ask: &Value, said: &Value) -> Result<(Value, Usage), Fault> {
    let bytes = Bytes::from(said.to_string());
    let stamp = Stamp { id: "gen-1-x".into(), model: "a/m".into(), prompt_estimate: 9, ..Stamp::default() };
    let body = Body { media_type: "application/json", bytes: &bytes };
    let answer = ops::reply(&asked(to, ask), from, body, &stamp)?;
    Ok((serde_json::from_slice(&answer.body).expect("JSON"), answer.tally.usage.expect("usage")))
}

#[test]
fn a_request_is_spelt_as_each_provider_reads_it() {
    let ask = json!({ "model": "a/m", "input": ["a", "b"], "dimensions": 8, "input_type": "search_query" });
    let rows = [
        (
            Shape::OpenAi,
            "/embeddings",
            json!({ "model": "m", "input": ["a", "b"], "dimensions": 8, "input_type": "search_query" }),
        ),
        (
            Shape::Voyage,
            "/embeddings",
            json!({ "model": "m", "input": ["a", "b"], "output_dimension": 8, "input_type": "query" }),
        ),
        (
            Shape::Jina,
            "/embeddings",
            json!({ "model": "m", "input": ["a", "b"], "dimensions": 8, "task": "retrieval.query" }),
        ),
        (
            Shape::Cohere,
            "/embed",
            json!({ "model": "m", "texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"], "output_dimension": 8 }),
        ),
        (
            Shape::Gemini,
            "/models/m:batchEmbedContents",
            json!({ "requests": [
                { "model": "models/m", "content": { "parts": [{ "text": "a" }] }, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8 },
                { "model": "models/m", "content": { "parts": [{ "text": "b" }] }, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8 },
            ] }),
        ),
        (
            Shape::Predict,
            "/models/m:predict",
            json!({
                "instances": [{ "content": "a", "task_type": "RETRIEVAL_QUERY" }, { "content": "b", "task_type": "RETRIEVAL_QUERY" }],
                "parameters": { "outputDimensionality": 8 },
            }),
        ),
        (Shape::Ollama, "/embed", json!({ "model": "m", "input": ["a", "b"], "dimensions": 8 })),
    ];
    for (to, path, want) in rows {
        let (to_path, body, losses) = sent(Shape::OpenAi, to, &ask);
        assert_eq!((to_path.as_str(), &body), (path, &want), "{to}");
        assert_eq!(losses.is_empty(), to != Shape::Ollama, "{to}: {losses:?}");
    }
}

#[test]
fn what_only_the_caller_s_spelling_knows_is_carried_there_and_told_elsewhere() {
    let ask = json!({ "model": "a/m", "input": "a", "truncation": true, "provider": { "sort": "price" } });
    assert_eq!(sent(Shape::OpenAi, Shape::OpenAi, &ask).1, json!({ "model": "m", "input": ["a"], "truncation": true }));
    assert_eq!(sent(Shape::OpenAi, Shape::Cohere, &ask).2, ["truncation"]);
}

#[test]
fn tokens_and_pictures_go_only_where_they_are_understood() {
    let tokens = json!({ "model": "a/m", "input": [[1, 2], [3]] });
    assert_eq!(sent(Shape::OpenAi, Shape::OpenAi, &tokens).1["input"], json!([[1, 2], [3]]));
    assert_eq!(
        sent(Shape::OpenAi, Shape::OpenAi, &json!({ "model": "m", "input": [1, 2] })).1["input"],
        json!([[1, 2]])
    );
    for to in [Shape::Cohere, Shape::Gemini, Shape::Ollama, Shape::Voyage] {
        assert!(ops::lower(&asked(Shape::OpenAi, &tokens), to, "m").is_err(), "{to}");
    }
    let picture = json!({ "model": "m", "images": ["data:image/png;base64,AA=="], "input_type": "image" });
    assert_eq!(sent(Shape::Cohere, Shape::Cohere, &picture).1["images"], picture["images"]);
    assert_eq!(
        sent(Shape::Cohere, Shape::Jina, &picture).1["input"],
        json!([{ "image": "data:image/png;base64,AA==" }])
    );
}

#[test]
fn vectors_come_back_in_the_order_of_the_inputs_with_every_digit() {
    let ask = json!({ "model": "a/m", "input": ["a", "b"] });
    let two = json!([[0.1, -2.50], [3, 4e-7]]);
    let said = [
        (
            Shape::OpenAi,
            json!({ "data": [{ "index": 1, "embedding": two[1] }, { "index": 0, "embedding": two[0] }], "usage": { "prompt_tokens": 4, "total_tokens": 4 } }),
        ),
        (
            Shape::Voyage,
            json!({ "data": [{ "embedding": two[0] }, { "embedding": two[1] }], "usage": { "total_tokens": 4 } }),
        ),
        (Shape::Cohere, json!({ "embeddings": { "float": two }, "meta": { "billed_units": { "input_tokens": 4.0 } } })),
        (Shape::Cohere, json!({ "embeddings": two, "meta": { "billed_units": { "input_tokens": 4 } } })),
        (
            Shape::Gemini,
            json!({ "embeddings": [{ "values": two[0] }, { "values": two[1] }], "usageMetadata": { "promptTokenCount": 4 } }),
        ),
        (
            Shape::Predict,
            json!({ "predictions": [
                { "embeddings": { "values": two[0], "statistics": { "token_count": 3 } } },
                { "embeddings": { "values": two[1], "statistics": { "token_count": 1 } } },
            ] }),
        ),
        (Shape::Ollama, json!({ "embeddings": two, "prompt_eval_count": 4 })),
    ];
    for (from, said) in said {
        let (told, usage) = heard(from, Shape::OpenAi, &ask, &said).expect("an answer");
        assert_eq!(
            (told["data"][0]["embedding"].to_string(), told["data"][1]["embedding"].to_string()),
            ("[0.1,-2.5]".into(), "[3,4e-7]".into()),
            "{from}"
        );
        assert_eq!((usage.input, usage.estimated, &told["usage"]["prompt_tokens"]), (4, false, &json!(4)), "{from}");
        assert_eq!(
            (&told["object"], &told["data"][1]["index"], &told["id"]),
            (&json!("list"), &json!(1), &json!("gen-1-x"))
        );
    }
}

#[test]
fn base64_and_numbers_are_made_of_each_other() {
    let numbers = json!({ "data": [{ "embedding": [1.0, -0.5] }], "usage": { "total_tokens": 1 } });
    let base64 = json!({ "data": [{ "embedding": "AACAPwAAAL8=" }], "usage": { "total_tokens": 1 } });
    let ask = |format: &str| json!({ "model": "m", "input": "a", "encoding_format": format });
    for said in [&numbers, &base64] {
        let told = |format| heard(Shape::OpenAi, Shape::OpenAi, &ask(format), said).expect("an answer").0;
        assert_eq!(told("base64")["data"][0]["embedding"], "AACAPwAAAL8=");
        assert_eq!(told("float")["data"][0]["embedding"], json!([1.0, -0.5]));
    }
    let bytes = json!({ "data": [{ "embedding": "Af8=" }], "usage": { "total_tokens": 1 } });
    let plain = json!({ "model": "m", "input": "a" });
    let told = |ask: &Value| heard(Shape::OpenAiInt8, Shape::OpenAi, ask, &bytes).expect("an answer").0;
    assert_eq!(told(&plain)["data"][0]["embedding"], json!([1, -1]));
    assert_eq!(told(&ask("base64_int8"))["data"][0]["embedding"], "Af8=");
}

#[test]
fn every_surface_is_answered_in_its_own_words() {
    let said = json!({ "data": [{ "embedding": [1, 2] }], "usage": { "prompt_tokens": 3, "total_tokens": 3 } });
    let told = |to, ask: Value| heard(Shape::OpenAi, to, &ask, &said).expect("an answer").0;
    let one = told(Shape::Gemini, json!({ "content": { "parts": [{ "text": "a" }] } }));
    assert_eq!(one["embedding"]["values"], json!([1, 2]));
    let many = told(Shape::Gemini, json!({ "requests": [{ "content": { "parts": [{ "text": "a" }] } }] }));
    assert_eq!(many["embeddings"][0]["values"], json!([1, 2]));
    assert_eq!(told(Shape::Ollama, json!({ "model": "m", "input": "a" }))["embeddings"], json!([[1, 2]]));
    assert_eq!(told(Shape::OllamaOld, json!({ "model": "m", "prompt": "a" })), json!({ "embedding": [1, 2] }));
    let cohere = told(
        Shape::Cohere,
        json!({ "model": "m", "texts": ["a"], "input_type": "search_query", "embedding_types": ["float"] }),
    );
    assert_eq!((&cohere["embeddings"]["float"], &cohere["texts"]), (&json!([[1, 2]]), &json!(["a"])));
}

#[test]
fn too_few_vectors_and_nonsense_are_the_provider_s_failure() {
    let ask = json!({ "model": "a/m", "input": ["a", "b"] });
    for said in [
        json!({}),
        json!({ "data": [] }),
        json!({ "data": [{ "embedding": [1] }] }),
        json!({ "data": [{ "embedding": "not base64!" }, { "embedding": [1] }] }),
        json!({ "data": [{ "embedding": "AAA=" }, { "embedding": [1] }] }),
    ] {
        assert!(heard(Shape::OpenAi, Shape::OpenAi, &ask, &said).is_err(), "{said}");
    }
    let unpaid = json!({ "data": [{ "embedding": [1] }, { "embedding": [2] }] });
    let (_, usage) = heard(Shape::OpenAi, Shape::OpenAi, &ask, &unpaid).expect("an answer");
    assert_eq!((usage.input, usage.estimated), (9, true));
}

#[test]
fn a_request_that_cannot_be_read_is_refused_by_name() {
    let rows = [
        (json!({ "model": "m" }), "input"),
        (json!({ "model": "m", "input": [] }), "input"),
        (json!({ "model": "m", "input": 7 }), "input"),
        (json!({ "model": "m", "input": ["a", null] }), "input[1]"),
        (json!({ "model": "m", "input": "a", "dimensions": -1 }), "dimensions"),
        (json!({ "model": "m", "input": "a", "provider": 5 }), "provider"),
        (json!({ "model": "m", "input": vec!["a"; MAX_INPUTS + 1] }), "input"),
    ];
    for (body, at) in rows {
        let bytes = Bytes::from(body.to_string());
        let bad = ops::read(Op::Embeddings, Shape::OpenAi, Body { media_type: "", bytes: &bytes }, None).unwrap_err();
        assert_eq!(bad.at, at, "{bad}");
    }
}
