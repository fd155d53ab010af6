//! Each deadline where it is set: for everybody, for one provider, for one name; streamed and not.

use super::{ask, sim, with};
use crate::harness::{Gateway, Got, provider};
use serde_json::json;
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

/// Far longer than any test waits.
const PATIENT: &str = "[timeouts]\nconnect = \"30s\"\nfirst_content = \"30s\"\nidle = \"30s\"\ntotal = \"60s\"\n\n";

/// What went wrong in the caller's words, in the head or in the stream.
fn told(got: &Got) -> String {
    let error = match got.status {
        200 => got.events().iter().map(|e| e["error"].clone()).find(|e| !e.is_null()).unwrap_or_default(),
        _ => got.error(),
    };
    error["message"].as_str().unwrap_or_default().to_owned()
}

/// The gateway with a lone provider `lab`, its own timeouts and those of `house/x`.
fn gateway(base_url: &str, of_provider: &str, of_house: &str) -> Gateway {
    let lab = provider("lab", Dialect::OpenAiChat, base_url, &["lab/one"]);
    Gateway::start(&format!(
        "{PATIENT}{}timeouts = {{ {of_provider} }}\n\n[models.\"house/x\"]\nendpoints = [\"lab/one\"]\ntimeouts = {{ {of_house} }}\n",
        lab.trim_end().to_owned() + "\n"
    ))
}

#[tokio::test]
async fn a_deadline_fires_where_it_is_set_for_a_provider_or_for_a_name() {
    let rows = [
        ("first_content", "never", true, "sent no response head within 300 ms"),
        ("first_content", "ttft:30s", true, "sent no content within 300 ms"),
        ("idle", "stall:3", true, "stalled: nothing came for 300 ms"),
        ("idle", "stall:3", false, "stalled: nothing came for 300 ms"),
        ("total", "never", false, "within 300 ms"),
        ("total", "stall:3", true, "did not end within 300 ms"),
        ("total", "stall:3", false, "within 300 ms"),
    ];
    for (member, mode, stream, says) in rows {
        let slow = sim(Dialect::OpenAiChat, Some(mode)).await;
        let own = format!("{member} = \"300ms\"");
        for (of_provider, of_house, model) in [(own.as_str(), "", "lab/one"), ("", own.as_str(), "house/x")] {
            let gateway = gateway(&slow.base_url(), of_provider, of_house);
            let before = slow.journal().total();
            let got = gateway.chat(&with(ask(model, stream), json!({ "provider": {} }))).await;
            let said = told(&got);
            assert!(
                said.ends_with(says),
                "{member} of {model}, {mode}, stream {stream}: {} {}",
                got.status,
                got.text()
            );
            assert_eq!(slow.journal().total() - before, 1, "{member} of {model}, {mode}, stream {stream}");
        }
    }
}

#[tokio::test]
async fn reaching_a_provider_has_a_deadline_of_its_own() {
    // The kernel takes the connection, and nobody ever shakes hands.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let base = format!("https://{}/v1", silent.local_addr().expect("an address"));
    for (of_provider, of_house, model) in
        [("connect = \"300ms\"", "", "lab/one"), ("connect = \"9s\"", "connect = \"300ms\"", "house/x")]
    {
        for stream in [false, true] {
            let gateway = gateway(&base, of_provider, of_house);
            let got = gateway.chat(&with(ask(model, stream), json!({ "provider": {} }))).await;
            assert_eq!(got.status, 504, "{}", got.text());
            assert!(told(&got).ends_with("could not be reached within 300 ms"), "{}", got.text());
        }
    }
}

#[tokio::test]
async fn the_narrower_deadline_wins_each_for_what_it_names() {
    let slow = sim(Dialect::OpenAiChat, Some("ttft:600ms")).await;
    // A name may give more time than its provider has elsewhere, and the provider's other deadlines stay.
    let gateway = gateway(&slow.base_url(), "first_content = \"200ms\", idle = \"250ms\"", "first_content = \"20s\"");
    let plain = |model: &str| with(ask(model, true), json!({ "provider": {} }));
    let got = gateway.chat(&plain("house/x")).await;
    assert!(got.content().ends_with("tok20"), "{}", got.text());
    assert!(told(&gateway.chat(&plain("lab/one")).await).ends_with("within 200 ms"));
    slow.set_fault(Some(slip_sim::Fault::parse("stall:3").expect("a mode")));
    assert!(told(&gateway.chat(&plain("house/x")).await).ends_with("nothing came for 250 ms"));
}

#[tokio::test]
async fn a_provider_that_runs_out_of_its_own_time_leaves_the_rest_to_another() {
    let slow = SimConfig { dialect: Dialect::OpenAiChat, tokens_per_second: 10.0, ..SimConfig::default() };
    let (slow, good) = (Sim::start(slow).await.expect("a socket"), sim(Dialect::OpenAiChat, None).await);
    let bad = provider("bad", Dialect::OpenAiChat, &slow.base_url(), &["lab/one"]);
    let good_one = provider("good", Dialect::OpenAiChat, &good.base_url(), &["lab/one"]);
    let config =
        format!("{PATIENT}{}timeouts = {{ total = \"300ms\" }}\n\n{good_one}", bad.trim_end().to_owned() + "\n");
    let gateway = Gateway::start(&config);
    let got = gateway.chat(&ask("lab/one", false)).await;
    assert_eq!((got.status, &got.json()["provider"]), (200, &json!("good")), "{}", got.text());
    assert_eq!((slow.journal().total(), good.journal().total()), (1, 1));
}
