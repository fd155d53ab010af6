//! Text of a file to a tree: TOML and YAML (JSON is YAML). Every value keeps its place in the text.

use super::problem::Problem;
use super::tree::{Entry, Node, Origin, Path, Value};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A file a person wrote is far smaller; this keeps a wrong path from filling memory.
const MAX_BYTES: usize = 1024 * 1024;
/// The deepest member of the format is five tables down.
const MAX_DEPTH: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Toml,
    Yaml,
}

impl Format {
    /// By the suffix of the file's name.
    pub fn of(name: &str) -> Option<Format> {
        let (_, suffix) = name.rsplit_once('.')?;
        match suffix.to_ascii_lowercase().as_str() {
            "toml" => Some(Format::Toml),
            "yaml" | "yml" | "json" => Some(Format::Yaml),
            _ => None,
        }
    }
}

/// What could be read of `text`; the problems are those of syntax.
pub fn parse(text: &str, format: Format, problems: &mut Vec<Problem>) -> Node {
    if text.len() > MAX_BYTES {
        problems.push(Problem::new(
            Origin::File(0..0),
            Path::default(),
            format!("larger than a configuration can be (1 MiB): {} bytes", text.len()),
        ));
        return Node::table(Origin::File(0..0));
    }
    match format {
        Format::Toml => toml_tree(text, problems),
        Format::Yaml => yaml_tree(text, problems),
    }
}

fn toml_tree(text: &str, problems: &mut Vec<Problem>) -> Node {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        problems.push(Problem::new(Origin::File(span), Path::default(), one_line(error.message())));
    }
    let span = table.span();
    Node::new(toml_table(table.into_inner()), Origin::File(span))
}

fn toml_table(table: DeTable<'_>) -> Value {
    let mut entries: Vec<(usize, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let span = value.span();
            let entry = Entry {
                key_at: Origin::File(key.span()),
                key: key.into_inner().into_owned(),
                node: Node::new(toml_value(value.into_inner()), Origin::File(span)),
            };
            (entry_start(&entry), entry)
        })
        .collect();
    // The parser sorts by name; a reader expects the order of the file.
    entries.sort_by_key(|(start, _)| *start);
    Value::Table(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn entry_start(entry: &Entry) -> usize {
    if let Origin::File(span) = &entry.key_at { span.start } else { 0 }
}

fn toml_value(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => {
            let digits: String = number.as_str().chars().filter(|c| *c != '_').collect();
            i64::from_str_radix(&digits, number.radix()).map_or(Value::Strange("a number out of range"), Value::Integer)
        }
        DeValue::Float(number) => {
            let digits: String = number.as_str().chars().filter(|c| *c != '_').collect();
            digits.parse().ok().filter(|n: &f64| n.is_finite()).map_or(Value::Strange("not a number"), Value::Float)
        }
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(_) => Value::Strange("a date"),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| {
                    let span = item.span();
                    Node::new(toml_value(item.into_inner()), Origin::File(span))
                })
                .collect(),
        ),
        DeValue::Table(table) => toml_table(table),
    }
}

/// One TOML value, as it stands in the environment or a flag; `None` when it is not one.
pub fn toml_scalar(text: &str, origin: &Origin) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let mut node = Node::new(toml_value(value.into_inner()), origin.clone());
    resettle(&mut node, origin);
    Some(node)
}

/// A document of our own.
pub fn toml_document(text: &str, origin: &Origin) -> Node {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut node = Node::new(toml_table(table.into_inner()), origin.clone());
    resettle(&mut node, origin);
    node
}

/// Give a whole tree one origin.
fn resettle(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| resettle(item, origin)),
        Value::Table(entries) => {
            for entry in entries {
                entry.key_at = origin.clone();
                resettle(&mut entry.node, origin);
            }
        }
        _ => {}
    }
}

fn yaml_tree(text: &str, problems: &mut Vec<Problem>) -> Node {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_documents: 1,
            max_nodes: 100_000,
            max_aliases: 1_000,
        },
        strict_booleans: true,
    };
    // Nothing but comments is an empty configuration.
    match serde_saphyr::from_str_with_options::<Option<Spanned<Any>>>(text, options) {
        Ok(Some(any)) => yaml_node(any, text),
        Ok(None) => Node::table(Origin::File(0..0)),
        Err(error) => {
            let span = error.location().map_or(0..0, |at| bytes(at, text));
            let why = error.without_snippet().to_string();
            problems.push(Problem::new(Origin::File(span), Path::default(), one_line(without_place(&why))));
            Node::table(Origin::File(0..0))
        }
    }
}

/// The place is printed in front already, and there is no option to set.
fn without_place(message: &str) -> &str {
    let end = [" at line ", " (line ", ": line ", ", set DuplicateKeyPolicy"]
        .iter()
        .filter_map(|mark| message.find(mark))
        .min();
    message.get(..end.unwrap_or(message.len())).unwrap_or(message)
}

/// Any YAML value, before it is known what it should be.
enum Any {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    List(Vec<Spanned<Any>>),
    Table(Vec<(Spanned<String>, Spanned<Any>)>),
    Strange(&'static str),
}

fn yaml_node(any: Spanned<Any>, text: &str) -> Node {
    let origin = Origin::File(bytes(any.referenced, text));
    let value = match any.value {
        Any::Null => Value::Null,
        Any::Bool(flag) => Value::Bool(flag),
        Any::Integer(number) => Value::Integer(number),
        Any::Float(number) => Value::Float(number),
        Any::String(text) => Value::String(text),
        Any::Strange(what) => Value::Strange(what),
        Any::List(items) => Value::List(items.into_iter().map(|item| yaml_node(item, text)).collect()),
        Any::Table(entries) => Value::Table(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    key_at: Origin::File(bytes(key.referenced, text)),
                    key: key.value,
                    node: yaml_node(value, text),
                })
                .collect(),
        ),
    };
    Node::new(value, origin)
}

/// Where a location is in the text, in bytes.
fn bytes(at: Location, text: &str) -> Range<usize> {
    let span = at.span();
    let (start, len) = match (span.byte_offset(), span.byte_len()) {
        (Some(start), Some(len)) => (start as usize, len as usize),
        _ => {
            let line = usize::try_from(at.line().saturating_sub(1)).unwrap_or(0);
            let column = usize::try_from(at.column().saturating_sub(1)).unwrap_or(0);
            let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
            let within = text.get(before..).unwrap_or("").chars().take(column).map(char::len_utf8).sum::<usize>();
            (before + within, 1)
        }
    };
    let start = start.min(text.len());
    start..start.saturating_add(len).min(text.len())
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Any, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Any;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Any, E> {
                Ok(Any::Null)
            }

            fn visit_none<E>(self) -> Result<Any, E> {
                Ok(Any::Null)
            }

            fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Any, D::Error> {
                Any::deserialize(d)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Any, E> {
                Ok(Any::Bool(flag))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Any, E> {
                Ok(Any::Integer(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Any, E> {
                Ok(i64::try_from(number).map_or(Any::Strange("a number out of range"), Any::Integer))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Any, E> {
                Ok(Any::Float(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Any, E> {
                Ok(Any::String(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Any::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Any::Table(entries))
            }
        }
        d.deserialize_any(Reader)
    }
}

/// Parsers explain themselves in several lines and sentences; the first is the point.
fn one_line(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("not understood");
    line.trim_end_matches(['.', ',', ':']).to_owned()
}
