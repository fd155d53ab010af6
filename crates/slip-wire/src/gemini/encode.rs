//! A `generateContent` body, written.

use super::contents::Contents;
use super::tree::Node;
use super::{config, schema};
use crate::Quirks;
use crate::wish::{self, Wish};
use slip_ir::request::Function;
use slip_ir::{Dialect, Format, Loss, Request, Tool, ToolChoice};
use std::borrow::Cow;
use std::collections::HashSet;

/// Enough to tell what was lost; a body of a million unsupported parts must not grow a list nobody reads.
const MOST_LOSSES: usize = 256;

/// Members of `extra` that Gemini reads (`toolConfig` and `generationConfig` are merged with what is written anyway).
const KNOWN_EXTRA: [&str; 4] = ["safetySettings", "cachedContent", "labels", "modelArmorConfig"];

/// What it has no word for.
const UNKNOWN: [Wish; 12] = [
    Wish::MinP,
    Wish::TopA,
    Wish::RepetitionPenalty,
    Wish::LogitBias,
    Wish::User,
    Wish::Verbosity,
    Wish::Prediction,
    Wish::Audio,
    Wish::WebSearchOptions,
    Wish::PromptCacheKey,
    Wish::CacheControl,
    Wish::Metadata,
];

pub(super) fn is_three(model: &str) -> bool {
    model.contains("gemini-3")
}

/// Losses, each told once.
#[derive(Default)]
pub(super) struct Ledger {
    list: Vec<Loss>,
    seen: HashSet<Loss>,
}

impl Ledger {
    pub(super) fn lose(&mut self, what: impl Into<Cow<'static, str>>, why: &'static str) {
        let loss = Loss::new(what, why);
        if self.list.len() < MOST_LOSSES && self.seen.insert(loss.clone()) {
            self.list.push(loss);
        }
    }

    pub(super) fn with<T>(&mut self, work: impl FnOnce(&mut Vec<Loss>) -> T) -> T {
        let mut losses = Vec::new();
        let value = work(&mut losses);
        for loss in losses {
            if self.list.len() < MOST_LOSSES && self.seen.insert(loss.clone()) {
                self.list.push(loss);
            }
        }
        value
    }
}

pub(super) fn encode(request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
    let mut ledger = Ledger::default();
    let (contents, system) = Contents::of(request, quirks, &mut ledger);
    let mut body = Node::object([("contents", contents)]);
    if !system.is_empty() {
        body.set("systemInstruction", Node::object([("parts", Node::Array(system))]));
    }
    let tools = tools(&request.tools, quirks, &mut ledger);
    if !tools.is_empty() {
        body.set("tools", tools);
    }
    let config = tool_config(request);
    if !config.is_empty() {
        body.set("toolConfig", config);
    }
    let config = config::write(request, quirks, &mut ledger);
    if !config.is_empty() {
        body.set("generationConfig", config);
    }
    rest(request, quirks, &mut body, &mut ledger);
    (body.to_vec(), ledger.list)
}

/// Top-level members, and the wishes Gemini has no place for.
fn rest<'a>(request: &'a Request, quirks: &Quirks, body: &mut Node<'a>, ledger: &mut Ledger) {
    let p = &request.params;
    match p.service_tier.as_deref() {
        None | Some("auto" | "default") => {}
        Some(tier @ ("flex" | "priority" | "standard")) if !quirks.refuses("service_tier") => {
            body.set("serviceTier", tier);
        }
        Some(_) => ledger.lose("service_tier", "not one of the provider's tiers"),
    }
    let single = (request.parallel_tool_calls == Some(false)).then_some("parallel_tool_calls");
    let described = has_description(request).then_some("response_format.json_schema.description");
    for name in wish::said(p, &UNKNOWN).chain(single).chain(described) {
        ledger.lose(name, "has no place in gemini");
    }
    for (name, raw) in &request.extra {
        if KNOWN_EXTRA.contains(&name.as_str()) && !quirks.refuses(name) {
            body.set(name.as_str(), raw);
        } else if !matches!(name.as_str(), "toolConfig" | "generationConfig") {
            ledger.lose(name.clone(), "unknown to gemini");
        }
    }
}

fn has_description(request: &Request) -> bool {
    matches!(&request.format, Some(Format::JsonSchema { description: Some(_), .. }))
}

fn tools<'a>(all: &'a [Tool], quirks: &Quirks, ledger: &mut Ledger) -> Node<'a> {
    let mut out: Vec<Node<'a>> = Vec::new();
    // All declarations go into one entry, where the first of them stood.
    let mut declarations: Vec<Node<'a>> = Vec::new();
    let mut place = None;
    for (index, tool) in all.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                place.get_or_insert(out.len());
                declarations.push(declaration(function, index, quirks, ledger));
            }
            Tool::Opaque { dialect: Dialect::Gemini, raw } => out.push(raw.into()),
            Tool::Opaque { .. } => ledger.lose(format!("tools[{index}]"), "a tool of another dialect"),
        }
    }
    if let Some(place) = place {
        out.insert(place, Node::object([("functionDeclarations", Node::Array(declarations))]));
    }
    Node::Array(out)
}

fn declaration<'a>(function: &'a Function, index: usize, quirks: &Quirks, ledger: &mut Ledger) -> Node<'a> {
    let at = format!("tools[{index}].function");
    let mut node = Node::object([("name", function.name.as_str().into())]);
    if let Some(text) = &function.description {
        node.set("description", text.as_str());
    }
    if let Some(parameters) = &function.parameters {
        if quirks.schema_subset {
            let at = format!("{at}.parameters");
            let schema = ledger.with(|losses| schema::to_google(parameters, &at, losses));
            if !schema::takes_nothing(&schema) {
                node.set("parameters", schema);
            }
        } else {
            node.set("parametersJsonSchema", parameters);
        }
    }
    if function.strict == Some(true) {
        ledger.lose(format!("{at}.strict"), "has no place in gemini");
    }
    if function.cache.is_some() {
        ledger.lose("cache_control", "has no place in gemini");
    }
    if let Some(Node::Object(extra)) = function.extra.as_ref().and_then(|raw| Node::parse(raw.as_str())) {
        for (key, value) in extra {
            match &*key {
                "response" | "responseJsonSchema" | "behavior" => node.set(key, value),
                _ => ledger.lose(format!("{at}.{key}"), "unknown to gemini"),
            }
        }
    }
    node
}

fn tool_config(request: &Request) -> Node<'_> {
    let mut out = match request.in_extra("toolConfig").and_then(|raw| Node::parse(raw.as_str())) {
        Some(node @ Node::Object(_)) => node,
        _ => Node::object([]),
    };
    if out.get("functionCallingConfig").is_none()
        && let Some(choice) = &request.tool_choice
    {
        let mode = |mode: &'static str| Node::object([("mode", mode.into())]);
        let mut calling = match choice {
            ToolChoice::Auto => mode("AUTO"),
            ToolChoice::None => mode("NONE"),
            ToolChoice::Required | ToolChoice::Named(_) => mode("ANY"),
        };
        if let ToolChoice::Named(name) = choice {
            calling.set("allowedFunctionNames", Node::Array(vec![name.clone().into()]));
        }
        out.set("functionCallingConfig", calling);
    }
    out
}
