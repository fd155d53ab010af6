//! Reasoning in requests, row by row: wishes for it, and its replay.

use super::requests::{number, said, user};
use super::*;
use crate::quirks::{ReasoningStyle, Replay};
use slip_ir::request::{Function, format};
use slip_ir::{
    Block, Effort, Params, Reasoning, Role, Thinking, ThinkingKind, Tool, ToolCall, ToolChoice, ToolResult, Turn,
};

#[test]
fn thinking_and_effort_survive_as_they_were_said() {
    let rows = [
        json!({"thinking":{"type":"enabled","budget_tokens":2000}}),
        json!({"thinking":{"type":"enabled","budget_tokens":2000,"display":"summarized"},"output_config":{"effort":"low"}}),
        json!({"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max","task_budget":{"type":"tokens","total":9}}}),
        json!({"thinking":{"type":"disabled"}}),
        json!({"thinking":{"type":"adaptive"},"output_config":{"effort":"ultra"}}),
        json!({"output_config":{"effort":"high"}}),
        json!({"output_config":{"format":{"type":"json_schema","schema":{"b":1,"a":2}}}}),
        json!({"output_config":{"format":{"type":"grammar","x":1},"effort":"medium"}}),
    ];
    for row in rows {
        let mut body = row.clone();
        body["model"] = json!("m");
        body["max_tokens"] = json!(4096);
        body["messages"] = json!([{"role":"user","content":"x"}]);
        let (request, losses) = decoded(&body);
        assert_eq!(losses, [], "{row}");
        let (again, losses) = encoded(&request);
        assert_eq!(losses, [], "{row}");
        assert_eq!(again, body);
    }
}

