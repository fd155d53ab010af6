//! Anthropic's text completions, as Claude was prompted before it had messages
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-text-completion.html>, 2026-11).

use super::prompt::Prompt;
use super::tongue::{Said, merge, words};
use serde_json::{Map, Value};

const HUMAN: &str = "\n\nHuman:";
/// It must be said.
const MOST_TOKENS: u64 = 4096;

pub(super) fn ask(mut prompt: Prompt) -> Map<String, Value> {
    let mut text = prompt.system.clone();
    for (own, said) in &prompt.turns {
        text.push_str(&format!("{} {said}", if *own { "\n\nAssistant:" } else { HUMAN }));
    }
    // An answer that is begun already is gone on with.
    if !prompt.turns.last().is_some_and(|(own, _)| *own) {
        text.push_str("\n\nAssistant:");
    }
    let mut body = Map::new();
    body.insert("prompt".into(), text.into());
    body.insert("max_tokens_to_sample".into(), MOST_TOKENS.into());
    prompt.stop.insert(0, HUMAN.into());
    prompt.put(&mut body, ["max_tokens_to_sample", "temperature", "top_p", "stop_sequences"]);
    merge(&mut body, prompt.more);
    body
}

pub(super) fn said(told: &Value) -> Option<Said> {
    Some(Said { text: words(&told["completion"])?, stop: words(&told["stop_reason"]), ..Said::default() })
}
