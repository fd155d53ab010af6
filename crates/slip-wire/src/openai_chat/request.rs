//! A caller's chat request, read into what it means.

use super::message::{Messages, cache};
use super::node::{Members, Node};
use crate::Malformed;
use crate::house;
use slip_ir::request::Function;
use slip_ir::{Dialect, Effort, Format, Loss, Reasoning, Request, Tool, ToolChoice};

/// Members this house acts on by itself before a request is decoded; they mean nothing to an upstream.
const HOUSE: [&str; 4] = ["usage", "stream_options", "structured_outputs", "prompt_cache_options"];

pub(super) fn decode(body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
    let root = Node::root(body)?;
    let top = root.members()?;
    let (mut request, mut losses) = wishes(&top, &["messages"])?;
    let messages = top.need("messages", "an array of messages")?;
    let mut read = Messages::default();
    for message in messages.items()? {
        read.read(&message)?;
    }
    if read.turns.is_empty() {
        return Err(messages.wrong("expected at least one message"));
    }
    request.turns = read.turns;
    losses.extend(read.losses);
    Ok((request, losses))
}

/// Everything beside the conversation, which a relative of this dialect says in the same words. Members to `skip` are read by
/// whoever asks.
pub(crate) fn wishes(top: &Members<'_>, skip: &[&str]) -> Result<(Request, Vec<Loss>), Malformed> {
    let mut reading = Reading::default();
    for (key, node) in top.iter().filter(|(key, _)| !skip.contains(key)) {
        reading.member(key, &node)?;
    }
    let mut request = reading.request;
    request.tools.extend(reading.old_tools);
    request.tool_choice = request.tool_choice.or(reading.old_choice);
    request.params.max_tokens = reading.completion_cap.or(request.params.max_tokens);
    if let Some(effort) = reading.effort {
        let reasoning = request.reasoning.get_or_insert_default();
        reasoning.effort = reasoning.effort.or(Some(effort));
    }
    if let Some(shown) = reading.shown {
        let reasoning = request.reasoning.get_or_insert_default();
        reasoning.exclude |= !shown;
    }
    Ok((request, reading.losses))
}

/// What has been read so far; the aliases wait until the members they stand for have been seen.
#[derive(Default)]
struct Reading {
    request: Request,
    losses: Vec<Loss>,
    old_tools: Vec<Tool>,
    old_choice: Option<ToolChoice>,
    /// `max_completion_tokens`, which beats `max_tokens`.
    completion_cap: Option<u64>,
    /// `reasoning_effort`
    effort: Option<Effort>,
    /// `include_reasoning`
    shown: Option<bool>,
}

impl Reading {
    fn member(&mut self, key: &str, node: &Node<'_>) -> Result<(), Malformed> {
        let request = &mut self.request;
        let params = &mut request.params;
        match key {
            "model" => request.model = node.string()?,
            "stream" => request.stream = node.bool()?,
            "max_tokens" => params.max_tokens = Some(node.count()?),
            "max_completion_tokens" => self.completion_cap = Some(node.count()?),
            "temperature" => params.temperature = Some(node.number()?),
            "top_p" => params.top_p = Some(node.number()?),
            "top_k" => params.top_k = Some(node.number()?),
            "min_p" => params.min_p = Some(node.number()?),
            "top_a" => params.top_a = Some(node.number()?),
            "frequency_penalty" => params.frequency_penalty = Some(node.number()?),
            "presence_penalty" => params.presence_penalty = Some(node.number()?),
            "repetition_penalty" => params.repetition_penalty = Some(node.number()?),
            "seed" => params.seed = Some(node.integer()?),
            "stop" => params.stop = strings(node)?,
            "n" => params.n = Some(node.small()?),
            "logprobs" => params.logprobs = Some(node.bool()?),
            "top_logprobs" => params.top_logprobs = Some(node.small()?),
            "logit_bias" => params.logit_bias = Some(node.raw_object()?),
            "user" => params.user = Some(node.string()?),
            "verbosity" => params.verbosity = Some(node.string()?),
            "service_tier" => params.service_tier = Some(node.string()?),
            "prediction" => params.prediction = Some(node.raw_object()?),
            "modalities" => {
                params.modalities = strings(node)?.into_iter().map(|m| m.to_ascii_lowercase()).collect();
            }
            "audio" => params.audio = Some(node.raw_object()?),
            "image_config" => params.image_config = Some(node.raw_object()?),
            "web_search_options" => params.web_search_options = Some(node.raw_object()?),
            "prompt_cache_key" => params.prompt_cache_key = Some(node.string()?),
            "cache_control" => params.cache = Some(cache(&Some(*node))?),
            "metadata" => params.metadata = Some(node.raw_object()?),
            "tools" => {
                for item in node.items()? {
                    request.tools.push(tool(&item)?);
                }
            }
            "functions" => {
                for item in node.items()? {
                    self.old_tools.push(Tool::Function(function(&item)?));
                }
            }
            "tool_choice" => request.tool_choice = choice(node, &mut self.losses)?,
            "function_call" => self.old_choice = choice(node, &mut self.losses)?,
            "parallel_tool_calls" => request.parallel_tool_calls = Some(node.bool()?),
            "response_format" => request.format = Some(format(node)?),
            "reasoning" => request.reasoning = Some(reasoning(node, &mut self.losses)?),
            "reasoning_effort" => self.effort = Some(effort(node)?),
            "include_reasoning" => self.shown = Some(node.bool()?),
            ours if HOUSE.contains(&ours) || house::is_ours(ours) => {}
            unknown => request.extra.push((unknown.to_owned(), node.raw()?)),
        }
        Ok(())
    }
}

