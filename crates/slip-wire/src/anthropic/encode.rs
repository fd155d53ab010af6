//! The vocabulary's request in Anthropic's words.

use super::limits::{Limits, Mode};
use super::messages::{Conversation, Part, write_cache, write_cache_value, write_parts};
use super::object::{Object, Writer, array, is_object, to_raw};
use crate::Quirks;
use crate::quirks::Structured;
use serde_json::Number;
use slip_ir::request::Function;
use slip_ir::{Dialect, Format, Loss, Raw, Request, Tool, ToolChoice};
use std::borrow::Cow;

/// Top-level members the vocabulary has no word for and Anthropic knows. It refuses all others, so they go no further.
const KNOWN_EXTRA: [&str; 5] = ["container", "context_management", "mcp_servers", "speed", "inference_geo"];
/// Members of a tool, likewise.
const KNOWN_TOOL_EXTRA: [&str; 4] = ["input_examples", "eager_input_streaming", "defer_loading", "allowed_callers"];
/// The least `top_p` allowed beside thinking.
const LEAST_TOP_P: f64 = 0.95;

pub fn encode(request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
    let mut losses = Vec::new();
    let limits = Limits::of(request, quirks, &mut losses);
    let mut conversation = Conversation::of(request, quirks, &mut losses);
    let schema = format(request, quirks, &mut conversation.system, &mut losses);

    let mut out = Vec::new();
    let mut body = Body { w: Writer::open(&mut out), quirks, losses };
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
    body.tools(request);
    body.tool_choice(request, &limits);
    body.thinking(request, &limits);
    body.output_config(request, &limits, schema.as_ref());
    body.sampling(request, &limits);
    body.rest(request);
    body.unknown(request);
    let losses = body.close();
    (out, losses)
}

