//! What is asked, both ways.

use super::*;
use crate::peek::Named;
use crate::{Peek, wire};
use slip_ir::{Block, Dialect, Effort, Format, Role, ToolChoice};

/// A chat request in Converse's words, with what was lost.
fn from_chat(model: &str, body: Value) -> (Value, Vec<String>) {
    let mut body = body;
    body["model"] = model.into();
    let (mut request, _) =
        wire(Dialect::OpenAiChat).decode_request(body.to_string().as_bytes()).expect("a good request");
    request.model = model.to_owned();
    let (body, losses) = encoded(&request);
    (body, losses.iter().map(|loss| loss.what.to_string()).collect())
}

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "us.amazon.nova-2-lite-v1:0";

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[test]
fn the_models_name_is_one_segment_of_the_path() {
    let rows = [
        (CLAUDE, false, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/a",
            true,
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fa/converse-stream",
        ),
        ("../../a?b", false, "/model/..%2F..%2Fa%3Fb/converse"),
    ];
    for (model, stream, want) in rows {
        assert_eq!(Bedrock.path(model, stream), want);
    }
}

#[test]
fn a_conversation_is_told_in_converses_words() {
    let (body, lost) = from_chat(
        CLAUDE,
        json!({
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]},
                user("hi"),
                {"role": "assistant", "content": "calling", "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1.0}"}},
                    {"id": "b", "type": "function", "function": {"name": "f", "arguments": ""}},
                ]},
                {"role": "tool", "tool_call_id": "a", "content": "one"},
                {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "two"}]},
                user("and?"),
            ],
            "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": true}}],
            "tool_choice": "required",
            "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ["x"], "top_k": 3,
        }),
    );
    let want = json!({
        "messages": [
            {"role": "user", "content": [{"text": "hi"}]},
            {"role": "assistant", "content": [
                {"text": "calling"},
                {"toolUse": {"toolUseId": "a", "name": "f", "input": {"x": 1.0}}},
                {"toolUse": {"toolUseId": "b", "name": "f", "input": {}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "a", "content": [{"text": "one"}]}},
                {"toolResult": {"toolUseId": "b", "content": [{"text": "two"}]}},
                {"text": "and?"},
            ]},
        ],
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "stopSequences": ["x"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object", "properties": {}}}, "strict": true}}],
            "toolChoice": {"any": {}},
        },
        "additionalModelRequestFields": {"top_k": 3},
    });
    assert_eq!((body, lost), (want, vec!["top_p".to_owned()]), "Claude takes one of temperature and top_p");
}

#[test]
fn what_only_a_family_has_a_name_for_goes_beside() {
    type Row = (&'static str, Value, Value, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        (NOVA, json!({"top_k": 3}), json!({"inferenceConfig": {"topK": 3}}), &[]),
        ("cohere.command-r-v1:0", json!({"top_k": 3}), json!({"k": 3}), &[]),
        ("mistral.mistral-large-2402-v1:0", json!({"top_k": 3}), json!({"top_k": 3}), &[]),
        ("meta.llama3-1-8b-instruct-v1:0", json!({"top_k": 3}), Value::Null, &["top_k"]),
        (
            CLAUDE,
            json!({"reasoning": {"max_tokens": 2000}}),
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
            &[],
        ),
        (
            NOVA,
            json!({"reasoning_effort": "low"}),
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
            &[],
        ),
        (
            NOVA,
            json!({"reasoning_effort": "high", "max_tokens": 5}),
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
            &["reasoning.effort"],
        ),
        ("openai.gpt-oss-120b-1:0", json!({"reasoning_effort": "high"}), json!({"reasoning_effort": "high"}), &[]),
        ("deepseek.r1-v1:0", json!({"reasoning_effort": "high"}), Value::Null, &["reasoning"]),
    ];
    for (model, mut body, want, losses) in rows {
        body["messages"] = json!([user("hi")]);
        let (got, lost) = from_chat(model, body.clone());
        assert_eq!(
            (&got["additionalModelRequestFields"], lost),
            (&want, losses.iter().map(|l| (*l).to_owned()).collect()),
            "{model} {body}"
        );
    }
}

