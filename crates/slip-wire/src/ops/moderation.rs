//! Moderation: whether a text is harmful, and in which way.
//!
//! OpenAI and Mistral ask alike and name other categories. What is asked and what was found goes through as it came; the house
//! only puts its name, the count and the cost on it.

use super::{Answer, Body, Charge, Sent, Shape, raw, unknown};
use crate::lens::not_json;
use crate::openai_chat::usage::parse_usage;
use crate::{Malformed, Stamp, house, json};
use serde::Serialize;
use serde_json::Map;
use slip_ir::{Fault, Raw, Usage, Want};

/// Whom OpenAI asks when nobody was named.
pub const USUAL: &str = "openai/omni-moderation-latest";
/// Texts of one request.
pub const MAX_INPUTS: usize = 2048;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// A text, a list of texts, or parts with pictures among them.
    pub input: Option<Raw>,
    /// Everything else but the model, in order.
    pub extra: Vec<(String, Raw)>,
}

impl Task {
    pub(super) fn wants(&self, want: &mut Want) {
        let Some(input) = &self.input else { return };
        let bytes = input.as_str().as_bytes();
        let is_picture = |item: &[u8]| json::field(item, "type").is_some_and(|kind| kind == b"\"image_url\"");
        if bytes.first() == Some(&b'[') && json::items(bytes).any(is_picture) {
            want.media.insert(slip_ir::MediaKind::Image);
        }
        want.prompt_tokens = (bytes.len() as u64).div_ceil(4);
    }
}

pub(super) fn read(body: &[u8]) -> Result<Task, Malformed> {
    let mut task = Task::default();
    for member in json::members(body)? {
        let span = &body[member.value.clone()];
        match member.key.as_str() {
            "model" => {}
            "input" => task.input = input(span)?,
            name if house::is_ours(name) => {}
            _ if span == b"null" => {}
            _ => task.extra.extend(Some(member.key.clone()).zip(raw(span))),
        }
    }
    if task.input.is_none() {
        return Err(Malformed::new("input", "is required"));
    }
    Ok(task)
}

fn input(span: &[u8]) -> Result<Option<Raw>, Malformed> {
    match span.first() {
        Some(b'"') => Ok(raw(span)),
        Some(b'[') => {
            let count = json::items(span).take(MAX_INPUTS + 1).count();
            if count == 0 {
                return Err(Malformed::new("input", "must not be empty"));
            }
            if count > MAX_INPUTS {
                return Err(Malformed::new("input", format!("must hold at most {MAX_INPUTS} entries")));
            }
            let odd = json::items(span).position(|item| !matches!(item.first(), Some(b'"' | b'{')));
            match odd {
                Some(at) => Err(Malformed::new(format!("input[{at}]"), "must be a string or an object")),
                None => Ok(raw(span)),
            }
        }
        _ if span == b"null" => Ok(None),
        _ => Err(Malformed::new("input", "must be a string or an array")),
    }
}

pub(super) fn lower(task: &Task, to: Shape, model: &str) -> Result<Sent, Malformed> {
    if to != Shape::OpenAi {
        return Err(Malformed::new("", format!("nothing can be moderated in the spelling {to}")));
    }
    let mut body: Map<String, serde_json::Value> = Map::new();
    body.insert("model".into(), model.into());
    let members =
        task.input.iter().map(|input| ("input", input)).chain(task.extra.iter().map(|(n, r)| (n.as_str(), r)));
    body.extend(members.map(|(name, raw)| (name.to_owned(), raw.value())));
    Ok(Sent::json("/moderations", &body, Vec::new()))
}

#[derive(Serialize)]
struct Verdict<'a> {
    id: &'a str,
    model: &'a str,
    results: Vec<Raw>,
    usage: Counted,
    provider: &'a str,
}

#[derive(Serialize)]
struct Counted {
    prompt_tokens: u64,
    total_tokens: u64,
    #[serde(flatten)]
    charge: Charge,
}

#[allow(clippy::result_large_err, reason = "a fault ends the reply: it is moved once, not passed around")]
pub(super) fn reply(body: Body<'_>, stamp: &Stamp) -> Result<Answer, Fault> {
    let bytes = body.bytes.as_ref();
    if json::check(bytes).is_err() {
        return Err(not_json());
    }
    let list = json::field(bytes, "results").filter(|list| list.first() == Some(&b'['));
    let results = list.and_then(|list| json::items(list).map(result).collect::<Option<Vec<_>>>());
    let results = results.filter(|results| !results.is_empty()).ok_or_else(|| unknown("no results"))?;
    let usage = json::field(bytes, "usage").and_then(parse_usage).unwrap_or_else(|| Usage {
        input: stamp.prompt_estimate,
        estimated: true,
        ..Usage::default()
    });
    let counted = Counted {
        prompt_tokens: usage.prompt_total(),
        total_tokens: usage.total(),
        charge: Charge::of(&usage, stamp).ok_or_else(|| unknown("no cost"))?,
    };
    let verdict = Verdict { id: &stamp.id, model: &stamp.model, results, usage: counted, provider: &stamp.provider };
    let mut answer = Answer::json(&verdict, usage);
    answer.tally.upstream_id = json::field(bytes, "id").and_then(json::string).map(|id| id.into_owned());
    Ok(answer)
}

