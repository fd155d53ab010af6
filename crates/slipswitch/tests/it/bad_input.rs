//! Whatever arrives, the answer says exactly what is wrong, in the caller's own dialect, and the process goes on.

mod surfaces;

use crate::harness::{Gateway, KEY, MANAGEMENT};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

const CHAT: &str = "/api/v1/chat/completions";

const HOUSE: &str = r#"
[providers.one]
kind = "simulated"
dialect = "openai-chat"
models = ["sim/one", { id = "sim/small", context = 50, max_output = 100, input = ["text"], output = ["text"], params = ["temperature"], quantization = "fp8" }]
price = { input = "2", output = "8" }

[providers.two]
kind = "simulated"
dialect = "anthropic"
models = ["sim/two"]

[providers.private]
kind = "simulated"
dialect = "openai-chat"
models = ["sim/private"]
policy = { trains = false, retains = false, zdr = true }
"#;

/// Status, error type and reason.
type Kind = (u16, &'static str, &'static str);

/// OpenRouter's envelope, whole. An empty `param` is none.
fn refusal(kind: Kind, message: &str, param: &str) -> Value {
    let (status, error_type, reason) = kind;
    let mut metadata = json!({ "error_type": error_type, "reason": reason });
    if !param.is_empty() {
        metadata["param"] = param.into();
    }
    json!({ "error": { "code": status, "message": message, "metadata": metadata } })
}

const BAD: Kind = (400, "invalid_request", "bad_request");
const UNKNOWN: Kind = (400, "invalid_request", "model_not_found");
const NOBODY: Kind = (404, "not_found", "no_endpoints");
const NO_KEY: Kind = (401, "authentication", "invalid_api_key");
const NO_PATH: Kind = (404, "not_found", "not_found");

/// A good chat body with these members over it; null takes one away.
fn body(over: Value) -> String {
    let mut body = json!({ "model": "sim/one", "messages": [{ "role": "user", "content": "hi" }] });
    if let (Some(members), Value::Object(over)) = (body.as_object_mut(), over) {
        for (name, value) in over {
            if value.is_null() {
                members.remove(&name)
            } else {
                members.insert(name, value)
            };
        }
    }
    body.to_string()
}

