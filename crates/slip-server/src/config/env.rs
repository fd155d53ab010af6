//! The environment twins: `SLIPSWITCH__PROVIDERS__LAB__KEY` is `providers.lab.key`. Two underscores go one level down, case does
//! not matter, any other character of a name is written as one underscore, and a number picks an item of a list.

use super::parse::toml_scalar;
use super::problem::Problem;
use super::shape::Shape;
use super::tree::{Entry, Node, Origin, Path, Value};
use serde_json::Value as Json;

pub const PREFIX: &str = "SLIPSWITCH__";
/// Deeper than any member of the format.
const MAX_LEVELS: usize = 8;

/// Lay one variable over the tree. `slugs` are names of providers that may be meant though the file has none of them.
pub fn set(tree: &mut Node, name: &str, text: &str, shape: &Shape, slugs: &[&str], problems: &mut Vec<Problem>) {
    let levels: Vec<&str> = name.get(PREFIX.len()..).unwrap_or("").split("__").collect();
    let origin = Origin::Env(name.to_owned());
    if levels.len() > MAX_LEVELS || levels.iter().any(|level| level.is_empty()) {
        problems.push(Problem::new(origin, Path::default(), "not the name of a configuration value"));
        return;
    }
    lay(tree, &levels, text, Some(shape.root()), &origin, &Context { shape, slugs });
}

/// Lay a flag over the tree; its path is spelt out in keys.
pub fn set_flag(tree: &mut Node, path: &[&str], text: &str, flag: &str, shape: &Shape) {
    let origin = Origin::Flag(flag.to_owned());
    lay(tree, path, text, Some(shape.root()), &origin, &Context { shape, slugs: &[] });
}

/// Lay a variable with a name of its own over the tree.
pub fn set_named(tree: &mut Node, path: &[&str], text: &str, name: &str, shape: &Shape) {
    let origin = Origin::Env(name.to_owned());
    lay(tree, path, text, Some(shape.root()), &origin, &Context { shape, slugs: &[] });
}

struct Context<'a> {
    shape: &'a Shape,
    slugs: &'a [&'a str],
}

fn lay(node: &mut Node, levels: &[&str], text: &str, schema: Option<&Json>, origin: &Origin, context: &Context<'_>) {
    let shape = context.shape;
    let Some((level, deeper)) = levels.split_first() else {
        *node = value(text, schema, origin, shape);
        return;
    };
    if let Ok(at) = level.parse::<usize>()
        && (matches!(node.value, Value::List(_)) || schema.is_some_and(|s| shape.kinds(s).contains(&"array")))
    {
        if !matches!(node.value, Value::List(_)) {
            *node = Node::new(Value::List(Vec::new()), origin.clone());
        }
        if let Value::List(items) = &mut node.value {
            // A gap would need values nobody gave: the next free place is taken.
            let at = at.min(items.len());
            if at == items.len() {
                items.push(Node::new(Value::Null, origin.clone()));
            }
            let item = schema.and_then(|s| shape.item(s));
            lay(&mut items[at], deeper, text, item, origin, context);
        }
        return;
    }
    if !matches!(node.value, Value::Table(_)) {
        *node = Node::table(origin.clone());
    }
    let Value::Table(entries) = &mut node.value else { return };
    let names = schema.map(|s| shape.names(s)).unwrap_or_default();
    let slugs = if schema.is_some_and(|s| is_providers(s, shape)) { context.slugs } else { &[] };
    let key = entries
        .iter()
        .map(|e| e.key.as_str())
        .chain(names)
        .chain(slugs.iter().copied())
        .find(|known| flat(known) == flat(level))
        .map_or_else(|| level.to_lowercase(), str::to_owned);
    let schema = schema.and_then(|s| shape.member(s, &key));
    let at = entries.iter().position(|e| e.key == key).unwrap_or_else(|| {
        entries.push(Entry { key, key_at: origin.clone(), node: Node::new(Value::Null, origin.clone()) });
        entries.len() - 1
    });
    if deeper.is_empty() {
        entries[at].key_at = origin.clone();
    }
    lay(&mut entries[at].node, deeper, text, schema, origin, context);
}

/// The table whose keys are slugs: it takes any key, and its values have a `dialect`.
fn is_providers(schema: &Json, shape: &Shape) -> bool {
    let any = schema.get("additionalProperties").filter(|any| any.is_object());
    any.is_some_and(|any| shape.names(any).contains(&"dialect"))
}

/// Where a string may stand the text is one, whatever it looks like: a key made of digits is still a key.
fn value(text: &str, schema: Option<&Json>, origin: &Origin, shape: &Shape) -> Node {
    let kinds = schema.map(|s| shape.kinds(s)).unwrap_or_default();
    let bracketed = text.starts_with(['[', '{']) && kinds.iter().any(|kind| matches!(*kind, "array" | "object"));
    let plain = || Node::new(Value::String(text.to_owned()), origin.clone());
    if kinds.contains(&"string") && !bracketed { plain() } else { toml_scalar(text, origin).unwrap_or_else(plain) }
}

fn flat(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}
