//! Files for models that take none: their text goes instead, and what was read is told so that it need not be read again.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// A PDF of one page for each of these texts.
fn pdf(pages: &[&str]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|n| format!("{} 0 R", 4 + 2 * n)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    for (n, text) in pages.iter().enumerate() {
        let resources = "<< /Font << /F1 3 0 R >> >>";
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 144] /Resources {resources} /Contents {} 0 R >>",
            5 + 2 * n
        ));
        let drawn = format!("BT /F1 12 Tf 20 100 Td ({text}) Tj ET");
        objects.push(format!("<< /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()));
    }
    written(&objects)
}

fn written(objects: &[String]) -> Vec<u8> {
    let (mut out, mut at) = (String::from("%PDF-1.4\n"), Vec::new());
    for (n, object) in objects.iter().enumerate() {
        at.push(out.len());
        out += &format!("{} 0 obj\n{object}\nendobj\n", n + 1);
    }
    let table = out.len();
    out += &format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    at.iter().for_each(|at| out += &format!("{at:010} 00000 n \n"));
    out += &format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1);
    out.into_bytes()
}

async fn house(input: &str) -> (Scripted, Gateway) {
    let upstream = Scripted::start().await.expect("a socket");
    upstream.always(answer(Dialect::OpenAiChat, "fine"));
    let gateway = Gateway::start(&format!(
        "[providers.one]\ndialect = \"openai-chat\"\nbase_url = \"{}\"\nkey = \"k\"\nmodels = [{{ id = \"lab/one\", input = {input} }}]\n",
        upstream.base_url()
    ));
    (upstream, gateway)
}

fn with_file(name: &str, mime: &str, bytes: &[u8], more: Value) -> Value {
    let data = format!("data:{mime};base64,{}", STANDARD.encode(bytes));
    let content = json!([
        { "type": "text", "text": "what is in it?" },
        { "type": "file", "file": { "filename": name, "file_data": data } },
    ]);
    let mut body = ask("lab/one", more);
    body["messages"][0]["content"] = content;
    body
}

fn sent(upstream: &Scripted) -> String {
    upstream.journal().last().expect("a request").json()["messages"].to_string()
}

