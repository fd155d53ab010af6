//! Structured output from a provider that has none: by a forced tool or in words, checked, asked once more, and told.

use super::*;

const HEADER: &str = "x-slipswitch-losses";

/// DeepSeek takes `json_object` and no schema.
async fn deepseek(params: &str) -> (Scripted, Gateway) {
    let upstream = Scripted::start().await.expect("a socket");
    let gateway = Gateway::start(&format!(
        "[providers.deepseek]\nkey = \"k\"\nbase_url = \"{}\"\nmodels = [{{ id = \"lab/one\"{params}, price = {{ input = \"2\", output = \"8\" }} }}]\n",
        upstream.base_url()
    ));
    (upstream, gateway)
}

const TOOLS: &str = ", params = [\"tools\", \"tool_choice\"]";

fn wish(stream: bool) -> Value {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] });
    ask(
        "lab/one",
        json!({
            "stream": stream,
            "response_format": { "type": "json_schema", "json_schema": { "name": "n", "strict": true, "schema": schema } },
        }),
    )
}

#[tokio::test]
async fn a_forced_tools_arguments_come_back_as_content_streamed_and_not() {
    let (upstream, gateway) = deepseek(TOOLS).await;
    let call = |arguments: &str| json!([{ "index": 0, "id": "c", "type": "function", "function": { "name": "json_answer", "arguments": arguments } }]);
    upstream.push(Script::json(200, &json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": null, "tool_calls": call("{\"a\":1}") }, "finish_reason": "tool_calls" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 },
    })));
    let got = gateway.chat(&wish(false)).await;
    assert_eq!((got.status, got.content().as_str()), (200, "{\"a\":1}"), "{}", got.text());
    let choice = got.json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "stop");
    assert!(choice["message"].get("tool_calls").is_none_or(Value::is_null), "{choice}");
    assert_eq!(got.header(HEADER), "response_format: by forced tool");
    assert_eq!(losses(&gateway, &got).await, ["response_format: by forced tool"]);
    let sent = upstream.journal().last().expect("a request").json();
    assert_eq!(sent["tool_choice"]["function"]["name"], "json_answer");
    assert!(
        sent.get("response_format").is_none() && sent["tools"][0]["function"]["parameters"]["required"][0] == "a",
        "{sent}"
    );
    let chunk = |delta: Value, finish: Value| json!({ "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
    upstream.push(Script::events(&[
        chunk(json!({ "role": "assistant", "content": null, "tool_calls": call("") }), Value::Null),
        chunk(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{\"a\"" } }] }), Value::Null),
        chunk(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": ":1}" } }] }), Value::Null),
        chunk(json!({}), json!("tool_calls")),
    ]));
    let streamed = gateway.chat(&wish(true)).await;
    assert_eq!((streamed.status, streamed.content().as_str()), (200, "{\"a\":1}"), "{}", streamed.text());
    assert!(!streamed.text().contains("json_answer") && streamed.text().contains("\"finish_reason\":\"stop\""));
    assert_eq!(streamed.header(HEADER), "response_format: by forced tool");
}

#[tokio::test]
async fn an_answer_asked_for_in_words_is_cleaned_checked_and_asked_for_once_more() {
    let (upstream, gateway) = deepseek("").await;
    upstream.push(answer(Dialect::OpenAiChat, "Sure:\n```json\n{\"a\": 1}\n```"));
    let got = gateway.chat(&wish(false)).await;
    assert_eq!((got.content().as_str(), got.header(HEADER)), ("{\"a\": 1}", "response_format: by prompt"));
    let sent = upstream.journal().last().expect("a request").json();
    assert_eq!(
        (sent["messages"][0]["role"].clone(), sent["response_format"]["type"].clone()),
        (json!("system"), json!("json_object"))
    );
    upstream.push(answer(Dialect::OpenAiChat, "{\"a\":\"one\"}"));
    upstream.push(answer(Dialect::OpenAiChat, "{\"a\":1}"));
    let got = gateway.chat(&wish(false)).await;
    assert_eq!(got.content(), "{\"a\":1}");
    assert_eq!(
        (got.usage()["prompt_tokens"].clone(), got.usage()["completion_tokens"].clone()),
        (json!(6), json!(4)),
        "both are paid for"
    );
    let asked = upstream.journal().last().expect("a request").json()["messages"].clone();
    let asked = asked.as_array().expect("messages");
    let last = &asked[asked.len() - 2..];
    assert!(
        last[0]["content"] == "{\"a\":\"one\"}" && last[1]["content"].as_str().is_some_and(|c| c.contains("/a: ")),
        "{last:?}"
    );
    let plain = ask("lab/one", json!({ "response_format": { "type": "json_object" } }));
    upstream.push(answer(Dialect::OpenAiChat, "{}"));
    let got = gateway.chat(&plain).await;
    assert!(got.status == 200 && got.headers.get(HEADER).is_none(), "what the provider has is left to it");
}

#[tokio::test]
async fn an_answer_that_is_wrong_twice_is_an_error_that_shows_it() {
    let (upstream, gateway) = deepseek("").await;
    let before = upstream.journal().total();
    upstream.push(answer(Dialect::OpenAiChat, "I would rather not."));
    upstream.push(answer(Dialect::OpenAiChat, "{\"b\":1}"));
    let got = gateway.chat(&wish(false)).await;
    let says = got.error()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!((got.status, upstream.journal().total() - before), (422, 2), "{}", got.text());
    assert!(says.contains("required property") && says.contains("{\"b\":1}"), "{says}");
}