/// The schema for `output_config.format`. What Anthropic has no word for becomes an instruction.
fn format(request: &Request, quirks: &Quirks, system: &mut Vec<Part<'_>>, losses: &mut Vec<Loss>) -> Option<Raw> {
    let mut instruct = |text: Cow<'static, str>, losses: &mut Vec<Loss>| {
        losses.push(Loss::new("response_format", "asked for in the system prompt instead"));
        system.push(Part::Text { text, cache: None, citations: Vec::new() });
    };
    match request.format.as_ref()? {
        Format::Text => {}
        Format::JsonObject => instruct(Cow::Borrowed("Answer with a single JSON object and nothing else."), losses),
        Format::JsonSchema { schema, .. } if quirks.structured != Structured::JsonSchema => instruct(
            Cow::Owned(format!(
                "Answer with a single JSON value and nothing else. It must satisfy this JSON Schema: {}",
                schema.as_str()
            )),
            losses,
        ),
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
            super::object::json(out, value);
        }
    }

    fn tools(&mut self, request: &Request) {
        let mut tools: Vec<Vec<u8>> = Vec::new();
        for (n, tool) in request.tools.iter().enumerate() {
            match tool {
                Tool::Function(function) => tools.push(self.function(function, n)),
                Tool::Opaque { dialect: Dialect::Anthropic, raw } => tools.push(raw.as_str().as_bytes().to_vec()),
                Tool::Opaque { .. } => self.lose(format!("tools[{n}]"), "a tool of another dialect"),
            }
        }
        if !tools.is_empty()
            && let Some(out) = self.member("tools")
        {
            array(out, &tools, |out, tool| out.extend_from_slice(tool));
        }
    }

    fn function(&mut self, function: &Function, n: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::open(&mut out);
        w.put("name", &function.name).put_some("description", &function.description);
        write_schema(w.key("input_schema"), function.parameters.as_ref());
        w.put_some("strict", &function.strict.filter(|strict| *strict));
        if let Some(extra) = &function.extra {
            w.known(extra, &KNOWN_TOOL_EXTRA, |name| {
                self.losses.push(Loss::new(format!("tools[{n}].{name}"), "not known to this dialect"));
            });
        }
        if self.quirks.cache_control {
            write_cache(&mut w, function.cache.as_ref());
        } else if function.cache.is_some() {
            self.losses.push(Loss::new(format!("tools[{n}].cache_control"), "this upstream takes none"));
        }
        w.close();
        out
    }

    fn tool_choice(&mut self, request: &Request, limits: &Limits) {
        let has_tools = request.tools.iter().any(|tool| match tool {
            Tool::Function(_) => true,
            Tool::Opaque { dialect, .. } => *dialect == Dialect::Anthropic,
        });
        let single = request.parallel_tool_calls == Some(false);
        if !has_tools {
            if request.tool_choice.as_ref().is_some_and(|choice| *choice != ToolChoice::None) {
                self.lose("tool_choice", "there are no tools to choose from");
            }
            return;
        }
        let mut choice = match &request.tool_choice {
            None if single => ToolChoice::Auto,
            None => return,
            Some(choice) => choice.clone(),
        };
        if limits.thinks() && matches!(choice, ToolChoice::Required | ToolChoice::Named(_)) {
            self.lose("tool_choice", "a model that thinks cannot be made to call a tool: it may choose");
            choice = ToolChoice::Auto;
        }
        let Some(out) = self.member("tool_choice") else { return };
        let mut w = Writer::open(out);
        match &choice {
            ToolChoice::Auto => w.put("type", "auto"),
            ToolChoice::Required => w.put("type", "any"),
            ToolChoice::None => w.put("type", "none"),
            ToolChoice::Named(name) => w.put("type", "tool").put("name", name),
        };
        if single && choice != ToolChoice::None {
            w.put("disable_parallel_tool_use", &true);
        }
        w.close();
    }

    fn thinking(&mut self, request: &Request, limits: &Limits) {
        if limits.mode == Mode::Unsaid {
            return;
        }
        let extra = extra(request, "thinking");
        let Some(out) = self.member("thinking") else { return };
        let mut w = Writer::open(out);
        match limits.mode {
            Mode::Budget(budget) => w.put("type", "enabled").put("budget_tokens", &budget),
            Mode::Adaptive => w.put("type", "adaptive"),
            Mode::Off | Mode::Unsaid => w.put("type", "disabled"),
        };
        w.put_some("display", &limits.display);
        let said = ["type", "budget_tokens", if limits.display.is_some() { "display" } else { "type" }];
        write_others(&mut w, extra, &said);
        w.close();
    }

    fn output_config(&mut self, request: &Request, limits: &Limits, schema: Option<&Raw>) {
        let extra = extra(request, "output_config");
        let effort = match limits.effort {
            Some(effort) => Some(effort.name()),
            None => request.params.verbosity.as_deref(),
        };
        if extra.is_none() && effort.is_none() && schema.is_none() {
            return;
        }
        let said_effort = extra.is_some_and(|raw| Object::parse(raw.as_str(), "").is_ok_and(|o| o.has("effort")));
        let Some(out) = self.member("output_config") else { return };
        let mut w = Writer::open(out);
        w.put_some("effort", &effort.filter(|_| !said_effort));
        if let Some(schema) = schema {
            w.raw("format", schema.as_str());
        }
        write_others(&mut w, extra, if schema.is_some() { &["format"] } else { &[] });
        w.close();
    }

    /// Thinking allows no sampling of its own, and newer models take `temperature` or `top_p` but not both.
    fn sampling(&mut self, request: &Request, limits: &Limits) {
        const THINKS: &str = "not allowed beside thinking";
        let p = &request.params;
        let mut temperature = p.temperature.clone();
        if let Some(value) = temperature.as_ref().and_then(Number::as_f64) {
            if limits.thinks() && value != 1.0 {
                self.lose("temperature", THINKS);
                temperature = None;
            } else if !(0.0..=1.0).contains(&value) {
                self.lose("temperature", "brought into 0 to 1");
                temperature = Some(Number::from(u8::from(value > 1.0)));
            }
        }
        if let Some(top_p) = &p.top_p {
            let value = top_p.as_f64().unwrap_or(1.0);
            if limits.thinks() && value < LEAST_TOP_P {
                self.lose("top_p", "below 0.95, which is not allowed beside thinking");
            } else if temperature.is_some() {
                self.lose("top_p", "temperature is set, and only one of the two is taken");
            } else {
                self.put("top_p", top_p);
            }
        }
        if let Some(temperature) = &temperature {
            self.put("temperature", temperature);
        }
        match &p.top_k {
            Some(_) if limits.thinks() => self.lose("top_k", THINKS),
            Some(top_k) => self.put("top_k", top_k),
            None => {}
        }
    }

    fn rest(&mut self, request: &Request) {
        let p = &request.params;
        let stop: Vec<&String> = p.stop.iter().filter(|stop| !stop.trim().is_empty()).collect();
        if stop.len() < p.stop.len() {
            self.lose("stop", "sequences of white space alone are refused");
        }
        if !stop.is_empty() {
            self.put("stop_sequences", &stop);
        }
        if let Some(user) = &p.user
            && let Some(out) = self.member("metadata")
        {
            let mut w = Writer::open(out);
            w.put("user_id", user);
            w.close();
        }
        match p.service_tier.as_deref() {
            Some(tier @ ("auto" | "standard_only")) => self.put("service_tier", tier),
            Some("default") => self.put("service_tier", "standard_only"),
            Some(_) => self.lose("service_tier", "not a tier of this dialect"),
            None => {}
        }
        if self.quirks.cache_control {
            if let Some(cache) = &p.cache
                && let Some(out) = self.member("cache_control")
            {
                write_cache_value(out, cache);
            }
        } else if p.cache.is_some() {
            self.lose("cache_control", "this upstream takes none");
        }
    }

    /// Wishes this dialect has no words for, unless they ask for what happens anyway.
    fn unknown(&mut self, request: &Request) {
        const WHY: &str = "this dialect has no word for it";
        let p = &request.params;
        let set = |number: &Option<Number>, idle: f64| number.as_ref().is_some_and(|n| n.as_f64() != Some(idle));
        let rows: [(&'static str, bool); 17] = [
            ("min_p", set(&p.min_p, 0.0)),
            ("top_a", set(&p.top_a, 0.0)),
            ("frequency_penalty", set(&p.frequency_penalty, 0.0)),
            ("presence_penalty", set(&p.presence_penalty, 0.0)),
            ("repetition_penalty", set(&p.repetition_penalty, 1.0)),
            ("seed", p.seed.is_some()),
            ("n", p.n.is_some_and(|n| n > 1)),
            ("logprobs", p.logprobs == Some(true)),
            ("top_logprobs", p.top_logprobs.is_some_and(|n| n > 0)),
            ("logit_bias", p.logit_bias.as_ref().is_some_and(|raw| raw.as_str() != "{}")),
            ("prediction", p.prediction.is_some()),
            ("modalities", p.modalities.iter().any(|m| m != "text")),
            ("audio", p.audio.is_some()),
            ("image_config", p.image_config.is_some()),
            ("web_search_options", p.web_search_options.is_some()),
            ("prompt_cache_key", p.prompt_cache_key.is_some()),
            ("metadata", p.metadata.is_some()),
        ];
        for (name, asked) in rows {
            if asked {
                self.lose(name, WHY);
            }
        }
        for (name, raw) in &request.extra {
            match name.as_str() {
                "thinking" | "output_config" => {}
                known if KNOWN_EXTRA.contains(&known) => self.put(known, raw),
                _ => self.lose(name.clone(), WHY),
            }
        }
    }
}

fn extra<'r>(request: &'r Request, name: &str) -> Option<&'r Raw> {
    request.extra.iter().find(|(key, raw)| key == name && raw.as_str().starts_with('{')).map(|(_, raw)| raw)
}

/// The members of `extra` that have not been `said` yet.
fn write_others(w: &mut Writer<'_>, extra: Option<&Raw>, said: &[&str]) {
    let Some(Ok(members)) = extra.map(|raw| Object::parse(raw.as_str(), "")) else { return };
    for (name, raw) in members.rest().filter(|(name, _)| !said.contains(&&**name)) {
        w.raw(&name, raw.get());
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
