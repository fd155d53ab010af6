//! Pictures: drawn, changed, streamed, by providers of pictures and by chat models.

use super::{IMAGES, form, provider, send_form, sim};
use crate::harness::Gateway;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use slip_sim::{Script, Scripted};

fn is_png(value: &Value) -> bool {
    let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    bytes.starts_with(b"\x89PNG\r\n\x1a\n")
}

#[tokio::test]
async fn a_picture_is_drawn_and_paid_for_in_the_words_of_each_caller() {
    let lab = sim(None).await;
    let gateway = Gateway::start(&provider("lab", &lab));
    let ask = json!({ "model": "lab/one", "prompt": "a red panda", "n": 2, "size": "64x64" });
    let got = gateway.post(&format!("{IMAGES}/generations"), &ask).await;
    let body = got.json();
    assert_eq!((got.status, got.header("x-provider-name")), (200, "lab"), "{}", got.text());
    assert!(is_png(&body["data"][1]["b64_json"]) && body["size"] == "64x64", "{}", got.text());
    assert_eq!((&body["usage"]["cost"], &body["usage"]["output_tokens"]), (&json!(0.08), &json!(544)));
    let record = gateway.record(&got).await;
    assert_eq!((&record["api_type"], &record["total_cost"]), (&json!("image"), &json!(0.08)));
    assert_eq!(record["native_tokens_completion_images"], 544);

    let got =
        gateway.post(IMAGES, &json!({ "model": "lab/one", "prompt": "a red panda", "aspect_ratio": "16:9" })).await;
    let body = got.json();
    assert_eq!((got.status, &body["data"][0]["media_type"]), (200, &json!("image/png")), "{}", got.text());
    assert_eq!((&body["usage"]["cost"], &body["usage"]["completion_tokens"]), (&json!(0.04), &json!(272)));
    let asked = lab.journal().last().expect("it was asked").json();
    assert_eq!(
        (&asked["size"], &asked["response_format"], &asked["model"]),
        (&json!("1536x1024"), &json!("b64_json"), &json!("lab/one"))
    );
}

#[tokio::test]
async fn a_picture_comes_in_sketches() {
    let lab = sim(None).await;
    let gateway = Gateway::start(&provider("lab", &lab));
    let ask = json!({ "model": "lab/one", "prompt": "a fox", "size": "64x64", "stream": true, "partial_images": 2 });
    for (path, done) in [(format!("{IMAGES}/generations"), false), (IMAGES.to_owned(), true)] {
        let got = gateway.post(&path, &ask).await;
        assert!(got.header("content-type").starts_with("text/event-stream"), "{path}");
        // OpenRouter's callers ask in words that know no number of sketches.
        let events = got.events();
        let kinds: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
        assert_eq!(kinds.last(), Some(&"image_generation.completed"), "{path}: {kinds:?}");
        let last = events.last().expect("events");
        assert!(is_png(&last["b64_json"]) && last["usage"]["cost"] == 0.04, "{path}: {last}");
        assert_eq!(got.text().ends_with("data: [DONE]\n\n"), done, "{path}");
        assert_eq!(gateway.record(&got).await["streamed"], true);
    }
}

#[tokio::test]
async fn pictures_are_changed_from_a_form_from_json_and_from_references() {
    let lab = sim(None).await;
    let gateway = Gateway::start(&provider("lab", &lab));
    let drawn = gateway
        .post(&format!("{IMAGES}/generations"), &json!({ "model": "lab/one", "prompt": "a hat", "size": "32x32" }))
        .await;
    let base64 = drawn.json()["data"][0]["b64_json"].as_str().expect("a picture").to_owned();
    let png = STANDARD.decode(&base64).expect("base64");
    let body = form(&[("model", "lab/one"), ("prompt", "bluer"), ("size", "64x64")], &[("image", "hat.png", &png)]);
    let formed = send_form(&gateway, &format!("{IMAGES}/edits"), body).await;
    assert!(formed.status == 200 && is_png(&formed.json()["data"][0]["b64_json"]), "{}", formed.text());
    let sent = lab.journal().last().expect("it was asked");
    assert!(
        sent.path.ends_with("/images/edits")
            && sent.header("content-type").is_some_and(|t| t.starts_with("multipart/"))
    );
    let url = format!("data:image/png;base64,{base64}");
    let refer = json!({ "model": "lab/one", "prompt": "bluer", "size": "64x64", "input_references": [{ "type": "image_url", "image_url": { "url": url } }] });
    let referred = gateway.post(IMAGES, &refer).await;
    assert_eq!(
        referred.json()["data"][0]["b64_json"],
        formed.json()["data"][0]["b64_json"],
        "the same picture was shown"
    );
    let ask =
        json!({ "model": "lab/one", "prompt": "bluer", "images": [{ "image_url": "https://pictures.example/a.png" }] });
    let linked = gateway.post(&format!("{IMAGES}/edits"), &ask).await;
    assert_eq!(linked.status, 200, "{}", linked.text());
    assert_eq!(lab.journal().last().expect("it was asked").json()["images"], ask["images"]);
}

