//! `slipswitch providers`: who is there, whether they answer, and what an unknown server is.

use crate::harness::{Gateway, Said, run, scratch};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

/// A server that answers these paths with these documents, and everything else with 404. It lives as long as the tests.
fn shop(rows: Vec<(&'static str, Value)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let (mut first, mut length) = (String::new(), 0);
            let _ = reader.read_line(&mut first);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
                    break;
                }
                if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap_or(0);
                }
            }
            let _ = reader.read_exact(&mut vec![0; length]);
            let path = first.split(' ').nth(1).unwrap_or_default();
            let found = rows.iter().find(|(known, _)| *known == path);
            let (status, body) =
                found.map_or(("404 Not Found", json!({ "detail": "Not Found" })), |(_, body)| ("200 OK", body.clone()));
            let body = body.to_string();
            let mut stream = stream;
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    format!("http://{address}")
}

/// Run the binary beside a runtime that has servers on it.
async fn beside(args: Vec<String>) -> Said {
    let task = tokio::task::spawn_blocking(move || run(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[]));
    task.await.expect("it ran")
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|t| (*t).to_owned()).collect()
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err))
}

#[test]
fn providers_are_listed_with_what_switches_them_on() {
    let said = run(&["providers", "list", "--json"], &[("GROQ_API_KEY", "gsk_something")]);
    let all = json(&said);
    let find =
        |slug: &str| all.as_array().expect("a list").iter().find(|p| p["slug"] == slug).cloned().unwrap_or_default();
    assert_eq!(all[0]["slug"], "groq");
    assert_eq!((&find("groq")["configured"], &find("groq")["how"]), (&json!(true), &json!("the environment: a key")));
    assert_eq!((&find("openai")["configured"], &find("openai")["wants"]), (&json!(false), &json!("OPENAI_API_KEY")));
    assert!(!said.out.contains("gsk_something"));
    let said = run(&["providers", "list"], &[]);
    assert!(said.out.contains("anthropic") && said.out.contains("ANTHROPIC_API_KEY"), "{}", said.out);
}

#[test]
fn each_provider_is_asked_once_with_each_key_and_told_apart() {
    let file = scratch().join("test.toml");
    let sim = |name: &str, fault: &str| {
        format!(
            "[providers.{name}]\nkind = \"simulated\"\ndialect = \"openai-chat\"\nmodels = [\"{name}/m\"]\n{fault}\n\n"
        )
    };
    let text = [
        sim("fine", "keys = [{ key = \"sk-one-0123456789abcdef\" }, { key = \"sk-two-0123456789abcdef\" }]"),
        sim("locked", "fault = { mode = \"auth\" }"),
        sim("poor", "fault = { mode = \"quota\" }"),
        "[providers.gone]\ndialect = \"anthropic\"\nbase_url = \"http://127.0.0.1:9\"\nkey = \"none\"\nmodels = [\"gone/m\"]\n".to_owned(),
    ]
    .concat();
    std::fs::write(&file, text).expect("written");
    let file = file.display().to_string();
    let said = run(&["providers", "test", "-c", &file, "--no-probe", "--json", "--timeout", "5"], &[]);
    assert_eq!(said.code, Some(1), "{}", said.err);
    let told = json(&said);
    let rows: Vec<(&str, bool, &str)> = told
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| (v["provider"].as_str().unwrap_or(""), v["ok"] == true, v["reason"].as_str().unwrap_or("")))
        .collect();
    assert_eq!(
        rows,
        [
            ("fine", true, ""),
            ("fine", true, ""),
            ("gone", false, "upstream_failed"),
            ("locked", false, "upstream_auth_failed"),
            ("poor", false, "upstream_quota_exhausted"),
        ],
        "{told:#}"
    );
    assert!(told[0]["ms"].is_u64() && told[0]["model"] == "fine/m" && told[0]["key"] == "sk-…cdef", "{told:#}");
    assert!(told[3]["advice"].as_str().is_some_and(|a| a.contains("providers.locked.key")), "{told:#}");
    let said = run(&["providers", "test", "fine", "-c", &file, "--no-probe"], &[]);
    assert_eq!((said.code, said.out.lines().count()), (Some(0), 2), "{} {}", said.out, said.err);
    assert!(said.out.contains(" ok ") && !said.out.contains("0123456789abcdef"), "{}", said.out);
    let said = run(&["providers", "test", "nobody", "-c", &file, "--no-probe"], &[]);
    assert_eq!(said.code, Some(3), "{}", said.err);
}

