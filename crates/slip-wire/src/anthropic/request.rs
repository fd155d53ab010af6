//! What a caller of the Messages surface sends, told in the vocabulary.

use super::blocks::{self, Reader};
use super::error::THREAD;
use crate::Malformed;
use crate::house;
use crate::object::{Object, Writer, below, is_object, read, to_raw};
use crate::seals::reunite;
use serde_json::value::RawValue;
use slip_ir::request::Function;
use slip_ir::{Block, Dialect, Effort, Format, Loss, Raw, Reasoning, Request, Role, Tool, ToolChoice, Turn};

/// Members the house reads for itself (routing, plugins, bookkeeping): understood elsewhere, never sent upstream.
const HOUSE: [&str; 3] = ["user", "usage", "include_reasoning"];

/// The name an OpenAI-shaped upstream is given for a schema that came without one.
pub const SCHEMA_NAME: &str = "output";

pub fn decode(body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::new("", "the body is not UTF-8"))?;
    let mut o = Object::parse(text, "")?;
    let mut losses = Vec::new();
    let mut request = Request {
        model: o.string("model", "")?.unwrap_or_default(),
        stream: o.bool("stream", "")?.unwrap_or(false),
        ..Request::default()
    };

    if let Some(raw) = o.take("system") {
        let blocks = system(raw, &mut losses)?;
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
    for (n, raw) in o.array("tools", "")?.unwrap_or_default().into_iter().enumerate() {
        request.tools.push(tool(raw, &format!("tools[{n}]"))?);
    }
    if let Some(choice) = o.object("tool_choice", "")? {
        tool_choice(choice, &mut request)?;
    }

    let p = &mut request.params;
    p.max_tokens = o.count("max_tokens", "")?;
    p.temperature = o.number("temperature", "")?;
    p.top_p = o.number("top_p", "")?;
    p.top_k = o.number("top_k", "")?;
    for (n, raw) in o.array("stop_sequences", "")?.unwrap_or_default().into_iter().enumerate() {
        p.stop.push(read(raw, &format!("stop_sequences[{n}]"), "a string")?);
    }
    p.service_tier = o.string("service_tier", "")?;
    p.cache = blocks::cache(&mut o, "")?;
    if let Some(mut metadata) = o.object("metadata", "")? {
        p.user = metadata.string("user_id", "metadata")?;
        losses.extend(metadata.rest().map(|(name, _)| Loss::new(below("metadata", &name), "not a member we know")));
    }
    if p.user.is_none() {
        p.user = o.string("user", "")?;
    }

    thinking_and_output(&mut o, &mut request)?;
    thread(&mut o)?;
    for name in HOUSE.into_iter().chain(house::MEMBERS) {
        o.take(name);
    }
    for (name, raw) in o.rest() {
        request.extra.extend(Raw::parse(raw.get()).map(|raw| (name.into_owned(), raw)));
    }
    Ok((request, losses))
}

/// A thread is a conversation that Anthropic keeps. Who begins one says all of it, and anybody can answer; who goes on with one leaves
/// out what nobody else knows.
fn thread(o: &mut Object<'_>) -> Result<(), Malformed> {
    let Some(mut thread) = o.object("thread", "")? else { return Ok(()) };
    match thread.string("type", "thread")?.as_deref() {
        Some("continue") => {
            Err(Malformed::new(THREAD, "this provider does not keep conversations: send all of it again"))
        }
        _ => Ok(()),
    }
}

fn system(raw: &RawValue, losses: &mut Vec<Loss>) -> Result<Vec<Block>, Malformed> {
    Reader::new(losses).content(raw, "system")
}

fn message(raw: &RawValue, at: &str, turns: &mut Vec<Turn>, losses: &mut Vec<Loss>) -> Result<(), Malformed> {
    let mut o = Object::parse(raw.get(), at)?;
    let role = match o.required("role", at)?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(Malformed::new(below(at, "role"), "must be user or assistant")),
    };
    let content = o.take("content").ok_or_else(|| Malformed::new(below(at, "content"), "is required"))?;
    let blocks = Reader::new(losses).content(content, &below(at, "content"))?;
    losses.extend(o.rest().map(|(name, _)| Loss::new(below(at, &name), "not a member we know")));
    place(turns, role, blocks);
    Ok(())
}

/// One message as turns of the normal form: a user's tool results are a turn of their own, before what else they say.
pub fn place(turns: &mut Vec<Turn>, role: Role, mut blocks: Vec<Block>) {
    match role {
        Role::Assistant => reunite(&mut blocks),
        Role::User => {
            let (results, others): (Vec<_>, Vec<_>) =
                blocks.into_iter().partition(|block| matches!(block, Block::ToolResult(_)));
            if !results.is_empty() {
                turns.push(Turn::new(Role::Tool, results));
                if others.is_empty() {
                    return;
                }
            }
            blocks = others;
        }
        _ => {}
    }
    turns.push(Turn::new(role, blocks));
}

