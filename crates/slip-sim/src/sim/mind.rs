//! What the simulated model says: an echo, numbered tokens, tool calls, a document for a schema, what it saw.
//!
//! The rules, first match counts:
//! 1. the conversation ends with tool results: "tool said: …" (or a document, where a format is asked for);
//! 2. tools are declared and called for ([`super::tools`]): calls, no text;
//! 3. a format is asked for: a document valid for the schema, or `{"echo": …}`;
//! 4. something was shown: "I see an image of WxH";
//! 5. the text says "count to N": "tok1 tok2 …" up to N; a model with "story" in its id counts to the first number in the text,
//!    or to 200;
//! 6. "echo: " and the text.
//!
//! Choices after the first say so: "echo 2: …". Reasoning, where asked for, comes first. `max_tokens` covers reasoning, text and
//! calls, in that order; a call costs one token for its name and those of its compact JSON arguments.

use super::ask::{Ask, Format, Thinking, mix};
use super::{schema, tokens, tools};
use serde_json::{Value, json};

/// The longest stream that can be asked for.
const MAX_COUNT: u64 = 5000;
const DEFAULT_COUNT: u64 = 200;
/// How much of a huge prompt is said back.
const MAX_ECHO: usize = 256 * 1024;
/// How much of the question is thought about, in tokens.
const MAX_THOUGHT: usize = 64;
/// More choices than this at once is a mistake; OpenAI's own limit is 128.
pub(crate) const MAX_CHOICES: u32 = 128;

#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub choices: Vec<Choice>,
    pub prompt_tokens: u64,
    /// Of the prompt: read from the cache, and written to it.
    pub cached: u64,
    pub cache_written: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub reasoning: Vec<String>,
    pub text: Vec<String>,
    pub calls: Vec<Call>,
    pub finish: Finish,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub id: u64,
    pub name: String,
    pub args: Value,
    /// The compact JSON of `args`, in tokens; cut short where the budget ran out.
    pub pieces: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Sequence(String),
    Calls,
}

impl Choice {
    pub fn reasoning_tokens(&self) -> u64 {
        self.reasoning.len() as u64
    }

    pub fn tokens(&self) -> u64 {
        let calls: usize = self.calls.iter().map(|c| 1 + c.pieces.len()).sum();
        (self.reasoning.len() + self.text.len() + calls) as u64
    }
}

impl Answer {
    pub fn completion_tokens(&self) -> u64 {
        self.choices.iter().map(Choice::tokens).sum()
    }

    pub fn reasoning_tokens(&self) -> u64 {
        self.choices.iter().map(Choice::reasoning_tokens).sum()
    }
}

pub(crate) fn answer(ask: &Ask) -> Answer {
    let choices = (0..ask.n.clamp(1, MAX_CHOICES)).map(|index| choice(ask, index)).collect();
    Answer { choices, prompt_tokens: ask.prompt.tokens, cached: 0, cache_written: 0 }
}

fn choice(ask: &Ask, index: u32) -> Choice {
    let calls = if ask.results.is_some() { Vec::new() } else { tools::calls(ask) };
    let mut budget = ask.max_tokens.unwrap_or(u64::MAX);
    let mut short = false;
    let reasoning = if ask.thinking == Thinking::Off { String::new() } else { thought(ask) };
    let reasoning = spend(&reasoning, &mut budget, &mut short);
    if !calls.is_empty() {
        let mut kept = Vec::new();
        for (at, (name, args)) in calls.into_iter().enumerate() {
            if budget == 0 {
                short = true;
                break;
            }
            budget -= 1;
            let pieces = spend(&args.to_string(), &mut budget, &mut short);
            let id = mix(ask.id, u64::from(index) * 1000 + at as u64);
            kept.push(Call { id, name, args, pieces });
        }
        let finish = if short { Finish::Length } else { Finish::Calls };
        return Choice { reasoning, text: Vec::new(), calls: kept, finish };
    }
    let mut text = said(ask, index);
    let mut finish = Finish::Stop;
    let stop = ask.stops.iter().filter(|s| !s.is_empty()).filter_map(|s| text.find(s.as_str()).map(|at| (at, s))).min();
    if let Some((at, stop)) = stop {
        text.truncate(at);
        finish = Finish::Sequence(stop.clone());
    }
    let text = spend(&text, &mut budget, &mut short);
    if short {
        finish = Finish::Length;
    }
    Choice { reasoning, text, calls: Vec::new(), finish }
}

/// The tokens of a text, as far as the budget goes.
fn spend(text: &str, budget: &mut u64, short: &mut bool) -> Vec<String> {
    let all = tokens::split(text);
    let room = usize::try_from(*budget).unwrap_or(usize::MAX);
    if all.len() > room {
        *short = true;
    }
    let kept: Vec<String> = all.into_iter().take(room).map(str::to_owned).collect();
    *budget -= kept.len() as u64;
    kept
}

fn thought(ask: &Ask) -> String {
    let about: String = tokens::split(&ask.text).into_iter().take(MAX_THOUGHT).collect();
    format!("Let me think about: {about}")
}

fn said(ask: &Ask, index: u32) -> String {
    let nth = if index == 0 { String::new() } else { format!(" {}", index + 1) };
    let text = clipped(&ask.text);
    match &ask.format {
        Some(Format::Object) => return json!({ "echo": text }).to_string(),
        Some(Format::Schema(schema)) => return schema::instance(schema, &ask.text, 0).to_string(),
        None => {}
    }
    if let Some(results) = &ask.results {
        return format!("tool{nth} said: {}", clipped(&results.join("; ")));
    }
    if !ask.seen.is_empty() {
        return format!("I see {}", ask.seen.join(" and "));
    }
    if let Some(n) = counted(ask) {
        let numbered: Vec<String> = (1..=n).map(|i| format!("tok{i}")).collect();
        return numbered.join(" ");
    }
    format!("echo{nth}: {text}")
}

fn clipped(text: &str) -> &str {
    let mut end = text.len().min(MAX_ECHO);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn counted(ask: &Ask) -> Option<u64> {
    let number = |text: &str| {
        let digits: String =
            text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    };
    let lower = clipped(&ask.text).to_lowercase();
    let asked =
        lower.split("count to ").skip(1).find(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).and_then(number);
    let told = || ask.model.contains("story").then(|| number(&lower).unwrap_or(DEFAULT_COUNT));
    asked.or_else(told).map(|n| n.min(MAX_COUNT))
}
