//! `slipswitch providers discover`: what an unknown server is, what it serves, which doors it answers, and what to write down for it.

use super::ask::{Answer, Server};
use super::listing::{self, Listed};
use super::snippet;
use crate::cli;
use crate::exit::{Code, Ending};
use anstream::{eprintln, println};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};
use std::time::Duration;

/// A server that is there says who it is at once.
const GREETING: Duration = Duration::from_secs(5);
/// Models that are told of in words.
const TOLD: usize = 8;
/// Enough to call a tool, or to fill in a small form.
const SHORT: u32 = 64;

/// What was found out.
#[derive(Debug, Default)]
pub struct Found {
    /// The API's base: what `base_url` is to say.
    pub base: String,
    /// Without the version.
    pub root: String,
    /// Its making, where it shows: the slug of a built-in provider, or `tgi`.
    pub kind: Option<&'static str>,
    pub version: Option<String>,
    pub models: Vec<Listed>,
    /// The model that was asked.
    pub asked: Option<String>,
    pub doors: Vec<(&'static str, Door)>,
    /// It wants a key.
    pub keyed: bool,
}

/// How a server answers at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    Yes {
        ms: u64,
        /// What is remarkable.
        note: &'static str,
    },
    /// It takes the request and does not do what was asked.
    Deaf(&'static str),
    /// There is nothing.
    No,
    /// It is there, and refuses this.
    Refused(u16, String),
    /// It does not answer.
    Dead(String),
}

impl Found {
    pub fn door(&self, name: &str) -> Option<&Door> {
        self.doors.iter().find(|(known, _)| *known == name).map(|(_, door)| door)
    }

    pub fn does(&self, name: &str) -> bool {
        matches!(self.door(name), Some(Door::Yes { .. }))
    }
}

pub async fn discover(args: cli::ProvidersDiscover) -> Result<(), Ending> {
    let key =
        match (&args.key, &args.key_env) {
            (Some(key), _) => Some(key.clone()),
            (None, Some(name)) => Some(crate::env(name).filter(|v| !v.is_empty()).ok_or_else(|| {
                Ending::new(Code::Usage, format!("error: --key-env: this variable is not set: {name}"))
            })?),
            (None, None) => None,
        };
    let url = if args.url.contains("://") { args.url.clone() } else { format!("http://{}", args.url) };
    let found = look(&url, key.as_deref(), args.model.as_deref(), Duration::from_secs(args.timeout)).await?;
    let variable = args.key_env.as_deref();
    let text = snippet::toml(&found, args.name.as_deref(), key.is_some(), variable);
    if args.json {
        println!("{}", told(&found, &text));
        return Ok(());
    }
    say(&found);
    std::println!("{text}");
    Ok(())
}

async fn look(url: &str, key: Option<&str>, model: Option<&str>, patience: Duration) -> Result<Found, Ending> {
    let given = url.trim_end_matches('/').to_owned();
    let root = root(&given);
    let bad = |e: String| Ending::new(Code::Usage, format!("error: {e}"));
    let at_root = Server::new(&root, key, GREETING).map_err(bad)?;
    let mut found = greet(&at_root).await;
    found.root.clone_from(&root);
    let (mut reached, mut why) = (found.kind.is_some(), String::new());
    // Where the version is left out, it is most likely the first.
    let bases = if root == given { vec![format!("{root}/v1"), given] } else { vec![given] };
    for base in &bases {
        let server = Server::new(base, key, GREETING).map_err(bad)?;
        match server.get("/models").await {
            Ok(answer) => {
                reached = true;
                found.keyed |= matches!(answer.status, 401 | 403);
                if let Some(models) = listing::read(&answer.json()).filter(|_| answer.is_ok()) {
                    learn(&mut found, &answer.json(), models);
                    found.base.clone_from(base);
                    break;
                }
            }
            Err(e) => why = e,
        }
    }
    if !reached {
        let hint = "hint: is the server running, and is this its address and port?";
        return Err(Ending::new(Code::Unavailable, format!("error: nobody answers at {url}: {why}\n{hint}")));
    }
    if found.base.is_empty() {
        found.base = bases.first().cloned().unwrap_or_default();
    }
    if found.keyed && key.is_none() {
        let hint = "hint: give it with --key-env NAME (or --key)";
        return Err(Ending::new(Code::Unavailable, format!("error: the server wants a key: {url}\n{hint}")));
    }
    let talker = found.models.iter().find(|m| !m.embeds).or(found.models.first()).map(|m| m.id.clone());
    found.asked = model.map(str::to_owned).or(talker);
    let server = Server::new(&found.base, key, patience).map_err(bad)?;
    knock(&server, &mut found).await;
    Ok(found)
}

/// Without a version at the end.
fn root(url: &str) -> String {
    let version = |s: &str| s.strip_prefix('v').is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    match url.rsplit_once('/') {
        Some((above, last)) if version(last) => above.to_owned(),
        _ => url.to_owned(),
    }
}

