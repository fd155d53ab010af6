//! A caller's request, read into what it means.

use crate::Malformed;
use crate::openai_chat::media;
use crate::openai_chat::node::{Members, Node};
use crate::openai_chat::request::{strings, tool};
use slip_ir::request::format;
use slip_ir::{
    Block, Format, Loss, Media, MediaKind, Reasoning, Request, Role, Source, Thinking, Tool, ToolCall, ToolChoice,
    ToolResult, Turn,
};

pub(super) fn decode(body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
    let root = Node::root(body)?;
    let top = root.members()?;
    let mut request = Request::default();
    let mut strict = None;
    let mut documents = Vec::new();
    for (key, node) in top.iter() {
        match key {
            "strict_tools" => strict = Some(node.bool()?),
            "documents" => {
                for item in node.items()? {
                    documents.push(document(&item)?);
                }
            }
            _ => member(key, &node, &mut request)?,
        }
    }
    for tool in &mut request.tools {
        if let Tool::Function(function) = tool {
            function.strict = function.strict.or(strict);
        }
    }
    let messages = top.need("messages", "an array of messages")?;
    for message in messages.items()? {
        read(&message, &mut request.turns)?;
    }
    if request.turns.is_empty() {
        return Err(messages.wrong("expected at least one message"));
    }
    // What the answer shall rest on is part of the question.
    if let Some(turn) = request.turns.iter_mut().rev().find(|turn| turn.role == Role::User) {
        turn.blocks.splice(0..0, documents);
    }
    Ok((request, Vec::new()))
}

fn member(key: &str, node: &Node<'_>, request: &mut Request) -> Result<(), Malformed> {
    let params = &mut request.params;
    match key {
        "messages" => {}
        "model" => request.model = node.string()?,
        "stream" => request.stream = node.bool()?,
        "tools" => {
            for item in node.items()? {
                request.tools.push(tool(&item)?);
            }
        }
        "tool_choice" => {
            request.tool_choice = match &*node.text()? {
                "REQUIRED" | "required" => Some(ToolChoice::Required),
                "NONE" | "none" => Some(ToolChoice::None),
                other => {
                    let other = crate::json::shown(other);
                    return Err(node.wrong(format!("expected REQUIRED or NONE, found: {other}")));
                }
            }
        }
        "response_format" => request.format = Some(shape(node)?),
        "thinking" => request.reasoning = Some(thinking(node)?),
        "max_tokens" => params.max_tokens = Some(node.count()?),
        "stop_sequences" => params.stop = strings(node)?,
        "temperature" => params.temperature = Some(node.number()?),
        "seed" => params.seed = Some(node.integer()?),
        "frequency_penalty" => params.frequency_penalty = Some(node.number()?),
        "presence_penalty" => params.presence_penalty = Some(node.number()?),
        "k" => params.top_k = Some(node.number()?),
        "p" => params.top_p = Some(node.number()?),
        "logprobs" => params.logprobs = Some(node.bool()?),
        ours if crate::house::is_ours(ours) => {}
        unknown => request.extra.push((unknown.to_owned(), node.raw()?)),
    }
    Ok(())
}

fn shape(node: &Node<'_>) -> Result<Format, Malformed> {
    let members = node.members()?;
    let kind = members.need("type", "a string")?;
    let schema = members.get("json_schema").or(members.get("schema"));
    match (&*kind.text()?, schema) {
        ("text", _) => Ok(Format::Text),
        ("json_object", None) => Ok(Format::JsonObject),
        ("json_object", Some(schema)) => Ok(Format::JsonSchema {
            name: "response".to_owned(),
            schema: schema.raw_object()?,
            strict: None,
            description: None,
        }),
        (other, _) => {
            let other = crate::json::shown(other);
            Err(kind.wrong(format!("expected text or json_object, found: {other}")))
        }
    }
}

fn thinking(node: &Node<'_>) -> Result<Reasoning, Malformed> {
    let members = node.members()?;
    let kind = members.need("type", "a string")?;
    let enabled = match &*kind.text()? {
        "enabled" => true,
        "disabled" => false,
        other => {
            let other = crate::json::shown(other);
            return Err(kind.wrong(format!("expected enabled or disabled, found: {other}")));
        }
    };
    let budget = members.get("token_budget").map(|budget| budget.count()).transpose()?;
    Ok(Reasoning { enabled: Some(enabled), budget, ..Reasoning::default() })
}

