//! Counting tokens: how many a conversation would take, asked of whoever would answer it.
//!
//! The conversation is a request of one of the chat dialects, without what only matters to an answer; it crosses to another
//! dialect by the same decoders and encoders as a chat does.

use super::{Answer, Body, Sent, Shape, figures, unknown};
use crate::envelope::escaped;
use crate::lens::not_json;
use crate::peek::{Named, Peek};
use crate::{Malformed, Quirks, Stamp, cross, house, json, wire};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;
use slip_ir::{Dialect, Fault, Usage};

/// What the counting APIs read of a conversation; they refuse the rest of it.
const ANTHROPIC: [&str; 10] = [
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "context_management",
    "mcp_servers",
    "cache_control",
];
const RESPONSES: [&str; 11] = [
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "truncation",
    "conversation",
    "previous_response_id",
    "personality",
];

/// What Vertex AI reads of a conversation when it counts.
const VERTEX: [&str; 4] = ["contents", "systemInstruction", "tools", "generationConfig"];
/// The same of Bedrock, and the regions that may stand before the name of a model, which only answers bare.
const CONVERSE: [&str; 4] = ["messages", "system", "toolConfig", "additionalModelRequestFields"];
const REGIONS: [&str; 9] = ["us.", "eu.", "apac.", "jp.", "au.", "ca.", "sa.", "us-gov.", "global."];

#[derive(Clone, Debug)]
pub struct Task {
    pub dialect: Dialect,
    /// The conversation, in that dialect.
    pub chat: Bytes,
}

pub(super) fn dialect(shape: Shape) -> Option<Dialect> {
    match shape {
        Shape::Anthropic => Some(Dialect::Anthropic),
        Shape::Gemini | Shape::Vertex => Some(Dialect::Gemini),
        Shape::Bedrock => Some(Dialect::Bedrock),
        Shape::Responses => Some(Dialect::Responses),
        _ => None,
    }
}

pub(super) fn read(shape: Shape, body: &Bytes, named: Option<&Named>) -> Result<(Task, Peek), Malformed> {
    json::check(body)?;
    let Some(dialect) = dialect(shape) else {
        return Err(Malformed::new("", format!("nothing can be counted in the spelling {shape}")));
    };
    // Google's callers may put the whole request of a chat inside.
    let whole = ["generateContentRequest", "generate_content_request"].into_iter().find_map(|n| json::field(body, n));
    let chat = match whole.filter(|inner| dialect == Dialect::Gemini && inner.first() == Some(&b'{')) {
        Some(inner) => body.slice_ref(inner),
        None if dialect == Dialect::Bedrock => return bedrock(body, named),
        None => body.clone(),
    };
    understood(dialect, chat, named)
}

/// A request of Converse inside, or one of InvokeModel: of those only Claude's can be counted there.
fn bedrock(body: &Bytes, named: Option<&Named>) -> Result<(Task, Peek), Malformed> {
    let input = json::field(body, "input").unwrap_or_default();
    if let Some(inner) = json::field(input, "converse") {
        return understood(Dialect::Bedrock, body.slice_ref(inner), named);
    }
    let coded = json::field(input, "invokeModel").and_then(|inner| json::field(inner, "body")).and_then(json::string);
    let Some(coded) = coded else {
        return Err(Malformed::new("input", "must have `converse` or `invokeModel.body`"));
    };
    let wrong = |why: &str| Malformed::new("input.invokeModel.body", why);
    let inner = STANDARD.decode(coded.as_bytes()).map_err(|_| wrong("is not base64"))?;
    json::check(&inner).map_err(|_| wrong("is not JSON inside"))?;
    let mut chat = Vec::with_capacity(inner.len() + 64);
    put(&inner, named.map_or("", |named| &named.model), |_| true, &mut chat);
    understood(Dialect::Anthropic, chat.into(), named)
}

fn understood(dialect: Dialect, chat: Bytes, named: Option<&Named>) -> Result<(Task, Peek), Malformed> {
    let mut peek = if spoken(dialect) { Peek::of(dialect, &chat, named)?.0 } else { super::routing(&chat)? };
    if let Some(named) = named.filter(|_| peek.model.is_none()) {
        peek.model = Some(named.model.clone());
    }
    if !spoken(dialect) {
        peek.want.prompt_tokens = (chat.len() as u64).div_ceil(4);
    }
    // Nothing is written, whatever the conversation would like.
    peek.stream = false;
    peek.want.stream = false;
    peek.want.max_tokens = None;
    Ok((Task { dialect, chat }, peek))
}

