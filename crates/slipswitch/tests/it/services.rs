//! What models do besides talking, from outside: vectors, rankings, verdicts and counts on every surface, from providers of every
//! spelling.

use crate::harness::{Gateway, Got, KEY, provider};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Fault, Script, Scripted, Sim, SimConfig};

/// One simulated upstream behind providers of every spelling.
fn spellings(sim: &Sim) -> String {
    let address = sim.addr();
    let one = |slug: &str, base: &str, model: &str, output: &str, price: &str| {
        format!(
            "[providers.{slug}]\nbase_url = \"http://{address}{base}\"\nkey = \"k\"\nallow_private = true\n\
             models = [{{ id = \"lab/{model}\", upstream = \"up-{model}\", output = [\"{output}\"] }}]\nprice = {price}\n\n"
        )
    };
    let tokens = r#"{ input = "2", output = "0" }"#;
    [
        one("openai", "/v1", "openai", "embeddings", tokens),
        one("cohere", "/v2", "cohere", "embeddings", tokens),
        one("google-ai-studio", "/v1beta", "google", "embeddings", tokens),
        one("ollama", "", "ollama", "embeddings", tokens),
        one("voyage", "/v1", "voyage", "embeddings", tokens),
        one("jina", "/v1", "jina", "embeddings", tokens),
    ]
    .concat()
}

async fn sim() -> Sim {
    failing(None).await
}

async fn failing(mode: Option<&str>) -> Sim {
    let fault = mode.map(|mode| Fault::parse(mode).expect("a mode"));
    Sim::start(SimConfig { fault, ..SimConfig::default() }).await.expect("a socket")
}

async fn ask(gateway: &Gateway, path: &str, body: &Value) -> Got {
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    gateway.send(Method::POST, path, &headers, Bytes::from(body.to_string())).await
}

const MODELS: [&str; 6] = ["openai", "cohere", "google", "ollama", "voyage", "jina"];

#[tokio::test]
async fn vectors_are_the_same_whoever_asks_and_whoever_answers() {
    let sim = sim().await;
    let gateway = Gateway::start(&spellings(&sim));
    let texts = ["hello world", "and again"];
    let mut first = Value::Null;
    for model in MODELS.map(|m| format!("lab/{m}")) {
        let google = json!({ "content": { "parts": [{ "text": texts[0] }] } });
        let rows = [
            ("/api/v1/embeddings".to_owned(), json!({ "model": model, "input": texts }), "/data/0/embedding"),
            (
                "/v2/embed".to_owned(),
                json!({ "model": model, "texts": texts, "input_type": "search_document", "embedding_types": ["float"] }),
                "/embeddings/float/0",
            ),
            ("/api/embed".to_owned(), json!({ "model": model, "input": texts }), "/embeddings/0"),
            ("/api/embeddings".to_owned(), json!({ "model": model, "prompt": texts[0] }), "/embedding"),
            (format!("/v1beta/models/{model}:embedContent"), google.clone(), "/embedding/values"),
            (
                format!("/v1beta/models/{model}:batchEmbedContents"),
                json!({ "requests": [google] }),
                "/embeddings/0/values",
            ),
        ];
        for (path, body, at) in rows {
            let got = ask(&gateway, &path, &body).await;
            assert_eq!(got.status, 200, "{model} {path}: {}", got.text());
            let vector = got.json().pointer(at).cloned().unwrap_or_else(|| panic!("{model} {path}: {}", got.text()));
            if first.is_null() {
                first = vector.clone();
            }
            assert_eq!(vector, first, "{model} {path}");
            assert!(got.header("x-generation-id").starts_with("gen-"), "{path}");
        }
    }
}

