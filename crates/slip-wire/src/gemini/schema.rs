//! JSON Schema and Google's `Schema`, a subset of OpenAPI 3.0: adapting one to the other and saying what was lost.
//!
//! Read off Google's reference of `Schema` (Gemini API and Vertex AI), 2026-11.

use super::tree::Node;
use slip_ir::{Loss, Raw};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A schema whose references refer to each other can double at every level; nobody's real tool comes near this.
const MOST_NODES: usize = 4000;
/// References that are not to a definition by its name are looked up step by step; this bounds the steps.
const MOST_WALKS: usize = 64;
/// Losses of one schema, and how much of a property's name they quote.
const MOST_LOSSES: usize = 256;
const LONGEST_NAME: usize = 64;
/// Deeper than any model follows, and the converter recurses.
const DEEPEST: usize = 64;

/// Members that mean nothing to a model; leaving them out loses nothing.
const SILENT: [&str; 6] = ["$schema", "$id", "$comment", "$defs", "definitions", "$anchor"];

/// Members `Schema` has under the same name and with the same meaning.
const SHARED: [&str; 16] = [
    "title",
    "description",
    "default",
    "example",
    "nullable",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "propertyOrdering",
    "required",
];

/// Formats the Gemini API accepts; any other is answered with a 400.
const FORMATS: [&str; 6] = ["enum", "date-time", "float", "double", "int32", "int64"];

/// Protobuf numbers of `Type`.
const TYPES: [&str; 8] = ["", "string", "number", "integer", "boolean", "array", "object", "null"];

/// JSON Schema to `Schema`. `at` is the caller's name of the schema, for the losses.
pub(super) fn to_google(schema: &Raw, at: &str, losses: &mut Vec<Loss>) -> Node<'static> {
    let Some(root) = Node::parse(schema.as_str()) else {
        losses.push(Loss::new(at.to_owned(), "nested too deeply for the provider's schema subset"));
        return Node::object([("type", "OBJECT".into())]);
    };
    let named = ["$defs", "definitions"].into_iter().flat_map(|place| {
        let definitions = match root.get(place) {
            Some(Node::Object(members)) => members.as_slice(),
            _ => &[],
        };
        definitions.iter().map(move |(name, node)| (format!("#/{place}/{name}"), node))
    });
    let named = named.collect();
    let mut down = Down { root: &root, named, walks: 0, active: Vec::new(), nodes: 0, losses };
    down.convert(&root, at.to_owned(), 0)
}

/// The parameters of a function without any. Google refuses an object of no properties (or did, by model and by house), and takes a
/// function that declares none.
pub(super) fn takes_nothing(schema: &Node<'_>) -> bool {
    let Node::Object(members) = schema else { return false };
    let is_object = schema.get("type").and_then(Node::as_str) == Some("OBJECT");
    is_object
        && members.iter().all(|(key, value)| match &**key {
            "properties" => matches!(value, Node::Object(all) if all.is_empty()),
            "type" | "title" | "description" => true,
            _ => false,
        })
}

struct Down<'r> {
    root: &'r Node<'static>,
    /// Definitions by the reference to them.
    named: HashMap<String, &'r Node<'static>>,
    walks: usize,
    /// References being expanded, outermost first.
    active: Vec<String>,
    nodes: usize,
    losses: &'r mut Vec<Loss>,
}

type Object = Vec<(Cow<'static, str>, Node<'static>)>;

impl<'r> Down<'r> {
    fn lose(&mut self, at: impl Into<Cow<'static, str>>, why: &'static str) {
        if self.losses.len() < MOST_LOSSES {
            self.losses.push(Loss::new(at, why));
        }
    }

    fn target(&mut self, reference: &str) -> Option<&'r Node<'static>> {
        if let Some(node) = self.named.get(reference) {
            return Some(node);
        }
        self.walks += 1;
        (self.walks <= MOST_WALKS).then(|| pointed(self.root, reference)).flatten()
    }

