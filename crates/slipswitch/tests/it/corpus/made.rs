//! What providers are known to do and no recording shows: refusals by status, errors after the first words, cuts inside an event,
//! odd framing, a prompt that is blocked, usage that never comes. Written by hand, walked by the same oracle as the recordings.

use super::Surface;
use serde_json::{Value, json};
use slip_sim::Case;

/// What the smaller dialects are known to do is told by their own tests.
const NOT_MADE: &str = "not made by hand";

fn case(id: &str, api: &str, status: u16, framing: &str, body: &str) -> Case {
    let stream = framing == "sse";
    let kind = if stream { "text/event-stream" } else { "application/json" };
    let value = json!({
        "id": format!("made.{id}"), "provider": "made", "api": api, "model": "some-model", "features": [],
        "request": { "recorded": false, "host_recorded": false, "method": "POST", "url": "https://provider.example/v1", "headers": {}, "body": null },
        "response": { "status": status, "headers": { "content-type": kind }, "stream": stream, "framing": framing, "fidelity": "verbatim", "body": body },
    });
    Case::parse(value.to_string().as_bytes()).expect("it is written as the recordings are")
}

fn api(surface: Surface, stream: bool) -> &'static str {
    match (surface, stream) {
        (Surface::Chat, _) => "chat.completions",
        (Surface::Messages, _) => "messages",
        (Surface::Responses, _) => "responses",
        (Surface::Gemini, false) => "generateContent",
        (Surface::Gemini, true) => "streamGenerateContent",
        (Surface::Native(_) | Surface::Invoked(_), _) => NOT_MADE,
        (Surface::Bedrock, false) => "converse",
        (Surface::Bedrock, true) => "converse-stream",
    }
}

/// An error as each provider words it.
fn refusal(surface: Surface, status: u16, code: &str, says: &str) -> String {
    match surface {
        Surface::Chat | Surface::Responses => {
            json!({"error": {"message": says, "type": code, "param": null, "code": code}})
        }
        Surface::Messages => json!({"type": "error", "error": {"type": code, "message": says}, "request_id": "req_1"}),
        Surface::Bedrock => json!({ "message": says }),
        Surface::Gemini => json!({"error": {"code": status, "message": says, "status": code.to_uppercase()}}),
        Surface::Native(_) | Surface::Invoked(_) => json!(NOT_MADE),
    }
    .to_string()
}

fn events(surface: Surface, events: &[Value], end: &str) -> String {
    let mut body = String::new();
    for event in events {
        if surface == Surface::Messages {
            body += &format!("event: {}{end}", event["type"].as_str().unwrap_or_default());
        }
        body += &format!("data: {event}{end}{end}");
    }
    body
}

fn words(surface: Surface, text: &str) -> Vec<Value> {
    match surface {
        Surface::Chat => {
            let chunk = |delta: Value| json!({"id": "c", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
            vec![chunk(json!({"role": "assistant", "content": ""})), chunk(json!({"content": text}))]
        }
        Surface::Messages => vec![
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 7, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        ],
        Surface::Responses => vec![
            json!({"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "object": "response", "created_at": 1_790_000_000, "model": "m", "status": "in_progress", "output": [], "usage": null}}),
            json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}}),
            json!({"type": "response.output_text.delta", "sequence_number": 2, "output_index": 0, "item_id": "msg_1", "content_index": 0, "delta": text, "logprobs": []}),
        ],
        // Not text: see `bedrock::made`.
        Surface::Bedrock => Vec::new(),
        Surface::Gemini => vec![
            json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}], "modelVersion": "m", "responseId": "r"}),
        ],
        Surface::Native(_) | Surface::Invoked(_) => Vec::new(),
    }
}

