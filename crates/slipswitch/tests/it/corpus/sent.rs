//! What reached the provider: the request as recorded but for a short list of differences, or its meaning in another dialect.

use super::ask::{Ask, Item};
use super::invoked::House;
use super::{Bed, Differences, Leg, SECRET, Surface};
use crate::harness::Got;
use serde_json::Value;
use slip_sim::Entry;

/// Members of a chat request that are rightly not the caller's any more.
const OURS: [&str; 5] = [
    // What an envelope says in the body and the author's API in a header.
    "anthropic_version",
    // The provider's own name for it.
    "model",
    // Usage is always asked for.
    "stream_options",
    // How the caller asks for the reply is not how it was recorded.
    "stream",
    // Addressed to a router.
    "usage",
];

pub(super) fn check(bed: &Bed, leg: &Leg, got: &Got, out: &mut Differences) {
    let Some(entry) = bed.last_entry() else {
        return out.say("sent", format!("nothing reached the provider: {} {:.300}", got.status, got.text()));
    };
    let own = Surface::of(&bed.case).expect("only cases with a surface are kept");
    let cloud = super::builtin(&bed.case).filter(|slug| ["azure", "azure-foundry", "google-vertex"].contains(slug));
    let wrapped = Surface::is_wrapped(&bed.case);
    credential(own, cloud.is_some_and(|slug| slug.starts_with("azure")), wrapped, &entry, out);
    if let Some(slug) = cloud {
        path(bed, leg, slug, &entry, out);
    }
    if entry.header("content-type") != Some("application/json") {
        out.say("sent.content-type", format!("{:?}", entry.header("content-type")));
    }
    let body = entry.json();
    let in_path = own.is_named_in_path() || wrapped;
    if wrapped
        && (body["anthropic_version"] != "bedrock-2023-05-31" || !body["model"].is_null() || !body["stream"].is_null())
    {
        out.say("sent.envelope", format!("{:.200}", body.to_string()));
    }
    // Jurassic does not stream.
    let asked = leg.stream && own != Surface::Invoked(House::Jurassic);
    if in_path && entry.path.ends_with("-stream") != asked && own != Surface::Gemini {
        out.say("sent.path", entry.path.clone());
    }
    if !in_path && body["model"] != super::upstream_model(&bed.case) {
        out.say("sent.model", body["model"].to_string());
    }
    if !in_path && (body["stream"] == true) != leg.stream {
        out.say("sent.stream", body["stream"].to_string());
    }
    match leg.recorded {
        true => same(bed, own, &leg.body, &body, out),
        // A conversation becomes one text: what of it, is told by the tests of the dialect.
        false if own.is_prompt() => {
            if own.ask_of(&body).turns.is_empty() {
                out.say("sent.turns", "nothing was said");
            }
        }
        false => meaning(
            &leg.surface.ask_of(&leg.body),
            &own.ask_of(&body),
            own == Surface::Gemini || bed.case.provider == "mistral",
            out,
        ),
    }
}

/// A cloud's path holds what others say elsewhere: it is the recorded one, but for the project.
fn path(bed: &Bed, leg: &Leg, slug: &str, entry: &Entry, out: &mut Differences) {
    let sent = entry.path.strip_prefix(&format!("/case/{}", bed.case.id)).unwrap_or(&entry.path);
    let want = match slug {
        "google-vertex" => {
            let verb = if leg.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let model = super::upstream_model(&bed.case);
            format!("/v1/projects/p/locations/l/publishers/google/models/{model}:{verb}")
        }
        _ => bed.case.path().replace("//", "/"),
    };
    if sent != want {
        out.say("sent.path", format!("{want} became {sent}"));
    }
}

