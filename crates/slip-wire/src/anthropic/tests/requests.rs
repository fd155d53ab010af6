//! Requests, row by row.

use super::*;
use crate::quirks::Structured;
use slip_ir::request::Function;
use slip_ir::{
    Block, Cache, Format, Media, MediaKind, Params, Raw, Role, Source, Text, Tool, ToolCall, ToolChoice, ToolResult,
    Turn,
};
use std::borrow::Cow;

fn raw(value: Value) -> Raw {
    Raw::parse(value.to_string()).expect("JSON")
}

pub fn said(turns: Vec<Turn>) -> Request {
    Request { model: "m".to_owned(), turns, ..Request::default() }
}

pub fn user(text: &str) -> Turn {
    Turn::new(Role::User, vec![Block::text(text)])
}

pub fn number(text: &str) -> Option<serde_json::Number> {
    text.parse().ok()
}

#[test]
fn a_request_is_read_into_the_normal_form() {
    let (request, losses) = decoded(&json!({
        "model": "claude", "max_tokens": 10, "stream": true,
        "system": [{"type":"text","text":"Be kind.","cache_control":{"type":"ephemeral","ttl":"1h"}}],
        "messages": [
            {"role":"user","content":"Hi"},
            {"role":"assistant","content":[
                {"type":"thinking","thinking":"hm","signature":"c2ln"},
                {"type":"redacted_thinking","data":"ZGF0YQ"},
                {"type":"text","text":"Let me look."},
                {"type":"tool_use","id":"t1","name":"look","input":{"a" : 1},"caller":{"type":"direct"}}]},
            {"role":"user","content":[
                {"type":"text","text":"And quickly"},
                {"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[
                    {"type":"text","text":"no"},
                    {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]}]}],
        "tools": [{"name":"look","description":"d","input_schema":{"type":"object"},"strict":true,"defer_loading":true},
                  {"type":"web_search_20250305","name":"web_search"}],
        "tool_choice": {"type":"any","disable_parallel_tool_use":true},
        "metadata": {"user_id":"u"}, "provider": {"order":["x"]}, "session_id":"s", "container":"c"
    }));
    assert_eq!(losses, []);
    assert!(request.stream);
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::User]);
    assert_eq!(
        request.turns[0].blocks,
        [Block::Text(Text {
            text: "Be kind.".to_owned(),
            cache: Some(Cache { ttl: Some("1h".to_owned()) }),
            ..Text::default()
        })]
    );
    let Block::ToolCall(call) = &request.turns[2].blocks[3] else { panic!("a tool call") };
    assert_eq!(call.arguments, r#"{"a":1}"#);
    assert_eq!(call.extra, Some(raw(json!({"caller":{"type":"direct"}}))));
    let Block::ToolResult(result) = &request.turns[3].blocks[0] else { panic!("a tool result") };
    assert!(result.is_error && result.content.len() == 2);
    assert_eq!(request.turns[4].blocks, [Block::text("And quickly")]);
    assert!(matches!(&request.tools[..], [Tool::Function(f), Tool::Opaque { .. }] if f.strict == Some(true)));
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert_eq!(request.params.user.as_deref(), Some("u"));
    assert_eq!(request.extra, [("container".to_owned(), raw(json!("c")))], "what the house reads is not carried on");
}

#[test]
fn documents_images_and_unknown_blocks_come_back_as_they_went() {
    let parts = json!([
        {"type":"image","source":{"type":"url","url":"https://x/y.png"},"cache_control":{"type":"ephemeral"}},
        {"type":"image","source":{"type":"file","file_id":"file_1"}},
        {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},
         "title":"a.pdf","context":"c","citations":{"enabled":true}},
        {"type":"document","source":{"type":"text","media_type":"text/plain","data":"t"}},
        {"type":"document","source":{"type":"url","url":"https://x/y.pdf"}},
        {"type":"document","source":{"type":"content","content":[{"type":"text","text":"t"}]}},
        {"type":"container_upload","file_id":"file_2"},
        {"type":"search_result","source":"s","title":"t","content":[{"type":"text","text":"x"}]}
    ]);
    let body = json!({"model":"m","max_tokens":1,"messages":[{"role":"user","content":parts}]});
    let (request, losses) = decoded(&body);
    assert_eq!(losses, []);
    let (again, losses) = encoded(&request);
    assert_eq!(losses, []);
    assert_eq!(again, body);
}