#[tokio::test]
async fn vectors_keep_their_order_and_cost_to_the_cent() {
    let sim = sim().await;
    let gateway = Gateway::start(&spellings(&sim));
    let texts: Vec<String> = (0..300).map(|n| format!("text number {n}")).collect();
    let one = ask(&gateway, "/v1/embeddings", &json!({ "model": "lab/openai", "input": texts[217] })).await.json();
    let body = json!({ "model": "lab/openai", "input": texts, "user": "u", "dimensions": 64 });
    let got = ask(&gateway, "/v1/embeddings", &body).await;
    let told = got.json();
    assert_eq!(
        told["data"][217],
        json!({ "object": "embedding", "index": 217, "embedding": one["data"][0]["embedding"] })
    );
    // Three tokens a text, at two dollars a million.
    assert_eq!((&told["usage"]["prompt_tokens"], &told["usage"]["cost"]), (&json!(900), &json!(0.0018)));
    assert_eq!((&told["model"], &told["provider"]), (&json!("lab/openai"), &json!("OpenAI")));
    let record = gateway.record(&got).await;
    assert_eq!(
        (
            &record["api_type"],
            &record["tokens_prompt"],
            &record["total_cost"],
            &record["model"],
            &record["external_user"]
        ),
        (&json!("embeddings"), &json!(900), &json!(0.0018), &json!("lab/openai"), &json!("u"))
    );
    assert_eq!(record["slipswitch"]["operation"], "embeddings");
}

#[tokio::test]
async fn what_openai_s_libraries_ask_by_themselves_is_understood() {
    let sim = sim().await;
    let gateway = Gateway::start(&spellings(&sim));
    for model in MODELS.map(|m| format!("lab/{m}")) {
        let packed = json!({ "model": model, "input": "hello world", "encoding_format": "base64" });
        let packed = ask(&gateway, "/v1/embeddings", &packed).await.json();
        let plain = ask(&gateway, "/v1/embeddings", &json!({ "model": model, "input": "hello world" })).await.json();
        let bytes = crate::corpus::base64(packed["data"][0]["embedding"].as_str().expect("a text")).expect("base64");
        let floats: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let numbers: Vec<f32> = serde_json::from_value(plain["data"][0]["embedding"].clone()).expect("numbers");
        assert_eq!(floats, numbers, "{model}");
    }
}

#[tokio::test]
async fn another_provider_and_another_model_are_tried_when_one_fails() {
    for mode in ["status:500", "close", "html", "bad-json", "empty", "error-200", "auth", "short-body", "status:429"] {
        let (bad, good) = (failing(Some(mode)).await, sim().await);
        let config = provider("bad", Dialect::OpenAiChat, &bad.base_url(), &["lab/one", "lab/other"])
            + &provider("good", Dialect::OpenAiChat, &good.base_url(), &["lab/one", "lab/two"]);
        let gateway = Gateway::start(&config);
        let order = json!({ "order": ["bad", "good"] });
        let body = json!({ "model": "lab/one", "input": "x", "provider": order });
        let got = ask(&gateway, "/v1/embeddings", &body).await;
        assert_eq!((got.status, &got.json()["provider"]), (200, &json!("good")), "{mode}: {}", got.text());
        let record = gateway.record(&got).await;
        assert_eq!(record["provider_responses"].as_array().map(Vec::len), Some(2), "{mode}: both attempts are told");
        let body =
            json!({ "model": "lab/other", "models": ["lab/other", "lab/two"], "query": "q", "documents": ["a"] });
        let got = ask(&gateway, "/v1/rerank", &body).await;
        assert_eq!((got.status, &got.json()["model"]), (200, &json!("lab/two")), "{mode}: {}", got.text());
    }
}

#[tokio::test]
async fn a_failure_is_told_in_the_words_of_whoever_asked() {
    let bad = failing(Some("status:500")).await;
    let gateway = Gateway::start(&provider("bad", Dialect::OpenAiChat, &bad.base_url(), &["lab/one"]));
    let embed = json!({ "model": "lab/one", "input": "x", "texts": ["x"], "input_type": "search_query", "query": "q", "documents": ["a"] });
    for path in ["/v1/embeddings", "/v2/embed", "/api/embed", "/v1/rerank", "/v2/rerank", "/v1/moderations"] {
        let got = ask(&gateway, path, &embed).await;
        assert_eq!((got.status, got.header("x-should-retry")), (502, "false"), "{path}: {}", got.text());
        assert!(got.header("x-generation-id").starts_with("gen-"), "{path}");
        assert_eq!(gateway.record(&got).await["total_cost"], 0.0, "{path}: nothing came of it");
    }
    let google = json!({ "content": { "parts": [{ "text": "x" }] } });
    let got = ask(&gateway, "/v1beta/models/lab/one:embedContent", &google).await;
    assert_eq!((got.status, got.error()["status"].is_string()), (502, true), "{}", got.text());
}