#[test]
fn the_choice_of_a_tool_is_told_where_there_is_a_word_for_it() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let named = json!({"type": "function", "function": {"name": "f"}});
    type Row = (&'static str, Value, Value, Value, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        (NOVA, json!({"tool_choice": "auto"}), json!({"auto": {}}), Value::Null, &[]),
        (NOVA, json!({"tool_choice": named}), json!({"tool": {"name": "f"}}), Value::Null, &[]),
        (NOVA, json!({"parallel_tool_calls": false}), Value::Null, Value::Null, &["parallel_tool_calls"]),
        (
            CLAUDE,
            json!({"tool_choice": "required", "parallel_tool_calls": false}),
            Value::Null,
            json!({"type": "any", "disable_parallel_tool_use": true}),
            &[],
        ),
        (
            CLAUDE,
            json!({"tool_choice": "required", "reasoning": {"max_tokens": 2000}}),
            json!({"auto": {}}),
            Value::Null,
            &["tool_choice"],
        ),
    ];
    for (model, mut body, choice, beside, losses) in rows {
        (body["messages"], body["tools"]) = (json!([user("hi")]), tools.clone());
        let (got, lost) = from_chat(model, body.clone());
        assert_eq!(got["toolConfig"]["toolChoice"], choice, "{body}");
        assert_eq!(got["additionalModelRequestFields"]["tool_choice"], beside, "{body}");
        assert_eq!(lost, losses.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>(), "{body}");
    }
    let never = json!({"tool_choice": "none", "messages": [user("hi")], "tools": tools});
    assert_eq!(from_chat(NOVA, never).0["toolConfig"], Value::Null, "no tools, no calls");
}

#[test]
fn converses_demands_on_a_conversation_are_met() {
    let called = json!({"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let answered = json!({"role": "tool", "tool_call_id": "a", "content": "one"});
    let (body, _) = from_chat(CLAUDE, json!({"messages": [user("hi"), called, answered]}));
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "f", "a history of calls needs tools");
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}});
    let (body, lost) = from_chat(CLAUDE, json!({"messages": [{"role": "user", "content": [file]}]}));
    assert_eq!(body["messages"][0]["content"][0]["document"]["name"], "a");
    assert!(body["messages"][0]["content"][1]["text"].is_string() && lost == ["messages"], "words beside a document");
    let (body, lost) = from_chat(CLAUDE, json!({"messages": [{"role": "assistant", "content": "well"}, user("hi")]}));
    let roles: Vec<&str> = body["messages"].as_array().unwrap().iter().filter_map(|m| m["role"].as_str()).collect();
    assert_eq!((roles, lost.len()), (vec!["user", "assistant", "user"], 1), "the user speaks first");
    let (body, lost) = from_chat(
        CLAUDE,
        json!({"messages": [{"role": "system", "content": "be"}, {"role": "user", "content": [
        {"type": "text", "text": " "}, {"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}]}),
    );
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"text": "hi"}]}]));
    assert_eq!(lost, ["messages[1].text", "messages[1].image"]);
}

#[test]
fn a_schema_stands_in_a_string() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "description": "d"}});
    let (body, lost) = from_chat(NOVA, json!({"messages": [user("hi")], "response_format": format}));
    let told = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    assert_eq!((&told["name"], &told["description"], lost.len()), (&json!("n"), &json!("d"), 0));
    assert_eq!(serde_json::from_str::<Value>(told["schema"].as_str().unwrap()).unwrap(), schema);
    let (body, lost) = from_chat(NOVA, json!({"messages": [user("hi")], "response_format": {"type": "json_object"}}));
    assert!(body["system"][0]["text"].as_str().unwrap().contains("JSON object") && lost == ["response_format"]);
}

