//! A request, written the way one OpenAI-shaped upstream wants it.

use super::shapes::{foreign_tool, lower_format, tool_type, write_format, write_function};
use super::turns;
use super::write::{Obj, object};
use crate::Quirks;
use crate::quirks::{MaxTokens, ReasoningStyle};
use bytes::BytesMut;
use slip_ir::{Cache, Dialect, Effort, Loss, Raw, Reasoning, Request, Tool, ToolChoice};
use std::borrow::Cow;

/// What a model is assumed to be allowed to say when a thinking budget must be compared with an effort and nobody gave a cap.
const ASSUMED_MAX_TOKENS: u64 = 16_384;

pub(super) fn encode(request: &Request, quirks: &Quirks) -> (Vec<u8>, Vec<Loss>) {
    let mut losses = Losses::default();
    let mut out = BytesMut::with_capacity(4096);
    let format = lower_format(request.format.as_ref(), quirks, &mut losses);
    object(&mut out, |o| {
        let mut top = Top { o, quirks, written: Vec::new(), losses: &mut losses };
        top.o.str("model", &request.model);
        turns::write(top.o.key("messages"), &request.turns, quirks, top.losses);
        stream(&mut top, request);
        params(&mut top, request);
        tools(&mut top, request);
        if let Some(format) = format {
            top.put("response_format", |o, key| write_format(o, key, &format));
        }
        reasoning(&mut top, request);
        extra(&mut top, &request.extra);
    });
    (Vec::from(out), losses.0)
}

/// Losses, each told once.
#[derive(Default)]
pub(crate) struct Losses(pub(crate) Vec<Loss>);

impl Losses {
    pub(crate) fn push(&mut self, what: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) {
        let loss = Loss::new(what, why);
        if !self.0.contains(&loss) {
            self.0.push(loss);
        }
    }
}

/// The top-level object: knows what the upstream refuses and what has been written.
pub(crate) struct Top<'a, 'b> {
    pub(crate) o: &'a mut Obj<'b, BytesMut>,
    pub(crate) quirks: &'a Quirks,
    pub(crate) written: Vec<&'static str>,
    pub(crate) losses: &'a mut Losses,
}

impl<'b> Top<'_, 'b> {
    /// May this member be written? Then it counts as written.
    fn allows(&mut self, key: &'static str) -> bool {
        let refused = self.quirks.refuses(key);
        if refused {
            self.losses.push(key, "this provider refuses it");
        } else {
            self.written.push(key);
        }
        !refused
    }

    pub(crate) fn put(&mut self, key: &'static str, write: impl FnOnce(&mut Obj<'b, BytesMut>, &str)) {
        if self.allows(key) {
            write(self.o, key);
        }
    }

    fn raw(&mut self, key: &'static str, value: &Option<Raw>) {
        if let Some(value) = value {
            self.put(key, |o, key| o.raw(key, value));
        }
    }

    pub(crate) fn shown(&mut self, key: &'static str, value: &Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.put(key, |o, key| o.shown(key, value));
        }
    }

    fn str(&mut self, key: &'static str, value: &Option<String>) {
        if let Some(value) = value {
            self.put(key, |o, key| o.str(key, value));
        }
    }

    fn strs(&mut self, key: &'static str, values: &[String]) {
        if !values.is_empty() {
            self.put(key, |o, key| o.arr(key, |a| values.iter().for_each(|v| a.str(v))));
        }
    }
}

pub(crate) fn stream(top: &mut Top<'_, '_>, request: &Request) {
    if request.stream {
        top.put("stream", |o, key| o.bool(key, true));
        if top.quirks.stream_options {
            top.put("stream_options", |o, key| o.obj(key, |o| o.bool("include_usage", true)));
        }
    }
}

