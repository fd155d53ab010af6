//! The tree against the schema: unknown members, wrong kinds of value, words outside a closed list, numbers out of range. What is
//! wrong is taken out, so that the rest can be read and judged in the same run.

use super::parse::toml_scalar;
use super::problem::{Problem, suggestion};
use super::tree::{Entry, Node, Path, Value, quoted};
use super::veil::is_secret;
use serde_json::Value as Json;

/// The schema, and what of it applies to a place.
pub struct Shape {
    root: Json,
}

impl Shape {
    pub fn new(root: Json) -> Shape {
        Shape { root }
    }

    pub fn root(&self) -> &Json {
        &self.root
    }

    /// Take out of `node` what the schema does not allow.
    pub fn prune(&self, node: &mut Node, problems: &mut Vec<Problem>) {
        self.node(node, &self.root, &Path::default(), problems);
    }

    /// The alternatives `schema` stands for, references resolved, `null` left out.
    pub fn branches<'a>(&'a self, schema: &'a Json) -> Vec<&'a Json> {
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")) {
            return self.branches(&self.root["$defs"][name]);
        }
        let several = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
        match several {
            Some(several) => several.iter().filter(|s| s["type"] != "null").flat_map(|s| self.branches(s)).collect(),
            None => vec![schema],
        }
    }

    /// Names of the kinds of value `schema` takes.
    pub fn kinds<'a>(&'a self, schema: &'a Json) -> Vec<&'a str> {
        self.branches(schema).into_iter().flat_map(types).collect()
    }

    /// What the schema says of the member `key` of a table.
    pub fn member<'a>(&'a self, schema: &'a Json, key: &str) -> Option<&'a Json> {
        self.branches(schema).into_iter().find_map(|branch| {
            let named = branch.get("properties").and_then(|p| p.get(key));
            named.or_else(|| branch.get("additionalProperties").filter(|any| any.is_object()))
        })
    }

    /// The members a table may have by name.
    pub fn names<'a>(&'a self, schema: &'a Json) -> Vec<&'a str> {
        let tables = self.branches(schema).into_iter();
        tables.filter_map(|b| b["properties"].as_object()).flat_map(|p| p.keys().map(String::as_str)).collect()
    }

    pub fn item<'a>(&'a self, schema: &'a Json) -> Option<&'a Json> {
        self.branches(schema).into_iter().find_map(|branch| branch.get("items"))
    }

    /// Whether the value may stay.
    fn node(&self, node: &mut Node, schema: &Json, path: &Path, problems: &mut Vec<Problem>) -> bool {
        if !node.expanded.is_empty() && !self.kinds(schema).contains(&"string") {
            // `${N}` where a number is wanted: the variable's text is read as one.
            if let (Value::String(text), origin) = (&node.value, &node.origin)
                && let Some(parsed) = toml_scalar(text, origin)
            {
                node.value = parsed.value;
            }
        }
        let branches = self.branches(schema);
        let fitting = branches.iter().find(|branch| types(branch).any(|kind| fits(&node.value, kind)));
        let Some(branch) = fitting else {
            let wanted: Vec<&str> = self.kinds(schema).into_iter().map(in_words).collect();
            let example = schema["examples"][0].as_str();
            problems.push(wrong_kind(node, path, &wanted, example));
            return false;
        };
        match &mut node.value {
            Value::Table(entries) => {
                entries.retain_mut(|entry| self.entry(entry, branch, path, problems));
                true
            }
            Value::List(items) => {
                let item = &branch["items"];
                let mut at = 0;
                items.retain_mut(|node| {
                    node.item = at;
                    at += 1;
                    let path = path.item(node.item);
                    // Nothing, because what was there has been refused.
                    let refused = matches!(node.value, Value::Null) && problems.iter().any(|p| p.path == path);
                    !refused && self.node(node, item, &path, problems)
                });
                true
            }
            value => scalar(value, &node.origin, branch, path, problems),
        }
    }

    fn entry(&self, entry: &mut Entry, table: &Json, path: &Path, problems: &mut Vec<Problem>) -> bool {
        if matches!(entry.node.value, Value::Null) {
            return false;
        }
        let path = path.key(&entry.key);
        match self.member(table, &entry.key) {
            Some(schema) => self.node(&mut entry.node, schema, &path, problems),
            None => {
                let note = suggestion(&entry.key, &self.names(table));
                problems.push(Problem::new(entry.key_at.clone(), path, "unknown field").maybe_note(note));
                false
            }
        }
    }
}

fn types(schema: &Json) -> impl Iterator<Item = &str> {
    let one = schema["type"].as_str().into_iter();
    let several = schema["type"].as_array().into_iter().flatten().filter_map(Json::as_str);
    one.chain(several).filter(|kind| *kind != "null")
}

fn fits(value: &Value, kind: &str) -> bool {
    matches!(
        (value, kind),
        (Value::Bool(_), "boolean")
            | (Value::Integer(_), "integer" | "number")
            | (Value::Float(_), "number")
            | (Value::String(_), "string")
            | (Value::List(_), "array")
            | (Value::Table(_), "object")
    )
}

fn in_words(kind: &str) -> &str {
    match kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a string",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}

fn wrong_kind(node: &Node, path: &Path, wanted: &[&str], example: Option<&str>) -> Problem {
    let secret = is_secret(path);
    let shown = |text: String| if secret { String::new() } else { format!(": {text}") };
    let (found, value) = match &node.value {
        Value::Null => ("nothing", String::new()),
        Value::Bool(flag) => ("a boolean", shown(flag.to_string())),
        Value::Integer(number) => ("a whole number", shown(number.to_string())),
        Value::Float(number) => ("a number", shown(number.to_string())),
        Value::String(text) => ("a string", shown(quoted(text))),
        Value::List(_) => ("a list", String::new()),
        Value::Table(_) => ("a table", String::new()),
        Value::Strange(what) => (*what, String::new()),
    };
    let problem = Problem::new(
        node.origin.clone(),
        path.clone(),
        format!("expected {}, not {found}{value}", wanted.join(" or ")),
    );
    let bare = matches!(node.value, Value::Bool(_) | Value::Integer(_) | Value::Float(_));
    match example {
        Some(example) => problem.note(format!("such as {}", quoted(example))),
        None if bare && wanted == ["a string"] => problem.note("write it in quotes"),
        None => problem,
    }
}

fn scalar(
    value: &Value,
    origin: &super::tree::Origin,
    schema: &Json,
    path: &Path,
    problems: &mut Vec<Problem>,
) -> bool {
    let mut bad = |what: String, note: Option<String>| {
        problems.push(Problem::new(origin.clone(), path.clone(), what).maybe_note(note));
        false
    };
    match value {
        Value::String(text) => {
            let Some(allowed) = schema["enum"].as_array() else { return true };
            let allowed: Vec<&str> = allowed.iter().filter_map(Json::as_str).collect();
            allowed.contains(&text.as_str())
                || bad(format!("unknown value: {}", quoted(text)), suggestion(text, &allowed))
        }
        Value::Integer(_) | Value::Float(_) => {
            let number = if let Value::Integer(n) = value { *n as f64 } else { as_float(value) };
            let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
                let range = match (least, most) {
                    (Some(least), Some(most)) => format!("between {least} and {most}"),
                    (Some(least), None) => format!("at least {least}"),
                    (None, most) => format!("at most {}", most.unwrap_or_default()),
                };
                return bad(format!("must be {range}: {number}"), None);
            }
            true
        }
        _ => true,
    }
}

fn as_float(value: &Value) -> f64 {
    if let Value::Float(number) = value { *number } else { 0.0 }
}
