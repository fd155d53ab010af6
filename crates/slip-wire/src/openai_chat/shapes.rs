//! Tools and answer formats, as far as an upstream understands them.

use super::encode::{Losses, NO_CACHE_CONTROL, write_cache};
use super::write::Obj;
use crate::Quirks;
use crate::quirks::Structured;
use bytes::BytesMut;
use slip_ir::request::Function;
use slip_ir::{Dialect, Format, Raw, Tool};
use std::borrow::Cow;

pub(super) fn tool_type(raw: &Raw) -> String {
    let kind = crate::json::field(raw.as_str().as_bytes(), "type").and_then(crate::json::string);
    kind.map_or_else(|| "unknown".to_owned(), |k| k.chars().take(64).collect())
}

/// The tools of a dialect that knows functions alone.
pub(crate) fn functions<'r>(tools: &'r [Tool], losses: &mut Losses) -> Vec<&'r Function> {
    let mut kept = Vec::new();
    for tool in tools {
        match tool {
            Tool::Function(function) => kept.push(function),
            Tool::Opaque { dialect, raw } => foreign_tool(*dialect, raw, losses),
        }
    }
    kept
}

pub(super) fn foreign_tool(dialect: Dialect, raw: &Raw, losses: &mut Losses) {
    losses.push(format!("tools: {}", tool_type(raw)), format!("only {dialect} knows this tool"));
}

/// For servers that insist on a schema, also where a function takes nothing.
pub(crate) fn write_parameters(o: &mut Obj<'_, BytesMut>, function: &Function) {
    match &function.parameters {
        Some(schema) => o.raw("parameters", schema),
        None => o.span("parameters", br#"{"type":"object","properties":{}}"#),
    }
}

pub(crate) fn write_function(o: &mut Obj<'_, BytesMut>, function: &Function, quirks: &Quirks, losses: &mut Losses) {
    o.str("type", "function");
    o.obj("function", |o| {
        o.str("name", &function.name);
        o.opt_str("description", function.description.as_deref());
        if let Some(parameters) = &function.parameters {
            o.raw("parameters", &fitted(parameters, quirks, losses));
        }
        if let Some(strict) = function.strict {
            o.bool("strict", strict);
        }
        if let Some(extra) = &function.extra {
            if quirks.router {
                o.merge(extra);
            } else {
                for (key, _) in crate::json::fields(extra.as_str().as_bytes()) {
                    losses.push(format!("tools[].{}", key.text()), "this provider does not know it");
                }
            }
        }
    });
    if let Some(cache) = &function.cache {
        if quirks.cache_control {
            write_cache(o, "cache_control", cache);
        } else {
            losses.push("cache_control", NO_CACHE_CONTROL);
        }
    }
}

/// A schema within what the provider understands.
fn fitted(schema: &Raw, quirks: &Quirks, losses: &mut Losses) -> Raw {
    if !quirks.schema_subset {
        return schema.clone();
    }
    let mut value = schema.value();
    let mut dropped = Vec::new();
    trim_schema(&mut value, &mut dropped);
    for word in dropped {
        losses.push(format!("json schema: {word}"), "this provider knows a subset of JSON Schema");
    }
    Raw::of(&value).unwrap_or_else(|| schema.clone())
}

/// Words of JSON Schema outside the OpenAPI 3.0 subset. Depth is bounded by the parser that made the value.
fn trim_schema(value: &mut serde_json::Value, dropped: &mut Vec<&'static str>) {
    const FOREIGN: [&str; 8] =
        ["$schema", "$id", "$defs", "definitions", "additionalProperties", "patternProperties", "const", "$comment"];
    match value {
        serde_json::Value::Object(map) => {
            for word in FOREIGN {
                // Under `properties` these would be names, not words; a property called `const` is too rare to serve.
                if map.remove(word).is_some() && !dropped.contains(&word) {
                    dropped.push(word);
                }
            }
            map.values_mut().for_each(|v| trim_schema(v, dropped));
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(|v| trim_schema(v, dropped)),
        _ => {}
    }
}

/// The format as this upstream can be told it. What it has no member for, [`crate::structured`] asks for in other ways first.
pub(crate) fn lower_format<'a>(
    format: Option<&'a Format>,
    quirks: &Quirks,
    losses: &mut Losses,
) -> Option<Cow<'a, Format>> {
    let format = format?;
    match (format, quirks.structured) {
        (Format::Opaque { dialect, .. }, _) if *dialect != Dialect::OpenAiChat => {
            losses.push("response_format", format!("only {dialect} knows this format"));
            None
        }
        (Format::Text, Structured::Unsaid) => None,
        (_, Structured::Unsaid) => {
            losses.push("response_format", "this provider has no response formats");
            None
        }
        (Format::JsonSchema { .. }, Structured::JsonObject) => {
            losses.push("response_format", "this provider takes no schema");
            None
        }
        (Format::JsonSchema { name, schema, strict, description }, Structured::JsonSchema) if quirks.schema_subset => {
            let schema = fitted(schema, quirks, losses);
            let (name, description) = (name.clone(), description.clone());
            Some(Cow::Owned(Format::JsonSchema { name, schema, strict: *strict, description }))
        }
        _ => Some(Cow::Borrowed(format)),
    }
}

pub(crate) fn write_format(o: &mut Obj<'_, BytesMut>, key: &str, format: &Format) {
    match format {
        Format::Opaque { raw, .. } => o.raw(key, raw),
        Format::Text => o.obj(key, |o| o.str("type", "text")),
        Format::JsonObject => o.obj(key, |o| o.str("type", "json_object")),
        Format::JsonSchema { name, schema, strict, description } => o.obj(key, |o| {
            o.str("type", "json_schema");
            o.obj("json_schema", |o| {
                o.str("name", name);
                o.opt_str("description", description.as_deref());
                o.raw("schema", schema);
                if let Some(strict) = strict {
                    o.bool("strict", *strict);
                }
            });
        }),
    }
}
