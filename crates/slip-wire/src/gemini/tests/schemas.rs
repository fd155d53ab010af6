//! JSON Schema, Google's subset of it, and what is said to be lost.

use super::json;
use crate::gemini::schema::{from_google, takes_nothing, to_google};
use slip_ir::Raw;

fn check(schema: &str, want: &str, lost: &[&str]) {
    let mut losses = Vec::new();
    let node = to_google(&Raw::parse(schema).expect("the test's own JSON"), "s", &mut losses);
    assert_eq!(json(node.to_vec()), json(want), "{schema}");
    let names: Vec<&str> = losses.iter().map(|loss| &*loss.what).collect();
    assert_eq!(names, lost, "{schema}");
}

#[test]
fn a_schema_is_narrowed_and_every_removal_is_named() {
    check(
        r#"{"$schema":"x","type":"object","properties":{"a":{"type":"string","minLength":1}},"required":["a"]}"#,
        r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","minLength":1}},"required":["a"]}"#,
        &[],
    );
    check(
        r#"{"type":"object","additionalProperties":false,"properties":{"a":{"type":"array","items":{"type":"integer","multipleOf":2},"uniqueItems":true}}}"#,
        r#"{"type":"OBJECT","properties":{"a":{"type":"ARRAY","items":{"type":"INTEGER"}}}}"#,
        &["s.additionalProperties", "s.properties.a.items.multipleOf", "s.properties.a.uniqueItems"],
    );
    check(r#"{"type":["string","null"]}"#, r#"{"nullable":true,"type":"STRING"}"#, &[]);
    check(r#"{"type":["string","integer"]}"#, r#"{"anyOf":[{"type":"STRING"},{"type":"INTEGER"}]}"#, &[]);
    check(
        r#"{"anyOf":[{"type":"string"},{"type":"null"}],"description":"d"}"#,
        r#"{"nullable":true,"type":"STRING","description":"d"}"#,
        &[],
    );
    check(
        r#"{"oneOf":[{"type":"string"},{"type":"number"}]}"#,
        r#"{"anyOf":[{"type":"STRING"},{"type":"NUMBER"}]}"#,
        &["s.oneOf"],
    );
    check(r#"{"const":"x"}"#, r#"{"enum":["x"],"type":"STRING"}"#, &[]);
    check(r#"{"const":1}"#, r#"{"type":"INTEGER"}"#, &["s.const"]);
    check(r#"{"enum":["a",null]}"#, r#"{"nullable":true,"enum":["a"],"type":"STRING"}"#, &[]);
    check(r#"{"type":"string","format":"email"}"#, r#"{"type":"STRING"}"#, &["s.format"]);
    check(r#"{"type":"string","format":"date-time"}"#, r#"{"type":"STRING","format":"date-time"}"#, &[]);
    check(r#"{"type":"array"}"#, r#"{"type":"ARRAY","items":{"type":"STRING"}}"#, &["s.items"]);
    check(
        r#"{"type":"array","prefixItems":[{"type":"number"},{"type":"number"}],"items":false}"#,
        r#"{"type":"ARRAY","items":{"type":"NUMBER"}}"#,
        &["s.prefixItems"],
    );
    check(r#"{"properties":{},"required":["x"]}"#, r#"{"properties":{},"type":"OBJECT"}"#, &["s.required"]);
    check(
        r#"{"allOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":true},"required":["b"]}]}"#,
        r#"{"properties":{"a":{"type":"STRING"},"b":{}},"required":["a","b"],"type":"OBJECT"}"#,
        &["s.allOf"],
    );
    check("true", "{}", &[]);
    check("7", "{}", &["s"]);
}

#[test]
fn references_are_put_in_place_and_never_followed_for_ever() {
    check(
        r##"{"$defs":{"a/b":{"type":"string","description":"x"}},"properties":{"p":{"$ref":"#/$defs/a~1b","description":"y"}}}"##,
        r#"{"properties":{"p":{"type":"STRING","description":"y"}},"type":"OBJECT"}"#,
        &[],
    );
    check(
        r##"{"$ref":"#/$defs/T","$defs":{"T":{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#/$defs/T"}}}}}}"##,
        r#"{"type":"OBJECT","properties":{"kids":{"type":"ARRAY","items":{"type":"OBJECT"}}}}"#,
        &["s.properties.kids.items.$ref"],
    );
    check(r##"{"$ref":"#/$defs/None"}"##, "{}", &["s.$ref"]);
    check(r##"{"$ref":"#"}"##, r#"{"type":"OBJECT"}"#, &["s.$ref"]);
}

#[test]
fn a_schema_that_doubles_at_every_level_stays_small() {
    let mut defs = String::from(r#""d0":{"type":"string"}"#);
    for level in 1..40 {
        let below = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, level - 1);
        defs.push_str(&format!(r#","d{level}":{{"properties":{{"l":{below},"r":{below}}}}}"#));
    }
    let bomb = format!(r##"{{"$ref":"#/$defs/d39","$defs":{{{defs}}}}}"##);
    let mut losses = Vec::new();
    let node = to_google(&Raw::parse(bomb).expect("the test's own JSON"), "s", &mut losses);
    assert!(node.to_vec().len() < 2_000_000, "{} bytes", node.to_vec().len());
    assert!(losses.iter().any(|loss| loss.why.contains("too large")));
    let deep = format!("{}{}", r#"{"items":"#.repeat(5000), "1".to_owned() + &"}".repeat(5000));
    losses.clear();
    to_google(&Raw::parse(deep).expect("the test's own JSON"), "s", &mut losses);
    assert_eq!(losses.len(), 1);
}

#[test]
fn googles_spelling_becomes_json_schema() {
    let rows = [
        (
            r#"{"type":"OBJECT","properties":{"a":{"type":"STRING","nullable":true}}}"#,
            r#"{"type":"object","properties":{"a":{"type":["string","null"]}}}"#,
        ),
        (r#"{"type":6,"properties":{"n":{"type":3}}}"#, r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#),
        (
            r#"{"type":"ARRAY","minItems":"2","items":{"anyOf":[{"type":"NUMBER"},{"type":"NULL"}]}}"#,
            r#"{"type":"array","minItems":2,"items":{"anyOf":[{"type":"number"},{"type":"null"}]}}"#,
        ),
        // A property may be called what a keyword is called.
        (
            r#"{"type":"OBJECT","properties":{"type":{"type":"STRING"}}}"#,
            r#"{"type":"object","properties":{"type":{"type":"string"}}}"#,
        ),
    ];
    for (google, want) in rows {
        assert_eq!(json(from_google(&Raw::parse(google).expect("JSON")).as_str()), json(want), "{google}");
    }
    let plain = r#"{ "type": "object", "zeta": 1.0, "alpha": 2 }"#;
    assert_eq!(from_google(&Raw::parse(plain).expect("JSON")).as_str(), plain, "untouched, byte for byte");
}

#[test]
fn parameters_of_nothing_are_told_from_parameters() {
    let rows = [
        (r#"{"type":"object","properties":{}}"#, true),
        (r#"{"type":"object","properties":{},"required":[],"additionalProperties":false,"description":"none"}"#, true),
        (r#"{"type":"object"}"#, true),
        (r#"{"type":"object","properties":{"a":{"type":"string"}}}"#, false),
        (r#"{"type":"object","anyOf":[{"type":"object","properties":{"a":{"type":"string"}}}]}"#, false),
        (r#"{"type":"string"}"#, false),
        ("true", false),
    ];
    for (schema, want) in rows {
        let node = to_google(&Raw::parse(schema).expect("the test's own JSON"), "s", &mut Vec::new());
        assert_eq!(takes_nothing(&node), want, "{schema}");
    }
}
