//! What is seen of a request, and which requests are refused.

use super::*;

#[test]
fn a_chat_request_is_refused_by_path_and_reason() {
    let rows: &[(&str, &str)] = &[
        (r#"{"model":"a"}"#, "messages: is required"),
        (r#"{"messages":null}"#, "messages: must be an array"),
        (r#"{"messages":[]}"#, "messages: must not be empty"),
        (r#"{"messages":{}}"#, "messages: must be an array"),
        (r#"{"messages":["hi"]}"#, "messages[0]: must be an object"),
        (r#"{"messages":[{"role":"user"},{"content":"x"}]}"#, "messages[1].role: is required"),
        (r#"{"messages":[{"role":1}]}"#, "messages[0].role: must be a string"),
        (r#"{"messages":[{"role":"user","content":5}]}"#, "messages[0].content: must be a string or an array"),
        (r#"{"messages":[{"role":"user","content":[5]}]}"#, "messages[0].content[0]: must be an object"),
        (r#"{"messages":[{"role":"user"}],"model":5}"#, "model: must be a string"),
        (r#"{"messages":[{"role":"user"}],"stream":"yes"}"#, "stream: must be true or false"),
        (r#"{"messages":[{"role":"user"}],"models":["a",1]}"#, "models[1]: must be a string"),
        (r#"{"messages":[{"role":"user"}],"n":0}"#, "n: must be an integer from 1 to 128"),
        (r#"{"messages":[{"role":"user"}],"n":129}"#, "n: must be an integer from 1 to 128"),
        (r#"{"messages":[{"role":"user"}],"max_tokens":0}"#, "max_tokens: must be a positive integer"),
        (r#"{"messages":[{"role":"user"}],"max_tokens":"9"}"#, "max_tokens: must be a positive integer"),
        (r#"{"messages":[{"role":"user"}],"temperature":"hot"}"#, "temperature: must be a number"),
        (r#"{"messages":[{"role":"user"}],"tools":{}}"#, "tools: must be an array"),
        (r#"{"messages":[{"role":"user"}],"provider":[]}"#, "provider: must be an object"),
        (r#"{"messages":[{"role":"user"}],"stop":1}"#, "stop: must be a string or an array of strings"),
        (r#"{"messages":[{"role":"user"}],"response_format":{}}"#, "response_format.type: must be a string"),
        (
            r#"{"messages":[{"role":"user"}],"reasoning":{"effort":"lots"}}"#,
            "reasoning.effort: must be one of none, minimal, low, medium, high, xhigh, max, not lots",
        ),
        (r#"{"model":"a","messages":[{"role":"user"}],"model":"b"}"#, "the member `model` appears twice"),
        (r#"{"messages":[{"role":"user"}]"#, "not JSON: the text ends too early at line 1 column 30 (byte 29)"),
    ];
    for (body, want) in rows {
        assert_eq!(
            Peek::openai_chat(body.as_bytes()).map_err(|m| m.to_string()).err().as_deref(),
            Some(*want),
            "{body}"
        );
    }
    let many = format!(r#"{{"messages":[{}]}}"#, vec![r#"{"role":"user"}"#; 2049].join(","));
    assert_eq!(
        Peek::openai_chat(many.as_bytes()).map_err(|m| m.to_string()).err().as_deref(),
        Some("messages: must hold at most 2048 messages")
    );
}

fn chat(members: &str) -> Peek {
    let body = format!(r#"{{"messages":[{{"role":"user","content":"hi"}}]{members}}}"#);
    Peek::openai_chat(body.as_bytes()).unwrap()
}

#[test]
fn null_means_absent() {
    let peek = chat(
        r#","model":null,"stream":null,"tools":null,"n":null,"temperature":null,"max_tokens":null,"stop":null,"provider":null,"reasoning":null,"response_format":null"#,
    );
    assert_eq!(peek.model, None);
    assert!(!peek.stream);
    assert_eq!(peek.want.n, 1);
    assert_eq!(peek.want.params, Vec::<&str>::new());
    assert!(!peek.want.reasoning);
}

#[test]
fn wishes_are_seen_in_openrouters_words() {
    let peek = chat(
        r#","model":"a/b","models":["c/d"],"stream":true,"provider":{"only":["x"]},"n":2,"max_tokens":5,"max_completion_tokens":7,
        "temperature":1,"seed":3,"stop":["a"],"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required",
        "response_format":{"type":"json_schema","json_schema":{}},"reasoning_effort":"low","user":"u","modalities":["text","image"]"#,
    );
    assert_eq!((peek.model.as_deref(), peek.models, peek.stream), (Some("a/b"), vec!["c/d".to_owned()], true));
    assert_eq!(peek.provider.unwrap().as_str(), r#"{"only":["x"]}"#);
    let want = peek.want;
    assert!(want.stream && want.tools && want.json_schema && want.reasoning && want.image_out && !want.json_object);
    assert_eq!((want.n, want.max_tokens), (2, Some(7)));
    assert_eq!(
        want.params,
        [
            "max_tokens",
            "temperature",
            "seed",
            "stop",
            "tools",
            "tool_choice",
            "response_format",
            "structured_outputs",
            "reasoning"
        ]
    );
    assert!(peek.shape.tool_required && peek.spliceable);
}

#[test]
fn reasoning_is_asked_for_in_several_ways() {
    let rows: &[(&str, bool, bool)] = &[
        ("", false, false),
        (r#","reasoning":{}"#, true, false),
        (r#","reasoning":{"effort":"high"}"#, true, false),
        (r#","reasoning":{"effort":"none"}"#, false, false),
        (r#","reasoning":{"enabled":false}"#, false, false),
        (r#","reasoning":{"max_tokens":2000}"#, true, false),
        (r#","reasoning":{"exclude":true}"#, false, true),
        (r#","reasoning_effort":"none""#, false, false),
        (r#","include_reasoning":true"#, true, false),
        (r#","include_reasoning":false"#, false, true),
    ];
    for (members, wanted, hidden) in rows {
        let peek = chat(members);
        assert_eq!((peek.want.reasoning, peek.hide_reasoning), (*wanted, *hidden), "{members}");
    }
}

#[test]
fn thoughts_that_anthropics_callers_do_not_want_shown_are_hidden() {
    for (thinking, hidden) in [
        (r#"{"type":"adaptive","display":"omitted"}"#, true),
        (r#"{"type":"adaptive","display":"summarized"}"#, false),
        (r#"{"type":"enabled","budget_tokens":1024}"#, false),
    ] {
        let body = format!(r#"{{"model":"a/b","messages":[{{"role":"user","content":"hi"}}],"thinking":{thinking}}}"#);
        let peek = Peek::anthropic(body.as_bytes()).unwrap();
        assert_eq!((peek.hide_reasoning, peek.want.reasoning), (hidden, true), "{thinking}");
    }
}

#[test]
fn gemini_shows_thoughts_where_they_are_asked_for() {
    for (config, hidden) in [
        (r#"{"thinkingBudget":1024}"#, true),
        (r#"{"thinkingLevel":"low","includeThoughts":false}"#, true),
        (r#"{"includeThoughts":true,"thinkingBudget":1024}"#, false),
        (r#"{"thinking_budget":-1,"include_thoughts":true}"#, false),
    ] {
        let body = format!(
            r#"{{"contents":[{{"parts":[{{"text":"hi"}}]}}],"generationConfig":{{"thinkingConfig":{config}}}}}"#
        );
        assert_eq!(Peek::gemini(body.as_bytes(), "m", false).unwrap().hide_reasoning, hidden, "{config}");
    }
}

fn messages(messages: &str) -> Peek {
    Peek::openai_chat(format!(r#"{{"messages":[{messages}]}}"#).as_bytes()).unwrap()
}

#[test]
fn only_plain_messages_may_be_spliced() {
    let rows: &[(&str, bool)] = &[
        (r#"{"role":"user","content":"reasoning_details"}"#, true),
        (r#"{"role":"assistant","content":null,"tool_calls":[]}"#, true),
        (r#"{"role":"assistant","content":"x","reasoning_details":[]}"#, false),
        (r#"{"role":"assistant","content":"x","reasoning":"y"}"#, false),
        (r#"{"role":"assistant","content":"x","reasoning_content":"y"}"#, false),
        (r#"{"role":"assistant","content":"x","annotations":[]}"#, false),
        (r#"{"role":"assistant","content":"x","images":[]}"#, false),
        (r#"{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}"#, false),
        (r#"{"role":"user","content":[{"type":"text","text":"a"}]}"#, true),
    ];
    for (message, want) in rows {
        assert_eq!(messages(message).spliceable, *want, "{message}");
    }
    assert!(!chat(r#","tools":[{"type":"openrouter:web_search"}]"#).spliceable);
}

#[test]
fn a_seal_of_ours_keeps_a_body_of_the_same_dialect_from_being_copied() {
    let anthropic = |block: &str| {
        let body = format!(r#"{{"messages":[{{"role":"assistant","content":[{block}]}}]}}"#);
        Peek::anthropic(body.as_bytes()).unwrap()
    };
    let gemini = |part: &str| {
        let body = format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#);
        Peek::gemini(body.as_bytes(), "m", false).unwrap()
    };
    let rows: &[(Peek, bool, &[&str])] = &[
        (anthropic(r#"{"type":"thinking","thinking":"a","signature":"EuY="}"#), true, &["anthropic-claude-v1"]),
        (anthropic(r#"{"type":"thinking","thinking":"a","signature":"","format":"unknown"}"#), false, &[]),
        (anthropic(r#"{"type":"redacted_thinking","data":"EuY="}"#), true, &["anthropic-claude-v1"]),
        (
            anthropic(r#"{"type":"redacted_thinking","data":"google-gemini-v1:call_1:CiQ="}"#),
            false,
            &["google-gemini-v1"],
        ),
        (gemini(r#"{"text":"","thoughtSignature":"CiQB"}"#), true, &["google-gemini-v1"]),
        (
            gemini(r#"{"text":"","thoughtSignature":"YW50aHJvcGljLWNsYXVkZS12MTo6c2ln"}"#),
            false,
            &["anthropic-claude-v1"],
        ),
    ];
    for (peek, spliceable, sealed) in rows {
        assert_eq!(
            (peek.spliceable, peek.want.sealed.iter().map(String::as_str).collect::<Vec<_>>()),
            (*spliceable, sealed.to_vec())
        );
    }
}

#[test]
fn media_is_seen_and_not_counted_as_text() {
    let data = "A".repeat(40_000);
    let peek = messages(&format!(
        r#"{{"role":"user","content":[{{"type":"text","text":"look"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}},
        {{"type":"file","file":{{"file_data":"{data}"}}}},{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}]}}"#
    ));
    let kinds: Vec<MediaKind> = peek.want.media.iter().collect();
    assert_eq!(kinds, [MediaKind::Image, MediaKind::Audio, MediaKind::File]);
    assert!(peek.want.prompt_tokens < 20, "{}", peek.want.prompt_tokens);
    assert!(!peek.shape.image_urls);
    let linked = r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}"#;
    assert!(messages(linked).shape.image_urls);
}

#[test]
fn signed_reasoning_names_its_family() {
    let peek = messages(
        r#"{"role":"assistant","content":"x","reasoning_details":[{"type":"reasoning.text","text":"a","format":"unknown","signature":"s"},
        {"type":"reasoning.text","text":"a","format":"google-gemini-v1"},
        {"type":"reasoning.text","text":"a","signature":"s","format":"anthropic-claude-v1"},
        {"type":"reasoning.encrypted","data":"d","format":"openai-responses-v1"}]}"#,
    );
    assert_eq!(peek.want.sealed, ["anthropic-claude-v1", "openai-responses-v1"]);
}

#[test]
fn tool_ids_are_judged_by_shape() {
    let rows: &[(&str, bool, bool)] =
        &[("abcDEF123", false, false), ("call_abc", true, false), ("call.abc", true, true), ("", true, false)];
    for (id, not9, not64) in rows {
        let shape = messages(&format!(r#"{{"role":"tool","tool_call_id":"{id}","content":"x"}}"#)).shape;
        assert_eq!((shape.id_not_alnum9, shape.id_not_word64), (*not9, *not64), "{id}");
    }
}

#[test]
fn an_anthropic_request_is_seen() {
    let peek = Peek::anthropic(
        br#"{"model":"m","max_tokens":9,"stream":true,"system":[{"type":"text","text":"s"}],"thinking":{"type":"enabled","budget_tokens":2000},
        "tools":[{"name":"t"}],"metadata":{"user_id":"u"},"stop_sequences":["a"],"messages":[{"role":"user","content":[{"type":"image","source":{}}]},
        {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"x","content":[{"type":"document"}]}]}]}"#,
    )
    .unwrap();
    assert!(peek.stream && peek.want.stream && peek.want.tools && peek.want.reasoning);
    assert_eq!(peek.want.params, ["max_tokens", "reasoning", "tools", "stop"]);
    assert_eq!(peek.want.sealed, ["anthropic-claude-v1"]);
    assert!(peek.want.media.contains(MediaKind::Image) && peek.want.media.contains(MediaKind::File));
    assert_eq!(peek.user.as_deref(), Some("u"));
    let refused = Peek::anthropic(br#"{"messages":[{"role":"user","content":3}]}"#).map_err(|m| m.to_string()).err();
    assert_eq!(refused.as_deref(), Some("messages[0].content: must be a string or an array"));
}

#[test]
fn a_gemini_request_is_seen() {
    let peek = Peek::gemini(
        br#"{"contents":[{"role":"user","parts":[{"text":"hi"},{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}]},
        {"role":"model","parts":[{"functionCall":{"name":"f"},"thoughtSignature":"x"}]}],
        "generationConfig":{"temperature":1,"maxOutputTokens":5,"responseMimeType":"application/json","responseSchema":{},"thinkingConfig":{"thinkingBudget":-1}}}"#,
        "gemini-x",
        true,
    )
    .unwrap();
    assert_eq!(peek.model.as_deref(), Some("gemini-x"));
    assert!(peek.stream && peek.want.json_schema && !peek.want.json_object && peek.want.reasoning);
    assert_eq!(peek.want.sealed, ["google-gemini-v1"]);
    assert_eq!(peek.want.max_tokens, Some(5));
    assert!(peek.want.media.contains(MediaKind::Audio));
    let refused = Peek::gemini(br#"{"contents":[]}"#, "m", false).map_err(|m| m.to_string()).err();
    assert_eq!(refused.as_deref(), Some("contents: must not be empty"));
}
