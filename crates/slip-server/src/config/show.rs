//! The configuration in effect, as TOML: every value with a comment saying where it came from, secrets masked.

use super::checked::mask;
use super::tree::{Entry, Node, Origin, Path, Value, quoted, spelt};
use super::veil::{is_database, is_secret};
use std::fmt::Write;

/// `file` is the name and text the tree was read from.
pub fn show(tree: &Node, file: Option<(&str, &str)>) -> String {
    let mut out = String::new();
    if let Value::Table(entries) = &tree.value {
        section(entries, &Path::default(), file, &mut out);
    }
    out
}

fn section(entries: &[Entry], path: &Path, file: Option<(&str, &str)>, out: &mut String) {
    let is_table = |entry: &&Entry| matches!(entry.node.value, Value::Table(_));
    let plain: Vec<&Entry> = entries.iter().filter(|e| !is_table(e)).collect();
    let tables = entries.iter().filter(is_table);
    if !path.0.is_empty() && (!plain.is_empty() || entries.is_empty()) {
        if !out.is_empty() {
            out.push('\n');
        }
        let _ = writeln!(out, "[{path}]");
    }
    for entry in plain {
        let path = path.key(&entry.key);
        let mut text = String::new();
        value(&entry.node, &path, &mut text);
        let _ = writeln!(out, "{} = {text}  # {}", spelt(&entry.key), origin(&entry.node, file));
    }
    for entry in tables {
        if let Value::Table(entries) = &entry.node.value {
            section(entries, &path.key(&entry.key), file, out);
        }
    }
}

fn value(node: &Node, path: &Path, out: &mut String) {
    match &node.value {
        // Not told apart by the format: neither says anything.
        Value::Null | Value::Strange(_) => out.push_str("\"\""),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&format!("{number:?}")),
        Value::String(text) if is_database(path) => out.push_str(&quoted(&address(text))),
        Value::String(text) if is_secret(path) && text != "none" => out.push_str(&quoted(&mask(text))),
        Value::String(text) => out.push_str(&quoted(text)),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                value(item, &path.item(at), out);
            }
            out.push(']');
        }
        Value::Table(entries) => {
            out.push_str("{ ");
            for (at, entry) in entries.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(&spelt(&entry.key));
                out.push_str(" = ");
                value(&entry.node, &path.key(&entry.key), out);
            }
            out.push_str(" }");
        }
    }
}

/// What is not a secret of an address is worth seeing.
fn address(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    slip_store::DatabaseUrl::parse(text).map_or_else(|_| mask(text), |url| url.to_string())
}

fn origin(node: &Node, file: Option<(&str, &str)>) -> String {
    let place = match (&node.origin, file) {
        (Origin::File(span), Some((name, text))) => {
            let line = text.get(..span.start.min(text.len())).unwrap_or("").matches('\n').count() + 1;
            format!("{name}:{line}")
        }
        (Origin::Env(name) | Origin::Flag(name), _) => name.clone(),
        _ => "default".into(),
    };
    if node.expanded.is_empty() {
        return place;
    }
    let from: Vec<String> = node.expanded.iter().map(|name| format!("${{{name}}}")).collect();
    format!("{place}, from {}", from.join(" "))
}
