//! Readers of replies, one per dialect, for providers' bytes and for ours alike. Written for the tests alone, with plain JSON
//! values: they share nothing with the code they check.

use super::said::{Call, Choice, Said, Usage, anthropic_finish, gemini_finish, list, openai_finish, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// One event of a stream.
pub struct Event {
    pub name: Option<String>,
    pub data: String,
}

/// Cut a stream into events, whatever its lines end with.
pub fn events(body: &[u8]) -> Vec<Event> {
    let body = String::from_utf8_lossy(body).replace("\r\n", "\n").replace('\r', "\n");
    let body = body.trim_start_matches('\u{feff}');
    let event = |block: &str| {
        let field = |line: &str, name: &str| {
            line.strip_prefix(name)
                .and_then(|l| l.strip_prefix(':'))
                .map(|v| v.strip_prefix(' ').unwrap_or(v).to_owned())
        };
        let name = block.lines().find_map(|l| field(l, "event"));
        let data: Vec<String> = block.lines().filter_map(|l| field(l, "data")).collect();
        (!data.is_empty()).then(|| Event { name, data: data.join("\n") })
    };
    body.split("\n\n").filter_map(event).collect()
}

/// The JSON of a stream's events, `[DONE]` and what is not JSON apart.
pub fn values(body: &[u8]) -> Vec<Value> {
    if super::bedrock::is_framed(body) {
        return super::bedrock::values(body);
    }
    events(body).iter().filter_map(|e| serde_json::from_str(&e.data).ok()).collect()
}

/// A chat completion: the one body, or the chunks of a stream.
pub fn chat(parts: &[Value]) -> Said {
    let mut said = Said::default();
    let mut words: BTreeMap<u64, String> = BTreeMap::new();
    let mut natives: BTreeMap<u64, String> = BTreeMap::new();
    let mut calls: BTreeMap<u64, Vec<(Option<u64>, Call)>> = BTreeMap::new();
    let mut sources: Vec<String> = Vec::new();
    for part in parts {
        let usage = [&part["usage"], &part["x_groq"]["usage"], &part["choices"][0]["usage"]];
        if let Some(usage) = usage.into_iter().find_map(chat_usage) {
            said.usage = Some(usage);
        }
        let errors = [&part["error"], &part["choices"][0]["error"], &part["x_groq"]["error"]];
        if let Some(error) = errors.into_iter().find(|e| !e.is_null()) {
            said.fault = Some(error_text(error));
        }
        for source in list(&part["citations"]).iter().chain(list(&part["search_results"])) {
            sources.extend(text(source).or_else(|| text(&source["url"])).map(str::to_owned));
        }
        for (position, choice) in list(&part["choices"]).iter().enumerate() {
            let index = choice["index"].as_u64().unwrap_or(position as u64);
            let into = said.choice(index);
            let whole = !choice["delta"].is_object();
            let message = if whole { &choice["message"] } else { &choice["delta"] };
            chat_message(message, into, calls.entry(index).or_default(), whole);
            into.logprobs.extend(list(&choice["logprobs"]["content"]).iter().cloned());
            if let Some(word) = text(&choice["native_finish_reason"]) {
                natives.entry(index).or_insert_with(|| word.to_owned());
            }
            if let Some(word) = choice["finish_reason"].as_str()
                && words.get(&index).is_none_or(|w| w.is_empty() || word == "error")
            {
                words.insert(index, word.to_owned());
            }
        }
    }
    for (index, choice) in &mut said.choices {
        choice.calls = calls.remove(index).unwrap_or_default().into_iter().map(|(_, c)| c).collect();
        choice.finish = words.get(index).map(|w| openai_finish(w, !choice.calls.is_empty()).to_owned());
        if choice.cited == 0 {
            choice.urls = sources.iter().cloned().collect();
            choice.cited = choice.urls.len();
        }
        choice.native = natives.remove(index).or_else(|| words.remove(index)).filter(|word| !word.is_empty());
    }
    said
}

fn chat_message(message: &Value, into: &mut Choice, calls: &mut Vec<(Option<u64>, Call)>, whole: bool) {
    match &message["content"] {
        Value::String(text) => into.text.push_str(text),
        Value::Array(parts) => parts.iter().for_each(|part| match part["type"].as_str() {
            Some("thinking") => {
                let inner = &part["thinking"];
                into.reasoning.push_str(inner.as_str().unwrap_or_default());
                list(inner).iter().for_each(|t| into.reasoning.push_str(t["text"].as_str().unwrap_or_default()));
            }
            _ => into.text.push_str(part["text"].as_str().unwrap_or_default()),
        }),
        _ => {}
    }
    let details = list(&message["reasoning_details"]);
    let told: String =
        details.iter().filter_map(|d| text(&d["text"]).or_else(|| text(&d["summary"]))).collect::<Vec<_>>().concat();
    let plain = ["reasoning_content", "reasoning", "reasoning_text"].iter().find_map(|name| text(&message[*name]));
    into.reasoning.push_str(if told.is_empty() { plain.unwrap_or_default() } else { &told });
    for detail in details {
        into.seal(&detail["signature"]);
        into.seal(&detail["data"]);
    }
    into.seal(&message["extra_content"]["google"]["thought_signature"]);
    if into.seals.is_empty() {
        into.seal(&message["thought_signature"]);
    }
    into.refusal.push_str(message["refusal"].as_str().unwrap_or_default());
    for call in list(&message["tool_calls"]) {
        let function = if call["custom"]["name"].as_str().is_some_and(|n| !n.is_empty()) {
            &call["custom"]
        } else {
            &call["function"]
        };
        into.seal(&call["extra_content"]["google"]["thought_signature"]);
        let index = call["index"].as_u64().filter(|_| !whole);
        let known = calls.iter().rposition(|(i, c)| match index {
            // Some servers give every parallel call the same number.
            Some(index) => {
                *i == Some(index) && (text(&call["id"]).is_none() || c.id.is_empty() || call["id"] == c.id.as_str())
            }
            None => !whole && (call["id"].is_null() || call["id"].as_str() == Some(&c.id)),
        });
        let at = known.unwrap_or_else(|| {
            calls.push((index, Call::default()));
            calls.len() - 1
        });
        let into = &mut calls[at].1;
        if into.id.is_empty() {
            into.id = call["id"].as_str().unwrap_or_default().to_owned();
        }
        if into.name.is_empty() {
            into.name = function["name"].as_str().unwrap_or_default().to_owned();
        }
        let args = function.get("arguments").or_else(|| function.get("input"));
        match args {
            Some(Value::String(text)) => into.args.push_str(text),
            Some(value @ Value::Object(_)) => into.args.push_str(&value.to_string()),
            _ => {}
        }
    }
    let old = &message["function_call"];
    if text(&old["name"]).is_some() || text(&old["arguments"]).is_some() {
        if calls.is_empty() {
            calls.push((None, Call { old: true, ..Call::default() }));
        }
        calls[0].1.name.push_str(old["name"].as_str().unwrap_or_default());
        calls[0].1.args.push_str(old["arguments"].as_str().unwrap_or_default());
    }
    for annotation in list(&message["annotations"]) {
        match text(&annotation["url_citation"]["url"]) {
            Some(url) => into.cite(url),
            None if annotation["type"] == "file" => into.files += 1,
            None => {
                into.places += 1;
                into.cited += 1;
            }
        }
    }
    for image in list(&message["images"]) {
        into.images.extend(text(&image["image_url"]["url"]).map(str::to_owned));
    }
}

/// Everything is inside `prompt_tokens` and `completion_tokens`, but for reasoning where the total says more than both.
pub fn chat_usage(usage: &Value) -> Option<Usage> {
    let count = |v: &Value| v.as_u64().unwrap_or(0);
    let prompt = usage["prompt_tokens"].as_u64()?;
    let completion = count(&usage["completion_tokens"]);
    let details = &usage["prompt_tokens_details"];
    let cached = [&details["cached_tokens"], &usage["prompt_cache_hit_tokens"], &usage["cached_tokens"]];
    let outside = count(&usage["total_tokens"]).saturating_sub(prompt + completion);
    let reasoning = [&usage["completion_tokens_details"]["reasoning_tokens"], &usage["reasoning_tokens"]];
    Some(Usage {
        prompt,
        completion: completion + outside,
        cached: cached.iter().find_map(|v| v.as_u64()).unwrap_or(0).min(prompt),
        written: count(&details["cache_write_tokens"]),
        cost: usage["cost"].as_f64(),
        reasoning: if outside > 0 {
            outside
        } else {
            reasoning.iter().find_map(|v| v.as_u64()).unwrap_or(0).min(completion)
        },
    })
}

/// The words of an error object, wherever its house puts them.
pub fn error_text(error: &Value) -> String {
    let words = [&error["message"], &error["error"]["message"], &error["detail"], error];
    words.iter().find_map(|v| v.as_str()).unwrap_or_default().to_owned()
}

/// An Anthropic message: the one body, or the events of a stream.
pub fn messages(parts: &[Value]) -> Said {
    let mut said = Said::default();
    let mut blocks: BTreeMap<u64, Value> = BTreeMap::new();
    let mut inputs: BTreeMap<u64, String> = BTreeMap::new();
    let (mut ending, mut counts) = (Value::Null, serde_json::Map::new());
    let mut count = |usage: &Value| {
        let fields = usage.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null());
        counts.extend(fields.map(|(k, v)| (k.clone(), v.clone())));
    };
    for part in parts {
        let index = part["index"].as_u64().unwrap_or(0);
        match part["type"].as_str() {
            Some("message") => {
                blocks = (0..).zip(list(&part["content"]).iter().cloned()).collect();
                ending = part.clone();
                count(&part["usage"]);
            }
            Some("message_start") => count(&part["message"]["usage"]),
            Some("content_block_start") => drop(blocks.insert(index, part["content_block"].clone())),
            Some("content_block_delta") => {
                let (delta, block) = (&part["delta"], blocks.entry(index).or_default());
                let mut push = |member: &str| {
                    let sum = block[member].as_str().unwrap_or_default().to_owned()
                        + delta[member].as_str().unwrap_or_default();
                    block[member] = Value::String(sum);
                };
                match delta["type"].as_str() {
                    Some("text_delta") => push("text"),
                    Some("thinking_delta") => push("thinking"),
                    Some("signature_delta") => push("signature"),
                    Some("input_json_delta") => {
                        inputs.entry(index).or_default().push_str(delta["partial_json"].as_str().unwrap_or_default());
                    }
                    Some("citations_delta") => {
                        let mut all = list(&block["citations"]).to_vec();
                        all.push(delta["citation"].clone());
                        block["citations"] = Value::Array(all);
                    }
                    _ => {}
                }
            }
            Some("message_delta") => {
                ending = part["delta"].clone();
                count(&part["usage"]);
            }
            Some("error") => said.fault = Some(error_text(&part["error"])),
            _ => {}
        }
    }
    said.usage = messages_usage(&Value::Object(counts));
    let choice = said.choice(0);
    for (index, block) in &blocks {
        match block["type"].as_str() {
            Some("text") => {
                choice.text.push_str(block["text"].as_str().unwrap_or_default());
                for citation in list(&block["citations"]) {
                    match text(&citation["url"]).or_else(|| text(&citation["source"])) {
                        Some(url) => choice.cite(url),
                        None => {
                            choice.places += 1;
                            choice.cited += 1;
                        }
                    }
                }
            }
            Some("thinking") => {
                choice.reasoning.push_str(block["thinking"].as_str().unwrap_or_default());
                choice.seal(&block["signature"]);
            }
            Some("redacted_thinking") => choice.seal(&block["data"]),
            Some("tool_use") => {
                let streamed = inputs.get(index).filter(|text| !text.is_empty());
                let args = streamed.cloned().unwrap_or_else(|| block["input"].to_string());
                let of = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
                choice.calls.push(Call { id: of("id"), name: of("name"), args, old: false });
            }
            _ => {}
        }
    }
    choice.native = text(&ending["stop_reason"]).map(str::to_owned);
    choice.finish = ending["stop_reason"].as_str().map(|word| anthropic_finish(word).to_owned());
    if let Some(explanation) = text(&ending["stop_details"]["explanation"]) {
        choice.refusal.push_str(explanation);
    }
    said
}