#[tokio::test]
async fn a_chat_model_draws_when_asked_for_a_picture() {
    let lab = Scripted::start().await.expect("a socket");
    let config = format!(
        "[providers.lab]\ndialect = \"gemini\"\nbase_url = \"http://{}/v1beta\"\nkey = \"k\"\nmodels = [\"lab/one\"]\n\
         price = {{ input = \"1\", output = \"2\", image_out = \"30\" }}\n",
        lab.addr()
    );
    let gateway = Gateway::start(&config);
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let said = json!({
        "candidates": [{ "content": { "role": "model", "parts": [{ "text": "Here." }, { "inlineData": { "mimeType": "image/png", "data": png } }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 5, "candidatesTokenCount": 1290, "totalTokenCount": 1295, "candidatesTokensDetails": [{ "modality": "IMAGE", "tokenCount": 1290 }] },
        "modelVersion": "one",
    });
    for stream in [false, true] {
        lab.push(Script::json(200, &said));
        let ask = json!({ "model": "lab/one", "prompt": "a dot", "size": "1024x1536", "stream": stream });
        let got = gateway.post(IMAGES, &ask).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let told = if stream { got.events().pop().expect("an event") } else { got.json()["data"][0].clone() };
        assert_eq!((&told["b64_json"], &told["media_type"]), (&json!(png), &json!("image/png")));
        assert_eq!(got.usage()["cost"], json!(0.038705), "{}", got.text());
        let sent = lab.journal().last().expect("it was asked");
        let config = &sent.json()["generationConfig"];
        assert_eq!(config["responseModalities"], json!(["IMAGE", "TEXT"]));
        assert_eq!(config["imageConfig"]["aspectRatio"], "2:3");
    }
    let two = gateway.post(IMAGES, &json!({ "model": "lab/one", "prompt": "a dot", "n": 2 })).await;
    assert_eq!((two.status, &two.error()["metadata"]["param"]), (400, &json!("n")), "{}", two.text());
}

#[tokio::test]
async fn options_for_one_provider_reach_that_one() {
    let lab = Scripted::start().await.expect("a socket");
    let config = format!(
        "[providers.lab]\ndialect = \"openai-chat\"\nbase_url = \"http://{}/v1\"\nkey = \"k\"\nmodels = [\"lab/one\"]\n",
        lab.addr()
    );
    let gateway = Gateway::start(&config);
    lab.push(Script::json(200, &json!({ "created": 1, "data": [{ "b64_json": "iVBORw0KGgo=" }] })));
    let ask = json!({ "model": "lab/one", "prompt": "a dot", "provider": { "options": { "lab": { "steps": 4, "model": "x" }, "other": { "a": 1 } } } });
    let got = gateway.post(IMAGES, &ask).await;
    assert_eq!((got.status, &got.json()["usage"]["cost_unknown"]), (200, &json!(true)), "{}", got.text());
    let sent = lab.journal().last().expect("it was asked").json();
    assert_eq!(
        (&sent["steps"], &sent["model"], sent["a"].is_null(), sent["provider"].is_null()),
        (&json!(4), &json!("lab/one"), true, true)
    );
}

#[tokio::test]
async fn the_models_that_draw_are_listed_with_who_serves_them() {
    let lab = sim(None).await;
    let gateway = Gateway::start(&format!(
        "[providers.openai]\nbase_url = \"{}\"\nkey = \"k\"\nallow_private = true\n",
        lab.base_url()
    ));
    let listed = gateway.get(&format!("{IMAGES}/models")).await.json();
    let models = listed["data"].as_array().expect("models").clone();
    let one = models.iter().find(|m| m["id"] == "openai/gpt-image-2.6-sunburst").unwrap_or_else(|| panic!("{listed}"));
    assert_eq!(
        (&one["architecture"]["output_modalities"], &one["supports_streaming"]),
        (&json!(["image"]), &json!(true))
    );
    let path = one["endpoints"].as_str().expect("a path");
    let served = gateway.get(path).await.json();
    assert_eq!((&served["id"], &served["endpoints"][0]["provider_slug"]), (&one["id"], &json!("openai")), "{served}");
    assert!(served["endpoints"][0]["pricing"].as_array().is_some_and(|lines| !lines.is_empty()), "{served}");
    // A price that is not one of tokens is shown as well.
    let voice = gateway.get("/api/v1/models/openai/tts-1/endpoints").await.json();
    assert_eq!(voice["data"]["endpoints"][0]["pricing"]["character"], json!("0.000015"), "{voice}");
    let chat =
        gateway.chat(&json!({ "model": "openai/tts-1", "messages": [{ "role": "user", "content": "hi" }] })).await;
    assert_eq!(chat.status, 404, "a voice does not chat: {}", chat.text());
    let draw = gateway.post(IMAGES, &json!({ "model": "openai/tts-1", "prompt": "hi" })).await;
    assert_eq!(draw.status, 404, "nor does it draw: {}", draw.text());
}
