//! A stream that breaks off in the middle of its words: under a name that says so, another endpoint goes on with it.

use super::{CHAT, ask, fail, with};
use crate::harness::{Gateway, provider};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::scripted::End;
use slip_sim::{Script, Scripted, Sim, SimConfig};
use std::collections::BTreeSet;

/// Takes a pause between tokens, so that what came before the break was read before it.
async fn breaks(dialect: Dialect, mode: &str) -> Sim {
    let sim = Sim::start(SimConfig { dialect, tokens_per_second: 200.0, ..SimConfig::default() }).await;
    let sim = sim.expect("a socket");
    fail(&sim, Some(mode));
    sim
}

/// What an OpenAI-like provider streams, piece by piece, with its usage.
fn says(pieces: &[&str]) -> Script {
    let chunk =
        |choices: Value| json!({ "id": "c2", "object": "chat.completion.chunk", "model": "m", "choices": choices });
    let mut events: Vec<Value> = pieces
        .iter()
        .map(|text| chunk(json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }])))
        .collect();
    events.push(chunk(json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }])));
    let mut usage = chunk(json!([]));
    usage["usage"] = json!({ "prompt_tokens": 40, "completion_tokens": 3, "total_tokens": 43 });
    events.push(usage);
    Script::events(&events)
}

fn house(bad: &Sim, good: &Scripted, more: &str) -> String {
    let timeouts = "[timeouts]\nfirst_content = \"2s\"\nidle = \"400ms\"\n\n";
    // The other one has another price.
    let good = provider("good", Dialect::OpenAiChat, &good.base_url(), &["lab/one"]).replace("\"8\"", "\"16\"");
    timeouts.to_owned()
        + &provider("bad", bad.config().dialect, &bad.base_url(), &["lab/one"])
        + &good
        + &format!("[models.\"house/x\"]\nendpoints = [\"lab/one\"]\n{more}\n")
}

const ON: &str = "continue_streams = true";

#[tokio::test]
async fn another_goes_on_where_it_broke_off_and_the_caller_sees_one_stream() {
    for dialect in [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini, Dialect::Bedrock] {
        for mode in ["cut:5", "end:5", "error:5", "stall:5"] {
            let what = format!("{dialect:?}, {mode}");
            let (bad, good) = (breaks(dialect, mode).await, Scripted::start().await.expect("a socket"));
            good.push(says(&["tok4 tok5", " tok6", " tok7"]));
            let gateway = Gateway::start(&house(&bad, &good, ON));
            let got = gateway.chat(&ask("house/x", true)).await;
            assert_eq!(got.content(), "tok1 tok2 tok3 tok4 tok5 tok6 tok7", "{what}: {}", got.text());
            assert!(got.text().ends_with("data: [DONE]\n\n") && !got.text().contains("\"error\""), "{what}");
            let events = got.events();
            let ids: BTreeSet<&str> = events.iter().filter_map(|e| e["id"].as_str()).collect();
            assert_eq!(ids, BTreeSet::from([got.header("x-generation-id")]), "{what}: one id");
            let notes: Vec<&Value> =
                events.iter().map(|e| &e["slipswitch"]["continued"]).filter(|n| !n.is_null()).collect();
            let [note] = notes.as_slice() else { panic!("{what}: one note: {}", got.text()) };
            assert_eq!(note["provider"], "good", "{what}");
            let before = note["after_tokens"].as_u64().expect("a count");
            assert!((3..=8).contains(&before), "{what}: {note}");
            assert_eq!((bad.journal().total(), good.journal().total()), (1, 1), "{what}");

            // What it was asked: the answer so far, and to go on.
            let sent = good.journal().last().expect("a request").json();
            let turns = sent["messages"].as_array().expect("messages").clone();
            let [.., said, please] = turns.as_slice() else { panic!("{what}: {sent}") };
            assert_eq!((&said["role"], &please["role"]), (&json!("assistant"), &json!("user")), "{what}");
            assert!(said.to_string().contains("tok1 tok2 tok3 tok4 tok5"), "{what}: {sent}");

            let (usage, record) = (got.usage(), gateway.record(&got).await);
            let prompt = usage["prompt_tokens"].as_u64().expect("a count");
            assert_eq!(usage["completion_tokens"], before + 3, "{what}: both parts");
            assert!(prompt > 40, "{what}: both prompts: {usage}");
            assert_eq!(record["total_cost"], usage["cost"], "{what}");
            let exact = ((prompt * 2 + before * 8 + 3 * 16) as f64) / 1e6;
            assert!((usage["cost"].as_f64().unwrap_or(0.0) - exact).abs() < 1e-9, "{what}: {usage}, not {exact}");
            let tries: Vec<(&Value, bool, bool)> = record["provider_responses"]
                .as_array()
                .expect("attempts")
                .iter()
                .map(|t| (&t["provider_name"], t["error"].is_string(), t["continues"] == true))
                .collect();
            assert_eq!(tries, [(&json!("bad"), true, false), (&json!("good"), false, true)], "{what}: {record}");
            assert_eq!(record["slipswitch"]["error"], Value::Null, "{what}");
        }
    }
}

