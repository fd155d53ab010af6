//! Nonsense from upstream, and the refusals of the other surfaces in their own words.

use super::{CHAT, HOUSE, body};
use crate::harness::{Gateway, provider};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Script, Scripted};

#[tokio::test]
async fn an_upstreams_nonsense_is_a_502_that_shows_none_of_it() {
    let page = "<!doctype html><html><head><title>Nothing here</title></head><body>secret page</body></html>";
    let upstream = |status: u16, raw: Value, message: &str| {
        let reason = if status == 504 { "upstream_timeout" } else { "upstream_failed" };
        let kind = if status == 504 { "timeout" } else { "provider_unavailable" };
        let mut metadata = json!({ "error_type": kind, "reason": reason, "provider_name": "lab" });
        if !raw.is_null() {
            metadata["raw"] = raw;
        }
        json!({ "error": { "code": status, "message": message, "metadata": metadata } })
    };
    let rows: Vec<(&str, bool, Script, u16, Value)> = vec![
        (
            "a page",
            false,
            Script::new(200, "text/html", page),
            502,
            upstream(502, Value::Null, "the provider answered something that is not JSON"),
        ),
        (
            "a page for a stream",
            true,
            Script::new(200, "text/html", page),
            502,
            upstream(502, Value::Null, "the provider answered with an HTML page where a stream was expected"),
        ),
        (
            "a page with 502",
            false,
            Script::new(502, "text/html", page),
            502,
            upstream(502, "Nothing here".into(), "the provider failed with status 502"),
        ),
        (
            "a redirect",
            false,
            Script::new(307, "text/plain", "").header("location", "http://169.254.169.254/"),
            502,
            upstream(
                502,
                Value::Null,
                "the provider answered with a redirect (307 Temporary Redirect), which is never followed",
            ),
        ),
        (
            "half of a document",
            false,
            Script::new(200, "application/json", "{\"choices\":["),
            502,
            upstream(502, Value::Null, "the provider answered something that is not JSON"),
        ),
        (
            "nothing",
            false,
            Script::new(200, "application/json", ""),
            502,
            upstream(502, Value::Null, "the provider answered something that is not JSON"),
        ),
    ];
    for (what, stream, script, status, want) in rows {
        let lab = Scripted::start().await.expect("a socket");
        lab.always(script);
        let gateway = Gateway::start(&provider("lab", Dialect::OpenAiChat, &lab.base_url(), &["lab/one"]));
        let got = gateway.post_raw(CHAT, body(json!({ "model": "lab/one", "stream": stream }))).await;
        assert_eq!((got.status, got.json()), (status, want), "{what}");
        assert_eq!(got.header("x-should-retry"), "false", "{what}");
        gateway.is_well(what).await;
    }
}

#[tokio::test]
async fn the_other_surfaces_refuse_in_their_own_words() {
    let gateway = Gateway::start(HOUSE);
    let anthropic = |kind: &str, code: &str, message: &str| json!({ "type": "error", "error": { "type": kind, "message": message, "error_type": code } });
    let user = json!([{ "role": "user", "content": "hi" }]);
    let rows: Vec<(&str, String, u16, Value)> = vec![
        (
            "not JSON",
            "hello".into(),
            400,
            anthropic(
                "invalid_request_error",
                "invalid_request",
                "not JSON: expected a value at line 1 column 1 (byte 0)",
            ),
        ),
        (
            "no messages",
            json!({ "model": "sim/one", "max_tokens": 5 }).to_string(),
            400,
            anthropic("invalid_request_error", "invalid_request", "messages: is required"),
        ),
        (
            "a model that is none",
            json!({ "model": "zzz", "max_tokens": 5, "messages": user }).to_string(),
            400,
            anthropic("invalid_request_error", "invalid_request", "model: `zzz` is not a valid model ID"),
        ),
        (
            "nobody",
            json!({ "model": "sim/one", "max_tokens": 5, "messages": user, "provider": { "only": ["zeta"] } })
                .to_string(),
            404,
            anthropic(
                "not_found_error",
                "not_found",
                "No endpoints found: no allowed providers are available for the selected model. one (sim/one): not in provider.only",
            ),
        ),
    ];
    for (what, sent, status, want) in rows {
        let got = gateway.post_raw("/v1/messages", sent).await;
        let mut said = got.json();
        if let Some(members) = said.as_object_mut() {
            members.remove("request_id");
        }
        assert_eq!((got.status, said), (status, want), "{what}");
    }
    let got = gateway.send(Method::POST, "/v1/messages", &[], Bytes::from_static(b"{}")).await;
    assert_eq!((got.status, got.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
    let got = gateway.post_raw("/v1/messages/nothing", "{}").await;
    assert_eq!((got.status, got.json()["type"].as_str()), (404, Some("error")), "{}", got.text());

    let google = |code: u16, status: &str, message: &str, reason: &str, param: Option<&str>| {
        let mut metadata = json!({});
        if let Some(param) = param {
            metadata["param"] = param.into();
        }
        json!({ "error": { "code": code, "message": message, "status": status, "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "slipswitch", "metadata": metadata,
        }] } })
    };
    let contents = json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] }).to_string();
    let rows = [
        (
            "sim%2Fone:generateContent",
            "hello".to_owned(),
            400,
            google(
                400,
                "INVALID_ARGUMENT",
                "not JSON: expected a value at line 1 column 1 (byte 0)",
                "BAD_REQUEST",
                None,
            ),
        ),
        (
            "sim%2Fone:generateContent",
            "{}".to_owned(),
            400,
            google(400, "INVALID_ARGUMENT", "contents: is required", "BAD_REQUEST", Some("contents")),
        ),
        (
            "sim%2Fone:dance",
            contents.clone(),
            404,
            google(
                404,
                "NOT_FOUND",
                "no such method: sim/one:dance (generateContent, streamGenerateContent, countTokens, embedContent and batchEmbedContents are answered)",
                "NOT_FOUND",
                None,
            ),
        ),
        (
            "zzz:generateContent",
            contents.clone(),
            400,
            google(400, "INVALID_ARGUMENT", "`zzz` is not a valid model ID", "MODEL_NOT_FOUND", Some("model")),
        ),
    ];
    for (target, sent, status, want) in rows {
        let got = gateway.post_raw(&format!("/v1beta/models/{target}"), sent).await;
        let mut said = got.json();
        if let Some(metadata) = said["error"]["details"][0]["metadata"].as_object_mut()
            && let Some(id) = metadata.remove("generation_id")
        {
            assert_eq!(id, got.header("x-generation-id"), "{target}");
        }
        assert_eq!((got.status, said), (status, want), "{target}");
    }
    let got = gateway.send(Method::POST, "/v1beta/models/x:generateContent", &[], Bytes::new()).await;
    assert_eq!((got.status, got.json()["error"]["status"].as_str()), (401, Some("UNAUTHENTICATED")));
    for path in ["/v1beta/models/sim%2Fone:generateContent", "/v1beta/models/sim/one:generateContent"] {
        let got = gateway.post_raw(path, contents.clone()).await;
        assert_eq!(got.json()["candidates"][0]["content"]["parts"][0]["text"], "echo: hi", "{path}: {}", got.text());
    }
}
