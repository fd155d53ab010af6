//! Version 1 of Cohere's chat, told as version 2: one `message` beside a `chat_history`, tools of Python's types, calls without
//! ids. Cohere keeps it for old programs, and so do clouds that serve its models
//! (<https://docs.cohere.com/v1/reference/chat>, <https://docs.cohere.com/docs/migrating-v1-to-v2>, 2026-11).

use super::METRICS;
use super::tongue::count;
use serde_json::{Map, Value, json};
use slip_ir::Loss;

/// Members that are spelt alike.
const KEPT: [&str; 13] = [
    "model",
    "stream",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "p",
    "k",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "safety_mode",
    "priority",
    "raw_prompting",
];
/// Members the first version has no word for.
const LOST: [&str; 4] = ["thinking", "tool_choice", "strict_tools", "logprobs"];

pub(super) fn ask(mut asked: Map<String, Value>, losses: &mut Vec<Loss>) -> Map<String, Value> {
    let mut body = Map::new();
    for name in KEPT {
        body.extend(asked.remove(name).map(|value| (name.to_owned(), value)));
    }
    if let Some(messages) = asked.remove("messages") {
        tell(list(&messages), &mut body, losses);
    }
    if let Some(tools) = asked.remove("tools") {
        body.insert("tools".into(), list(&tools).iter().map(tool).collect());
    }
    if let Some(documents) = asked.remove("documents") {
        body.insert("documents".into(), list(&documents).iter().map(document).collect());
    }
    if let Some(mut format) = asked.remove("response_format") {
        // A schema stood under another name.
        if let Some(schema) = format.as_object_mut().and_then(|members| members.remove("json_schema")) {
            format["schema"] = schema;
        }
        body.insert("response_format".into(), format);
    }
    for name in LOST {
        if asked.remove(name).is_some() {
            losses.push(Loss::new(name, "the first version of this dialect has no word for it"));
        }
    }
    body.extend(asked);
    body
}

/// The last thing a user said is the message, or else what tools answered; what came before is the history.
fn tell(messages: &[Value], body: &mut Map<String, Value>, losses: &mut Vec<Loss>) {
    let mut turns: Vec<Value> = Vec::new();
    // Calls by their ids, which the first version does not have.
    let mut calls: Vec<(String, Value)> = Vec::new();
    for (n, message) in messages.iter().enumerate() {
        let said = text(&message["content"], n, losses);
        match message["role"].as_str() {
            Some("assistant") => {
                let made: Vec<Value> = list(&message["tool_calls"]).iter().map(call).collect();
                let ids = list(&message["tool_calls"]).iter().map(|call| call["id"].as_str().unwrap_or_default());
                calls.extend(ids.map(str::to_owned).zip(made.iter().cloned()));
                let plan = message["tool_plan"].as_str().unwrap_or_default();
                let said = if said.is_empty() { plan.to_owned() } else { said };
                let mut turn = json!({ "role": "CHATBOT", "message": said });
                if !made.is_empty() {
                    turn["tool_calls"] = made.into();
                }
                turns.push(turn);
            }
            Some("tool") => {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                let of = calls.iter().find(|(known, _)| known == id).map(|(_, call)| call.clone());
                let result = json!({ "call": of.unwrap_or_else(|| json!({ "name": id, "parameters": {} })), "outputs": [{ "output": said }] });
                match turns.last_mut().filter(|turn| turn["role"] == "TOOL") {
                    Some(turn) => {
                        turn["tool_results"].as_array_mut().into_iter().for_each(|all| all.push(result.clone()))
                    }
                    None => turns.push(json!({ "role": "TOOL", "tool_results": [result] })),
                }
            }
            Some("system" | "developer") => turns.push(json!({ "role": "SYSTEM", "message": said })),
            _ => turns.push(json!({ "role": "USER", "message": said })),
        }
    }
    let mut message = Value::from("");
    match turns.last().map(|turn| turn["role"].clone()) {
        Some(role) if role == "USER" => message = turns.pop().map(|mut turn| turn["message"].take()).unwrap_or(message),
        Some(role) if role == "TOOL" => {
            if let Some(mut turn) = turns.pop() {
                body.insert("tool_results".into(), turn["tool_results"].take());
            }
        }
        _ => {}
    }
    body.insert("message".into(), message);
    if !turns.is_empty() {
        body.insert("chat_history".into(), turns.into());
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(content: &Value, n: usize, losses: &mut Vec<Loss>) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let mut texts = Vec::new();
    for part in list(content) {
        match (part["text"].as_str(), part["type"].as_str()) {
            (Some(text), _) => texts.push(text.to_owned()),
            (None, Some("document")) => texts.push(document(&part["document"]).to_string()),
            (None, kind) => {
                let kind = kind.unwrap_or("part");
                losses.push(Loss::new(
                    format!("messages[{n}].{kind}"),
                    "the first version of this dialect takes text only",
                ));
            }
        }
    }
    texts.join("\n")
}

fn call(call: &Value) -> Value {
    let function = &call["function"];
    let arguments: Option<Value> = function["arguments"].as_str().and_then(|text| serde_json::from_str(text).ok());
    json!({ "name": function["name"], "parameters": arguments.unwrap_or_else(|| json!({})) })
}

/// Only the first level of a schema can be told, in Python's names for its types.
fn tool(tool: &Value) -> Value {
    let function = &tool["function"];
    let schema = &function["parameters"];
    let mut parameters = Map::new();
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        let required = list(&schema["required"]).iter().any(|one| one == name);
        let kind = match of["type"].as_str() {
            Some("integer") => "int",
            Some("number") => "float",
            Some("boolean") => "bool",
            Some("array") => "List",
            Some("object") => "Dict",
            _ => "str",
        };
        let mut told = json!({ "type": kind, "required": required });
        if of["description"].is_string() {
            told["description"] = of["description"].clone();
        }
        parameters.insert(name.clone(), told);
    }
    json!({
        "name": function["name"],
        "description": function["description"].as_str().unwrap_or_default(),
        "parameter_definitions": parameters,
    })
}

