//! Pictures and sound inside a chat: what a model shows or says beside its words reaches each caller where their dialect has a
//! place for it, and is told as lost where not.

use crate::harness::{Gateway, Got, provider};
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Script, Scripted};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IA==";

fn openai(message: Value) -> Value {
    json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "one",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12 },
    })
}

fn gemini(mime: &str, data: &str) -> Value {
    json!({
        "candidates": [{ "content": { "role": "model", "parts": [{ "text": "Here." }, { "inlineData": { "mimeType": mime, "data": data } }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 3, "candidatesTokenCount": 9, "totalTokenCount": 12 }, "modelVersion": "one",
    })
}

/// What a caller sees of it: a picture's address, or the sound in base64.
fn seen(got: &Got) -> Option<String> {
    let whole = !got.header("content-type").starts_with("text/event-stream");
    let parts = if whole { vec![got.json()] } else { got.events() };
    let chat = |part: &Value| {
        let of = |member: &str| part["choices"][0][member].clone();
        let message = if of("message").is_object() { of("message") } else { of("delta") };
        let image = message["images"][0]["image_url"]["url"].as_str().map(str::to_owned);
        image.or_else(|| message["audio"]["data"].as_str().map(str::to_owned))
    };
    let inline = |part: &Value| {
        let parts = part["candidates"][0]["content"]["parts"].as_array().cloned().unwrap_or_default();
        parts.iter().find_map(|p| p["inlineData"]["data"].as_str().map(str::to_owned))
    };
    parts.iter().find_map(|part| chat(part).or_else(|| inline(part)))
}

#[tokio::test]
async fn what_a_model_shows_and_says_reaches_whoever_can_be_told() {
    let url = format!("data:image/png;base64,{PNG}");
    let picture = json!({ "role": "assistant", "content": "Here.", "images": [{ "type": "image_url", "image_url": { "url": url } }] });
    let sound = json!({ "role": "assistant", "content": null, "audio": { "id": "a", "data": WAV, "transcript": "Here.", "expires_at": 9 } });
    // Who said it, what; what a chat caller sees, and one of Gemini's.
    let rows = [
        (Dialect::OpenAiChat, openai(picture), "image", url.as_str(), PNG),
        (Dialect::Gemini, gemini("image/png", PNG), "image", url.as_str(), PNG),
        (Dialect::OpenAiChat, openai(sound), "audio", WAV, WAV),
        (Dialect::Gemini, gemini("audio/wav", WAV), "audio", WAV, WAV),
    ];
    for (dialect, said, modality, chat, inline) in rows {
        let lab = Scripted::start().await.expect("a socket");
        let base = format!("http://{}/v1", lab.addr());
        let gateway = Gateway::start(&provider("lab", dialect, &base, &["lab/one"]));
        lab.always(Script::json(200, &said));
        let turns = json!([{ "role": "user", "content": "show me" }]);
        for stream in [false, true] {
            let at = format!("{modality} of {dialect}, streamed {stream}");
            let ask =
                json!({ "model": "lab/one", "messages": turns, "modalities": ["text", modality], "stream": stream });
            let got = gateway.chat(&ask).await;
            assert_eq!((got.status, seen(&got).as_deref()), (200, Some(chat)), "{at}: {}", got.text());
            let asked = lab.journal().last().expect("it was asked").json();
            let told = if dialect == Dialect::Gemini {
                &asked["generationConfig"]["responseModalities"]
            } else {
                &asked["modalities"]
            };
            let words = told
                .as_array()
                .map(|words| words.iter().filter_map(|w| w.as_str()).map(str::to_lowercase).collect::<Vec<_>>());
            assert_eq!(words, Some(vec!["text".to_owned(), modality.to_owned()]), "{at}: {asked}");

            let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let ask = json!({
                "contents": [{ "role": "user", "parts": [{ "text": "show me" }] }],
                "generationConfig": { "responseModalities": ["TEXT", modality.to_uppercase()] },
            });
            let got = gateway.post(&format!("/v1beta/models/lab/one:{verb}"), &ask).await;
            assert_eq!((got.status, seen(&got).as_deref()), (200, Some(inline)), "{at}: {}", got.text());

            let ask = json!({ "model": "lab/one", "messages": turns, "max_tokens": 99, "stream": stream });
            let got = gateway.post("/api/v1/messages", &ask).await;
            let losses = gateway.record(&got).await["slipswitch"]["losses"].to_string();
            assert!(got.status == 200 && losses.contains(&format!("content.{modality}")), "{at}: {losses}");
        }
    }
}
