//! What models do besides talking is answered again as well.

use super::*;

const SPEECH: &str = "/api/v1/audio/speech";
const HEAR: &str = "/api/v1/audio/transcriptions";

/// Whatever one does, it costs something.
fn lab(sim: &Sim) -> String {
    format!(
        "{ON}[providers.lab]\ndialect = \"openai-chat\"\nbase_url = \"{}\"\nkey = \"k\"\nmodels = [\"lab/one\"]\n\
         price = {{ input = \"2\", output = \"8\", characters = \"15\", second = \"0.0001\", image = \"0.04\", search = \"0.002\" }}\n",
        sim.base_url()
    )
}

/// The same but for who it is, when it was said and what it cost.
fn bare(got: &Got) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for name in ["id", "created", "cost", "cost_details"] {
                    members.remove(name);
                }
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    if let Ok(mut value) = serde_json::from_slice::<Value>(&got.body) {
        strip(&mut value);
        return value.to_string();
    }
    let Ok(text) = std::str::from_utf8(&got.body) else { return format!("{:?}", got.body) };
    let lines = text.lines().map(|line| match line.strip_prefix("data:").map(serde_json::from_str::<Value>) {
        Some(Ok(mut value)) => {
            strip(&mut value);
            value.to_string()
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

async fn twice(gateway: &Gateway, sim: &Sim, why: &str, first: Got, second: Got, before: u64) {
    assert_eq!((first.status, second.status), (200, 200), "{why}: {}", first.text());
    assert_eq!((status(&first), status(&second)), ("MISS", "HIT"), "{why}");
    assert_eq!(sim.journal().total() - before, 1, "{why}");
    assert_eq!(first.header("content-type"), second.header("content-type"), "{why}");
    assert_eq!(bare(&first), bare(&second), "{why}");
    assert!(!second.text().contains(first.header("x-generation-id")), "{why}");
    let (paid, free) = (gateway.record(&first).await, gateway.record(&second).await);
    assert_eq!((&free["total_cost"], &free["slipswitch"]["cache"]), (&json!(0.0), &json!("hit")), "{why}");
    assert_eq!(free["slipswitch"]["cache_saved"], paid["total_cost"], "{why}");
    for member in ["tokens_prompt", "model", "api_type", "provider_name"] {
        assert_eq!(free[member], paid[member], "{why}: {member}");
    }
}

#[tokio::test]
async fn whatever_a_model_does_it_does_once() {
    let sim = sim(Dialect::OpenAiChat).await;
    let gateway = Gateway::start(&lab(&sim));
    let image = json!({ "model": MODEL, "prompt": "a fox", "size": "64x64" });
    let speech = json!({ "model": MODEL, "input": "Hello there, how are you?", "voice": "alloy" });
    let more = crate::harness::with;
    let rows = [
        ("/api/v1/embeddings", json!({ "model": MODEL, "input": ["a", "b"] })),
        (
            "/v2/embed",
            json!({ "model": MODEL, "texts": ["a"], "input_type": "search_query", "embedding_types": ["float"] }),
        ),
        ("/api/embed", json!({ "model": MODEL, "input": "a" })),
        ("/v1beta/models/lab/one:embedContent", json!({ "content": { "parts": [{ "text": "a" }] } })),
        ("/api/v1/rerank", json!({ "model": MODEL, "query": "q", "documents": ["a", "q"] })),
        ("/v2/rerank", json!({ "model": MODEL, "query": "q", "documents": ["a", "q"] })),
        ("/api/v1/moderations", json!({ "model": MODEL, "input": "a" })),
        ("/api/v1/images", image.clone()),
        ("/api/v1/images/generations", image.clone()),
        ("/api/v1/images", more(image, json!({ "stream": true, "partial_images": 2 }))),
        (SPEECH, speech.clone()),
        (SPEECH, more(speech.clone(), json!({ "stream_format": "sse" }))),
    ];
    for (path, body) in rows {
        let before = sim.journal().total();
        let (first, second) = (gateway.post(path, &body).await, gateway.post(path, &body).await);
        twice(&gateway, &sim, &format!("{path} {body}"), first, second, before).await;
    }
    let spoken = gateway.post(SPEECH, &more(speech, json!({ "response_format": "wav" }))).await.body;
    for fields in [vec![], vec![("response_format", "srt")], vec![("stream", "true")]] {
        let hear = async |boundary: &str| {
            let mut form = Vec::new();
            for (name, text) in [("model", MODEL)].iter().chain(&fields) {
                let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
                form.extend_from_slice(part.as_bytes());
            }
            let part = "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"";
            form.extend_from_slice(format!("--{boundary}\r\n{part}\r\n\r\n").as_bytes());
            form.extend_from_slice(&spoken);
            form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
            let (bearer, media_type) = (format!("Bearer {KEY}"), format!("multipart/form-data; boundary={boundary}"));
            let headers = [("authorization", bearer.as_str()), ("content-type", media_type.as_str())];
            gateway.send(Method::POST, HEAR, &headers, form.into()).await
        };
        let before = sim.journal().total();
        // As a browser does: each form has a boundary of its own.
        let (first, second) = (hear("--one-4711").await, hear("--two-0815").await);
        twice(&gateway, &sim, &format!("{fields:?}"), first, second, before).await;
    }
}

#[tokio::test]
async fn one_speaks_for_all_who_want_to_hear_it() {
    let ttft = Duration::from_millis(300);
    let sim = Sim::start(SimConfig { ttft, ..SimConfig::default() }).await.expect("a socket");
    let gateway = Gateway::start(&lab(&sim));
    let body = json!({ "model": MODEL, "input": "Hello there, how are you?", "voice": "alloy" });
    let (first, second) = tokio::join!(gateway.post(SPEECH, &body), async {
        pause(100).await;
        gateway.post(SPEECH, &body).await
    });
    assert_eq!((status(&first), status(&second), sim.journal().total()), ("MISS", "HIT", 1));
    assert!(first.body == second.body && !first.body.is_empty());
    assert_eq!(first.header("content-type"), second.header("content-type"));
}
