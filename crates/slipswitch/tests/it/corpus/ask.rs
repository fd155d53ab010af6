//! What was asked, in no dialect: read from a recorded request, written for each surface, and compared with what reached the
//! provider.

use super::said::{list, text};
use serde_json::{Map, Value, json};

#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub turns: Vec<(Role, Item)>,
    pub tools: Vec<Tool>,
    pub max_tokens: Option<u64>,
    pub stop: Vec<String>,
    pub temperature: Option<Value>,
    pub n: Option<u64>,
    /// Reasoning was asked for.
    pub thinks: bool,
    /// Probabilities were asked for.
    pub logprobs: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Text(String),
    /// A URL, `data:` ones included.
    Image(String),
    /// A document or a sound, by its base64 or its address.
    File {
        mime: String,
        data: String,
    },
    Call {
        id: String,
        name: String,
        args: Value,
    },
    Result {
        id: String,
        name: String,
        text: String,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: String,
    pub schema: Value,
}

impl Ask {
    pub fn minimal() -> Ask {
        Ask { turns: vec![(Role::User, Item::Text("hello out there".into()))], ..Ask::default() }
    }

    pub fn say(&mut self, role: Role, item: Item) {
        if let (Some((last, Item::Text(before))), Item::Text(more)) = (self.turns.last_mut(), &item)
            && *last == role
        {
            before.push_str(more);
            return;
        }
        if item != Item::Text(String::new()) {
            self.turns.push((role, item));
        }
    }

    pub fn name_of(&self, id: &str) -> String {
        let named = self.turns.iter().rev().find_map(|(_, item)| match item {
            Item::Call { id: call, name, .. } if call == id => Some(name.clone()),
            _ => None,
        });
        named.unwrap_or_default()
    }

    // --- OpenAI chat ---

    pub fn from_chat(body: &Value) -> Ask {
        let mut ask = Ask::default();
        for message in list(&body["messages"]) {
            let role = match message["role"].as_str() {
                Some("system" | "developer") => Role::System,
                Some("assistant") => Role::Assistant,
                _ => Role::User,
            };
            if message["role"] == "tool" {
                let id = message["tool_call_id"].as_str().unwrap_or_default().to_owned();
                let name = ask.name_of(&id);
                ask.turns.push((Role::User, Item::Result { id, name, text: joined(&message["content"]) }));
                continue;
            }
            match &message["content"] {
                Value::String(words) => ask.say(role, Item::Text(words.clone())),
                parts => list(parts).iter().filter_map(chat_part).for_each(|item| ask.say(role, item)),
            }
            for call in list(&message["tool_calls"]) {
                let of = |v: &Value| v.as_str().unwrap_or_default().to_owned();
                let args =
                    serde_json::from_str(call["function"]["arguments"].as_str().unwrap_or("{}")).unwrap_or_default();
                ask.turns.push((role, Item::Call { id: of(&call["id"]), name: of(&call["function"]["name"]), args }));
            }
        }
        ask.tools = list(&body["tools"])
            .iter()
            .filter(|t| t["type"] == "function")
            .map(|t| tool(&t["function"], "parameters"))
            .collect();
        ask.max_tokens = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
        ask.stop = strings(&body["stop"]);
        ask.temperature = body.get("temperature").filter(|t| !t.is_null()).cloned();
        ask.n = body["n"].as_u64();
        ask.logprobs = (body["logprobs"] == true).then(|| body["top_logprobs"].as_u64().unwrap_or(0));
        ask
    }

