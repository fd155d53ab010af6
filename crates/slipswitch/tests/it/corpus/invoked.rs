//! Spellings that providers are asked in and no client of ours speaks: each maker's own body of Bedrock's InvokeModel, and the first
//! version of Cohere's chat. Only what was said upstream is read here, in plain JSON and apart from the code it checks.

use super::ask::{Ask, Item, Role, joined, strings};
use super::said::{Call, Said, Usage, list, text};
use super::{base64, bedrock, read};
use serde_json::{Value, json};
use slip_sim::Case;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum House {
    Titan,
    Nova,
    Llama,
    Jurassic,
    Command,
    CommandR,
    Mistral,
    Claude,
    Chat,
    /// At Cohere itself.
    CohereOld,
}

/// What stands in the last message of a stream, and for a whole reply in its head.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

impl House {
    pub fn of(case: &Case) -> Option<House> {
        match case.api.as_str() {
            "cohere.chat" if case.path().contains("/v1/") => return Some(House::CohereOld),
            "invoke" | "invoke-stream" => {}
            _ => return None,
        }
        let named = [case.model.as_deref().unwrap_or_default(), case.path()].concat();
        let body = &case.request.body;
        let chats = body["messages"].is_array();
        let houses = [
            ("titan-text", House::Titan),
            ("nova", House::Nova),
            ("meta.llama", House::Llama),
            ("ai21.j2", House::Jurassic),
            ("cohere.command-r", House::CommandR),
            ("cohere.command", House::Command),
            ("anthropic.claude", House::Claude),
        ];
        // Its siblings draw, and film.
        if named.contains("nova") && case.request.recorded && !chats {
            return None;
        }
        let known = houses.into_iter().find(|(name, _)| named.contains(name)).map(|(_, house)| house);
        known.or(chats.then_some(House::Chat)).or_else(|| named.contains("mistral.").then_some(House::Mistral))
    }

    pub fn dialect(self) -> &'static str {
        match self {
            House::CommandR | House::CohereOld => "cohere",
            House::Chat => "openai-chat",
            _ => "bedrock",
        }
    }

    pub fn envelope(self) -> &'static str {
        match self {
            House::Titan => "invoke-titan",
            House::Nova => "invoke-nova",
            House::Llama => "invoke-llama",
            House::Jurassic => "invoke-jurassic",
            House::Command => "invoke-command",
            House::CommandR => "invoke-command-r",
            House::Mistral => "invoke-mistral",
            House::Claude => "invoke-claude-text",
            House::Chat => "invoke-chat",
            House::CohereOld => "cohere-v1",
        }
    }

    /// One text is all there is to say.
    pub fn is_prompt(self) -> bool {
        !matches!(self, House::Nova | House::CommandR | House::CohereOld | House::Chat)
    }

    pub fn values(self, body: &[u8]) -> Vec<Value> {
        if self == House::CohereOld {
            return body.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        }
        let inner = |(name, payload): (String, Vec<u8>)| match name.as_str() {
            "chunk" => {
                let outer: Value = serde_json::from_slice(&payload).ok()?;
                serde_json::from_slice(&base64(outer["bytes"].as_str()?)?).ok()
            }
            _ => Some(json!({ "exception": name })),
        };
        bedrock::frames(body).into_iter().filter_map(inner).collect()
    }

    pub fn read(self, parts: &[Value]) -> Said {
        let mut said = match self {
            House::Nova => return nova(parts),
            House::Chat => return chat(parts),
            House::CommandR | House::CohereOld => cohere(parts),
            _ => Said::default(),
        };
        for part in parts {
            if let Some(exception) = text(&part["exception"]) {
                said.fault = Some(exception.to_owned());
            }
            let (words, word, counts) = match self {
                House::Titan => {
                    let one = if part["results"].is_array() { &part["results"][0] } else { part };
                    let written = if one["tokenCount"].is_null() {
                        &part["totalOutputTextTokenCount"]
                    } else {
                        &one["tokenCount"]
                    };
                    (&one["outputText"], &one["completionReason"], [&part["inputTextTokenCount"], written])
                }
                House::Llama => (
                    &part["generation"],
                    &part["stop_reason"],
                    [&part["prompt_token_count"], &part["generation_token_count"]],
                ),
                House::Jurassic => {
                    let one = &part["completions"][0];
                    (&one["data"]["text"], &one["finishReason"]["reason"], [&Value::Null; 2])
                }
                House::Command => {
                    let one = if part["generations"].is_array() { &part["generations"][0] } else { part };
                    (&one["text"], &one["finish_reason"], [&Value::Null; 2])
                }
                House::Mistral => (&part["outputs"][0]["text"], &part["outputs"][0]["stop_reason"], [&Value::Null; 2]),
                House::Claude => (&part["completion"], &part["stop_reason"], [&Value::Null; 2]),
                House::Nova | House::Chat | House::CommandR | House::CohereOld => continue,
            };
            let choice = said.choice(0);
            choice.text.push_str(words.as_str().unwrap_or_default());
            if let Some(word) = text(word) {
                choice.finish = Some(finish(word).to_owned());
            }
            let usage = said.usage.get_or_insert_default();
            for (into, count) in [&mut usage.prompt, &mut usage.completion].into_iter().zip(counts) {
                *into = count.as_f64().map_or(*into, |n| n as u64);
            }
        }
        if let Some(counted) = parts.iter().find_map(metrics)
            && said.usage.is_none_or(|usage| usage.prompt + usage.completion == 0)
        {
            said.usage = Some(counted);
        }
        said
    }

    pub fn ask_of(self, body: &Value) -> Ask {
        match self {
            House::Nova => bedrock::from(body),
            House::Chat => Ask::from_chat(body),
            House::CommandR | House::CohereOld => asked(body),
            _ => {
                let words = [&body["inputText"], &body["prompt"]].into_iter().find_map(Value::as_str);
                let mut ask = Ask::default();
                ask.say(Role::User, Item::Text(words.unwrap_or_default().to_owned()));
                ask
            }
        }
    }
}

