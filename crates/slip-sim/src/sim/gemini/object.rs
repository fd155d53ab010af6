//! A JSON object as Google reads it: every member is known, in camelCase or snake_case, and others are refused.

use super::super::ask::Refusal;
use super::subset::camel;
use serde_json::{Map, Value};

/// An object with its member names in camelCase and nulls left out.
pub(super) struct Object(Map<String, Value>);

impl Object {
    pub fn of(value: Option<&Value>, known: &[&str], at: &str) -> Result<Object, Refusal> {
        let mut out = Map::new();
        match value {
            None | Some(Value::Null) => {}
            Some(Value::Object(members)) => {
                for (name, value) in members {
                    if !known.contains(&camel(name).as_str()) {
                        let at = if at.is_empty() { String::new() } else { format!(" at '{at}'") };
                        let message =
                            format!("Invalid JSON payload received. Unknown name \"{name}\"{at}: Cannot find field.");
                        return Err(Refusal::invalid(message));
                    }
                    if !value.is_null() {
                        out.insert(camel(name), value.clone());
                    }
                }
            }
            Some(other) => return Err(Refusal::invalid(format!("Invalid value at '{at}': {}", kind(other)))),
        }
        Ok(Object(out))
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn text(&self, name: &str) -> &str {
        self.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn list(&self, name: &str, at: &str) -> Result<Vec<Value>, Refusal> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            // One object where a list is expected is a list of one.
            Some(one @ Value::Object(_)) => Ok(vec![one.clone()]),
            Some(other) => Err(Refusal::invalid(format!("Invalid value at '{at}{name}': {}", kind(other)))),
        }
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole =
            value.as_u64().or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && *f >= 0.0).map(|f| f as u64));
        match whole {
            Some(n) => Ok(Some(n)),
            None => Err(Refusal::invalid(format!("Invalid value at 'generation_config.{name}' (TYPE_INT32), {value}"))),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