pub(crate) fn params(top: &mut Top<'_, '_>, request: &Request) {
    let p = &request.params;
    let cap = match top.quirks.max_tokens {
        MaxTokens::Completion => "max_completion_tokens",
        MaxTokens::Plain | MaxTokens::AsSent => "max_tokens",
    };
    top.shown(cap, &p.max_tokens);
    top.shown("temperature", &p.temperature);
    top.shown("top_p", &p.top_p);
    top.shown("top_k", &p.top_k);
    top.shown("min_p", &p.min_p);
    top.shown("top_a", &p.top_a);
    top.shown("frequency_penalty", &p.frequency_penalty);
    top.shown("presence_penalty", &p.presence_penalty);
    top.shown("repetition_penalty", &p.repetition_penalty);
    top.shown("seed", &p.seed);
    top.strs("stop", &p.stop);
    top.shown("n", &p.n);
    top.shown("logprobs", &p.logprobs);
    top.shown("top_logprobs", &p.top_logprobs);
    top.raw("logit_bias", &p.logit_bias);
    top.str("user", &p.user);
    top.str("verbosity", &p.verbosity);
    top.str("service_tier", &p.service_tier);
    top.raw("prediction", &p.prediction);
    top.strs("modalities", &p.modalities);
    top.raw("audio", &p.audio);
    top.raw("image_config", &p.image_config);
    top.raw("web_search_options", &p.web_search_options);
    top.str("prompt_cache_key", &p.prompt_cache_key);
    if let Some(cache) = &p.cache {
        if top.quirks.cache_control {
            top.put("cache_control", |o, key| write_cache(o, key, cache));
        } else {
            top.losses.push("cache_control", NO_CACHE_CONTROL);
        }
    }
    top.raw("metadata", &p.metadata);
}

pub(crate) const NO_CACHE_CONTROL: &str = "this provider has no cache breakpoints";

pub(super) fn write_cache(o: &mut Obj<'_, BytesMut>, key: &str, cache: &Cache) {
    o.obj(key, |o| {
        o.str("type", "ephemeral");
        o.opt_str("ttl", cache.ttl.as_deref());
    });
}

fn tools(top: &mut Top<'_, '_>, request: &Request) {
    let quirks = top.quirks;
    let mut kept = Vec::new();
    for tool in &request.tools {
        match tool {
            Tool::Function(_) => kept.push(tool),
            Tool::Opaque { dialect: Dialect::OpenAiChat, raw } => {
                let kind = tool_type(raw);
                // Tools named after this kind of router are run by the router; a plain provider would refuse the request.
                if quirks.router || quirks.server_tools || !kind.starts_with("openrouter:") {
                    kept.push(tool);
                } else {
                    top.losses.push(format!("tools: {kind}"), "no one here runs this tool");
                }
            }
            Tool::Opaque { dialect, raw } => foreign_tool(*dialect, raw, top.losses),
        }
    }
    if kept.is_empty() {
        // Both members are refused upstream when there are no tools.
        if matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
            top.losses.push("tool_choice", "there are no tools to choose from");
        }
        return;
    }
    if top.allows("tools") {
        let Top { o, losses, .. } = top;
        o.arr("tools", |a| {
            for tool in kept {
                match tool {
                    Tool::Function(function) => a.obj(|o| write_function(o, function, quirks, losses)),
                    Tool::Opaque { raw, .. } => a.raw(raw),
                }
            }
        });
    }
    if let Some(choice) = &request.tool_choice {
        top.put("tool_choice", |o, key| match choice {
            ToolChoice::Auto => o.str(key, "auto"),
            ToolChoice::None => o.str(key, "none"),
            ToolChoice::Required => o.str(key, &quirks.tool_choice_required),
            ToolChoice::Named(name) => o.obj(key, |o| {
                o.str("type", "function");
                o.obj("function", |o| o.str("name", name));
            }),
        });
    }
    top.shown("parallel_tool_calls", &request.parallel_tool_calls);
}