#[tokio::test]
async fn documents_come_back_best_first_from_every_provider_on_every_surface() {
    let sim = sim().await;
    let address = sim.addr();
    let one = |slug: &str, base: &str, price: &str| {
        format!(
            "[providers.{slug}]\nbase_url = \"http://{address}{base}\"\nkey = \"k\"\nallow_private = true\n\
             models = [{{ id = \"lab/{slug}\", output = [\"rerank\"] }}]\nprice = {price}\n\n"
        )
    };
    let tokens = r#"{ input = "2", output = "0" }"#;
    let config = [
        one("cohere", "/v2", r#"{ input = "0", output = "0", search = "0.002" }"#),
        one("voyage", "/v1", tokens),
        one("jina", "/v1", tokens),
        one("openrouter", "/v1", tokens),
        one("vllm", "/v1", tokens),
    ]
    .concat();
    let gateway = Gateway::start(&config);
    let documents = json!(["a stone", { "text": "the red fox" }, "a fox"]);
    for slug in ["cohere", "voyage", "jina", "openrouter", "vllm"] {
        let body = json!({ "model": format!("lab/{slug}"), "query": "red fox", "documents": documents, "top_n": 2 });
        let got = ask(&gateway, "/api/v1/rerank", &body).await;
        let told = got.json();
        assert_eq!(
            told["results"],
            json!([
                { "index": 1, "relevance_score": 0.99, "document": { "text": "the red fox" } },
                { "index": 2, "relevance_score": 0.5, "document": { "text": "a fox" } },
            ]),
            "{slug}: {}",
            got.text()
        );
        // Two tokens of query for each of three documents, and seven of theirs.
        let (units, tokens, cost) = if slug == "cohere" { (json!(1), 0, 0.002) } else { (Value::Null, 13, 0.000026) };
        assert_eq!(
            (&told["usage"]["search_units"], &told["usage"]["total_tokens"], &told["usage"]["cost"]),
            (&units, &json!(tokens), &json!(cost)),
            "{slug}"
        );
        let record = gateway.record(&got).await;
        assert_eq!((&record["api_type"], &record["total_cost"]), (&json!("rerank"), &json!(cost)), "{slug}");
        let got = ask(&gateway, "/v2/rerank", &body).await.json();
        assert_eq!(
            (&got["results"][0], got["meta"].is_object()),
            (&json!({ "index": 1, "relevance_score": 0.99 }), true),
            "{slug}"
        );
    }
}

#[tokio::test]
async fn verdicts_go_through_with_whatever_categories_they_have() {
    let sim = sim().await;
    let address = sim.addr();
    let gateway = Gateway::start(&format!(
        "[providers.openai]\nbase_url = \"http://{address}/v1\"\nkey = \"k\"\nallow_private = true\n\
         models = [{{ id = \"openai/omni-moderation-latest\", output = [\"moderation\"] }}]\nprice = {{ input = \"0\", output = \"0\" }}\n\
         [providers.mistral]\nbase_url = \"http://{address}/v1\"\nkey = \"k\"\nallow_private = true\n\
         models = [{{ id = \"lab/mistral-moderation\", output = [\"moderation\"] }}]\nprice = {{ input = \"100\", output = \"100\" }}\n"
    ));
    let got = ask(&gateway, "/v1/moderations", &json!({ "input": ["I hate it", "hello"] })).await;
    let told = got.json();
    assert_eq!(
        (&told["results"][0]["flagged"], &told["results"][1]["flagged"]),
        (&json!(true), &json!(false)),
        "{told}"
    );
    assert_eq!(
        (&told["results"][0]["category_scores"]["violence"], &told["usage"]["cost"]),
        (&json!(0.0123456789), &json!(0))
    );
    let got =
        ask(&gateway, "/v1/moderations", &json!({ "model": "lab/mistral-moderation", "input": "I hate it so" })).await;
    let told = got.json();
    assert_eq!(
        (&told["results"][0]["categories"]["hate_and_discrimination"], &told["results"][0]["flagged"]),
        (&json!(true), &json!(true))
    );
    assert_eq!((&told["usage"]["prompt_tokens"], &told["usage"]["cost"]), (&json!(4), &json!(0.0004)));
    assert_eq!(gateway.record(&got).await["slipswitch"]["operation"], "moderation");
}

#[tokio::test]
async fn tokens_are_counted_by_whoever_can_and_estimated_where_nobody_can() {
    let sim = sim().await;
    let gateway = Gateway::start(
        &(provider("claude", Dialect::Anthropic, &format!("http://{}", sim.addr()), &["lab/claude"])
            + &provider("gem", Dialect::Gemini, &format!("http://{}", sim.addr()), &["lab/gem"])
            + &provider("plain", Dialect::OpenAiChat, &sim.base_url(), &["lab/plain"])),
    );
    let turns = json!([{ "role": "user", "content": "one two three" }]);
    let google = json!({ "contents": [{ "role": "user", "parts": [{ "text": "one two three" }] }] });
    // Four for the turn and three for its words.
    for (model, want) in
        [("lab/claude", Some(7)), ("lab/gem", Some(7)), ("lab/plain", None), ("lab/nobody-knows-it", None)]
    {
        let anthropic = json!({ "model": model, "messages": turns });
        let rows = [
            ("/v1/messages/count_tokens?beta=true".to_owned(), &anthropic, "/input_tokens"),
            (format!("/v1beta/models/{model}:countTokens"), &google, "/totalTokens"),
        ];
        for (path, body, at) in rows {
            let got = ask(&gateway, &path, body).await;
            assert_eq!(got.status, 200, "{model} {path}: {}", got.text());
            let count =
                got.json().pointer(at).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path}: {}", got.text()));
            assert_eq!(
                got.header("x-slipswitch-estimated"),
                if want.is_some() { "" } else { "true" },
                "{model} {path}"
            );
            assert_eq!(count, want.unwrap_or(count), "{model} {path}");
            assert!((3..12).contains(&count), "{model} {path}: {count}");
            assert_eq!(got.header("x-generation-id"), "", "nothing was generated");
        }
        let openai = json!({ "model": model, "input": "one two three" });
        let got = ask(&gateway, "/v1/responses/input_tokens", &openai).await;
        assert_eq!((got.status, &got.json()["object"]), (200, &json!("response.input_tokens")), "{}", got.text());
    }
    let refused = ask(&gateway, "/v1/messages/count_tokens", &json!({ "model": "lab/claude" })).await;
    assert_eq!((refused.status, &refused.json()["type"]), (400, &json!("error")), "a mistake is still told");
}

