//! What is different about two requests: for whoever asks why there is no answer.

use super::meaning::sorted;
use super::{Data, Request};
use serde_json::Value;

/// Of a difference no more than this is shown.
const SHOWN: usize = 60;
/// Differences that are told.
pub const TOLD: usize = 3;
/// Past this many it is another request altogether.
const FAR: usize = 200;
const DEPTH: usize = 130;

/// Where two requests differ, each as `messages[0].content: "hello" here, "hallo" in the cassette`, and by how many letters.
#[derive(Default)]
pub struct Differences {
    pub told: Vec<String>,
    pub letters: usize,
}

pub fn differences(here: &Request, there: &Request) -> Differences {
    let mut found = Differences::default();
    if here.method != there.method {
        found.push(told("the method", &here.method, &there.method), 0);
    }
    if here.path != there.path {
        found.push(told("the path", &here.path, &there.path), 0);
    }
    match (&here.body, &there.body) {
        (Data::Json(here), Data::Json(there)) => walk(here, there, &mut String::new(), 0, &mut found),
        (here, there) if here != there => found.push("the body, which is not JSON".to_owned(), 0),
        _ => {}
    }
    found
}

impl Differences {
    fn push(&mut self, told: String, letters: usize) {
        self.told.push(told);
        self.letters += letters;
    }
}

fn walk(here: &Value, there: &Value, path: &mut String, depth: usize, found: &mut Differences) {
    if found.told.len() >= FAR || depth > DEPTH || here == there {
        return;
    }
    let len = path.len();
    match (here, there) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in sorted(a) {
                path.push_str(if len > 0 { "." } else { "" });
                path.push_str(name);
                match b.get(name) {
                    Some(other) => walk(value, other, path, depth + 1, found),
                    None => found.push(format!("{path}: only here"), name.len()),
                }
                path.truncate(len);
            }
            for (name, _) in sorted(b).into_iter().filter(|(name, _)| !a.contains_key(*name)) {
                let dot = if len > 0 { "." } else { "" };
                found.push(format!("{path}{dot}{name}: only in the cassette"), name.len());
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for (at, (value, other)) in a.iter().zip(b).enumerate() {
                path.push_str(&format!("[{at}]"));
                walk(value, other, path, depth + 1, found);
                path.truncate(len);
            }
            if a.len() != b.len() {
                found.push(
                    format!("{path}: {} items here, {} in the cassette", a.len(), b.len()),
                    a.len().abs_diff(b.len()),
                );
            }
        }
        (a, b) => {
            let (a, b, letters) = aligned(&a.to_string(), &b.to_string());
            found.push(told(path, &a, &b), letters);
        }
    }
}

fn told(what: &str, here: &str, there: &str) -> String {
    format!("{what}: {} here, {} in the cassette", cut(here), cut(there))
}

/// Long texts, from shortly before where they begin to differ, and how many letters follow from there.
fn aligned(a: &str, b: &str) -> (String, String, usize) {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let skip = same.saturating_sub(SHOWN / 3);
    let from = |text: &str| match skip {
        0 => text.to_owned(),
        n => format!("…{}", text.chars().skip(n).collect::<String>()),
    };
    (from(a), from(b), a.chars().count().max(b.chars().count()).saturating_sub(same))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN { text.to_owned() } else { text.chars().take(SHOWN).chain(['…']).collect() }
}
