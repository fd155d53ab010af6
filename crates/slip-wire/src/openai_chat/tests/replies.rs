//! Whole replies.

use super::*;
use slip_ir::{Block, Finish};

fn written(reply: &str) -> serde_json::Value {
    serde_json::from_slice(&OpenAiChat.encode_reply(&decode_reply(reply), &stamp())).unwrap()
}

#[test]
fn a_plain_reply_is_written_member_by_member() {
    let reply = r#"{"id":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"Hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let text = String::from_utf8(OpenAiChat.encode_reply(&decode_reply(reply), &stamp())).unwrap();
    let want = concat!(
        r#"{"id":"gen-1700000000-abcdefghij0123456789","object":"chat.completion","created":1700000000,"model":"house/model-1","provider":"Provider","#,
        r#""service_tier":null,"system_fingerprint":null,"choices":[{"index":0,"logprobs":null,"finish_reason":"stop","native_finish_reason":"stop","#,
        r#""message":{"role":"assistant","content":"Hi","refusal":null,"reasoning":null}}],"usage":{"prompt_tokens":1,"#,
    );
    assert!(text.starts_with(want), "{text}");
}

#[test]
fn calls_have_numbers_ids_and_no_text() {
    let reply = r#"{"choices":[{"index":0,"finish_reason":"","message":{"role":"assistant","tool_calls":[
        {"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"a","function":{"name":"g","arguments":""}},
        {"function":{"name":"h","arguments":"{\"x\":1}"}}]}}]}"#;
    let message = &written(reply)["choices"][0]["message"];
    assert!(message["content"].is_null());
    let calls: Vec<_> = message["tool_calls"].as_array().unwrap().iter().map(|c| c.to_string()).collect();
    assert_eq!(
        calls,
        [
            r#"{"function":{"arguments":"{}","name":"f"},"id":"a","index":0,"type":"function"}"#,
            r#"{"function":{"arguments":"{}","name":"g"},"id":"call_abcdefghij0123456789_0","index":1,"type":"function"}"#,
            r#"{"function":{"arguments":"{\"x\":1}","name":"h"},"id":"call_abcdefghij0123456789_1","index":2,"type":"function"}"#,
        ]
    );
    assert_eq!(written(reply)["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn odd_replies_are_understood() {
    let rows: &[(&str, usize, Finish)] = &[
        (r#"{"choices":[{"finish_reason":"content_filter"}]}"#, 0, Finish::ContentFilter),
        (r#"{"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"no"}}]}"#, 1, Finish::Stop),
        (r#"{"choices":[{"finish_reason":"stop","text":"old"}]}"#, 1, Finish::Stop),
        (r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"}]}}]}"#, 1, Finish::Stop),
        (r#"{"choices":[{"message":{"content":"a","thought_signature":"s"}}]}"#, 1, Finish::Stop),
        ("{\n \"choices\": [ { \"message\": { \"content\": \"a\" } } ]\n}\n", 1, Finish::Stop),
    ];
    for (body, blocks, finish) in rows {
        let reply = decode_reply(body);
        assert_eq!((reply.choices[0].blocks.len(), reply.choices[0].finish), (*blocks, Some(*finish)), "{body}");
    }
    let signed = decode_reply(rows[4].0);
    assert!(matches!(&signed.choices[0].blocks[0], Block::Text(t) if t.signature.as_deref() == Some("s")));
}

#[test]
fn an_error_with_a_good_status_is_a_fault() {
    for body in [
        r#"{"error":{"code":429,"message":"m"}}"#,
        r#"[{"error":{"code":429,"message":"m"}}]"#,
        r#"{"error":{"code":429,"message":"m"},"choices":[]}"#,
        r#"{"object":"error","message":"m","code":429}"#,
    ] {
        let reply = decode_reply(body);
        assert_eq!(reply.fault.as_ref().map(|f| f.kind), Some(slip_ir::FaultKind::RateLimited), "{body}");
        let shown: serde_json::Value = serde_json::from_slice(&OpenAiChat.encode_reply(&reply, &stamp())).unwrap();
        assert_eq!(shown["error"]["code"], 429);
    }
    for body in ["", "nonsense", "{}", "[]", "3", r#"{"id":"x"}"#] {
        assert!(OpenAiChat.decode_reply(body.as_bytes(), &Quirks::OPENAI_CHAT).is_err(), "{body}");
    }
}

#[test]
fn a_reply_that_failed_late_says_so_in_its_choice() {
    let late = r#"{"choices":[{"finish_reason":"stop","message":{"content":"a"},"error":{"code":502,"message":"m"}}]}"#;
    let choice = &written(late)["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&"error".into(), &"a".into()));
    assert_eq!(choice["error"]["metadata"]["error_type"], "provider_unavailable");
}

#[test]
fn line_breaks_of_an_upstream_s_json_do_not_break_a_stream() {
    let body = "{\"choices\":[{\"message\":{\"content\":\"a\",\"annotations\":[{\n\"type\":\"url_citation\",\r\n\"url_citation\":{\"url\":\"u\"}}]}}]}";
    let mut events = Vec::new();
    slip_ir::unfold(&decode_reply(body), &mut events);
    let text = encode_stream(&events, &stamp());
    assert!(
        frames(&text).iter().all(|(_, data)| data == "[DONE]" || crate::json::check(data.as_bytes()).is_ok()),
        "{text}"
    );
}