fn credential(own: Surface, azure: bool, wrapped: bool, entry: &Entry, out: &mut Differences) {
    let bearer = format!("Bearer {SECRET}");
    let (name, value) = match own {
        _ if wrapped => ("authorization", bearer.as_str()),
        Surface::Chat if azure => ("api-key", SECRET),
        Surface::Chat | Surface::Responses | Surface::Bedrock => ("authorization", bearer.as_str()),
        Surface::Messages => ("x-api-key", SECRET),
        Surface::Gemini => ("x-goog-api-key", SECRET),
        Surface::Native(_) | Surface::Invoked(_) => ("authorization", bearer.as_str()),
    };
    let stray = entry.headers.iter().filter(|(n, v)| v.contains(SECRET) && !n.eq_ignore_ascii_case(name)).count();
    if entry.header(name) != Some(value) || stray > 0 || entry.path.contains(SECRET) {
        out.say("sent.credential", format!("{:?}", entry.headers));
    }
    if own == Surface::Messages && !wrapped && entry.header("anthropic-version").is_none() {
        out.say("sent.anthropic-version", "missing");
    }
    if entry.headers.iter().any(|(_, v)| v.contains(crate::harness::KEY)) {
        out.say("sent.leak", "the caller's key went to the provider");
    }
}

/// The caller's bytes, but for what each provider is known to need.
fn same(bed: &Bed, own: Surface, want: &Value, got: &Value, out: &mut Differences) {
    let ours: &[&str] = if own.is_named_in_path() { &[] } else { &OURS };
    let canonical = |body: &Value| match own {
        Surface::Chat => chat(body, bed.case.provider == "mistral"),
        _ => body.clone(),
    };
    let (want, got) = (canonical(want), canonical(got));
    let (Some(want), Some(got)) = (want.as_object(), got.as_object()) else {
        return out.say("sent.same", "not an object");
    };
    let kept = |name: &String| !ours.contains(&name.as_str());
    for (name, value) in want.iter().filter(|(name, _)| kept(name)) {
        match got.get(name) {
            Some(sent) if sent == value => {}
            Some(sent) => out.say("sent.same", format!("{name}: {}", apart(value, sent))),
            None => out.say("sent.same", format!("{name} was not sent: {:.100}", value.to_string())),
        }
    }
    for (name, value) in got.iter().filter(|(name, _)| kept(name) && !want.contains_key(*name)) {
        out.say("sent.same", format!("{name} was invented: {:.200}", value.to_string()));
    }
}

/// Where two values part.
fn apart(want: &Value, got: &Value) -> String {
    let (want, got) = (want.to_string(), got.to_string());
    let at = want.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
    let near = |text: &str| {
        String::from_utf8_lossy(text.as_bytes().get(at.saturating_sub(60)..).unwrap_or_default())
            .chars()
            .take(200)
            .collect::<String>()
    };
    format!("...{} became ...{}", near(&want), near(&got))
}

/// One spelling of what providers spell differently: null is absent, a lone text part is a string, the output cap and the wish to
/// think have one name each, earlier reasoning goes only to those who take it back.
fn chat(body: &Value, hashed_ids: bool) -> Value {
    let mut body = body.clone();
    let Some(members) = body.as_object_mut() else { return body };
    members.retain(|_, value| !value.is_null());
    if let Some(cap) = members.remove("max_completion_tokens") {
        members.insert("max_tokens".into(), cap);
    }
    if members.get("n").is_some_and(|n| *n == 1) {
        members.remove("n");
    }
    // A list of no tools is no list: most upstreams refuse it.
    if members.get("tools").is_some_and(|t| t.as_array().is_some_and(Vec::is_empty)) {
        for name in ["tools", "tool_choice", "parallel_tool_calls"] {
            members.remove(name);
        }
    }
    let thinks = ["reasoning", "reasoning_effort", "include_reasoning", "thinking", "enable_thinking"];
    if thinks.iter().filter(|name| members.remove(**name).is_some()).count() > 0 {
        members.insert("(thinks)".into(), true.into());
    }
    if members.get("tool_choice").is_some_and(|c| *c == "any") {
        members.insert("tool_choice".into(), "required".into());
    }
    for message in members.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        // A wish for nothing may be left unsaid.
        if let Some(members) = message.as_object_mut() {
            members.retain(|name, value| !(name == "prefix" && value == false || name.starts_with("reasoning")));
        }
        if message["role"] == "developer" {
            message["role"] = "system".into();
        }
        if let Some([only]) = message["content"].as_array().map(Vec::as_slice)
            && only["type"] == "text"
        {
            message["content"] = only["text"].clone();
        }
        for part in message["content"].as_array_mut().into_iter().flatten() {
            if part["image_url"].is_string() {
                part["image_url"] = serde_json::json!({ "url": part["image_url"] });
            }
        }
        if hashed_ids {
            if message["tool_call_id"].is_string() {
                message["tool_call_id"] = "(id)".into();
            }
            message["tool_calls"].as_array_mut().into_iter().flatten().for_each(|call| call["id"] = "(id)".into());
        }
        let calls = message["tool_calls"].is_array();
        if let Some(members) = message.as_object_mut() {
            members.retain(|_, value| !(value.is_null() || calls && value == ""));
        }
    }
    body
}

