//! The vocabulary's request in Anthropic's words.

use super::limits::{BESIDE_THINKING, Limits, Mode, says_effort};
use super::messages::{Conversation, Part, write_cache, write_cache_value, write_parts};
use crate::Quirks;
use crate::body::Body;
use crate::object::{Object, Writer, array, is_object, to_raw};
use crate::quirks::Structured;
use crate::wish::{self, Wish};
use slip_ir::request::Function;
use slip_ir::{Dialect, Format, Loss, Raw, Request, Tool, ToolChoice};
use std::borrow::Cow;

/// Top-level members the vocabulary has no word for and Anthropic knows. It refuses all others, so they go no further.
const KNOWN_EXTRA: [&str; 5] = ["container", "context_management", "mcp_servers", "speed", "inference_geo"];
/// Members of a tool, likewise.
const KNOWN_TOOL_EXTRA: [&str; 4] = ["input_examples", "eager_input_streaming", "defer_loading", "allowed_callers"];
/// What it has no word for.
const UNKNOWN: [Wish; 17] = [
    Wish::MinP,
    Wish::TopA,
    Wish::FrequencyPenalty,
    Wish::PresencePenalty,
    Wish::RepetitionPenalty,
    Wish::Seed,
    Wish::N,
    Wish::Logprobs,
    Wish::TopLogprobs,
    Wish::LogitBias,
    Wish::Prediction,
    Wish::Modalities,
    Wish::Audio,
    Wish::ImageConfig,
    Wish::WebSearchOptions,
    Wish::PromptCacheKey,
    Wish::Metadata,
];

pub fn encode(request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
    let mut losses = Vec::new();
    let limits = Limits::of(request, quirks, &mut losses);
    let mut conversation = Conversation::of(request, quirks, &mut losses);
    let schema = format(request, quirks, &mut conversation.system, &mut losses);

    let mut out = Vec::new();
    let mut body = Body::open(&mut out, quirks, losses);
    body.put("model", &request.model);
    body.put("max_tokens", &limits.max_tokens);
    if request.stream {
        body.put("stream", &true);
    }
    if !conversation.system.is_empty()
        && let Some(out) = body.member("system")
    {
        write_parts(out, &conversation.system.iter().collect::<Vec<_>>());
    }
    if let Some(out) = body.member("messages") {
        conversation.write(out);
    }
    tools(&mut body, request);
    tool_choice(&mut body, request, &limits);
    thinking(&mut body, request, &limits);
    output_config(&mut body, request, &limits, schema.as_ref());
    sampling(&mut body, request, &limits);
    rest(&mut body, request);
    unknown(&mut body, request);
    let losses = body.close();
    (out, losses)
}

/// In the place of a format that is a JSON object of any shape. A chat comes here with words of [`crate::structured`] instead;
/// what shall only be counted comes as it is.
pub const ANY_OBJECT: &str = "Answer with a single JSON object and nothing else.";

/// The schema for `output_config.format`.
fn format(request: &Request, quirks: &Quirks, system: &mut Vec<Part<'_>>, losses: &mut Vec<Loss>) -> Option<Raw> {
    match request.format.as_ref()? {
        Format::Text => {}
        Format::JsonObject => {
            losses.push(Loss::new("response_format", "asked for in the system prompt instead"));
            system.push(Part::Text { text: Cow::Borrowed(ANY_OBJECT), cache: None, citations: Vec::new() });
        }
        Format::JsonSchema { .. } if quirks.structured != Structured::JsonSchema => {
            losses.push(Loss::new("response_format", "this upstream takes no schema"));
        }
        Format::JsonSchema { schema, .. } => {
            let mut out = Vec::new();
            let mut w = Writer::open(&mut out);
            w.put("type", "json_schema").raw("schema", super::schema::closed(schema, losses).as_str());
            w.close();
            return to_raw(out);
        }
        Format::Opaque { dialect: Dialect::Anthropic, raw } => return Some(raw.clone()),
        Format::Opaque { .. } => losses.push(Loss::new("response_format", "a format of another dialect")),
    }
    None
}

fn tools(body: &mut Body<'_>, request: &Request) {
    let mut tools: Vec<Vec<u8>> = Vec::new();
    for (n, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => tools.push(declared(body, function, n)),
            Tool::Opaque { dialect: Dialect::Anthropic, raw } => tools.push(raw.as_str().as_bytes().to_vec()),
            Tool::Opaque { .. } => body.lose(format!("tools[{n}]"), "a tool of another dialect"),
        }
    }
    if !tools.is_empty()
        && let Some(out) = body.member("tools")
    {
        array(out, &tools, |out, tool| out.extend_from_slice(tool));
    }
}

fn declared(body: &mut Body<'_>, function: &Function, n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("name", &function.name).put_some("description", &function.description);
    write_schema(w.key("input_schema"), function.parameters.as_ref());
    w.put_some("strict", &function.strict.filter(|strict| *strict));
    if let Some(extra) = &function.extra {
        w.known(extra, &KNOWN_TOOL_EXTRA, |name| {
            body.lose(format!("tools[{n}].{name}"), "not known to this dialect");
        });
    }
    if body.quirks.cache_control {
        write_cache(&mut w, function.cache.as_ref());
    } else if function.cache.is_some() {
        body.lose(format!("tools[{n}].cache_control"), "this upstream takes none");
    }
    w.close();
    out
}

