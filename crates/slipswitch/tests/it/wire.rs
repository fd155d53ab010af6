//! The wire's fine print: the ten things a from-scratch clone of OpenRouter gets wrong, one test each, and the small routes.

mod routes;

use crate::harness::{Gateway, Got, provider, with};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Fault, Script, Scripted, Sim, SimConfig};
use std::time::Duration;

/// One provider of each dialect; the price of each is known.
pub const HOUSE: &str = r#"
[timeouts]
keepalive = "100ms"

[providers.one]
kind = "simulated"
title = "The First"
dialect = "openai-chat"
models = ["sim/openai"]
price = { input = "2", output = "8" }

[providers.two]
kind = "simulated"
dialect = "anthropic"
models = ["sim/anthropic", { id = "anthropic/claude-sonnet-4.5", upstream = "claude-sonnet-4-5-20250929" }]
price = { input = "3", output = "15" }

[providers.three]
kind = "simulated"
dialect = "gemini"
models = ["sim/gemini"]
price = { input = "1", output = "4" }

[providers.slow]
kind = "simulated"
dialect = "openai-chat"
models = ["sim/slow"]
ttft = "250ms"
tokens_per_second = 4

[providers.breaking]
kind = "simulated"
dialect = "anthropic"
models = ["sim/breaking"]
fault = { mode = "error:3" }
price = { input = "3", output = "15" }
"#;

const EACH: [&str; 3] = ["sim/openai", "sim/anthropic", "sim/gemini"];

fn ask(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "hello out there" }] })
}

