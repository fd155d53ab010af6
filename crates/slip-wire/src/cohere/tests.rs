//! What Cohere's requests mean, and how its events become ours and ours its.

use super::*;
use crate::lens::{self, End, Lens};
use crate::wire;
use serde_json::{Value, json};
use slip_ir::{Block, FaultKind, Finish, Format, ToolChoice};

fn stamp() -> Stamp {
    Stamp { id: "gen-1-abc".into(), created: 1, model: "m/n".into(), prompt_estimate: 7, ..Stamp::default() }
}

fn read(body: &Value) -> Result<Request, String> {
    Cohere.decode_request(body.to_string().as_bytes()).map(|(request, _)| request).map_err(|m| m.to_string())
}

fn written(request: &Request) -> (Value, Vec<String>) {
    let (body, losses) = Cohere.encode_request(request, Quirks::of(Dialect::Cohere));
    let mut losses: Vec<String> = losses.iter().map(|loss| loss.what.to_string()).collect();
    losses.sort();
    (serde_json::from_slice(&body).expect("a request is JSON"), losses)
}

#[test]
fn a_request_is_read_and_written_back_the_same() {
    let body = json!({
        "model": "command-a",
        "stream": true,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}]},
            {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "done"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "A cat."}]},
            {"role": "user", "content": "Sure?"},
        ],
        "documents": [{"id": "Title", "data": {"title": "Title", "text": "Cats purr."}}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
        "strict_tools": true,
        "tool_choice": "REQUIRED",
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "max_tokens": 9, "stop_sequences": ["x"], "temperature": 0.5, "p": 0.9, "k": 5, "seed": 3,
        "frequency_penalty": 0.1, "presence_penalty": 0.2, "logprobs": true,
        "thinking": {"type": "enabled", "token_budget": 100},
        "safety_mode": "STRICT", "citation_options": {"mode": "FAST"},
    });
    let request = read(&body).expect("a request");
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert!(matches!(request.format, Some(Format::JsonSchema { .. })));
    assert_eq!(written(&request), (body, vec![]));
}

#[test]
fn what_is_no_request_is_refused_by_path_and_reason() {
    let user = json!({"role": "user", "content": "hi"});
    let rows = [
        (json!({"model": "m"}), "messages: expected an array of messages, found nothing"),
        (json!({"messages": []}), "messages: expected at least one message"),
        (
            json!({"messages": [{"role": "chatbot"}]}),
            "messages[0].role: expected system, user, assistant or tool, found: chatbot",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "sound"}]}]}),
            "messages[0].content[0].type: expected text, thinking, image_url or document, found: sound",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id: expected a string, found nothing",
        ),
        (json!({"messages": [user], "tool_choice": "auto"}), "tool_choice: expected REQUIRED or NONE, found: auto"),
        (
            json!({"messages": [user], "response_format": {"type": "json_schema"}}),
            "response_format.type: expected text or json_object, found: json_schema",
        ),
        (
            json!({"messages": [user], "thinking": {"type": "adaptive"}}),
            "thinking.type: expected enabled or disabled, found: adaptive",
        ),
        (json!({"messages": [user], "documents": [5]}), "documents[0]: expected an object, found a number"),
    ];
    for (body, want) in rows {
        assert_eq!(read(&body).err().as_deref(), Some(want), "{body}");
    }
}

#[test]
fn a_chat_of_another_dialect_is_told_as_far_as_it_goes() {
    let chat = json!({
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}],
        "tool_choice": {"type": "function", "function": {"name": "g"}},
        "reasoning": {"effort": "low"},
        "n": 2,
        "user": "u",
    });
    let (request, _) = wire(Dialect::OpenAiChat).decode_request(chat.to_string().as_bytes()).expect("a chat");
    let (body, losses) = written(&request);
    assert_eq!(
        body["messages"],
        json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}])
    );
    assert_eq!((body["tools"].as_array().map(Vec::len), &body["tool_choice"]), (Some(1), &json!("REQUIRED")));
    assert_eq!(body["thinking"], json!({"type": "enabled"}));
    assert_eq!(losses, ["messages[].audio", "n", "reasoning.effort", "tool_choice", "user"]);
    let dull = Quirks { reasoning: crate::quirks::ReasoningStyle::Unsaid, ..Quirks::OPENAI_CHAT };
    let (body, losses) = Cohere.encode_request(&request, &dull);
    assert!(!String::from_utf8_lossy(&body).contains("thinking") && losses.iter().any(|l| l.what == "reasoning"));
}

/// Events as Cohere sends them.
fn events(list: &[Value]) -> String {
    list.iter().map(|e| format!("event: {}\ndata: {e}\n\n", e["type"].as_str().unwrap_or_default())).collect()
}

