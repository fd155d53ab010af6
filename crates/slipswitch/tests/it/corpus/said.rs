//! What was said in one reply, in no dialect: the common ground on which provider and client are compared.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default)]
pub struct Said {
    pub choices: BTreeMap<u64, Choice>,
    pub usage: Option<Usage>,
    /// The words of an error inside the reply.
    pub fault: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    pub calls: Vec<Call>,
    /// Signatures and sealed blobs.
    pub seals: Vec<String>,
    /// One of OpenRouter's five words.
    pub finish: Option<String>,
    /// The provider's own word for it.
    pub native: Option<String>,
    /// How many citations there are, of whatever kind.
    pub cited: usize,
    /// Addresses cited.
    pub urls: BTreeSet<String>,
    /// Citations of places in documents.
    pub places: usize,
    /// Documents a parser read for the model.
    pub files: usize,
    pub images: Vec<String>,
    pub logprobs: Vec<Value>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    /// As written; see [`Call::value`].
    pub args: String,
    /// Told in the old way (`function_call`), which has no id.
    pub old: bool,
}

impl Call {
    /// The arguments, none being an empty object; text that is not JSON as a string.
    pub fn value(&self) -> Value {
        match self.args.trim() {
            "" => Value::Object(serde_json::Map::new()),
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(self.args.clone())),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    pub prompt: u64,
    pub completion: u64,
    pub cached: u64,
    pub written: u64,
    pub reasoning: u64,
    /// What it cost, where that is told.
    pub cost: Option<f64>,
}

impl Said {
    pub fn choice(&mut self, index: u64) -> &mut Choice {
        self.choices.entry(index).or_default()
    }

    /// Whether there is anything to read, see or call.
    pub fn has_content(&self) -> bool {
        self.choices.values().any(Choice::has_content)
    }
}

impl Choice {
    pub fn has_content(&self) -> bool {
        let says = [&self.text, &self.refusal, &self.reasoning].iter().any(|text| !text.is_empty());
        let shows = [self.calls.len(), self.images.len(), self.seals.len()].iter().any(|count| *count > 0);
        says || shows
    }

    /// Places in documents have an address within the conversation only.
    pub fn cite(&mut self, url: &str) {
        self.cited += 1;
        if url.starts_with("#document-") {
            self.places += 1;
        } else {
            self.urls.insert(url.to_owned());
        }
    }

    pub fn seal(&mut self, seal: &Value) {
        if let Some(seal) = text(seal) {
            self.seals.push(seal.to_owned());
        }
    }
}

/// A string that is not empty.
pub fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|t| !t.is_empty())
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The word OpenRouter has for the end of an OpenAI-shaped choice.
pub fn openai_finish(word: &str, called: bool) -> &'static str {
    match word {
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => "length",
        "content_filter" | "refusal" | "safety" => "content_filter",
        "tool_calls" | "function_call" | "tool_use" => "tool_calls",
        "error" => "error",
        _ if called => "tool_calls",
        _ => "stop",
    }
}

pub fn anthropic_finish(word: &str) -> &'static str {
    match word {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    }
}

/// `UNEXPECTED_TOOL_CALL` and its like end a reply whose content is still good.
pub fn gemini_finish(word: &Value, called: bool, content: bool) -> &'static str {
    let word = match word.as_u64() {
        Some(1) => "STOP",
        Some(2) => "MAX_TOKENS",
        Some(3 | 4 | 6 | 7 | 8) => "SAFETY",
        Some(_) => "OTHER",
        None => word.as_str().unwrap_or_default(),
    };
    match word {
        "MAX_TOKENS" => "length",
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => "content_filter",
        _ if called => "tool_calls",
        "STOP" => "stop",
        _ if content => "stop",
        _ => "error",
    }
}