    fn convert(&mut self, node: &'r Node<'static>, at: String, depth: usize) -> Node<'static> {
        self.nodes += 1;
        if self.nodes > MOST_NODES || depth > DEEPEST {
            if self.nodes <= MOST_NODES + 1 || depth > DEEPEST {
                self.lose(at, "the schema is too large for the provider's subset");
            }
            return Node::object([("type", "OBJECT".into())]);
        }
        let members = match node {
            Node::Object(members) => members,
            // `true` allows anything, which is what an empty schema says.
            Node::Bool(true) => return Node::object([]),
            _ => {
                self.lose(at, "not a schema object");
                return Node::object([]);
            }
        };
        if let Some(reference) = node.get("$ref").and_then(Node::as_str) {
            return self.expand(reference, members, at, depth);
        }
        let mut out = Vec::new();
        for (key, value) in members {
            self.member(key, value, node, &at, depth, &mut out);
        }
        self.complete(node, &at, &mut out);
        Node::Object(out)
    }

    /// Put what `$ref` points at in its place; a description beside it wins over the target's.
    fn expand(&mut self, reference: &str, beside: &'r Object, at: String, depth: usize) -> Node<'static> {
        if self.active.iter().any(|open| open == reference) {
            self.lose(format!("{at}.$ref"), "a schema that contains itself has no form in the provider's subset");
            return Node::object([("type", "OBJECT".into())]);
        }
        let Some(target) = self.target(reference) else {
            self.lose(format!("{at}.$ref"), "the reference points nowhere");
            return Node::object([]);
        };
        self.active.push(reference.to_owned());
        let mut node = self.convert(target, at, depth + 1);
        self.active.pop();
        if let Node::Object(members) = &mut node {
            for (key, value) in beside.iter().filter(|(key, _)| matches!(&**key, "description" | "title" | "default")) {
                members.retain(|(k, _)| k != key);
                members.push((key.clone(), value.clone()));
            }
        }
        node
    }

    fn member(
        &mut self,
        key: &str,
        value: &'r Node<'static>,
        of: &'r Node<'static>,
        at: &str,
        depth: usize,
        out: &mut Object,
    ) {
        let here = format!("{at}.{key}");
        match key {
            "type" => self.kind(value, &here, out),
            "enum" => self.values(value, &here, out),
            "const" => {
                let one = Node::Array(vec![value.clone()]);
                self.values(&one, &here, out);
            }
            "format" => match value.as_str() {
                Some(format) if FORMATS.contains(&format) => put(out, "format", value.clone()),
                _ => self.lose(here, "a format the provider does not know"),
            },
            "properties" => {
                let Node::Object(properties) = value else { return self.lose(here, "not an object") };
                let mut converted = Vec::new();
                for (name, schema) in properties {
                    if self.nodes > MOST_NODES {
                        break;
                    }
                    let shown: String = name.chars().take(LONGEST_NAME).collect();
                    converted.push((name.clone(), self.convert(schema, format!("{here}.{shown}"), depth + 1)));
                }
                put(out, "properties", Node::Object(converted));
            }
            // "No more items than the places above": said by the loss of `prefixItems`.
            "items" if *value == Node::Bool(false) => {}
            "items" => {
                let items = self.convert(value, here, depth + 1);
                put(out, "items", items);
            }
            "prefixItems" => {
                self.lose(here.clone(), "the places of a list cannot differ in type");
                if let (None, Node::Array(places)) = (of.get("items").filter(|i| **i != Node::Bool(false)), value) {
                    let mut kinds: Vec<Node<'static>> = Vec::new();
                    for (index, place) in places.iter().enumerate().take(MOST_NODES) {
                        let kind = self.convert(place, format!("{here}[{index}]"), depth + 1);
                        if !kinds.contains(&kind) {
                            kinds.push(kind);
                        }
                    }
                    put(out, "items", any_of(kinds));
                }
            }
            "anyOf" | "oneOf" => {
                if key == "oneOf" {
                    self.lose(here.clone(), "sent as anyOf");
                }
                self.alternatives(value, here, depth, out);
            }
            "allOf" => self.merge(value, here, depth, out),
            "required" => {
                let Node::Array(names) = value else { return self.lose(here, "not a list") };
                let declared: HashSet<&str> = match of.get("properties") {
                    Some(Node::Object(properties)) => properties.iter().map(|(name, _)| &**name).collect(),
                    _ => HashSet::new(),
                };
                let known = |name: &Node<'static>| name.as_str().is_some_and(|name| declared.contains(name));
                if !names.iter().all(known) {
                    self.lose(here, "names properties that are not declared");
                }
                let kept: Vec<Node<'static>> = names.iter().filter(|name| known(name)).cloned().collect();
                if !kept.is_empty() {
                    put(out, "required", Node::Array(kept));
                }
            }
            name if out.iter().any(|(k, _)| k == name) => {}
            name if SHARED.contains(&name) => out.push((key.to_owned().into(), value.clone())),
            name if SILENT.contains(&name) => {}
            _ => self.lose(here, "not in the provider's schema subset"),
        }
    }

    fn kind(&mut self, value: &Node<'static>, here: &str, out: &mut Object) {
        let upper = |name: &str| Node::Str(Cow::Owned(name.to_ascii_uppercase()));
        match value {
            Node::Str(name) => put(out, "type", upper(name)),
            Node::Array(names) => {
                let all: Vec<&str> = names.iter().filter_map(Node::as_str).collect();
                let solid: Vec<&str> = all.iter().copied().filter(|name| *name != "null").collect();
                if solid.len() < all.len() && !solid.is_empty() {
                    put(out, "nullable", true.into());
                }
                match solid.as_slice() {
                    [] => put(out, "type", upper("null")),
                    [one] => put(out, "type", upper(one)),
                    many => {
                        let kinds = many.iter().map(|name| Node::object([("type", upper(name))])).collect();
                        put(out, "anyOf", Node::Array(kinds));
                    }
                }
            }
            _ => self.lose(here.to_owned(), "not a type"),
        }
    }

    /// Only strings may be listed.
    fn values(&mut self, value: &Node<'static>, here: &str, out: &mut Object) {
        let Node::Array(values) = value else { return self.lose(here.to_owned(), "not a list") };
        let solid: Vec<&Node<'static>> = values.iter().filter(|v| **v != Node::Null).collect();
        if solid.len() < values.len() {
            put(out, "nullable", true.into());
        }
        if solid.iter().all(|v| v.as_str().is_some()) {
            if !solid.is_empty() {
                put(out, "enum", Node::Array(solid.into_iter().cloned().collect()));
            }
            return;
        }
        self.lose(here.to_owned(), "only strings can be listed");
        let kind = match solid.first() {
            Some(Node::Number(n)) if n.is_f64() => "NUMBER",
            Some(Node::Number(_)) => "INTEGER",
            Some(Node::Bool(_)) => "BOOLEAN",
            _ => return,
        };
        if !out.iter().any(|(key, _)| key == "type") {
            put(out, "type", kind.into());
        }
    }

    /// `anyOf` with a null alternative is `nullable`; a single one left stands for itself.
    fn alternatives(&mut self, value: &'r Node<'static>, here: String, depth: usize, out: &mut Object) {
        let Node::Array(all) = value else { return self.lose(here, "not a list") };
        let is_null = |node: &Node<'static>| node.get("type").and_then(Node::as_str) == Some("null");
        if all.iter().any(is_null) {
            put(out, "nullable", true.into());
        }
        let mut kept = Vec::new();
        for (index, node) in all.iter().enumerate().filter(|(_, node)| !is_null(node)) {
            if self.nodes > MOST_NODES {
                break;
            }
            kept.push(self.convert(node, format!("{here}[{index}]"), depth + 1));
        }
        match any_of(kept) {
            Node::Object(members) => {
                for (key, node) in members {
                    if !out.iter().any(|(k, _)| *k == key) {
                        out.push((key, node));
                    }
                }
            }
            _ => self.lose(here, "no alternatives"),
        }
    }

    /// `allOf`: the members of all, properties and required names united.
    fn merge(&mut self, value: &'r Node<'static>, here: String, depth: usize, out: &mut Object) {
        let Node::Array(all) = value else { return self.lose(here, "not a list") };
        if all.len() > 1 {
            self.lose(here.clone(), "merged into one schema");
        }
        for (index, node) in all.iter().enumerate().take(MOST_NODES) {
            let Node::Object(members) = self.convert(node, format!("{here}[{index}]"), depth + 1) else { continue };
            for (key, node) in members {
                match (out.iter_mut().find(|(k, _)| *k == key).map(|(_, have)| have), node) {
                    (Some(Node::Object(have)), Node::Object(more)) => {
                        for (name, schema) in more {
                            if !have.iter().any(|(n, _)| *n == name) {
                                have.push((name, schema));
                            }
                        }
                    }
                    (Some(Node::Array(have)), Node::Array(more)) if key == "required" => {
                        for name in more {
                            if !have.contains(&name) {
                                have.push(name);
                            }
                        }
                    }
                    (Some(_), _) => {}
                    (None, node) => out.push((key, node)),
                }
            }
        }
    }

    /// What Google insists on and JSON Schema leaves open: a type, and the type of a list's items.
    fn complete(&mut self, of: &Node<'static>, at: &str, out: &mut Object) {
        let has = |out: &Object, key: &str| out.iter().any(|(k, _)| k == key);
        if !has(out, "type") && !has(out, "anyOf") {
            let kind = [("properties", "OBJECT"), ("items", "ARRAY"), ("enum", "STRING")];
            if let Some((_, kind)) = kind.iter().find(|(key, _)| has(out, key)) {
                put(out, "type", (*kind).into());
            }
        }
        let is = |out: &Object, kind: &str| out.iter().any(|(k, v)| k == "type" && v.as_str() == Some(kind));
        if is(out, "ARRAY") && !has(out, "items") {
            put(out, "items", Node::object([("type", "STRING".into())]));
            if of.get("items").is_none() {
                self.lose(format!("{at}.items"), "the provider wants a type, strings are assumed");
            }
        }
    }
}