#[tokio::test]
async fn callers_of_other_dialects_see_one_answer_too() {
    let (bad, good) = (breaks(Dialect::OpenAiChat, "cut:5").await, Scripted::start().await.expect("a socket"));
    let gateway = Gateway::start(&house(&bad, &good, ON));
    good.push(says(&[" tok6"]));
    let body = json!({
        "model": "house/x", "max_tokens": 100, "stream": true, "provider": { "order": ["bad", "good"] },
        "messages": [{ "role": "user", "content": "count to 20" }],
    });
    let text = gateway.post("/v1/messages", &body).await.text();
    let once = ["message_start", "content_block_start", "content_block_stop", "message_stop"];
    for event in once {
        assert_eq!(text.matches(&format!("event: {event}\n")).count(), 1, "{event}: {text}");
    }
    assert!(text.contains(" tok5") && text.contains(" tok6") && !text.contains("event: error"), "{text}");
    assert!(text.contains("event: ping\n") && text.contains("\"continued\":{"), "{text}");
    let asked = good.journal().last().expect("a request").json();
    let most = asked["max_tokens"].as_u64().or(asked["max_completion_tokens"].as_u64());
    assert!(most.is_some_and(|most| (90..100).contains(&most)), "what is left of it: {asked}");
}

#[tokio::test]
async fn it_is_gone_on_with_once_and_by_whoever_can() {
    // The second refuses, the third goes on.
    let (bad, good) = (breaks(Dialect::OpenAiChat, "cut:5").await, Scripted::start().await.expect("a socket"));
    let third = Scripted::start().await.expect("a socket");
    let config = house(&bad, &good, ON) + &provider("third", Dialect::OpenAiChat, &third.base_url(), &["lab/one"]);
    let gateway = Gateway::start(&config);
    let order = json!({ "provider": { "order": ["bad", "good", "third"] } });
    good.push(Script::json(503, &json!({ "error": { "message": "no" } })));
    third.push(says(&[" tok6"]));
    let got = gateway.chat(&with(ask("house/x", true), order.clone())).await;
    assert!(got.content().ends_with("tok5 tok6") && !got.text().contains("\"error\""), "{}", got.text());
    assert_eq!((good.journal().total(), third.journal().total()), (1, 1));
    assert_eq!(gateway.record(&got).await["provider_responses"].as_array().map(Vec::len), Some(3));
    // The second breaks off as well: that is the end of it.
    let cut = Script::stream([format!(
        "data: {}\n\n",
        json!({ "choices": [{ "index": 0, "delta": { "content": " tok6" } }] })
    )]);
    let (bad, good) = (breaks(Dialect::OpenAiChat, "cut:5").await, Scripted::start().await.expect("a socket"));
    good.push(cut.ending(End::Cut));
    let config = house(&bad, &good, ON) + &provider("third", Dialect::OpenAiChat, &third.base_url(), &["lab/one"]);
    let gateway = Gateway::start(&config);
    let got = gateway.chat(&with(ask("house/x", true), order)).await;
    assert!(got.content().ends_with("tok5 tok6"), "{}", got.text());
    assert!(got.events().iter().any(|e| e["error"]["code"] == 502), "{}", got.text());
    assert_eq!((good.journal().total(), third.journal().total()), (1, 1));
    // Nobody is there to go on.
    let gateway = Gateway::start(&house(&bad, &good, ON));
    let got = gateway.chat(&with(ask("house/x", true), json!({ "provider": { "only": ["bad"] } }))).await;
    assert!(
        got.content().ends_with("tok5") && got.events().iter().any(|e| e["error"]["code"] == 502),
        "{}",
        got.text()
    );
}

#[tokio::test]
async fn what_cannot_be_gone_on_with_ends_with_the_error_as_everywhere() {
    let rows = [
        ("nobody asked for it", "", json!({})),
        ("another name", ON, json!({ "model": "lab/one" })),
        ("a form to keep", ON, json!({ "response_format": { "type": "json_object" } })),
        ("several choices", ON, json!({ "n": 2 })),
        ("probabilities", ON, json!({ "logprobs": true })),
        ("stored", ON, json!({ "store": true })),
    ];
    for (what, more, over) in rows {
        let (bad, good) = (breaks(Dialect::OpenAiChat, "cut:5").await, Scripted::start().await.expect("a socket"));
        let gateway = Gateway::start(&house(&bad, &good, more));
        let got = gateway.post(CHAT, &with(ask("house/x", true), over)).await;
        assert_eq!(good.journal().total(), 0, "{what}: {}", got.text());
        assert!(got.events().iter().any(|e| e["error"]["code"] == 502), "{what}: {}", got.text());
    }
}

#[tokio::test]
async fn a_caller_who_leaves_while_somebody_is_looked_for_pays_for_what_was_said() {
    let (bad, good) = (breaks(Dialect::OpenAiChat, "cut:5").await, Scripted::start().await.expect("a socket"));
    good.push(says(&[" tok6"]).slow(std::time::Duration::from_secs(20)));
    let gateway = Gateway::start(&house(&bad, &good, ON));
    let mut stream = gateway.open(CHAT, &ask("house/x", true)).await;
    stream.until("tok5").await;
    let id = stream.id();
    good.journal().wait_until(std::time::Duration::from_secs(5), |all| !all.is_empty()).await;
    drop(stream);
    let record = gateway.record_left(&id).await;
    assert_eq!((&record["cancelled"], &record["slipswitch"]["status"]), (&json!(true), &json!(499)), "{record}");
    assert!(record["tokens_completion"].as_u64().is_some_and(|n| (3..=8).contains(&n)), "{record}");
    assert!(record["total_cost"].as_f64().is_some_and(|cost| cost > 0.0), "{record}");
}
