//! A `generateContent` body, read.

use super::part::{self, Answer, Part};
use super::tree::{self, Members, Node, wrong};
use super::{MINTED, config, schema, sealed};
use crate::dialect::Malformed;
use serde_json::value::RawValue;
use slip_ir::request::{Function, format};
use slip_ir::{Block, Dialect, Loss, Raw, Request, Role, Text, Thinking, Tool, ToolChoice, ToolResult, Turn};
use std::collections::{HashMap, VecDeque};

pub(super) fn decode(body: &[u8]) -> Result<(Request, Vec<Loss>), Malformed> {
    let root: &RawValue = serde_json::from_slice(body).map_err(|e| Malformed::new("", format!("not JSON: {e}")))?;
    let members = Members::need(root, "")?;
    let mut request = Request::default();
    let mut turns = Turns::default();
    // The system instruction stands before the contents, wherever the body names it.
    if let Some(raw) = members.get("systemInstruction") {
        turns.system(raw)?;
    }
    for (index, raw) in members.list("contents", "")?.into_iter().enumerate() {
        turns.content(raw, &format!("contents[{index}]"))?;
    }
    request.turns = turns.list;
    for (key, raw) in members.iter() {
        match key {
            "systemInstruction" | "contents" | "model" => {}
            "tools" => {
                for (index, raw) in members.list(key, "")?.into_iter().enumerate() {
                    read_tool(raw, &format!("tools[{index}]"), &mut request.tools)?;
                }
            }
            "toolConfig" => read_tool_config(&Members::need(raw, key)?, &mut request)?,
            "generationConfig" => {
                let left = config::read(&Members::need(raw, key)?, &mut request)?;
                leftover(key, left, &mut request);
            }
            "serviceTier" => request.params.service_tier = members.string(key, "")?,
            _ => request.extra.extend(tree::keep(raw).map(|raw| (key.to_owned(), raw))),
        }
    }
    Ok((request, Vec::new()))
}

/// Keep what is left of an object under its own name.
fn leftover(key: &str, left: Vec<(String, Raw)>, request: &mut Request) {
    if !left.is_empty() {
        let node = Node::Object(left.into_iter().map(|(name, raw)| (name.into(), raw.into())).collect());
        request.extra.extend(node.to_raw().map(|raw| (key.to_owned(), raw)));
    }
}

#[derive(Default)]
struct Turns {
    list: Vec<Turn>,
    /// Calls so far, for minting ids.
    calls: usize,
    /// Ids of calls not yet answered, by the tool's name: Google's own client answers without them.
    open: HashMap<String, VecDeque<String>>,
}

impl Turns {
    /// A content, or (leniently) a plain string.
    fn system(&mut self, raw: &RawValue) -> Result<(), Malformed> {
        const AT: &str = "systemInstruction";
        if let Some(text) = tree::string(raw) {
            self.list.push(Turn::new(Role::System, vec![Block::text(text)]));
            return Ok(());
        }
        let mut blocks = Vec::new();
        for (index, raw) in Members::need(raw, AT)?.list("parts", AT)?.into_iter().enumerate() {
            blocks.extend(self.block(part::read(raw, &format!("{AT}.parts[{index}]"))?));
        }
        if !blocks.is_empty() {
            self.list.push(Turn::new(Role::System, blocks));
        }
        Ok(())
    }

    /// Tool results become turns of their own, in the order in which they stand among the other parts.
    fn content(&mut self, raw: &RawValue, at: &str) -> Result<(), Malformed> {
        let m = Members::need(raw, at)?;
        let role = match m.string("role", at)?.as_deref() {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some(other) => return Err(wrong(at, "role", &format!("must be user or model: {other}"))),
        };
        let first = self.list.len();
        for (index, raw) in m.list("parts", at)?.into_iter().enumerate() {
            let part = part::read(raw, &format!("{at}.parts[{index}]"))?;
            let role = if matches!(part, Part::Result(_)) { Role::Tool } else { role };
            let Some(mut block) = self.block(part) else { continue };
            match self.list.get_mut(first..).and_then(|turns| turns.last_mut()) {
                Some(turn) if turn.role == role => {
                    rejoin(&mut turn.blocks, &mut block);
                    turn.blocks.push(block);
                }
                _ => self.list.push(Turn::new(role, vec![block])),
            }
        }
        Ok(())
    }

