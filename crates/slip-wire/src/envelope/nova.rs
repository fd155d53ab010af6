//! Amazon's Nova: Converse's own words, but for where a model's own members stand, and one object around each event of a stream
//! (<https://docs.aws.amazon.com/nova/latest/userguide/complete-request-schema.html>, 2026-11).

use super::retold::{self, usage};
use super::tongue::merge;
use serde_json::{Map, Value};

const MEMBERS: [&str; 4] = ["messages", "system", "inferenceConfig", "toolConfig"];
/// What stands around each event of a stream.
const EVENTS: [&str; 6] =
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];

pub(super) fn ask(mut asked: Map<String, Value>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("schemaVersion".into(), "messages-v1".into());
    body.extend(MEMBERS.into_iter().filter_map(|name| Some((name.to_owned(), asked.remove(name)?))));
    if let Some(Value::Object(more)) = asked.remove("additionalModelRequestFields") {
        merge(&mut body, more);
    }
    body
}

pub(super) fn whole(mut told: Value) -> Option<Value> {
    told["output"]["message"]["content"].as_array()?;
    told["usage"] = usage(&told["usage"], &told);
    told["metrics"] = retold::latency(&told);
    told.as_object_mut()?.remove(super::METRICS);
    Some(told)
}

/// The events in one message, each with its name.
pub(super) fn events(told: &mut Value) -> Vec<(&'static str, Value)> {
    let mut found: Vec<(&'static str, Value)> = Vec::new();
    for name in EVENTS {
        let mut event = told[name].take();
        if name == "metadata" && event.is_object() {
            event["usage"] = usage(&event["usage"], told);
            event["metrics"] = retold::latency(told);
        }
        found.extend(event.is_object().then_some((name, event)));
    }
    found
}