/// A string or an array of strings.
pub(crate) fn strings(node: &Node<'_>) -> Result<Vec<String>, Malformed> {
    if node.is_string() {
        return Ok(vec![node.string()?]);
    }
    if !node.is_array() {
        return Err(node.expected("a string or an array of strings"));
    }
    node.items()?.iter().map(Node::string).collect()
}

pub(crate) fn tool(node: &Node<'_>) -> Result<Tool, Malformed> {
    let members = node.members()?;
    let kind = members.get("type").map(|kind| kind.string()).transpose()?;
    if kind.as_deref().unwrap_or("function") != "function" {
        return Ok(Tool::Opaque { dialect: Dialect::OpenAiChat, raw: node.raw()? });
    }
    // Some clients write the function's members beside `type`, as the Responses API does.
    let mut function = match members.get("function") {
        Some(inner) => function(&inner)?,
        None if members.get("name").is_some() => function(node)?,
        None => return Err(node.lacks("function", "an object")),
    };
    if let Some(mark) = members.get("cache_control") {
        function.cache = Some(cache(&Some(mark))?);
    }
    Ok(Tool::Function(function))
}

fn function(node: &Node<'_>) -> Result<Function, Malformed> {
    let members = node.members()?;
    Ok(Function {
        name: members.need("name", "a string")?.string()?,
        description: members.string("description")?,
        parameters: members.get("parameters").map(|p| p.raw_object()).transpose()?,
        strict: members.get("strict").map(|s| s.bool()).transpose()?,
        cache: members.get("cache_control").map(|mark| cache(&Some(mark))).transpose()?,
        extra: members.rest(&["type", "name", "description", "parameters", "strict", "cache_control"]),
    })
}

pub(crate) fn choice(node: &Node<'_>, losses: &mut Vec<Loss>) -> Result<Option<ToolChoice>, Malformed> {
    let word = |word: &str| match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" | "any" => Some(ToolChoice::Required),
        _ => None,
    };
    if node.is_string() {
        let text = node.text()?;
        let known = word(&text);
        return match known {
            Some(choice) => Ok(Some(choice)),
            None => Err(node.wrong(format!("expected none, auto, required or a function, found: {text}"))),
        };
    }
    if !node.is_object() {
        return Err(node.expected("a string or an object"));
    }
    let members = node.members()?;
    for holder in ["function", "custom"] {
        if let Some(inner) = members.get(holder) {
            return Ok(Some(ToolChoice::Named(inner.members()?.need("name", "a string")?.string()?)));
        }
    }
    if let Some(name) = members.get("name") {
        return Ok(Some(ToolChoice::Named(name.string()?)));
    }
    let kind = members.need("type", "a string")?;
    let kind = kind.text()?;
    if let Some(choice) = word(&kind) {
        return Ok(Some(choice));
    }
    losses.push(Loss::new("tool_choice", format!("this kind of choice has no translation: {kind}")));
    let mode = members.get("allowed_tools").and_then(|a| a.members_if_any().string("mode").ok().flatten());
    Ok(mode.and_then(|mode| word(&mode)))
}

pub(crate) fn format(node: &Node<'_>) -> Result<Format, Malformed> {
    let members = node.members()?;
    let kind = members.need("type", "a string")?;
    Ok(match &*kind.text()? {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let inner = members.need("json_schema", "an object")?;
            let inner = inner.members()?;
            Format::JsonSchema {
                name: inner.string("name")?.unwrap_or_else(|| "response".to_owned()),
                schema: inner.need("schema", "an object")?.raw()?,
                strict: inner.get("strict").map(|s| s.bool()).transpose()?,
                description: inner.string("description")?,
            }
        }
        _ => Format::Opaque { dialect: Dialect::OpenAiChat, raw: node.raw()? },
    })
}

fn reasoning(node: &Node<'_>, losses: &mut Vec<Loss>) -> Result<Reasoning, Malformed> {
    let mut wish = Reasoning::default();
    for (key, node) in node.members()?.iter() {
        match key {
            "effort" => wish.effort = Some(effort(&node)?),
            "max_tokens" => wish.budget = Some(node.count()?),
            "exclude" => wish.exclude = node.bool()?,
            "enabled" => wish.enabled = Some(node.bool()?),
            "summary" => wish.summary = Some(node.string()?),
            other => losses.push(Loss::new(format!("reasoning.{other}"), "not understood")),
        }
    }
    Ok(wish)
}

pub(crate) fn effort(node: &Node<'_>) -> Result<Effort, Malformed> {
    let text = node.text()?;
    Effort::parse(&text).ok_or_else(|| {
        let known = Effort::ALL.map(Effort::name).join(", ");
        node.wrong(format!("expected one of {known}, found: {text}"))
    })
}
