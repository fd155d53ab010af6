//! What holds for every dialect: a stream comes to the same as the plain reply, and the rules of the simulated model.

use super::client::send;
use super::start;
use super::talk::{Said, Talk, ask, said, talk};
use crate::{Sim, SimConfig};
use serde_json::{Value, json};
use slip_ir::Dialect;

fn weather() -> (&'static str, Value) {
    let city = json!({"type": "string"});
    let unit = json!({"type": "string", "enum": ["celsius", "fahrenheit"]});
    let schema = json!({"type": "object", "properties": {"city": city, "unit": unit}, "required": ["city", "unit"]});
    ("get_weather", schema)
}

fn add() -> (&'static str, Value) {
    let n = json!({"type": "integer"});
    ("add", json!({"type": "object", "properties": {"a": n, "b": n}, "required": ["a", "b"]}))
}

/// Ask both ways, and compare; gives what was said.
async fn both(dialect: Dialect, talk: &Talk) -> Said {
    let sim = start(dialect).await;
    let plain = said(dialect, &ask(&sim, &Talk { stream: false, ..talk.clone() }).await, false);
    let streamed = said(dialect, &ask(&sim, &Talk { stream: true, ..talk.clone() }).await, true);
    let bare = |s: &Said| (s.text.clone(), s.reasoning.clone(), s.finish.clone(), s.usage, s.calls.len());
    assert_eq!(bare(&plain), bare(&streamed), "{dialect}");
    for (a, b) in plain.calls.iter().zip(&streamed.calls) {
        assert_eq!((&a.1, &a.2), (&b.1, &b.2), "{dialect}");
    }
    let entries =
        sim.journal().wait_until(std::time::Duration::from_secs(2), |e| e.iter().all(|e| e.finished.is_some())).await;
    for entry in entries {
        assert_eq!((entry.emitted, entry.billed_completion), (plain.usage.1, plain.usage.1), "{dialect}");
        assert_eq!(entry.billed_prompt, plain.usage.0, "{dialect}");
        assert_eq!(entry.model.as_deref(), Some(talk.model));
    }
    plain
}

#[tokio::test]
async fn an_echo_a_count_and_a_cut_are_the_same_in_every_dialect() {
    let prompt = |text: &str| 4 + crate::count_tokens(text);
    for dialect in Dialect::ALL {
        let echo = both(dialect, &talk("Grüß Gott 👋 everybody")).await;
        assert_eq!(echo.text, "echo: Grüß Gott 👋 everybody");
        assert_eq!(echo.usage, (prompt("Grüß Gott 👋 everybody"), 5, 0));
        let count = both(dialect, &talk("please count to 25")).await;
        assert!(count.text.starts_with("tok1 tok2 ") && count.text.ends_with(" tok25"), "{}", count.text);
        assert_eq!(count.usage.1, 25);
        let story = both(dialect, &Talk { model: "sim/story", ..talk("in 7 words") }).await;
        assert_eq!(story.text, "tok1 tok2 tok3 tok4 tok5 tok6 tok7");
        let cut = both(dialect, &Talk { max_tokens: Some(3), ..talk("count to 25") }).await;
        assert_eq!((cut.text.as_str(), cut.usage.1), ("tok1 tok2 tok3", 3));
        assert_eq!(cut.finish.to_lowercase(), if dialect == Dialect::OpenAiChat { "length" } else { "max_tokens" });
        let stopped = both(dialect, &Talk { stop: Some(" tok4"), ..talk("count to 25") }).await;
        assert_eq!((stopped.text.as_str(), stopped.usage.1), ("tok1 tok2 tok3", 3));
        let named = matches!(dialect, Dialect::Anthropic | Dialect::Bedrock);
        assert_eq!(stopped.finish.to_lowercase(), if named { "stop_sequence" } else { "stop" });
    }
}

#[tokio::test]
async fn tools_are_called_when_they_are_spoken_of_and_only_then() {
    let paris = json!({"city": "Paris", "unit": "celsius"});
    let london = json!({"city": "London", "unit": "celsius"});
    type Row = (&'static str, bool, Vec<(&'static str, Value)>);
    let rows: &[Row] = &[
        ("What is the weather in Paris?", false, vec![("get_weather", paris.clone())]),
        (
            "What is the weather twice, in Paris and London?",
            false,
            vec![("get_weather", paris), ("get_weather", london)],
        ),
        ("please add 2 to 40", false, vec![("add", json!({"a": 2, "b": 40}))]),
        (
            "add 1 and 5 and get weather in fahrenheit",
            false,
            vec![("get_weather", json!({"city": "x", "unit": "fahrenheit"})), ("add", json!({"a": 1, "b": 5}))],
        ),
        ("just talk", false, vec![]),
        ("just talk", true, vec![("get_weather", json!({"city": "x", "unit": "celsius"}))]),
    ];
    for dialect in Dialect::ALL {
        for (text, force, expected) in rows {
            let said = both(dialect, &Talk { tools: vec![weather(), add()], force: *force, ..talk(text) }).await;
            let calls: Vec<(&str, Value)> = said.calls.iter().map(|(_, n, a)| (n.as_str(), a.clone())).collect();
            assert_eq!(calls, *expected, "{dialect}: {text}");
            let finish = match (dialect, calls.is_empty()) {
                (Dialect::OpenAiChat, false) => "tool_calls",
                (Dialect::Anthropic | Dialect::Bedrock, false) => "tool_use",
                (Dialect::Anthropic | Dialect::Bedrock, true) => "end_turn",
                (Dialect::Gemini, _) => "STOP",
                (Dialect::OpenAiChat, true) => "stop",
                (other, _) => panic!("how does {other} finish?"),
            };
            assert_eq!(said.finish, finish);
        }
    }
}