    fn block(&mut self, part: Part) -> Option<Block> {
        Some(match part {
            Part::Text { text, thought, signature } => said(text, thought, signature),
            Part::Media(media) => Block::Media(media),
            Part::Opaque(raw) => Block::Opaque { dialect: Dialect::Gemini, raw },
            Part::Empty => return None,
            Part::Call(mut call) => {
                // Other dialects match results to calls by id; ours are taken off again on the way back to Gemini.
                if call.id.is_empty() {
                    call.id = format!("{MINTED}{}", self.calls);
                }
                self.open.entry(call.name.clone()).or_default().push_back(call.id.clone());
                self.calls += 1;
                Block::ToolCall(call)
            }
            Part::Result(mut answer) => {
                let open = self.open.get_mut(&answer.name);
                if answer.id.is_empty() {
                    answer.id = open.and_then(VecDeque::pop_front).unwrap_or_default();
                } else if let Some(open) = open {
                    open.retain(|id| *id != answer.id);
                }
                Block::ToolResult(result(answer))
            }
        })
    }
}

fn said(text: String, thought: bool, signature: Option<String>) -> Block {
    if let Some(foreign) = signature.as_deref().and_then(|signature| sealed::open(signature, &text)) {
        return Block::Thinking(foreign);
    }
    // A signature alone is reasoning without words, so that every dialect carries it as such.
    if thought || text.is_empty() && signature.is_some() {
        return Block::Thinking(Thinking { text, signature, format: format::GEMINI.to_owned(), ..Thinking::default() });
    }
    Block::Text(Text { text, signature, ..Text::default() })
}

/// A streamed thought of another family reached the client in pieces, with its seal in a last one: only whole does it go back.
fn rejoin(blocks: &mut Vec<Block>, last: &mut Block) {
    let Block::Thinking(sealed) = last else { return };
    if sealed.format == format::GEMINI || sealed.signature.is_none() || !sealed.text.is_empty() {
        return;
    }
    let is_piece = |block: &Block| matches!(block, Block::Thinking(t) if t.format == format::GEMINI && t.signature.is_none() && t.data.is_none());
    let from = blocks.iter().rposition(|block| !is_piece(block)).map_or(0, |at| at + 1);
    for piece in blocks.drain(from..) {
        if let Block::Thinking(piece) = piece {
            sealed.text.push_str(&piece.text);
        }
    }
}

/// Names under which a single string is the result itself.
pub(super) const PLAIN: [&str; 3] = ["result", "output", "content"];

/// What a response object says: `(text, is_error)`.
fn result(answer: Answer) -> ToolResult {
    let mut content = Vec::new();
    let mut is_error = false;
    match plain(&answer.response) {
        _ if answer.response == "{}" => {}
        Some((name, text)) => {
            is_error = name == "error";
            content.push(Block::text(text));
        }
        None => content.push(Block::text(answer.response)),
    }
    content.extend(answer.media.into_iter().map(Block::Media));
    ToolResult { id: answer.id, name: Some(answer.name), content, is_error, cache: None }
}

/// The only member of a response object, when it is a string under a name that says no more than "this is it".
pub(super) fn plain(response: &str) -> Option<(String, String)> {
    let raw: &RawValue = serde_json::from_str(response).ok()?;
    let m = Members::of(raw)?;
    let mut all = m.iter();
    let (name, value) = all.next()?;
    let known = all.next().is_none() && (name == "error" || PLAIN.contains(&name));
    if known { tree::string(value).map(|text| (name.to_owned(), text)) } else { None }
}

