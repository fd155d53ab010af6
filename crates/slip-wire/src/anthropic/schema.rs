//! A JSON Schema as Anthropic takes one for an answer: every object closed, and no bounds on numbers, texts or lists.
//!
//! From its documentation of structured outputs, read 2026-11. What it does not take it answers with a 400.

use crate::json;
use slip_ir::{Loss, Raw};

/// Deeper than any model follows, and the writer recurses.
const DEEPEST: usize = 64;
/// Losses of one schema.
const MOST_LOSSES: usize = 64;
const BOUNDS: [&str; 13] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
];

pub fn closed(schema: &Raw, losses: &mut Vec<Loss>) -> Raw {
    let mut out = Vec::with_capacity(schema.as_str().len() + 64);
    Close { losses, told: 0 }.schema(schema.as_str().as_bytes(), "response_format.json_schema.schema", 0, &mut out);
    String::from_utf8(out).ok().and_then(|text| Raw::parse(&text)).unwrap_or_else(|| schema.clone())
}

struct Close<'l> {
    losses: &'l mut Vec<Loss>,
    told: usize,
}

impl Close<'_> {
    fn lose(&mut self, at: &str, name: &str, why: &'static str) {
        self.told += 1;
        if self.told <= MOST_LOSSES {
            self.losses.push(Loss::new(format!("{at}.{}", json::shown(name)), why));
        }
    }

    fn schema(&mut self, span: &[u8], at: &str, depth: usize, out: &mut Vec<u8>) {
        if span.first() != Some(&b'{') || depth > DEEPEST {
            return out.extend_from_slice(span);
        }
        let kind = json::field(span, "type").and_then(json::string);
        let is_object = kind.as_deref() == Some("object") || json::field(span, "properties").is_some();
        let has_any_of = json::field(span, "anyOf").is_some();
        let mut members = Members::open(out);
        for (key, value) in json::fields(span) {
            let name = key.text();
            let here = || format!("{at}.{}", json::shown(&name));
            match &*name {
                "additionalProperties" if is_object => {
                    if value != b"false" {
                        self.lose(at, &name, "every object is closed");
                    }
                }
                "minItems" if !matches!(value, b"0" | b"1") => {
                    self.lose(at, &name, "a bound the provider does not take")
                }
                bound if BOUNDS.contains(&bound) => self.lose(at, &name, "a bound the provider does not take"),
                "properties" | "$defs" | "definitions" if value.first() == Some(&b'{') => {
                    let mut inner = Members::open(members.key(key.raw()));
                    for (property, value) in json::fields(value) {
                        let at = format!("{}.{}", here(), json::shown(&property.text()));
                        self.schema(value, &at, depth + 1, inner.key(property.raw()));
                    }
                    inner.close();
                }
                "items" => self.schema(value, &here(), depth + 1, members.key(key.raw())),
                "oneOf" if !has_any_of => {
                    self.lose(at, &name, "sent as anyOf");
                    self.list(value, &here(), depth, members.key(b"anyOf"));
                }
                "anyOf" | "allOf" => self.list(value, &here(), depth, members.key(key.raw())),
                _ => members.key(key.raw()).extend_from_slice(value),
            }
        }
        if is_object {
            members.key(b"additionalProperties").extend_from_slice(b"false");
        }
        members.close();
    }

    fn list(&mut self, span: &[u8], at: &str, depth: usize, out: &mut Vec<u8>) {
        if span.first() != Some(&b'[') {
            return out.extend_from_slice(span);
        }
        out.push(b'[');
        for (n, item) in json::items(span).enumerate() {
            if n > 0 {
                out.push(b',');
            }
            self.schema(item, &format!("{at}[{n}]"), depth + 1, out);
        }
        out.push(b']');
    }
}

/// Members written one after the other, their names as they came.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    any: bool,
}

impl<'o> Members<'o> {
    fn open(out: &'o mut Vec<u8>) -> Members<'o> {
        out.push(b'{');
        Members { out, any: false }
    }

    fn key(&mut self, raw: &[u8]) -> &mut Vec<u8> {
        if std::mem::replace(&mut self.any, true) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(raw);
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn close(self) {
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_closed_and_bounds_are_lost() {
        let rows: &[(&str, &str, &[&str])] = &[
            (
                r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"object","properties":{}}},"required":["b"]}"#,
                r#"{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"object","properties":{},"additionalProperties":false}},"required":["b"],"additionalProperties":false}"#,
                &[],
            ),
            (
                r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
                r#"{"type":"object","additionalProperties":false}"#,
                &["additionalProperties"],
            ),
            (
                r#"{"type":"object","properties":{"minimum":{"type":"integer","minimum":1,"maximum":5}},"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"minimum":{"type":"integer"}},"additionalProperties":false}"#,
                &["properties.minimum.minimum", "properties.minimum.maximum"],
            ),
            (
                r#"{"type":"array","minItems":1,"maxItems":3,"items":{"oneOf":[{"properties":{}},{"type":"null"}]}}"#,
                r#"{"type":"array","minItems":1,"items":{"anyOf":[{"properties":{},"additionalProperties":false},{"type":"null"}]}}"#,
                &["maxItems", "items.oneOf"],
            ),
            (
                r##"{"$defs":{"N":{"type":"object"}},"$ref":"#/$defs/N"}"##,
                r##"{"$defs":{"N":{"type":"object","additionalProperties":false}},"$ref":"#/$defs/N"}"##,
                &[],
            ),
            (r#"{"type":"array","minItems":2}"#, r#"{"type":"array"}"#, &["minItems"]),
            (r#"{"enum":["minimum",{"type":"object"}]}"#, r#"{"enum":["minimum",{"type":"object"}]}"#, &[]),
        ];
        for (schema, want, lost) in rows {
            let mut losses = Vec::new();
            let got = closed(&Raw::parse(*schema).expect("the test's own JSON"), &mut losses);
            assert_eq!(got.as_str(), *want);
            let names: Vec<&str> =
                losses.iter().filter_map(|l| l.what.strip_prefix("response_format.json_schema.schema.")).collect();
            assert_eq!(names, *lost, "{schema}");
        }
    }
}
