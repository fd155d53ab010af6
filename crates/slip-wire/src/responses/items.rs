//! The items of a request's input as turns: what the assistant said, thought and called between two words of others is one turn.

use super::{ids, parts, seal};
use crate::Malformed;
use crate::object::{Object, below, is_string, read};
use crate::openai_chat::message::custom_mark;
use crate::seals::reunite;
use serde_json::value::RawValue;
use slip_ir::request::format;
use slip_ir::{Block, Dialect, Loss, Raw, Role, Thinking, ThinkingKind, ToolCall, ToolResult, Turn};

/// `family` is who seals reasoning of the model that is asked.
pub fn decode(
    input: &[&RawValue],
    family: &'static str,
    turns: &mut Vec<Turn>,
    losses: &mut Vec<Loss>,
) -> Result<(), Malformed> {
    let mut reader = Reader { family, turns, losses };
    for (n, raw) in input.iter().enumerate() {
        reader.item(raw, &format!("input[{n}]"))?;
    }
    for turn in reader.turns.iter_mut().filter(|turn| turn.role == Role::Assistant) {
        reunite(&mut turn.blocks);
    }
    reader.turns.retain(|turn| !(turn.role == Role::Assistant && turn.blocks.is_empty()));
    Ok(())
}

struct Reader<'a> {
    family: &'static str,
    turns: &'a mut Vec<Turn>,
    losses: &'a mut Vec<Loss>,
}

impl Reader<'_> {
    fn item(&mut self, raw: &RawValue, at: &str) -> Result<(), Malformed> {
        let mut o = Object::parse(raw.get(), at)?;
        let kind = match o.string("type", at)? {
            Some(kind) => kind,
            // The easy form of a message.
            None if o.has("role") => "message".to_owned(),
            None => return Err(Malformed::new(below(at, "type"), "is required")),
        };
        match kind.as_str() {
            "message" => self.message(o, at),
            "reasoning" => self.reasoning(o, at),
            "function_call" | "custom_tool_call" => {
                let call = call(o, at, kind == "custom_tool_call")?;
                self.push(Role::Assistant, Block::ToolCall(call));
                Ok(())
            }
            "function_call_output" | "custom_tool_call_output" => {
                let result = self.output(o, at)?;
                self.push(Role::Tool, Block::ToolResult(result));
                Ok(())
            }
            "item_reference" => {
                Err(Malformed::new(at, "this gateway keeps no items: send the item itself in place of the reference"))
            }
            // What other tools were asked and answered. Who said it is told by its name.
            _ => {
                let theirs = kind.ends_with("_output") && kind != "tool_search_output" && kind != "shell_call_output";
                let role = if theirs || kind == "mcp_approval_response" { Role::User } else { Role::Assistant };
                let raw = Raw::parse(raw.get()).ok_or_else(|| Malformed::new(at, "must be an object"))?;
                self.push(role, Block::Opaque { dialect: Dialect::Responses, raw });
                Ok(())
            }
        }
    }

    /// What the assistant says and what tools answer joins the turn before it.
    fn push(&mut self, role: Role, block: Block) {
        match self.turns.last_mut() {
            Some(last) if last.role == role && matches!(role, Role::Assistant | Role::Tool) => last.blocks.push(block),
            _ => self.turns.push(Turn::new(role, vec![block])),
        }
    }

    fn message(&mut self, mut o: Object<'_>, at: &str) -> Result<(), Malformed> {
        let role = match o.required("role", at)?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => return Err(Malformed::new(below(at, "role"), "must be user, assistant, system or developer")),
        };
        let blocks = match o.take("content") {
            Some(content) => parts::content(content, &below(at, "content"), self.losses)?,
            None if role == Role::Assistant => Vec::new(),
            None => return Err(Malformed::new(below(at, "content"), "is required")),
        };
        // Which message it was and whether it was finished says nothing to a model.
        for name in ["id", "status"] {
            o.take(name);
        }
        self.lose(o, at);
        if role == Role::Assistant {
            blocks.into_iter().for_each(|block| self.push(role, block));
        } else {
            self.turns.push(Turn::new(role, blocks));
        }
        Ok(())
    }

    fn reasoning(&mut self, mut o: Object<'_>, at: &str) -> Result<(), Malformed> {
        let id = o.string("id", at)?.filter(|id| !id.is_empty());
        let summary = thoughts(&mut o, "summary", at)?;
        let content = thoughts(&mut o, "content", at)?;
        let sealed = o.string("encrypted_content", at)?.filter(|text| !text.is_empty());
        let told = o.string("format", at)?;
        let signature = o.string("signature", at)?.filter(|text| !text.is_empty());
        o.take("status");
        self.lose(o, at);
        let wrapped = sealed.as_deref().and_then(seal::unwrap);
        let mut thinking = Thinking { id, ..Thinking::default() };
        let mut blob = sealed.as_deref();
        let mut signed = None;
        match &wrapped {
            Some(wrapped) => {
                thinking.format = wrapped.format.to_owned();
                thinking.id = wrapped.id.map(str::to_owned);
                blob = wrapped.blob.then_some(wrapped.payload);
                signed = (!wrapped.blob && !wrapped.payload.is_empty()).then_some(wrapped.payload);
            }
            None => {
                // Text without a seal is nobody's, unless it says whose it is or its provider may have kept the item.
                let kept = thinking.id.as_deref().is_some_and(|id| !ids::is_minted(id));
                let own = if sealed.is_some() || kept { self.family } else { format::UNKNOWN };
                thinking.format = told.unwrap_or_else(|| own.to_owned());
                signed = signature.as_deref().or(signed);
            }
        }
        let of = |kind, text: String| Thinking { kind, text, ..thinking.clone() };
        let mut blocks: Vec<Thinking> = summary.into_iter().map(|text| of(ThinkingKind::Summary, text)).collect();
        blocks.extend(content.into_iter().map(|text| of(ThinkingKind::Text, text)));
        if let Some(signed) = signed {
            if blocks.is_empty() {
                blocks.push(of(ThinkingKind::Text, String::new()));
            }
            // A signature stands behind what it signs.
            if let Some(last) = blocks.last_mut() {
                last.signature = Some(signed.to_owned());
            }
        }
        if let Some(blob) = blob {
            blocks.push(Thinking { data: Some(blob.to_owned()), ..of(ThinkingKind::Encrypted, String::new()) });
        }
        if blocks.is_empty() {
            self.losses.push(Loss::new(at.to_owned(), "reasoning that shows nothing and seals nothing"));
        }
        blocks.into_iter().for_each(|thinking| self.push(Role::Assistant, Block::Thinking(thinking)));
        Ok(())
    }

    fn output(&mut self, mut o: Object<'_>, at: &str) -> Result<ToolResult, Malformed> {
        let id = o.required("call_id", at)?;
        let content = match o.take("output") {
            Some(output) if is_string(output) || output.get().starts_with('[') => {
                parts::content(output, &below(at, "output"), self.losses)?
            }
            // Some clients send what their tool returned as it is.
            Some(output) => vec![Block::text(output.get())],
            None => return Err(Malformed::new(below(at, "output"), "is required")),
        };
        let name = o.string("name", at)?;
        for member in ["id", "status"] {
            o.take(member);
        }
        self.lose(o, at);
        Ok(ToolResult { id, name, content, is_error: false, cache: None })
    }

    fn lose(&mut self, o: Object<'_>, at: &str) {
        self.losses.extend(o.rest().map(|(name, _)| Loss::new(below(at, &name), "not a member we know")));
    }
}