/// What was read from or written to the cache is beside `input_tokens`.
pub fn messages_usage(usage: &Value) -> Option<Usage> {
    let count = |v: &Value| v.as_u64().unwrap_or(0);
    usage["input_tokens"].as_u64().or(usage["output_tokens"].as_u64())?;
    let (cached, written) = (count(&usage["cache_read_input_tokens"]), count(&usage["cache_creation_input_tokens"]));
    Some(Usage {
        prompt: count(&usage["input_tokens"]) + cached + written,
        completion: count(&usage["output_tokens"]),
        cached,
        written,
        reasoning: count(&usage["output_tokens_details"]["thinking_tokens"]),
        cost: usage["cost"].as_f64(),
    })
}

/// A Gemini reply: the one body, or the chunks of a stream.
pub fn gemini(parts: &[Value]) -> Said {
    let mut said = Said::default();
    let mut words: BTreeMap<u64, Value> = BTreeMap::new();
    let mut blocked = None;
    for part in parts {
        if let Some(usage) = gemini_usage(&part["usageMetadata"]) {
            said.usage = Some(usage);
        }
        if !part["error"].is_null() {
            said.fault = Some(error_text(&part["error"]));
        }
        if let Some(reason) = text(&part["promptFeedback"]["blockReason"]) {
            blocked = Some(reason.to_owned());
            words.entry(0).or_insert("SAFETY".into());
            said.choice(0);
        }
        for (position, candidate) in list(&part["candidates"]).iter().enumerate() {
            let index = candidate["index"].as_u64().unwrap_or(position as u64);
            let choice = said.choice(index);
            list(&candidate["content"]["parts"]).iter().for_each(|part| gemini_part(part, choice));
            grounding(&candidate["groundingMetadata"], choice);
            if !candidate["finishReason"].is_null() {
                words.insert(index, candidate["finishReason"].clone());
            }
        }
    }
    for (index, choice) in &mut said.choices {
        let (called, content) = (!choice.calls.is_empty(), choice.has_content());
        choice.finish = words.get(index).map(|w| gemini_finish(w, called, content).to_owned());
        choice.native = blocked.clone().or_else(|| words.get(index).and_then(|w| w.as_str().map(str::to_owned)));
    }
    said
}

