//! What a caller of the Converse surface sends, told in the vocabulary. The model and whether to stream stand in the path.

use super::blocks::{self, Reader, only};
use crate::Malformed;
use crate::anthropic::request::{SCHEMA_NAME, place, thinking};
use crate::house;
use crate::object::{Object, below, is_object, read};
use serde_json::value::RawValue;
use slip_ir::request::Function;
use slip_ir::{Dialect, Effort, Format, Loss, Raw, Reasoning, Request, Role, Tool, ToolChoice, Turn};

pub fn decode(body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::new("", "the body is not UTF-8"))?;
    let mut o = Object::parse(text, "")?;
    let mut losses = Vec::new();
    let mut request = Request::default();

    if let Some(items) = o.array("system", "")? {
        let blocks = Reader::new(false, &mut losses).content(items, "system")?;
        if !blocks.is_empty() {
            request.turns.push(Turn::new(Role::System, blocks));
        }
    }
    let messages = o.array("messages", "")?.ok_or_else(|| Malformed::new("messages", "is required"))?;
    if messages.is_empty() {
        return Err(Malformed::new("messages", "needs at least one message"));
    }
    for (n, raw) in messages.into_iter().enumerate() {
        message(raw, &format!("messages[{n}]"), &mut request.turns, &mut losses)?;
    }
    if let Some(config) = o.object("toolConfig", "")? {
        tools(config, &mut request, &mut losses)?;
    }
    if let Some(config) = o.object("inferenceConfig", "")? {
        inference(config, &mut request, &mut losses)?;
    }
    if let Some(fields) = o.object("additionalModelRequestFields", "")? {
        additional(fields, &mut request)?;
    }
    if let Some(config) = o.object("outputConfig", "")? {
        output(config, &mut request, &mut losses)?;
    }
    if let Some(mut tier) = o.object("serviceTier", "")? {
        request.params.service_tier = tier.string("type", "serviceTier")?;
    }
    request.params.metadata =
        o.take("requestMetadata").filter(|raw| is_object(raw)).and_then(|raw| Raw::parse(raw.get()));
    for name in ["modelId"].into_iter().chain(house::MEMBERS) {
        o.take(name);
    }
    for (name, raw) in o.rest() {
        request.extra.extend(Raw::parse(raw.get()).map(|raw| (name.into_owned(), raw)));
    }
    Ok((request, losses))
}

fn message(raw: &RawValue, at: &str, turns: &mut Vec<Turn>, losses: &mut Vec<Loss>) -> Result<(), Malformed> {
    let mut o = Object::parse(raw.get(), at)?;
    let role = match o.required("role", at)?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(Malformed::new(below(at, "role"), "must be user or assistant")),
    };
    let items = o.array("content", at)?.ok_or_else(|| Malformed::new(below(at, "content"), "is required"))?;
    let blocks = Reader::new(role == Role::Assistant, losses).content(items, &below(at, "content"))?;
    losses.extend(o.rest().map(|(name, _)| Loss::new(below(at, &name), "not a member we know")));
    place(turns, role, blocks);
    Ok(())
}

fn tools(mut o: Object<'_>, request: &mut Request, losses: &mut Vec<Loss>) -> Result<(), Malformed> {
    const AT: &str = "toolConfig";
    for (n, raw) in o.array("tools", AT)?.unwrap_or_default().into_iter().enumerate() {
        let at = format!("toolConfig.tools[{n}]");
        match only(raw, &at)? {
            (kind, inner) if kind == "toolSpec" => request.tools.push(function(inner, &below(&at, "toolSpec"))?),
            (kind, inner) if kind == "cachePoint" => match request.tools.last_mut() {
                Some(Tool::Function(function)) => function.cache = Some(blocks::cache(inner, &at)?),
                _ => losses.push(Loss::new(at, "there is nothing before it to be cached")),
            },
            _ => request.tools.extend(Raw::parse(raw.get()).map(|raw| Tool::Opaque { dialect: Dialect::Bedrock, raw })),
        }
    }
    if let Some(raw) = o.take("toolChoice") {
        const AT: &str = "toolConfig.toolChoice";
        let (kind, inner) = only(raw, AT)?;
        request.tool_choice = Some(match &*kind {
            "auto" => ToolChoice::Auto,
            "any" => ToolChoice::Required,
            "tool" => ToolChoice::Named(Object::parse(inner.get(), AT)?.required("name", &below(AT, "tool"))?),
            _ => return Err(Malformed::new(AT, "must be auto, any or tool")),
        });
    }
    losses.extend(o.rest().map(|(name, _)| Loss::new(below(AT, &name), "not a member we know")));
    Ok(())
}

