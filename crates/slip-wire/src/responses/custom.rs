//! What only this dialect has, told in words every other dialect has: a free-text tool becomes a function with one text.

use crate::object::{Object, Writer, to_raw};
use crate::openai_chat::message::is_custom;
use slip_ir::request::Function;
use slip_ir::{Block, Dialect, Loss, Raw, Request, Tool, ToolChoice};
use std::borrow::Cow;

/// The one parameter of a free-text tool told as a function.
pub const INPUT: &str = "input";
const SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The tool's input, as plain text."}},"required":["input"],"additionalProperties":false}"#;

/// The request as other dialects can have it. What of its top level is kept by the way replies are shown anyway goes without a
/// word.
pub(crate) fn plain(request: &Request, losses: &mut Vec<Loss>) -> Request {
    let mut plain = request.clone();
    for tool in &mut plain.tools {
        if let Tool::Opaque { dialect: Dialect::Responses, raw } = tool
            && let Some(function) = function(raw, losses)
        {
            *tool = Tool::Function(function);
        }
    }
    for block in plain.turns.iter_mut().flat_map(|turn| &mut turn.blocks) {
        if let Block::ToolCall(call) = block
            && is_custom(call.extra.as_ref())
        {
            call.arguments = wrapped(&call.arguments);
            call.extra = None;
        }
    }
    let named = matches!(plain.tool_choice, Some(ToolChoice::Named(_)));
    plain.extra.retain(|(name, raw)| match name.as_str() {
        "include" | "stream_options" => false,
        "truncation" => raw.as_str() != "\"disabled\"",
        "tool_choice" => !named,
        _ => true,
    });
    plain
}

/// A `custom` tool as a function. A grammar cannot be told as a schema, only described.
fn function(raw: &Raw, losses: &mut Vec<Loss>) -> Option<Function> {
    let mut o = Object::parse(raw.as_str(), "").ok()?;
    if o.string("type", "").ok()?? != "custom" {
        return None;
    }
    let name = o.string("name", "").ok()??;
    let mut description = o.string("description", "").ok()?;
    if let Some(mut format) = o.object("format", "").ok()?
        && let (Some(syntax), Some(grammar)) =
            (format.string("syntax", "").ok()?, format.string("definition", "").ok()?)
    {
        losses.push(Loss::new(format!("tools.{name}.format"), "a grammar is not enforced here: it was put into words"));
        let said = description.take().unwrap_or_default();
        description = Some(format!("{said}\n\nThe input must match this {syntax} grammar:\n{grammar}"));
    }
    Some(Function { name, description, parameters: Raw::parse(SCHEMA), ..Function::default() })
}

/// Free text as the arguments of such a function.
fn wrapped(text: &str) -> String {
    let mut out = Vec::new();
    let mut w = Writer::open(&mut out);
    w.text(INPUT, text);
    w.close();
    to_raw(out).map_or_else(|| "{}".to_owned(), |raw| raw.as_str().to_owned())
}

/// The free text in the arguments of such a function; arguments of another shape are the text.
pub fn unwrapped(arguments: &str) -> Cow<'_, str> {
    let text = Object::parse(arguments, "").ok().and_then(|mut o| o.string(INPUT, "").ok().flatten());
    text.map_or(Cow::Borrowed(arguments), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slip_ir::{Role, ToolCall, Turn};

    #[test]
    fn a_free_text_tool_is_a_function_elsewhere_and_its_calls_say_the_same() {
        let text = "*** Begin Patch\n\"x\"";
        let tool = r#"{"type":"custom","name":"apply_patch","description":"Edit.","format":{"type":"grammar","syntax":"lark","definition":"start: x"}}"#;
        let call = ToolCall {
            name: "apply_patch".into(),
            arguments: text.into(),
            extra: crate::openai_chat::message::custom_mark(),
            ..ToolCall::default()
        };
        let request = Request {
            tools: vec![Tool::Opaque { dialect: Dialect::Responses, raw: Raw::parse(tool).expect("JSON") }],
            turns: vec![Turn::new(Role::Assistant, vec![Block::ToolCall(call)])],
            ..Request::default()
        };
        let mut losses = Vec::new();
        let told = plain(&request, &mut losses);
        let [Tool::Function(function)] = told.tools.as_slice() else { panic!("{:?}", told.tools) };
        assert!(function.description.as_ref().is_some_and(|d| d.starts_with("Edit.") && d.ends_with("start: x")));
        let Block::ToolCall(call) = &told.turns[0].blocks[0] else { panic!("{:?}", told.turns) };
        assert_eq!((unwrapped(&call.arguments).as_ref(), &call.extra, losses.len()), (text, &None, 1));
        assert_eq!(unwrapped("plain"), "plain");
    }
}