#[tokio::test]
async fn the_text_of_a_pdf_is_sent_and_told() {
    let (upstream, gateway) = house("[\"text\"]").await;
    let bytes = pdf(&["Hello from page one", "And from page two"]);
    let got = gateway.chat(&with_file("a.pdf", "application/pdf", &bytes, json!({}))).await;
    assert_eq!((got.status, got.content().as_str()), (200, "fine"), "{}", got.text());
    let text = sent(&upstream);
    for piece in ["what is in it?", "<file name=\\\"a.pdf\\\">", "Hello from page one", "And from page two", "</file>"]
    {
        assert!(text.contains(piece), "{piece}: {text}");
    }
    assert!(!text.contains("base64"), "{text}");
    assert_eq!(got.header("x-slipswitch-losses"), "file: by text");
    let file = got.json()["choices"][0]["message"]["annotations"][0].clone();
    let hash: String = Sha256::digest(STANDARD.encode(&bytes)).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (file["type"].clone(), file["file"]["name"].clone(), file["file"]["hash"].clone()),
        (json!("file"), json!("a.pdf"), json!(hash))
    );
    assert_eq!(file["file"]["content"][0], json!({ "type": "text", "text": "<file name=\"a.pdf\">" }));
    let chunk = |delta: Value, finish: Value| json!({ "id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
    upstream.push(Script::events(&[
        chunk(json!({ "role": "assistant", "content": "fi" }), Value::Null),
        chunk(json!({ "content": "ne" }), Value::Null),
        chunk(json!({}), json!("stop")),
    ]));
    let streamed = gateway.chat(&with_file("a.pdf", "application/pdf", &bytes, json!({ "stream": true }))).await;
    assert_eq!(streamed.content(), "fine", "{}", streamed.text());
    let told: Vec<Value> = streamed
        .events()
        .iter()
        .map(|e| e["choices"][0]["delta"]["annotations"].clone())
        .filter(|a| !a.is_null())
        .collect();
    assert_eq!(told, [json!([file])]);
}

#[tokio::test]
async fn what_is_told_again_is_not_read_again() {
    let (upstream, gateway) = house("[\"text\"]").await;
    // No reader would make anything of it.
    let bytes = b"%PDF-1.4 nothing";
    let hash: String = Sha256::digest(STANDARD.encode(bytes)).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut body = with_file("a.pdf", "application/pdf", bytes, json!({}));
    let refused = gateway.chat(&body).await;
    let says = refused.error()["message"].as_str().unwrap_or_default().to_owned();
    assert!(refused.status == 400 && says.contains("file_unreadable") && says.contains("a.pdf"), "{}", refused.text());
    let content = json!([{ "type": "text", "text": "<file name=\"a.pdf\">" }, { "type": "text", "text": "remembered" }, { "type": "text", "text": "</file>" }]);
    let annotation = json!({ "type": "file", "file": { "hash": hash, "name": "a.pdf", "content": content } });
    let messages = body["messages"].as_array_mut().expect("messages");
    messages.push(json!({ "role": "assistant", "content": "a file", "annotations": [annotation] }));
    messages.push(json!({ "role": "user", "content": "and?" }));
    let got = gateway.chat(&body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert!(sent(&upstream).contains("remembered"), "{}", sent(&upstream));
    assert_eq!(upstream.journal().total(), 1);
}

#[tokio::test]
async fn text_goes_as_it_is_and_a_model_that_takes_files_gets_the_file() {
    let (upstream, gateway) = house("[\"text\"]").await;
    for (name, mime) in [
        ("a.csv", "text/csv"),
        ("a.md", "text/markdown"),
        ("a.json", "application/json"),
        ("a", "application/octet-stream"),
    ] {
        let got = gateway.chat(&with_file(name, mime, b"x,y\n1,2", json!({}))).await;
        assert!(got.status == 200 && sent(&upstream).contains("x,y\\n1,2"), "{name}: {}", got.text());
    }
    let zip = gateway.chat(&with_file("a.zip", "application/zip", b"PK\x03\x04\xff\x00", json!({}))).await;
    assert_eq!(zip.status, 400, "{}", zip.text());
    let (upstream, gateway) = house("[\"text\", \"file\"]").await;
    let bytes = pdf(&["native"]);
    assert_eq!(gateway.chat(&with_file("a.pdf", "application/pdf", &bytes, json!({}))).await.status, 200);
    assert!(sent(&upstream).contains("file_data"));
    let plugins = json!({ "plugins": [{ "id": "file-parser", "pdf": { "engine": "pdf-text" } }] });
    assert_eq!(gateway.chat(&with_file("a.pdf", "application/pdf", &bytes, plugins)).await.status, 200);
    assert!(!sent(&upstream).contains("file_data") && sent(&upstream).contains("native"));
}

#[tokio::test]
async fn a_file_made_to_hurt_its_reader_hurts_nobody() {
    let (upstream, gateway) = house("[\"text\"]").await;
    // A page that is its own parent and inherits what it lacks, and a drawing that draws itself.
    let endless = written(&[
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 3 0 R /Contents 4 0 R >>".to_owned(),
        "<< /Length 5 >>\nstream\n/X Do\nendstream".to_owned(),
    ]);
    let itself = written(&[
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >> /Contents 4 0 R >>".to_owned(),
        "<< /Length 5 >>\nstream\n/X Do\nendstream".to_owned(),
        "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >> /Length 5 >>\nstream\n/X Do\nendstream".to_owned(),
    ]);
    for bytes in [endless, itself, b"%PDF-1.7\n\xff\xff".to_vec(), Vec::new()] {
        let got = gateway.chat(&with_file("a.pdf", "application/pdf", &bytes, json!({}))).await;
        assert_eq!(got.status, 400, "{}", got.text());
        gateway.is_well("a hostile file").await;
    }
    assert_eq!(upstream.journal().total(), 0);
}
