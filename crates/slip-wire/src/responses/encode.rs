//! The vocabulary's request in the words of this dialect.

use super::history::History;
use super::request::LOGPROBS;
use crate::Quirks;
use crate::body::Body;
use crate::object::{Object, Writer, array};
use crate::quirks::{ReasoningStyle, Structured};
use crate::wish::{self, Wish};
use slip_ir::request::Function;
use slip_ir::{Dialect, Effort, Format, Loss, Raw, Reasoning, Request, Tool, ToolChoice};

/// Top-level members the vocabulary has no word for and servers of this dialect know. Most refuse all others.
const KNOWN_EXTRA: [&str; 11] = [
    "include",
    "truncation",
    "max_tool_calls",
    "prompt_cache_retention",
    "prompt_cache_options",
    "stream_options",
    "prompt",
    "tool_choice",
    "context_management",
    "client_metadata",
    "moderation",
];
/// What it has no word for.
const UNKNOWN: [Wish; 11] = [
    Wish::MinP,
    Wish::TopA,
    Wish::RepetitionPenalty,
    Wish::Seed,
    Wish::Stop,
    Wish::N,
    Wish::LogitBias,
    Wish::Prediction,
    Wish::Audio,
    Wish::WebSearchOptions,
    Wish::CacheControl,
];
/// What only a router of this house's kind reads.
const ROUTER: [Wish; 5] =
    [Wish::TopK, Wish::FrequencyPenalty, Wish::PresencePenalty, Wish::ImageConfig, Wish::Modalities];
/// The least `max_output_tokens` the API takes.
const LEAST_OUTPUT: u64 = 16;
const SEALED: &str = "reasoning.encrypted_content";

pub fn is_known(member: &str) -> bool {
    KNOWN_EXTRA.contains(&member)
}

pub fn encode(request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
    let mut losses = Vec::new();
    let history = History::of(request, quirks, &mut losses);
    let mut out = Vec::new();
    let mut body = Body::open(&mut out, quirks, losses);
    body.put("model", &request.model);
    if let Some(instructions) = history.instructions {
        body.put("instructions", instructions);
    }
    if let Some(out) = body.member("input") {
        array(out, &history.items, |out, item| out.extend_from_slice(item));
    }
    if request.stream {
        body.put("stream", &true);
    }
    // Elsewhere nothing is kept unless the caller says so, and here this house keeps nothing.
    body.put("store", &false);
    tools(&mut body, request);
    answer(&mut body, request);
    let thinks = reasoning(&mut body, request);
    include(&mut body, request, thinks);
    params(&mut body, request);
    unknown(&mut body, request);
    let losses = body.close();
    (out, losses)
}

fn tools(body: &mut Body<'_>, request: &Request) {
    let mut tools: Vec<Vec<u8>> = Vec::new();
    for (n, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => tools.push(declared(body, function, n)),
            Tool::Opaque { dialect: Dialect::Responses, raw } => tools.push(raw.as_str().as_bytes().to_vec()),
            Tool::Opaque { dialect: Dialect::OpenAiChat, raw } => match custom(raw) {
                Some(tool) => tools.push(tool),
                None => body.lose(format!("tools[{n}]"), "a tool of another dialect"),
            },
            Tool::Opaque { .. } => body.lose(format!("tools[{n}]"), "a tool of another dialect"),
        }
    }
    let choice = request.in_extra("tool_choice");
    if tools.is_empty() {
        if choice.is_some() || request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None) {
            body.lose("tool_choice", "there are no tools to choose from");
        }
        return;
    }
    if let Some(out) = body.member("tools") {
        array(out, &tools, |out, tool| out.extend_from_slice(tool));
    }
    match (choice, &request.tool_choice) {
        (Some(raw), _) => body.put("tool_choice", raw),
        (None, Some(ToolChoice::Named(name))) => {
            let is_custom = request.tools.iter().any(|tool| {
                matches!(tool, Tool::Opaque { raw, .. } if raw.as_str().contains("\"custom\"") && raw.as_str().contains(&format!("\"{name}\"")))
            });
            body.object("tool_choice", |w| {
                w.put("type", if is_custom { "custom" } else { "function" }).put("name", name);
            });
        }
        (None, Some(ToolChoice::Auto)) => body.put("tool_choice", "auto"),
        (None, Some(ToolChoice::None)) => body.put("tool_choice", "none"),
        (None, Some(ToolChoice::Required)) => {
            let quirks = body.quirks;
            body.put("tool_choice", &*quirks.tool_choice_required);
        }
        (None, None) => {}
    }
    body.put_some("parallel_tool_calls", &request.parallel_tool_calls);
}