/// A text, or an object of texts with an id.
fn document(node: &Node<'_>) -> Result<Block, Malformed> {
    if node.is_string() {
        return Ok(file(None, node.string()?));
    }
    let members = node.members()?;
    let data = members.need("data", "an object")?;
    if data.is_string() {
        return Ok(file(members.string("id")?, data.string()?));
    }
    let name = data.members()?.string("title").ok().flatten().or(members.string("id")?);
    Ok(file(name, data.raw_object()?.as_str().to_owned()))
}

fn file(name: Option<String>, text: String) -> Block {
    Block::Media(Media { name, ..media::new(MediaKind::File, Source::Text(text)) })
}

fn read(node: &Node<'_>, turns: &mut Vec<Turn>) -> Result<(), Malformed> {
    let message = node.members()?;
    let role = message.need("role", "a string")?;
    let role = match &*role.text()? {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => {
            let id = message.need("tool_call_id", "a string")?.string()?;
            let result = Block::ToolResult(ToolResult { id, content: content(&message)?, ..ToolResult::default() });
            match turns.last_mut() {
                Some(turn) if turn.role == Role::Tool => turn.blocks.push(result),
                _ => turns.push(Turn::new(Role::Tool, vec![result])),
            }
            return Ok(());
        }
        other => {
            let other = crate::json::shown(other);
            return Err(role.wrong(format!("expected system, user, assistant or tool, found: {other}")));
        }
    };
    let mut blocks = Vec::new();
    if let Some(plan) = message.string("tool_plan")?.filter(|plan| !plan.is_empty()) {
        blocks.push(thought(plan));
    }
    blocks.extend(content(&message)?);
    if let Some(list) = message.get("citations")
        && let Some(Block::Text(text)) = blocks.iter_mut().rev().find(|block| matches!(block, Block::Text(_)))
    {
        for citation in list.items()? {
            text.annotations.extend(super::citations::to_annotations(citation.span(), 0));
        }
    }
    if let Some(calls) = message.get("tool_calls") {
        for call in calls.items()? {
            blocks.push(Block::ToolCall(tool_call(&call)?));
        }
    }
    turns.push(Turn::new(role, blocks));
    Ok(())
}

fn thought(text: String) -> Block {
    Block::Thinking(Thinking { text, format: format::UNKNOWN.to_owned(), ..Thinking::default() })
}

fn content(message: &Members<'_>) -> Result<Vec<Block>, Malformed> {
    let Some(content) = message.get("content") else { return Ok(Vec::new()) };
    if content.is_string() {
        let text = content.string()?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![Block::text(text)] });
    }
    if !content.is_array() {
        return Err(content.expected("a string or an array of parts"));
    }
    content.items()?.iter().map(part).collect()
}

fn part(node: &Node<'_>) -> Result<Block, Malformed> {
    let part = node.members()?;
    let kind = part.need("type", "a string")?;
    match &*kind.text()? {
        "text" => Ok(Block::text(part.need("text", "a string")?.string()?)),
        "thinking" => Ok(thought(part.need("thinking", "a string")?.string()?)),
        "document" => document(&part.need("document", "an object")?),
        "image_url" => {
            let image = part.need("image_url", "an object")?;
            if image.is_string() {
                return Ok(Block::Media(media::new(MediaKind::Image, media::from_url(&image.text()?))));
            }
            let image = image.members()?;
            let source = media::from_url(&image.need("url", "a string")?.text()?);
            let detail = image.string("detail")?;
            Ok(Block::Media(Media { detail, ..media::new(MediaKind::Image, source) }))
        }
        other => {
            let other = crate::json::shown(other);
            Err(kind.wrong(format!("expected text, thinking, image_url or document, found: {other}")))
        }
    }
}

fn tool_call(node: &Node<'_>) -> Result<ToolCall, Malformed> {
    let call = node.members()?;
    let function = call.need("function", "an object")?;
    let function = function.members()?;
    let arguments = function.string("arguments")?.filter(|text| !text.trim().is_empty());
    Ok(ToolCall {
        id: call.string("id")?.unwrap_or_default(),
        name: function.need("name", "a string")?.string()?,
        arguments: arguments.unwrap_or_else(|| "{}".to_owned()),
        ..ToolCall::default()
    })
}