fn cited() -> String {
    let message = |m: Value| json!({"message": m});
    events(&[
        json!({"id": "c-1", "type": "message-start", "delta": message(json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}))}),
        json!({"type": "content-start", "index": 0, "delta": message(json!({"content": {"type": "thinking", "thinking": ""}}))}),
        json!({"type": "content-delta", "index": 0, "delta": message(json!({"content": {"thinking": "hm"}}))}),
        json!({"type": "content-end", "index": 0}),
        json!({"type": "content-start", "index": 1, "delta": message(json!({"content": {"type": "text", "text": ""}}))}),
        json!({"type": "content-delta", "index": 1, "delta": message(json!({"content": {"text": "Ruby"}}))}),
        json!({"type": "citation-start", "index": 0, "delta": message(json!({"citations": {"start": 0, "end": 4, "text": "Ruby", "sources": [
            {"type": "document", "id": "d1", "document": {"id": "d1", "url": "https://ruby.example", "title": "Ruby"}},
            {"type": "tool", "id": "t:0", "tool_output": {"content": "Ruby"}}], "type": "TEXT_CONTENT"}}))}),
        json!({"type": "citation-end", "index": 0}),
        json!({"type": "content-delta", "index": 1, "delta": message(json!({"content": {"text": " is best."}}))}),
        json!({"type": "content-end", "index": 1}),
        json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"billed_units": {"input_tokens": 47, "output_tokens": 8}, "tokens": {"input_tokens": 1563, "output_tokens": 22}, "cached_tokens": 1376}}}),
    ])
}

fn streamed(upstream: Dialect, caller: Dialect, bytes: &str) -> (String, crate::Tally) {
    let mut lens = Lens::new(upstream, caller, Arc::new(stamp()), &Quirks::OPENAI_CHAT);
    let mut out = BytesMut::new();
    lens.push(bytes.as_bytes(), &mut out);
    let tally = lens.end(End::Eof, &mut out);
    (String::from_utf8(out.to_vec()).expect("text"), tally)
}

fn datas(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

#[test]
fn a_cited_answer_crosses_to_chat_with_its_sources_and_back_as_it_was() {
    let (out, tally) = streamed(Dialect::Cohere, Dialect::Cohere, &cited());
    assert_eq!(out, cited());
    assert_eq!(tally.usage.map(|u| (u.input, u.cache_read, u.output)), Some((187, 1376, 22)));
    assert_eq!((tally.finish, tally.native.as_deref()), (Some(Finish::Stop), Some("COMPLETE")));
    let (chat, _) = streamed(Dialect::Cohere, Dialect::OpenAiChat, &cited());
    let chunks = datas(&chat);
    let delta =
        |name: &str| -> String { chunks.iter().filter_map(|c| c["choices"][0]["delta"][name].as_str()).collect() };
    assert_eq!((delta("content"), delta("reasoning")), ("Ruby is best.".to_owned(), "hm".to_owned()));
    let urls: Vec<&Value> = chunks
        .iter()
        .flat_map(|c| c["choices"][0]["delta"]["annotations"].as_array().into_iter().flatten())
        .map(|a| &a["url_citation"]["url"])
        .collect();
    assert_eq!(urls, [&json!("https://ruby.example"), &json!("#document-t:0")]);
    let (back, tally) = streamed(Dialect::OpenAiChat, Dialect::Cohere, &chat);
    assert!(tally.fault.is_none() && tally.losses.is_empty(), "{:?}", tally.losses);
    let back = datas(&back);
    assert_eq!(back.first().map(|e| &e["type"]), Some(&json!("message-start")));
    let citation = back.iter().find(|e| e["type"] == "citation-start").expect("a citation");
    assert_eq!(citation["delta"]["message"]["citations"]["sources"][1]["id"], "t:0");
    let last = back.last().expect("an end");
    assert_eq!((&last["type"], &last["delta"]["finish_reason"]), (&json!("message-end"), &json!("COMPLETE")));
    assert_eq!(
        (&last["delta"]["usage"]["tokens"]["input_tokens"], &last["delta"]["usage"]["cached_tokens"]),
        (&json!(1563), &json!(1376))
    );
    assert!(last["delta"]["usage"]["cost"].is_number());
}

#[test]
fn a_plan_is_thought_and_calls_keep_their_ids() {
    let body = json!({"id": "c", "message": {"role": "assistant", "tool_plan": "I will roll.", "tool_calls": [
        {"id": "roll_1", "type": "function", "function": {"name": "roll", "arguments": "{}"}},
        {"id": "roll_2", "type": "function", "function": {"name": "roll", "arguments": "{\"n\":2}"}}]},
        "finish_reason": "TOOL_CALL", "usage": {"billed_units": {"input_tokens": 57, "output_tokens": 20}, "tokens": {"input_tokens": 1490, "output_tokens": 94}, "cached_tokens": 112}});
    let of = |upstream, caller, body: &Value| {
        let body = body.to_string();
        let got = lens::reply(upstream, caller, body.as_bytes(), &stamp(), &Quirks::OPENAI_CHAT).expect("a reply");
        serde_json::from_slice::<Value>(&got.0).expect("JSON")
    };
    let chat = of(Dialect::Cohere, Dialect::OpenAiChat, &body);
    let message = &chat["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning"]), (&json!(null), &json!("I will roll.")));
    assert_eq!(message["tool_calls"][1]["id"], "roll_2");
    assert_eq!(
        (&chat["choices"][0]["finish_reason"], &chat["usage"]["prompt_tokens"]),
        (&json!("tool_calls"), &json!(1490))
    );
    let back = of(Dialect::OpenAiChat, Dialect::Cohere, &chat);
    assert_eq!(back["message"]["tool_calls"], body["message"]["tool_calls"]);
    assert_eq!(back["message"]["content"], json!([{"type": "thinking", "thinking": "I will roll."}]));
    assert_eq!(back["finish_reason"], "TOOL_CALL");
    // The same as a stream of its own kind.
    let (stream, _) = streamed(Dialect::OpenAiChat, Dialect::Cohere, &{
        let mut out = BytesMut::new();
        let text = body.to_string();
        lens::stream_from_reply(
            Dialect::Cohere,
            Dialect::OpenAiChat,
            text.as_bytes(),
            &Arc::new(stamp()),
            &Quirks::OPENAI_CHAT,
            &mut out,
        )
        .expect("a stream");
        String::from_utf8(out.to_vec()).expect("text")
    });
    let kinds: Vec<String> = datas(&stream).iter().map(|e| e["type"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "tool-call-start").count(), 2, "{kinds:?}");
    let (_, tally) = streamed(Dialect::Cohere, Dialect::OpenAiChat, &stream);
    assert_eq!((tally.finish, tally.fault), (Some(Finish::ToolCalls), None));
}

