//! What Ollama's requests mean, and how lines become events and events lines.

use super::*;
use crate::lens::{self, End, Lens};
use crate::{Peek, wire};
use serde_json::{Value, json};
use slip_ir::{Block, Effort, Format, Role};

fn stamp() -> Stamp {
    Stamp { id: "gen-1-a".into(), created: 1_795_950_000, model: "m/n".into(), prompt_estimate: 7, ..Stamp::default() }
}

fn read(dialect: Dialect, body: &Value) -> Result<Request, String> {
    wire(dialect).decode_request(body.to_string().as_bytes()).map(|(request, _)| request).map_err(|m| m.to_string())
}

fn written(dialect: Dialect, request: &Request) -> (Value, Vec<String>) {
    let (body, losses) = wire(dialect).encode_request(request, Quirks::of(dialect));
    let mut losses: Vec<String> = losses.iter().map(|loss| loss.what.to_string()).collect();
    losses.sort();
    (serde_json::from_slice(&body).expect("a request is JSON"), losses)
}

fn chat(body: Value) -> Request {
    let wire = wire(Dialect::OpenAiChat);
    wire.decode_request(body.to_string().as_bytes()).expect("a chat").0
}

#[test]
fn a_chat_is_read_and_written_back_the_same() {
    let png = "iVBORw0KGgoAAAANSUhEUg==";
    let body = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is this?", "images": [png]},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": {"at": 1}}}]},
            {"role": "tool", "content": "a cat", "tool_name": "look", "tool_call_id": "c1"},
        ],
        "stream": false,
        "format": {"type": "object"},
        "think": "low",
        "tools": [{"type": "function", "function": {"name": "look", "description": "", "parameters": {"type": "object"}}}],
        "options": {"num_predict": 9, "temperature": 0.5, "seed": -4, "stop": ["x"], "repeat_penalty": 1.1, "num_ctx": 4096},
        "keep_alive": "5m",
    });
    let request = read(Dialect::Ollama, &body).expect("a request");
    assert_eq!(request.params.max_tokens, Some(9));
    assert_eq!(request.reasoning.as_ref().and_then(|r| r.effort), Some(Effort::Low));
    assert!(matches!(request.format, Some(Format::JsonSchema { .. })));
    assert_eq!(written(Dialect::Ollama, &request), (body, vec![]));
}

#[test]
fn without_a_word_it_is_streamed_and_what_is_empty_says_nothing() {
    let body = json!({"model": "m", "prompt": "hi", "system": "", "template": "", "context": [], "raw": false, "images": [], "format": "", "options": {}, "keep_alive": null});
    let request = read(Dialect::OllamaGenerate, &body).expect("a request");
    assert!(request.stream && request.format.is_none() && request.extra.is_empty());
    let (again, losses) = written(Dialect::OllamaGenerate, &request);
    assert_eq!((again, losses), (json!({"model": "m", "prompt": "hi", "stream": true}), vec![]));
    let peek = Peek::of(Dialect::OllamaGenerate, body.to_string().as_bytes(), None).expect("a peek").0;
    assert!(peek.stream && peek.want.stream);
    let empty = read(Dialect::Ollama, &json!({"model": "m"})).expect("a request to load");
    assert!(empty.turns.is_empty());
}

#[test]
fn a_prompt_keeps_its_system_text_and_what_only_ollama_knows() {
    let body = json!({"model": "m", "prompt": "hi", "system": "Be brief.", "suffix": "end", "raw": true, "context": [1, 2], "stream": true, "options": {"mirostat": 1}, "think": false});
    let request = read(Dialect::OllamaGenerate, &body).expect("a request");
    assert_eq!(request.turns.iter().map(|t| t.role).collect::<Vec<_>>(), [Role::System, Role::User]);
    assert_eq!(written(Dialect::OllamaGenerate, &request), (body, vec![]));
}

