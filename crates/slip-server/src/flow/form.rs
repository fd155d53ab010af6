//! Has the answer the form that was asked for? Only checked where the upstream could not promise it, and only of a whole reply: what
//! was streamed cannot be taken back.

use crate::upstream::{Failed, Sent};
use jsonschema::PatternOptions;
use serde_json::Value;
use slip_ir::{Fault, FaultKind, Format, Raw, Remedy, Usage};
use slip_wire::structured::Way;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// Schemas and answers beyond these are checked to be JSON and no more.
const MAX_SCHEMA: usize = 128 * 1024;
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// A schema may be written so that checking takes for ever; the thread is bounded by the sizes above.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of a pattern's automaton.
const MAX_PATTERN: usize = 1024 * 1024;
/// What is told of an answer, and how many of its errors.
const SHOWN: usize = 400;
const MOST_ERRORS: usize = 3;

/// A form of answer that was asked for by other means than the upstream's own.
pub struct Ordered {
    pub way: Way,
    /// `None`: any object.
    schema: Option<Raw>,
}

/// An answer without it.
pub struct Wrong {
    pub said: String,
    pub why: String,
    /// What the answer cost.
    pub usage: Option<Usage>,
}

impl Ordered {
    pub fn new(way: Way, format: Option<&Format>) -> Ordered {
        let schema = match format {
            Some(Format::JsonSchema { schema, .. }) => Some(schema.clone()),
            _ => None,
        };
        Ordered { way, schema }
    }

    /// The first of the answers that is wrong.
    pub async fn check(&self, said: &[String], usage: Option<&Usage>) -> Result<(), Box<Wrong>> {
        for text in said {
            let (schema, answer) = (self.schema.clone(), text.clone());
            let looked = timeout(PATIENCE, spawn_blocking(move || judge(schema.as_ref(), &answer))).await;
            // Who cannot be checked is believed.
            if let Ok(Ok(Err(why))) = looked {
                return Err(Box::new(Wrong { said: text.clone(), why, usage: usage.cloned() }));
            }
        }
        Ok(())
    }
}

impl Wrong {
    /// It was asked for twice.
    pub fn failed(self) -> Failed {
        let shown: String = self.said.chars().take(SHOWN).collect();
        let cut = if shown.len() < self.said.len() { "…" } else { "" };
        let says =
            format!("the model's answer is not the JSON that was asked for: {}. It said: {shown}{cut}", self.why);
        let mut fault = Fault::upstream(FaultKind::Unprocessable, Remedy::Elsewhere, says);
        fault.raw = Some(self.said.chars().filter(|c| !c.is_control()).take(2048).collect());
        fault.param = Some("response_format".to_owned());
        Failed { fault, sent: Sent::Rejected }
    }
}

fn judge(schema: Option<&Raw>, answer: &str) -> Result<(), String> {
    let value: Value = serde_json::from_str(answer).map_err(|e| format!("not JSON ({e})"))?;
    let Some(schema) = schema else {
        return if value.is_object() { Ok(()) } else { Err("not a JSON object".to_owned()) };
    };
    if schema.as_str().len() > MAX_SCHEMA || answer.len() > MAX_ANSWER {
        return Ok(());
    }
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN);
    // A schema that is none, or that points outside itself, cannot be checked against.
    let Ok(validator) = jsonschema::options().with_pattern_options(patterns).build(&schema.value()) else {
        return Ok(());
    };
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .take(MOST_ERRORS)
        .map(|error| {
            let at = error.instance_path().to_string();
            let says: String = error.to_string().chars().take(200).collect();
            if at.is_empty() { says } else { format!("{at}: {says}") }
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_held_against_its_schema() {
        let schema = Raw::parse(
            r##"{"type":"object","properties":{"a":{"type":"integer"},"b":{"$ref":"#/$defs/b"}},"required":["a"],
                "additionalProperties":false,"$defs":{"b":{"type":"string","pattern":"^x+$"}}}"##,
        )
        .expect("JSON");
        let rows = [
            (r#"{"a":1,"b":"xx"}"#, None),
            (r#"{"a":"1"}"#, Some("/a: ")),
            (r#"{}"#, Some("\"a\" is a required property")),
            (r#"{"a":1,"c":2}"#, Some("'c' was unexpected")),
            (r#"{"a":1,"b":"y"}"#, Some("/b: ")),
            (r#"{"a":"#, Some("not JSON")),
        ];
        for (answer, want) in rows {
            let got = judge(Some(&schema), answer);
            match want {
                None => assert_eq!(got, Ok(()), "{answer}"),
                Some(want) => assert!(got.as_ref().is_err_and(|why| why.contains(want)), "{answer}: {got:?}"),
            }
        }
        assert!(judge(None, "{}").is_ok() && judge(None, "[]").is_err());
    }

    #[test]
    fn a_schema_that_cannot_be_used_holds_nobody_up() {
        let nested = format!("{}{{}}{}", r#"{"type":"array","items":"#.repeat(2000), "}".repeat(2000));
        let many = format!(r#"{{"type":"string","pattern":"{}"}}"#, "(a{1,100}){1,100}".repeat(20));
        for schema in
            [r#"{"type":7}"#, r#"{"$ref":"https://example.com/x.json"}"#, r#"{"pattern":"("}"#, &nested, &many]
        {
            let schema = Raw::parse(schema.to_owned());
            assert!(schema.is_none_or(|schema| judge(Some(&schema), "\"a\"").is_ok()));
        }
    }
}
