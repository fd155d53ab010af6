//! What became of a request: in its record, in its head, and told by the command.

use super::{Market, ask};
use crate::harness::{KEY, run};
use serde_json::json;

#[tokio::test]
async fn the_head_and_the_record_tell_how_a_reply_came_about() {
    let market = Market::open().await;
    for stream in [false, true] {
        let mut body = ask(json!({ "order": ["down", "swift"], "ignore": ["flaky"] }));
        body["stream"] = json!(stream);
        let got = market.gateway.chat(&body).await;
        let attempts = if stream { "1" } else { "2" };
        assert_eq!((got.status, got.header("x-slipswitch-attempts")), (200, attempts), "{}", got.text());
        assert_eq!(got.header("x-slipswitch-strategy"), "least-cost");
        let timing = got.header("server-timing").strip_prefix("gateway;dur=").and_then(|ms| ms.parse::<f64>().ok());
        assert!(timing.is_some_and(|ms| ms < 5_000.0), "{}", got.header("server-timing"));
        let exposed = got.header("access-control-expose-headers");
        assert!(["X-Slipswitch-Attempts", "Server-Timing"].iter().all(|name| exposed.contains(name)), "{exposed}");
        let record = market.gateway.record(&got).await;
        let own = &record["slipswitch"];
        assert_eq!((&own["strategy"], &own["chosen_by"]), (&json!("least-cost"), &json!("order")));
        assert_eq!(own["ruled_out"], json!([{ "endpoint": "flaky", "rule": "ignore", "says": "in provider.ignore" }]));
        let last = own["tried_last"].as_array().map_or(0, Vec::len);
        assert_eq!(last, usize::from(stream), "resting since the first request: {own}");
    }
    let failed = market.gateway.chat(&ask(json!({ "only": ["down"] }))).await;
    assert!(
        failed.status >= 400 && failed.header("x-slipswitch-attempts") == "1",
        "{} {}",
        failed.status,
        failed.text()
    );
}

#[tokio::test]
async fn a_past_request_is_told_from_its_record() {
    let market = Market::open().await;
    let got = market.gateway.chat(&ask(json!({ "order": ["down", "swift"], "ignore": ["flaky"] }))).await;
    let url = format!("http://{}", market.gateway.address);
    let id = got.header("x-generation-id");
    let said = run(&["explain", "--url", &url, id], &[("SLIPSWITCH_KEY", KEY)]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    for words in
        ["by least-cost (chosen by: order)", "1   down", "404", "2   swift", "ignore: in provider.ignore", "cost "]
    {
        assert!(said.out.contains(words), "{words}: {}", said.out);
    }
}