fn function(raw: &RawValue, at: &str) -> Result<Tool, Malformed> {
    let mut o = Object::parse(raw.get(), at)?;
    let name = o.required("name", at)?;
    let within = below(at, "inputSchema");
    let parameters = match o.object("inputSchema", at)?.and_then(|mut schema| schema.take("json")) {
        Some(schema) if is_object(schema) => Raw::parse(schema.get()),
        Some(_) => return Err(Malformed::new(below(&within, "json"), "must be an object")),
        None => None,
    };
    Ok(Tool::Function(Function {
        name,
        description: o.string("description", at)?,
        parameters,
        strict: o.bool("strict", at)?,
        cache: None,
        extra: o.rest_object(),
    }))
}

fn inference(mut o: Object<'_>, request: &mut Request, losses: &mut Vec<Loss>) -> Result<(), Malformed> {
    const AT: &str = "inferenceConfig";
    let p = &mut request.params;
    p.max_tokens = o.count("maxTokens", AT)?;
    p.temperature = o.number("temperature", AT)?;
    p.top_p = o.number("topP", AT)?;
    for (n, raw) in o.array("stopSequences", AT)?.unwrap_or_default().into_iter().enumerate() {
        p.stop.push(read(raw, &format!("{AT}.stopSequences[{n}]"), "a string")?);
    }
    losses.extend(o.rest().map(|(name, _)| Loss::new(below(AT, &name), "not a member we know")));
    Ok(())
}

fn output(mut o: Object<'_>, request: &mut Request, losses: &mut Vec<Loss>) -> Result<(), Malformed> {
    const AT: &str = "outputConfig.textFormat.structure.jsonSchema";
    if let Some(effort) = o.string("effort", "outputConfig")?.as_deref().and_then(Effort::parse) {
        request.reasoning.get_or_insert_default().effort = Some(effort);
    }
    if let Some(mut format) = o.object("textFormat", "outputConfig")? {
        let structure = format.object("structure", "outputConfig.textFormat")?.unwrap_or_default();
        let mut structure = structure;
        if let Some(mut schema) = structure.object("jsonSchema", "outputConfig.textFormat.structure")? {
            let text = schema.required("schema", AT)?;
            let parsed = Raw::parse(text).filter(|raw| raw.as_str().trim_start().starts_with('{'));
            request.format = Some(Format::JsonSchema {
                name: schema.string("name", AT)?.unwrap_or_else(|| SCHEMA_NAME.to_owned()),
                schema: parsed
                    .ok_or_else(|| Malformed::new(below(AT, "schema"), "must be a JSON Schema in a string"))?,
                strict: None,
                description: schema.string("description", AT)?,
            });
        }
    }
    losses.extend(o.rest().map(|(name, _)| Loss::new(below("outputConfig", &name), "not a member we know")));
    Ok(())
}

/// What families of models take beside Converse's own words, where the vocabulary has a word for it.
fn additional(mut o: Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    const AT: &str = "additionalModelRequestFields";
    if let Some(object) = o.object("thinking", AT)? {
        let (reasoning, rest) = thinking(object)?;
        request.reasoning = Some(reasoning);
        request.extra.extend(rest.map(|raw| ("thinking".to_owned(), raw)));
    }
    if let Some(mut config) = o.object("output_config", AT)?
        && let Some(effort) = config.string("effort", AT)?.as_deref().and_then(Effort::parse)
    {
        request.reasoning.get_or_insert_default().effort = Some(effort);
    }
    if let Some(effort) = o.string("reasoning_effort", AT)?.as_deref().and_then(Effort::parse) {
        request.reasoning = Some(Reasoning { effort: Some(effort), ..Reasoning::default() });
    }
    if let Some(mut config) = o.object("reasoningConfig", AT)? {
        let enabled = config.string("type", AT)?.map(|word| word == "enabled");
        let effort = config.string("maxReasoningEffort", AT)?.as_deref().and_then(Effort::parse);
        request.reasoning = Some(Reasoning { effort, enabled, ..Reasoning::default() });
    }
    request.params.top_k = match o.number("top_k", AT)? {
        Some(top_k) => Some(top_k),
        None => o.number("k", AT)?,
    };
    if let Some(mut config) = o.object("inferenceConfig", AT)?
        && let Some(top_k) = config.number("topK", AT)?
    {
        request.params.top_k = Some(top_k);
    }
    if let Some(mut choice) = o.object("tool_choice", AT)?
        && choice.bool("disable_parallel_tool_use", AT)? == Some(true)
    {
        request.parallel_tool_calls = Some(false);
    }
    request.extra.extend(o.rest_object().map(|raw| (AT.to_owned(), raw)));
    Ok(())
}