fn ending(surface: Surface, counted: bool) -> Vec<Value> {
    match surface {
        Surface::Native(_) | Surface::Invoked(_) => Vec::new(),
        Surface::Chat => {
            let mut chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
            if counted {
                chunk["usage"] = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
            }
            vec![chunk]
        }
        Surface::Messages => {
            let mut delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 3}});
            if !counted {
                delta["usage"] = json!({"output_tokens": 0});
            }
            vec![json!({"type": "content_block_stop", "index": 0}), delta, json!({"type": "message_stop"})]
        }
        Surface::Responses => {
            let mut response = json!({"id": "resp_1", "object": "response", "created_at": 1_790_000_000, "model": "m", "status": "completed", "output": [], "usage": null});
            if counted {
                response["usage"] = json!({"input_tokens": 7, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 3, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 10});
            }
            vec![json!({"type": "response.completed", "sequence_number": 3, "response": response})]
        }
        Surface::Bedrock => Vec::new(),
        Surface::Gemini => {
            let mut chunk = json!({"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}], "modelVersion": "m", "responseId": "r"});
            if counted {
                chunk["usageMetadata"] =
                    json!({"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10});
            }
            vec![chunk]
        }
    }
}

pub fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for surface in Surface::ALL {
        let name = surface.name();
        let statuses = [
            (402, "insufficient_credits", "there is no money left"),
            (404, "model_not_found", "the model nobody-2 does not exist"),
            (408, "request_timeout", "it took too long"),
            (413, "request_too_large", "it is too large"),
            (422, "invalid_request_error", "temperature must be a number"),
            (503, "service_unavailable", "come back later"),
            (529, "overloaded_error", "Overloaded"),
        ];
        for (status, code, says) in statuses {
            let body = refusal(surface, status, code, says);
            all.push(case(&format!("{name}.{status}"), api(surface, false), status, "json", &body));
        }
        all.push(case(&format!("{name}.empty-500"), api(surface, false), 500, "json", ""));
        all.push(case(
            &format!("{name}.page-502"),
            api(surface, false),
            502,
            "json",
            "<html><title>Bad Gateway</title></html>",
        ));

        if surface == Surface::Bedrock {
            all.extend(super::bedrock::made());
            continue;
        }
        let done = if surface == Surface::Chat { "data: [DONE]\n\n" } else { "" };
        for (framing, end) in [("lf", "\n"), ("crlf", "\r\n"), ("cr", "\r")] {
            let parts = [words(surface, "héllo — ☃ \u{1F600}"), ending(surface, true)].concat();
            let body = events(surface, &parts, end) + &done.replace('\n', end);
            all.push(case(&format!("{name}.framing-{framing}"), api(surface, true), 200, "sse", &body));
        }
        let uncounted =
            events(surface, &[words(surface, "four words to count"), ending(surface, false)].concat(), "\n") + done;
        // Anthropic's own count of the prompt comes first of all.
        let uncounted = uncounted.replace(
            r#""usage":{"input_tokens":7,"output_tokens":1}"#,
            r#""usage":{"input_tokens":0,"output_tokens":0}"#,
        );
        all.push(case(&format!("{name}.usage-missing"), api(surface, true), 200, "sse", &uncounted));

        let error: Value =
            serde_json::from_str(&refusal(surface, 529, "overloaded_error", "Overloaded")).expect("JSON");
        let broken = events(surface, &[words(surface, "and then"), vec![error]].concat(), "\n");
        all.push(case(&format!("{name}.overloaded-mid-stream"), api(surface, true), 200, "sse", &broken));

        let more = words(surface, " it is never said").pop().into_iter().collect();
        let whole = events(surface, &[words(surface, "and then"), more].concat(), "\n");
        let cut = whole.get(..whole.len() - 10).unwrap_or_default();
        all.push(case(&format!("{name}.cut-inside-an-event"), api(surface, true), 200, "sse", cut));
    }
    all.extend(odd_calls());
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}, "modelVersion": "m", "responseId": "r"});
    all.push(case("gemini.blocked", "generateContent", 200, "json", &blocked.to_string()));
    let stream = events(Surface::Gemini, &[blocked], "\r\n");
    all.push(case("gemini.blocked-stream", "streamGenerateContent", 200, "sse", &stream));
    all
}