fn tool() -> Value {
    json!({
        "tools": [{ "type": "function", "function": {
            "name": "f", "parameters": { "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] },
        } }],
        "tool_choice": "required",
    })
}

fn is_whole(value: &Value) -> bool {
    value.is_u64()
}

#[tokio::test]
async fn point_1_null_is_not_absent() {
    let gateway = Gateway::start(HOUSE);
    for model in EACH {
        for over in [json!({}), tool(), json!({ "reasoning": { "effort": "low" } })] {
            let whole = gateway.chat(&with(ask(model, false), over.clone())).await.json();
            assert!(whole.as_object().is_some_and(|o| o.contains_key("system_fingerprint")), "{model}: {whole}");
            let message = &whole["choices"][0]["message"];
            for key in ["content", "refusal", "reasoning"] {
                assert!(message.as_object().is_some_and(|m| m.contains_key(key)), "{model}: {key} in {message}");
            }
            let stream = gateway.chat(&with(ask(model, true), over.clone())).await;
            for event in stream.events() {
                let text = event.to_string();
                for never in
                    ["\"system_fingerprint\":null", "\"usage\":null", "\"id\":null", "\"name\":null", "\"type\":null"]
                {
                    assert!(!text.contains(never), "{model}: {never} in {text}");
                }
                for choice in event["choices"].as_array().expect("choices") {
                    let choice = choice.as_object().expect("a choice");
                    assert!(
                        choice.contains_key("finish_reason") && choice.contains_key("native_finish_reason"),
                        "{text}"
                    );
                    assert_eq!(choice["delta"]["role"], "assistant", "{text}");
                    assert!(choice["delta"]["content"].is_string(), "{text}");
                }
            }
            for usage in [whole["usage"].clone(), stream.usage()] {
                assert!(is_whole(&usage["prompt_tokens_details"]["cached_tokens"]), "{model}: {usage}");
                assert!(is_whole(&usage["completion_tokens_details"]["reasoning_tokens"]), "{model}: {usage}");
                for split in ["upstream_inference_prompt_cost", "upstream_inference_completions_cost"] {
                    assert!(usage["cost_details"][split].is_number(), "{model}: {usage}");
                }
            }
        }
        let stream = gateway.chat(&with(ask(model, true), tool())).await;
        let deltas: Vec<Value> = stream
            .events()
            .iter()
            .filter_map(|e| e["choices"][0]["delta"]["tool_calls"].as_array().cloned())
            .flatten()
            .collect();
        let id = deltas[0]["id"].as_str().expect("an id");
        let first = json!({ "index": 0, "id": id, "type": "function", "function": { "name": "f", "arguments": "" } });
        assert_eq!(deltas[0], first, "{model}");
        let arguments: String = deltas.iter().filter_map(|d| d["function"]["arguments"].as_str()).collect();
        assert!(serde_json::from_str::<Value>(&arguments).is_ok_and(|a| a["a"].is_string()), "{model}: {arguments}");
        for later in &deltas[1..] {
            let keys: Vec<&str> = later.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(
                (keys, later["function"].as_object().map(|f| f.len())),
                (vec!["function", "index"], Some(1)),
                "{model}"
            );
        }
    }
}

#[tokio::test]
async fn point_2_keepalives_are_comments_of_exactly_these_bytes() {
    const COMMENT: &str = ": OPENROUTER PROCESSING";
    let gateway = Gateway::start(HOUSE);
    let got = gateway.chat(&ask("sim/slow", true)).await;
    let text = got.text();
    assert!(text.starts_with(": OPENROUTER PROCESSING\n\n"), "at once behind the head: {text}");
    let first = text.find("\"content\":\"echo").expect("content");
    assert!(text[first..].contains(COMMENT), "and between chunks: {text}");
    for event in text.split("\n\n").filter(|e| !e.is_empty()) {
        assert!(event == COMMENT || (event.starts_with("data: ") && !event.contains('\n')), "{event:?}");
    }
    for path in ["/v1/messages", "/v1beta/models/sim%2Fslow:streamGenerateContent?alt=sse"] {
        let body = json!({ "model": "sim/slow", "max_tokens": 20, "stream": true, "messages": [{ "role": "user", "content": "hi" }],
            "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] });
        let got = gateway.post(path, &body).await;
        assert_eq!(got.status, 200, "{path}: {}", got.text());
        assert!(!got.text().contains("OPENROUTER"), "{path}: clients of this dialect know no comments");
    }
}

#[tokio::test]
async fn point_2_comments_alone_are_a_stalled_stream() {
    let lab = Scripted::start().await.expect("a socket");
    let mut pieces = vec!["data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n".to_owned()];
    pieces.extend(std::iter::repeat_n(": still here\n\n".to_owned(), 40));
    lab.always(Script::stream(pieces).paced(Duration::from_millis(50)));
    let config = format!(
        "[timeouts]\nidle = \"300ms\"\n\n{}",
        provider("lab", Dialect::OpenAiChat, &lab.base_url(), &["lab/one"])
    );
    let gateway = Gateway::start(&config);
    let got = gateway.chat(&ask("lab/one", true)).await;
    let error = got.events().last().expect("an event")["error"].clone();
    assert_eq!(
        (error["code"].as_u64(), error["message"].as_str()),
        (Some(504), Some("the provider's stream stalled: nothing came for 300 ms"))
    );
}

#[tokio::test]
async fn point_3_a_stream_ends_with_finish_usage_and_done() {
    let gateway = Gateway::start(HOUSE);
    for model in EACH {
        for options in
            [json!({}), json!({ "stream_options": { "include_usage": false }, "usage": { "include": false } })]
        {
            let got = gateway.chat(&with(ask(model, true), options)).await;
            assert!(got.text().ends_with("data: [DONE]\n\n"), "{model}: {}", got.text());
            let events = got.events();
            let [.., before, finish, usage] = events.as_slice() else { panic!("{model}: {}", got.text()) };
            assert_eq!(before["choices"][0]["finish_reason"], Value::Null, "{model}");
            assert_eq!(finish["choices"][0]["finish_reason"], "stop", "{model}");
            assert_eq!(finish["usage"], Value::Null, "{model}: the usage has a chunk of its own");
            assert_eq!(usage["choices"], finish["choices"], "{model}: it repeats the finish");
            assert!(usage["usage"]["total_tokens"].as_u64().is_some_and(|n| n > 0), "{model}: {usage}");
        }
        let body = with(ask(model, true), json!({ "max_tokens": 100 }));
        let got = gateway.post("/api/v1/messages", &body).await;
        assert!(
            got.text().ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
            "{model}: {}",
            got.text()
        );
        assert!(!got.text().contains("[DONE]"), "{model}");
        for event in got.text().split("\n\n").filter(|e| !e.is_empty()) {
            assert!(event.starts_with("event: ") && event.contains("\ndata: {"), "{model}: {event:?}");
        }
    }
}

#[tokio::test]
async fn point_4_money_is_the_charge_once_and_exact() {
    let gateway = Gateway::start(HOUSE);
    for (model, input, output) in [("sim/openai", 2, 8), ("sim/anthropic", 3, 15), ("sim/gemini", 1, 4)] {
        for stream in [false, true] {
            let usage = gateway.chat(&ask(model, stream)).await.usage();
            let tokens = |name: &str| usage[name].as_u64().expect("a count");
            // Micro-dollars: the prices are dollars per million.
            let (prompt, completion) = (tokens("prompt_tokens") * input, tokens("completion_tokens") * output);
            let dollars = |micro: u64| Some(micro as f64 / 1e6);
            assert_eq!(usage["cost"].as_f64(), dollars(prompt + completion), "{model}: {usage}");
            assert_eq!(usage["is_byok"], false, "{model}");
            let details = &usage["cost_details"];
            assert_eq!(details["upstream_inference_cost"], Value::Null, "{model}: it would be counted twice");
            assert_eq!(details["upstream_inference_prompt_cost"].as_f64(), dollars(prompt), "{model}");
            assert_eq!(details["upstream_inference_completions_cost"].as_f64(), dollars(completion), "{model}");
        }
    }
    let unknown = gateway.chat(&ask("sim/slow", false)).await.usage();
    assert_eq!(
        (unknown["cost"].as_f64(), unknown["cost_unknown"].as_bool()),
        (Some(0.0), Some(true)),
        "unknown is said to be"
    );
    let models = gateway.get("/api/v1/models").await.json();
    let price = |id: &str| {
        let found = models["data"].as_array().and_then(|all| all.iter().find(|m| m["id"] == id)).cloned();
        found.unwrap_or_default()["pricing"]["prompt"].clone()
    };
    assert_eq!((price("sim/anthropic"), price("sim/slow")), (json!("0.000003"), json!("-1")));
}

#[tokio::test]
async fn point_5_an_error_behind_the_status_line_is_a_chunk_with_an_integer_code_and_then_done() {
    let gateway = Gateway::start(HOUSE);
    let got = gateway.chat(&ask("sim/breaking", true)).await;
    assert_eq!(got.status, 200);
    assert!(got.text().ends_with("data: [DONE]\n\n"), "{}", got.text());
    let events = got.events();
    let chunk = events.iter().find(|e| !e["error"].is_null()).expect("an error");
    assert_eq!(chunk["id"], got.header("x-generation-id"));
    assert_eq!(
        (&chunk["object"], &chunk["model"], &chunk["provider"]),
        (&json!("chat.completion.chunk"), &json!("sim/breaking"), &json!("breaking"))
    );
    assert!(chunk["created"].is_u64());
    assert!(chunk["error"]["code"].as_u64().is_some_and(|c| (500..600).contains(&c)), "{chunk}");
    assert!(chunk["error"]["message"].is_string() && chunk["error"]["metadata"]["error_type"].is_string(), "{chunk}");
    assert_eq!(chunk["choices"][0]["finish_reason"], "error", "{chunk}");
    assert_eq!(chunk["choices"][0]["native_finish_reason"], Value::Null, "{chunk}");
    // Not streamed, the real status is still free.
    let whole = gateway.chat(&ask("sim/breaking", false)).await;
    assert!(matches!(whole.status, 502 | 503), "{}", whole.text());
    assert_eq!(whole.error()["code"], whole.status);
}

#[tokio::test]
async fn point_6_the_status_says_who_must_change_what() {
    let rows: &[(&str, u16, &str, bool)] = &[
        ("status:400", 400, "bad_request", false),
        ("status:422", 422, "unprocessable", false),
        ("context", 400, "context_length_exceeded", false),
        ("auth", 502, "upstream_auth_failed", false),
        ("quota", 502, "upstream_quota_exhausted", false),
        ("status:402", 502, "upstream_quota_exhausted", false),
        ("status:404", 502, "upstream_failed", false),
        ("status:429", 429, "rate_limited", true),
        ("status:429:7", 429, "rate_limited", true),
        ("status:500", 502, "upstream_failed", false),
        ("status:503", 503, "upstream_overloaded", true),
        ("status:529", 503, "upstream_overloaded", true),
        ("redirect", 502, "upstream_failed", false),
    ];
    let sim = Sim::start(SimConfig::default()).await.expect("a socket");
    let lab = provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one"]);
    for (mode, status, reason, passes) in rows {
        sim.set_fault(Some(Fault::parse(mode).expect("a mode")));
        // A gateway of its own each, for it remembers who failed.
        let gateway = Gateway::start(&lab);
        for stream in [false, true] {
            let got = gateway.chat(&ask("lab/one", stream)).await;
            assert_eq!(
                (got.status, got.header("content-type")),
                (*status, "application/json"),
                "{mode}: {}",
                got.text()
            );
            let error = got.error();
            assert_eq!(
                (&error["code"], &error["metadata"]["reason"]),
                (&json!(status), &json!(reason)),
                "{mode}: {error}"
            );
            assert_eq!(error["metadata"]["provider_name"], "lab", "{mode}");
            assert_eq!(got.header("retry-after").parse::<u64>().is_ok_and(|s| s > 0), *passes, "{mode}");
            if *mode == "status:429:7" {
                assert_eq!(got.header("retry-after"), "7");
            }
        }
    }
}

#[tokio::test]
async fn point_7_one_id_everywhere_and_its_record_is_there_before_the_client_can_ask() {
    let is_id = |id: &str| {
        let parts: Vec<&str> = id.split('-').collect();
        matches!(parts.as_slice(), ["gen", seconds, rest]
            if seconds.parse::<u64>().is_ok() && rest.len() == 20 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    let gateway = Gateway::start(HOUSE);
    for model in EACH {
        let whole = gateway.chat(&ask(model, false)).await;
        let id = whole.header("x-generation-id");
        assert!(is_id(id), "{id}");
        assert_eq!(whole.json()["id"], id, "{model}");
        assert_eq!(
            whole.header("access-control-expose-headers"),
            "X-Generation-Id,X-Provider-Name,request-id,cf-ray,X-Slipswitch-Losses,X-Slipswitch-Attempts,X-Slipswitch-Strategy,Server-Timing,X-OpenRouter-Cache-Status,X-OpenRouter-Cache-Age,X-OpenRouter-Cache-TTL,X-OpenRouter-Cache-Source-Id"
        );
        let mut stream = gateway.open("/api/v1/chat/completions", &ask(model, true)).await;
        let id = stream.id();
        let text = stream.until("data: [DONE]\n\n").await;
        // The connection is still open.
        let record = gateway.get(&format!("/api/v1/generation?id={id}")).await;
        assert_eq!(
            (record.status, record.json()["data"]["id"].as_str()),
            (200, Some(&*id)),
            "{model}: {}",
            record.text()
        );
        for line in text.lines().filter(|l| l.starts_with("data: {")) {
            assert!(line.contains(&format!("\"id\":\"{id}\"")), "{model}: {line}");
        }
        let messages = gateway.post("/v1/messages", &with(ask(model, false), json!({ "max_tokens": 50 }))).await;
        assert!(is_id(messages.header("x-generation-id")), "{model}");
        assert_eq!(gateway.record(&messages).await["tokens_completion"], messages.json()["usage"]["output_tokens"]);
    }
    for (what, body) in [
        ("unknown", ask("zzz", true)),
        ("refused", with(ask("sim/openai", false), json!({ "provider": { "only": ["x"] } }))),
    ] {
        let got = gateway.chat(&body).await;
        assert!(is_id(got.header("x-generation-id")), "{what}: an error after routing has an id");
    }
}

#[tokio::test]
async fn point_8_names_are_echoed_canonical_and_accepted_in_every_spelling() {
    let gateway = Gateway::start(HOUSE);
    for asked in [
        "anthropic/claude-sonnet-4.5",
        "anthropic/claude-sonnet-4.5:nitro",
        "anthropic/claude-sonnet-4.5:floor:nitro",
        "Anthropic/Claude-Sonnet-4.5",
        "claude-sonnet-4.5",
        "claude-sonnet-4-5",
        "anthropic/claude-sonnet-4-5",
        "anthropic/claude-4.5-sonnet-20250929",
        "~anthropic/claude-sonnet-latest",
        "two/claude-sonnet-4-5-20250929",
    ] {
        for stream in [false, true] {
            let got = gateway.chat(&ask(asked, stream)).await;
            assert_eq!(got.status, 200, "{asked}: {}", got.text());
            let first = if stream { got.events().remove(0) } else { got.json() };
            assert_eq!(first["model"], "anthropic/claude-4.5-sonnet-20250929", "{asked}");
        }
        let record = gateway.chat(&ask(asked, false)).await;
        assert_eq!(gateway.record(&record).await["slipswitch"]["model_requested"], asked);
    }
    for spelling in ["one", "The First", "the first", "ONE"] {
        let only = json!({ "provider": { "only": [spelling] } });
        let got = gateway.chat(&with(ask("sim/openai", false), only)).await;
        assert_eq!((got.status, &got.json()["provider"]), (200, &json!("The First")), "{spelling}");
        assert_eq!(got.header("x-provider-name"), "The First");
        let ignore = json!({ "provider": { "ignore": [spelling] } });
        assert_eq!(gateway.chat(&with(ask("sim/openai", false), ignore)).await.status, 404, "{spelling}");
    }
    let cut = json!({ "max_tokens": 1 });
    for (model, native) in [("sim/openai", "length"), ("sim/anthropic", "max_tokens"), ("sim/gemini", "MAX_TOKENS")] {
        let choice = gateway.chat(&with(ask(model, false), cut.clone())).await.json()["choices"][0].clone();
        assert_eq!((&choice["finish_reason"], &choice["native_finish_reason"]), (&json!("length"), &json!(native)));
    }
}

#[tokio::test]
async fn point_9_reasoning_is_told_twice_and_goes_back_as_it_came() {
    let sim = Sim::start(SimConfig { dialect: Dialect::Anthropic, ..SimConfig::default() }).await.expect("a socket");
    let other = Sim::start(SimConfig::default()).await.expect("a socket");
    let gateway = Gateway::start(&format!(
        "{}{}",
        provider("thinker", Dialect::Anthropic, &sim.base_url(), &["anthropic/claude-sonnet-4.5"]),
        provider("other", Dialect::OpenAiChat, &other.base_url(), &["lab/other"]),
    ));
    let think = json!({ "reasoning": { "effort": "low" }, "provider": { "order": ["thinker"] } });
    let whole = gateway.chat(&with(ask("anthropic/claude-sonnet-4.5", false), think.clone())).await.json();
    let message = &whole["choices"][0]["message"];
    let details = message["reasoning_details"].clone();
    assert_eq!(details[0]["text"], message["reasoning"]);
    assert_eq!((&details[0]["format"], &details[0]["index"]), (&json!("anthropic-claude-v1"), &json!(0)));
    let signature = details[0]["signature"].as_str().expect("a signature").to_owned();

    let stream = gateway.chat(&with(ask("anthropic/claude-sonnet-4.5", true), think)).await.events();
    let deltas: Vec<&Value> = stream.iter().map(|e| &e["choices"][0]["delta"]).collect();
    let told: String = deltas.iter().filter_map(|d| d["reasoning"].as_str()).collect();
    let again: String = deltas.iter().filter_map(|d| d["reasoning_details"][0]["text"].as_str()).collect();
    assert_eq!((told.as_str(), again.as_str()), (message["reasoning"].as_str().unwrap_or(""), told.as_str()));
    let signed: Vec<_> = deltas.iter().filter_map(|d| d["reasoning_details"][0]["signature"].as_str()).collect();
    assert_eq!(signed.len(), 1, "the signature comes once, in a detail of the same index");

    // Back it goes. Only its own family can read it, so that goes before the order of the list.
    let history = json!([
        { "role": "user", "content": "hello out there" },
        { "role": "assistant", "content": message["content"], "reasoning_details": details },
        { "role": "user", "content": "and now?" },
    ]);
    for _ in 0..4 {
        let models = ["lab/other", "anthropic/claude-sonnet-4.5"];
        let got =
            gateway.chat(&json!({ "models": models, "messages": history, "reasoning": { "effort": "low" } })).await;
        assert_eq!((got.status, &got.json()["provider"]), (200, &json!("thinker")), "{}", got.text());
        let sent = sim.journal().last().expect("a request").json();
        let block = sent["messages"][1]["content"][0].clone();
        assert_eq!(
            block,
            json!({ "type": "thinking", "thinking": message["reasoning"], "signature": signature }),
            "{sent}"
        );
    }
    assert_eq!(other.journal().total(), 0);

    // What nobody signed is dropped, and nothing is said of it upstream.
    for details in
        [json!([]), json!([{ "type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1", "index": 0 }])]
    {
        let mut history = history.clone();
        history[1]["reasoning_details"] = details.clone();
        let body =
            json!({ "model": "anthropic/claude-sonnet-4.5", "messages": history, "provider": { "only": ["thinker"] } });
        assert_eq!(gateway.chat(&body).await.status, 200, "{details}");
        let sent = sim.journal().last().expect("a request").json();
        assert!(!sent["messages"][1].to_string().contains("thinking"), "{sent}");
    }
    let hidden = json!({ "reasoning": { "effort": "low", "exclude": true }, "provider": { "only": ["thinker"] } });
    let message =
        gateway.chat(&with(ask("anthropic/claude-sonnet-4.5", false), hidden)).await.json()["choices"][0]["message"]
            .clone();
    assert_eq!(message["reasoning"], Value::Null, "{message}");
}

#[tokio::test]
async fn point_10_one_list_of_models_for_every_reader() {
    let gateway = Gateway::start(HOUSE);
    let list = gateway.get("/api/v1/models").await.json();
    assert_eq!(
        (&list["object"], list["total_count"].as_u64(), &list["links"]),
        (&json!("list"), Some(6), &json!({ "next": null }))
    );
    assert_eq!(
        (&list["has_more"], &list["first_id"], &list["last_id"]),
        (&json!(false), &list["data"][0]["id"], &list["data"][5]["id"])
    );
    for model in list["data"].as_array().expect("data") {
        let has = |key: &str| model.as_object().is_some_and(|m| m.contains_key(key));
        for key in
            ["per_request_limits", "default_parameters", "supported_voices", "context_length", "knowledge_cutoff"]
        {
            assert!(has(key), "{key} in {model}");
        }
        for key in ["id", "canonical_slug", "name", "display_name", "created_at", "owned_by", "description"] {
            assert!(model[key].is_string(), "{key} in {model}");
        }
        assert!(model["created"].is_u64() && model["object"] == "model" && model["type"] == "model", "{model}");
        let architecture = &model["architecture"];
        assert!(architecture["input_modalities"].is_array() && architecture["output_modalities"].is_array(), "{model}");
        assert!(architecture["modality"].is_string() && architecture["tokenizer"].is_string(), "{model}");
        assert!(model["pricing"]["prompt"].is_string() && model["pricing"]["completion"].is_string(), "{model}");
        assert!(
            model["top_provider"]["is_moderated"].is_boolean() && model["supported_parameters"].is_array(),
            "{model}"
        );
        let details = model["links"]["details"].as_str().expect("a link");
        assert_eq!(gateway.get(details).await.status, 200, "{details}");
        let one = gateway.get(&format!("/api/v1/model/{}", model["id"].as_str().expect("an id"))).await;
        assert_eq!(&one.json()["data"], model);
    }
    let codex = gateway.get("/api/v1/models?client_version=0.125.0").await.json();
    assert_eq!(codex["models"].as_array().map(Vec::len), codex["data"].as_array().map(Vec::len));
    for key in
        ["slug", "display_name", "visibility", "shell_type", "base_instructions", "truncation_policy", "priority"]
    {
        assert!(!codex["models"][0][key].is_null(), "{key}");
    }
    let bearer = format!("Bearer {}", crate::harness::KEY);
    let headers = [("authorization", bearer.as_str()), ("anthropic-version", "2023-06-01")];
    let listed = gateway.send(http::Method::GET, "/v1/models?limit=1000", &headers, bytes::Bytes::new()).await.json();
    let first = listed["data"][0].as_object().expect("a model");
    let keys: Vec<&String> = first.keys().collect();
    assert_eq!(keys, ["created_at", "display_name", "id", "type"]);
    assert_eq!(listed["has_more"], false);
    assert!(listed["first_id"].is_string() && listed["last_id"].is_string());

    let page = gateway.get("/api/v1/models?offset=2&limit=2").await.json();
    assert_eq!(
        (page["data"].as_array().map(Vec::len), &page["links"]["next"]),
        (Some(2), &json!("/api/v1/models?offset=4&limit=2"))
    );
    let claude = gateway.get("/api/v1/models?q=claude&max_price=5").await.json();
    assert_eq!(
        (claude["total_count"].as_u64(), &claude["data"][0]["id"]),
        (Some(1), &json!("anthropic/claude-sonnet-4.5"))
    );

    // Three dialects, two prefixes, and a missing route is JSON.
    for path in ["/api/v1/messages", "/v1/messages", "/v1/messages?beta=true", "/api/v1/v1/messages"] {
        let got: Got = gateway.post(path, &with(ask("sim/openai", false), json!({ "max_tokens": 20 }))).await;
        assert_eq!((got.status, &got.json()["type"]), (200, &json!("message")), "{path}");
    }
    let lost = gateway.get("/api/v1/nowhere").await;
    assert_eq!(
        (lost.status, lost.header("content-type"), lost.error()["code"].as_u64()),
        (404, "application/json", Some(404))
    );
}