pub(crate) fn reasoning(top: &mut Top<'_, '_>, request: &Request) {
    let Some(wish) = &request.reasoning else { return };
    let max_tokens = request.params.max_tokens;
    let (off, said) = (wish.is_off(), wish.is_said());
    if wish.summary.is_some() && top.quirks.reasoning != ReasoningStyle::Object {
        top.losses.push("reasoning.summary", "this provider cannot be told");
    }
    match top.quirks.reasoning {
        ReasoningStyle::Object => top.put("reasoning", |o, key| {
            o.obj(key, |o| {
                o.opt_str("effort", wish.effort.map(Effort::name));
                if let Some(budget) = wish.budget {
                    o.num("max_tokens", budget);
                }
                if wish.exclude {
                    o.bool("exclude", true);
                }
                if let Some(enabled) = wish.enabled.or((wish.adaptive && wish.effort.is_none()).then_some(true)) {
                    o.bool("enabled", enabled);
                }
                o.opt_str("summary", wish.summary.as_deref());
            });
        }),
        ReasoningStyle::Effort => {
            if let Some(effort) = effort_of(wish, max_tokens, top.losses) {
                top.put("reasoning_effort", |o, key| o.str(key, effort.name()));
            }
        }
        ReasoningStyle::Thinking if said => {
            spoken_effort_is_lost(wish, off, top.losses);
            top.put("thinking", |o, key| {
                o.obj(key, |o| {
                    o.str("type", if off { "disabled" } else { "enabled" });
                    if let Some(budget) = wish.budget.filter(|_| !off) {
                        o.num("budget_tokens", budget);
                    }
                });
            });
        }
        ReasoningStyle::EnableThinking if said => {
            spoken_effort_is_lost(wish, off, top.losses);
            top.put("enable_thinking", |o, key| o.bool(key, !off));
            if let Some(budget) = wish.budget.filter(|_| !off) {
                top.put("thinking_budget", |o, key| o.num(key, budget));
            }
        }
        ReasoningStyle::Unsaid if said => top.losses.push("reasoning", "this provider cannot be told"),
        ReasoningStyle::Thinking | ReasoningStyle::EnableThinking | ReasoningStyle::Unsaid => {}
    }
}

fn spoken_effort_is_lost(wish: &Reasoning, off: bool, losses: &mut Losses) {
    if let Some(effort) = wish.effort.filter(|_| !off) {
        let why = format!("this provider can only be told whether to think, not how much: {}", effort.name());
        losses.push("reasoning.effort", why);
    }
}

/// The wish as one level.
fn effort_of(wish: &Reasoning, max_tokens: Option<u64>, losses: &mut Losses) -> Option<Effort> {
    if wish.is_off() {
        return Some(Effort::None);
    }
    match (wish.effort, wish.budget) {
        // `max` is the house's word; the dialect's highest is `xhigh`.
        (Some(Effort::Max), _) => {
            losses.push("reasoning.effort", "told as xhigh: max");
            Some(Effort::XHigh)
        }
        (Some(effort), _) => Some(effort),
        (None, Some(budget)) => {
            let cap = max_tokens.unwrap_or(ASSUMED_MAX_TOKENS.max(budget));
            let levels = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
            let nearest = levels.into_iter().min_by_key(|level| level.budget(cap).abs_diff(budget))?;
            losses.push("reasoning.max_tokens", format!("told as the nearest effort: {}", nearest.name()));
            Some(nearest)
        }
        (None, None) => (wish.enabled == Some(true) || wish.adaptive).then_some(Effort::Medium),
    }
}

pub(crate) fn extra(top: &mut Top<'_, '_>, extra: &[(String, Raw)]) {
    for (key, value) in extra {
        if top.quirks.refuses(key) {
            top.losses.push(key.clone(), "this provider refuses it");
        } else if top.written.contains(&key.as_str()) || matches!(key.as_str(), "model" | "messages") {
            top.losses.push(key.clone(), "said already in another way");
        } else {
            top.o.raw(key, value);
        }
    }
}
