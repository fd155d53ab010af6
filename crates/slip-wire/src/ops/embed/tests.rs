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
        (Shape::Ollama, "/api/embed", json!({ "model": "m", "input": ["a", "b"], "dimensions": 8 })),
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
    assert_eq!(told(&ask("float"))["data"][0]["embedding"], json!([1, -1]));
    assert_eq!(told(&ask("base64"))["data"][0]["embedding"], "AACAPwAAgL8=");
    let own = heard(Shape::OpenAiInt8, Shape::OpenAiInt8, &ask("base64_int8"), &bytes).expect("an answer").0;
    assert_eq!(own["data"][0]["embedding"], "Af8=");
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
fn no_spelling_loses_a_digit() {
    let said =
        Bytes::from_static(br#"{"data":[{"embedding":[0.10,-1E-7]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#);
    let rows = [
        (Shape::OpenAi, json!({ "model": "m", "input": "a" })),
        (Shape::Gemini, json!({ "content": { "parts": [{ "text": "a" }] } })),
        (Shape::Gemini, json!({ "requests": [{ "content": { "parts": [{ "text": "a" }] } }] })),
        (Shape::Ollama, json!({ "model": "m", "input": "a" })),
        (Shape::OllamaOld, json!({ "model": "m", "prompt": "a" })),
        (Shape::Cohere, json!({ "model": "m", "texts": ["a"], "input_type": "search_query" })),
    ];
    for (caller, ask) in rows {
        let body = Body { media_type: "", bytes: &said };
        let answer = ops::reply(&asked(caller, &ask), Shape::OpenAi, body, &Stamp::default()).expect("an answer");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(text.contains("[0.10,-1E-7]"), "{caller}: {text}");
    }
}

#[test]
fn where_both_spell_alike_the_provider_s_other_words_go_along() {
    let rows = [
        (
            Shape::Cohere,
            json!({ "model": "m", "texts": ["a"], "input_type": "image", "embedding_types": ["int8", "float"] }),
            json!({ "id": "gen-1-x", "embeddings": { "int8": [[1]], "float": [[0.5]] }, "images": [{ "width": 2 }], "meta": { "billed_units": { "images": 1 } } }),
        ),
        (
            Shape::Ollama,
            json!({ "model": "m", "input": "a" }),
            json!({ "model": "a/m", "embeddings": [[1]], "total_duration": 7, "prompt_eval_count": 1 }),
        ),
        (
            Shape::Gemini,
            json!({ "content": { "parts": [{ "text": "a" }] } }),
            json!({ "embedding": { "values": [1] }, "usageMetadata": { "promptTokenCount": 1, "promptTokensDetails": [] } }),
        ),
    ];
    for (both, ask, want) in rows {
        let mut said = want.clone();
        for member in ["id", "model"] {
            if let Some(own) = said.get_mut(member) {
                *own = "theirs".into();
            }
        }
        let (told, usage) = heard(both, both, &ask, &said).expect("an answer");
        assert_eq!((told, usage.estimated), (want, false), "{both}");
    }
}

#[test]
fn an_answer_in_another_spelling_than_it_was_asked_in_is_understood() {
    let openai = json!({ "data": [{ "embedding": [1] }], "usage": { "prompt_tokens": 2, "total_tokens": 2 } });
    let rows = [
        (Shape::Ollama, openai.clone()),
        (Shape::Gemini, openai.clone()),
        (Shape::Cohere, openai),
        (Shape::OpenAi, json!({ "embedding": [1], "prompt_eval_count": 2 })),
        (
            Shape::OpenAi,
            json!({ "embeddings": { "int8": [[9]], "float": [[1]] }, "meta": { "billed_units": { "input_tokens": 2 } } }),
        ),
        (Shape::OpenAi, json!({ "embedding": { "values": [1] }, "usageMetadata": { "promptTokenCount": 2 } })),
    ];
    for (from, said) in rows {
        for (caller, ask, at) in [
            (Shape::OpenAi, json!({ "model": "m", "input": "a" }), "/data/0/embedding"),
            (Shape::Ollama, json!({ "model": "m", "input": "a" }), "/embeddings/0"),
            (Shape::Gemini, json!({ "content": { "parts": [{ "text": "a" }] } }), "/embedding/values"),
        ] {
            let (told, usage) = heard(from, caller, &ask, &said).unwrap_or_else(|f| panic!("{from} {said}: {f:?}"));
            assert_eq!((told.pointer(at), usage.input), (Some(&json!([1])), 2), "{from} to {caller}: {said}");
        }
    }
}

#[test]
fn google_s_batch_of_one_stays_a_batch() {
    let one = json!({ "content": { "parts": [{ "text": "a" }] }, "title": "t" });
    let (path, body, losses) = sent(Shape::Gemini, Shape::Gemini, &one);
    assert_eq!((path.as_str(), &body["title"], losses.len()), ("/models/m:embedContent", &json!("t"), 0));
    let (path, body, _) = sent(Shape::Gemini, Shape::Gemini, &json!({ "requests": [one] }));
    assert_eq!((path.as_str(), body["requests"].as_array().map(Vec::len)), ("/models/m:batchEmbedContents", Some(1)));
    assert_eq!(
        sent(Shape::OpenAi, Shape::Gemini, &json!({ "model": "m", "input": ["a"] })).0,
        "/models/m:embedContent"
    );
}

#[test]
fn the_form_of_the_vectors_is_asked_only_of_those_who_know_it() {
    let ask = |format: &str| json!({ "model": "m", "input": "a", "encoding_format": format });
    let rows = [
        (Shape::OpenAi, "base64", json!({ "encoding_format": "base64" })),
        (Shape::OpenAiInt8, "base64", json!({})),
        (Shape::OpenAiInt8, "float", json!({})),
        (Shape::OpenAiInt8, "base64_binary", json!({ "encoding_format": "base64_binary" })),
        (Shape::Voyage, "float", json!({})),
        (Shape::Voyage, "base64", json!({ "encoding_format": "base64" })),
        (Shape::Voyage, "int8", json!({ "output_dtype": "int8" })),
        (Shape::Jina, "base64", json!({ "embedding_type": "base64" })),
        (Shape::Cohere, "base64", json!({ "input_type": "search_document", "embedding_types": ["float"] })),
    ];
    for (to, format, own) in rows {
        let (_, mut body, _) = sent(Shape::OpenAi, to, &ask(format));
        let members = body.as_object_mut().expect("an object");
        ["model", "input", "texts"].iter().for_each(|name| drop(members.remove(*name)));
        assert_eq!(body, own, "{to} {format}");
    }
    let jina = json!({ "model": "m", "input": "a", "embedding_type": "binary", "late_chunking": true });
    let (_, body, losses) = sent(Shape::OpenAi, Shape::Jina, &jina);
    assert_eq!((&body["embedding_type"], &body["late_chunking"]), (&json!("binary"), &json!(true)));
    assert!(losses.is_empty(), "{losses:?}");
    let voyage = json!({ "model": "m", "input": "a", "output_dtype": "int8" });
    assert_eq!(sent(Shape::OpenAi, Shape::Voyage, &voyage).1["output_dtype"], "int8");
    let int8 = json!({ "model": "m", "texts": ["a"], "input_type": "search_query", "embedding_types": ["int8"] });
    assert!(ops::lower(&asked(Shape::Cohere, &int8), Shape::OpenAi, "m").is_err(), "floats are no bytes");
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
