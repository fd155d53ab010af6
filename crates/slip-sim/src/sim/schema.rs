//! A value that satisfies a JSON Schema (or Gemini's OpenAPI subset of it), filled from the user's words where they fit.
//!
//! Understood: type (also as a list, also in capitals), properties, required, items, minItems, enum, const, anyOf, oneOf, allOf,
//! local `$ref`, default formats, minLength, minimum, maximum, exclusive bounds, multipleOf. Not understood: pattern, not, if.

use serde_json::{Map, Number, Value, json};

/// Deeper than any schema a provider accepts (OpenAI stops at 10 levels, 2026-11).
const MAX_DEPTH: usize = 32;
/// Values in one document: `required` in a recursive schema can multiply at every level.
const MAX_VALUES: usize = 4096;

/// A document for the schema. `nth` says which of the user's words to prefer, for parallel calls.
pub(crate) fn instance(schema: &Value, text: &str, nth: usize) -> Value {
    Fill { root: schema, text, nth, numbers: numbers(text), values: 0, integers: 0 }.value(schema, "", 0)
}

/// The arguments of a call: always an object.
pub(crate) fn arguments(schema: &Value, text: &str, nth: usize) -> Value {
    match instance(schema, text, nth) {
        Value::Object(map) => Value::Object(map),
        _ => json!({}),
    }
}

struct Fill<'a> {
    root: &'a Value,
    text: &'a str,
    nth: usize,
    numbers: Vec<f64>,
    values: usize,
    integers: usize,
}

impl Fill<'_> {
    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Value::Null;
        }
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
            return match self.root.pointer(pointer) {
                Some(target) => self.value(&target.clone(), name, depth + 1),
                None => Value::Null,
            };
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array) {
            return self.option(options);
        }
        for union in ["anyOf", "oneOf"] {
            if let Some(options) = schema.get(union).and_then(Value::as_array) {
                let first = options.iter().find(|o| kind(o) != "null").or(options.first());
                return first.map_or(Value::Null, |o| self.value(o, name, depth + 1));
            }
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return self.value(&merged(all), name, depth + 1);
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => {
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, 64);
                let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(least);
                let empty = json!({ "type": "string" });
                let item = schema.get("items").unwrap_or(&empty);
                (0..least.min(most)).map(|_| self.value(item, name, depth + 1)).collect()
            }
            "integer" => self.number(schema, true),
            "number" => self.number(schema, false),
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => self.string(schema, name),
        }
    }

    /// The required properties; all of them where nothing is said to be required.
    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required = schema.get("required").and_then(Value::as_array);
        let required: Vec<&str> = required.map(|r| r.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
        let mut out = Map::new();
        for (key, property) in properties {
            if required.is_empty() || required.contains(&key.as_str()) {
                out.insert(key.clone(), self.value(property, key, depth + 1));
            }
        }
        for key in required.iter().filter(|k| !properties.contains_key(**k)) {
            out.insert((*key).to_owned(), json!("x"));
        }
        Value::Object(out)
    }

    /// The one the user mentioned, or the first.
    fn option(&self, options: &[Value]) -> Value {
        let lower = self.text.to_lowercase();
        let said = |o: &&Value| o.as_str().is_some_and(|s| !s.is_empty() && lower.contains(&s.to_lowercase()));
        options.iter().find(said).or(options.first()).cloned().unwrap_or(Value::Null)
    }

    /// The user's numbers in order, then 1, 2, 3 …; within the bounds.
    fn number(&mut self, schema: &Value, whole: bool) -> Value {
        let bound = |member: &str| schema.get(member).and_then(Value::as_f64);
        self.integers += 1;
        let mut n = self.numbers.get(self.integers - 1).copied().unwrap_or(self.integers as f64);
        if whole {
            n = n.trunc();
        }
        let step = bound("multipleOf").filter(|s| *s > 0.0);
        if let Some(least) = bound("minimum").or(bound("exclusiveMinimum").map(|b| b + 1.0)) {
            n = n.max(least);
        }
        if let Some(most) = bound("maximum").or(bound("exclusiveMaximum").map(|b| b - 1.0)) {
            n = n.min(most);
        }
        if let Some(step) = step {
            n = (n / step).ceil() * step;
        }
        if n.fract() == 0.0 && n.abs() < 9e15 {
            json!(n as i64)
        } else {
            Number::from_f64(n).map_or(json!(1), Value::Number)
        }
    }

    fn string(&self, schema: &Value, name: &str) -> Value {
        let plain = match schema.get("format").and_then(Value::as_str) {
            Some("date") => "2026-01-02".to_owned(),
            Some("date-time") => "2026-01-02T03:04:05Z".to_owned(),
            Some("time") => "03:04:05Z".to_owned(),
            Some("email") => "x@example.com".to_owned(),
            Some("uri" | "url") => "https://example.com/".to_owned(),
            Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
            Some("ipv4") => "192.0.2.1".to_owned(),
            _ => self.word(name).unwrap_or_else(|| "x".to_owned()),
        };
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0).min(4096) as usize;
        let most = schema.get("maxLength").and_then(Value::as_u64).map_or(usize::MAX, |n| n as usize);
        let missing = least.saturating_sub(plain.chars().count());
        Value::String(plain.chars().chain(std::iter::repeat_n('x', missing)).take(most).collect())
    }

    /// An obvious word of the user's for a property of that name: a place or a name is a capitalised word that does not open the
    /// sentence.
    fn word(&self, name: &str) -> Option<String> {
        let name = name.to_lowercase();
        if !["city", "location", "place", "country", "town", "name", "who", "person"].iter().any(|w| name.contains(w)) {
            return None;
        }
        let mut found = Vec::new();
        let mut opens = true;
        for word in self.text.split_whitespace() {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            if !opens && bare.chars().count() > 1 && bare.chars().next().is_some_and(char::is_uppercase) {
                found.push(bare.to_owned());
            }
            opens = word.ends_with(['.', '!', '?', ':']);
        }
        found.get(self.nth).or(found.last()).cloned()
    }
}