#[test]
fn malformed_requests_name_the_member_at_fault() {
    let good = json!([{"role":"user","content":"x"}]);
    let rows = [
        (json!([]), ""),
        (json!({"model":"m"}), "messages"),
        (json!({"messages":[]}), "messages"),
        (json!({"model":1,"messages":good}), "model"),
        (json!({"messages":"x"}), "messages"),
        (json!({"messages":[1]}), "messages[0]"),
        (json!({"messages":[{"content":"x"}]}), "messages[0].role"),
        (json!({"messages":[{"role":"tool","content":"x"}]}), "messages[0].role"),
        (json!({"messages":[{"role":"user"}]}), "messages[0].content"),
        (json!({"messages":[{"role":"user","content":3}]}), "messages[0].content"),
        (json!({"messages":[{"role":"user","content":[{"text":"x"}]}]}), "messages[0].content[0].type"),
        (json!({"messages":[{"role":"user","content":[{"type":"text"}]}]}), "messages[0].content[0].text"),
        (json!({"messages":[{"role":"user","content":[{"type":"image"}]}]}), "messages[0].content[0].source"),
        (
            json!({"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url"}}]}]}),
            "messages[0].content[0].source.url",
        ),
        (
            json!({"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":"{}"}]}]}),
            "messages[0].content[0].input",
        ),
        (
            json!({"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[
                {"type":"tool_result","tool_use_id":"b"}]}]}]}),
            "messages[0].content[0].content[0]",
        ),
        (json!({"messages":good,"max_tokens":-1}), "max_tokens"),
        (json!({"messages":good,"max_tokens":1.5}), "max_tokens"),
        (json!({"messages":good,"temperature":"hot"}), "temperature"),
        (json!({"messages":good,"stop_sequences":[1]}), "stop_sequences[0]"),
        (json!({"messages":good,"tools":[{"description":"d"}]}), "tools[0].name"),
        (json!({"messages":good,"tools":[{"name":"n","input_schema":[]}]}), "tools[0].input_schema"),
        (json!({"messages":good,"tool_choice":"auto"}), "tool_choice"),
        (json!({"messages":good,"tool_choice":{"type":"sure"}}), "tool_choice.type"),
        (json!({"messages":good,"thinking":{"type":"deep"}}), "thinking.type"),
        (json!({"messages":good,"output_config":{"format":{"type":"json_schema"}}}), "output_config.format.schema"),
        (json!({"messages":good,"cache_control":true}), "cache_control"),
    ];
    for (body, at) in rows {
        let error = Anthropic.decode_request(body.to_string().as_bytes()).expect_err(&body.to_string());
        assert_eq!(error.at, at, "{body}: {error}");
    }
    for bytes in [&b""[..], b"{", b"\xff", b"{\"messages\":[{]}"] {
        assert!(Anthropic.decode_request(bytes).is_err());
    }
}

#[test]
fn turns_become_alternating_messages() {
    let call = |id: &str| {
        Block::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: String::new(),
            ..ToolCall::default()
        })
    };
    let result = |id: &str| {
        Block::ToolResult(ToolResult { id: id.to_owned(), content: vec![Block::text(id)], ..ToolResult::default() })
    };
    let request = said(vec![
        Turn::new(Role::System, vec![Block::text("one")]),
        Turn::new(Role::Developer, vec![Block::text("two")]),
        user("a"),
        Turn::new(Role::User, vec![Block::text(""), Block::text("b")]),
        Turn::new(Role::Assistant, vec![call("call:1"), call("call:2")]),
        Turn::new(Role::Tool, vec![result("call:1")]),
        user("c"),
        Turn::new(Role::Tool, vec![result("call:2")]),
        Turn::new(Role::System, vec![Block::text("three")]),
        Turn::new(Role::Assistant, vec![Block::text("so ")]),
    ]);
    let (body, losses) = encoded(&request);
    let texts = |of: &[&str]| -> Value { of.iter().map(|t| json!({"type":"text","text":t})).collect() };
    assert_eq!(body["system"], texts(&["one", "two", "three"]));
    let messages = body["messages"].as_array().expect("messages");
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[0]["content"], texts(&["a", "b"]));
    let ids: Vec<&Value> = messages[1]["content"].as_array().expect("calls").iter().map(|c| &c["id"]).collect();
    assert_eq!(messages[1]["content"][0]["input"], json!({}));
    let answered: Vec<&Value> =
        messages[2]["content"].as_array().expect("results").iter().take(2).map(|r| &r["tool_use_id"]).collect();
    assert_eq!(ids, answered, "ids that do not fit are mapped alike, and results come first");
    assert_eq!(messages[2]["content"][2], json!({"type":"text","text":"c"}));
    assert_eq!(messages[3]["content"], "so", "white space at the end of a prefill is refused");
    assert_eq!(lost(&losses), ["messages[8].role", "messages"]);
}

