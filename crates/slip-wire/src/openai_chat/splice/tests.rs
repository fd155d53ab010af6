//! What a spliced request says, row by row; that it equals parse, edit, serialise is a law of the crate.

use super::*;
use crate::quirks::ToolIds;
use std::borrow::Cow;

fn spliced(members: &str, quirks: &Quirks) -> (String, Vec<String>) {
    let body = format!(r#"{{"messages":[{{"role":"user","content":"hi"}}]{members}}}"#);
    let peek = Peek::openai_chat(body.as_bytes()).unwrap();
    let mut out = Vec::new();
    let losses = splice(body.as_bytes(), &peek, "up", quirks, &mut out);
    let text = String::from_utf8(out).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let rest = text.strip_prefix(r#"{"messages":[{"role":"user","content":"hi"}]"#).unwrap().to_owned();
    (rest, losses.iter().map(ToString::to_string).collect())
}

const PLAIN: Quirks = Quirks::OPENAI_CHAT;

#[test]
fn members_are_rewritten_for_the_upstream() {
    let completion = Quirks { max_tokens: MaxTokens::Completion, ..PLAIN };
    let as_sent = Quirks { max_tokens: MaxTokens::AsSent, ..PLAIN };
    let no_options = Quirks { stream_options: false, ..PLAIN };
    let router = Quirks { router: true, reasoning: ReasoningStyle::Object, ..PLAIN };
    let rows: &[(&str, &Quirks, &str)] = &[
        ("", &PLAIN, r#","model":"up"}"#),
        (r#", "model" : "a/b","x":[1, 2]"#, &PLAIN, r#","model":"up","x":[1, 2]}"#),
        (
            r#","provider":{},"models":["a"],"route":"fallback","plugins":[],"transforms":[],"preset":"p","session_id":"s","trace":{},"debug":{},"usage":{"include":true},"structured_outputs":true,"stop_server_tools_when":[]"#,
            &PLAIN,
            r#","model":"up"}"#,
        ),
        (r#","provider":{"only":["a"]}"#, &router, r#","provider":{"only":["a"]},"model":"up"}"#),
        (r#","reasoning":{"effort":"low"}"#, &router, r#","reasoning":{"effort":"low"},"model":"up"}"#),
        (r#","tools":[],"tool_choice":"auto","parallel_tool_calls":true"#, &PLAIN, r#","model":"up"}"#),
        (r#","max_tokens":5"#, &as_sent, r#","max_tokens":5,"model":"up"}"#),
        (r#","max_completion_tokens":5"#, &as_sent, r#","max_completion_tokens":5,"model":"up"}"#),
        (r#","max_tokens":5"#, &completion, r#","max_completion_tokens":5,"model":"up"}"#),
        (r#","max_completion_tokens":5"#, &PLAIN, r#","max_tokens":5,"model":"up"}"#),
        (r#","max_tokens":5,"max_completion_tokens":7"#, &PLAIN, r#","max_tokens":7,"model":"up"}"#),
        (r#","max_tokens":5,"max_completion_tokens":null"#, &PLAIN, r#","max_tokens":5,"model":"up"}"#),
        (r#","stream":true"#, &PLAIN, r#","stream":true,"model":"up","stream_options":{"include_usage":true}}"#),
        (
            r#","stream":true,"stream_options":{"include_usage":false,"include_obfuscation":false}"#,
            &PLAIN,
            r#","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},"model":"up"}"#,
        ),
        (r#","stream":true,"stream_options":{}"#, &no_options, r#","stream":true,"model":"up"}"#),
        (r#","stream_options":{"include_usage":true}"#, &PLAIN, r#","model":"up"}"#),
        (r#","tools":null,"stop":null,"mystery":null"#, &PLAIN, r#","mystery":null,"model":"up"}"#),
    ];
    for (members, quirks, want) in rows {
        assert_eq!(spliced(members, quirks), ((*want).to_owned(), vec![]), "{members}");
    }
}

#[test]
fn reasoning_is_said_in_the_upstreams_way() {
    let style = |reasoning| Quirks { reasoning, ..PLAIN };
    use ReasoningStyle::*;
    let rows: &[(&str, ReasoningStyle, &str)] = &[
        (r#","reasoning":{"effort":"low"}"#, Effort, r#","reasoning_effort":"low""#),
        (r#","reasoning":{"enabled":true}"#, Effort, r#","reasoning_effort":"medium""#),
        (r#","reasoning":{"enabled":false}"#, Effort, r#","reasoning_effort":"none""#),
        (
            r#","reasoning":{"max_tokens":8000},"max_tokens":10000"#,
            Effort,
            r#","reasoning_effort":"high","max_tokens":10000"#,
        ),
        (r#","reasoning":{"exclude":true}"#, Effort, ""),
        (r#","include_reasoning":true"#, Effort, r#","reasoning_effort":"medium""#),
        (r#","reasoning_effort":"high","reasoning":{"effort":"low"}"#, Effort, r#","reasoning_effort":"low""#),
        (r#","reasoning":null"#, Effort, ""),
        (
            r#","reasoning":{"effort":"low","summary":"auto"}"#,
            Object,
            r#","reasoning":{"effort":"low","summary":"auto"}"#,
        ),
        (r#","reasoning_effort":"low""#, Object, r#","reasoning":{"effort":"low"}"#),
        (r#","include_reasoning":true"#, Object, r#","reasoning":{"enabled":true}"#),
        (r#","reasoning":{"max_tokens":2000}"#, Thinking, r#","thinking":{"type":"enabled","budget_tokens":2000}"#),
        (
            r#","reasoning_effort":"high","max_tokens":10000"#,
            Thinking,
            r#","thinking":{"type":"enabled","budget_tokens":8000},"max_tokens":10000"#,
        ),
        (r#","reasoning":{"enabled":true}"#, Thinking, r#","thinking":{"type":"enabled"}"#),
        (r#","reasoning":{"effort":"none"}"#, Thinking, r#","thinking":{"type":"disabled"}"#),
        (r#","thinking":{"type":"disabled"},"reasoning":{}"#, Thinking, r#","thinking":{"type":"disabled"}"#),
        (r#","reasoning":{"max_tokens":2000}"#, EnableThinking, r#","enable_thinking":true,"thinking_budget":2000"#),
        (r#","reasoning":{"enabled":false}"#, EnableThinking, r#","enable_thinking":false"#),
    ];
    for (members, reasoning, want) in rows {
        let (text, losses) = spliced(members, &style(*reasoning));
        assert_eq!((text.as_str(), losses.len()), (format!(r#"{want},"model":"up"}}"#).as_str(), 0), "{members}");
    }
    let (text, losses) = spliced(r#","reasoning":{"effort":"low"}"#, &style(Unsaid));
    assert_eq!(text, r#","model":"up"}"#);
    assert_eq!(losses, ["reasoning: this provider has no way to say it"]);
}

#[test]
fn what_the_upstream_refuses_is_a_loss() {
    let quirks = Quirks { refuses: Cow::Owned(vec!["seed".into(), "user".into(), "top_k".into()]), ..PLAIN };
    let (text, losses) = spliced(r#","seed":1,"user":null,"top_k":2,"top_p":1"#, &quirks);
    assert_eq!(text, r#","top_p":1,"model":"up"}"#);
    assert_eq!(losses, ["seed: this provider refuses it", "top_k: this provider refuses it"]);
    let quirks = Quirks { refuses: Cow::Owned(vec!["n".into(), "logprobs".into()]), ..PLAIN };
    let (_, losses) = spliced(r#","n":1,"logprobs":false"#, &quirks);
    assert!(losses.is_empty(), "what happens anyway is not lost: {losses:?}");
    assert_eq!(spliced(r#","n":2"#, &quirks).1, ["n: this provider refuses it"]);
}

#[test]
fn what_lies_deeper_than_the_top_level_goes_through_the_ir() {
    let user = r#"{"role":"user","content":"x"}"#;
    let rows: &[(&str, Quirks, bool)] = &[
        (user, PLAIN, false),
        (r#"{"role":"developer","content":"x"}"#, PLAIN, true),
        (r#"{"role":"developer","content":"x"}"#, Quirks { developer_role: true, ..PLAIN }, false),
        (r#"{"role":"system","content":[{"type":"text","text":"x"}]}"#, Quirks { content_parts: false, ..PLAIN }, true),
        (r#"{"role":"user","content":[{"type":"text","text":"x"}]}"#, Quirks { content_parts: false, ..PLAIN }, false),
        (
            r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}}]}"#,
            Quirks { image_urls: false, ..PLAIN },
            true,
        ),
        (
            r#"{"role":"tool","content":"x","tool_call_id":"call_1"}"#,
            Quirks { tool_ids: ToolIds::Alnum9, ..PLAIN },
            true,
        ),
        (
            r#"{"role":"tool","content":"x","tool_call_id":"call_1"}"#,
            Quirks { tool_ids: ToolIds::Word64, ..PLAIN },
            false,
        ),
        (
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a"}]}"#,
            Quirks { replay: Replay::ReasoningContent, ..PLAIN },
            true,
        ),
        (
            r#"{"role":"assistant","content":"x","tool_calls":[]}"#,
            Quirks { replay: Replay::ReasoningContent, ..PLAIN },
            false,
        ),
    ];
    for (message, quirks, want) in rows {
        let body = format!(r#"{{"messages":[{message}]}}"#);
        assert_eq!(needs_ir(&Peek::openai_chat(body.as_bytes()).unwrap(), quirks), *want, "{message}");
    }
    let body =
        format!(r#"{{"messages":[{user}],"tool_choice":"required","response_format":{{"type":"json_schema"}}}}"#);
    let peek = Peek::openai_chat(body.as_bytes()).unwrap();
    assert!(!needs_ir(&peek, &PLAIN));
    assert!(needs_ir(&peek, &Quirks { tool_choice_required: "any".into(), ..PLAIN }));
    assert!(needs_ir(&peek, &Quirks { structured: Structured::JsonObject, ..PLAIN }));
}