    pub fn to_chat(&self, model: &str, stream: bool) -> Value {
        let mut messages: Vec<Value> = Vec::new();
        for (role, item) in &self.turns {
            let name = match role {
                Role::System => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            let same = messages.last().is_some_and(|m| m["role"] == name);
            match item {
                Item::Result { id, text, .. } => {
                    messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
                    continue;
                }
                Item::Call { .. } if !same => messages.push(json!({"role": name, "content": null})),
                Item::Call { .. } => {}
                _ if !same || messages.last().is_some_and(|m| m["tool_calls"].is_array()) => {
                    messages.push(json!({"role": name, "content": []}))
                }
                _ => {}
            }
            let Some(last) = messages.last_mut() else { continue };
            let part = match item {
                Item::Text(words) => json!({"type": "text", "text": words}),
                Item::Image(url) => json!({"type": "image_url", "image_url": {"url": url}}),
                Item::File { mime, data } => match mime.strip_prefix("audio/") {
                    Some(format) => json!({"type": "input_audio", "input_audio": {"data": data, "format": format}}),
                    None => {
                        json!({"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:{mime};base64,{data}")}})
                    }
                },
                Item::Call { id, name, args } => {
                    let call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": args.to_string()}});
                    push(last, "tool_calls", call);
                    continue;
                }
                Item::Result { .. } => continue,
            };
            push(last, "content", part);
        }
        let mut body = json!({"model": model, "stream": stream, "messages": messages});
        let functions = self.tools.iter().map(|t| {
            json!({"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.schema}})
        });
        put(&mut body, "tools", Some(functions.collect::<Vec<_>>()).filter(|t| !t.is_empty()).map(Value::from));
        put(&mut body, "max_tokens", self.max_tokens.map(Value::from));
        put(&mut body, "stop", Some(self.stop.clone()).filter(|s| !s.is_empty()).map(Value::from));
        put(&mut body, "temperature", self.temperature.clone());
        put(&mut body, "n", self.n.map(Value::from));
        put(&mut body, "reasoning", self.thinks.then(|| json!({"effort": "low"})));
        if let Some(top) = self.logprobs {
            put(&mut body, "logprobs", Some(json!(true)));
            put(&mut body, "top_logprobs", Some(json!(top)));
        }
        body
    }

    // --- Anthropic messages ---

    pub fn from_messages(body: &Value) -> Ask {
        let mut ask = Ask::default();
        ask.say(Role::System, Item::Text(joined(&body["system"])));
        for message in list(&body["messages"]) {
            let role = match message["role"].as_str() {
                Some("assistant") => Role::Assistant,
                Some("system") => Role::System,
                _ => Role::User,
            };
            if let Some(words) = message["content"].as_str() {
                ask.say(role, Item::Text(words.to_owned()));
            }
            for block in list(&message["content"]) {
                let of = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
                match block["type"].as_str() {
                    Some("text") => ask.say(role, Item::Text(of("text"))),
                    Some("image") => match text(&block["source"]["url"]) {
                        Some(url) => ask.say(role, Item::Image(url.to_owned())),
                        None => {
                            let (mime, data) = (&block["source"]["media_type"], &block["source"]["data"]);
                            let (mime, data) = (mime.as_str().unwrap_or_default(), data.as_str().unwrap_or_default());
                            ask.say(role, Item::Image(format!("data:{mime};base64,{data}")));
                        }
                    },
                    Some("document") => {
                        let mime = block["source"]["media_type"].as_str().unwrap_or("application/pdf").to_owned();
                        let data = text(&block["source"]["data"]).or(text(&block["source"]["url"])).unwrap_or_default();
                        let plain = block["source"]["type"] == "text";
                        let data = if plain { super::to_base64(data) } else { data.to_owned() };
                        ask.say(role, Item::File { mime, data });
                    }
                    Some("tool_use") => {
                        ask.turns
                            .push((role, Item::Call { id: of("id"), name: of("name"), args: block["input"].clone() }));
                    }
                    Some("tool_result") => {
                        let (id, text) = (of("tool_use_id"), joined(&block["content"]));
                        let name = ask.name_of(&id);
                        ask.turns.push((role, Item::Result { id, name, text }));
                    }
                    _ => {}
                }
            }
        }
        let custom = |t: &&Value| t["input_schema"].is_object();
        ask.tools = list(&body["tools"]).iter().filter(custom).map(|t| tool(t, "input_schema")).collect();
        ask.max_tokens = body["max_tokens"].as_u64();
        ask.stop = strings(&body["stop_sequences"]);
        ask.temperature = body.get("temperature").filter(|t| !t.is_null()).cloned();
        ask.thinks = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
        ask
    }

    pub fn to_messages(&self, model: &str, stream: bool) -> Value {
        let mut system = Vec::new();
        let mut messages: Vec<Value> = Vec::new();
        for (role, item) in &self.turns {
            let block = match item {
                Item::Text(words) => json!({"type": "text", "text": words}),
                Item::Image(url) => match data_url(url) {
                    Some((mime, data)) => {
                        json!({"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}})
                    }
                    None => json!({"type": "image", "source": {"type": "url", "url": url}}),
                },
                Item::File { mime, data } => {
                    json!({"type": "document", "source": {"type": "base64", "media_type": mime, "data": data}})
                }
                Item::Call { id, name, args } => json!({"type": "tool_use", "id": id, "name": name, "input": args}),
                Item::Result { id, text, .. } => json!({"type": "tool_result", "tool_use_id": id, "content": text}),
            };
            let name = match role {
                Role::System => {
                    system.push(block);
                    continue;
                }
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            if messages.last().is_none_or(|m| m["role"] != name) {
                messages.push(json!({"role": name, "content": []}));
            }
            if let Some(last) = messages.last_mut() {
                push(last, "content", block);
            }
        }
        let mut body = json!({"model": model, "stream": stream, "messages": messages, "max_tokens": self.max_tokens.unwrap_or(4096)});
        put(&mut body, "system", Some(system).filter(|s| !s.is_empty()).map(Value::from));
        let tools =
            self.tools.iter().map(|t| json!({"name": t.name, "description": t.description, "input_schema": t.schema}));
        put(&mut body, "tools", Some(tools.collect::<Vec<_>>()).filter(|t| !t.is_empty()).map(Value::from));
        put(&mut body, "stop_sequences", Some(self.stop.clone()).filter(|s| !s.is_empty()).map(Value::from));
        put(&mut body, "temperature", self.temperature.clone());
        put(&mut body, "thinking", self.thinks.then(|| json!({"type": "enabled", "budget_tokens": 1024})));
        body
    }

    // --- Gemini ---

    pub fn from_gemini(body: &Value) -> Ask {
        let mut ask = Ask::default();
        let system =
            if body["systemInstruction"].is_null() { &body["system_instruction"] } else { &body["systemInstruction"] };
        for part in list(&system["parts"]) {
            ask.say(Role::System, Item::Text(part["text"].as_str().unwrap_or_default().to_owned()));
        }
        let mut number = 0;
        for content in list(&body["contents"]) {
            let role = if content["role"] == "model" { Role::Assistant } else { Role::User };
            for part in list(&content["parts"]) {
                let of = |v: &Value| v.as_str().unwrap_or_default().to_owned();
                let inline = if part["inlineData"].is_null() { &part["inline_data"] } else { &part["inlineData"] };
                if let (Some(words), false) = (part["text"].as_str(), part["thought"] == true) {
                    ask.say(role, Item::Text(words.to_owned()));
                }
                if inline.is_object() {
                    let mime = text(&inline["mimeType"]).or(text(&inline["mime_type"])).unwrap_or_default().to_owned();
                    let data = of(&inline["data"]);
                    ask.say(
                        role,
                        match mime.starts_with("image/") {
                            true => Item::Image(format!("data:{mime};base64,{data}")),
                            false => Item::File { mime, data },
                        },
                    );
                }
                if let Some(uri) = text(&part["fileData"]["fileUri"]) {
                    ask.say(role, Item::Image(uri.to_owned()));
                }
                let call = &part["functionCall"];
                if let Some(name) = text(&call["name"]) {
                    number += 1;
                    let id = text(&call["id"]).map_or(format!("call_{number}"), str::to_owned);
                    let args = if call["args"].is_null() { json!({}) } else { call["args"].clone() };
                    ask.turns.push((role, Item::Call { id, name: name.to_owned(), args }));
                }
                let result = &part["functionResponse"];
                if let Some(name) = text(&result["name"]) {
                    let answered = |id: &str, ask: &Ask| {
                        ask.turns.iter().any(|(_, i)| matches!(i, Item::Result { id: known, .. } if known == id))
                    };
                    let open = ask.turns.iter().find_map(|(_, i)| match i {
                        Item::Call { id, name: called, .. } if called == name && !answered(id, &ask) => {
                            Some(id.clone())
                        }
                        _ => None,
                    });
                    let id = text(&result["id"]).map(str::to_owned).or(open).unwrap_or_default();
                    let text = spoken(&result["response"]);
                    ask.turns.push((role, Item::Result { id, name: name.to_owned(), text }));
                }
            }
        }
        for tools in list(&body["tools"]) {
            let declared = [&tools["functionDeclarations"], &tools["function_declarations"]];
            for function in declared.into_iter().flat_map(list) {
                let member =
                    if function["parametersJsonSchema"].is_null() { "parameters" } else { "parametersJsonSchema" };
                let mut tool = tool(function, member);
                if member == "parameters" {
                    lower(&mut tool.schema);
                }
                ask.tools.push(tool);
            }
        }
        let config =
            if body["generationConfig"].is_null() { &body["generation_config"] } else { &body["generationConfig"] };
        ask.max_tokens = config["maxOutputTokens"].as_u64().or(config["max_output_tokens"].as_u64());
        ask.stop = strings(&config["stopSequences"]);
        ask.temperature = config.get("temperature").filter(|t| !t.is_null()).cloned();
        ask.n = config["candidateCount"].as_u64();
        ask.thinks = config["thinkingConfig"]["includeThoughts"] == true;
        ask
    }

    pub fn to_gemini(&self) -> Value {
        let mut system = Vec::new();
        let mut contents: Vec<Value> = Vec::new();
        for (role, item) in &self.turns {
            let part = match item {
                Item::Text(words) => json!({"text": words}),
                Item::Image(url) => match data_url(url) {
                    Some((mime, data)) => json!({"inlineData": {"mimeType": mime, "data": data}}),
                    None => json!({"fileData": {"fileUri": url}}),
                },
                Item::File { mime, data } => json!({"inlineData": {"mimeType": mime, "data": data}}),
                Item::Call { id, name, args } => json!({"functionCall": {"id": id, "name": name, "args": args}}),
                Item::Result { id, name, text } => {
                    json!({"functionResponse": {"id": id, "name": name, "response": {"output": text}}})
                }
            };
            let name = match role {
                Role::System => {
                    system.push(part);
                    continue;
                }
                Role::User => "user",
                Role::Assistant => "model",
            };
            if contents.last().is_none_or(|c| c["role"] != name) {
                contents.push(json!({"role": name, "parts": []}));
            }
            if let Some(last) = contents.last_mut() {
                push(last, "parts", part);
            }
        }
        let mut body = json!({"contents": contents});
        put(&mut body, "systemInstruction", Some(system).filter(|s| !s.is_empty()).map(|s| json!({"parts": s})));
        let functions = self
            .tools
            .iter()
            .map(|t| json!({"name": t.name, "description": t.description, "parametersJsonSchema": t.schema}));
        let functions: Vec<Value> = functions.collect();
        put(
            &mut body,
            "tools",
            Some(functions).filter(|t| !t.is_empty()).map(|f| json!([{"functionDeclarations": f}])),
        );
        let mut config = json!({});
        put(&mut config, "maxOutputTokens", self.max_tokens.map(Value::from));
        put(&mut config, "stopSequences", Some(self.stop.clone()).filter(|s| !s.is_empty()).map(Value::from));
        put(&mut config, "temperature", self.temperature.clone());
        put(&mut config, "candidateCount", self.n.map(Value::from));
        put(&mut config, "thinkingConfig", self.thinks.then(|| json!({"includeThoughts": true})));
        put(&mut body, "generationConfig", Some(config));
        body
    }
}

fn chat_part(part: &Value) -> Option<Item> {
    let file = &part["file"];
    Some(match part["type"].as_str()? {
        "text" => Item::Text(part["text"].as_str()?.to_owned()),
        "image_url" => Item::Image(text(&part["image_url"]["url"]).or(text(&part["image_url"]))?.to_owned()),
        "input_audio" => Item::File {
            mime: format!("audio/{}", part["input_audio"]["format"].as_str()?),
            data: part["input_audio"]["data"].as_str()?.to_owned(),
        },
        "file" => {
            let (mime, data) = data_url(file["file_data"].as_str()?)?;
            Item::File { mime: mime.to_owned(), data: data.to_owned() }
        }
        _ => return None,
    })
}

fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

fn tool(value: &Value, schema: &str) -> Tool {
    let of = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let schema = value.get(schema).filter(|s| !s.is_null()).cloned();
    Tool {
        name: of("name"),
        description: of("description"),
        schema: schema.unwrap_or_else(|| json!({"type": "object", "properties": {}})),
    }
}

/// Google writes the names of types in capitals.
fn lower(schema: &mut Value) {
    if let Some(name) = schema["type"].as_str().map(str::to_lowercase) {
        schema["type"] = name.into();
    }
    for member in ["properties", "items", "anyOf"] {
        match schema.get_mut(member) {
            Some(Value::Object(inner)) if member == "properties" => inner.values_mut().for_each(lower),
            Some(Value::Array(inner)) => inner.iter_mut().for_each(lower),
            Some(inner @ Value::Object(_)) => lower(inner),
            _ => {}
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        many => list(many).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

/// The text of a string or of the text parts of a list.
fn joined(value: &Value) -> String {
    match value {
        Value::String(words) => words.clone(),
        parts => list(parts).iter().filter_map(|p| p["text"].as_str()).collect::<Vec<_>>().concat(),
    }
}

/// What a function answered: Gemini wants an object, others text.
fn spoken(response: &Value) -> String {
    let only = response.as_object().filter(|o| o.len() == 1);
    let inner = only.and_then(|o| {
        ["output", "result", "content", "return_value", "call_error", "error"].iter().find_map(|name| o.get(*name))
    });
    match inner.unwrap_or(response) {
        Value::String(words) => words.clone(),
        other => other.to_string(),
    }
}

fn push(object: &mut Value, member: &str, item: Value) {
    if !object[member].is_array() {
        object[member] = json!([]);
    }
    if let Some(list) = object[member].as_array_mut() {
        list.push(item);
    }
}

fn put(object: &mut Value, member: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut() as Option<&mut Map<String, Value>>, value) {
        object.insert(member.to_owned(), value);
    }
}
