//! One message of a chat request, read into turns.

use super::node::Node;
use super::{details, media};
use crate::Malformed;
use slip_ir::request::format;
use slip_ir::{Block, Cache, Dialect, Loss, MediaKind, Raw, Role, Source, Text, Thinking, ToolCall, ToolResult, Turn};

/// Reads messages in order, because the old `function` messages are matched to calls by position.
#[derive(Default)]
pub(super) struct Messages {
    pub turns: Vec<Turn>,
    /// Ids given to old-style function calls that had none: `(function name, id)`, not yet answered.
    unanswered: Vec<(String, String)>,
    minted: usize,
    pub losses: Vec<Loss>,
}

/// Members of a message that are read somewhere, or say nothing the others do not.
const KNOWN: [&str; 15] = [
    "role",
    "content",
    "name",
    "tool_calls",
    "tool_call_id",
    "function_call",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "refusal",
    "annotations",
    "images",
    "audio",
    "cache_control",
    "id",
];
/// Members are the caller's to invent; a list of them all helps nobody.
const MOST_LOSSES: usize = 32;

impl Messages {
    /// Members without a home here (Mistral's `prefix`, …) reach only an upstream of this dialect that takes the bytes as they are.
    fn note_unknown(&mut self, node: &Node<'_>) -> Result<(), Malformed> {
        for (key, value) in node.members()?.iter() {
            if KNOWN.contains(&key) || matches!(value.span(), b"null" | b"false" | b"\"\"" | b"[]" | b"{}") {
                continue;
            }
            let loss = Loss::new(format!("messages[].{}", crate::json::shown(key)), "has no place in the vocabulary");
            if self.losses.len() < MOST_LOSSES && !self.losses.contains(&loss) {
                self.losses.push(loss);
            }
        }
        Ok(())
    }

    pub(super) fn read(&mut self, node: &Node<'_>) -> Result<(), Malformed> {
        self.note_unknown(node)?;
        let message = node.members()?;
        let role = message.need("role", "a string")?;
        let turn = match &*role.text()? {
            "system" => Turn::new(Role::System, content(node)?),
            "developer" => Turn::new(Role::Developer, content(node)?),
            "user" => Turn::new(Role::User, content(node)?),
            "assistant" => Turn::new(Role::Assistant, self.assistant(node)?),
            "tool" => return self.tool(node),
            "function" => return self.function(node),
            other => {
                let why = format!("expected system, developer, user, assistant or tool, found: {other}");
                return Err(role.wrong(why));
            }
        };
        self.turns.push(Turn { name: message.string("name")?, ..turn });
        Ok(())
    }

    fn assistant(&mut self, node: &Node<'_>) -> Result<Vec<Block>, Malformed> {
        let message = node.members()?;
        let mut calls = Vec::new();
        if let Some(list) = message.get("tool_calls") {
            for call in list.items()? {
                calls.push(tool_call(&call)?);
            }
        }
        if let Some(old) = message.get("function_call") {
            let call = old.members()?;
            let name = call.need("name", "a string")?.string()?;
            self.minted += 1;
            let id = format!("call_{}", self.minted);
            self.unanswered.push((name.clone(), id.clone()));
            let arguments = message_arguments(call.get("arguments"))?;
            calls.push(ToolCall { id, name, arguments, ..ToolCall::default() });
        }
        let mut blocks = Vec::new();
        if let Some(list) = message.get("reasoning_details") {
            if !list.is_array() {
                return Err(list.expected("an array"));
            }
            let (thinking, sealed) = details::collect(list.span(), |id| calls.iter().any(|c| c.id == id));
            for (id, signature) in sealed {
                if let Some(call) = calls.iter_mut().find(|c| c.id == id && c.signature.is_none()) {
                    call.signature = Some(signature);
                }
            }
            blocks = thinking;
        }
        let told = blocks.iter().any(|b| matches!(b, Block::Thinking(t) if !t.text.is_empty()));
        if !told {
            for key in ["reasoning", "reasoning_content"] {
                if let Some(text) = message.string(key)?.filter(|t| !t.is_empty()) {
                    blocks.insert(0, thinking(text, None));
                    break;
                }
            }
        }
        let mut said = content(node)?;
        if let Some(Block::Text(text)) = said.iter_mut().rev().find(|b| matches!(b, Block::Text(_))) {
            if let Some(list) = message.get("annotations") {
                for annotation in list.items()? {
                    text.annotations.push(annotation.raw()?);
                }
            }
            text.signature = google_signature(node);
        }
        blocks.extend(said);
        if let Some(words) = message.string("refusal")?.filter(|t| !t.is_empty()) {
            blocks.push(Block::Refusal(words));
        }
        if let Some(list) = message.get("images") {
            for image in list.items()? {
                part(&image, &mut blocks)?;
            }
        }
        if let Some(audio) = message.get("audio") {
            let id = audio.members()?.need("id", "a string")?.string()?;
            blocks.push(Block::Media(media::new(MediaKind::Audio, Source::FileId(id))));
        }
        blocks.extend(calls.into_iter().map(Block::ToolCall));
        Ok(blocks)
    }