#[test]
fn results_find_their_calls_by_name_and_by_order() {
    let call = |name: &str, id: &str| json!({"id": id, "function": {"name": name, "arguments": {}}});
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [call("a", "1"), call("b", "2"), call("a", "3")]},
        {"role": "tool", "content": "B", "tool_name": "b"},
        {"role": "tool", "content": "A", "name": "a"},
        {"role": "tool", "content": "last"},
    ]});
    let request = read(Dialect::Ollama, &body).expect("a request");
    let Some(turn) = request.turns.last() else { panic!("no turns") };
    let ids: Vec<(&str, Option<&str>)> = turn
        .blocks
        .iter()
        .filter_map(|b| if let Block::ToolResult(r) = b { Some((r.id.as_str(), r.name.as_deref())) } else { None })
        .collect();
    assert_eq!(ids, [("2", Some("b")), ("1", Some("a")), ("3", Some("a"))]);
}

#[test]
fn what_is_no_request_is_refused_by_path_and_reason() {
    let rows = [
        (json!({"messages": [{"content": "hi"}]}), "messages[0].role: expected a string, found nothing"),
        (
            json!({"messages": [{"role": "judge"}]}),
            "messages[0].role: expected system, user, assistant or tool, found: judge",
        ),
        (json!({"messages": "hi"}), "messages: expected an array, found a string"),
        (json!({"messages": [], "format": "xml"}), "format: expected \"json\" or a JSON schema, found: xml"),
        (json!({"messages": [], "think": "hard"}), "think: expected a boolean, low, medium or high, found: hard"),
        (
            json!({"messages": [], "options": {"temperature": "hot"}}),
            "options.temperature: expected a number, found a string",
        ),
        (json!({"messages": [], "stream": 1}), "stream: expected a boolean, found a number"),
    ];
    for (body, want) in rows {
        assert_eq!(read(Dialect::Ollama, &body).err().as_deref(), Some(want), "{body}");
    }
}

#[test]
fn a_chat_of_another_dialect_is_told_as_far_as_it_goes() {
    let request = chat(json!({
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "one"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "[1]"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "done"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "required",
        "response_format": {"type": "json_object"},
        "reasoning": {"effort": "max"},
        "n": 2,
        "logit_bias": {},
    }));
    let (body, losses) = written(Dialect::Ollama, &request);
    assert_eq!(body["messages"][0], json!({"role": "system", "content": "Be brief."}));
    assert_eq!(body["messages"][1], json!({"role": "user", "content": "one", "images": ["AAAA"]}));
    assert_eq!(body["messages"][2]["tool_calls"][0]["function"]["arguments"], json!({"input": [1]}));
    assert_eq!(body["messages"][3]["tool_name"], "f");
    assert_eq!((&body["think"], &body["format"]), (&json!("high"), &json!("json")));
    assert_eq!(losses, ["logit_bias", "messages[].image", "n", "tool_choice"]);
    let (body, losses) = written(Dialect::OllamaGenerate, &request);
    assert!(body["prompt"].as_str().is_some_and(|p| p.starts_with("User: one") && p.ends_with("Assistant:")), "{body}");
    assert_eq!(body["system"], "Be brief.");
    assert!(losses.contains(&"tools".to_owned()) && losses.contains(&"messages".to_owned()), "{losses:?}");
}

const LINES: &str = concat!(
    r#"{"model":"qwen3:4b","created_at":"2026-08-05T08:10:56.372032Z","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
    "\n",
    r#"{"model":"qwen3:4b","created_at":"2026-08-05T08:10:57Z","message":{"role":"assistant","content":"Hi"},"done":false}"#,
    "\n",
    r#"{"model":"qwen3:4b","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"a","arguments":{"x": 1}}},{"function":{"name":"b","arguments":{}}}]},"done":false}"#,
    "\n",
    r#"{"model":"qwen3:4b","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":9,"prompt_eval_count":262,"eval_count":473}"#,
    "\n",
);

fn streamed(upstream: Dialect, caller: Dialect, bytes: &str) -> (String, crate::Tally) {
    let mut lens = Lens::new(upstream, caller, Arc::new(stamp()), &Quirks::OPENAI_CHAT);
    let mut out = BytesMut::new();
    lens.push(bytes.as_bytes(), &mut out);
    let tally = lens.end(End::Eof, &mut out);
    (String::from_utf8(out.to_vec()).expect("text"), tally)
}

