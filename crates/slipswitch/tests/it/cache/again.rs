//! The second asks what the first asked, and hears the same.

use super::*;
use slip_sim::{Script, Scripted};

#[tokio::test]
async fn on_every_surface_the_second_hears_what_the_first_did_and_nobody_is_asked() {
    for upstream in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini, Dialect::Responses] {
        let sim = sim(upstream).await;
        let gateway = house(&sim, upstream, ON);
        for surface in surfaces() {
            for (first, second) in [(false, false), (true, true), (false, true), (true, false)] {
                let why = format!("{} of {upstream}: {first} then {second}", surface.name());
                let ask = says(&format!("tell me of {} {first} {second}", surface.name()));
                let before = sim.journal().total();
                let miss = knock(&gateway, surface, &ask, first).await;
                let hit = knock(&gateway, surface, &ask, second).await;
                assert_eq!((status(&miss), status(&hit)), ("MISS", "HIT"), "{why}: {}", miss.text());
                assert_eq!(sim.journal().total() - before, 1, "{why}");
                let (one, two) = (heard(surface, &miss, first), heard(surface, &hit, second));
                assert!(one.has_content(), "{why}: {}", miss.text());
                same(&one, &two, &why);
                // Under a name of its own, which is on record.
                let (old, new) = (miss.header("x-generation-id"), hit.header("x-generation-id"));
                assert_ne!(old, new, "{why}");
                assert_eq!(hit.header("x-openrouter-cache-source-id"), old, "{why}");
                assert!(!hit.text().contains(old), "{why}: {}", hit.text());
                assert_eq!(hit.header("x-provider-name"), miss.header("x-provider-name"), "{why}");
                assert_eq!(
                    hit.header("content-type"),
                    knock(&gateway, surface, &ask, second).await.header("content-type")
                );
                let (paid, free) = (gateway.record(&miss).await, gateway.record(&hit).await);
                assert!(paid["total_cost"].as_f64().is_some_and(|cost| cost > 0.0), "{why}: {paid}");
                assert_eq!(free["total_cost"], 0.0, "{why}");
                assert_eq!(free["slipswitch"]["cost_known"], true, "{why}");
                assert_eq!(free["response_cache_source_id"], old, "{why}");
                assert_eq!(
                    (
                        &free["slipswitch"]["cache"],
                        &free["slipswitch"]["cache_source"],
                        &free["slipswitch"]["cache_saved"]
                    ),
                    (&json!("hit"), &json!(old), &paid["total_cost"]),
                    "{why}"
                );
                for member in ["model", "provider_name", "tokens_prompt", "tokens_completion", "finish_reason"] {
                    assert_eq!(free[member], paid[member], "{why}: {member}");
                }
                assert_eq!((&free["streamed"], &free["provider_responses"]), (&json!(second), &json!([])), "{why}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_spelt_otherwise_is_the_same_request_and_what_is_otherwise_is_not() {
    let sim = sim(Dialect::OpenAiChat).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    let path = "/api/v1/chat/completions";
    let first = r#"{"model":"lab/one","temperature":1.0,"messages":[{"role":"user","content":"h\u00e9"}]}"#;
    assert_eq!(status(&gateway.post_raw(path, first).await), "MISS");
    for (same, body) in [
        (true, r#"{ "messages": [ { "content": "hé", "role": "user" } ], "temperature": 1, "model": "lab/one" }"#),
        (
            true,
            r#"{"model":"lab/one","temperature":1,"messages":[{"role":"user","content":"hé"}],"user":"ann","stream":true}"#,
        ),
        (false, r#"{"model":"lab/one","temperature":0.9,"messages":[{"role":"user","content":"hé"}]}"#),
        (false, r#"{"model":"lab/one","temperature":1,"messages":[{"role":"user","content":"he"}]}"#),
        (false, r#"{"model":"lab/one","temperature":1,"max_tokens":50,"messages":[{"role":"user","content":"hé"}]}"#),
        (false, r#"{"model":"lab/two","temperature":1,"messages":[{"role":"user","content":"hé"}]}"#),
        (false, r#"{"model":"lab/one","seed":7,"temperature":1,"messages":[{"role":"user","content":"hé"}]}"#),
    ] {
        let got = gateway.post_raw(path, body).await;
        assert_eq!((got.status, status(&got)), (200, if same { "HIT" } else { "MISS" }), "{body}");
    }
}

#[tokio::test]
async fn a_reply_never_repeats_what_another_request_said_of_itself() {
    let sim = sim(Dialect::Responses).await;
    let gateway = house(&sim, Dialect::Responses, ON);
    let ask = |who: &str| json!({ "model": MODEL, "input": "hello", "metadata": { "who": who } });
    for (who, told) in [("anneliese", "MISS"), ("robert", "MISS"), ("anneliese", "HIT"), ("robert", "HIT")] {
        let got = gateway.post("/api/v1/responses", &ask(who)).await;
        assert_eq!((got.status, status(&got)), (200, told), "{who}: {}", got.text());
        let others = if who == "anneliese" { "robert" } else { "anneliese" };
        assert!(!got.text().contains(others), "{who}: {}", got.text());
    }
}

#[tokio::test]
async fn only_what_is_whole_and_does_nothing_is_kept() {
    let upstream = Scripted::start().await.expect("a socket");
    let config = provider("one", Dialect::OpenAiChat, &upstream.base_url(), &[MODEL]);
    let gateway = Gateway::start(&(ON.to_owned() + &config));
    let reply = |message: Value, finish: &str| {
        json!({
            "id": "x", "model": "m", "usage": { "prompt_tokens": 3, "completion_tokens": 2 },
            "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
        })
    };
    let said = json!({ "role": "assistant", "content": "so" });
    let call = json!({ "id": "call_123456", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let called = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
    let chunk =
        |finish: Value| json!({ "choices": [{ "index": 0, "delta": { "content": "so" }, "finish_reason": finish }] });
    let rows: Vec<(&str, bool, Script, bool)> = vec![
        ("stop", false, Script::json(200, &reply(said.clone(), "stop")), true),
        ("length", false, Script::json(200, &reply(said.clone(), "length")), false),
        ("filter", false, Script::json(200, &reply(said.clone(), "content_filter")), false),
        ("tools", false, Script::json(200, &reply(called.clone(), "tool_calls")), false),
        ("tools, called a stop", false, Script::json(200, &reply(called, "stop")), false),
        ("refused", false, Script::json(400, &json!({ "error": { "message": "no" } })), false),
        ("broken", false, Script::json(500, &json!({ "error": { "message": "no" } })), false),
        ("stream", true, Script::events(&[chunk(json!(null)), chunk(json!("stop"))]), true),
        ("long stream", true, Script::events(&[chunk(json!(null)), chunk(json!("length"))]), false),
        ("cut stream", true, Script::stream([format!("data: {}\n\n", chunk(json!(null)))]), false),
        (
            "error in a stream",
            true,
            Script::events(&[chunk(json!(null)), json!({ "error": { "message": "no", "code": 500 } })]),
            false,
        ),
    ];
    for (name, stream, script, kept) in rows {
        let body = chat(name, stream);
        upstream.always(script);
        let first = gateway.chat(&body).await;
        assert_ne!(status(&first), "HIT", "{name}");
        let second = gateway.chat(&body).await;
        assert_eq!(status(&second) == "HIT", kept, "{name}: {}", second.text());
        assert_eq!(first.status, second.status, "{name}");
    }
    // Where the house says so, calls are kept as well.
    let config = "[cache]\nenabled = true\ntool_calls = true\n\n".to_owned() + &config;
    let gateway = Gateway::start(&config);
    let called = json!({ "role": "assistant", "content": null, "tool_calls": [call_of("f")] });
    upstream.always(Script::json(200, &reply(called, "tool_calls")));
    let (first, second) = (gateway.chat(&chat("tools", false)).await, gateway.chat(&chat("tools", false)).await);
    assert_eq!((status(&first), status(&second)), ("MISS", "HIT"));
    let calls = |got: &Got| got.json()["choices"][0]["message"]["tool_calls"].clone();
    assert!(calls(&first).is_array() && calls(&first) == calls(&second), "{}", second.text());
}

fn call_of(name: &str) -> Value {
    json!({ "id": "call_123456", "type": "function", "function": { "name": name, "arguments": "{\"a\":1}" } })
}

#[tokio::test]
async fn a_stream_is_told_at_the_pace_that_is_asked_for() {
    let sim = sim(Dialect::OpenAiChat).await;
    let gateway = house(&sim, Dialect::OpenAiChat, "[cache]\nenabled = true\npace = \"40ms\"\n\n");
    let body = chat("count to 20", true);
    let first = gateway.chat(&body).await;
    let began = tokio::time::Instant::now();
    let second = gateway.chat(&body).await;
    assert_eq!((status(&second), second.content()), ("HIT", first.content()));
    let (took, events) = (began.elapsed(), second.events().len() as u32);
    assert!(took >= Duration::from_millis(40) * (events / 2), "{took:?} for {events} events");
}