#[tokio::test]
async fn a_provider_that_fails_at_counting_is_not_worth_a_failure() {
    for mode in ["status:500", "close", "html", "auth", "status:404"] {
        let bad = failing(Some(mode)).await;
        let base = format!("http://{}", bad.addr());
        let gateway = Gateway::start(&provider("claude", Dialect::Anthropic, &base, &["lab/claude"]));
        let turns = json!([{ "role": "user", "content": "one two three" }]);
        let got =
            ask(&gateway, "/v1/messages/count_tokens", &json!({ "model": "lab/claude", "messages": turns })).await;
        assert_eq!((got.status, got.header("x-slipswitch-estimated")), (200, "true"), "{mode}: {}", got.text());
    }
}

#[tokio::test]
async fn a_model_is_not_asked_for_what_it_is_not_made_for() {
    let sim = sim().await;
    let gateway = Gateway::start(&format!(
        "[providers.lab]\ndialect = \"openai-chat\"\nbase_url = \"{}\"\nkey = \"k\"\nallow_private = true\n\
         models = [{{ id = \"lab/vectors\", output = [\"embeddings\"] }}, {{ id = \"lab/talks\", output = [\"text\"] }}]\n",
        sim.base_url()
    ));
    let chat = json!({ "model": "lab/vectors", "messages": [{ "role": "user", "content": "hi" }] });
    let got = gateway.chat(&chat).await;
    assert_eq!(got.status, 404, "{}", got.text());
    let says = "No endpoints found that support chat: this is a model for embeddings";
    assert!(got.error()["message"].as_str().is_some_and(|m| m.starts_with(says)), "{}", got.text());
    let rows = [
        (
            "/v1/embeddings",
            json!({ "model": "lab/talks", "input": "x" }),
            "that support embeddings: this is a model for text",
        ),
        (
            "/v1/rerank",
            json!({ "model": "lab/talks", "query": "q", "documents": ["a"] }),
            "that support rerank: this is a model for text",
        ),
        (
            "/v1/moderations",
            json!({ "model": "lab/vectors", "input": "x" }),
            "that support moderation: this is a model for embeddings",
        ),
    ];
    for (path, body, words) in rows {
        let got = ask(&gateway, path, &body).await;
        assert_eq!(got.status, 404, "{path}: {}", got.text());
        assert!(got.error()["message"].as_str().is_some_and(|m| m.contains(words)), "{path}: {}", got.text());
    }
    let ids = |got: Got| {
        let data = got.json()["data"].as_array().cloned().expect("a list");
        data.iter().filter_map(|m| m["id"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(ids(gateway.get("/api/v1/models").await), ["lab/talks"], "who picks a model to talk to sees no other");
    assert_eq!(ids(gateway.get("/api/v1/models?output_modalities=all").await), ["lab/vectors", "lab/talks"]);
    assert_eq!(ids(gateway.get("/api/v1/models?output_modalities=embeddings").await), ["lab/vectors"]);
    assert_eq!(ids(gateway.get("/api/v1/embeddings/models").await), ["lab/vectors"]);
    let listed = gateway.get("/api/v1/embeddings/models").await.json();
    assert_eq!(listed["data"][0]["architecture"]["output_modalities"], json!(["embeddings"]));
}

#[tokio::test]
async fn bad_input_is_refused_by_name_in_the_caller_s_words() {
    let sim = sim().await;
    let gateway = Gateway::start(&provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one"]));
    let rows = [
        ("/v1/embeddings", json!({ "model": "lab/one" }), "input"),
        ("/v1/embeddings", json!({ "model": "lab/one", "input": [] }), "input"),
        ("/v1/embeddings", json!({ "model": "lab/one", "input": vec!["a"; 2049] }), "input"),
        ("/v1/embeddings", json!({ "model": "lab/one", "input": "x", "dimensions": 0 }), "dimensions"),
        ("/v1/embeddings", json!({ "input": "x" }), "model"),
        ("/v1/rerank", json!({ "model": "lab/one", "documents": ["a"] }), "query"),
        ("/v1/rerank", json!({ "model": "lab/one", "query": "q", "documents": [] }), "documents"),
        ("/v1/rerank", json!({ "model": "lab/one", "query": "q", "documents": ["a"], "top_n": 0 }), "top_n"),
        ("/v1/moderations", json!({ "model": "lab/one" }), "input"),
        ("/v1/embeddings", json!({ "model": "lab/one", "input": "x", "provider": { "sort": 5 } }), "provider.sort"),
    ];
    for (path, body, at) in rows {
        let got = ask(&gateway, path, &body).await;
        assert_eq!(
            (got.status, &got.error()["metadata"]["param"]),
            (400, &json!(at)),
            "{path} {body:.60}: {}",
            got.text()
        );
    }
    for path in
        ["/v1/embeddings", "/v2/embed", "/api/embed", "/v1/rerank", "/v1/moderations", "/v1/messages/count_tokens"]
    {
        for body in ["", "[]", "null", "{", "\"x\"", "{\"model\":\"a\",\"model\":\"b\"}"] {
            let got = gateway.post_raw(path, body).await;
            assert_eq!(got.status, 400, "{path} {body}: {}", got.text());
        }
    }
    assert_eq!(sim.journal().total(), 0, "none of it went on");
    gateway.is_well("bad input").await;
}

#[tokio::test]
async fn a_provider_s_nonsense_is_not_passed_on() {
    let upstream = Scripted::start().await.expect("a socket");
    let base = format!("{}/v1", upstream.base_url());
    let gateway = Gateway::start(&provider("lab", Dialect::OpenAiChat, &base, &["lab/one"]));
    let embed = json!({ "model": "lab/one", "input": ["a", "b"] });
    let rerank = json!({ "model": "lab/one", "query": "q", "documents": ["a", "b"] });
    let rows = [
        ("/v1/embeddings", &embed, json!({ "data": [{ "embedding": [1] }] })),
        ("/v1/embeddings", &embed, json!({ "data": [{ "embedding": [1] }, { "embedding": "?" }] })),
        ("/v1/embeddings", &embed, json!({ "object": "list" })),
        ("/v1/rerank", &rerank, json!({ "results": [{ "index": 9, "relevance_score": 1 }] })),
        ("/v1/rerank", &rerank, json!({ "results": [] })),
    ];
    for (path, body, said) in rows {
        upstream.push(Script::json(200, &said));
        let got = ask(&gateway, path, body).await;
        assert_eq!(got.status, 502, "{path} {said}: {}", got.text());
    }
}