fn tool_choice(body: &mut Body<'_>, request: &Request, limits: &Limits) {
    let has_tools = request.tools.iter().any(|tool| match tool {
        Tool::Function(_) => true,
        Tool::Opaque { dialect, .. } => *dialect == Dialect::Anthropic,
    });
    let single = request.parallel_tool_calls == Some(false);
    if !has_tools {
        if request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None) {
            body.lose("tool_choice", "there are no tools to choose from");
        }
        return;
    }
    let mut choice = match &request.tool_choice {
        None if single => ToolChoice::Auto,
        None => return,
        Some(choice) => choice.clone(),
    };
    if limits.thinks() && matches!(choice, ToolChoice::Required | ToolChoice::Named(_)) {
        body.lose("tool_choice", "a model that thinks cannot be made to call a tool: it may choose");
        choice = ToolChoice::Auto;
    }
    body.object("tool_choice", |w| {
        match &choice {
            ToolChoice::Auto => w.put("type", "auto"),
            ToolChoice::Required => w.put("type", "any"),
            ToolChoice::None => w.put("type", "none"),
            ToolChoice::Named(name) => w.put("type", "tool").put("name", name),
        };
        if single && choice != ToolChoice::None {
            w.put("disable_parallel_tool_use", &true);
        }
    });
}

fn thinking(body: &mut Body<'_>, request: &Request, limits: &Limits) {
    if limits.mode == Mode::Unsaid {
        return;
    }
    body.object("thinking", |w| {
        limits.write_thinking(w);
        let said = ["type", "budget_tokens", if limits.display.is_some() { "display" } else { "type" }];
        w.others(request.in_extra("thinking"), &said);
    });
}

fn output_config(body: &mut Body<'_>, request: &Request, limits: &Limits, schema: Option<&Raw>) {
    let extra = request.in_extra("output_config").filter(|raw| raw.as_str().starts_with('{'));
    let effort = limits.effort_word(&request.params);
    if extra.is_none() && effort.is_none() && schema.is_none() {
        return;
    }
    body.object("output_config", |w| {
        w.put_some("effort", &effort.filter(|_| !says_effort(request)));
        if let Some(schema) = schema {
            w.raw("format", schema.as_str());
        }
        w.others(extra, if schema.is_some() { &["format"] } else { &[] });
    });
}

fn sampling(body: &mut Body<'_>, request: &Request, limits: &Limits) {
    let p = &request.params;
    let temperature = limits.temperature(p, &mut body.losses);
    if let Some(top_p) = limits.top_p(p, temperature.is_some(), &mut body.losses) {
        body.put("top_p", top_p);
    }
    body.put_some("temperature", &temperature);
    match &p.top_k {
        Some(_) if limits.thinks() => body.lose("top_k", BESIDE_THINKING),
        top_k => body.put_some("top_k", top_k),
    }
}

fn rest(body: &mut Body<'_>, request: &Request) {
    let p = &request.params;
    let stop: Vec<&String> = p.stop.iter().filter(|stop| !stop.trim().is_empty()).collect();
    if stop.len() < p.stop.len() {
        body.lose("stop", "sequences of white space alone are refused");
    }
    if !stop.is_empty() {
        body.put("stop_sequences", &stop);
    }
    if let Some(user) = &p.user {
        body.object("metadata", |w| {
            w.put("user_id", user);
        });
    }
    match p.service_tier.as_deref() {
        Some(tier @ ("auto" | "standard_only")) => body.put("service_tier", tier),
        Some("default") => body.put("service_tier", "standard_only"),
        Some(_) => body.lose("service_tier", "not a tier of this dialect"),
        None => {}
    }
    if body.quirks.cache_control {
        if let Some(cache) = &p.cache
            && let Some(out) = body.member("cache_control")
        {
            write_cache_value(out, cache);
        }
    } else if p.cache.is_some() {
        body.lose("cache_control", "this upstream takes none");
    }
}

/// Wishes this dialect has no words for, unless they ask for what happens anyway.
fn unknown(body: &mut Body<'_>, request: &Request) {
    const WHY: &str = "this dialect has no word for it";
    wish::asked(&request.params, &UNKNOWN).for_each(|name| body.lose(name, WHY));
    for (name, raw) in &request.extra {
        match name.as_str() {
            "thinking" | "output_config" => {}
            known if KNOWN_EXTRA.contains(&known) => body.put(known, raw),
            _ => body.lose(name.clone(), WHY),
        }
    }
}

/// Anthropic insists on a schema, and on one that says it is an object.
pub fn write_schema(out: &mut Vec<u8>, parameters: Option<&Raw>) {
    let typed = parameters.map(|raw| (raw, Object::parse(raw.as_str(), "")));
    match typed {
        Some((raw, Ok(members))) if members.has("type") => out.extend_from_slice(raw.as_str().as_bytes()),
        Some((_, Ok(members))) => {
            let mut w = Writer::open(out);
            w.put("type", "object");
            let mut properties = false;
            for (name, raw) in members.rest() {
                properties |= name == "properties" && is_object(raw);
                w.raw(&name, raw.get());
            }
            if !properties {
                w.raw("properties", "{}");
            }
            w.close();
        }
        _ => out.extend_from_slice(br#"{"type":"object","properties":{}}"#),
    }
}
