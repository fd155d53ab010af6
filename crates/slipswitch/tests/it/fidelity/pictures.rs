//! Pictures by URL for providers that fetch none: fetched here, from public addresses only, with nothing of ours sent along.

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0000";

fn look(url: &str) -> Value {
    let mut body = ask("lab/one", json!({}));
    body["messages"][0]["content"] =
        json!([{ "type": "text", "text": "what is it?" }, { "type": "image_url", "image_url": { "url": url } }]);
    body
}

async fn gemini(fetch: &str) -> (Scripted, Gateway) {
    let (upstream, table) = scripted("one", Dialect::Gemini, &["lab/one"]).await;
    upstream.always(answer(Dialect::Gemini, "a dot"));
    (upstream, Gateway::start(&format!("{fetch}{table}")))
}

#[tokio::test]
async fn a_picture_is_fetched_without_credentials_and_sent_inline() {
    let (upstream, gateway) = gemini("[fetch]\nallow_private = true\n\n").await;
    let pictures = Scripted::start().await.expect("a socket");
    pictures.push(Script::new(302, "text/plain", "").header("location", "/b.png"));
    pictures.push(Script::new(200, "application/octet-stream", PNG));
    let got = gateway.chat(&look(&format!("{}/a.png?x=1", pictures.base_url()))).await;
    assert_eq!((got.status, got.content().as_str()), (200, "a dot"), "{}", got.text());
    let sent = upstream.journal().last().expect("a request").json();
    let inline = sent["contents"][0]["parts"][1]["inlineData"].clone();
    assert_eq!(inline["mimeType"], "image/png", "{sent}");
    let asked = pictures.journal().entries();
    assert_eq!(asked.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), ["/a.png?x=1", "/b.png"]);
    for entry in asked {
        for name in ["authorization", "x-api-key", "x-goog-api-key", "cookie", "http-referer"] {
            assert_eq!(entry.header(name), None);
        }
    }
    for (script, why) in [
        (Script::new(200, "image/png", "<html>"), "no PNG"),
        (Script::new(404, "text/plain", ""), "answered 404"),
        (Script::new(302, "text/plain", "").header("location", "gopher://example.com/"), "only http and https"),
    ] {
        let before = upstream.journal().total();
        pictures.push(script);
        let got = gateway.chat(&look(&format!("{}/a.png", pictures.base_url()))).await;
        let says = got.error()["message"].as_str().unwrap_or_default().to_owned();
        assert!(got.status == 400 && says.contains("image_download_failed: image 1") && says.contains(why), "{says}");
        assert_eq!(upstream.journal().total(), before);
    }
}

#[tokio::test]
async fn nothing_on_a_private_address_is_asked_unless_the_operator_allows_it() {
    let (upstream, gateway) = gemini("").await;
    let inside = Scripted::start().await.expect("a socket");
    inside.always(Script::new(200, "image/png", PNG));
    let port = inside.addr().port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
        for url in [format!("http://{host}:{port}/a.png"), format!("https://{host}/a.png")] {
            let got = gateway.chat(&look(&url)).await;
            assert!(got.status == 400 && got.text().contains("image_download_failed"), "{url}: {}", got.text());
        }
    }
    assert_eq!((inside.journal().total(), upstream.journal().total()), (0, 0));
}

#[tokio::test]
async fn a_caller_of_the_providers_own_dialect_is_helped_where_the_provider_fetches_none() {
    let (upstream, pictures) = (Scripted::start().await.expect("a socket"), Scripted::start().await.expect("a socket"));
    upstream.always(answer(Dialect::Anthropic, "a dot"));
    pictures.always(Script::new(200, "image/png", PNG));
    // MiniMax speaks Anthropic's dialect and fetches nothing.
    let gateway = Gateway::start(&format!(
        "[fetch]\nallow_private = true\n\n[providers.minimax]\nkey = \"k\"\nbase_url = \"{}\"\nmodels = [\"lab/one\"]\n",
        upstream.base_url()
    ));
    let url = format!("{}/a.png", pictures.base_url());
    let image = json!({ "type": "image", "source": { "type": "url", "url": url } });
    let body =
        json!({ "model": "lab/one", "max_tokens": 9, "messages": [{ "role": "user", "content": [image, image] }] });
    let got = gateway.post("/api/v1/messages", &body).await;
    assert_eq!(got.status, 200, "{}", got.text());
    let sent = upstream.journal().last().expect("a request").json();
    for at in 0..2 {
        assert_eq!(sent["messages"][0]["content"][at]["source"]["media_type"], "image/png", "{sent}");
    }
    assert_eq!(pictures.journal().total(), 1, "the same picture is fetched once");
}

#[tokio::test]
async fn a_provider_that_fetches_by_itself_is_given_the_url() {
    let (upstream, table) = scripted("one", Dialect::Anthropic, &["lab/one"]).await;
    upstream.always(answer(Dialect::Anthropic, "a dot"));
    let gateway = Gateway::start(&table);
    assert_eq!(gateway.chat(&look("https://example.com/a.png")).await.status, 200);
    let sent = upstream.journal().last().expect("a request").json();
    assert_eq!(
        sent["messages"][0]["content"][1]["source"],
        json!({ "type": "url", "url": "https://example.com/a.png" })
    );
}