/// A document was an object of texts, its id among them.
fn document(document: &Value) -> Value {
    if document.is_string() {
        return json!({ "text": document });
    }
    let mut told = document["data"].as_object().cloned().unwrap_or_default();
    if document["id"].is_string() {
        told.insert("id".into(), document["id"].clone());
    }
    told.into()
}

pub(super) fn whole(told: &Value) -> Option<Value> {
    let id = id(told)?;
    told["text"].as_str()?;
    let mut message = json!({ "role": "assistant" });
    let calls: Vec<Value> = list(&told["tool_calls"]).iter().enumerate().map(|(n, c)| called(&id, n, c)).collect();
    if calls.is_empty() {
        message["content"] = json!([{ "type": "text", "text": told["text"] }]);
    } else {
        message["tool_plan"] = told["text"].clone();
        message["tool_calls"] = calls.clone().into();
    }
    let cited: Vec<Value> = list(&told["citations"]).iter().map(|one| citation(one, &told["documents"])).collect();
    if !cited.is_empty() {
        message["citations"] = cited.into();
    }
    let finish = finish(&told["finish_reason"], !calls.is_empty());
    Some(json!({ "id": id, "finish_reason": finish, "message": message, "usage": usage(told) }))
}

fn id(told: &Value) -> Option<String> {
    let names = ["generation_id", "response_id"];
    names.into_iter().find_map(|name| told[name].as_str()).map(str::to_owned)
}

/// Calls are told apart by the reply they are of, and their place in it.
fn called(id: &str, n: usize, call: &Value) -> Value {
    let parameters = if call["parameters"].is_object() { call["parameters"].to_string() } else { "{}".to_owned() };
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    json!({ "id": format!("call_{id}_{n}"), "type": "function", "function": { "name": call["name"], "arguments": parameters } })
}

fn citation(one: &Value, documents: &Value) -> Value {
    let source = |id: &Value| {
        let of = list(documents).iter().find(|document| document["id"] == *id);
        json!({ "type": "document", "id": id, "document": of.cloned().unwrap_or_else(|| json!({ "id": id })) })
    };
    let sources: Vec<Value> = list(&one["document_ids"]).iter().map(source).collect();
    json!({ "start": one["start"], "end": one["end"], "text": one["text"], "sources": sources })
}

fn finish(word: &Value, called: bool) -> Value {
    match word.as_str() {
        Some("COMPLETE") | None if called => "TOOL_CALL".into(),
        Some(word) => word.into(),
        None => "COMPLETE".into(),
    }
}