fn nested(levels: usize) -> String {
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    format!(r#"{{"model":"sim/one","messages":[{{"role":"user","content":"hi"}}],"x":{open}{close}}}"#)
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_with_the_place_that_is_wrong() {
    let not_json = |why: &str| format!("not JSON: {why}");
    let rows: Vec<(&str, Bytes, String, &str)> = vec![
        ("nothing", "".into(), "the request body is empty: send a JSON object".into(), ""),
        ("white space", " \n ".into(), "the request body is empty: send a JSON object".into(), ""),
        ("prose", "hello".into(), not_json("expected a value at line 1 column 1 (byte 0)"), ""),
        ("null", "null".into(), "must be a JSON object".into(), ""),
        ("an array", "[]".into(), "must be a JSON object".into(), ""),
        (
            "a cut",
            r#"{"model":"sim/one""#.into(),
            not_json("the text ends too early at line 1 column 19 (byte 18)"),
            "",
        ),
        (
            "more behind",
            "{\"messages\":[{\"role\":\"user\"}]} x".into(),
            not_json("expected nothing more at line 1 column 32 (byte 31)"),
            "",
        ),
        (
            "bad UTF-8",
            Bytes::from_static(b"{\"model\":\"\xff\"}"),
            not_json("a string is not UTF-8 at line 1 column 11 (byte 10)"),
            "",
        ),
        (
            "a control character",
            Bytes::from_static(b"{\"model\":\"\0\"}"),
            not_json("a control character stands unescaped in a string at line 1 column 11 (byte 10)"),
            "",
        ),
        ("65 levels", nested(64).into(), "nested deeper than 64 levels".into(), ""),
        ("a model twice", r#"{"model":"a","model":"b"}"#.into(), "the member `model` appears twice".into(), ""),
        (
            "an escaped model twice",
            r#"{"model":"a","mod\u0065l":"b"}"#.into(),
            "the member `model` appears twice".into(),
            "",
        ),
        ("no messages", body(json!({ "messages": null })).into(), "messages: is required".into(), "messages"),
        ("messages as text", body(json!({ "messages": "hi" })).into(), "messages: must be an array".into(), "messages"),
        ("no message", body(json!({ "messages": [] })).into(), "messages: must not be empty".into(), "messages"),
        (
            "a message as text",
            body(json!({ "messages": ["hi"] })).into(),
            "messages[0]: must be an object".into(),
            "messages[0]",
        ),
        (
            "no role",
            body(json!({ "messages": [{ "content": "hi" }] })).into(),
            "messages[0].role: is required".into(),
            "messages[0].role",
        ),
        (
            "content as a number",
            body(json!({ "messages": [{ "role": "user", "content": 5 }] })).into(),
            "messages[0].content: must be a string or an array".into(),
            "messages[0].content",
        ),
        ("model as a number", body(json!({ "model": 1 })).into(), "model: must be a string".into(), "model"),
        ("no model", body(json!({ "model": null })).into(), "no model was named".into(), "model"),
        ("an empty model", body(json!({ "model": "" })).into(), "no model was named".into(), "model"),
        ("stream as text", body(json!({ "stream": "yes" })).into(), "stream: must be true or false".into(), "stream"),
        (
            "temperature as text",
            body(json!({ "temperature": "hot" })).into(),
            "temperature: must be a number".into(),
            "temperature",
        ),
        ("n 0", body(json!({ "n": 0 })).into(), "n: must be an integer from 1 to 128".into(), "n"),
        ("n 1000", body(json!({ "n": 1000 })).into(), "n: must be an integer from 1 to 128".into(), "n"),
        (
            "max_tokens -1",
            body(json!({ "max_tokens": -1 })).into(),
            "max_tokens: must be a positive integer".into(),
            "max_tokens",
        ),
        (
            "max_tokens 1.5",
            body(json!({ "max_tokens": 1.5 })).into(),
            "max_tokens: must be a positive integer".into(),
            "max_tokens",
        ),
        ("tools as an object", body(json!({ "tools": {} })).into(), "tools: must be an array".into(), "tools"),
        ("a tool as text", body(json!({ "tools": ["x"] })).into(), "tools[0]: must be an object".into(), "tools[0]"),
        (
            "a server tool",
            body(json!({ "tools": [{ "type": "openrouter:web_search" }] })).into(),
            "tools[0].type: this gateway does not run the server tool: openrouter:web_search".into(),
            "tools[0].type",
        ),
        (
            "stop as a number",
            body(json!({ "stop": 5 })).into(),
            "stop: must be a string or an array of strings".into(),
            "stop",
        ),
        (
            "a format as text",
            body(json!({ "response_format": "json" })).into(),
            "response_format: must be an object".into(),
            "response_format",
        ),
        (
            "an unknown effort",
            body(json!({ "reasoning": { "effort": "huge" } })).into(),
            "reasoning.effort: must be one of none, minimal, low, medium, high, xhigh, max, not huge".into(),
            "reasoning.effort",
        ),
        (
            "65 models",
            body(json!({ "models": vec!["sim/one"; 65] })).into(),
            "models: must hold at most 64 entries".into(),
            "models",
        ),
        ("provider as text", body(json!({ "provider": "x" })).into(), "provider: must be an object".into(), "provider"),
        (
            "order as text",
            body(json!({ "provider": { "order": "x" } })).into(),
            "provider.order: expected an array of strings, got \"x\"".into(),
            "provider.order",
        ),
        (
            "an unknown sort",
            body(json!({ "provider": { "sort": "speed" } })).into(),
            "provider.sort: expected \"price\", \"throughput\", \"latency\", \"exacto\" or an object, got \"speed\""
                .into(),
            "provider.sort",
        ),
        (
            "an unknown policy",
            body(json!({ "provider": { "data_collection": "no" } })).into(),
            "provider.data_collection: expected \"allow\" or \"deny\", got \"no\"".into(),
            "provider.data_collection",
        ),
    ];
    let gateway = Gateway::start(HOUSE);
    for (what, sent, message, param) in rows {
        let got = gateway.post_raw(CHAT, sent).await;
        assert_eq!((got.status, got.json()), (400, refusal(BAD, &message, param)), "{what}");
        assert_eq!(got.header("content-type"), "application/json", "{what}");
        gateway.is_well(what).await;
    }
}

#[tokio::test]
async fn a_body_that_is_only_unusual_is_read() {
    let gateway = Gateway::start(HOUSE);
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend_from_slice(body(json!({})).as_bytes());
    let rows: Vec<(&str, Bytes)> = vec![
        ("a byte order mark", marked.into()),
        ("64 levels", nested(63).into()),
        (
            "unknown members",
            body(json!({ "x-unknown": { "deep": [1] }, "stream_options": { "include_usage": true } })).into(),
        ),
        ("white space around", format!(" \n{}\n ", body(json!({}))).into()),
    ];
    for (what, sent) in rows {
        let got = gateway.post_raw(CHAT, sent).await;
        assert_eq!((got.status, got.content().as_str()), (200, "echo: hi"), "{what}: {}", got.text());
    }
    // `curl -d` says it sends a form.
    let bearer = format!("Bearer {KEY}");
    let form = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let got = gateway.send(Method::POST, CHAT, &form, body(json!({})).into()).await;
    assert_eq!((got.status, got.content().as_str()), (200, "echo: hi"));
}

#[tokio::test]
async fn a_model_nobody_can_serve_is_told_with_what_to_change() {
    let image = json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "https://x.test/y.png" } }] }]);
    let tool = json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]);
    let none = "No endpoints found that can serve this request. ";
    let barred = "No endpoints found: no allowed providers are available for the selected model. ";
    let rows = vec![
        ("unknown", json!({ "model": "zzz" }), UNKNOWN, "`zzz` is not a valid model ID".into(), "model"),
        ("mistyped", json!({ "model": "sim/smal" }), UNKNOWN, "`sim/smal` is not a valid model ID. Did you mean sim/small?".into(), "model"),
        (
            "known, no provider",
            json!({ "model": "anthropic/claude-sonnet-4.5" }),
            NOBODY,
            "No endpoints found: no configured provider serves `anthropic/claude-sonnet-4.5`: add a key for amazon-bedrock, anthropic or google-vertex".into(),
            "model",
        ),
        ("only", json!({ "provider": { "only": ["zeta"] } }), NOBODY, format!("{barred}one (sim/one): not in provider.only"), ""),
        ("ignore", json!({ "provider": { "ignore": ["one"] } }), NOBODY, format!("{barred}one (sim/one): in provider.ignore"), ""),
        (
            "order without fallbacks",
            json!({ "provider": { "order": ["zeta"], "allow_fallbacks": false } }),
            NOBODY,
            format!("{barred}one (sim/one): not in provider.order, and provider.allow_fallbacks is false"),
            "",
        ),
        ("max_price", json!({ "provider": { "max_price": { "prompt": 1 } } }), NOBODY, format!("{none}one (sim/one): dearer than provider.max_price.prompt"), ""),
        (
            "max_price, unknown price",
            json!({ "model": "sim/two", "provider": { "max_price": { "prompt": 1 } } }),
            NOBODY,
            format!("{none}two (sim/two): its price is not known, and provider.max_price is set"),
            "",
        ),
        (
            "quantizations",
            json!({ "model": "sim/small", "provider": { "quantizations": ["fp4"] } }),
            NOBODY,
            format!("{none}one (sim/small): its quantization is not in provider.quantizations"),
            "",
        ),
        (
            "data_collection",
            json!({ "provider": { "data_collection": "deny" } }),
            NOBODY,
            "No endpoints found matching your data policy. one (sim/one): it may keep prompts or train on them, and provider.data_collection is deny".into(),
            "",
        ),
        (
            "zdr",
            json!({ "provider": { "zdr": true } }),
            NOBODY,
            "No endpoints found matching your data policy. one (sim/one): no zero data retention, and provider.zdr is true".into(),
            "",
        ),
        (
            "require_parameters",
            json!({ "model": "sim/small", "seed": 1, "provider": { "require_parameters": true } }),
            NOBODY,
            "No endpoints found that can handle the requested parameters. one (sim/small): provider.require_parameters is true, and it is not known to support seed".into(),
            "",
        ),
        (
            "context",
            json!({ "model": "sim/small", "messages": [{ "role": "user", "content": "x".repeat(1000) }] }),
            NOBODY,
            format!("{none}one (sim/small): its maximum context length is 50 tokens, and the prompt has about 254"),
            "",
        ),
        (
            "max_tokens",
            json!({ "model": "sim/small", "max_tokens": 5000 }),
            NOBODY,
            format!("{none}one (sim/small): it writes at most 100 tokens, and max_tokens is 5000"),
            "",
        ),
        (
            "image input",
            json!({ "model": "sim/small", "messages": image }),
            NOBODY,
            "No endpoints found that support image input. one (sim/small): no image input".into(),
            "",
        ),
        (
            "tools",
            json!({ "model": "sim/small", "tools": tool }),
            NOBODY,
            "No endpoints found that support tool use. one (sim/small): no tool use".into(),
            "",
        ),
        ("free", json!({ "model": "sim/one:free" }), NOBODY, format!("{none}one (sim/one): not a free endpoint, and the name ends in :free"), ""),
        (
            "several endpoints, each for its own reason",
            json!({ "model": "sim/one", "models": ["sim/two"], "provider": { "only": ["two"], "zdr": true } }),
            NOBODY,
            format!("{none}one (sim/one): not in provider.only; two (sim/two): no zero data retention, and provider.zdr is true"),
            "",
        ),
    ];
    let gateway = Gateway::start(HOUSE);
    for (what, over, kind, message, param) in rows {
        let got = gateway.post_raw(CHAT, body(over)).await;
        assert_eq!((got.status, got.json()), (kind.0, refusal(kind, &message, param)), "{what}");
        assert!(got.header("x-generation-id").starts_with("gen-"), "{what}: routed, so it has an id");
        gateway.is_well(what).await;
    }
    let strict = json!({ "model": "sim/private", "provider": { "zdr": true, "data_collection": "deny" } });
    assert_eq!(gateway.post_raw(CHAT, body(strict)).await.status, 200, "a provider may be said to keep nothing");
}