#[test]
fn the_same_dialect_gets_the_lines_as_they_came() {
    let (out, tally) = streamed(Dialect::Ollama, Dialect::Ollama, LINES);
    assert_eq!(out, LINES);
    assert_eq!(tally.finish, Some(slip_ir::Finish::ToolCalls));
    assert_eq!(tally.usage.map(|u| (u.input, u.output)), Some((262, 473)));
    let (out, tally) = streamed(Dialect::Ollama, Dialect::Ollama, "{\"error\":\"out of memory\"}\n");
    assert_eq!(out, "{\"error\":\"out of memory\"}\n");
    assert!(tally.fault.is_some());
}

#[test]
fn lines_cross_to_chat_and_chunks_to_lines() {
    let (out, _) = streamed(Dialect::Ollama, Dialect::OpenAiChat, LINES);
    for part in [
        "\"reasoning\":\"hm\"",
        "\"content\":\"Hi\"",
        r#""arguments":"{\"x\": 1}""#,
        "\"finish_reason\":\"tool_calls\"",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let (lines, tally) = streamed(Dialect::OpenAiChat, Dialect::Ollama, &out);
    assert!(tally.fault.is_none());
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = lines.last().expect("a last line");
    assert_eq!(
        (&last["done"], &last["done_reason"], &last["prompt_eval_count"], &last["eval_count"]),
        (&json!(true), &json!("stop"), &json!(262), &json!(473))
    );
    assert!(lines.iter().all(|l| l["model"] == "m/n" && l["created_at"] == "2026-11-29T11:00:00Z"));
    assert_eq!(lines[0]["message"]["thinking"], "hm");
    let calls: Vec<&Value> =
        lines.iter().flat_map(|l| l["message"]["tool_calls"].as_array().into_iter().flatten()).collect();
    assert_eq!(
        calls.iter().map(|c| c["function"]["arguments"].clone()).collect::<Vec<_>>(),
        [json!({"x": 1}), json!({})]
    );
}

#[test]
fn a_whole_reply_crosses_both_ways() {
    let body = json!({"model": "x", "created_at": "2024-05-24T21:01:59.481632Z", "message": {"role": "assistant", "content": "A joke"}, "done_reason": "length", "done": true, "eval_count": 79});
    let of = |upstream, caller, body: &Value| {
        let body = body.to_string();
        let got = lens::reply(upstream, caller, body.as_bytes(), &stamp(), &Quirks::OPENAI_CHAT).expect("a reply");
        serde_json::from_slice::<Value>(&got.0).expect("JSON")
    };
    let told = of(Dialect::Ollama, Dialect::OpenAiChat, &body);
    assert_eq!(
        (&told["choices"][0]["message"]["content"], &told["choices"][0]["finish_reason"]),
        (&json!("A joke"), &json!("length"))
    );
    assert_eq!(told["usage"]["completion_tokens"], 79);
    let back = of(Dialect::OpenAiChat, Dialect::OllamaGenerate, &told);
    assert_eq!(
        (&back["response"], &back["done_reason"], &back["done"]),
        (&json!("A joke"), &json!("length"), &json!(true))
    );
    let refused = lens::reply(Dialect::Ollama, Dialect::Ollama, b"{\"error\":\"no\"}", &stamp(), &Quirks::OPENAI_CHAT);
    assert!(refused.is_err_and(|fault| fault.raw.as_deref().is_some_and(|raw| raw.contains("no"))));
}

#[test]
fn errors_are_read_and_told_in_one_sentence() {
    let fault = Chat.decode_error(404, &http::HeaderMap::new(), br#"{"error":"model 'x' not found"}"#);
    assert_eq!(fault.kind, slip_ir::FaultKind::NotFound);
    assert!(String::from_utf8_lossy(&Chat.encode_error(&fault, None)).starts_with("{\"error\":\""));
    let mut out = BytesMut::new();
    Generate.encode_stream_error(&fault, &stamp(), &mut out);
    assert!(out.ends_with(b"\"}\n"));
}