/// The type, in small letters; the first that is not null where several are allowed; guessed where none is given.
fn kind(schema: &Value) -> &'static str {
    let named = match schema.get("type") {
        Some(Value::String(one)) => Some(one.as_str()),
        Some(Value::Array(some)) => {
            let mut names = some.iter().filter_map(Value::as_str);
            names.clone().find(|n| *n != "null").or(names.next())
        }
        _ => None,
    };
    let known = ["object", "array", "integer", "number", "boolean", "null", "string"];
    let guess = || match schema {
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    };
    named.and_then(|n| known.into_iter().find(|k| k.eq_ignore_ascii_case(n))).unwrap_or_else(guess)
}

/// The members of all parts together; properties and required are joined.
fn merged(parts: &[Value]) -> Value {
    let mut out = Map::new();
    for (key, value) in parts.iter().filter_map(Value::as_object).flatten() {
        match (out.get_mut(key), value) {
            (Some(Value::Object(have)), Value::Object(more)) => {
                have.extend(more.iter().map(|(k, v)| (k.clone(), v.clone())));
            }
            (Some(Value::Array(have)), Value::Array(more)) => have.extend(more.iter().cloned()),
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(out)
}

fn numbers(text: &str) -> Vec<f64> {
    let mut out = Vec::new();
    for word in
        text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '*' | '+' | '/')).take(4096)
    {
        let bare = word.trim_matches(|c: char| !c.is_ascii_digit() && c != '-');
        if let Ok(n) = bare.parse::<f64>()
            && n.is_finite()
        {
            out.push(n);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_schema() {
        let rows = [
            (json!({"type": "object"}), "", json!({})),
            (
                json!({"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "fahrenheit"]}, "extra": {"type": "string"}}, "required": ["city", "unit"]}),
                "What is the weather in Paris, in Fahrenheit?",
                json!({"city": "Paris", "unit": "fahrenheit"}),
            ),
            (
                json!({"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}, "b": {"type": "NUMBER"}}, "required": ["a", "b"]}),
                "add 2 and 3.5",
                json!({"a": 2, "b": 3.5}),
            ),
            (json!({"type": ["null", "integer"], "minimum": 5}), "", json!(5)),
            (json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2}), "", json!([true, true])),
            (json!({"anyOf": [{"type": "null"}, {"const": 7}]}), "", json!(7)),
            (
                json!({"$defs": {"n": {"type": "object", "properties": {"v": {"type": "integer"}}}}, "type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}),
                "",
                json!({"n": {"v": 1}}),
            ),
            (json!({"type": "string", "minLength": 3, "maxLength": 4}), "", json!("xxx")),
            (
                json!({"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "null"}}}]}),
                "",
                json!({"a": "x", "b": null}),
            ),
        ];
        for (schema, text, expected) in rows {
            assert_eq!(instance(&schema, text, 0), expected, "{schema}");
        }
    }

    #[test]
    fn a_schema_that_never_ends_gives_a_document_that_does() {
        let schema =
            json!({"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}, "required": ["l", "r"]});
        assert!(instance(&schema, "", 0).to_string().len() < 200_000);
    }
}
