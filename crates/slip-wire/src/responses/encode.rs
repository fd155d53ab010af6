//! The vocabulary's request in the words of this dialect.

use super::history::History;
use super::request::LOGPROBS;
use crate::Quirks;
use crate::anthropic::object::{self, Object, Writer, array};
use crate::quirks::{ReasoningStyle, Structured};
use serde_json::Number;
use slip_ir::request::Function;
use slip_ir::{Dialect, Effort, Format, Loss, Raw, Reasoning, Request, Tool, ToolChoice};
use std::borrow::Cow;

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
    let mut body = Body { w: Writer::open(&mut out), quirks, losses };
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
    body.tools(request);
    body.answer(request);
    let thinks = body.reasoning(request);
    body.include(request, thinks);
    body.params(request);
    body.unknown(request);
    let losses = body.close();
    (out, losses)
}

/// The top level of the body.
struct Body<'a> {
    w: Writer<'a>,
    quirks: &'a Quirks,
    losses: Vec<Loss>,
}

impl Body<'_> {
    fn close(self) -> Vec<Loss> {
        self.w.close();
        self.losses
    }

    fn lose(&mut self, what: impl Into<Cow<'static, str>>, why: &'static str) {
        self.losses.push(Loss::new(what, why));
    }

    /// Where to write `name`, unless this upstream refuses it.
    fn member(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        if self.quirks.refuses(name) {
            self.losses.push(Loss::new(name.to_owned(), "refused by this upstream"));
            return None;
        }
        Some(self.w.key(name))
    }

    fn put<T: serde::Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if let Some(out) = self.member(name) {
            object::json(out, value);
        }
    }

    fn put_some<T: serde::Serialize>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn tools(&mut self, request: &Request) {
        let mut tools: Vec<Vec<u8>> = Vec::new();
        for (n, tool) in request.tools.iter().enumerate() {
            match tool {
                Tool::Function(function) => tools.push(self.function(function, n)),
                Tool::Opaque { dialect: Dialect::Responses, raw } => tools.push(raw.as_str().as_bytes().to_vec()),
                Tool::Opaque { dialect: Dialect::OpenAiChat, raw } => match custom(raw) {
                    Some(tool) => tools.push(tool),
                    None => self.lose(format!("tools[{n}]"), "a tool of another dialect"),
                },
                Tool::Opaque { .. } => self.lose(format!("tools[{n}]"), "a tool of another dialect"),
            }
        }
        let choice = extra(request, "tool_choice");
        if tools.is_empty() {
            if choice.is_some() || request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None) {
                self.lose("tool_choice", "there are no tools to choose from");
            }
            return;
        }
        if let Some(out) = self.member("tools") {
            array(out, &tools, |out, tool| out.extend_from_slice(tool));
        }
        match (choice, &request.tool_choice) {
            (Some(raw), _) => self.put("tool_choice", raw),
            (None, Some(ToolChoice::Named(name))) => {
                let is_custom = request.tools.iter().any(|tool| {
                    matches!(tool, Tool::Opaque { raw, .. } if raw.as_str().contains("\"custom\"") && raw.as_str().contains(&format!("\"{name}\"")))
                });
                if let Some(out) = self.member("tool_choice") {
                    let mut w = Writer::open(out);
                    w.put("type", if is_custom { "custom" } else { "function" }).put("name", name);
                    w.close();
                }
            }
            (None, Some(ToolChoice::Auto)) => self.put("tool_choice", "auto"),
            (None, Some(ToolChoice::None)) => self.put("tool_choice", "none"),
            (None, Some(ToolChoice::Required)) => {
                let word = self.quirks.tool_choice_required.clone();
                self.put("tool_choice", &*word);
            }
            (None, None) => {}
        }
        self.put_some("parallel_tool_calls", &request.parallel_tool_calls);
    }

    /// Unlike elsewhere, a function is strict here unless it says otherwise: what did not ask for it must not become so.
    fn function(&mut self, function: &Function, n: usize) -> Vec<u8> {
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
                self.losses.push(Loss::new(format!("tools[{n}].{name}"), "not known to this dialect"));
            });
        }
        if function.cache.is_some() {
            self.losses.push(Loss::new(format!("tools[{n}].cache_control"), "has no place in this dialect"));
        }
        w.close();
        out
    }

    /// The `text` object: the form of the answer.
    fn answer(&mut self, request: &Request) {
        let verbosity = request.params.verbosity.as_ref();
        let mut format = request.format.as_ref();
        match format {
            Some(Format::Opaque { dialect, .. }) if *dialect != Dialect::Responses => {
                self.lose("response_format", "a format of another dialect");
                format = None;
            }
            Some(Format::JsonSchema { .. }) if self.quirks.structured != Structured::JsonSchema => {
                self.lose("response_format", "this upstream takes no schema");
                format = None;
            }
            _ => {}
        }
        if format.is_none() && verbosity.is_none() {
            return;
        }
        let Some(out) = self.member("text") else { return };
        let mut w = Writer::open(out);
        if let Some(format) = format {
            write_format(w.key("format"), format);
        }
        w.put_some("verbosity", &verbosity);
        w.close();
    }

    /// Whether the model was asked to think.
    fn reasoning(&mut self, request: &Request) -> bool {
        let Some(wish) = &request.reasoning else { return false };
        if self.quirks.reasoning == ReasoningStyle::Unsaid {
            self.lose("reasoning", "this upstream has no way to say it");
            return false;
        }
        let cap = request.params.max_tokens.unwrap_or(self.quirks.default_max_tokens);
        let effort = effort(wish, cap);
        if wish.budget.is_some() && wish.effort.is_none() {
            self.lose("reasoning.max_tokens", "told as an effort");
        }
        // Thoughts are shown here only as a summary, and only to those who ask for one: who asks for thoughts means to see them.
        let thinks = effort.is_some_and(|effort| effort != Effort::None);
        let summary = wish.summary.as_deref().or(thinks.then_some("auto")).filter(|_| !wish.exclude);
        if effort.is_none() && summary.is_none() {
            return false;
        }
        let Some(out) = self.member("reasoning") else { return false };
        let mut w = Writer::open(out);
        w.put_some("effort", &effort.map(Effort::name));
        w.put_some("summary", &summary);
        w.close();
        effort != Some(Effort::None)
    }

    /// What the reply shall hold beside the usual: reasoning in a form it can be given back in, where nothing is kept.
    fn include(&mut self, request: &Request, thinks: bool) {
        if let Some(asked) = extra(request, "include") {
            return self.put("include", asked);
        }
        let wanted = [(thinks, SEALED), (request.params.logprobs == Some(true), LOGPROBS)];
        let wanted: Vec<&str> = wanted.iter().filter(|(asked, _)| *asked).map(|(_, name)| *name).collect();
        if !wanted.is_empty() {
            self.put("include", &wanted);
        }
    }

    fn params(&mut self, request: &Request) {
        let p = &request.params;
        if let Some(most) = p.max_tokens {
            if most < LEAST_OUTPUT {
                self.lose("max_tokens", "raised to 16, the least this dialect takes");
            }
            self.put("max_output_tokens", &most.max(LEAST_OUTPUT));
        }
        self.put_some("temperature", &p.temperature);
        self.put_some("top_p", &p.top_p);
        self.put_some("top_logprobs", &p.top_logprobs);
        self.put_some("user", &p.user);
        self.put_some("service_tier", &p.service_tier);
        self.put_some("prompt_cache_key", &p.prompt_cache_key);
        self.put_some("metadata", &p.metadata);
        if self.quirks.router {
            self.put_some("top_k", &p.top_k);
            self.put_some("frequency_penalty", &p.frequency_penalty);
            self.put_some("presence_penalty", &p.presence_penalty);
            self.put_some("image_config", &p.image_config);
            if !p.modalities.is_empty() {
                self.put("modalities", &p.modalities);
            }
        }
    }

    /// Wishes this dialect has no words for, unless they ask for what happens anyway.
    fn unknown(&mut self, request: &Request) {
        const WHY: &str = "this dialect has no word for it";
        let p = &request.params;
        let set = |number: &Option<Number>, idle: f64| number.as_ref().is_some_and(|n| n.as_f64() != Some(idle));
        let plain = !self.quirks.router;
        let rows: [(&'static str, bool); 16] = [
            ("top_k", plain && p.top_k.is_some()),
            ("frequency_penalty", plain && set(&p.frequency_penalty, 0.0)),
            ("presence_penalty", plain && set(&p.presence_penalty, 0.0)),
            ("image_config", plain && p.image_config.is_some()),
            ("modalities", plain && p.modalities.iter().any(|m| m != "text")),
            ("min_p", set(&p.min_p, 0.0)),
            ("top_a", set(&p.top_a, 0.0)),
            ("repetition_penalty", set(&p.repetition_penalty, 1.0)),
            ("seed", p.seed.is_some()),
            ("stop", !p.stop.is_empty()),
            ("n", p.n.is_some_and(|n| n > 1)),
            ("logit_bias", p.logit_bias.as_ref().is_some_and(|raw| raw.as_str() != "{}")),
            ("prediction", p.prediction.is_some()),
            ("audio", p.audio.is_some()),
            ("web_search_options", p.web_search_options.is_some()),
            ("cache_control", p.cache.is_some()),
        ];
        for (name, asked) in rows {
            if asked {
                self.lose(name, WHY);
            }
        }
        for (name, raw) in &request.extra {
            match name.as_str() {
                "include" | "tool_choice" => {}
                known if is_known(known) => self.put(known, raw),
                _ => self.lose(name.clone(), WHY),
            }
        }
    }
}

fn extra<'r>(request: &'r Request, name: &str) -> Option<&'r Raw> {
    request.extra.iter().find(|(key, _)| key == name).map(|(_, raw)| raw)
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
    if wish.enabled == Some(false) || wish.effort == Some(Effort::None) || wish.budget == Some(0) {
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
