//! Who is to blame rests, and nobody else: the model at its endpoint, the key, or the host. And who has nobody to turn to is asked
//! once more.

use super::{ask, fail, pair, sim, with};
use crate::harness::{Gateway, provider};
use serde_json::{Value, json};
use slip_ir::Dialect;

/// Mode, how often it must happen, and whether the same model and another model are still asked there afterwards.
const ROWS: &[(&str, usize, bool, bool)] = &[
    ("status:400", 4, true, true),
    ("context", 4, true, true),
    ("status:500", 2, true, true),
    ("status:500", 3, false, true),
    ("error-200", 3, false, true),
    ("stall:0", 3, false, true),
    ("reset-headers", 3, false, true),
    ("status:404", 1, false, true),
    ("status:429:30", 1, false, true),
    ("status:429", 1, false, true),
    ("auth", 1, false, false),
    ("quota", 1, false, false),
    ("status:402", 1, false, false),
];

#[tokio::test]
async fn the_smallest_guilty_unit_rests() {
    for stream in [false, true] {
        for (mode, times, same, other) in ROWS {
            let what = format!("{mode} x {times}, stream {stream}");
            let (bad, good) = (sim(Dialect::OpenAiChat, Some(mode)).await, sim(Dialect::OpenAiChat, None).await);
            let timeouts = "[timeouts]\nfirst_content = \"300ms\"\nidle = \"300ms\"\ntotal = \"2s\"\n\n";
            let gateway = Gateway::start(&(timeouts.to_owned() + &pair(&bad, &good, &["lab/one", "lab/two"])));
            for _ in 0..*times {
                gateway.chat(&ask("lab/one", stream)).await;
            }
            fail(&bad, None);
            for (model, want) in [("lab/one", same), ("lab/two", other)] {
                let before = bad.journal().total();
                let got = gateway.chat(&ask(model, false)).await;
                assert_eq!(got.status, 200, "{what}: {}", got.text());
                assert_eq!(bad.journal().total() > before, *want, "{what}: {model} is asked of it");
            }
        }
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_rests_with_all_its_models() {
    let good = sim(Dialect::OpenAiChat, None).await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/v1", listener.local_addr().expect("an address"))
    };
    let models = ["lab/one", "lab/two"];
    let config = provider("bad", Dialect::OpenAiChat, &gone, &models)
        + &provider("good", Dialect::OpenAiChat, &good.base_url(), &models);
    let gateway = Gateway::start(&config);
    let tries = |record: &Value| record["provider_responses"].as_array().expect("attempts").len();
    for n in 0..3 {
        let got = gateway.chat(&ask("lab/one", false)).await;
        assert_eq!((got.status, tries(&gateway.record(&got).await)), (200, 2), "{n}");
    }
    for model in models {
        let got = gateway.chat(&ask(model, false)).await;
        assert_eq!((got.status, tries(&gateway.record(&got).await)), (200, 1), "{model}: the host is passed over");
    }
}

/// Mode, calls, and the status at the end, where there is one endpoint and the fault goes away after the first call.
#[tokio::test]
async fn who_is_alone_is_asked_once_more() {
    let rows = [
        ("status:500", 2, 200),
        ("status:503", 2, 200),
        ("status:429:1", 2, 200),
        ("status:429:30", 1, 429),
        ("status:400", 1, 400),
        ("auth", 1, 502),
    ];
    for stream in [false, true] {
        for (mode, calls, status) in rows {
            let sim = sim(Dialect::OpenAiChat, Some(mode)).await;
            let gateway = Gateway::start(&provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one"]));
            let body = with(ask("lab/one", stream), json!({ "provider": {} }));
            let asking = gateway.chat(&body);
            let mending = async {
                while sim.journal().total() == 0 {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                fail(&sim, None);
            };
            let (got, ()) = tokio::join!(asking, mending);
            assert_eq!((got.status, sim.journal().total()), (status, calls), "{mode}, stream {stream}: {}", got.text());
        }
    }
}