/// What a wish for reasoning comes to: `thinking`, `max_tokens`, and what was lost.
#[test]
fn reasoning_becomes_thinking_that_fits_its_limits() {
    let on = |budget, effort, enabled| Reasoning { budget, effort, enabled, ..Reasoning::default() };
    let enabled = |budget: u64| json!({"type":"enabled","budget_tokens":budget});
    type Row = (Reasoning, Option<u64>, Value, u64, Vec<&'static str>);
    let rows: Vec<Row> = vec![
        (on(None, Some(Effort::High), None), Some(10_000), enabled(8000), 10_000, vec![]),
        (on(None, Some(Effort::Minimal), None), Some(2000), enabled(1024), 2000, vec![]),
        (on(None, Some(Effort::Low), None), Some(500), enabled(1024), 1524, vec!["max_tokens"]),
        (on(None, None, Some(true)), None, enabled(4096), 8192, vec![]),
        (on(Some(20_000), None, None), None, enabled(20_000), 28_192, vec![]),
        (on(Some(20_000), None, None), Some(100), enabled(20_000), 20_100, vec!["max_tokens"]),
        (on(Some(10), None, None), Some(5000), enabled(1024), 5000, vec!["reasoning.max_tokens"]),
        (on(Some(0), None, None), Some(5000), json!({"type":"disabled"}), 5000, vec![]),
        (on(None, Some(Effort::None), None), Some(5000), json!({"type":"disabled"}), 5000, vec![]),
        (on(None, None, Some(false)), Some(5000), json!({"type":"disabled"}), 5000, vec![]),
        (on(None, None, None), Some(5000), Value::Null, 5000, vec![]),
    ];
    for (reasoning, max_tokens, thinking, max, losses) in rows {
        let mut request = said(vec![user("x")]);
        request.params.max_tokens = max_tokens;
        request.reasoning = Some(reasoning.clone());
        let (body, lost_) = encoded(&request);
        assert_eq!(body["thinking"], thinking, "{reasoning:?}");
        assert_eq!(body["max_tokens"], max, "{reasoning:?}");
        assert_eq!(lost(&lost_), losses, "{reasoning:?}");
    }
}

#[test]
fn models_that_refuse_budgets_are_told_an_effort() {
    let quirks = Quirks { reasoning: ReasoningStyle::Effort, ..Quirks::ANTHROPIC };
    let mut request = said(vec![user("x")]);
    request.params.max_tokens = Some(10_000);
    for (reasoning, effort) in [
        (Reasoning { effort: Some(Effort::XHigh), ..Reasoning::default() }, json!("xhigh")),
        (Reasoning { effort: Some(Effort::Minimal), ..Reasoning::default() }, json!("low")),
        (Reasoning { budget: Some(5000), ..Reasoning::default() }, json!("medium")),
        (Reasoning { enabled: Some(true), ..Reasoning::default() }, Value::Null),
    ] {
        request.reasoning = Some(reasoning);
        let (body, losses) = encoded_for(&request, &quirks);
        assert_eq!(body["thinking"], json!({"type":"adaptive"}));
        assert_eq!(body["output_config"]["effort"], effort);
        assert_eq!(losses, []);
    }
    let quirks = Quirks { reasoning: ReasoningStyle::Unsaid, ..Quirks::ANTHROPIC };
    let (body, losses) = encoded_for(&request, &quirks);
    assert_eq!((body.get("thinking"), lost(&losses)), (None, vec!["reasoning"]));
}

#[test]
fn thinking_drops_what_it_does_not_suffer_beside_it() {
    let mut request = said(vec![user("x")]);
    request.reasoning = Some(Reasoning { enabled: Some(true), ..Reasoning::default() });
    request.params = Params {
        temperature: number("0.2"),
        top_p: number("0.5"),
        top_k: number("40"),
        max_tokens: Some(9000),
        ..Params::default()
    };
    request.tools = vec![Tool::Function(Function { name: "f".to_owned(), ..Function::default() })];
    request.tool_choice = Some(ToolChoice::Named("f".to_owned()));
    let (body, losses) = encoded(&request);
    assert_eq!(lost(&losses), ["tool_choice", "temperature", "top_p", "top_k"]);
    assert_eq!(body["tool_choice"], json!({"type":"auto"}));
    for name in ["temperature", "top_p", "top_k"] {
        assert_eq!(body.get(name), None, "{name}");
    }
    request.params.temperature = number("1.0");
    assert_eq!(encoded(&request).0["temperature"], json!(1.0), "a temperature of 1 may stay");
}

#[test]
fn thinking_does_not_begin_in_the_middle_of_a_tool_loop() {
    let call = Block::ToolCall(ToolCall {
        id: "a".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        ..ToolCall::default()
    });
    let result =
        Turn::new(Role::Tool, vec![Block::ToolResult(ToolResult { id: "a".to_owned(), ..ToolResult::default() })]);
    let signed = Block::Thinking(Thinking {
        text: "t".to_owned(),
        signature: Some("s".to_owned()),
        format: format::ANTHROPIC.to_owned(),
        ..Thinking::default()
    });
    let rows = [
        (vec![user("x"), Turn::new(Role::Assistant, vec![call.clone()]), result.clone()], false),
        (vec![user("x"), Turn::new(Role::Assistant, vec![signed, call.clone()]), result.clone()], true),
        (vec![user("x"), Turn::new(Role::Assistant, vec![call]), result, user("y")], true),
        (vec![user("x"), Turn::new(Role::Assistant, vec![Block::text("prefill")])], false),
    ];
    for (turns, thinks) in rows {
        let mut request = said(turns);
        request.reasoning = Some(Reasoning { enabled: Some(true), ..Reasoning::default() });
        let (body, losses) = encoded(&request);
        assert_eq!(body.get("thinking").is_some(), thinks);
        assert_eq!(lost(&losses).contains(&"reasoning"), !thinks);
    }
}

#[test]
fn only_reasoning_this_family_signed_is_replayed() {
    let thinking = |name: &str, signature: Option<&str>| {
        Block::Thinking(Thinking {
            text: "t".to_owned(),
            signature: signature.map(str::to_owned),
            format: name.to_owned(),
            ..Thinking::default()
        })
    };
    let sealed = |name: &str| {
        Block::Thinking(Thinking {
            kind: ThinkingKind::Encrypted,
            data: Some("d".to_owned()),
            format: name.to_owned(),
            ..Thinking::default()
        })
    };
    let blocks = vec![
        thinking(format::ANTHROPIC, Some("s")),
        thinking(format::ANTHROPIC, None),
        thinking(format::GEMINI, Some("s")),
        thinking("", Some("s")),
        sealed(format::ANTHROPIC),
        sealed(format::OPENAI),
        Block::text("done"),
    ];
    let (body, losses) = encoded(&said(vec![user("x"), Turn::new(Role::Assistant, blocks), user("y")]));
    assert_eq!(
        body["messages"][1]["content"],
        json!([{"type":"thinking","thinking":"t","signature":"s"},{"type":"redacted_thinking","data":"d"},{"type":"text","text":"done"}])
    );
    assert_eq!(lost(&losses), ["messages[1].reasoning"; 4]);
}

#[test]
fn a_foreign_call_keeps_its_signature_across_this_surface() {
    let call = ToolCall {
        id: "call_1".to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        signature: Some("Z2Vt".to_owned()),
        ..ToolCall::default()
    };
    let reply = Reply {
        choices: vec![slip_ir::Choice { blocks: vec![Block::ToolCall(call.clone())], ..slip_ir::Choice::default() }],
        ..Reply::default()
    };
    let whole: Value = serde_json::from_slice(&Anthropic.encode_reply(&reply, &stamp())).expect("JSON");
    for message in [whole, gather(&stream_of_reply(&reply, &stamp()))] {
        let body = json!({"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":message["content"]}]});
        assert_eq!(decoded(&body).0.turns[1].blocks, [Block::ToolCall(call.clone())]);
    }
}

#[test]
fn what_is_replayed_is_the_upstreams_choice() {
    let unsigned = Thinking { text: "t".to_owned(), format: format::UNKNOWN.to_owned(), ..Thinking::default() };
    let signed = Thinking {
        text: "t".to_owned(),
        signature: Some("s".to_owned()),
        format: format::ANTHROPIC.to_owned(),
        ..Thinking::default()
    };
    for (replay, kept) in [(Replay::Drop, 0), (Replay::Details, 1), (Replay::ReasoningContent, 2)] {
        let blocks = vec![Block::Thinking(unsigned.clone()), Block::Thinking(signed.clone()), Block::text("x")];
        let request = said(vec![user("x"), Turn::new(Role::Assistant, blocks), user("y")]);
        let (body, losses) = encoded_for(&request, &Quirks { replay, ..Quirks::ANTHROPIC });
        let content = body["messages"][1]["content"].as_array().map_or(1, Vec::len);
        assert_eq!((content - 1, losses.len()), (kept, 2 - kept), "{replay:?}");
    }
}