    fn tool(&mut self, node: &Node<'_>) -> Result<(), Malformed> {
        let message = node.members()?;
        let id = message.need("tool_call_id", "a string")?.string()?;
        self.unanswered.retain(|(_, open)| *open != id);
        let mut content = content(node)?;
        // A breakpoint after the last part is one after the whole result.
        let last = content.last_mut().and_then(|b| cache_slot(b).and_then(Option::take));
        let cache = last.or(message.get("cache_control").map(|_| cache(&message.get("cache_control"))).transpose()?);
        let name = message.string("name")?;
        self.result(ToolResult { id, name, content, is_error: false, cache });
        Ok(())
    }

    fn function(&mut self, node: &Node<'_>) -> Result<(), Malformed> {
        let name = node.members()?.need("name", "a string")?.string()?;
        let open = self.unanswered.iter().position(|(open, _)| *open == name);
        let id = match open {
            Some(at) => self.unanswered.remove(at).1,
            None => {
                self.minted += 1;
                format!("call_{}", self.minted)
            }
        };
        self.result(ToolResult { id, name: Some(name), content: content(node)?, ..ToolResult::default() });
        Ok(())
    }

    /// Results that follow each other share a turn.
    fn result(&mut self, result: ToolResult) {
        let block = Block::ToolResult(result);
        match self.turns.last_mut() {
            Some(turn) if turn.role == Role::Tool => turn.blocks.push(block),
            _ => self.turns.push(Turn::new(Role::Tool, vec![block])),
        }
    }
}

fn thinking(text: String, signature: Option<String>) -> Block {
    Block::Thinking(Thinking { text, signature, format: format::UNKNOWN.to_owned(), ..Thinking::default() })
}

fn tool_call(node: &Node<'_>) -> Result<ToolCall, Malformed> {
    let call = node.members()?;
    let id = call.string("id")?.unwrap_or_default();
    let signature = google_signature(node);
    let cache = call.get("cache_control").map(|_| cache(&call.get("cache_control"))).transpose()?;
    if let Some(custom) = call.get("custom")
        && call.get("function").is_none()
    {
        let custom = custom.members()?;
        let name = custom.need("name", "a string")?.string()?;
        let arguments = custom.string("input")?.unwrap_or_default();
        return Ok(ToolCall { id, name, arguments, signature, extra: custom_mark(), cache });
    }
    let function = call.need("function", "an object")?;
    let function = function.members()?;
    let name = function.need("name", "a string")?.string()?;
    let arguments = message_arguments(function.get("arguments"))?;
    Ok(ToolCall { id, name, arguments, signature, extra: None, cache })
}

const CUSTOM: &str = r#"{"type":"custom"}"#;

/// How a call of one of OpenAI's free-text `custom` tools is told apart: its arguments are not JSON.
pub(crate) fn custom_mark() -> Option<Raw> {
    Raw::parse(CUSTOM)
}

/// Whether a call's `extra` is that mark. Asked for every piece of arguments.
pub(crate) fn is_custom(extra: Option<&Raw>) -> bool {
    extra.is_some_and(|raw| raw.as_str() == CUSTOM)
}

/// Arguments are JSON in a string; some clients send the object itself.
fn message_arguments(node: Option<Node<'_>>) -> Result<String, Malformed> {
    let Some(node) = node else { return Ok("{}".to_owned()) };
    if node.is_object() {
        return Ok(String::from_utf8_lossy(node.span()).into_owned());
    }
    let text = node.string()?;
    Ok(if text.trim().is_empty() { "{}".to_owned() } else { text })
}

/// Gemini's OpenAI-compatible server puts `thought_signature` beside what it signs.
fn google_signature(node: &Node<'_>) -> Option<String> {
    let members = node.members_if_any();
    let extra = members.get("extra_content")?;
    let extra = extra.members_if_any();
    let google = extra.get("google")?;
    let google = google.members_if_any();
    let signature = google.get("thought_signature")?;
    signature.string().ok().filter(|s| !s.is_empty())
}

/// A message's `content`: a string, parts, or nothing. Empty text says nothing and makes no block.
fn content(message: &Node<'_>) -> Result<Vec<Block>, Malformed> {
    let mut blocks = Vec::new();
    let members = message.members()?;
    if let Some(content) = members.get("content") {
        if content.is_string() {
            let text = content.string()?;
            if !text.is_empty() {
                blocks.push(Block::text(text));
            }
        } else if content.is_array() {
            for item in content.items()? {
                part(&item, &mut blocks)?;
            }
        } else {
            return Err(content.expected("a string or an array of parts"));
        }
    }
    // Some clients mark the message instead of its last part.
    if let Some(mark) = members.get("cache_control")
        && let Some(slot) = blocks.last_mut().and_then(cache_slot)
        && slot.is_none()
    {
        *slot = Some(cache(&Some(mark))?);
    }
    Ok(blocks)
}