/// The counts of a reply's head.
pub fn head(case: &Case) -> Option<Usage> {
    let of = |what: &str| case.response.headers.get(&format!("x-amzn-bedrock-{what}-token-count"))?.parse::<u64>().ok();
    let (prompt, completion) = (of("input")?, of("output").unwrap_or_default());
    Some(Usage { prompt, completion, ..Usage::default() })
}

fn metrics(part: &Value) -> Option<Usage> {
    let count = |name: &str| part[METRICS][name].as_u64();
    Some(Usage { prompt: count("inputTokenCount")?, completion: count("outputTokenCount")?, ..Usage::default() })
}

fn finish(word: &str) -> &'static str {
    match word.to_ascii_lowercase().as_str() {
        "length" | "max_tokens" | "error_limit" => "length",
        word if word.contains("filter") || word.contains("toxic") => "content_filter",
        "error" => "error",
        _ => "stop",
    }
}

fn nova(parts: &[Value]) -> Said {
    // A stream's events have their names around them; elsewhere the names are the frames'.
    const NAMES: [&str; 6] =
        ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];
    let unwrapped = |part: &Value| {
        let inner: Vec<Value> = NAMES.iter().map(|name| part[*name].clone()).filter(Value::is_object).collect();
        if inner.is_empty() { vec![part.clone()] } else { inner }
    };
    let inner: Vec<Value> = parts.iter().flat_map(unwrapped).collect();
    let mut said = bedrock::read(&inner);
    if said.usage.is_none_or(|usage| usage.prompt + usage.completion == 0) {
        said.usage = parts.iter().find_map(metrics);
    }
    said
}

fn chat(parts: &[Value]) -> Said {
    let mut parts = parts.to_vec();
    let counted = parts.iter().find_map(metrics);
    for choice in parts.iter_mut().flat_map(|part| part["choices"].as_array_mut().into_iter().flatten()) {
        if choice["finish_reason"].is_null() {
            choice["finish_reason"] = choice["stop_reason"].clone();
        }
    }
    let mut said = read::chat(&parts);
    said.usage = said.usage.or(counted);
    said
}

fn cohere(parts: &[Value]) -> Said {
    let mut said = Said::default();
    for part in parts {
        let choice = said.choice(0);
        let kind = part["event_type"].as_str().unwrap_or("(whole)");
        if matches!(kind, "text-generation" | "(whole)") {
            choice.text.push_str(part["text"].as_str().unwrap_or_default());
        }
        if matches!(kind, "tool-calls-generation" | "(whole)") {
            for call in list(&part["tool_calls"]) {
                let name = call["name"].as_str().unwrap_or_default().to_owned();
                choice.calls.push(Call { name, args: call["parameters"].to_string(), ..Call::default() });
            }
            if !choice.calls.is_empty() && kind == "(whole)" {
                choice.reasoning = std::mem::take(&mut choice.text);
            }
        }
        if matches!(kind, "citation-generation" | "(whole)") {
            for citation in list(&part["citations"]) {
                for id in list(&citation["document_ids"]) {
                    let of = list(&part["documents"]).iter().find(|document| document["id"] == *id);
                    let url = of.and_then(|document| text(&document["url"]));
                    choice.cite(url.unwrap_or(&format!("#document-{}", id.as_str().unwrap_or_default())));
                }
            }
        }
        if let Some(word) = text(&part["finish_reason"]).or(text(&part["response"]["finish_reason"])) {
            let called = !choice.calls.is_empty() && word == "COMPLETE";
            choice.finish = Some(if called { "tool_calls" } else { finish(word) }.to_owned());
        }
        let reply = if part["response"].is_object() { &part["response"] } else { part };
        let tokens = &reply["meta"]["tokens"];
        let tokens = if tokens.is_object() { tokens } else { &reply["meta"]["billed_units"] };
        if let Some(prompt) = tokens["input_tokens"].as_f64() {
            said.usage = Some(Usage {
                prompt: prompt as u64,
                completion: tokens["output_tokens"].as_f64().unwrap_or_default() as u64,
                cached: reply["meta"]["cached_tokens"].as_f64().unwrap_or_default() as u64,
                ..Usage::default()
            });
        }
    }
    said
}

/// A message beside its history.
fn asked(body: &Value) -> Ask {
    let mut ask = Ask::default();
    if let Some(preamble) = text(&body["preamble"]) {
        ask.say(Role::System, Item::Text(preamble.to_owned()));
    }
    for turn in list(&body["chat_history"]) {
        let role = match turn["role"].as_str().unwrap_or_default().to_ascii_uppercase().as_str() {
            "SYSTEM" => Role::System,
            "CHATBOT" => Role::Assistant,
            _ => Role::User,
        };
        ask.say(role, Item::Text(joined(&turn["message"])));
    }
    ask.say(Role::User, Item::Text(joined(&body["message"])));
    ask.max_tokens = body["max_tokens"].as_u64();
    ask.stop = strings(&body["stop_sequences"]);
    ask.temperature = Some(&body["temperature"]).filter(|t| !t.is_null()).cloned();
    ask
}
