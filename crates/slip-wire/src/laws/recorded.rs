//! What real providers sent, through the patched lens: nothing of it may be lost. Skipped without recordings.

use super::*;
use crate::recordings::cases;
use std::collections::BTreeMap;

/// What the strictest clients insist on in a chunk.
pub(super) fn check_chunk(chunk: &Value) {
    assert_eq!(chunk["object"], "chat.completion.chunk");
    assert!(chunk["id"].is_string() && chunk["model"].is_string() && chunk["provider"].is_string(), "{chunk}");
    assert!(chunk["created"].is_u64(), "{chunk}");
    for name in ["system_fingerprint", "usage", "error"] {
        assert!(chunk.get(name).is_none_or(|v| !v.is_null()), "{chunk}");
    }
    let choices = chunk["choices"].as_array().unwrap();
    assert!(!choices.is_empty(), "{chunk}");
    for choice in choices {
        assert!(choice["index"].is_u64(), "{chunk}");
        let finish = &choice["finish_reason"];
        let words = ["stop", "length", "tool_calls", "content_filter", "error"];
        assert!(
            finish.is_null() && choice.get("finish_reason").is_some() || words.iter().any(|w| finish == w),
            "{chunk}"
        );
        assert!(choice.get("native_finish_reason").is_some(), "{chunk}");
        assert_eq!(choice["delta"]["role"], "assistant");
        assert!(choice["delta"]["content"].is_string(), "{chunk}");
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            assert!(call["index"].is_u64() && call["function"]["arguments"].is_string(), "{chunk}");
            for (name, value) in call.as_object().unwrap() {
                assert!(!value.is_null(), "{name}: {chunk}");
            }
        }
    }
}

/// What a reply says, gathered by plain means.
#[derive(Debug, Default, PartialEq)]
struct Said {
    text: BTreeMap<u64, String>,
    reasoning: BTreeMap<u64, String>,
    refusal: BTreeMap<u64, String>,
    /// Name and arguments, in order.
    calls: BTreeMap<u64, Vec<(String, Value)>>,
    /// Prompt and completion tokens, last told.
    usage: Option<(u64, u64)>,
}

fn str_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Said {
    fn message(&mut self, index: u64, message: &Value, calls: &mut BTreeMap<(u64, u64), (String, String)>) {
        let text = self.text.entry(index).or_default();
        let reasoning = self.reasoning.entry(index).or_default();
        match &message["content"] {
            Value::String(s) => text.push_str(s),
            Value::Array(parts) => {
                for part in parts {
                    text.push_str(str_of(&part["text"]));
                    for piece in part["thinking"].as_array().into_iter().flatten() {
                        reasoning.push_str(str_of(&piece["text"]));
                    }
                }
            }
            _ => {}
        }
        let plain = [&message["reasoning"], &message["reasoning_content"]].map(str_of).concat();
        if plain.is_empty() {
            for detail in message["reasoning_details"].as_array().into_iter().flatten() {
                reasoning.push_str(str_of(&detail["text"]));
                reasoning.push_str(str_of(&detail["summary"]));
            }
        }
        reasoning.push_str(&plain);
        self.refusal.entry(index).or_default().push_str(str_of(&message["refusal"]));
        for (position, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let at = call["index"].as_u64().unwrap_or(position as u64);
            let slot = calls.entry((index, at)).or_default();
            slot.0.push_str(str_of(&call["function"]["name"]));
            slot.1.push_str(str_of(&call["function"]["arguments"]));
        }
    }

    fn document(&mut self, document: &Value, calls: &mut BTreeMap<(u64, u64), (String, String)>) {
        for usage in [&document["usage"], &document["x_groq"]["usage"]] {
            if let (Some(prompt), Some(completion)) =
                (usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64())
            {
                let total = usage["total_tokens"].as_u64().unwrap_or(0);
                self.usage = Some((prompt, completion.max(total.saturating_sub(prompt))));
            }
        }
        for (position, choice) in document["choices"].as_array().into_iter().flatten().enumerate() {
            let index = choice["index"].as_u64().unwrap_or(position as u64);
            let message = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
            self.message(index, message, calls);
        }
    }

    fn finish(mut self, calls: BTreeMap<(u64, u64), (String, String)>) -> Said {
        for ((choice, _), (name, arguments)) in calls {
            let arguments = if arguments.is_empty() { "{}" } else { &arguments };
            let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| Value::from(arguments));
            self.calls.entry(choice).or_default().push((name, arguments));
        }
        for texts in [&mut self.text, &mut self.reasoning, &mut self.refusal] {
            texts.retain(|_, text| !text.is_empty());
        }
        self
    }

    fn of_documents(documents: &[Value]) -> Said {
        let (mut said, mut calls) = (Said::default(), BTreeMap::new());
        documents.iter().for_each(|document| said.document(document, &mut calls));
        said.finish(calls)
    }
}

fn documents(stream: &[u8]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut each = |frame: crate::frame::Frame<'_>| found.extend(serde_json::from_slice(frame.data).ok());
    let mut sse = crate::frame::sse::Sse::new();
    sse.push(stream, &mut each).unwrap();
    sse.finish(&mut each).unwrap();
    found
}

#[test]
fn nothing_a_real_provider_said_is_lost_in_patching() {
    let told = |case: &Value| case["api"] == "chat.completions" && case["response"]["status"] == 200;
    let Some(cases) = cases(told) else { return };
    let count = cases.len();
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let body = case["response"]["body"].as_str().unwrap().as_bytes();
        if case["response"]["stream"] == true {
            let sent = documents(body);
            let (out, tally) = cross(Dialect::OpenAiChat, Dialect::OpenAiChat, &chunks(body, &[7, 1, 300]));
            let got = documents(&out);
            assert!(out.ends_with(b"data: [DONE]\n\n"), "{id}");
            got.iter().for_each(check_chunk);
            let failed = sent.iter().any(|document| !document["error"].is_null());
            assert_eq!(tally.fault.is_some(), failed, "{id}: {:?}", tally.fault);
            let (mut want, mut have) = (Said::of_documents(&sent), Said::of_documents(&got));
            if want.usage.is_none() {
                assert!(tally.usage.is_some_and(|usage| usage.estimated), "{id}");
                (want.usage, have.usage) = (None, None);
            }
            assert_eq!(have, want, "{id}");
        } else {
            let sent: Value = serde_json::from_slice(body).unwrap();
            let (text, tally) =
                openai_chat::patch::reply(body, &stamp()).unwrap_or_else(|fault| panic!("{id}: {fault:?}"));
            let got: Value = serde_json::from_slice(&text).unwrap();
            assert!(got.get("system_fingerprint").is_some(), "{id}");
            for choice in got["choices"].as_array().unwrap() {
                let message = choice["message"].as_object().unwrap();
                for name in ["role", "content", "refusal", "reasoning"] {
                    assert!(message.contains_key(name), "{id}: {name}");
                }
            }
            let (want, mut have) = (Said::of_documents(&[sent]), Said::of_documents(&[got]));
            if want.usage.is_none() {
                assert!(tally.usage.is_some_and(|usage| usage.estimated), "{id}");
                have.usage = None;
            }
            assert_eq!(have, want, "{id}");
        }
    }
    println!("{count} recorded replies");
    assert!(count > 50, "only {count} recordings");
}