/// What was asked in one dialect, and what came of it in another.
pub fn meaning(want: &Ask, got: &Ask, nameless: bool, out: &mut Differences) {
    let (want_turns, got_turns) = (turns(want, nameless), turns(got, nameless));
    if want_turns != got_turns {
        let at = want_turns.iter().zip(&got_turns).take_while(|(a, b)| a == b).count();
        let show = |turns: &[String]| turns.get(at).map_or("(nothing)".to_owned(), |t| t.chars().take(300).collect());
        out.say("sent.turns", format!("[{at}] {} became {}", show(&want_turns), show(&got_turns)));
    }
    let tools = |ask: &Ask| ask.tools.iter().map(|t| format!("{} {}", t.name, t.description)).collect::<Vec<_>>();
    if tools(want) != tools(got) {
        out.say("sent.tools", format!("{:?} became {:?}", tools(want), tools(got)));
    }
    for (want, got) in want.tools.iter().zip(&got.tools) {
        let kind = |schema: &Value| schema["type"].as_str().unwrap_or_default().to_owned();
        let names = |schema: &Value| {
            let named = schema["properties"].as_object().into_iter().flatten();
            named.map(|(name, schema)| (name.clone(), kind(schema))).collect::<Vec<_>>()
        };
        if names(&want.schema) != names(&got.schema) {
            out.say(
                "sent.schema",
                format!("{}: {:.300} became {:.300}", want.name, want.schema.to_string(), got.schema.to_string()),
            );
        }
    }
    if want.stop != got.stop {
        out.say("sent.stop", format!("{:?} became {:?}", want.stop, got.stop));
    }
    // Anthropic demands a cap; where thinking was asked for it may have to grow.
    if want.max_tokens.is_some() && want.max_tokens > got.max_tokens {
        out.say("sent.max_tokens", format!("{:?} became {:?}", want.max_tokens, got.max_tokens));
    }
}

/// The conversation as lines. System text is said first and apart in two of the dialects.
fn turns(ask: &Ask, nameless: bool) -> Vec<String> {
    let line = |item: &Item| match item {
        Item::Text(words) => format!("text {}", words.split_whitespace().collect::<String>()),
        Item::Image(url) => format!("image {url:.80}"),
        Item::File { mime, data } => format!("file {mime} {data:.80}"),
        Item::Call { id, name, args } => format!("call {} {name} {args}", if nameless { "" } else { id }),
        Item::Result { id, text, .. } => format!("result {} {}", if nameless { "" } else { id }, text.trim()),
    };
    let system = ask.turns.iter().filter(|(role, _)| *role == super::ask::Role::System);
    let rest = ask.turns.iter().filter(|(role, _)| *role != super::ask::Role::System);
    let head: String = system.map(|(_, item)| line(item)).collect::<Vec<_>>().concat().replace("text ", "");
    std::iter::once(format!("System {head}"))
        .chain(rest.map(|(role, item)| format!("{role:?} {}", line(item))))
        .collect()
}
