//! How long an answer is kept, and how it is forgotten.

use super::*;
use crate::harness::run;

const PATH: &str = "/api/v1/chat/completions";

#[tokio::test]
async fn an_answer_grows_old_and_is_gone() {
    let sim = sim(Dialect::OpenAiChat).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    let head = [("x-openrouter-cache", "true"), ("x-openrouter-cache-ttl", "2")];
    let body = chat("x", false);
    let ask = || with_headers(&gateway, KEY, PATH, &body, &head);
    assert_eq!(status(&ask().await), "MISS");
    let hit = ask().await;
    assert_eq!((status(&hit), hit.header("x-openrouter-cache-ttl")), ("HIT", "2"));
    assert_eq!(hit.header("x-openrouter-cache-age"), "0");
    assert!(hit.header("access-control-expose-headers").contains("X-OpenRouter-Cache-Status"));
    pause(1200).await;
    let hit = ask().await;
    assert_eq!(
        (status(&hit), hit.header("x-openrouter-cache-age"), hit.header("x-openrouter-cache-ttl")),
        ("HIT", "1", "1")
    );
    pause(1200).await;
    assert_eq!(status(&ask().await), "MISS");
}

#[tokio::test]
async fn whoever_asks_anew_is_answered_anew_and_so_are_those_after() {
    let sim = sim(Dialect::OpenAiChat).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    let body = chat("x", false);
    let first = gateway.chat(&body).await;
    let anew = with_headers(&gateway, KEY, PATH, &body, &[("x-openrouter-cache-clear", "true")]).await;
    assert_eq!(status(&anew), "MISS");
    let then = gateway.chat(&body).await;
    let source = then.header("x-openrouter-cache-source-id");
    assert_eq!((status(&then), source), ("HIT", anew.header("x-generation-id")));
    assert_ne!(source, first.header("x-generation-id"));
    assert_eq!(sim.journal().total(), 2);
}

#[tokio::test]
async fn what_is_kept_is_listed_counted_and_purged_by_those_who_administer() {
    let sim = sim(Dialect::OpenAiChat).await;
    let gateway = house(&sim, Dialect::OpenAiChat, ON);
    let (other, hash) = key(&gateway, json!({})).await;
    for text in ["a", "b"] {
        gateway.chat(&chat(text, false)).await;
        gateway.chat(&chat(text, false)).await;
    }
    gateway.chat_as(&other, &chat("c", true)).await;
    let two = crate::harness::with(chat("d", false), json!({ "model": "lab/two" }));
    gateway.chat_as(&other, &two).await;
    let all = entries(&gateway).await;
    assert_eq!(all.len(), 4, "{all:?}");
    let streams = all.iter().filter(|entry| entry["form"] == "stream" && entry["owner"] == hash.as_str()).count();
    assert_eq!(streams, 1, "{all:?}");
    let told = stats(&gateway).await;
    assert_eq!(
        (&told["entries"], &told["hits"], &told["misses"], &told["joined"]),
        (&json!(4), &json!(2), &json!(4), &json!(0))
    );
    assert!(told["saved"].as_f64().is_some_and(|saved| saved > 0.0), "{told}");
    let metrics = gateway.manage(Method::GET, "/metrics", Value::Null).await.text();
    for line in [
        "slipswitch_cache_answers{outcome=\"hit\"} 2",
        "slipswitch_cache_answers{outcome=\"miss\"} 4",
        "slipswitch_cache_entries 4",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    // Not for whoever only asks models.
    assert_eq!(gateway.get("/api/v1/cache").await.status, 403);
    let refused = gateway.manage(Method::DELETE, "/api/v1/cache/entries", Value::Null).await;
    assert_eq!(refused.status, 400, "{}", refused.text());

    let url = format!("http://{}", gateway.address);
    let cli = |args: &[&str]| {
        let said = run(&[&["cache"], args, &["--url", &url, "--key", MANAGEMENT]].concat(), &[]);
        assert_eq!(said.code, Some(0), "{args:?}: {}{}", said.out, said.err);
        said.out
    };
    assert!(cli(&["stats"]).contains("answers kept               4"), "{}", cli(&["stats"]));
    assert_eq!(cli(&["list"]).lines().count(), 5, "{}", cli(&["list"]));
    let listed: Value = serde_json::from_str(&cli(&["list", "--json", "--model", "lab/two"])).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert!(cli(&["purge", "--model", "lab/two"]).starts_with("forgot 1 answers"));
    assert!(cli(&["purge", "--of", &hash[..12]]).starts_with("forgot 1 answers"));
    let id = entries(&gateway).await[0]["id"].as_str().expect("an id").to_owned();
    assert!(cli(&["purge", "--prefix", &id[..16]]).starts_with("forgot 1 answers"));
    assert!(cli(&["purge", "--model", "lab/*"]).starts_with("forgot 1 answers"));
    assert!(cli(&["purge", "--all"]).starts_with("forgot 0 answers"));
    assert_eq!(status(&gateway.chat(&chat("a", false)).await), "MISS");

    // What was kept for a key is gone with it.
    gateway.chat_as(&other, &chat("e", false)).await;
    assert_eq!(entries(&gateway).await.len(), 2);
    assert_eq!(gateway.manage(Method::DELETE, &format!("/api/v1/keys/{hash}"), Value::Null).await.status, 200);
    assert_eq!(entries(&gateway).await.len(), 1);
}
