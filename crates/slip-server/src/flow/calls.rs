//! Whether a caller could use the tool calls of a reply. Looked into after the reply went out, and only where tools were called, so
//! that it costs no request anything.

use super::read::Inbound;
use crate::clock;
use bytes::Bytes;
use serde_json::Value;
use slip_ir::request::Function;
use slip_ir::{Dialect, Tool};
use slip_route::Health;
use slip_wire::{Called, wire};
use std::sync::Arc;

/// The request is read once more for it: longer ones are not.
const MAX_REQUEST: usize = 1024 * 1024;
/// How deep arguments are compared with their schema, and how many elements of an array.
const MAX_DEPTH: u32 = 8;
const MAX_ITEMS: usize = 64;

/// The tools that were offered, as the caller wrote them.
pub struct Offered {
    dialect: Dialect,
    raw: Bytes,
}

impl Offered {
    /// `None` when there are none, or too much stands around them.
    pub fn of(inbound: &Inbound) -> Option<Offered> {
        let offers = inbound.peek.want.tools && inbound.raw.len() <= MAX_REQUEST;
        offers.then(|| Offered { dialect: inbound.dialect, raw: inbound.raw.clone() })
    }

    /// On a thread where it holds nobody up.
    pub fn judge(self, calls: Vec<Called>, health: Arc<Health>) {
        let Ok(house) = tokio::runtime::Handle::try_current() else { return };
        house.spawn_blocking(move || {
            if let Some(bad) = self.misused(&calls) {
                health.called(clock::unix_ms(), bad);
            }
        });
    }

    /// Whether one of the calls was of no use; `None` when that cannot be told.
    fn misused(&self, calls: &[Called]) -> Option<bool> {
        let (request, _) = wire(self.dialect).decode_request(&self.raw).ok()?;
        Some(calls.iter().any(|call| !usable(&request.tools, call)))
    }
}

fn usable(tools: &[Tool], call: &Called) -> bool {
    let named = |tool: &&Tool| matches!(tool, Tool::Function(function) if function.name == call.name);
    let Some(Tool::Function(Function { parameters, .. })) = tools.iter().find(named) else {
        // A provider's own tools go by names that are not in the request.
        return tools.iter().any(|tool| matches!(tool, Tool::Opaque { .. }));
    };
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) if value.is_object() => parameters.as_ref().is_none_or(|p| fits(&p.value(), &value, MAX_DEPTH)),
        _ => false,
    }
}

/// A light check: types, required members and enumerations. What is said in other ways is taken to be true.
fn fits(schema: &Value, value: &Value, depth: u32) -> bool {
    let Some(schema) = schema.as_object().filter(|_| depth > 0) else { return true };
    if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
        return true;
    }
    let typed = match schema.get("type") {
        Some(Value::String(kind)) => is(kind, value),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).any(|kind| is(kind, value)),
        _ => true,
    };
    let listed = schema.get("enum").and_then(Value::as_array).is_none_or(|all| all.contains(value));
    typed
        && listed
        && match value {
            Value::Object(members) => {
                let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
                let properties = schema.get("properties").and_then(Value::as_object);
                let declared = |name: &String| properties.and_then(|all| all.get(name));
                required.filter_map(Value::as_str).all(|name| members.contains_key(name))
                    && members.iter().all(|(name, of)| declared(name).is_none_or(|one| fits(one, of, depth - 1)))
            }
            Value::Array(items) => {
                let each = schema.get("items").unwrap_or(&Value::Null);
                items.iter().take(MAX_ITEMS).all(|item| fits(each, item, depth - 1))
            }
            _ => true,
        }
}

/// Gemini's requests write the types in capitals.
fn is(kind: &str, value: &Value) -> bool {
    match kind.to_ascii_lowercase().as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = r##"{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[
        {"type":"function","function":{"name":"now"}},
        {"type":"function","function":{"name":"look","parameters":{"type":"object","required":["city"],"properties":{
            "city":{"type":"string"},"days":{"type":"integer"},"unit":{"enum":["C","F"]},
            "when":{"type":["string","null"]},"tags":{"type":"array","items":{"type":"string"}},
            "other":{"$ref":"#/$defs/other"}}}}}]}"##;

    #[test]
    fn what_a_caller_can_use_and_what_not() {
        let offered = Offered { dialect: Dialect::OpenAiChat, raw: Bytes::from_static(REQUEST.as_bytes()) };
        let rows = [
            ("now", "", true),
            ("now", "{}", true),
            ("now", "{\"zone\":1}", true),
            ("now", "none", false),
            ("now", "[]", false),
            ("then", "{}", false),
            ("look", "{\"city\":\"Rome\"}", true),
            (
                "look",
                "{\"city\":\"Rome\",\"days\":3.0,\"unit\":\"C\",\"when\":null,\"tags\":[\"a\"],\"other\":1}",
                true,
            ),
            ("look", "", false),
            ("look", "{\"city\":\"Rome\"", false),
            ("look", "{\"city\":null}", false),
            ("look", "{\"city\":\"Rome\",\"days\":\"three\"}", false),
            ("look", "{\"city\":\"Rome\",\"days\":0.5}", false),
            ("look", "{\"city\":\"Rome\",\"unit\":\"K\"}", false),
            ("look", "{\"city\":\"Rome\",\"tags\":[\"a\",2]}", false),
        ];
        for (name, arguments, good) in rows {
            let call = Called { name: name.into(), arguments: arguments.into() };
            assert_eq!(offered.misused(&[call]), Some(!good), "{name} {arguments}");
        }
    }

    #[test]
    fn a_provider_has_tools_of_its_own() {
        let raw = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"tools":[
            {"type":"web_search_20250305","name":"web_search"}]}"#;
        let offered = Offered { dialect: Dialect::Anthropic, raw: Bytes::from_static(raw.as_bytes()) };
        let call = Called { name: "web_search".into(), arguments: "{}".into() };
        assert_eq!(offered.misused(std::slice::from_ref(&call)), Some(false));
        assert_eq!(Offered { raw: Bytes::from_static(b"{"), ..offered }.misused(&[call]), None);
    }
}
