//! The big clouds: their addresses, and credentials that are fetched, renewed, and signed with. Issuers and providers are scripted.

mod aws;

use crate::harness::{Gateway, scratch};
use serde_json::{Value, json};
use slip_sim::{Entry, Script, Scripted};
use std::time::Duration;

const SECRET: &str = "the-client-secret-b1946ac9";

fn chat_reply() -> Script {
    let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "hello" }, "finish_reason": "stop" });
    let usage = json!({ "prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4 });
    Script::json(
        200,
        &json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage }),
    )
}

pub fn messages_reply() -> Script {
    let usage = json!({ "input_tokens": 3, "output_tokens": 1 });
    let content = json!([{ "type": "text", "text": "hello" }]);
    Script::json(
        200,
        &json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "end_turn",
                 "stop_sequence": null, "usage": usage }),
    )
}

fn gemini_reply() -> Script {
    let candidate =
        json!({ "content": { "role": "model", "parts": [{ "text": "hello" }] }, "finishReason": "STOP", "index": 0 });
    let usage = json!({ "promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4 });
    Script::json(200, &json!({ "candidates": [candidate], "usageMetadata": usage, "modelVersion": "m" }))
}

fn token(token: &str, seconds: u64) -> Script {
    Script::json(200, &json!({ "token_type": "Bearer", "access_token": token, "expires_in": seconds }))
}

pub fn ask(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 64, "messages": [{ "role": "user", "content": "hi" }] })
}

/// The last request, with its path and the credential it carried.
fn last(upstream: &Scripted) -> Entry {
    upstream.journal().entries().pop().expect("a request")
}

#[tokio::test]
async fn azure_is_called_by_the_name_of_the_deployment_in_either_api() {
    let resource = Scripted::start().await.unwrap();
    resource.always(chat_reply());
    let endpoint = resource.base_url();
    let rows = [
        ("", "/openai/v1/chat/completions"),
        ("api_version = \"preview\"", "/openai/v1/chat/completions?api-version=preview"),
        ("api_version = \"2024-10-21\"", "/openai/deployments/prod%3A4o/chat/completions?api-version=2024-10-21"),
    ];
    for (version, path) in rows {
        let config = format!(
            "[providers.azure]\nendpoint = \"{endpoint}\"\nkey = \"azure-key-1\"\n{version}\ndeployments = {{ \"openai/gpt-4o\" = \"prod:4o\" }}\n"
        );
        let gateway = Gateway::start(&config);
        let got = gateway.chat(&ask("openai/gpt-4o")).await;
        assert_eq!((got.status, got.content().as_str()), (200, "hello"), "{}", got.text());
        let sent = last(&resource);
        assert_eq!(sent.path, path);
        assert_eq!(sent.header("api-key"), Some("azure-key-1"));
        assert_eq!(sent.header("authorization"), None);
        assert_eq!(sent.json()["model"], "prod:4o");
        assert_eq!(sent.json()["max_completion_tokens"], 64, "{}", sent.json());
    }
}

#[tokio::test]
async fn a_prompt_that_azure_filters_is_told_as_moderated() {
    let resource = Scripted::start().await.unwrap();
    let filtered = json!({ "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": null, "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": { "code": "ResponsibleAIPolicyViolation", "content_filter_result": { "hate": { "filtered": true } } },
    }});
    resource.always(Script::json(400, &filtered));
    let config = format!(
        "[providers.azure]\nendpoint = \"{}\"\nkey = \"k\"\nmodels = [\"openai/gpt-4o\"]\n",
        resource.base_url()
    );
    let got = Gateway::start(&config).chat(&ask("openai/gpt-4o")).await;
    assert_eq!(got.status, 403, "{}", got.text());
    assert_eq!(got.error()["metadata"]["error_type"], "content_policy_violation", "{}", got.text());
}

/// An Azure resource whose tokens come from `issuer`.
fn entra(issuer: &Scripted, resource: &Scripted) -> String {
    format!(
        "[providers.azure]\nendpoint = \"{}\"\nmodels = [\"openai/gpt-4o\"]\n[providers.azure.entra]\nauthority = \"{}\"\n\
         tenant = \"t\"\nclient_id = \"app\"\nclient_secret = \"{SECRET}\"\n",
        resource.base_url(),
        issuer.base_url()
    )
}