/// One entry of `tools`: function declarations, and server tools by their names.
fn read_tool(raw: &RawValue, at: &str, tools: &mut Vec<Tool>) -> Result<(), Malformed> {
    let m = Members::need(raw, at)?;
    for (key, raw) in m.iter() {
        if key == "functionDeclarations" {
            for (index, raw) in m.list(key, at)?.into_iter().enumerate() {
                tools.push(Tool::Function(read_function(raw, &format!("{at}.{key}[{index}]"))?));
            }
        } else if let Some(raw) = tree::keep(raw) {
            let node = Node::Object(vec![(key.into(), raw.into())]);
            tools.extend(node.to_raw().map(|raw| Tool::Opaque { dialect: Dialect::Gemini, raw }));
        }
    }
    Ok(())
}

fn read_function(raw: &RawValue, at: &str) -> Result<Function, Malformed> {
    let m = Members::need(raw, at)?;
    let mut function = Function {
        name: m.string("name", at)?.ok_or_else(|| wrong(at, "name", "is required"))?,
        description: m.string("description", at)?,
        ..Function::default()
    };
    let mut extra = Vec::new();
    for (key, raw) in m.iter() {
        match key {
            "name" | "description" => {}
            "parametersJsonSchema" => function.parameters = tree::keep(raw),
            "parameters" => function.parameters = tree::keep(raw).map(|raw| schema::from_google(&raw)),
            _ => extra.extend(tree::keep(raw).map(|raw| (key.into(), raw.into()))),
        }
    }
    function.extra = if extra.is_empty() { None } else { Node::Object(extra).to_raw() };
    Ok(function)
}

/// Protobuf numbers of `FunctionCallingConfig.Mode`.
const MODES: [&str; 5] = ["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"];

/// What the vocabulary has no word for (`VALIDATED`, a choice of several names) is understood as nearly as it can be and kept.
fn read_tool_config(m: &Members<'_>, request: &mut Request) -> Result<(), Malformed> {
    const AT: &str = "toolConfig.functionCallingConfig";
    let mut left = Vec::new();
    for (key, raw) in m.iter() {
        if key != "functionCallingConfig" {
            left.extend(tree::keep(raw).map(|raw| (key.to_owned(), raw)));
            continue;
        }
        let calling = Members::need(raw, AT)?;
        let number = calling.get("mode").and_then(tree::count).and_then(|n| MODES.get(n as usize));
        let mode = match number {
            Some(mode) => (*mode).to_owned(),
            None => calling.string("mode", AT)?.unwrap_or_default().to_ascii_uppercase(),
        };
        let names: Vec<String> = match calling.get("allowedFunctionNames") {
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|_| wrong(AT, "allowedFunctionNames", "must be a list of strings"))?,
            None => Vec::new(),
        };
        request.tool_choice = match (mode.as_str(), names.as_slice()) {
            ("ANY", [one]) => Some(ToolChoice::Named(one.clone())),
            ("ANY", _) => Some(ToolChoice::Required),
            ("NONE", _) => Some(ToolChoice::None),
            ("AUTO" | "VALIDATED", _) => Some(ToolChoice::Auto),
            ("" | "MODE_UNSPECIFIED", _) => None,
            (other, _) => return Err(wrong(AT, "mode", &format!("must be AUTO, ANY or NONE: {other}"))),
        };
        let told = match mode.as_str() {
            "ANY" => names.len() < 2,
            "VALIDATED" => false,
            _ => names.is_empty(),
        };
        let more = calling.iter().any(|(key, _)| !matches!(key, "mode" | "allowedFunctionNames"));
        if !told || more {
            left.extend(tree::keep(raw).map(|raw| (key.to_owned(), raw)));
        }
    }
    leftover("toolConfig", left, request);
    Ok(())
}
