//! Every way to fail, of every dialect upstream, streamed and not: how often was called, what the caller saw, what was recorded.

use super::{ask, fail, pair, sim, with};
use crate::harness::{Gateway, Got};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

/// What comes of it while another endpoint is there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// The other one answered, and the caller saw nothing of the first.
    Elsewhere,
    /// The first one answered.
    Fine,
    /// The caller was told at once, and nobody else was asked.
    Refused(u16),
    /// The stream had begun: it ends with this error.
    Broken(u16),
}

use Seen::{Broken, Elsewhere, Fine, Refused};

/// Mode, streamed, not streamed.
const ROWS: &[(&str, Seen, Seen)] = &[
    ("status:500", Elsewhere, Elsewhere),
    ("status:502", Elsewhere, Elsewhere),
    ("status:503", Elsewhere, Elsewhere),
    ("status:529", Elsewhere, Elsewhere),
    ("status:408", Elsewhere, Elsewhere),
    ("status:404", Elsewhere, Elsewhere),
    ("status:402", Elsewhere, Elsewhere),
    ("status:429", Elsewhere, Elsewhere),
    ("status:429:3", Elsewhere, Elsewhere),
    ("auth", Elsewhere, Elsewhere),
    ("quota", Elsewhere, Elsewhere),
    ("status:400", Refused(400), Refused(400)),
    ("status:422", Refused(422), Refused(422)),
    ("context", Refused(400), Refused(400)),
    ("reset-headers", Elsewhere, Elsewhere),
    ("close", Elsewhere, Elsewhere),
    ("not-http", Elsewhere, Elsewhere),
    ("redirect", Elsewhere, Elsewhere),
    ("html", Elsewhere, Elsewhere),
    ("html:502", Elsewhere, Elsewhere),
    ("empty", Elsewhere, Elsewhere),
    ("error-first", Elsewhere, Elsewhere),
    ("error-200", Elsewhere, Elsewhere),
    ("bad-json", Elsewhere, Elsewhere),
    ("reset:0", Elsewhere, Elsewhere),
    ("reset:10", Elsewhere, Elsewhere),
    ("stall:0", Elsewhere, Elsewhere),
    ("cut:0", Elsewhere, Elsewhere),
    ("end:0", Elsewhere, Elsewhere),
    ("stall:5", Broken(504), Elsewhere),
    ("cut:5", Broken(502), Elsewhere),
    ("end:5", Broken(502), Elsewhere),
    ("error:5", Broken(0), Elsewhere),
    ("short-body", Fine, Elsewhere),
    ("blank", Fine, Fine),
    ("no-usage", Fine, Fine),
    ("no-done", Fine, Fine),
    ("huge-event:70000", Fine, Fine),
    ("slow-headers:50ms", Fine, Fine),
    ("ttft:50ms", Fine, Fine),
    // A streamed request waits for its first content only so long; one that is not may take half its time before another is asked.
    ("never", Elsewhere, Elsewhere),
    ("slow-headers:30s", Elsewhere, Elsewhere),
    ("ttft:30s", Elsewhere, Elsewhere),
];

/// What is the account's fault.
const ACCOUNT: &[&str] = &["status:402", "auth", "quota"];

#[tokio::test]
async fn openai_upstreams() {
    every_row(Dialect::OpenAiChat).await;
}

#[tokio::test]
async fn anthropic_upstreams() {
    every_row(Dialect::Anthropic).await;
}

#[tokio::test]
async fn gemini_upstreams() {
    every_row(Dialect::Gemini).await;
}

#[tokio::test]
async fn completions_upstreams() {
    every_row(Dialect::Completions).await;
}

#[tokio::test]
async fn ollama_upstreams() {
    every_row(Dialect::Ollama).await;
}

#[tokio::test]
async fn ollama_generate_upstreams() {
    every_row(Dialect::OllamaGenerate).await;
}

#[tokio::test]
async fn cohere_upstreams() {
    every_row(Dialect::Cohere).await;
}

#[tokio::test]
async fn bedrock_upstreams() {
    every_row(Dialect::Bedrock).await;
}