#[tokio::test]
async fn one_token_of_entra_serves_everybody_and_outlives_a_reload() {
    let (issuer, resource) = (Scripted::start().await.unwrap(), Scripted::start().await.unwrap());
    issuer.always(token("entra-token-1", 3600).slow(Duration::from_millis(300)));
    resource.always(chat_reply());
    let config = entra(&issuer, &resource);
    let gateway = Gateway::try_start(&config, &[("SLIPSWITCH_LOG", "trace")]).unwrap();
    let body = ask("openai/gpt-4o");
    let many = futures(20, || gateway.chat(&body)).await;
    assert!(many.iter().all(|got| got.status == 200), "{}", many[0].text());
    assert_eq!(issuer.journal().entries().len(), 1);
    assert_eq!(last(&resource).header("authorization"), Some("Bearer entra-token-1"));
    std::fs::write(&gateway.config, format!("{config}\n[limits]\nmax_concurrent = 99\n")).unwrap();
    gateway.says("Reloaded").await;
    assert_eq!(gateway.chat(&body).await.status, 200);
    assert_eq!(issuer.journal().entries().len(), 1, "what was known is known still");
    let said = gateway.said();
    for secret in [SECRET, "entra-token-1"] {
        assert!(!said.contains(secret), "the log shows {secret}");
    }
}