/// Whether conversations of this dialect can be understood.
fn spoken(dialect: Dialect) -> bool {
    Dialect::ALL.contains(&dialect)
}

pub(super) fn lower(task: &Task, to: Shape, model: &str) -> Result<Sent, Malformed> {
    let no = || Malformed::new("", format!("nothing can be counted in the spelling {to}"));
    let dialect = dialect(to).ok_or_else(no)?;
    let (chat, losses) = if dialect == task.dialect {
        (task.chat.clone(), Vec::new())
    } else if spoken(dialect) && spoken(task.dialect) {
        let (mut request, mut losses) = wire(task.dialect).decode_request(&task.chat)?;
        model.clone_into(&mut request.model);
        request.stream = false;
        let (crossed, left) = cross(&request, task.dialect, dialect);
        let (chat, lost) = wire(dialect).encode_request(&crossed, Quirks::of(dialect));
        losses.extend(left.into_iter().chain(lost));
        (chat.into(), losses)
    } else {
        return Err(no());
    };
    let media_type = "application/json".to_owned();
    let path = |verb: &str| wire(Dialect::Gemini).path(model, false).replace(":generateContent", verb);
    Ok(match dialect {
        Dialect::Gemini if to == Shape::Vertex => {
            if model.starts_with("claude") {
                return Err(Malformed::new("", "only the publisher's own models are counted here"));
            }
            let body = picked(&chat, &VERTEX);
            Sent { path: format!("/publishers/google{}", path(":countTokens")), media_type, body, losses }
        }
        Dialect::Bedrock => {
            let bare = REGIONS.iter().find_map(|region| model.strip_prefix(region)).unwrap_or(model);
            let mut body = br#"{"input":{"converse":"#.to_vec();
            body.extend_from_slice(&picked(&chat, &CONVERSE));
            body.extend_from_slice(b"}}");
            Sent { path: format!("/model/{}/count-tokens", escaped(bare)), media_type, body, losses }
        }
        Dialect::Gemini => {
            let path = path(":countTokens");
            let name = model.strip_prefix("models/").unwrap_or(model);
            let mut body = b"{\"generateContentRequest\":".to_vec();
            put(&chat, &format!("models/{name}"), |member| !house::is_ours(member), &mut body);
            body.push(b'}');
            Sent { path, media_type, body, losses }
        }
        Dialect::Responses => {
            let mut body = Vec::new();
            put(&chat, model, |member| RESPONSES.contains(&member), &mut body);
            Sent { path: "/responses/input_tokens".to_owned(), media_type, body, losses }
        }
        _ => {
            let mut body = Vec::new();
            put(&chat, model, |member| ANTHROPIC.contains(&member), &mut body);
            Sent { path: "/messages/count_tokens".to_owned(), media_type, body, losses }
        }
    })
}

/// Of the conversation's members those that may go.
fn picked(chat: &[u8], which: &[&str]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (name, value) in json::fields(chat).filter(|(name, _)| which.iter().any(|known| name.is(known))) {
        if out.len() > 1 {
            out.push(b',');
        }
        figures::key(name.raw(), &mut out);
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

/// The conversation with this name for the model, and of its other members those that may go.
fn put(chat: &[u8], model: &str, goes: impl Fn(&str) -> bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"model\":");
    out.extend_from_slice(figures::quoted(model).as_bytes());
    for (name, value) in json::fields(chat) {
        let member = name.text();
        if member != "model" && goes(&member) {
            out.push(b',');
            figures::key(name.raw(), out);
            out.extend_from_slice(value);
        }
    }
    out.push(b'}');
}

#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub(super) fn reply(caller: Shape, from: Shape, body: Body<'_>) -> Result<Answer, Fault> {
    if json::check(body.bytes).is_err() {
        return Err(not_json());
    }
    let names: [&str; 4] = ["input_tokens", "totalTokens", "total_tokens", "inputTokens"];
    let count = names.into_iter().find_map(|name| json::field(body.bytes, name)).and_then(figures::count);
    let count = count.ok_or_else(|| unknown("no number of tokens"))?;
    let mut answer = said(caller, count);
    if caller == from || (caller, from) == (Shape::Gemini, Shape::Vertex) {
        // With whatever else the provider says of them.
        answer.body = body.bytes.clone();
    }
    Ok(answer)
}

