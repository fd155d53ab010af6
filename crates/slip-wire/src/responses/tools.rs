//! Tools and the choice between them, as callers write them.

use crate::Malformed;
use crate::object::{Object, below, is_object, is_string, read};
use serde_json::value::RawValue;
use slip_ir::request::Function;
use slip_ir::{Dialect, Raw, Request, Tool, ToolChoice};

/// Functions are understood; what runs elsewhere (`web_search`, `mcp`, …) and what only this dialect has (`custom`, `local_shell`,
/// `apply_patch`, `namespace`, …) stays as it is.
pub fn tool(raw: &RawValue, at: &str) -> Result<Tool, Malformed> {
    let mut o = Object::parse(raw.get(), at)?;
    let kind = o.required("type", at)?;
    if kind != "function" {
        return Raw::parse(raw.get())
            .map(|raw| Tool::Opaque { dialect: Dialect::Responses, raw })
            .ok_or_else(|| Malformed::new(at, "must be an object"));
    }
    // Clients of chat completions nest the function one level deeper, and some send it here as well.
    let nested = o.object("function", at)?;
    let at = if nested.is_some() { below(at, "function") } else { at.to_owned() };
    let mut o = nested.unwrap_or(o);
    Ok(Tool::Function(Function {
        name: o.required("name", &at)?,
        description: o.string("description", &at)?,
        parameters: match o.take("parameters") {
            Some(schema) if is_object(schema) => Raw::parse(schema.get()),
            Some(_) => return Err(Malformed::new(below(&at, "parameters"), "must be an object")),
            None => None,
        },
        strict: o.bool("strict", &at)?,
        cache: super::parts::cache(&mut o, &at)?,
        extra: o.rest_object(),
    }))
}

/// A choice this vocabulary has no word for also stays in `extra`, for servers of the same dialect.
pub fn choice(raw: &RawValue, request: &mut Request) -> Result<(), Malformed> {
    const AT: &str = "tool_choice";
    if is_string(raw) {
        let word: String = read(raw, AT, "a string or an object")?;
        request.tool_choice = Some(self::word(&word).ok_or_else(|| {
            Malformed::new(AT, format!("must be auto, none, required or an object, not {}", crate::json::shown(&word)))
        })?);
        return Ok(());
    }
    let mut o = Object::parse(raw.get(), AT)?;
    let kind = o.required("type", AT)?;
    let name = match o.object("function", AT)? {
        Some(mut nested) => Some(nested.required("name", "tool_choice.function")?),
        None => o.string("name", AT)?,
    };
    request.tool_choice = match (kind.as_str(), name) {
        ("function" | "custom", Some(name)) => {
            request.tool_choice = Some(ToolChoice::Named(name));
            if kind == "function" {
                return Ok(());
            }
            request.tool_choice.take()
        }
        ("function" | "custom", None) => return Err(Malformed::new(below(AT, "name"), "is required")),
        ("allowed_tools", _) => o.string("mode", AT)?.and_then(|mode| word(&mode)),
        (kind, _) => word(kind),
    };
    request.extra.extend(Raw::parse(raw.get()).map(|raw| (AT.to_owned(), raw)));
    Ok(())
}

fn word(word: &str) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "required" => Some(ToolChoice::Required),
        _ => None,
    }
}
