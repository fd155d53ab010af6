//! The small routes: what a browser asks first, what a probe reads, what a cost tracker adds up.

use super::{EACH, HOUSE, ask, with};
use crate::harness::{Gateway, KEY, MANAGEMENT};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_browser_may_call_from_any_page_with_its_own_key() {
    let gateway = Gateway::start(HOUSE);
    let asks = [
        ("origin", "https://app.test"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-stainless-os,http-referer"),
    ];
    let got = gateway.send(Method::OPTIONS, "/api/v1/chat/completions", &asks, Bytes::new()).await;
    assert_eq!((got.status, got.text().as_str(), got.header("access-control-allow-origin")), (204, "", "*"));
    assert_eq!(got.header("access-control-allow-methods"), "GET, POST, OPTIONS");
    let allowed = got.header("access-control-allow-headers").to_lowercase();
    for name in
        ["authorization", "content-type", "http-referer", "x-title", "x-api-key", "anthropic-version", "x-stainless-os"]
    {
        assert!(allowed.split(", ").any(|h| h == name), "{name} in {allowed}");
    }
    assert_eq!(got.header("access-control-allow-credentials"), "", "no cookies are ever meant");
    let answer = gateway.chat(&ask("sim/openai", true)).await;
    let headers = ["content-type", "cache-control", "access-control-allow-origin", "x-provider-name"];
    assert_eq!(headers.map(|h| answer.header(h)), ["text/event-stream", "no-cache", "*", "The First"]);
    let refused = gateway.send(Method::POST, "/api/v1/chat/completions", &[], Bytes::new()).await;
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, "*"),
        "a page may read a refusal too"
    );
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let gateway = Gateway::start(HOUSE);
    for path in ["/", "/healthz", "/api/v1/models"] {
        let get = gateway.send(Method::GET, path, &[], Bytes::new()).await;
        let head = gateway.send(Method::HEAD, path, &[], Bytes::new()).await;
        assert_eq!((head.status, head.text().as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
}

#[tokio::test]
async fn probes_need_no_key_and_metrics_none_from_this_machine() {
    let gateway = Gateway::start(HOUSE);
    gateway.chat(&ask("sim/openai", false)).await;
    let get = |path: &'static str| gateway.send(Method::GET, path, &[], Bytes::new());
    for path in ["/healthz", "/livez"] {
        assert_eq!(get(path).await.json(), json!({ "status": "ok" }));
    }
    let ready = get("/readyz").await;
    let want = json!({ "status": "ready", "draining": false, "endpoints": 6, "ledger": "ok" });
    assert_eq!((ready.status, ready.json()), (200, want));
    assert_eq!(get("/version").await.json(), json!({ "name": "slipswitch", "version": env!("CARGO_PKG_VERSION") }));
    // Records are counted as they are written, some fifty milliseconds after the answer.
    let counted = "slipswitch_requests_total{provider=\"one\",model=\"sim/openai\",status=\"200\"} 1";
    let mut metrics = get("/metrics").await;
    for _ in 0..40 {
        if metrics.text().contains(counted) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        metrics = get("/metrics").await;
    }
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = metrics.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in [
        "slipswitch_requests_total{provider=\"one\",model=\"sim/openai\",status=\"200\"} 1",
        "slipswitch_attempts_total{provider=\"The First\",fault=\"\"} 1",
        "slipswitch_inflight 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in {text}");
    }
    assert!(!text.contains(KEY) && !text.contains("hello out there"), "never a key, never a prompt");
    for (key, status) in [(KEY, 403), (MANAGEMENT, 200)] {
        let bearer = format!("Bearer {key}");
        let got = gateway.send(Method::GET, "/metrics", &[("authorization", &bearer)], Bytes::new()).await;
        assert_eq!(got.status, status);
    }
}

#[tokio::test]
async fn a_gateway_without_providers_is_alive_but_not_ready() {
    let gateway = Gateway::start("probe = false\n");
    gateway.is_well("starting without providers").await;
    let ready = gateway.send(Method::GET, "/readyz", &[], Bytes::new()).await;
    assert_eq!((ready.status, &ready.json()["endpoints"]), (503, &json!(0)));
}

#[tokio::test]
async fn the_endpoints_of_a_model_and_the_providers_are_listed_with_openrouters_members() {
    let gateway = Gateway::start(HOUSE);
    let listed = gateway.get("/api/v1/models/anthropic/claude-sonnet-4.5/endpoints").await.json()["data"].clone();
    assert_eq!(keys(&listed), ["architecture", "created", "description", "endpoints", "id", "name"]);
    let endpoint = &listed["endpoints"][0];
    for key in ["name", "model_id", "model_name", "provider_name", "tag", "quantization"] {
        assert!(endpoint[key].is_string(), "{key} in {endpoint}");
    }
    for key in [
        "context_length",
        "max_completion_tokens",
        "max_prompt_tokens",
        "uptime_last_30m",
        "latency_last_30m",
        "throughput_last_30m",
    ] {
        assert!(keys(endpoint).contains(&key), "{key} in {endpoint}");
    }
    assert_eq!((&endpoint["status"], &endpoint["pricing"]["prompt"]), (&json!(0), &json!("0.000003")));
    assert_eq!(gateway.get("/api/v1/models/anthropic/claude-sonnet-4.5%3Anitro/endpoints").await.status, 200);
    assert_eq!(gateway.get("/api/v1/models/nobody/nothing/endpoints").await.status, 404);

    let providers = gateway.get("/api/v1/providers").await.json()["data"].clone();
    let slugs: Vec<&str> = providers.as_array().expect("data").iter().filter_map(|p| p["slug"].as_str()).collect();
    assert_eq!(slugs, ["breaking", "one", "slow", "three", "two"]);
    let members = [
        "datacenters",
        "headquarters",
        "name",
        "privacy_policy_url",
        "slug",
        "status_page_url",
        "terms_of_service_url",
    ];
    assert_eq!(keys(&providers[0]), members);
    assert_eq!(gateway.get("/api/v1/models/count").await.json(), json!({ "data": { "count": 6 } }));
    assert_eq!(gateway.get("/api/v1/models/user").await.json()["total_count"], 6);
    assert_eq!(gateway.get("/api/v1/endpoints/zdr").await.json(), json!({ "data": [] }));
    // The catalogue is public, but a wrong key is still wrong.
    let open = gateway.send(Method::GET, "/api/v1/models", &[], Bytes::new()).await;
    let wrong =
        gateway.send(Method::GET, "/api/v1/models", &[("authorization", "Bearer sk-no-such")], Bytes::new()).await;
    assert_eq!((open.status, wrong.status), (200, 401));
}

#[tokio::test]
async fn a_key_tells_about_itself_and_what_it_spent() {
    let gateway = Gateway::start(HOUSE);
    let spent = gateway.chat(&ask("sim/openai", false)).await.usage()["cost"].as_f64();
    for path in ["/api/v1/key", "/api/v1/auth/key"] {
        let data = gateway.get(path).await.json()["data"].clone();
        for key in [
            "label",
            "limit",
            "limit_remaining",
            "limit_reset",
            "include_byok_in_limit",
            "usage",
            "usage_daily",
            "usage_weekly",
            "usage_monthly",
            "byok_usage",
            "byok_usage_daily",
            "byok_usage_weekly",
            "byok_usage_monthly",
            "is_free_tier",
            "is_management_key",
            "is_provisioning_key",
            "creator_user_id",
            "rate_limit",
        ] {
            assert!(keys(&data).contains(&key), "{key} in {data}");
        }
        assert_eq!((data["usage"].as_f64(), data["usage_daily"].as_f64()), (spent, spent), "{data}");
        assert_eq!((&data["is_management_key"], &data["rate_limit"]["requests"]), (&json!(false), &json!(-1)));
        assert!(!data.to_string().contains(KEY));
    }
    let bearer = format!("Bearer {MANAGEMENT}");
    let own = gateway.send(Method::GET, "/api/v1/key", &[("authorization", &bearer)], Bytes::new()).await;
    assert_eq!(own.json()["data"]["is_management_key"], true);
}

#[tokio::test]
async fn a_generation_is_told_whole_to_its_key_and_to_nobody_else() {
    let gateway = Gateway::start(HOUSE);
    let bearer = format!("Bearer {KEY}");
    for model in EACH {
        for stream in [false, true] {
            let body = with(ask(model, stream), json!({ "user": "u-1", "session_id": "s-1" }));
            let headers = [
                ("authorization", bearer.as_str()),
                ("http-referer", "https://app.test"),
                ("x-title", "App"),
                ("user-agent", "t/1"),
            ];
            let got = gateway.send(Method::POST, "/api/v1/chat/completions", &headers, body.to_string().into()).await;
            let (usage, record) = (got.usage(), gateway.record(&got).await);
            let mut want = vec![
                "api_type",
                "app_id",
                "cache_discount",
                "cancelled",
                "created_at",
                "data_region",
                "external_user",
                "finish_reason",
                "generation_time",
                "http_referer",
                "id",
                "is_byok",
                "latency",
                "model",
                "moderation_latency",
                "native_finish_reason",
                "native_tokens_cached",
                "native_tokens_completion",
                "native_tokens_completion_images",
                "native_tokens_prompt",
                "native_tokens_reasoning",
                "num_fetches",
                "num_input_audio_prompt",
                "num_media_completion",
                "num_media_prompt",
                "num_search_results",
                "origin",
                "preset_id",
                "provider_name",
                "provider_responses",
                "request_id",
                "response_cache_source_id",
                "router",
                "service_tier",
                "session_id",
                "slipswitch",
                "streamed",
                "tokens_completion",
                "tokens_prompt",
                "total_cost",
                "upstream_id",
                "upstream_inference_cost",
                "usage",
                "user_agent",
                "web_search_engine",
                "workspace_id",
            ];
            want.sort_unstable();
            assert_eq!(keys(&record), want, "{model}");
            assert_eq!(
                (&record["id"], &record["model"], &record["streamed"]),
                (&json!(got.header("x-generation-id")), &json!(model), &json!(stream))
            );
            assert_eq!((&record["total_cost"], &record["usage"]), (&usage["cost"], &usage["cost"]), "{model}");
            assert_eq!(
                (&record["tokens_prompt"], &record["tokens_completion"]),
                (&usage["prompt_tokens"], &usage["completion_tokens"])
            );
            assert_eq!((&record["cancelled"], &record["finish_reason"]), (&json!(false), &json!("stop")));
            assert_eq!((&record["external_user"], &record["session_id"]), (&json!("u-1"), &json!("s-1")));
            assert_eq!((&record["http_referer"], &record["user_agent"]), (&json!("https://app.test"), &json!("t/1")));
            assert_eq!(record["slipswitch"]["app_title"], "App");
            let tries = record["provider_responses"].as_array().expect("attempts");
            assert_eq!(
                (tries.len(), &tries[0]["status"], &tries[0]["error"]),
                (1, &json!(200), &Value::Null),
                "{model}"
            );
            assert!(record["latency"].is_u64() && record["created_at"].is_string(), "{record}");
            assert!(!record.to_string().contains("hello out there"), "never a prompt");

            let path = format!("/api/v1/generation?id={}", got.header("x-generation-id"));
            let management = format!("Bearer {MANAGEMENT}");
            let seen = gateway.send(Method::GET, &path, &[("authorization", &management)], Bytes::new()).await;
            assert_eq!(seen.status, 200, "who manages may look");
            assert_eq!(gateway.send(Method::GET, &path, &[], Bytes::new()).await.status, 401);
        }
    }
    for id in ["gen-1795300315-aaaaaaaaaaaaaaaaaaaa", "nonsense", "gen-%2e%2e%2f", "gen-1'%20OR%201=1"] {
        let got = gateway.get(&format!("/api/v1/generation?id={id}")).await;
        assert_eq!((got.status, &got.error()["metadata"]["reason"]), (404, &json!("not_found")), "{id}");
    }
    let none = gateway.get("/api/v1/generation").await;
    assert_eq!((none.status, &none.error()["metadata"]["param"]), (400, &json!("id")));
}