/// What it counted itself, or else what a cloud did.
fn usage(told: &Value) -> Value {
    let (meta, metrics) = (&told["meta"], &told[METRICS]);
    let mut usage = Map::new();
    for name in ["billed_units", "tokens", "cached_tokens"] {
        usage.extend(Some(&meta[name]).filter(|v| !v.is_null()).map(|value| (name.to_owned(), value.clone())));
    }
    if !usage.contains_key("tokens")
        && let (Some(input), output) = (count(&metrics["inputTokenCount"]), count(&metrics["outputTokenCount"]))
    {
        usage.insert("tokens".into(), json!({ "input_tokens": input, "output_tokens": output.unwrap_or(0) }));
    }
    usage.into()
}

/// What of a stream has been told.
#[derive(Debug, Default)]
pub(super) struct Stream {
    id: String,
    open: bool,
    calls: usize,
}

impl Stream {
    pub fn event(&mut self, told: &Value) -> Vec<Value> {
        let mut out = Vec::new();
        match told["event_type"].as_str() {
            Some("stream-start") => {
                self.id = id(told).unwrap_or_default();
                let message =
                    json!({ "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [] });
                out.push(json!({ "type": "message-start", "id": self.id, "delta": { "message": message } }));
            }
            Some("text-generation") => self.text(&told["text"], &mut out),
            Some("citation-generation") => {
                for (n, one) in list(&told["citations"]).iter().enumerate() {
                    let message = json!({ "citations": citation(one, &told["documents"]) });
                    out.push(json!({ "type": "citation-start", "index": n, "delta": { "message": message } }));
                    out.push(json!({ "type": "citation-end", "index": n }));
                }
            }
            Some("tool-calls-generation") => {
                self.close(&mut out);
                for call in list(&told["tool_calls"]) {
                    let n = self.calls;
                    let message = json!({ "tool_calls": called(&self.id, n, call) });
                    out.push(json!({ "type": "tool-call-start", "index": n, "delta": { "message": message } }));
                    out.push(json!({ "type": "tool-call-end", "index": n }));
                    self.calls += 1;
                }
            }
            Some("stream-end") => {
                self.close(&mut out);
                let response = &told["response"];
                let word = if told["finish_reason"].is_string() { told } else { response };
                // A cloud counts in the message around it.
                let counts = if response["meta"].is_object() { response } else { told };
                let finish = finish(&word["finish_reason"], self.calls > 0);
                out.push(json!({ "type": "message-end", "id": self.id, "delta": { "finish_reason": finish, "usage": usage(counts) } }));
            }
            // An error in the middle is told bare; other events only repeat what the rest say.
            None if told["message"].is_string() => {
                let delta = json!({ "finish_reason": "ERROR", "error": told["message"] });
                out.push(json!({ "type": "message-end", "delta": delta }));
            }
            _ => {}
        }
        out
    }

    fn text(&mut self, text: &Value, out: &mut Vec<Value>) {
        if !std::mem::replace(&mut self.open, true) {
            let content = json!({ "type": "text", "text": "" });
            out.push(json!({ "type": "content-start", "index": 0, "delta": { "message": { "content": content } } }));
        }
        out.push(
            json!({ "type": "content-delta", "index": 0, "delta": { "message": { "content": { "text": text } } } }),
        );
    }

    fn close(&mut self, out: &mut Vec<Value>) {
        if std::mem::take(&mut self.open) {
            out.push(json!({ "type": "content-end", "index": 0 }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: Value) -> (Value, Vec<String>) {
        let mut losses = Vec::new();
        let Value::Object(body) = body else { unreachable!("rows are objects") };
        let told = ask(body, &mut losses);
        (told.into(), losses.iter().map(|loss| loss.what.to_string()).collect())
    }

    #[test]
    fn a_conversation_is_a_message_and_its_history() {
        let (told, lost) = asked(json!({
            "model": "m", "stream": true, "p": 0.5, "thinking": { "type": "enabled" },
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "user", "content": [{ "type": "text", "text": "hi" }, { "type": "image_url" }] },
                { "role": "assistant", "content": "yes?" },
                { "role": "user", "content": "bye" },
            ],
        }));
        let want = json!({
            "model": "m", "stream": true, "p": 0.5, "message": "bye",
            "chat_history": [
                { "role": "SYSTEM", "message": "Be brief." },
                { "role": "USER", "message": "hi" },
                { "role": "CHATBOT", "message": "yes?" },
            ],
        });
        assert_eq!((told, lost), (want, vec!["messages[1].image_url".to_owned(), "thinking".to_owned()]));
    }

    #[test]
    fn what_tools_answered_is_told_with_the_call_it_is_of() {
        let call = json!({ "id": "1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } });
        let schema = json!({ "type": "object", "properties": { "a": { "type": "integer", "description": "A." } }, "required": ["a"] });
        let (told, lost) = asked(json!({
            "messages": [
                { "role": "user", "content": "go" },
                { "role": "assistant", "tool_plan": "I will.", "tool_calls": [call] },
                { "role": "tool", "tool_call_id": "1", "content": "fine" },
            ],
            "tools": [{ "type": "function", "function": { "name": "f", "description": "F.", "parameters": schema } }],
        }));
        let made = json!({ "name": "f", "parameters": { "a": 1 } });
        let want = json!({
            "message": "",
            "chat_history": [
                { "role": "USER", "message": "go" },
                { "role": "CHATBOT", "message": "I will.", "tool_calls": [made] },
            ],
            "tool_results": [{ "call": made, "outputs": [{ "output": "fine" }] }],
            "tools": [{ "name": "f", "description": "F.", "parameter_definitions": { "a": { "type": "int", "required": true, "description": "A." } } }],
        });
        assert_eq!((told, lost), (want, Vec::new()));
    }

    #[test]
    fn a_reply_is_told_as_the_second_version_tells_it() {
        let told = whole(&json!({
            "response_id": "r", "generation_id": "g", "text": "Tall", "finish_reason": "COMPLETE",
            "citations": [{ "start": 0, "end": 4, "text": "Tall", "document_ids": ["d"] }],
            "documents": [{ "id": "d", "url": "https://a/b" }],
            "meta": { "tokens": { "input_tokens": 3, "output_tokens": 1 }, "cached_tokens": 2 },
        }));
        let source = json!({ "type": "document", "id": "d", "document": { "id": "d", "url": "https://a/b" } });
        let want = json!({
            "id": "g", "finish_reason": "COMPLETE",
            "message": {
                "role": "assistant", "content": [{ "type": "text", "text": "Tall" }],
                "citations": [{ "start": 0, "end": 4, "text": "Tall", "sources": [source] }],
            },
            "usage": { "tokens": { "input_tokens": 3, "output_tokens": 1 }, "cached_tokens": 2 },
        });
        assert_eq!(told, Some(want));
        let calls = whole(&json!({
            "generation_id": "g-1", "text": "I will.", "finish_reason": "COMPLETE",
            "tool_calls": [{ "name": "f", "parameters": { "a": 1 } }],
            METRICS: { "inputTokenCount": 5, "outputTokenCount": 6 },
        }));
        let calls = calls.expect("a reply");
        assert_eq!((&calls["finish_reason"], &calls["message"]["tool_plan"]), (&json!("TOOL_CALL"), &json!("I will.")));
        assert_eq!(calls["message"]["tool_calls"][0]["id"], "call_g1_0");
        assert_eq!(calls["usage"], json!({ "tokens": { "input_tokens": 5, "output_tokens": 6 } }));
    }

    #[test]
    fn a_stream_is_told_event_by_event() {
        let mut stream = Stream::default();
        let said = [
            json!({ "event_type": "stream-start", "generation_id": "g" }),
            json!({ "event_type": "text-generation", "text": "a" }),
            json!({ "event_type": "text-generation", "text": "b" }),
            json!({ "event_type": "search-results" }),
            json!({ "event_type": "tool-calls-generation", "tool_calls": [{ "name": "f", "parameters": {} }] }),
            json!({ "event_type": "stream-end", "finish_reason": "COMPLETE", "response": { "meta": { "tokens": { "input_tokens": 1, "output_tokens": 2 } } } }),
        ];
        let told: Vec<Value> = said.iter().flat_map(|event| stream.event(event)).collect();
        let kinds: Vec<&str> = told.iter().map(|event| event["type"].as_str().unwrap_or_default()).collect();
        let want = [
            "message-start",
            "content-start",
            "content-delta",
            "content-delta",
            "content-end",
            "tool-call-start",
            "tool-call-end",
            "message-end",
        ];
        assert_eq!(kinds, want);
        let end = &told[7]["delta"];
        assert_eq!((&end["finish_reason"], &end["usage"]["tokens"]["output_tokens"]), (&json!("TOOL_CALL"), &json!(2)));
    }
}
