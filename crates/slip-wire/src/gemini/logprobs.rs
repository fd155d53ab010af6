//! Log probabilities: `logprobsResult` and OpenAI's `logprobs` object.

use super::tree::{self, Members, Node};
use serde_json::Value;
use serde_json::value::RawValue;
use slip_ir::Raw;

pub(super) fn read(raw: &RawValue) -> Option<Raw> {
    let m = Members::of(raw)?;
    let chosen = m.get("chosenCandidates").and_then(tree::list)?;
    let top = m.get("topCandidates").and_then(tree::list).unwrap_or_default();
    let mut content = Vec::with_capacity(chosen.len());
    for (index, raw) in chosen.into_iter().enumerate() {
        let Some(mut token) = token(raw) else { continue };
        let candidates = top.get(index).and_then(|raw| Members::of(raw)?.get("candidates").and_then(tree::list));
        let others = candidates.unwrap_or_default().into_iter().filter_map(self::token).collect();
        token.set("top_logprobs", Node::Array(others));
        content.push(token);
    }
    Node::object([("content", Node::Array(content)), ("refusal", Node::Null)]).to_raw()
}

fn token(raw: &RawValue) -> Option<Node<'static>> {
    let m = Members::of(raw)?;
    let token = m.get("token").and_then(tree::string)?;
    let logprob = m.get("logProbability").and_then(tree::number).map_or(Node::from(0), Node::from);
    let bytes = token.bytes().map(|byte| u64::from(byte).into()).collect();
    Some(Node::object([("token", token.into()), ("logprob", logprob), ("bytes", Node::Array(bytes))]))
}

/// For a Gemini client.
pub(super) fn write(raw: &Raw) -> Option<Node<'static>> {
    let value = raw.value();
    let content = value.get("content")?.as_array()?;
    let token = |value: &Value| {
        let name = value.get("token").and_then(Value::as_str).unwrap_or_default().to_owned();
        let logprob = match value.get("logprob") {
            Some(Value::Number(number)) => Node::from(number.clone()),
            _ => Node::from(0),
        };
        Node::object([("token", name.into()), ("logProbability", logprob)])
    };
    let chosen = content.iter().map(token).collect();
    let top = content.iter().map(|one| {
        let others = one.get("top_logprobs").and_then(Value::as_array);
        let others = others.map(|list| list.iter().map(token).collect()).unwrap_or_default();
        Node::object([("candidates", Node::Array(others))])
    });
    let top = top.collect();
    Some(Node::object([("topCandidates", Node::Array(top)), ("chosenCandidates", Node::Array(chosen))]))
}