/// Our own count, where nobody else could be asked.
pub fn estimate(inquiry: &super::Inquiry, stamp: &Stamp) -> Answer {
    said(inquiry.shape, stamp.prompt_estimate.max(1))
}

fn said(caller: Shape, count: u64) -> Answer {
    let body = match caller {
        Shape::Gemini | Shape::Vertex => json!({ "totalTokens": count }),
        Shape::Bedrock => json!({ "inputTokens": count }),
        Shape::Responses => json!({ "object": "response.input_tokens", "input_tokens": count }),
        _ => json!({ "input_tokens": count }),
    };
    Answer::json(&body, Usage { input: count, ..Usage::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{self, Inquiry};
    use serde_json::Value;
    use slip_ir::Op;

    fn asked(shape: Shape, body: &Value) -> Result<(Peek, Inquiry), Malformed> {
        let bytes = Bytes::from(body.to_string());
        let named = Named { model: "a/m".into(), stream: false };
        let named = matches!(shape, Shape::Gemini | Shape::Bedrock).then_some(&named);
        ops::read(Op::CountTokens, shape, Body { media_type: "", bytes: &bytes }, named)
    }

    fn sent(from: Shape, to: Shape, body: &Value) -> (String, Value) {
        let (_, inquiry) = asked(from, body).expect("a request");
        let sent = ops::lower(&inquiry, to, "m").expect("it can be asked");
        (sent.path, serde_json::from_slice(&sent.body).expect("JSON"))
    }

    #[test]
    fn a_conversation_is_counted_in_the_words_of_whoever_counts() {
        let anthropic = json!({
            "model": "a/m", "max_tokens": 5, "stream": true, "system": "Be brief.",
            "messages": [{ "role": "user", "content": "hi" }],
            "tools": [{ "name": "f", "input_schema": { "type": "object" } }], "provider": { "order": ["x"] },
        });
        let (path, body) = sent(Shape::Anthropic, Shape::Anthropic, &anthropic);
        assert_eq!(path, "/messages/count_tokens");
        assert_eq!(
            body,
            json!({ "model": "m", "system": "Be brief.", "messages": anthropic["messages"], "tools": anthropic["tools"] })
        );
        let (path, body) = sent(Shape::Anthropic, Shape::Gemini, &anthropic);
        assert_eq!(path, "/models/m:countTokens");
        let inner = &body["generateContentRequest"];
        assert_eq!((&inner["model"], &inner["contents"][0]["parts"][0]["text"]), (&json!("models/m"), &json!("hi")));
        assert_eq!(inner["tools"][0]["functionDeclarations"][0]["name"], "f");
    }

    #[test]
    fn both_forms_of_google_s_question_are_one() {
        let chat = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }], "systemInstruction": { "parts": [{ "text": "Be brief." }] } });
        let wrapped = json!({ "generateContentRequest": { "model": "models/other", "contents": chat["contents"], "systemInstruction": chat["systemInstruction"] } });
        for ask in [&chat, &wrapped] {
            let (_, body) = sent(Shape::Gemini, Shape::Gemini, ask);
            let inner = &body["generateContentRequest"];
            assert_eq!(
                (&inner["model"], &inner["systemInstruction"]),
                (&json!("models/m"), &chat["systemInstruction"])
            );
            let (_, body) = sent(Shape::Gemini, Shape::Anthropic, ask);
            assert_eq!(body["messages"][0]["content"], "hi", "{body}");
            assert!(body.get("max_tokens").is_none(), "{body}");
        }
    }

    #[test]
    fn bedrock_counts_a_request_inside_another_document() {
        let turns = json!([{ "role": "user", "content": [{ "text": "hi" }] }]);
        let ask = json!({ "input": { "converse": { "messages": turns, "system": [{ "text": "Be brief." }] } } });
        let (path, body) = sent(Shape::Bedrock, Shape::Bedrock, &ask);
        assert_eq!((path.as_str(), &body), ("/model/m/count-tokens", &ask));
        let (_, body) = sent(Shape::Bedrock, Shape::Anthropic, &ask);
        assert_eq!((&body["model"], &body["messages"][0]["content"]), (&json!("m"), &json!("hi")));
        let claude = json!({ "model": "a/m", "max_tokens": 5, "messages": [{ "role": "user", "content": "hi" }] });
        let (_, body) = sent(Shape::Anthropic, Shape::Bedrock, &claude);
        assert_eq!(body, json!({ "input": { "converse": { "messages": turns } } }));
        let inner = STANDARD
            .encode(r#"{"anthropic_version":"bedrock-2023-05-31","messages":[{"role":"user","content":"hi"}]}"#);
        let invoked = json!({ "input": { "invokeModel": { "body": inner } } });
        let (_, body) = sent(Shape::Bedrock, Shape::Bedrock, &invoked);
        assert_eq!(body["input"]["converse"]["messages"], turns);
        let (peek, _) = asked(Shape::Bedrock, &invoked).expect("a request");
        assert_eq!(peek.model.as_deref(), Some("a/m"));
        let (_, inquiry) = asked(Shape::Bedrock, &ask).expect("a request");
        let sent = ops::lower(&inquiry, Shape::Bedrock, "us.anthropic.claude-x:0").expect("it can be asked");
        assert_eq!(sent.path, "/model/anthropic.claude-x%3A0/count-tokens", "a profile is not counted for");
    }

    #[test]
    fn vertex_counts_the_bare_question() {
        let ask = json!({
            "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }], "safetySettings": [], "generationConfig": {},
        });
        let (path, body) = sent(Shape::Gemini, Shape::Vertex, &ask);
        assert_eq!(path, "/publishers/google/models/m:countTokens");
        assert_eq!(body, json!({ "contents": ask["contents"], "generationConfig": {} }));
    }

    #[test]
    fn openai_s_own_question_goes_to_openai() {
        let ask =
            json!({ "model": "a/m", "input": "hi", "instructions": "Be brief.", "store": false, "models": ["b"] });
        let (path, body) = sent(Shape::Responses, Shape::Responses, &ask);
        assert_eq!(
            (path.as_str(), body),
            ("/responses/input_tokens", json!({ "model": "m", "input": "hi", "instructions": "Be brief." }))
        );
        let (peek, _) = asked(Shape::Responses, &ask).expect("a request");
        assert_eq!((peek.model.as_deref(), peek.models.len()), (Some("a/m"), 1));
        assert!(peek.want.prompt_tokens > 0 && peek.want.op == Op::Chat, "who counts is who would chat");
    }

    #[test]
    fn the_count_is_told_as_each_caller_reads_it() {
        let said = [
            (Shape::Anthropic, json!({ "input_tokens": 14 })),
            (Shape::Gemini, json!({ "totalTokens": 14 })),
            (Shape::Responses, json!({ "object": "response.input_tokens", "input_tokens": 14 })),
            (Shape::Bedrock, json!({ "inputTokens": 14 })),
        ];
        for (from, told) in &said {
            for (caller, want) in &said {
                let bytes = Bytes::from(told.to_string());
                let answer = reply(*caller, *from, Body { media_type: "", bytes: &bytes }).expect("an answer");
                assert_eq!(serde_json::from_slice::<Value>(&answer.body).expect("JSON"), *want, "{from} to {caller}");
            }
        }
        for said in ["{}", "[]", "x", r#"{"input_tokens":-1}"#] {
            let bytes = Bytes::from(said);
            assert!(
                reply(Shape::Anthropic, Shape::Anthropic, Body { media_type: "", bytes: &bytes }).is_err(),
                "{said}"
            );
        }
    }

    #[test]
    fn what_is_no_conversation_is_refused_by_name() {
        let rows = [
            (Shape::Anthropic, json!({ "model": "m" }), "messages"),
            (Shape::Gemini, json!({}), "contents"),
            (Shape::Responses, json!({ "model": 5 }), "model"),
            (Shape::Bedrock, json!({ "input": {} }), "input"),
            (Shape::Bedrock, json!({ "input": { "invokeModel": { "body": "?" } } }), "input.invokeModel.body"),
        ];
        for (shape, ask, at) in rows {
            assert_eq!(asked(shape, &ask).unwrap_err().at, at, "{ask}");
        }
    }
}