#[test]
fn a_conversation_of_system_messages_alone_is_sent_as_the_users() {
    let (body, losses) = encoded(&said(vec![Turn::new(Role::System, vec![Block::text("hello")])]));
    assert_eq!(body["messages"], json!([{"role":"user","content":"hello"}]));
    assert_eq!(body.get("system"), None);
    assert_eq!(lost(&losses), ["messages"]);
}

#[test]
fn media_becomes_what_it_really_is() {
    let media = |kind, source| {
        Block::Media(Media { kind, source, name: Some("n".to_owned()), detail: None, cache: None, extra: None })
    };
    let data = |mime: &str, base64: &str| Source::Data { mime: mime.to_owned(), base64: base64.to_owned() };
    let image = |mime: &str| json!({"type":"image","source":{"type":"base64","media_type":mime,"data":"AA=="}});
    let rows = [
        (MediaKind::Image, data("image/png", "AA=="), image("image/png")),
        (MediaKind::Image, data("image/jpg", "AA=="), image("image/jpeg")),
        (MediaKind::Image, Source::Url("data:image/webp;base64,AA==".to_owned()), image("image/webp")),
        (
            MediaKind::Image,
            Source::Url("https://x/y".to_owned()),
            json!({"type":"image","source":{"type":"url","url":"https://x/y"}}),
        ),
        (MediaKind::File, data("image/gif", "AA=="), image("image/gif")),
        (
            MediaKind::File,
            data("application/pdf", "AA=="),
            json!({"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA=="},"title":"n"}),
        ),
        (
            MediaKind::File,
            data("text/csv; charset=utf-8", "YSxi"),
            json!({"type":"document","source":{"type":"text","media_type":"text/plain","data":"a,b"},"title":"n"}),
        ),
        (MediaKind::File, data("application/zip", "AA=="), Value::Null),
        (MediaKind::File, data("text/plain", "!"), Value::Null),
        (MediaKind::Image, data("image/tiff", "AA=="), Value::Null),
        (MediaKind::Audio, data("audio/wav", "AA=="), Value::Null),
        (MediaKind::Video, Source::Url("https://x".to_owned()), Value::Null),
    ];
    for (kind, source, want) in rows {
        let (body, losses) =
            encoded(&said(vec![Turn::new(Role::User, vec![Block::text("x"), media(kind, source.clone())])]));
        assert_eq!(body["messages"][0]["content"][1], want, "{source:?}");
        assert_eq!(losses.len(), usize::from(want.is_null()), "{source:?}");
    }
    let far = said(vec![Turn::new(
        Role::User,
        vec![Block::text("x"), media(MediaKind::Image, Source::Url("https://x".to_owned()))],
    )]);
    let (_, losses) = encoded_for(&far, &Quirks { image_urls: false, ..Quirks::ANTHROPIC });
    assert_eq!(lost(&losses), ["messages[0].image_url"]);
}

