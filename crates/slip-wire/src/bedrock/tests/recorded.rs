//! Recorded requests of Bedrock's own clients come back as they went. Skipped without recordings.

use super::*;
use crate::recordings::cases;

/// What may be said or left out without a difference.
fn normal(mut body: Value) -> Value {
    fn prune(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.values_mut().for_each(prune);
                let empty = |v: &Value| v.is_null() || v == &json!([]) || v == &json!({});
                members.retain(|name, v| {
                    !(empty(v) && name != "input" && name != "auto" && name != "any" && name != "properties")
                });
                // A status that says nothing new, and numbers however they are spelt.
                members.retain(|name, v| !(name == "status" && v == "success"));
            }
            Value::Array(items) => items.iter_mut().for_each(prune),
            Value::Number(n) => *value = json!(n.as_f64()),
            _ => {}
        }
    }
    prune(&mut body);
    body
}

#[test]
fn recorded_requests_come_back_as_they_went() {
    let asked = |case: &Value| {
        matches!(case["api"].as_str(), Some("converse" | "converse-stream")) && case["request"]["body"].is_object()
    };
    let Some(cases) = cases(asked) else { return };
    let mut count = 0;
    for case in cases {
        let body = &case["request"]["body"];
        let (mut request, losses) = decoded(body);
        request.model = case["model"].as_str().unwrap_or_default().to_owned();
        let (again, more) = encoded(&request);
        // What is lost is told; where nothing is, nothing is different.
        if losses.is_empty() && more.is_empty() {
            assert_eq!(normal(again), normal(body.clone()), "{}", case["id"]);
            count += 1;
        }
    }
    println!("{count} recorded requests");
    assert!(count > 5, "only {count} requests lost nothing");
}