#[test]
fn reasoning_goes_back_byte_for_byte() {
    let blocks = json!([
        {"reasoningContent": {"reasoningText": {"text": "t\u{e9}", "signature": "EpMC+/=="}}},
        {"reasoningContent": {"redactedContent": "RXRrRUNrZ0k9"}},
        {"text": "so"},
    ]);
    let body = json!({"messages": [
        {"role": "user", "content": [{"text": "hi"}]},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": [{"text": "and?"}]},
    ]});
    let (request, losses) = decoded(&body);
    assert_eq!(lost(&losses), [""; 0]);
    assert_eq!(encoded(&request).0["messages"], body["messages"]);
    // Anthropic's own API reads the text inside the blob.
    let (direct, _) = wire(Dialect::Anthropic).encode_request(&request, &Quirks::ANTHROPIC);
    let direct: Value = serde_json::from_slice(&direct).unwrap();
    assert_eq!(direct["messages"][1]["content"][1], json!({"type": "redacted_thinking", "data": "EtkECkgI="}));
}

#[test]
fn a_callers_request_is_understood() {
    let body = json!({
        "messages": [
            {"role": "user", "content": [
                {"text": "hi"}, {"cachePoint": {"type": "default"}},
                {"document": {"format": "pdf", "name": "d", "source": {"bytes": "AAAA"}}},
                {"guardContent": {"text": {"text": "guarded", "qualifiers": ["query"]}}},
            ]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"json": {"b": 2}}], "status": "error"}}]},
        ],
        "system": [{"text": "s"}],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]},
        "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}, {"systemTool": {"name": "n"}}], "toolChoice": {"tool": {"name": "f"}}},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 5, "other": 1},
        "outputConfig": {"effort": "low", "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{\"type\":\"object\"}", "name": "n"}}}},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "provider": {"only": ["a"]},
    });
    let (request, losses) = decoded(&body);
    assert_eq!(lost(&losses), ["messages[0].content[3].guardContent"]);
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    let [Block::Text(hi), Block::Media(_), Block::Text(guarded)] = request.turns[1].blocks.as_slice() else { panic!() };
    assert!(hi.cache.is_some() && guarded.text == "guarded");
    let Block::ToolResult(result) = &request.turns[3].blocks[0] else { panic!() };
    assert!(result.is_error && result.content == [Block::text(r#"{"b":2}"#)]);
    let p = &request.params;
    assert_eq!(
        (p.max_tokens, p.top_k.as_ref().and_then(|k| k.as_u64()), p.stop.as_slice()),
        (Some(9), Some(5), &["x".to_owned()][..])
    );
    let reasoning = request.reasoning.clone().unwrap();
    assert_eq!((reasoning.budget, reasoning.effort), (Some(2000), Some(Effort::Low)));
    assert_eq!((request.tools.len(), request.tool_choice.clone()), (2, Some(ToolChoice::Named("f".into()))));
    assert!(matches!(&request.format, Some(Format::JsonSchema { name, .. }) if name == "n"));
    let extra: Vec<&str> = request.extra.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(extra, ["additionalModelRequestFields", "guardrailConfig"]);

    let named = Named { model: "a/b".into(), stream: true };
    let (peek, understood) = Peek::of(Dialect::Bedrock, body.to_string().as_bytes(), Some(&named)).unwrap();
    assert_eq!((peek.model.as_deref(), peek.stream, understood.is_some()), (Some("a/b"), true, true));
    assert!(peek.want.tools && peek.want.json_schema && peek.want.reasoning && peek.provider.is_some());
    assert!(Peek::of(Dialect::Bedrock, b"{}", None).is_err());
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    let with = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
    let rows = [
        (json!([]), ""),
        (json!({}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "robot", "content": []}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (with(json!([{}])), "messages[0].content[0]"),
        (with(json!([{"text": 5}])), "messages[0].content[0].text"),
        (with(json!([{"image": {"format": "png"}}])), "messages[0].content[0].image.source"),
        (with(json!([{"toolUse": {"name": "f"}}])), "messages[0].content[0].toolUse.toolUseId"),
        (
            with(json!([{"toolResult": {"toolUseId": "a", "content": [{"toolResult": {}}]}}])),
            "messages[0].content[0].toolResult.content[0]",
        ),
    ];
    for (body, at) in rows {
        let wrong = Bedrock.decode_request(body.to_string().as_bytes()).expect_err("a bad request");
        assert_eq!(wrong.at, at, "{body}: {wrong}");
    }
}