fn put(out: &mut Object, key: &'static str, node: Node<'static>) {
    out.retain(|(k, _)| k != key);
    out.push((Cow::Borrowed(key), node));
}

fn any_of(mut kinds: Vec<Node<'static>>) -> Node<'static> {
    match kinds.len() {
        0 => Node::object([]),
        1 => kinds.swap_remove(0),
        _ => Node::object([("anyOf", Node::Array(kinds))]),
    }
}

/// The node a local reference (`#/$defs/Name`) points at.
fn pointed<'r>(root: &'r Node<'static>, reference: &str) -> Option<&'r Node<'static>> {
    let path = reference.strip_prefix('#')?;
    path.split('/').skip(1).try_fold(root, |node, step| {
        let step = step.replace("~1", "/").replace("~0", "~");
        match node {
            Node::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => node.get(&step),
        }
    })
}

/// `Schema` to JSON Schema. What needs no change stays byte for byte.
pub(super) fn from_google(schema: &Raw) -> Raw {
    let Some(mut node) = Node::parse(schema.as_str()) else { return schema.clone() };
    let mut changed = false;
    lower(&mut node, &mut changed);
    if changed { node.to_raw().unwrap_or_else(|| schema.clone()) } else { schema.clone() }
}

fn lower(node: &mut Node<'static>, changed: &mut bool) {
    let Node::Object(members) = node else { return };
    for (key, value) in members.iter_mut() {
        match &**key {
            "type" => {
                let name = match value {
                    Node::Str(name) if name.bytes().any(|b| b.is_ascii_uppercase()) => Some(name.to_ascii_lowercase()),
                    Node::Number(n) => n.as_u64().and_then(|n| TYPES.get(n as usize)).map(|name| (*name).to_owned()),
                    _ => None,
                };
                if let Some(name) = name {
                    *value = name.into();
                    *changed = true;
                }
            }
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                if let Some(n) = value.as_str().and_then(|text| text.parse::<u64>().ok()) {
                    *value = n.into();
                    *changed = true;
                }
            }
            "items" => lower(value, changed),
            "anyOf" => {
                if let Node::Array(all) = value {
                    all.iter_mut().for_each(|one| lower(one, changed));
                }
            }
            "properties" => {
                if let Node::Object(properties) = value {
                    properties.iter_mut().for_each(|(_, one)| lower(one, changed));
                }
            }
            _ => {}
        }
    }
    let nullable = members.iter().position(|(k, v)| k == "nullable" && *v == Node::Bool(true));
    let kind = members.iter().position(|(k, v)| k == "type" && v.as_str().is_some());
    if let (Some(at), Some(kind)) = (nullable, kind) {
        if let Some((_, slot)) = members.get_mut(kind) {
            *slot = Node::Array(vec![slot.clone(), "null".into()]);
        }
        members.remove(at);
        *changed = true;
    }
}