#[test]
fn plans_and_calls_of_a_stream_are_told_apart() {
    let message = |m: Value| json!({"message": m});
    let bytes = events(&[
        json!({"type": "message-start", "id": "x", "delta": message(json!({"role": "assistant"}))}),
        json!({"type": "tool-plan-delta", "delta": message(json!({"tool_plan": "I will"}))}),
        json!({"type": "tool-plan-delta", "delta": message(json!({"tool_plan": " look."}))}),
        json!({"type": "tool-call-start", "index": 0, "delta": message(json!({"tool_calls": {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}}))}),
        json!({"type": "tool-call-delta", "index": 0, "delta": message(json!({"tool_calls": {"function": {"arguments": "{\"q\""}}}))}),
        json!({"type": "tool-call-delta", "index": 0, "delta": message(json!({"tool_calls": {"function": {"arguments": ":1}"}}}))}),
        json!({"type": "tool-call-end", "index": 0}),
        json!({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}}),
    ]);
    let mut decode = Cohere.decoder(&Quirks::OPENAI_CHAT);
    let mut told = Vec::new();
    for event in datas(&bytes) {
        decode.frame(&crate::frame::Frame { event: None, data: event.to_string().as_bytes() }, &mut told);
    }
    decode.eof(&mut told);
    let reply = slip_ir::fold(told);
    let blocks = &reply.choices[0].blocks;
    assert!(matches!(&blocks[0], Block::Thinking(t) if t.text == "I will look."), "{blocks:?}");
    assert!(matches!(&blocks[1], Block::ToolCall(c) if c.id == "a" && c.arguments == "{\"q\":1}"), "{blocks:?}");
    assert_eq!(reply.fault, None);
}

#[test]
fn errors_are_read_and_told() {
    let fault = Cohere.decode_error(401, &http::HeaderMap::new(), br#"{"id":"e","message":"invalid api token"}"#);
    assert_eq!(fault.kind, FaultKind::UpstreamAuth);
    let body = Cohere.encode_error(&fault, Some("gen-1"));
    assert!(String::from_utf8_lossy(&body).starts_with("{\"id\":\"gen-1\",\"message\":\""));
    let broken = events(&[json!({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "out of luck"}})]);
    let (out, tally) = streamed(Dialect::Cohere, Dialect::OpenAiChat, &broken);
    assert!(tally.fault.is_some_and(|f| f.raw.is_some_and(|raw| raw.contains("out of luck"))), "{out}");
    let (out, _) = streamed(
        Dialect::OpenAiChat,
        Dialect::Cohere,
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
    );
    let last = datas(&out).pop().expect("an end");
    assert_eq!(last["delta"]["finish_reason"], "ERROR");
    assert_eq!(last["delta"]["error"], "the stream ended before it was finished");
}