/// A chat stream of these deltas, ended by `finish`.
fn chat_stream(id: &str, deltas: &[Value], finish: &str) -> Case {
    let chunk = |delta: &Value, finish: Value| json!({"id": "c", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let mut chunks: Vec<Value> = deltas.iter().map(|delta| chunk(delta, Value::Null)).collect();
    let mut last = chunk(&json!({}), finish.into());
    last["usage"] = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
    chunks.push(last);
    case(
        &format!("chat.{id}"),
        "chat.completions",
        200,
        "sse",
        &(events(Surface::Chat, &chunks, "\n") + "data: [DONE]\n\n"),
    )
}

fn chat_whole(id: &str, message: Value, finish: &str) -> Case {
    let reply = json!({"id": "c", "object": "chat.completion", "created": 1_790_000_000, "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}});
    case(&format!("chat.{id}"), "chat.completions", 200, "json", &reply.to_string())
}

/// Calls, signatures and pictures in spellings that some server is known to use.
fn odd_calls() -> Vec<Case> {
    let call = |id: &str, name: &str, args: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": args}});
    let at = |index: u32, mut call: Value| {
        call["index"] = index.into();
        call
    };
    let signed = |mut call: Value| {
        call["extra_content"] = json!({"google": {"thought_signature": "CiQBjz1rX0="}});
        call
    };
    let calls = |calls: &[Value]| json!({ "tool_calls": calls });
    let picture = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]);
    let gemini = |parts: Value, finish: &str| json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": finish, "index": 0}], "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}, "modelVersion": "m", "responseId": "r"});
    let google = |name: &str, city: &str| json!({"functionCall": {"name": name, "args": {"city": city}}});
    let block =
        |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u32, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    let message_end = json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 3}});
    let start = words(Surface::Messages, "").remove(0);
    let blocks = [
        start,
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "well"})),
        delta(0, json!({"type": "signature_delta", "signature": "EuYBCkQ"})),
        delta(0, json!({"type": "signature_delta", "signature": "YBxgC=="})),
        stop(0),
        block(2, json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Ulm"}})),
        stop(2),
        message_end,
        json!({"type": "message_stop"}),
    ];
    vec![
        chat_whole(
            "signed-call",
            json!({"role": "assistant", "content": null, "tool_calls": [signed(call("a", "f", "{}")), call("b", "g", "{}")]}),
            "tool_calls",
        ),
        chat_stream(
            "signed-call-stream",
            &[calls(&[at(0, signed(call("a", "f", "{}")))]), calls(&[at(1, call("b", "g", "{}"))])],
            "tool_calls",
        ),
        chat_stream(
            "one-index",
            &[calls(&[at(0, call("a", "f", "{}"))]), calls(&[at(0, call("b", "g", "{}"))])],
            "tool_calls",
        ),
        chat_stream("no-index", &[calls(&[call("a", "f", "{\"x\":1}")]), calls(&[call("b", "g", "{}")])], "stop"),
        chat_stream(
            "high-index",
            &[calls(&[at(3, call("a", "f", "{}"))]), calls(&[at(5, call("b", "g", "{}"))])],
            "tool_calls",
        ),
        chat_stream(
            "no-ids",
            &[
                calls(&[at(0, json!({"function": {"name": "f", "arguments": ""}}))]),
                calls(&[at(0, json!({"function": {"arguments": "{\"x\""}}))]),
                calls(&[at(0, json!({"function": {"arguments": ":1}"}}))]),
            ],
            "tool_calls",
        ),
        chat_whole("picture", json!({"role": "assistant", "content": "look", "images": picture}), "stop"),
        chat_stream("picture-stream", &[json!({"content": "look"}), json!({"images": picture})], "stop"),
        chat_stream("thought-only", &[json!({"reasoning": "hm"}), json!({"reasoning": "mm"})], "length"),
        chat_stream(
            "sealed-summary",
            &[
                json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "in short", "format": "openai-responses-v1", "id": "rs_1", "index": 0}]}),
                json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1", "id": "rs_1", "index": 0}]}),
                json!({"content": "so"}),
            ],
            "stop",
        ),
        case("messages.input-at-once", "messages", 200, "sse", &events(Surface::Messages, &blocks, "\n")),
        case(
            "gemini.same-name-twice",
            "generateContent",
            200,
            "json",
            &gemini(json!([google("f", "Ulm"), google("f", "Bonn")]), "STOP").to_string(),
        ),
        case(
            "gemini.same-name-stream",
            "streamGenerateContent",
            200,
            "sse",
            &events(Surface::Gemini, &[gemini(json!([google("f", "Ulm"), google("f", "Bonn")]), "STOP")], "\r\n"),
        ),
        case(
            "gemini.picture",
            "generateContent",
            200,
            "json",
            &gemini(
                json!([{"text": "look"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}]),
                "STOP",
            )
            .to_string(),
        ),
        case(
            "gemini.malformed-call",
            "generateContent",
            200,
            "json",
            &gemini(json!([{"text": "I would"}]), "MALFORMED_FUNCTION_CALL").to_string(),
        ),
    ]
}
