//! A configuration as a tree whose every value knows where it came from. Files, the environment, flags and defaults all become
//! one, and lie over each other.

use super::veil::looks_random;
use std::fmt;
use std::ops::Range;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// Bytes of the file.
    File(Range<usize>),
    /// Name of the environment variable.
    Env(String),
    /// The flag, as it was typed.
    Flag(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// A kind of value no member takes (TOML's dates, a number that does not fit).
    Strange(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    pub origin: Origin,
    /// What was expanded in it: `OPENAI_API_KEY`, `file:/run/secrets/key`.
    pub expanded: Vec<String>,
    /// Which item of its list it was when written: the list may lose items to the check.
    pub item: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_at: Origin,
    pub node: Node,
}

/// One step down the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Item(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(pub Vec<Step>);

impl Path {
    pub fn of(keys: &[&str]) -> Path {
        Path(keys.iter().map(|key| Step::Key((*key).to_owned())).collect())
    }

    pub fn key(&self, key: &str) -> Path {
        self.with(Step::Key(key.to_owned()))
    }

    pub fn item(&self, at: usize) -> Path {
        self.with(Step::Item(at))
    }

    fn with(&self, step: Step) -> Path {
        Path(self.0.iter().cloned().chain([step]).collect())
    }

    pub fn starts_with(&self, head: &Path) -> bool {
        self.0.starts_with(&head.0)
    }

    pub fn mentions(&self, key: &str) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Key(k) if k == key))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                // A slip can turn a secret into the name of a member of a provider.
                Step::Key(key) if at > 1 && looks_random(key) => write!(f, ".…")?,
                Step::Key(key) => write!(f, "{}{}", if at > 0 { "." } else { "" }, spelt(key))?,
                Step::Item(item) => write!(f, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// A key as TOML spells it.
pub fn spelt(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { key.to_owned() } else { quoted(key) }
}

/// Text as a TOML basic string on one line.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl Node {
    pub fn new(value: Value, origin: Origin) -> Node {
        Node { value, origin, expanded: Vec::new(), item: 0 }
    }

    pub fn table(origin: Origin) -> Node {
        Node::new(Value::Table(Vec::new()), origin)
    }

    pub fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Where the value at `path` was written, or the key of the nearest table above it that exists.
    pub fn origin_of(&self, path: &Path) -> &Origin {
        let mut here = self;
        let mut nearest = &self.origin;
        for step in &path.0 {
            match (step, &here.value) {
                (Step::Key(key), Value::Table(_)) => match here.get(key) {
                    Some(entry) => (nearest, here) = (&entry.key_at, &entry.node),
                    None => return nearest,
                },
                (Step::Item(at), Value::List(items)) => match items.get(*at) {
                    Some(item) => (nearest, here) = (&item.origin, item),
                    None => return nearest,
                },
                _ => return nearest,
            }
        }
        // A table's own place is a whole section; its name says it better.
        if matches!(here.value, Value::Table(_)) { nearest } else { &here.origin }
    }

    /// Where the last step of `path` was written: the key, rather than what stands behind it.
    pub fn key_origin_of(&self, path: &Path) -> &Origin {
        let mut here = self;
        let mut nearest = &self.origin;
        for step in &path.0 {
            match step {
                Step::Key(key) => match here.get(key) {
                    Some(entry) => (nearest, here) = (&entry.key_at, &entry.node),
                    None => return nearest,
                },
                Step::Item(_) => return self.origin_of(path),
            }
        }
        nearest
    }

    /// `path` as its author would count it.
    pub fn as_written(&self, path: &Path) -> Path {
        let mut here = Some(self);
        let steps = path.0.iter().map(|step| match (step, here.map(|node| &node.value)) {
            (Step::Item(at), Some(Value::List(items))) => {
                here = items.get(*at);
                Step::Item(here.map_or(*at, |node| node.item))
            }
            (Step::Key(key), _) => {
                here = here.and_then(|node| node.get(key)).map(|entry| &entry.node);
                step.clone()
            }
            _ => step.clone(),
        });
        Path(steps.collect())
    }

    /// Lay `over` on top: tables are merged, anything else is replaced.
    pub fn merge(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Table(mine), Value::Table(theirs)) => {
                for entry in theirs {
                    match mine.iter_mut().find(|e| e.key == entry.key) {
                        Some(old) => {
                            old.key_at = entry.key_at;
                            old.node.merge(entry.node);
                        }
                        None => mine.push(entry),
                    }
                }
                self.origin = over.origin;
            }
            // `key:` with nothing after it says nothing.
            (_, Value::Null) => {}
            (_, value) => *self = Node { value, origin: over.origin, expanded: over.expanded, item: over.item },
        }
    }

    /// What the typed reader takes.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Strange(_) => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Integer(n) => (*n).into(),
            Value::Float(n) => (*n).into(),
            Value::String(s) => s.as_str().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Table(entries) => {
                entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect::<serde_json::Map<_, _>>().into()
            }
        }
    }
}