fn cache_slot(block: &mut Block) -> Option<&mut Option<Cache>> {
    match block {
        Block::Text(t) => Some(&mut t.cache),
        Block::Media(m) => Some(&mut m.cache),
        _ => None,
    }
}

pub(super) fn cache(node: &Option<Node<'_>>) -> Result<Cache, Malformed> {
    let Some(node) = node else { return Ok(Cache::default()) };
    Ok(Cache { ttl: node.members()?.string("ttl")? })
}

/// One part of a message's content.
fn part(node: &Node<'_>, blocks: &mut Vec<Block>) -> Result<(), Malformed> {
    if node.is_string() {
        blocks.push(Block::text(node.string()?));
        return Ok(());
    }
    let members = node.members()?;
    let mark = match (members.get("cache_control"), members.get("prompt_cache_breakpoint")) {
        (Some(node), _) => Some(cache(&Some(node))?),
        (None, Some(_)) => Some(Cache::default()),
        (None, None) => None,
    };
    // `{"image_url": "https://…"}` and `{"image_url": {"url": "https://…"}}` both exist.
    let url = |key: &'static str| -> Result<String, Malformed> {
        let holder = members.need(key, "an object")?;
        if holder.is_string() {
            return holder.string();
        }
        holder.members()?.need("url", "a string")?.string()
    };
    let kind = members.need("type", "a string")?;
    let mut made = match &*kind.text()? {
        "text" | "input_text" | "output_text" => {
            let text = members.need("text", "a string")?.string()?;
            if text.is_empty() && mark.is_none() {
                return Ok(());
            }
            blocks.push(Block::Text(Text { text, cache: mark, ..Text::default() }));
            return Ok(());
        }
        "image_url" | "input_image" => {
            let mut image = media::new(MediaKind::Image, media::from_url(&url("image_url")?));
            let holder = members.need("image_url", "an object")?;
            image.detail = match holder.members_if_any().string("detail")? {
                Some(detail) => Some(detail),
                None => members.string("detail")?,
            };
            image
        }
        "video_url" => media::new(MediaKind::Video, media::from_url(&url("video_url")?)),
        "input_video" => {
            let key = if members.get("video_url").is_some() { "video_url" } else { "input_video" };
            media::new(MediaKind::Video, media::from_url(&url(key)?))
        }
        "input_audio" => {
            let audio = members.need("input_audio", "an object")?;
            let audio = audio.members()?;
            let data = audio.need("data", "a string")?.string()?;
            let source = match media::from_url(&data) {
                inline @ Source::Data { .. } => inline,
                _ => {
                    let format = audio.need("format", "a string")?.string()?;
                    Source::Data { mime: format!("audio/{format}"), base64: data }
                }
            };
            media::new(MediaKind::Audio, source)
        }
        "file" | "input_file" => file(&members.get("file").unwrap_or(*node))?,
        "refusal" => {
            blocks.push(Block::Refusal(members.need("refusal", "a string")?.string()?));
            return Ok(());
        }
        "thinking" => {
            blocks.push(thinking(spoken(&members.need("thinking", "a string")?)?, members.string("signature")?));
            return Ok(());
        }
        _ => {
            blocks.push(Block::Opaque { dialect: Dialect::OpenAiChat, raw: node.raw()? });
            return Ok(());
        }
    };
    made.cache = mark;
    blocks.push(Block::Media(made));
    Ok(())
}

fn file(node: &Node<'_>) -> Result<slip_ir::Media, Malformed> {
    let file = node.members()?;
    let name = file.string("filename")?;
    let source = match (file.string("file_data")?, file.string("file_url")?, file.string("file_id")?) {
        (Some(data), _, _) => match media::from_url(&data) {
            Source::Url(url) if !url.contains("://") && !url.starts_with("data:") => {
                Source::Data { mime: media::file_mime(name.as_deref(), &url).to_owned(), base64: url }
            }
            source => source,
        },
        (None, Some(url), _) => media::from_url(&url),
        (None, None, Some(id)) => Source::FileId(id),
        (None, None, None) => return Err(node.lacks("file_data", "a string")),
    };
    Ok(slip_ir::Media { name, ..media::new(MediaKind::File, source) })
}

/// Mistral's thinking part: a string or an array of text parts.
fn spoken(node: &Node<'_>) -> Result<String, Malformed> {
    if node.is_string() {
        return node.string();
    }
    let mut all = String::new();
    for piece in node.items()? {
        all.push_str(&piece.members()?.string("text")?.unwrap_or_default());
    }
    Ok(all)
}
