//! The ends of streams: what comes after the finish, or does not.

use super::with;
use crate::harness::{Gateway, provider};
use serde_json::json;
use slip_ir::Dialect;
use slip_sim::scripted::End;
use slip_sim::{Script, Scripted};
use std::time::{Duration, Instant};

const ANSWER: &str = "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hello\"},\"finish_reason\":null}]}\n\n\
     data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
     data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4}}\n\n";

#[tokio::test]
#[allow(clippy::disallowed_methods, reason = "how long the caller waits is what is tested")]
async fn an_answer_that_came_whole_is_not_spoilt_by_what_follows() {
    let lab = Scripted::start().await.expect("a socket");
    let gateway = Gateway::start(&provider("lab", Dialect::OpenAiChat, &lab.base_url(), &["lab/one"]));
    for end in [End::Clean, End::Cut, End::Reset, End::Hang] {
        for pieces in [vec![ANSWER.to_owned()], ANSWER.split_inclusive("\n\n").map(str::to_owned).collect()] {
            let what = format!("{end:?} after {} pieces", pieces.len());
            lab.push(Script::stream(pieces).paced(Duration::from_millis(5)).ending(end));
            let body = json!({ "model": "lab/one", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
            let began = Instant::now();
            let got = gateway.chat(&with(body, json!({}))).await;
            assert_eq!((got.status, got.content().as_str()), (200, "hello"), "{what}: {}", got.text());
            assert!(
                got.text().ends_with("data: [DONE]\n\n") && !got.text().contains("\"error\""),
                "{what}: {}",
                got.text()
            );
            assert_eq!(got.usage()["completion_tokens"], 1, "{what}");
            assert!(began.elapsed() < Duration::from_secs(4), "{what}: the rest is not waited for long");
            assert_eq!(gateway.record(&got).await["provider_responses"].as_array().map(Vec::len), Some(1), "{what}");
        }
    }
    assert_eq!(lab.left(), 0);
}
