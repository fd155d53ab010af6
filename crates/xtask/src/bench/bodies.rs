//! The requests that are sent, written to files once: prose with the escapes real prose has, of exact size.

use anyhow::Result;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub struct Bodies(PathBuf);

/// Model names by who serves them; see `peers.rs`.
pub const PLAIN: &str = "bench/chat";
pub const TRANSLATED: &str = "bench/claude";
/// Not a model: the name under which the bodies in Anthropic's words are kept.
const MESSAGES: &str = "messages";
pub const SILENT: &str = "bench/idle";

const PROSE: &str = "The harbour master wrote: \"no ship may leave before the fog lifts\".\n\tNobody minded; the café was warm, \
                     and its stove – older than the town's charter – ate driftwood all winter. ";

impl Bodies {
    pub fn write(dir: &Path) -> Result<Bodies> {
        for model in [PLAIN, TRANSLATED, SILENT] {
            let file = |size: &str| dir.join(name(size, model));
            std::fs::write(file("small"), sized(1024, 2, |turns| request(model, turns, false)))?;
            std::fs::write(file("stream"), sized(1024, 2, |turns| request(model, turns, true)))?;
            std::fs::write(file("large"), sized(100 * 1024, 51, |turns| request(model, turns, false)))?;
        }
        for (size, stream) in [("small", false), ("stream", true)] {
            std::fs::write(dir.join(name(size, MESSAGES)), sized(1024, 2, |turns| messages(PLAIN, turns, stream)))?;
        }
        Ok(Bodies(dir.to_owned()))
    }

    pub fn plain(&self, size: &str) -> PathBuf {
        self.0.join(name(size, PLAIN))
    }

    pub fn translated(&self, size: &str) -> PathBuf {
        self.0.join(name(size, TRANSLATED))
    }

    /// The plain ones as Anthropic's clients say them.
    pub fn messages(&self, size: &str) -> PathBuf {
        self.0.join(name(size, MESSAGES))
    }

    pub fn silent(&self) -> PathBuf {
        self.0.join(name("stream", SILENT))
    }
}

/// The same as [`request`], said in Anthropic's words: what the system says stands apart.
fn messages(model: &str, mut turns: Vec<Value>, stream: bool) -> Value {
    let system = turns.remove(0)["content"].take();
    let mut request =
        json!({ "model": model, "system": system, "messages": turns, "temperature": 0.7, "max_tokens": 256 });
    if stream {
        request["stream"] = true.into();
    }
    request
}

fn name(size: &str, model: &str) -> String {
    format!("{size}-{}.json", model.replace('/', "-"))
}

fn request(model: &str, turns: Vec<Value>, stream: bool) -> Value {
    let mut request = json!({ "model": model, "messages": turns, "temperature": 0.7, "max_tokens": 256 });
    if stream {
        request["stream"] = true.into();
    }
    request
}

/// So many turns of equal length, the last one such that the whole has `bytes`.
fn sized(bytes: usize, turns: usize, request: impl Fn(Vec<Value>) -> Value) -> String {
    let make = |each: usize, last: usize| {
        let turn = |n: usize| {
            let role = if n == 0 {
                "system"
            } else if n % 2 == 1 {
                "user"
            } else {
                "assistant"
            };
            let long = if n + 1 == turns { last } else { each };
            json!({ "role": role, "content": PROSE.chars().cycle().skip(n).take(long).collect::<String>() })
        };
        request((0..turns).map(turn).collect()).to_string()
    };
    let room = bytes.saturating_sub(make(0, 0).len());
    // Escapes and letters beyond ASCII make the text longer than its characters.
    let each = room * 9 / 10 / turns;
    let text = make(each, 0);
    let mut last = bytes.saturating_sub(text.len());
    while make(each, last).len() > bytes {
        last -= 1;
    }
    make(each, last)
}