#[tokio::test]
async fn a_schema_is_answered_with_a_document_that_fits_it() {
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "population": {"type": "integer"}, "capital": {"type": "boolean"}},
        "required": ["city", "population", "capital"],
        "additionalProperties": false,
    });
    for dialect in Dialect::ALL {
        let said = both(dialect, &Talk { schema: Some(schema.clone()), ..talk("tell me about Rome") }).await;
        let document: Value = serde_json::from_str(&said.text).unwrap();
        assert_eq!(document, json!({"city": "Rome", "population": 1, "capital": true}), "{dialect}");
    }
}

#[tokio::test]
async fn reasoning_comes_first_and_is_counted() {
    for dialect in Dialect::ALL {
        let said = both(dialect, &Talk { think: true, ..talk("hello there") }).await;
        assert_eq!(said.reasoning, "Let me think about: hello there", "{dialect}");
        assert_eq!((said.text.as_str(), said.usage.1), ("echo: hello there", 9));
        assert_eq!(said.usage.2, if dialect == Dialect::Bedrock { 0 } else { 6 }, "Bedrock does not tell them apart");
        assert_eq!(said.signature.is_empty(), dialect == Dialect::OpenAiChat);
    }
}

#[tokio::test]
async fn the_same_request_and_seed_give_the_same_bytes() {
    for dialect in Dialect::ALL {
        let say = |seed| async move {
            let sim = Sim::start(SimConfig { dialect, seed, ..SimConfig::default() }).await.unwrap();
            ask(&sim, &Talk { stream: true, think: true, ..talk("hello") }).await.body
        };
        let (a, b, c) = (say(5).await, say(5).await, say(6).await);
        assert_eq!(a, b, "{dialect}");
        assert_ne!(a, c, "{dialect}");
    }
}

#[tokio::test]
async fn the_key_is_checked_where_the_dialect_carries_it() {
    for (dialect, header, status) in [
        (Dialect::OpenAiChat, ("authorization", "Bearer right"), 401),
        (Dialect::Anthropic, ("x-api-key", "right"), 401),
        (Dialect::Gemini, ("x-goog-api-key", "right"), 400),
    ] {
        let key = Some("right".to_owned());
        let sim = Sim::start(SimConfig { dialect, key, models: vec!["sim/echo".into()], ..SimConfig::default() })
            .await
            .unwrap();
        let path = if dialect == Dialect::Gemini { "/v1beta/models" } else { "/v1/models" };
        let good = send(sim.addr(), "GET", path, &[header], b"").await;
        assert_eq!(good.status, 200);
        assert!(good.text().contains("sim/echo"));
        let wrong = send(sim.addr(), "GET", path, &[(header.0, "Bearer wrong")], b"").await;
        assert_eq!(wrong.status, status, "{dialect}");
        let refused = ask(&sim, &talk("hello")).await;
        let error = refused.json();
        match dialect {
            Dialect::OpenAiChat => assert_eq!(error["error"]["code"], "invalid_api_key"),
            Dialect::Anthropic => assert_eq!(error["error"]["type"], "authentication_error"),
            Dialect::Gemini => assert_eq!(error["error"]["details"][0]["reason"], "API_KEY_INVALID"),
            other => panic!("how does {other} refuse a key?"),
        }
        assert_eq!(sim.journal().last().unwrap().billed_prompt, 0);
    }
}

#[tokio::test]
async fn an_unknown_model_is_not_found_and_a_slug_alone_is_known() {
    for dialect in Dialect::ALL {
        let sim =
            Sim::start(SimConfig { dialect, models: vec!["sim/echo".into()], ..SimConfig::default() }).await.unwrap();
        for (model, status) in [("sim/echo", 200), ("echo", 200), ("other", 404), ("cho", 404)] {
            assert_eq!(ask(&sim, &Talk { model, ..talk("hello") }).await.status, status, "{dialect} {model}");
        }
    }
}