fn tool(raw: &RawValue, at: &str) -> Result<Tool, Malformed> {
    let mut o = Object::parse(raw.get(), at)?;
    let kind = o.string("type", at)?;
    if kind.as_deref().is_some_and(|kind| kind != "custom") {
        return Raw::parse(raw.get())
            .map(|raw| Tool::Opaque { dialect: Dialect::Anthropic, raw })
            .ok_or_else(|| Malformed::new(at, "must be an object"));
    }
    Ok(Tool::Function(Function {
        name: o.required("name", at)?,
        description: o.string("description", at)?,
        parameters: match o.take("input_schema") {
            Some(schema) if is_object(schema) => Raw::parse(schema.get()),
            Some(_) => return Err(Malformed::new(below(at, "input_schema"), "must be an object")),
            None => None,
        },
        strict: o.bool("strict", at)?,
        cache: blocks::cache(&mut o, at)?,
        extra: o.rest_object(),
    }))
}

fn tool_choice(mut o: Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    const AT: &str = "tool_choice";
    request.tool_choice = Some(match o.required("type", AT)?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(o.required("name", AT)?),
        _ => return Err(Malformed::new("tool_choice.type", "must be auto, any, tool or none")),
    });
    if o.bool("disable_parallel_tool_use", AT)? == Some(true) {
        request.parallel_tool_calls = Some(false);
    }
    Ok(())
}

/// `thinking`, `output_config` and its predecessor `output_format`. What they say beyond the vocabulary stays in `extra` under
/// their own name. An effort without adaptive thinking stays there too: it does not ask for thinking, as an effort elsewhere does.
fn thinking_and_output(o: &mut Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    if let Some(thinking) = o.object("thinking", "")? {
        let (reasoning, rest) = self::thinking(thinking)?;
        request.reasoning = Some(reasoning);
        request.extra.extend(rest.map(|raw| ("thinking".to_owned(), raw)));
    }
    let mut config = o.object("output_config", "")?.unwrap_or_default();
    let format = match config.object("format", "output_config")? {
        Some(format) => Some(format),
        None => o.object("output_format", "")?,
    };
    if let Some(format) = format {
        request.format = Some(output_format(format)?);
    }
    let effort = config.string("effort", "output_config")?;
    let known = effort.as_deref().and_then(Effort::parse);
    if known.is_some() {
        request.reasoning.get_or_insert_default().effort = known;
    }
    let native = effort.filter(|_| known.is_none() || !request.reasoning.as_ref().is_some_and(|r| r.adaptive));
    let mut out = Vec::new();
    let mut rest = Writer::open(&mut out);
    let mut any = native.is_some();
    rest.put_some("effort", &native);
    for (name, raw) in config.rest() {
        rest.raw(&name, raw.get());
        any = true;
    }
    rest.close();
    if any {
        request.extra.extend(to_raw(out).map(|raw| ("output_config".to_owned(), raw)));
    }
    Ok(())
}

/// The `thinking` object, and what of it the vocabulary has no word for.
pub fn thinking(mut o: Object<'_>) -> Result<(Reasoning, Option<Raw>), Malformed> {
    const AT: &str = "thinking";
    let mut reasoning = Reasoning::default();
    match o.required("type", AT)?.as_str() {
        "enabled" => {
            reasoning.enabled = Some(true);
            reasoning.budget = o.count("budget_tokens", AT)?;
        }
        "disabled" => reasoning.enabled = Some(false),
        "adaptive" => {
            reasoning.enabled = Some(true);
            reasoning.adaptive = true;
        }
        _ => return Err(Malformed::new("thinking.type", "must be enabled, disabled or adaptive")),
    }
    match o.string("display", AT)?.as_deref() {
        Some("omitted") => reasoning.exclude = true,
        Some("summarized") => reasoning.summary = Some("auto".to_owned()),
        _ => {}
    }
    Ok((reasoning, o.rest_object()))
}

fn output_format(mut o: Object<'_>) -> Result<Format, Malformed> {
    const AT: &str = "output_config.format";
    let kind = o.required("type", AT)?;
    if kind == "json_schema" {
        let schema = o.take("schema").ok_or_else(|| Malformed::new(below(AT, "schema"), "is required"))?;
        let name = o.string("name", AT)?.unwrap_or_else(|| SCHEMA_NAME.to_owned());
        let schema =
            Raw::parse(schema.get()).ok_or_else(|| Malformed::new(below(AT, "schema"), "must be an object"))?;
        return Ok(Format::JsonSchema { name, schema, strict: None, description: None });
    }
    let mut out = Vec::new();
    let mut whole = Writer::open(&mut out);
    whole.put("type", &kind);
    for (name, raw) in o.rest() {
        whole.raw(&name, raw.get());
    }
    whole.close();
    to_raw(out)
        .map(|raw| Format::Opaque { dialect: Dialect::Anthropic, raw })
        .ok_or_else(|| Malformed::new(AT, "must be an object"))
}