async fn every_row(dialect: Dialect) {
    // A pause between tokens, so that what came before a break was read before it.
    let paced = SimConfig { dialect, tokens_per_second: 500.0, ..SimConfig::default() };
    let (bad, good) = (Sim::start(paced).await.expect("a socket"), sim(Dialect::OpenAiChat, None).await);
    // A model for each row, for the gateway remembers who failed at what.
    let models: Vec<String> = (0..ROWS.len() * 2).map(|n| format!("lab/m{n}")).collect();
    let names: Vec<&str> = models.iter().map(String::as_str).collect();
    let timeouts = "[timeouts]\nfirst_content = \"400ms\"\nidle = \"400ms\"\ntotal = \"1s\"\n\n";
    let config = timeouts.to_owned() + &pair(&bad, &good, &names);
    let shared = Gateway::start(&config);
    let mut models = models.iter();
    for (mode, streamed, plain) in ROWS {
        for (stream, want) in [(true, *streamed), (false, *plain)] {
            let what = format!("{mode}, {dialect:?}, stream {stream}");
            let model = models.next().expect("a model for each row");
            fail(&bad, Some(mode));
            let before = (bad.journal().total(), good.journal().total());
            // A refused account rests with all its models: such a row has a gateway that nobody uses after it.
            let own = ACCOUNT.contains(mode).then(|| Gateway::start(&config));
            let gateway = own.as_ref().unwrap_or(&shared);
            let got = gateway.chat(&ask(model, stream)).await;
            let calls = (bad.journal().total() - before.0, good.journal().total() - before.1);
            let seen = seen(&got, stream);
            let same = matches!((want, seen), (Broken(0), Broken(_))) || want == seen;
            assert!(same, "{what}: {seen:?}, not {want:?}: {} {}", gateway.record(&got).await, got.text());
            let other = u64::from(want == Elsewhere);
            assert_eq!(calls, (1, other), "{what}: calls of the first and of the other");
            recorded(&gateway.record(&got).await, want, &got, &what);
        }
    }
    // Dead connections are not given to the next request.
    fail(&bad, None);
    for _ in 0..3 {
        let got = shared.chat(&with(ask("lab/m79", false), json!({ "provider": { "only": ["good"] } }))).await;
        assert_eq!(got.status, 200);
    }
}

fn seen(got: &Got, stream: bool) -> Seen {
    if got.status != 200 {
        return Refused(got.status);
    }
    if stream {
        let events = got.events();
        if let Some(error) = events.iter().find_map(|e| e["error"]["code"].as_u64()) {
            let content = got.content();
            assert!(
                content.starts_with("tok1 tok2") && !content.contains("tok6"),
                "delivered once: {content} {events:?}"
            );
            return Broken(u16::try_from(error).unwrap_or(0));
        }
        assert!(got.text().ends_with("data: [DONE]\n\n"), "{}", got.text());
        assert!(got.usage()["cost"].is_number(), "{}", got.text());
    }
    let first = if stream { got.events().remove(0) } else { got.json() };
    match first["provider"].as_str() {
        Some("good") => {
            assert!(
                got.content().starts_with("tok1 tok2") && got.content().ends_with("tok20"),
                "whole, and once: {}",
                got.content()
            );
            Elsewhere
        }
        _ => Fine,
    }
}

/// The record tells each attempt, and only what was delivered costs anything.
fn recorded(record: &Value, want: Seen, got: &Got, what: &str) {
    let tries: Vec<(&str, bool)> = record["provider_responses"]
        .as_array()
        .expect("attempts")
        .iter()
        .map(|t| (t["provider_name"].as_str().unwrap_or(""), t["error"].is_null()))
        .collect();
    let own = &record["slipswitch"];
    let cost = record["total_cost"].as_f64().expect("a cost");
    assert_eq!(record["cancelled"], false, "{what}");
    match want {
        Elsewhere => {
            assert_eq!(tries, [("bad", false), ("good", true)], "{what}");
            assert_eq!((&own["status"], &record["provider_name"]), (&json!(200), &json!("good")), "{what}");
            assert_eq!(Some(cost), got.usage()["cost"].as_f64(), "{what}: only the answer costs");
        }
        Fine => {
            assert_eq!((tries.as_slice(), &own["status"]), (&[("bad", true)][..], &json!(200)), "{what}");
            assert_eq!(own["error"], Value::Null, "{what}");
        }
        Refused(status) => {
            assert_eq!(
                (tries.as_slice(), &own["status"], cost),
                (&[("bad", false)][..], &json!(status), 0.0),
                "{what}"
            );
            assert!(own["error"]["reason"].is_string(), "{what}");
        }
        Broken(_) => {
            assert_eq!(tries, [("bad", true)], "{what}: it had answered");
            assert!(own["error"]["reason"].is_string(), "{what}: {record}");
            assert!(record["tokens_completion"].as_u64().is_some_and(|n| (3..=8).contains(&n)), "{what}: {record}");
            assert!(cost > 0.0, "{what}: what was delivered is charged");
        }
    }
}
