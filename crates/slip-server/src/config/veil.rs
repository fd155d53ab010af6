//! What of a configuration must not be shown: messages print lines of the file, and lines hold keys.

use super::shape::Shape;
use super::tree::{Node, Origin, Path, Step, Value};
use serde_json::Value as Json;
use std::ops::Range;

/// Shorter runs of letters and digits are words rather than keys.
const RANDOM: usize = 16;

/// Which bytes of a file to cover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Veil {
    /// Known to be secret.
    secret: Vec<Range<usize>>,
    /// Looks like a key.
    suspect: Vec<Range<usize>>,
    /// Understood, and not secret whatever it looks like.
    open: Vec<Range<usize>>,
}

impl Veil {
    /// `read` says whether the text could be parsed. If not there is no telling what is a secret, and whatever follows a word that
    /// sounds like one is taken for it.
    pub fn over(text: &str, tree: &Node, shape: &Shape, read: bool) -> Veil {
        let mut veil = Veil::default();
        veil.node(tree, &Path::default(), Some(shape.root()), shape);
        veil.suspect = runs(text).collect();
        if !read {
            veil.lines(text);
        }
        veil
    }

    pub fn covers(&self, byte: usize) -> bool {
        let within = |spans: &[Range<usize>]| spans.iter().any(|span| span.contains(&byte));
        within(&self.secret) || within(&self.suspect) && !within(&self.open)
    }

    fn node(&mut self, node: &Node, path: &Path, schema: Option<&Json>, shape: &Shape) {
        match &node.value {
            Value::Table(entries) => {
                for entry in entries {
                    let member = schema.and_then(|schema| shape.member(schema, &entry.key));
                    self.node(&entry.node, &path.key(&entry.key), member, shape);
                }
            }
            Value::List(items) => {
                let item = schema.and_then(|schema| shape.item(schema));
                for (at, node) in items.iter().enumerate() {
                    self.node(node, &path.item(at), item, shape);
                }
            }
            value => {
                let Origin::File(span) = &node.origin else { return };
                let text = if let Value::String(text) = value { text.as_str() } else { "" };
                // A name of a variable is no secret; what stands in for it may be.
                let harmless = text == "none" || text.starts_with("${") && !text.contains(":-");
                let credential = text.contains("://") && text.contains('@');
                if (is_secret(path) || is_database(path) || credential) && !harmless {
                    self.secret.push(span.clone());
                } else if schema.is_some() {
                    self.open.push(span.clone());
                }
            }
        }
    }

    fn lines(&mut self, text: &str) {
        const SOUNDS: [&str; 7] = ["key", "database", "token", "secret", "password", "authorization", "headers"];
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let lower = line.to_ascii_lowercase();
            let word = SOUNDS.iter().filter_map(|word| lower.find(word).map(|at| at + word.len())).min();
            if let Some(value) = word.and_then(|end| line[end..].find(['=', ':']).map(|at| end + at + 1)) {
                self.secret.push(start + value..start + line.len());
            }
            start += line.len();
        }
    }
}

/// Whether it is the address of the database: it holds a password.
pub fn is_database(path: &Path) -> bool {
    // Misspelt members are printed with their line.
    matches!(path.0.as_slice(), [Step::Key(key)] if key.to_ascii_lowercase().contains("url"))
}

/// Whether what stands here must not be shown.
pub fn is_secret(path: &Path) -> bool {
    // Misspelt members are printed with their line, so what merely sounds like a secret counts too.
    let sounds = |key: &str| {
        let key = key.to_ascii_lowercase();
        let ends = ["key", "keys", "token", "secret", "password", "auth", "credential"];
        let slips = ["headers", "header", "kye", "kyes", "ky", "keey"];
        ends.iter().any(|word| key.ends_with(word)) || slips.contains(&key.as_str())
    };
    let [Step::Key(section), Step::Key(_), members @ ..] = path.0.as_slice() else { return false };
    if !section.starts_with("provider") {
        return false;
    }
    match members.last() {
        // Text where a provider should be: as a rule its key.
        None => true,
        Some(Step::Key(last)) if last == "weight" => false,
        // The slug itself may be any word.
        Some(_) => members.iter().any(|step| matches!(step, Step::Key(key) if sounds(key))),
    }
}

/// Whether a name is, or holds, what looks like a key.
pub fn looks_random(text: &str) -> bool {
    runs(text).next().is_some()
}

/// Long runs of letters and digits, both of them.
fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = 0;
    let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    text.as_bytes().split(move |b| !inside(b)).filter_map(move |run| {
        let start = rest;
        rest += run.len() + 1;
        let mixed = run.iter().any(u8::is_ascii_digit) && run.iter().any(u8::is_ascii_alphabetic);
        (run.len() >= RANDOM && mixed).then_some(start..start + run.len())
    })
}