/// What the programs people run answer beside the API they share.
async fn greet(root: &Server) -> Found {
    let ask = |path: &'static str| async move {
        root.get(path).await.ok().filter(Answer::is_ok).map(|a| a.json()).unwrap_or(Value::Null)
    };
    let (tags, ollama, props, info, lmstudio, sglang, plain) = tokio::join!(
        ask("/api/tags"),
        ask("/api/version"),
        ask("/props"),
        ask("/info"),
        ask("/api/v0/models"),
        ask("/get_server_info"),
        ask("/version"),
    );
    let mut found = Found { version: plain["version"].as_str().map(clean), ..Found::default() };
    let models = |list: &Value| listing::read(list).unwrap_or_default();
    if tags["models"].is_array() && ollama["version"].is_string() {
        found.kind = Some("ollama");
        found.version = ollama["version"].as_str().map(clean);
        found.models = models(&tags);
        for model in &mut found.models {
            let shown = root.post("/api/show", &json!({ "model": model.id })).await;
            if let Ok(shown) = shown {
                show(model, &shown.json());
            }
        }
    } else if props["default_generation_settings"].is_object() {
        found.kind = Some("llamacpp");
        found.version = props["build_info"].as_str().map(clean);
    } else if lmstudio["data"].is_array() {
        found.kind = Some("lmstudio");
        found.models = models(&lmstudio);
    } else if info["model_id"].is_string() {
        found.kind = Some("tgi");
        found.version = info["version"].as_str().map(clean);
    } else if sglang.is_object() && sglang["model_path"].is_string() {
        found.kind = Some("sglang");
        found.version = sglang["version"].as_str().map(clean);
    }
    let served = props.pointer("/default_generation_settings/n_ctx").or(props.get("n_ctx"));
    let context = served.or(info.get("max_total_tokens")).or(sglang.get("context_length"));
    if let Some(context) = context.and_then(Value::as_u64).filter(|n| *n > 0) {
        // Until the list has a model to put it to.
        found.models.push(Listed { context: Some(context), ..Listed::default() });
    }
    found
}

/// What Ollama tells of one model.
fn show(model: &mut Listed, shown: &Value) {
    let info = shown["model_info"].as_object();
    let length = info.and_then(|info| info.iter().find(|(name, _)| name.ends_with(".context_length")));
    model.context = model.context.or(length.and_then(|(_, n)| n.as_u64()));
    let can = |word: &str| shown["capabilities"].as_array().is_some_and(|all| all.iter().any(|one| one == word));
    model.sees |= can("vision");
    model.embeds |= can("embedding") && !can("completion");
}