/// So many of the same at once.
async fn futures<T, F: Future<Output = T>>(count: usize, make: impl Fn() -> F) -> Vec<T> {
    let mut running: Vec<_> = (0..count).map(|_| Box::pin(make())).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|cx| {
        running.retain_mut(|one| match one.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn an_issuer_that_refuses_is_a_502_that_says_what_to_do() {
    let (issuer, resource) = (Scripted::start().await.unwrap(), Scripted::start().await.unwrap());
    let echo = json!({ "error": "invalid_client", "error_description": format!("provided: {SECRET}"), "error_codes": [7000215] });
    issuer.always(Script::json(401, &echo));
    let config = entra(&issuer, &resource);
    let gateway = Gateway::try_start(&config, &[("SLIPSWITCH_LOG", "trace")]).unwrap();
    let got = gateway.chat(&ask("openai/gpt-4o")).await;
    assert_eq!(got.status, 502, "{}", got.text());
    let says = got.error()["message"].as_str().unwrap().to_owned();
    assert!(says.contains("Azure") && says.contains("AADSTS7000215") && says.contains("`client_secret`"), "{says}");
    assert_eq!(got.error()["metadata"]["reason"], "upstream_auth_failed", "{}", got.text());
    assert!(resource.journal().entries().is_empty(), "nothing was sent without a credential");
    assert!(!got.text().contains(SECRET) && !gateway.said().contains(SECRET));
    assert!(gateway.said().contains("no credential for Azure"), "{}", gateway.said());
}

#[tokio::test]
async fn vertex_speaks_the_dialect_of_each_author() {
    let (issuer, vertex) = (Scripted::start().await.unwrap(), Scripted::start().await.unwrap());
    issuer.always(token("ya29.token-1", 3600));
    let dir = scratch();
    let file = dir.join("account.json");
    let key = include_str!("../../../slip-server/tests/service-account.pem");
    let account = json!({
        "type": "service_account", "client_email": "a@p.iam.gserviceaccount.com", "private_key": key,
        "token_uri": format!("{}/token", issuer.base_url()),
    });
    std::fs::write(&file, account.to_string()).unwrap();
    let config = format!(
        "[providers.google-vertex]\nproject = \"p\"\nlocation = \"us-east5\"\nendpoint = \"{}\"\n",
        vertex.base_url()
    );
    let env = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap()), ("SLIPSWITCH_LOG", "trace")];
    let gateway = Gateway::try_start(&config, &env).unwrap();
    let place = "/v1/projects/p/locations/us-east5";
    let rows = [
        (
            "gemini-2.5-flash",
            gemini_reply(),
            format!("{place}/publishers/google/models/gemini-2.5-flash:generateContent"),
        ),
        (
            "claude-sonnet-4-5@20250929",
            messages_reply(),
            format!("{place}/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict"),
        ),
        ("openai/gpt-oss-120b-maas", chat_reply(), format!("{place}/endpoints/openapi/chat/completions")),
    ];
    for (model, reply, path) in rows {
        vertex.always(reply);
        let got = gateway.chat(&ask(&format!("google-vertex/{model}"))).await;
        assert_eq!((got.status, got.content().as_str()), (200, "hello"), "{model}: {}", got.text());
        let sent = last(&vertex);
        assert_eq!(sent.path, path);
        assert_eq!(sent.header("authorization"), Some("Bearer ya29.token-1"));
        let body = sent.json();
        let claude = model.starts_with("claude");
        assert_eq!(body["anthropic_version"].as_str(), claude.then_some("vertex-2023-10-16"), "{body}");
        assert_eq!(body["model"].as_str(), (model.starts_with("openai")).then_some(model), "{body}");
    }
    // The same in a caller's own dialect, as a stream.
    let events = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    let data = [
        json!({ "type": "message_start", "message": { "id": "m", "type": "message", "role": "assistant", "model": "x", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": { "input_tokens": 3, "output_tokens": 1 } } }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "hello" } }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null }, "usage": { "output_tokens": 1 } }),
        json!({ "type": "message_stop" }),
    ];
    vertex.always(Script::stream(
        events.iter().zip(&data).map(|(event, data)| format!("event: {event}\ndata: {data}\n\n")),
    ));
    let mut body = ask("google-vertex/claude-sonnet-4-5@20250929");
    body["stream"] = true.into();
    let got = gateway.post("/api/v1/messages", &body).await;
    assert!(got.status == 200 && got.text().contains("text_delta"), "{}", got.text());
    let sent = last(&vertex);
    assert_eq!(sent.path, format!("{place}/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict"));
    assert_eq!((&sent.json()["stream"], &sent.json()["model"]), (&json!(true), &Value::Null));
    assert_eq!(issuer.journal().entries().len(), 1);
    let said = gateway.said();
    assert!(!said.contains("ya29.token-1") && !said.contains("PRIVATE KEY"), "{said}");
    let _ = std::fs::remove_dir_all(dir);
}

#[tokio::test]
async fn a_key_of_vertex_travels_alone() {
    let vertex = Scripted::start().await.unwrap();
    vertex.always(gemini_reply());
    let config = format!(
        "[providers.google-vertex]\nproject = \"p\"\nkey = \"vertex-key\"\nendpoint = \"{}\"\n",
        vertex.base_url()
    );
    let got = Gateway::start(&config).chat(&ask("google-vertex/gemini-2.5-flash")).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let sent = last(&vertex);
    assert_eq!((sent.header("x-goog-api-key"), sent.header("authorization")), (Some("vertex-key"), None));
    assert!(sent.path.starts_with("/v1/projects/p/locations/global/publishers/google/"), "{}", sent.path);
}

#[tokio::test]
async fn foundry_serves_claude_beside_the_others() {
    let resource = Scripted::start().await.unwrap();
    let config = format!("[providers.azure-foundry]\nendpoint = \"{}\"\nkey = \"k\"\n", resource.base_url());
    let gateway = Gateway::start(&config);
    resource.always(chat_reply());
    let got = gateway.chat(&ask("azure-foundry/DeepSeek-V3")).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(last(&resource).path, "/models/chat/completions?api-version=2024-05-01-preview");
    resource.always(messages_reply());
    let got = gateway.chat(&ask("azure-foundry/claude-opus-4-6")).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let sent = last(&resource);
    assert_eq!((sent.path.as_str(), sent.header("anthropic-version")), ("/anthropic/v1/messages", Some("2023-06-01")));
    assert_eq!(sent.json()["model"], "claude-opus-4-6");
}

#[tokio::test]
async fn credentials_that_are_there_for_other_reasons_are_told_of_and_not_used() {
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        ("AZURE_API_KEY", SECRET),
        ("GITHUB_TOKEN", SECRET),
    ];
    let gateway = Gateway::try_start("", &env).unwrap();
    let said = gateway.says("Ready in").await;
    assert!(said.contains("Not used AWS_ACCESS_KEY_ID (amazon-bedrock): add [providers.amazon-bedrock]"), "{said}");
    assert!(
        said.contains("Not used AZURE_API_KEY (azure): set AZURE_RESOURCE_NAME too, or add [providers.azure]"),
        "{said}"
    );
    assert!(!said.contains(SECRET) && said.contains("No provider yet"), "{said}");
}