#[tokio::test]
async fn a_credential_is_needed_and_told_apart_from_a_wrong_one() {
    let gateway = Gateway::start(HOUSE);
    let minted = slip_store::SecretKey::mint().expose().to_owned();
    let mut mistyped = minted.clone().into_bytes();
    let middle = mistyped.len() / 2;
    mistyped[middle] = if mistyped[middle] == b'a' { b'b' } else { b'a' };
    let mistyped = String::from_utf8(mistyped).expect("ASCII");
    let bearer = |key: &str| format!("Bearer {key}");
    let forbidden = (403, "permission_denied", "forbidden");
    let missing = "Missing Authentication header: send `Authorization: Bearer <your key>`";
    let rows = vec![
        ("none", vec![], NO_KEY, missing),
        ("an empty one", vec![("authorization", "Bearer ".into())], NO_KEY, missing),
        (
            "another scheme",
            vec![("authorization", "Basic abc".into())],
            NO_KEY,
            "the Authorization header must read `Bearer <your key>`",
        ),
        ("unknown", vec![("authorization", bearer("sk-somebody-elses"))], NO_KEY, "invalid API key"),
        ("minted elsewhere", vec![("authorization", bearer(&minted))], NO_KEY, "invalid API key"),
        (
            "mistyped",
            vec![("x-api-key", mistyped)],
            NO_KEY,
            "invalid API key: its checksum does not match, so it was mistyped or cut short",
        ),
        (
            "two different",
            vec![("authorization", bearer(KEY)), ("x-api-key", "sk-another-one".into())],
            BAD,
            "two different API keys were sent; send one",
        ),
        (
            "for management",
            vec![("authorization", bearer(MANAGEMENT))],
            forbidden,
            "a management key cannot run models: use an API key (management keys administer, API keys spend)",
        ),
    ];
    for (what, headers, kind, message) in rows {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let got = gateway.send(Method::POST, CHAT, &headers, body(json!({})).into()).await;
        assert_eq!((got.status, got.json()), (kind.0, refusal(kind, message, "")), "{what}");
    }
    for name in ["key", "api_key", "access_token"] {
        let got = gateway.post_raw(&format!("{CHAT}?{name}=abc"), body(json!({}))).await;
        let says = "API keys are not accepted in URLs, where logs and proxies would keep them: send `Authorization: Bearer <your key>`";
        assert_eq!((got.status, got.json()), (400, refusal(BAD, says, "")), "{name}");
    }
    // However the client's library sends it.
    for headers in [[("x-api-key", KEY)], [("x-goog-api-key", KEY)], [("authorization", &*format!("bearer {KEY}"))]] {
        let got = gateway.send(Method::POST, CHAT, &headers, body(json!({})).into()).await;
        assert_eq!(got.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn wrong_methods_and_paths_name_the_right_ones() {
    let gateway = Gateway::start(HOUSE);
    let method = (405, "invalid_request", "method_not_allowed");
    let chat = "did you mean POST /api/v1/chat/completions?";
    let rows = vec![
        (Method::GET, CHAT, method, "GET is not answered here, but POST".into()),
        (Method::PUT, CHAT, method, "PUT is not answered here, but POST".into()),
        (Method::DELETE, "/api/v1/models", method, "DELETE is not answered here, but GET".into()),
        (Method::POST, "/api/v1/models", method, "POST is not answered here, but GET".into()),
        (Method::POST, "/chat/completions", NO_PATH, format!("no such path: /chat/completions ({chat})")),
        (Method::POST, "/api/v1/chat/completion", NO_PATH, format!("no such path: /api/v1/chat/completion ({chat})")),
        (
            Method::POST,
            "/api/v1/chat%2fcompletions",
            NO_PATH,
            format!("no such path: /api/v1/chat%2fcompletions ({chat})"),
        ),
        (
            Method::POST,
            "/api/v1/chat/completions%00",
            NO_PATH,
            format!("no such path: /api/v1/chat/completions%00 ({chat})"),
        ),
        (
            Method::POST,
            "//api/v1/chat/completions",
            NO_PATH,
            format!("no such path: //api/v1/chat/completions ({chat})"),
        ),
        (
            Method::POST,
            "/api/v1/../v1/chat/completions",
            NO_PATH,
            format!("no such path: /api/v1/../v1/chat/completions ({chat})"),
        ),
        (
            Method::GET,
            "/api/v1/models/../../etc/endpoints",
            NO_PATH,
            "no such path: /api/v1/models/../../etc/endpoints (the API is below /api/v1)".into(),
        ),
        (
            Method::GET,
            "/api/v1/models/a%00b/c/endpoints",
            NO_PATH,
            "no such path: /api/v1/models/a%00b/c/endpoints (the API is below /api/v1)".into(),
        ),
        (Method::GET, "/nowhere", NO_PATH, "no such path: /nowhere (the API is below /api/v1)".into()),
        (Method::GET, "/%ff%fe", NO_PATH, "no such path: /%ff%fe (the API is below /api/v1)".into()),
    ];
    let bearer = format!("Bearer {KEY}");
    for (verb, path, kind, message) in rows {
        let got = gateway.send(verb.clone(), path, &[("authorization", &bearer)], body(json!({})).into()).await;
        assert_eq!((got.status, got.json()), (kind.0, refusal(kind, &message, "")), "{verb} {path}");
        if kind.0 == 405 {
            assert!(matches!(got.header("allow"), "GET" | "POST"), "{verb} {path}");
        }
        gateway.is_well(path).await;
    }
    let long = gateway.get(&format!("/api/v1/models?q={}", "x".repeat(5000))).await;
    assert_eq!((long.status, long.json()), (400, refusal(BAD, "the URL is longer than 4096 bytes", "")));
    for path in [
        "/v1/chat/completions",
        "/v1/v1/chat/completions",
        "/api/v1/chat/completions/",
        "/api/v1/chat/completions?beta=true",
    ] {
        assert_eq!(gateway.post_raw(path, body(json!({}))).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_body_too_large_or_compressed_is_refused_before_it_is_understood() {
    const MIB: usize = 1024 * 1024;
    let gateway = Gateway::start(HOUSE);
    let says = "the request body is larger than this gateway accepts: 32 MiB (limits.body)";
    let too_large = refusal((413, "payload_too_large", "request_too_large"), says, "");
    let big = vec![b'x'; 40 * MIB];
    let got = gateway.post_raw(CHAT, big.clone()).await;
    assert_eq!((got.status, got.json()), (413, too_large.clone()));
    let mut chunked = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        big.len()
    )
    .into_bytes();
    chunked.extend_from_slice(&big);
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let said = gateway.raw(&chunked).await;
    assert!(said.starts_with("HTTP/1.1 413 ") && said.ends_with(&too_large.to_string()), "{said}");
    gateway.is_well("40 MiB").await;

    let bearer = format!("Bearer {KEY}");
    let gzip = [("authorization", bearer.as_str()), ("content-encoding", "gzip")];
    let got = gateway.send(Method::POST, CHAT, &gzip, Bytes::from_static(b"\x1f\x8b\x08")).await;
    let says = "compressed request bodies are not accepted: send it without Content-Encoding";
    assert_eq!((got.status, got.json()), (415, refusal((415, "invalid_request", "unsupported_encoding"), says, "")));

    // A long prompt with a wrong key: the client writes all of it before it reads the answer.
    let wrong = [("authorization", "Bearer sk-somebody-elses")];
    let got = gateway.send(Method::POST, CHAT, &wrong, vec![b'x'; 8 * MIB].into()).await;
    assert_eq!((got.status, got.json()), (401, refusal(NO_KEY, "invalid API key", "")));
}

#[tokio::test]
async fn bytes_that_are_hardly_http_hurt_nobody() {
    let gateway = Gateway::start(HOUSE);
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let post = |headers: &str, body: &str| {
        format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n{headers}\r\n{body}")
    };
    let long = "y".repeat(1024 * 1024);
    let rows = [
        ("not HTTP", "hello\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), ""),
        ("200 headers", format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n"), "HTTP/1.1 431 "),
        ("a header of a megabyte", format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"), "HTTP/1.1 431 "),
        ("two lengths", post("content-length: 5\r\ncontent-length: 6\r\n", "hello"), "HTTP/1.1 400 "),
        ("a negative length", post("content-length: -5\r\n", "hello"), "HTTP/1.1 400 "),
        ("a chunk that is none", post("transfer-encoding: chunked\r\n", "zz\r\n"), "HTTP/1.1 400 "),
    ];
    for (what, bytes, begins) in rows {
        let said = gateway.raw(bytes.as_bytes()).await;
        assert!(said.starts_with(begins), "{what}: {said}");
        gateway.is_well(what).await;
    }
    // Nothing can be smuggled behind a chunked request: its connection ends with it.
    let inner = body(json!({}));
    let smuggled = post(
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        &format!("{:x}\r\n{inner}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", inner.len()),
    );
    let said = gateway.raw(smuggled.as_bytes()).await;
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
    gateway.is_well("smuggling").await;
}
