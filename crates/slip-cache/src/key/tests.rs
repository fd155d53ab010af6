//! Pairs of bodies that are the same request, pairs that are not, and any body written anew.

use super::*;
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};

const SCOPE: Scope<'static> =
    Scope { tenant: "key_1", policy: b"p", model: "m/n", op: Op::Chat, dialect: Dialect::OpenAiChat };

fn key_of(dialect: Dialect, body: &str) -> Result<Key, Refusal> {
    Keyer::default().key(&Scope { dialect, ..SCOPE }, body.as_bytes())
}

fn chat(body: &str) -> Key {
    key_of(Dialect::OpenAiChat, body).unwrap_or_else(|why| panic!("{why}: {body}"))
}

#[test]
fn spelling_order_and_delivery_make_no_other_request() {
    let base = r#"{"model":"m","messages":[{"role":"user","content":"né 1"}],"temperature":0.5,"max_tokens":100,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"number","minimum":-1000}}}}}]}"#;
    let same = [
        // Order, at every depth.
        r#"{"tools":[{"function":{"parameters":{"properties":{"a":{"minimum":-1000,"type":"number"}},"type":"object"},"name":"f"},"type":"function"}],"max_tokens":100,"temperature":0.5,"messages":[{"content":"né 1","role":"user"}],"model":"m"}"#,
        // Spelling of numbers and texts, and space.
        " { \"model\" :\t\"m\",\r\n\"messages\":[ {\"r\\u006fle\":\"us\\u0065r\",\"content\":\"n\\u00E9\\u0020\\u0031\"} ],\"temperature\":5.0e-1,\"max_tokens\":1e2,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\",\"minimum\":-1000.0}}}}}]}\n",
    ];
    for body in same {
        assert_eq!(chat(base), chat(body), "{body}");
    }
    // What is added at the top and changes nothing.
    for member in [
        r#""stream":true"#,
        r#""stream":false"#,
        r#""stream_options":{"include_usage":true}"#,
        r#""user":"ann""#,
        r#""session_id":"s""#,
        r#""metadata":{"a":"b"}"#,
        r#""usage":{"include":true}"#,
        r#""trace":{"x":1}"#,
        r#""service_tier":"flex""#,
        r#""store":false"#,
        r#""prompt_cache_key":"k""#,
        r#""safety_identifier":"u""#,
        r#""prompt_cache_retention":"24h""#,
        r#""cache_control":{"type":"ephemeral"}"#,
        r#""n":1"#,
        r#""n":1.0"#,
        r#""n":null"#,
        r#""frequency_penalty":0"#,
        r#""presence_penalty":0.0"#,
        r#""logprobs":false"#,
        r#""stop":null"#,
        r#""seed":null"#,
        r#""debug":false"#,
        r#""str\u0065am":true"#,
        r#""web_search_options":null"#,
    ] {
        assert_eq!(chat(base), chat(&base.replacen('{', &format!("{{{member},"), 1)), "{member}");
    }
    assert_eq!(chat(base), chat(&base.replace("max_tokens", "max_completion_tokens")));
    let both = base.replace(r#""max_tokens":100"#, r#""max_tokens":null,"max_completion_tokens":100"#);
    assert_eq!(chat(base), chat(&both));
    assert_eq!(chat(base), chat(&base.replace(r#""model":"m""#, r#""model":"alias-of-m""#)));
    assert_eq!(
        chat(
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}"#
        ),
        chat(r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}"#)
    );
}

#[test]
fn whatever_may_change_the_answer_makes_another_request() {
    let base = r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}],"temperature":0}"#;
    let mut seen = vec![(base.to_owned(), chat(base))];
    let replaced = [
        (r#""content":"a""#, r#""content":"A""#),
        (r#""content":"a""#, r#""content":"a ""#),
        (r#""content":"a""#, r#""content":"\ud800""#),
        (r#""content":"a""#, r#""content":"\udc00""#),
        (r#""content":"a""#, r#""content":"\ufffd""#),
        (r#""content":"a""#, r#""content":null"#),
        (r#""content":"a""#, r#""content":[]"#),
        (r#""content":"a""#, r#""content":["a"]"#),
        (r#""content":"a""#, r#""content":"e\u0301""#),
        (r#""content":"a""#, r#""content":"\u00e9""#),
        (r#""content":"a""#, r#""content":"a","name":"x""#),
        (r#""content":"a""#, r#""content":"a","metadata":1"#),
        (r#""content":"a""#, r#""content":"a","stream":true"#),
        (r#""content":"a""#, r#""content":{}"#),
        (r#""content":"a""#, r#""content":"a","user":null"#),
        (
            r#"{"role":"user","content":"a"},{"role":"user","content":"b"}"#,
            r#"{"role":"user","content":"b"},{"role":"user","content":"a"}"#,
        ),
        (r#"{"role":"user","content":"a"},"#, r#"{"role":"user","content":"a"},{},"#),
        (r#""temperature":0"#, r#""temperature":"0""#),
        (r#""temperature":0"#, r#""temperature":1"#),
        (r#""temperature":0"#, r#""temperature":1e400"#),
        (r#""temperature":0"#, r#""temperature":2e400"#),
        (r#""temperature":0"#, r#""temperature":0.1"#),
        (r#""temperature":0"#, r#""temperature":false"#),
        (r#""temperature":0"#, r#""temperature":0,"seed":1"#),
        (r#""temperature":0"#, r#""temperature":0,"seed":9007199254740993"#),
        (r#""temperature":0"#, r#""temperature":0,"seed":9007199254740992"#),
        (r#""temperature":0"#, r#""temperature":0,"n":2"#),
        (r#""temperature":0"#, r#""temperature":0,"logprobs":true"#),
        (r#""temperature":0"#, r#""temperature":0,"stop":"x""#),
        (r#""temperature":0"#, r#""temperature":0,"stop":["x"]"#),
        (r#""temperature":0"#, r#""temperature":0,"max_tokens":1"#),
        (r#""temperature":0"#, r#""temperature":0,"max_completion_tokens":2"#),
        (r#""temperature":0"#, r#""temperature":0,"unheard_of":0"#),
        (r#""temperature":0"#, r#""temperature":0,"unheard_of":false"#),
        (r#""temperature":0"#, r#""temperature":0,"unheard_of":[]"#),
        (r#""temperature":0"#, r#""temperature":0,"unheard_of":{"a":1}"#),
        (r#""temperature":0"#, r#""temperature":0,"unheard_of":[["a",1]]"#),
        (r#""temperature":0"#, r#""temperature":0,"tools":[]"#),
        (r#""temperature":0"#, r#""temperature":0,"provider":{"order":["x"]}"#),
        (r#""temperature":0"#, r#""temperature":0,"models":["a","b"]"#),
        (r#""temperature":0"#, r#""temperature":0,"models":["b","a"]"#),
        (r#""temperature":0"#, r#""temperature":0,"response_format":{"type":"json_object"}"#),
        (
            r#""temperature":0"#,
            r#""temperature":0,"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"cache_control":{}}}}}]"#,
        ),
        (
            r#""temperature":0"#,
            r#""temperature":0,"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{}}}}]"#,
        ),
        (r#""temperature":0,"#, r#""#),
        (r#","temperature":0"#, ""),
    ];
    for (old, new) in replaced {
        if !base.contains(old) {
            continue;
        }
        let body = base.replacen(old, new, 1);
        let key = chat(&body);
        for (other, theirs) in &seen {
            assert_ne!(key, *theirs, "{body}\n{other}");
        }
        seen.push((body, key));
    }
    assert!(seen.len() > 40);
}

#[test]
fn everything_of_the_scope_counts_and_nothing_runs_into_its_neighbour() {
    let body = br#"{"messages":[]}"#;
    let scopes = [
        SCOPE,
        Scope { tenant: "key_2", ..SCOPE },
        Scope { tenant: "key_1p", policy: b"", ..SCOPE },
        Scope { policy: b"", model: "pm/n", ..SCOPE },
        Scope { policy: b"q", ..SCOPE },
        Scope { model: "m/n:free", ..SCOPE },
        Scope { op: Op::Embeddings, ..SCOPE },
        Scope { dialect: Dialect::Anthropic, ..SCOPE },
        Scope { dialect: Dialect::Responses, ..SCOPE },
    ];
    let mut keyer = Keyer::default();
    let mut keys: Vec<Key> = scopes.iter().map(|scope| keyer.key(scope, body).unwrap()).collect();
    keys.extend(scopes.iter().map(|scope| keyer.raw(scope, [&body[..]])));
    keys.push(keyer.raw(&SCOPE, [&body[..4], &body[4..]]));
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all);
    assert_eq!(Key::parse(&keys[0].to_string()), Some(keys[0]));
    for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
        assert_eq!(Key::parse(bad), None);
    }
}

#[test]
fn some_requests_have_no_key_and_it_is_said_why() {
    use Dialect::*;
    let live = |name: &str| Refusal::Live(name.to_owned());
    let twice = |name: &str| Refusal::Twice(name.to_owned());
    for (dialect, body, want) in [
        (OpenAiChat, "", Refusal::NotJson),
        (OpenAiChat, "[]", Refusal::NotJson),
        (OpenAiChat, "null", Refusal::NotJson),
        (OpenAiChat, r#"{"a":1} x"#, Refusal::NotJson),
        (OpenAiChat, r#"{"a":01}"#, Refusal::NotJson),
        (OpenAiChat, r#"{"a":1,"a":1}"#, twice("a")),
        (OpenAiChat, r#"{"a":1,"\u0061":2}"#, twice("a")),
        (OpenAiChat, r#"{"m":[{"deep":1,"b":2,"deep":1}]}"#, twice("deep")),
        (OpenAiChat, r#"{"max_tokens":1,"max_completion_tokens":1}"#, twice("max_tokens")),
        (OpenAiChat, r#"{"n":2,"n":1}"#, twice("n")),
        (OpenAiChat, r#"{"stream":true,"stream":true}"#, twice("stream")),
        (OpenAiChat, r#"{"stop":null,"stop":"x"}"#, twice("stop")),
        (OpenAiChat, r#"{"web_search_options":{}}"#, live("web_search_options")),
        (OpenAiChat, r#"{"plugins":[{"id":"web"}]}"#, live("plugins.*.id")),
        (OpenAiChat, r#"{"tools":[{"type":"function"},{"type":"openrouter:web_search"}]}"#, live("tools.*.type")),
        (OpenAiChat, r#"{"debug":{"echo_upstream_body":true}}"#, live("debug")),
        (Responses, r#"{"previous_response_id":"r"}"#, live("previous_response_id")),
        (Responses, r#"{"background":true}"#, live("background")),
        (Anthropic, r#"{"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#, live("tools.*.type")),
        (Anthropic, r#"{"mcp_servers":[{"url":"https://x"}]}"#, live("mcp_servers")),
        (Gemini, r#"{"tools":[{"googleSearch":{}}]}"#, live("tools.*.googleSearch")),
    ] {
        assert_eq!(key_of(dialect, body), Err(want), "{body}");
    }
    let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
    assert!(key_of(OpenAiChat, &deep(63)).is_ok());
    assert_eq!(key_of(OpenAiChat, &deep(64)), Err(Refusal::NotJson));
    let many = |n: usize| format!("{{\"input\":[{}1]}}", "1,".repeat(n));
    assert!(key_of(OpenAiChat, &many(MAX_VALUES - 3)).is_ok());
    assert_eq!(key_of(OpenAiChat, &many(MAX_VALUES - 2)), Err(Refusal::TooLarge));
    for body in
        [r#"{"background":false,"mcp_servers":[]}"#, r#"{"tools":[{"type":"function"},{"name":"x"},{"type":7}]}"#]
    {
        for dialect in Dialect::ALL {
            assert!(key_of(dialect, body).is_ok(), "{dialect} {body}");
        }
    }
}

#[test]
fn marks_for_a_providers_cache_make_no_other_request_in_any_dialect() {
    use Dialect::*;
    for (dialect, plain, marked) in [
        (
            Anthropic,
            r#"{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"x"}]}]}]}"#,
            r#"{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],"metadata":{"user_id":"u"},"messages":[{"role":"user","content":[{"type":"tool_result","cache_control":null,"content":[{"cache_control":{"type":"ephemeral"},"type":"text","text":"x"}]}]}]}"#,
        ),
        (
            Bedrock,
            r#"{"system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"x"}]}],"toolConfig":{"tools":[]}}"#,
            r#"{"system":[{"text":"s"},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"text":"x"},{"cachePoint":{"type":"default"}}]}],"requestMetadata":{"a":"b"},"toolConfig":{"tools":[{"cachePoint":{"type":"default"}}]}}"#,
        ),
        (Ollama, r#"{"messages":[]}"#, r#"{"messages":[],"keep_alive":"5m","stream":false}"#),
        (Cohere, r#"{"messages":[]}"#, r#"{"messages":[],"priority":3}"#),
        (Gemini, r#"{"contents":[]}"#, r#"{"contents":[],"labels":{"team":"x"}}"#),
    ] {
        assert_eq!(key_of(dialect, plain).unwrap(), key_of(dialect, marked).unwrap(), "{dialect}");
    }
    // What a tool is handed is no mark, whatever it is called.
    let with = |input: &str| {
        let body = format!(
            r#"{{"messages":[{{"role":"assistant","content":[{{"type":"tool_use","id":"t","name":"f","input":{input}}}]}}]}}"#
        );
        key_of(Anthropic, &body).unwrap()
    };
    assert_ne!(with(r#"{"cache_control":1}"#), with("{}"));
}

/// Any JSON, with names and texts that collide and need escapes.
fn any_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(|n| Value::Number(n.into())),
        any::<u64>().prop_map(|n| Value::Number(n.into())),
        (-1e6f64..1e6).prop_map(|n| Number::from_f64(n).map_or(Value::Null, Value::Number)),
        (0i64..4).prop_map(|n| Value::Number(n.into())),
    ];
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), number, name().prop_map(Value::String)];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(name(), inner, 0..6).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,2}", "[a-c\"\\\\\n\u{1}é😀]{0,4}", Just("stream".to_owned()), Just("cache_control".to_owned())]
}

fn any_body() -> impl Strategy<Value = Map<String, Value>> {
    // Names of no row: what a row says of its member has tests of its own.
    prop::collection::btree_map("x[ab]{0,2}", any_value(), 0..6).prop_map(|m| m.into_iter().collect())
}

/// The same value written otherwise: order, space, escapes and zeros by lot.
fn rewrite(value: &Value, dice: &mut fastrand::Rng, out: &mut String) {
    let space = |dice: &mut fastrand::Rng, out: &mut String| {
        (0..dice.usize(..3)).for_each(|_| out.push([' ', '\n', '\t', '\r'][dice.usize(..4)]));
    };
    space(dice, out);
    match value {
        Value::String(text) => rewrite_text(text, dice, out),
        Value::Number(number) => {
            let plain = number.to_string();
            match plain.contains(['e', 'E']) {
                true => out.push_str(&plain),
                false if plain.contains('.') => *out += &format!("{plain}{}", "0".repeat(dice.usize(..3))),
                false => {
                    *out += &[plain.clone(), format!("{plain}.0"), format!("{plain}.00e-0"), format!("{plain}E+00")]
                        [dice.usize(..4)]
                }
            }
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                rewrite(item, dice, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            dice.shuffle(&mut members);
            out.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                space(dice, out);
                rewrite_text(name, dice, out);
                space(dice, out);
                out.push(':');
                rewrite(value, dice, out);
            }
            out.push('}');
        }
        other => *out += &other.to_string(),
    }
    space(dice, out);
}

fn rewrite_text(text: &str, dice: &mut fastrand::Rng, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if dice.u8(..4) == 0 {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| *out += &format!("\\u{unit:04X}"));
        } else {
            let quoted = json!(character.to_string()).to_string();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
    }
    out.push('"');
}

/// One value somewhere inside, made another.
fn change(value: &mut Value, dice: &mut fastrand::Rng) {
    match value {
        Value::Array(items) if !items.is_empty() && dice.bool() => {
            let at = dice.usize(..items.len());
            change(&mut items[at], dice);
        }
        Value::Object(members) if !members.is_empty() && dice.bool() => {
            let at = dice.usize(..members.len());
            if let Some(inner) = members.values_mut().nth(at) {
                change(inner, dice);
            }
        }
        Value::Array(items) => items.push(json!("more")),
        Value::Object(members) => {
            members.insert("another".to_owned(), Value::Null);
        }
        Value::String(text) => text.push('!'),
        Value::Bool(flag) => *flag = !*flag,
        Value::Null => *value = json!(0),
        Value::Number(_) => *value = json!([value.clone()]),
    }
}

proptest! {
    #[test]
    fn any_order_spacing_and_spelling_has_the_same_key(body in any_body(), seed: u64) {
        let plain = Value::Object(body);
        let mut other = String::new();
        rewrite(&plain, &mut fastrand::Rng::with_seed(seed), &mut other);
        prop_assert_eq!(chat(&plain.to_string()), chat(&other), "{}\n{}", plain, other);
    }

    #[test]
    fn any_change_of_what_counts_has_another_key(body in any_body(), seed: u64) {
        let plain = Value::Object(body);
        let mut changed = plain.clone();
        let mut dice = fastrand::Rng::with_seed(seed);
        if let Value::Object(members) = &mut changed {
            // A null at the top says nothing, so the change is made inside an array there.
            let mut inner = members.remove("xa").unwrap_or(json!(["here"]));
            change(&mut inner, &mut dice);
            let before = plain.get("xa").cloned();
            prop_assume!(Some(&inner) != before.as_ref() && !inner.is_null());
            members.insert("xa".to_owned(), inner);
        }
        prop_assert_ne!(chat(&plain.to_string()), chat(&changed.to_string()), "{}\n{}", plain, changed);
    }

    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..64), json in "[\\[\\]{}\":,\\\\u0-9a-f.eE+ -]{0,64}") {
        let mut keyer = Keyer::default();
        for dialect in Dialect::ALL {
            let _ = keyer.key(&Scope { dialect, ..SCOPE }, &bytes);
            let _ = keyer.key(&Scope { dialect, ..SCOPE }, json.as_bytes());
        }
    }
}
