//! A caller's request, read into what it means. Without `stream` it is streamed.

use super::{Door, options};
use crate::Malformed;
use crate::openai_chat::media;
use crate::openai_chat::node::{Members, Node};
use crate::openai_chat::request::tool;
use slip_ir::request::format;
use slip_ir::{
    Block, Effort, Format, Loss, MediaKind, Reasoning, Request, Role, Source, Thinking, ToolCall, ToolResult, Turn,
};
use std::collections::VecDeque;

pub(super) fn decode(door: Door, body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
    let root = Node::root(body)?;
    let top = root.members()?;
    let mut request = Request { stream: true, ..Request::default() };
    for (key, node) in top.iter() {
        member(key, &node, &mut request)?;
    }
    request.turns = match door {
        Door::Chat => messages(&top)?,
        Door::Generate => prompt(&top)?,
    };
    Ok((request, Vec::new()))
}

fn member(key: &str, node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    match key {
        "messages" | "prompt" | "system" | "images" => {}
        "model" => request.model = node.string()?,
        "stream" => request.stream = node.bool()?,
        "tools" => {
            for item in node.items()? {
                request.tools.push(tool(&item)?);
            }
        }
        "format" => request.format = shape(node)?,
        "think" => request.reasoning = Some(think(node)?),
        "options" => {
            if let Some(rest) = options::read(node, &mut request.params)? {
                request.extra.push(("options".to_owned(), rest));
            }
        }
        "logprobs" => request.params.logprobs = Some(node.bool()?),
        "top_logprobs" => request.params.top_logprobs = Some(node.small()?),
        ours if crate::house::is_ours(ours) => {}
        // Its libraries send these empty when nothing was said.
        _ if matches!(node.span(), b"\"\"" | b"[]" | b"{}" | b"false") => {}
        unknown => request.extra.push((unknown.to_owned(), node.raw()?)),
    }
    Ok(())
}

/// `"json"` or a schema; empty says nothing.
fn shape(node: &Node<'_>) -> Result<Option<Format>, Malformed> {
    if node.is_object() {
        let name = "response".to_owned();
        return Ok(Some(Format::JsonSchema { name, schema: node.raw()?, strict: None, description: None }));
    }
    match &*node.text()? {
        "" => Ok(None),
        "json" => Ok(Some(Format::JsonObject)),
        other => Err(node.wrong(format!("expected \"json\" or a JSON schema, found: {}", crate::json::shown(other)))),
    }
}

fn think(node: &Node<'_>) -> Result<Reasoning, Malformed> {
    if !node.is_string() {
        return Ok(Reasoning { enabled: Some(node.bool()?), ..Reasoning::default() });
    }
    let word = node.text()?;
    match Effort::parse(&word) {
        Some(effort) => Ok(Reasoning { effort: Some(effort), ..Reasoning::default() }),
        None => {
            Err(node.wrong(format!("expected a boolean, low, medium or high, found: {}", crate::json::shown(&word))))
        }
    }
}

/// None at all only loads the model.
fn messages(top: &Members<'_>) -> Result<Vec<Turn>, Malformed> {
    let Some(list) = top.get("messages") else { return Ok(Vec::new()) };
    let mut turns: Vec<Turn> = Vec::new();
    // Calls not answered yet, by tool name: results are matched by name where they carry no id.
    let mut open: VecDeque<(String, String)> = VecDeque::new();
    for node in list.items()? {
        let message = node.members()?;
        let role = message.need("role", "a string")?;
        let role = match &*role.text()? {
            "system" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            other => {
                let other = crate::json::shown(other);
                return Err(role.wrong(format!("expected system, user, assistant or tool, found: {other}")));
            }
        };
        if role == Role::Tool {
            let result = Block::ToolResult(result(&message, &mut open)?);
            match turns.last_mut() {
                Some(turn) if turn.role == Role::Tool => turn.blocks.push(result),
                _ => turns.push(Turn::new(Role::Tool, vec![result])),
            }
            continue;
        }
        let mut blocks = Vec::new();
        if let Some(text) = message.string("thinking")?.filter(|text| !text.is_empty()) {
            let format = format::UNKNOWN.to_owned();
            blocks.push(Block::Thinking(Thinking { text, format, ..Thinking::default() }));
        }
        said(&message, &mut blocks)?;
        if let Some(calls) = message.get("tool_calls") {
            for call in calls.items()? {
                let call = tool_call(&call)?;
                open.push_back((call.name.clone(), call.id.clone()));
                blocks.push(Block::ToolCall(call));
            }
        }
        turns.push(Turn::new(role, blocks));
    }
    Ok(turns)
}

/// The text and pictures of a message, a result or a prompt.
fn said(message: &Members<'_>, blocks: &mut Vec<Block>) -> Result<(), Malformed> {
    if let Some(text) = message.string("content")?.filter(|text| !text.is_empty()) {
        blocks.push(Block::text(text));
    }
    pictures(message, blocks)
}

fn pictures(members: &Members<'_>, blocks: &mut Vec<Block>) -> Result<(), Malformed> {
    let Some(images) = members.get("images") else { return Ok(()) };
    for image in images.items()? {
        let text = image.text()?;
        let source = if text.starts_with("data:") {
            media::from_url(&text)
        } else {
            let mime = media::sniff(&text).unwrap_or("image/png").to_owned();
            Source::Data { mime, base64: text.into_owned() }
        };
        blocks.push(Block::Media(media::new(MediaKind::Image, source)));
    }
    Ok(())
}

fn tool_call(node: &Node<'_>) -> Result<ToolCall, Malformed> {
    let call = node.members()?;
    let function = call.need("function", "an object")?;
    let function = function.members()?;
    let arguments = match function.get("arguments") {
        None => "{}".to_owned(),
        Some(text) if text.is_string() => text.string()?,
        Some(object) => object.raw_object()?.as_str().to_owned(),
    };
    Ok(ToolCall {
        id: call.string("id")?.unwrap_or_default(),
        name: function.need("name", "a string")?.string()?,
        arguments,
        ..ToolCall::default()
    })
}

fn result(message: &Members<'_>, open: &mut VecDeque<(String, String)>) -> Result<ToolResult, Malformed> {
    let named = message.string("tool_name")?.or(message.string("name")?).filter(|name| !name.is_empty());
    let mut id = message.string("tool_call_id")?.unwrap_or_default();
    let of_call = |(name, call): &(String, String)| match &named {
        _ if !id.is_empty() => *call == id,
        Some(named) => name == named,
        None => true,
    };
    let answered = open.iter().position(of_call).and_then(|at| open.remove(at));
    let mut name = named;
    if let Some((called, call)) = answered {
        name = name.or(Some(called));
        id = if id.is_empty() { call } else { id };
    }
    let mut content = Vec::new();
    said(message, &mut content)?;
    Ok(ToolResult { id, name, content, ..ToolResult::default() })
}

fn prompt(top: &Members<'_>) -> Result<Vec<Turn>, Malformed> {
    let mut turns = Vec::new();
    let mut blocks = Vec::new();
    if let Some(text) = top.string("prompt")?.filter(|text| !text.is_empty()) {
        blocks.push(Block::text(text));
    }
    pictures(top, &mut blocks)?;
    if blocks.is_empty() {
        return Ok(turns);
    }
    if let Some(text) = top.string("system")?.filter(|text| !text.is_empty()) {
        turns.push(Turn::new(Role::System, vec![Block::text(text)]));
    }
    turns.push(Turn::new(Role::User, blocks));
    Ok(turns)
}
