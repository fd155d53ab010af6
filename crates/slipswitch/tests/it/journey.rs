//! A request's whole journey, on the main road.

use crate::harness::Gateway;
use serde_json::json;

pub const THREE: &str = r#"
[providers.one]
kind = "simulated"
dialect = "openai-chat"
models = ["sim/openai"]
price = { input = "2", output = "8" }

[providers.two]
kind = "simulated"
dialect = "anthropic"
models = ["sim/anthropic"]
price = { input = "3", output = "15" }

[providers.three]
kind = "simulated"
dialect = "gemini"
models = ["sim/gemini"]
price = { input = "1", output = "4" }
"#;

#[tokio::test]
async fn every_dialect_answers_streamed_and_not_with_the_same_text_and_cost() {
    let gateway = Gateway::start(THREE);
    for model in ["sim/openai", "sim/anthropic", "sim/gemini"] {
        let ask = |stream: bool| json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "hello out there" }] });
        let whole = gateway.chat(&ask(false)).await;
        let stream = gateway.chat(&ask(true)).await;
        assert_eq!((whole.status, stream.status), (200, 200), "{model}: {} {}", whole.text(), stream.text());
        assert_eq!(whole.content(), "echo: hello out there", "{model}");
        assert_eq!(stream.content(), whole.content(), "{model}");
        let usage = |v: &serde_json::Value| v["usage"].clone();
        let last = stream.events().pop().expect("a last event");
        assert_eq!(usage(&last), usage(&whole.json()), "{model}");
        assert!(usage(&last)["cost"].as_f64().is_some_and(|c| c > 0.0), "{model}");
        let record = gateway.record(&stream).await;
        assert_eq!(record["total_cost"], usage(&last)["cost"], "{model}");
        assert_eq!(record["tokens_completion"], usage(&last)["completion_tokens"], "{model}");
    }
}