#[test]
fn tools_always_have_an_object_schema() {
    let rows = [
        (None, json!({"type":"object","properties":{}})),
        (Some(json!({})), json!({"type":"object","properties":{}})),
        (Some(json!({"properties":{"a":{}}})), json!({"type":"object","properties":{"a":{}}})),
        (
            Some(json!({"type":"object","properties":{"a":{"type":"string"}}})),
            json!({"type":"object","properties":{"a":{"type":"string"}}}),
        ),
    ];
    for (parameters, want) in rows {
        let mut request = said(vec![user("x")]);
        request.tools = vec![Tool::Function(Function {
            name: "f".to_owned(),
            parameters: parameters.map(raw),
            extra: Some(raw(json!({"defer_loading":true,"x_gateway":1}))),
            ..Function::default()
        })];
        request.parallel_tool_calls = Some(false);
        let (body, losses) = encoded(&request);
        assert_eq!(body["tools"], json!([{"name":"f","input_schema":want,"defer_loading":true}]));
        assert_eq!(body["tool_choice"], json!({"type":"auto","disable_parallel_tool_use":true}));
        assert_eq!(lost(&losses), ["tools[0].x_gateway"]);
    }
    let mut request = said(vec![user("x")]);
    request.tool_choice = Some(ToolChoice::Required);
    let (body, losses) = encoded(&request);
    assert_eq!((body.get("tool_choice"), lost(&losses)), (None, vec!["tool_choice"]));
}

#[test]
fn wishes_without_a_word_here_are_losses_and_idle_ones_are_not() {
    let mut request = said(vec![user("x")]);
    request.params = Params {
        temperature: number("1.7"),
        seed: Some(1),
        n: Some(2),
        logprobs: Some(true),
        frequency_penalty: number("0"),
        presence_penalty: number("0.5"),
        stop: vec!["END".to_owned(), "\n".to_owned()],
        user: Some("u".to_owned()),
        service_tier: Some("flex".to_owned()),
        verbosity: Some("low".to_owned()),
        modalities: vec!["text".to_owned()],
        ..Params::default()
    };
    request.extra = vec![
        ("container".to_owned(), raw(json!("c"))),
        ("safe_prompt".to_owned(), raw(json!(true))),
        ("thinking".to_owned(), raw(json!({"type":"disabled"}))),
    ];
    let (body, losses) = encoded(&request);
    assert_eq!(
        body,
        json!({"model":"m","max_tokens":8192,"messages":[{"role":"user","content":"x"}],"temperature":1,
            "stop_sequences":["END"],"metadata":{"user_id":"u"},"output_config":{"effort":"low"},"container":"c",
            "thinking":{"type":"disabled"}})
    );
    assert_eq!(
        lost(&losses),
        ["temperature", "stop", "service_tier", "presence_penalty", "seed", "n", "logprobs", "safe_prompt"]
    );
}

#[test]
fn formats_are_told_or_asked_for() {
    let schema = Format::JsonSchema {
        name: "n".to_owned(),
        schema: raw(json!({"type":"object"})),
        strict: Some(true),
        description: None,
    };
    let mut request = said(vec![user("x")]);
    request.format = Some(schema.clone());
    let (body, losses) = encoded(&request);
    assert_eq!(
        body["output_config"],
        json!({"format":{"type":"json_schema","schema":{"type":"object","additionalProperties":false}}})
    );
    assert_eq!(losses, []);
    let without = Quirks { structured: Structured::Unsaid, ..Quirks::ANTHROPIC };
    for (format, quirks, words) in [(Format::JsonObject, Quirks::ANTHROPIC, true), (schema, without, false)] {
        request.format = Some(format);
        let (body, losses) = encoded_for(&request, &quirks);
        assert_eq!(body["system"].as_str().is_some_and(|text| text.contains("JSON")), words);
        assert_eq!((body.get("output_config"), lost(&losses)), (None, vec!["response_format"]));
    }
}

#[test]
fn a_refused_member_is_not_sent() {
    let quirks = Quirks {
        refuses: Cow::Owned(vec![Cow::Borrowed("temperature"), Cow::Borrowed("metadata")]),
        cache_control: false,
        ..Quirks::ANTHROPIC
    };
    let cached = Text { text: "x".to_owned(), cache: Some(Cache::default()), ..Text::default() };
    let mut request = said(vec![Turn::new(Role::User, vec![Block::Text(cached.clone()), Block::Text(cached)])]);
    request.params.temperature = number("0.5");
    request.params.user = Some("u".to_owned());
    let (body, losses) = encoded_for(&request, &quirks);
    assert_eq!(body["messages"][0]["content"], json!([{"type":"text","text":"x"},{"type":"text","text":"x"}]));
    assert_eq!((body.get("temperature"), body.get("metadata")), (None, None));
    assert_eq!(lost(&losses), ["cache_control", "temperature", "metadata"]);
}
