//! The part of JSON Schema that Gemini's `parameters` and `responseSchema` understand: an OpenAPI 3.0 subset, where an unknown
//! word is an error and not ignored (documentation of 2026-11).

use super::super::ask::Refusal;
use serde_json::Value;

const WORDS: &[&str] = &[
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "propertyOrdering",
    "required",
    "title",
    "type",
];
const TYPES: &[&str] = &["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];
/// A schema may not nest deeper; the API itself stops earlier.
const MAX_DEPTH: usize = 64;

pub(super) fn check(schema: &Value, at: &str, depth: usize) -> Result<(), Refusal> {
    let Some(object) = schema.as_object() else {
        return Err(Refusal::invalid(format!("Invalid value at '{at}': a schema must be an object")));
    };
    if depth > MAX_DEPTH {
        return Err(Refusal::invalid(format!("Invalid value at '{at}': too deep")));
    }
    if let Some(word) = object.keys().find(|k| !WORDS.contains(&camel(k).as_str())) {
        let message = format!("Invalid JSON payload received. Unknown name \"{word}\" at '{at}': Cannot find field.");
        return Err(Refusal::invalid(message));
    }
    match object.get("type") {
        None => {}
        Some(Value::String(name)) if TYPES.iter().any(|t| t.eq_ignore_ascii_case(name)) => {}
        Some(Value::Array(_)) => {
            let message = format!(
                "Invalid JSON payload received. Unknown name \"type\" at '{at}': Proto field is not repeating, cannot start list."
            );
            return Err(Refusal::invalid(message));
        }
        Some(other) => return Err(Refusal::invalid(format!("Invalid value at '{at}.type': {other}"))),
    }
    if let Some(options) = object.get("enum").and_then(Value::as_array)
        && let Some(other) = options.iter().find(|o| !o.is_string())
    {
        return Err(Refusal::invalid(format!("Invalid value at '{at}.enum' (TYPE_STRING): {other}")));
    }
    for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        check(property, &format!("{at}.properties[{name}]"), depth + 1)?;
    }
    for option in object.get("anyOf").and_then(Value::as_array).into_iter().flatten() {
        check(option, &format!("{at}.any_of"), depth + 1)?;
    }
    if let Some(items) = object.get("items") {
        check(items, &format!("{at}.items"), depth + 1)?;
    }
    let is = |name: &str| object.get("type").and_then(Value::as_str).is_some_and(|t| t.eq_ignore_ascii_case(name));
    if is("array") && !object.contains_key("items") {
        return Err(Refusal::invalid(format!("* {at}.items: missing field.")));
    }
    let properties = object.get("properties").and_then(Value::as_object);
    // Within, an object of no properties is a map of anything, and has long been taken.
    if is("object") && depth == 0 && properties.is_none_or(serde_json::Map::is_empty) {
        return Err(Refusal::invalid(format!("* {at}.properties: should be non-empty for OBJECT type")));
    }
    let missing = |name: &&Value| name.as_str().is_none_or(|n| properties.is_none_or(|p| !p.contains_key(n)));
    if let Some(name) = object.get("required").and_then(Value::as_array).and_then(|r| r.iter().find(missing)) {
        return Err(Refusal::invalid(format!("* {at}.required: property is not defined: {name}")));
    }
    Ok(())
}

/// Google's JSON takes `any_of` for `anyOf`.
pub(super) fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for c in name.chars() {
        if c == '_' && !out.is_empty() {
            raise = true;
        } else if std::mem::take(&mut raise) {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}