fn gemini_part(part: &Value, choice: &mut Choice) {
    choice.seal(&part["thoughtSignature"]);
    if let Some(words) = part["text"].as_str() {
        let into = if part["thought"] == true { &mut choice.reasoning } else { &mut choice.text };
        into.push_str(words);
    }
    let call = &part["functionCall"];
    if let Some(name) = text(&call["name"]) {
        let args = if call["args"].is_null() { "{}".to_owned() } else { call["args"].to_string() };
        choice.calls.push(Call {
            id: call["id"].as_str().unwrap_or_default().to_owned(),
            name: name.to_owned(),
            args,
            old: false,
        });
    }
    if let (Some(mime), Some(data)) = (text(&part["inlineData"]["mimeType"]), text(&part["inlineData"]["data"]))
        && mime.starts_with("image/")
    {
        choice.images.push(format!("data:{mime};base64,{data}"));
    }
}

/// The sources that a stretch of the text rests on; all of them where nothing says which.
fn grounding(grounding: &Value, choice: &mut Choice) {
    let chunks = list(&grounding["groundingChunks"]);
    let url = |chunk: &Value| {
        let kinds = ["web", "retrievedContext", "maps"];
        kinds.iter().find_map(|kind| {
            let source = &chunk[*kind];
            text(&source["uri"])
                .or_else(|| text(&source["fileSearchStore"]))
                .or_else(|| text(&source["title"]))
                .map(str::to_owned)
        })
    };
    match grounding["groundingSupports"].as_array() {
        None => chunks.iter().filter_map(url).for_each(|url| choice.cite(&url)),
        Some(supports) => {
            let used = supports.iter().flat_map(|s| list(&s["groundingChunkIndices"])).filter_map(Value::as_u64);
            used.filter_map(|i| chunks.get(i as usize).and_then(url)).for_each(|url| choice.cite(&url));
        }
    }
}

/// What tools put into the prompt is beside `promptTokenCount`, thoughts are beside `candidatesTokenCount`.
pub fn gemini_usage(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    usage["promptTokenCount"].as_u64().or(usage["totalTokenCount"].as_u64())?;
    Some(Usage {
        prompt: count("promptTokenCount") + count("toolUsePromptTokenCount"),
        completion: count("candidatesTokenCount") + count("thoughtsTokenCount"),
        cached: count("cachedContentTokenCount"),
        written: 0,
        reasoning: count("thoughtsTokenCount"),
        cost: usage["cost"].as_f64(),
    })
}