/// Put together what the shared list says and what was known before.
fn learn(found: &mut Found, list: &Value, models: Vec<Listed>) {
    let owner = list.pointer("/data/0/owned_by").and_then(Value::as_str).unwrap_or_default();
    found.kind = found.kind.or(match owner {
        "vllm" => Some("vllm"),
        "llamacpp" => Some("llamacpp"),
        "sglang" => Some("sglang"),
        _ => None,
    });
    let known = std::mem::take(&mut found.models);
    found.models = models;
    for model in &mut found.models {
        let same = known.iter().find(|k| k.id == model.id).or_else(|| known.iter().find(|k| k.id.is_empty()));
        let Some(same) = same else { continue };
        model.context = same.context.or(model.context);
        model.sees |= same.sees;
        model.embeds |= same.embeds;
        model.quantization = model.quantization.take().or(same.quantization.clone());
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// Try the doors, one after the other: a server on somebody's desk has one model to give.
async fn knock(server: &Server, found: &mut Found) {
    let Some(model) = found.asked.clone() else { return };
    let hi = json!([{ "role": "user", "content": "hi" }]);
    let chat = |more: Value| {
        let mut body = json!({ "model": model, "messages": hi, "max_tokens": 1 });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        body
    };
    let has = |place: &'static str| move |a: &Answer| a.json().pointer(place).is_some_and(|v| !v.is_null());
    let talks = door(server.post("/chat/completions", &chat(json!({}))).await, has("/choices/0/message"), "");
    let spoken = matches!(talks, Door::Yes { .. });
    found.doors.push(("chat", talks));
    if spoken {
        let body = chat(json!({ "stream": true, "stream_options": { "include_usage": true } }));
        let streamed = server.post("/chat/completions", &body).await;
        let used = streamed.as_ref().is_ok_and(|a| a.events().any(|e| e["usage"].is_object()));
        let note = if used { "with usage" } else { "without usage" };
        found.doors.push(("stream", door(streamed, |a| a.media_type.starts_with("text/event-stream"), note)));
        let tool = json!({ "type": "function", "function": { "name": "greet", "description": "Greet somebody",
            "parameters": { "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] } } });
        let body = chat(json!({ "tools": [tool], "tool_choice": "required", "max_tokens": SHORT }));
        let called = server.post("/chat/completions", &body).await;
        found.doors.push(("tools", done(called, has("/choices/0/message/tool_calls/0"), "no tool was called")));
        let schema = json!({ "type": "object", "properties": { "greeting": { "type": "string" } },
            "required": ["greeting"], "additionalProperties": false });
        let body = chat(json!({ "max_tokens": SHORT, "response_format": { "type": "json_schema",
            "json_schema": { "name": "greeting", "strict": true, "schema": schema } } }));
        let formed = server.post("/chat/completions", &body).await;
        let kept = |a: &Answer| {
            let said = a.json();
            let text = said.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default();
            serde_json::from_str::<Value>(text).is_ok_and(|v| v["greeting"].is_string())
        };
        found.doors.push(("structured", done(formed, kept, "the schema was not kept")));
    }
    let body = json!({ "model": model, "prompt": "hi", "max_tokens": 1 });
    found.doors.push(("completions", door(server.post("/completions", &body).await, has("/choices/0/text"), "")));
    let body = json!({ "model": model, "input": "hi", "max_output_tokens": 16 });
    found.doors.push(("responses", door(server.post("/responses", &body).await, has("/output"), "")));
    let embedder = found.models.iter().find(|m| m.embeds).map_or(model.as_str(), |m| m.id.as_str());
    let body = json!({ "model": embedder, "input": "hi" });
    found.doors.push(("embeddings", door(server.post("/embeddings", &body).await, has("/data/0/embedding"), "")));
    let version = [(HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"))];
    let told = server.ask(Method::POST, "/messages", Some(&chat(json!({}))), &version).await;
    found.doors.push(("messages", door(told, has("/content"), "")));
}

fn door(answer: Result<Answer, String>, is: impl Fn(&Answer) -> bool, note: &'static str) -> Door {
    match answer {
        Err(why) => Door::Dead(why),
        Ok(a) if a.is_ok() && is(&a) => Door::Yes { ms: a.ms, note },
        // Some say 200 and an error, or their front page.
        Ok(a) if a.is_ok() || matches!(a.status, 404 | 405 | 501) && !names_a_model(&a) => Door::No,
        Ok(a) => Door::Refused(a.status, a.complaint()),
    }
}

fn done(answer: Result<Answer, String>, is: impl Fn(&Answer) -> bool, otherwise: &'static str) -> Door {
    match answer {
        Ok(a) if a.is_ok() && !is(&a) => Door::Deaf(otherwise),
        answer => door(answer, is, ""),
    }
}

/// A 404 of somebody who is there, and has not this model.
fn names_a_model(answer: &Answer) -> bool {
    answer.json()["error"].is_object() && answer.complaint().to_lowercase().contains("model")
}

impl std::fmt::Display for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Door::Yes { ms, note: "" } => write!(f, "yes ({ms} ms)"),
            Door::Yes { ms, note } => write!(f, "yes, {note} ({ms} ms)"),
            Door::Deaf(what) => write!(f, "taken, but {what}"),
            Door::No => f.write_str("no"),
            Door::Refused(status, says) => write!(f, "refused with {status}: {says}"),
            Door::Dead(why) => write!(f, "no answer: {why}"),
        }
    }
}

fn say(found: &Found) {
    let what = found.kind.unwrap_or("a server of unknown making");
    let version = found.version.as_deref().map(|v| format!(" {v}")).unwrap_or_default();
    eprintln!("Found {what}{version} at {}", found.base);
    for model in found.models.iter().take(TOLD) {
        let mut notes = Vec::new();
        notes.extend(model.context.map(|n| format!("context {n}")));
        notes.extend(model.quantization.clone());
        notes.extend(model.embeds.then(|| "embeddings".to_owned()));
        notes.extend(model.sees.then(|| "reads pictures".to_owned()));
        eprintln!("  model        {}  {}", model.id, notes.join(", "));
    }
    if found.models.len() > TOLD {
        eprintln!("               and {} more", found.models.len() - TOLD);
    }
    match &found.asked {
        Some(model) => eprintln!("Asked {model}, a token or two each time:"),
        None => eprintln!("It lists no model, so nothing was asked: name one with --model"),
    }
    for (name, door) in &found.doors {
        eprintln!("  {name:<12} {door}");
    }
    eprintln!();
}

fn told(found: &Found, toml: &str) -> Value {
    let doors: serde_json::Map<String, Value> = found
        .doors
        .iter()
        .map(|(name, door)| {
            let value = match door {
                Door::Yes { ms, note } => json!({ "answers": true, "ms": ms, "note": note }),
                Door::Refused(status, says) => json!({ "answers": false, "status": status, "note": says }),
                other => json!({ "answers": false, "note": other.to_string() }),
            };
            ((*name).to_owned(), value)
        })
        .collect();
    let models = found.models.iter().map(|m| {
        json!({ "id": m.id, "context": m.context, "embeddings": m.embeds, "vision": m.sees, "quantization": m.quantization })
    });
    json!({
        "base_url": found.base,
        "kind": found.kind,
        "version": found.version,
        "models": models.collect::<Value>(),
        "asked": found.asked,
        "endpoints": doors,
        "toml": toml,
    })
}