/// The texts of a reasoning item's `summary` or `content`.
fn thoughts(o: &mut Object<'_>, name: &str, at: &str) -> Result<Vec<String>, Malformed> {
    let Some(raw) = o.take(name) else { return Ok(Vec::new()) };
    let at = below(at, name);
    if is_string(raw) {
        return read(raw, &at, "an array of parts").map(|text| vec![text]);
    }
    let parts: Vec<&RawValue> = read(raw, &at, "an array of parts")?;
    let text = |(n, part): (usize, &RawValue)| {
        let at = format!("{at}[{n}]");
        Object::parse(part.get(), &at)?.required("text", &at)
    };
    parts.into_iter().enumerate().map(text).collect()
}

fn call(mut o: Object<'_>, at: &str, custom: bool) -> Result<ToolCall, Malformed> {
    let (id, own) = (o.string("call_id", at)?, o.string("id", at)?);
    let id = id.or(own).ok_or_else(|| Malformed::new(below(at, "call_id"), "is required"))?;
    let name = o.required("name", at)?;
    o.take("status");
    if custom {
        let arguments = o.required("input", at)?;
        return Ok(ToolCall { id, name, arguments, extra: custom_mark(), ..ToolCall::default() });
    }
    let arguments = match o.take("arguments") {
        Some(raw) if is_string(raw) => read(raw, &below(at, "arguments"), "a string")?,
        Some(raw) => raw.get().to_owned(),
        None => String::new(),
    };
    let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
    Ok(ToolCall { id, name, arguments, extra: o.rest_object(), ..ToolCall::default() })
}