/// As it came. Mistral leaves it to the reader whether anything was found; OpenAI's clients look for `flagged`.
fn result(item: &[u8]) -> Option<Raw> {
    let text = std::str::from_utf8(item).ok()?;
    let categories = json::field(item, "categories").filter(|categories| categories.first() == Some(&b'{'))?;
    if json::field(item, "flagged").is_some() {
        return Raw::parse(text);
    }
    let flagged = json::fields(categories).any(|(_, found)| found == b"true");
    Raw::parse(format!("{{\"flagged\":{flagged},{}", text.strip_prefix('{')?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{self, Inquiry};
    use bytes::Bytes;
    use serde_json::{Value, json};
    use slip_ir::Op;

    fn asked(body: &Value) -> Result<(crate::Peek, Inquiry), Malformed> {
        let bytes = Bytes::from(body.to_string());
        ops::read(Op::Moderation, Shape::OpenAi, Body { media_type: "", bytes: &bytes }, None)
    }

    fn heard(said: &Value) -> Result<(Value, Usage), Fault> {
        let (_, inquiry) = asked(&json!({ "input": "hello" })).expect("a request");
        let bytes = Bytes::from(said.to_string());
        let stamp = Stamp { id: "gen-1-x".into(), model: "a/m".into(), prompt_estimate: 2, ..Stamp::default() };
        let answer = ops::reply(&inquiry, Shape::OpenAi, Body { media_type: "", bytes: &bytes }, &stamp)?;
        Ok((serde_json::from_slice(&answer.body).expect("JSON"), answer.tally.usage.expect("usage")))
    }

    #[test]
    fn what_is_asked_goes_through_with_the_provider_s_name_for_the_model() {
        let rows = [json!("a"), json!(["a", "b"]), json!([{ "type": "text", "text": "a" }])];
        for input in rows {
            let ask = json!({ "model": "a/m", "input": input, "user_location": "x", "provider": {} });
            let (peek, inquiry) = asked(&ask).expect("a request");
            assert_eq!(peek.model.as_deref(), Some("a/m"));
            let sent = ops::lower(&inquiry, Shape::OpenAi, "m").expect("it can be asked");
            let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
            assert_eq!(
                (sent.path.as_str(), body),
                ("/moderations", json!({ "model": "m", "input": input, "user_location": "x" }))
            );
        }
    }

    #[test]
    fn nobody_named_is_the_usual_one() {
        assert_eq!(asked(&json!({ "input": "a" })).expect("a request").0.model.as_deref(), Some(USUAL));
    }

    #[test]
    fn both_kinds_of_verdict_come_back_with_every_digit() {
        let openai = json!({ "id": "modr-1", "model": "omni", "results": [{ "flagged": true, "categories": { "hate": true }, "category_scores": { "hate": 0.98765432101 }, "category_applied_input_types": { "hate": ["text"] } }] });
        let (told, usage) = heard(&openai).expect("an answer");
        assert_eq!((&told["results"], &told["id"], usage.estimated), (&openai["results"], &json!("gen-1-x"), true));
        let mistral = json!({ "id": "1", "model": "m", "results": [{ "categories": { "pii": false, "law": true }, "category_scores": { "pii": 1e-9, "law": 0.5 } }], "usage": { "prompt_tokens": 7, "completion_tokens": 0, "total_tokens": 7 } });
        let (told, usage) = heard(&mistral).expect("an answer");
        assert_eq!(told["results"][0]["category_scores"], mistral["results"][0]["category_scores"]);
        assert_eq!(
            (&told["results"][0]["flagged"], &told["usage"]["prompt_tokens"], usage.input),
            (&json!(true), &json!(7), 7)
        );
    }

    #[test]
    fn nonsense_is_refused_on_either_side() {
        for said in [json!({}), json!({ "results": [] }), json!({ "results": {} }), json!({ "results": [1] })] {
            assert!(heard(&said).is_err(), "{said}");
        }
        let rows = [
            (json!({}), "input"),
            (json!({ "input": null }), "input"),
            (json!({ "input": 5 }), "input"),
            (json!({ "input": [] }), "input"),
            (json!({ "input": ["a", 1] }), "input[1]"),
        ];
        for (ask, at) in rows {
            assert_eq!(asked(&ask).unwrap_err().at, at, "{ask}");
        }
    }
}