#[tokio::test]
async fn an_unknown_server_is_looked_at_and_written_down() {
    let config = SimConfig { models: vec!["qwen-x".into()], ..SimConfig::default() };
    let sim = Sim::start(SimConfig { dialect: Dialect::OpenAiChat, ..config }).await.expect("starts");
    for url in [sim.base_url(), format!("http://{}/", sim.addr()), sim.addr().to_string()] {
        let said = beside(words(&["providers", "discover", &url, "--json", "--name", "lab"])).await;
        assert_eq!(said.code, Some(0), "{}", said.err);
        let told = json(&said);
        assert_eq!(told["base_url"], sim.base_url().as_str(), "{told:#}");
        for door in ["chat", "stream", "tools", "structured", "embeddings"] {
            assert_eq!(told["endpoints"][door]["answers"], true, "{door}: {told:#}");
        }
        assert_eq!(told["endpoints"]["stream"]["note"], "with usage", "{told:#}");
        assert_eq!(told["endpoints"]["messages"]["answers"], false, "{told:#}");
        let toml = told["toml"].as_str().expect("text");
        assert!(toml.starts_with("[providers.lab]\ndialect = \"openai-chat\"\n"), "{toml}");
        assert!(toml.contains("{ id = \"lab/qwen-x\", upstream = \"qwen-x\""), "{toml}");
        // And that is a configuration which works.
        let file = scratch().join("found.toml");
        std::fs::write(&file, toml).expect("written");
        let said = beside(words(&["providers", "test", "-c", &file.display().to_string(), "--no-probe"])).await;
        assert_eq!(said.code, Some(0), "{} {}", said.out, said.err);
    }
}

#[tokio::test]
async fn the_programs_people_run_are_recognised() {
    let list = |owner: &str, more: Value| {
        let mut model = json!({ "id": "m", "object": "model", "owned_by": owner });
        model.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        json!({ "object": "list", "data": [model] })
    };
    type Row = (&'static str, u64, Vec<(&'static str, Value)>);
    let rows: Vec<Row> = vec![
        (
            "vllm",
            8192,
            vec![
                ("/v1/models", list("vllm", json!({ "max_model_len": 8192 }))),
                ("/version", json!({ "version": "0.11" })),
            ],
        ),
        (
            "llamacpp",
            4096,
            vec![
                ("/v1/models", list("llamacpp", json!({ "meta": { "n_ctx_train": 131_072 } }))),
                ("/props", json!({ "default_generation_settings": { "n_ctx": 4096 } })),
            ],
        ),
        (
            "lmstudio",
            2048,
            vec![
                ("/v1/models", list("organization_owner", json!({}))),
                (
                    "/api/v0/models",
                    json!({ "data": [{ "id": "m", "type": "llm", "max_context_length": 9000, "loaded_context_length": 2048 }] }),
                ),
            ],
        ),
        (
            "ollama",
            32768,
            vec![
                ("/v1/models", list("library", json!({}))),
                ("/api/version", json!({ "version": "0.12.0" })),
                ("/api/tags", json!({ "models": [{ "name": "m", "model": "m" }] })),
                (
                    "/api/show",
                    json!({ "model_info": { "qwen3.context_length": 32768 }, "capabilities": ["completion", "tools"] }),
                ),
            ],
        ),
        (
            "tgi",
            3000,
            vec![
                ("/v1/models", list("m", json!({}))),
                ("/info", json!({ "model_id": "m", "max_total_tokens": 3000, "version": "3.0" })),
            ],
        ),
        (
            "sglang",
            7000,
            vec![
                ("/v1/models", list("sglang", json!({ "max_model_len": 7000 }))),
                ("/get_server_info", json!({ "model_path": "m", "version": "0.5" })),
            ],
        ),
    ];
    for (kind, context, paths) in rows {
        let url = shop(paths);
        let said = beside(words(&["providers", "discover", &url, "--json"])).await;
        assert_eq!(said.code, Some(0), "{kind}: {}", said.err);
        let told = json(&said);
        assert_eq!((&told["kind"], &told["models"][0]["context"]), (&json!(kind), &json!(context)), "{told:#}");
        assert_eq!(told["endpoints"]["chat"]["answers"], false, "{told:#}");
    }
    let said = beside(words(&["providers", "discover", "http://127.0.0.1:9"])).await;
    assert!(said.code == Some(69) && said.err.contains("nobody answers"), "{}", said.err);
}

#[tokio::test]
async fn a_server_that_is_asked_whether_it_is_well_rests_before_a_request_finds_out() {
    let sims = [
        Sim::start(SimConfig::default()).await.expect("starts"),
        Sim::start(SimConfig::default()).await.expect("starts"),
    ];
    let away = sims[1].addr();
    let config = format!(
        "[providers.pool]\ndialect = \"openai-chat\"\nbase_urls = [\"http://{}/v1\", \"http://{away}/v1\"]\nkey = \"none\"\n\
         models = [\"pool/m\"]\nprobe = \"1s\"\n",
        sims[0].addr(),
    );
    let gateway = Gateway::start(&config);
    let ask = json!({ "model": "pool/m", "messages": [{ "role": "user", "content": "hi" }] });
    sims[1].stop();
    gateway.says("is not well and rests").await;
    for _ in 0..12 {
        let got = gateway.chat(&ask).await;
        let attempts = gateway.record(&got).await["provider_responses"].as_array().map_or(0, Vec::len);
        assert_eq!((got.status, attempts), (200, 1), "{}", got.text());
    }
    let back = Sim::start(SimConfig { listen: away, ..SimConfig::default() }).await.expect("starts");
    gateway.says("answers again").await;
    for _ in 0..60 {
        assert_eq!(gateway.chat(&ask).await.status, 200);
        if back.journal().entries().iter().any(|e| e.method == "POST") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("nobody came back to it");
}
