//! Meta's Llama, prompted as its models were taught to be
//! (<https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html>, 2026-11).

use super::prompt::Prompt;
use super::tongue::{Said, count, merge, words};
use serde_json::{Map, Value};
use slip_ir::Loss;

pub(super) fn ask(mut prompt: Prompt, model: &str, losses: &mut Vec<Loss>) -> Map<String, Value> {
    let mut body = Map::new();
    let text = if model.contains("llama2") { second(&prompt) } else { third(&prompt) };
    body.insert("prompt".into(), text.into());
    if !std::mem::take(&mut prompt.stop).is_empty() {
        losses.push(Loss::new("stop", "this model is refused what it does not know, and stops where it will"));
    }
    prompt.put(&mut body, ["max_gen_len", "temperature", "top_p", "stop"]);
    merge(&mut body, prompt.more);
    body
}

fn second(prompt: &Prompt) -> String {
    let system = &prompt.system;
    let head = if system.is_empty() { String::new() } else { format!("<<SYS>>\n{system}\n<</SYS>>\n\n") };
    prompt.bracketed(&head)
}

fn third(prompt: &Prompt) -> String {
    let turn = |role: &str, said: &str| format!("<|start_header_id|>{role}<|end_header_id|>\n\n{said}");
    let system = Some(&prompt.system).filter(|text| !text.is_empty()).map(|text| ("system", text));
    let turns = prompt.turns.iter().map(|(own, said)| (if *own { "assistant" } else { "user" }, said));
    let mut text = String::from("<|begin_of_text|>");
    for (role, said) in system.into_iter().chain(turns) {
        text.push_str(&turn(role, said));
        text.push_str("<|eot_id|>");
    }
    text + &turn("assistant", "")
}

pub(super) fn said(told: &Value) -> Option<Said> {
    Some(Said {
        text: words(&told["generation"])?,
        stop: words(&told["stop_reason"]),
        input: count(&told["prompt_token_count"]),
        output: count(&told["generation_token_count"]),
    })
}