/// Unlike elsewhere, a function is strict here unless it says otherwise: what did not ask for it must not become so.
fn declared(body: &mut Body<'_>, function: &Function, n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("type", "function").put("name", &function.name).put_some("description", &function.description);
    match &function.parameters {
        Some(schema) => w.raw("parameters", schema.as_str()),
        None => w.raw("parameters", r#"{"type":"object","properties":{}}"#),
    };
    w.put("strict", &function.strict.unwrap_or(false));
    if let Some(extra) = &function.extra {
        w.known(extra, &["defer_loading"], |name| {
            body.lose(format!("tools[{n}].{name}"), "not known to this dialect");
        });
    }
    if function.cache.is_some() {
        body.lose(format!("tools[{n}].cache_control"), "has no place in this dialect");
    }
    w.close();
    out
}

/// The `text` object: the form of the answer.
fn answer(body: &mut Body<'_>, request: &Request) {
    let verbosity = request.params.verbosity.as_ref();
    let mut format = request.format.as_ref();
    match format {
        Some(Format::Opaque { dialect, .. }) if *dialect != Dialect::Responses => {
            body.lose("response_format", "a format of another dialect");
            format = None;
        }
        Some(Format::JsonSchema { .. }) if body.quirks.structured != Structured::JsonSchema => {
            body.lose("response_format", "this upstream takes no schema");
            format = None;
        }
        _ => {}
    }
    if format.is_none() && verbosity.is_none() {
        return;
    }
    body.object("text", |w| {
        if let Some(format) = format {
            write_format(w.key("format"), format);
        }
        w.put_some("verbosity", &verbosity);
    });
}

/// Whether the model was asked to think.
fn reasoning(body: &mut Body<'_>, request: &Request) -> bool {
    let Some(wish) = &request.reasoning else { return false };
    if body.quirks.reasoning == ReasoningStyle::Unsaid {
        body.lose("reasoning", "this upstream has no way to say it");
        return false;
    }
    let cap = request.params.max_tokens.unwrap_or(body.quirks.default_max_tokens);
    let effort = effort(wish, cap);
    if wish.budget.is_some() && wish.effort.is_none() {
        body.lose("reasoning.max_tokens", "told as an effort");
    }
    // Thoughts are shown here only as a summary, and only to those who ask for one: who asks for thoughts means to see them.
    let thinks = effort.is_some_and(|effort| effort != Effort::None);
    let summary = wish.summary.as_deref().or(thinks.then_some("auto")).filter(|_| !wish.exclude);
    if effort.is_none() && summary.is_none() {
        return false;
    }
    let Some(out) = body.member("reasoning") else { return false };
    let mut w = Writer::open(out);
    w.put_some("effort", &effort.map(Effort::name));
    w.put_some("summary", &summary);
    w.close();
    effort != Some(Effort::None)
}

/// What the reply shall hold beside the usual: reasoning in a form it can be given back in, where nothing is kept.
fn include(body: &mut Body<'_>, request: &Request, thinks: bool) {
    if let Some(asked) = request.in_extra("include") {
        return body.put("include", asked);
    }
    let wanted = [(thinks, SEALED), (request.params.logprobs == Some(true), LOGPROBS)];
    let wanted: Vec<&str> = wanted.iter().filter(|(asked, _)| *asked).map(|(_, name)| *name).collect();
    if !wanted.is_empty() {
        body.put("include", &wanted);
    }
}

fn params(body: &mut Body<'_>, request: &Request) {
    let p = &request.params;
    if let Some(most) = p.max_tokens {
        if most < LEAST_OUTPUT {
            body.lose("max_tokens", "raised to 16, the least this dialect takes");
        }
        body.put("max_output_tokens", &most.max(LEAST_OUTPUT));
    }
    body.put_some("temperature", &p.temperature);
    body.put_some("top_p", &p.top_p);
    body.put_some("top_logprobs", &p.top_logprobs);
    body.put_some("user", &p.user);
    body.put_some("service_tier", &p.service_tier);
    body.put_some("prompt_cache_key", &p.prompt_cache_key);
    body.put_some("metadata", &p.metadata);
    if body.quirks.router {
        body.put_some("top_k", &p.top_k);
        body.put_some("frequency_penalty", &p.frequency_penalty);
        body.put_some("presence_penalty", &p.presence_penalty);
        body.put_some("image_config", &p.image_config);
        if !p.modalities.is_empty() {
            body.put("modalities", &p.modalities);
        }
    }
}

/// Wishes this dialect has no words for, unless they ask for what happens anyway.
fn unknown(body: &mut Body<'_>, request: &Request) {
    const WHY: &str = "this dialect has no word for it";
    let routed: &[Wish] = if body.quirks.router { &[] } else { &ROUTER };
    for wishes in [routed, &UNKNOWN] {
        wish::asked(&request.params, wishes).for_each(|name| body.lose(name, WHY));
    }
    for (name, raw) in &request.extra {
        match name.as_str() {
            "include" | "tool_choice" => {}
            known if is_known(known) => body.put(known, raw),
            _ => body.lose(name.clone(), WHY),
        }
    }
}

/// A free-text tool of chat completions, which nests what here stands beside the type.
fn custom(raw: &Raw) -> Option<Vec<u8>> {
    let mut o = Object::parse(raw.as_str(), "").ok()?;
    let mut inner = o.object("custom", "").ok()??;
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.put("type", "custom");
    if let Some(mut format) = inner.object("format", "").ok()? {
        let grammar = format.object("grammar", "").ok()?;
        let mut inside = Writer::open(w.key("format"));
        for (name, raw) in format.rest().chain(grammar.into_iter().flat_map(Object::rest)) {
            inside.raw(&name, raw.get());
        }
        inside.close();
    }
    for (name, raw) in inner.rest() {
        w.raw(&name, raw.get());
    }
    w.close();
    Some(out)
}

fn write_format(out: &mut Vec<u8>, format: &Format) {
    match format {
        Format::Text => out.extend_from_slice(br#"{"type":"text"}"#),
        Format::JsonObject => out.extend_from_slice(br#"{"type":"json_object"}"#),
        Format::JsonSchema { name, schema, strict, description } => {
            let mut w = Writer::open(out);
            w.put("type", "json_schema").put("name", name).put_some("description", description);
            w.raw("schema", schema.as_str()).put("strict", &strict.unwrap_or(false));
            w.close();
        }
        Format::Opaque { raw, .. } => out.extend_from_slice(raw.as_str().as_bytes()),
    }
}

fn effort(wish: &Reasoning, cap: u64) -> Option<Effort> {
    if wish.is_off() {
        return Some(Effort::None);
    }
    match (wish.effort, wish.budget) {
        (Some(Effort::Max), _) => Some(Effort::XHigh),
        (Some(effort), _) => Some(effort),
        (None, Some(budget)) => {
            Effort::ALL[1..6].iter().copied().min_by_key(|effort| effort.budget(cap).abs_diff(budget))
        }
        (None, None) => (wish.enabled == Some(true) && !wish.adaptive).then_some(Effort::Medium),
    }
}
