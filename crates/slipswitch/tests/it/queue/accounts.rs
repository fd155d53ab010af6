//! Before an account at a provider: what the configuration says it may, and what the provider says is left.

use super::clerk::Clerk;
use super::{all, ask, asks, figure, house, key, waiting};
use crate::harness::{Gateway, KEY};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn sixty_a_minute_are_never_sixty_one() {
    let clerk = Clerk::start(Duration::from_millis(1)).await;
    let config = "[queue.interactive]\nwait = \"500ms\"\n";
    let gateway = house(config, &clerk, "limits = { requests_per_minute = 60 }");
    let got = all((0..90).map(|_| asks(&gateway, KEY, "hello")).collect()).await;
    let count = |status: u16| got.iter().filter(|got| got.status == status).count();
    assert_eq!((count(200), count(429), clerk.came().len()), (60, 30, 60));
    let refused = got.iter().find(|got| got.status == 429).expect("some were");
    let after: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=61).contains(&after), "{after}: {}", refused.text());
    assert_eq!(refused.error()["metadata"]["reason"], "rate_limited");
    // It is said before it is tried, and why.
    let told = gateway.post("/api/v1/explain", &ask("hello")).await.json();
    let desk = &told["endpoints"][0];
    assert_eq!(
        (&desk["because"][0]["rule"], &desk["live"]["rate_limit_requests_left"]),
        (&json!("rate_limit"), &json!(0)),
        "{desk}"
    );
    assert_eq!(told["queue"]["waits"], false, "half a second is not enough");
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(gateway.chat(&ask("later")).await.status, 429);
    assert_eq!(clerk.came().len(), 60);
}

#[tokio::test]
async fn so_many_at_once_and_the_others_in_turn() {
    let clerk = Clerk::start(Duration::from_millis(20)).await;
    let gateway = house("", &clerk, "limits = { concurrent = 3 }");
    let got = all((0..60).map(|_| asks(&gateway, KEY, "hello")).collect()).await;
    assert!(got.iter().all(|got| got.status == 200), "{}", got[0].text());
    assert_eq!((clerk.came().len(), clerk.most()), (60, 3));
    assert_eq!(figure(&gateway, "queue_length", "account", "interactive").await, 0.0);
    assert!(figure(&gateway, "queue_wait_seconds_count", "account", "interactive").await > 30.0);
    let waited = got.iter().filter(|got| got.header("x-generation-id").starts_with("gen-")).count();
    assert_eq!(waited, 60);
}

#[tokio::test]
async fn tokens_of_a_minute_are_kept_and_what_was_not_used_is_given_back() {
    let clerk = Clerk::start(Duration::from_millis(1)).await;
    let config = "[queue.interactive]\nwait = \"300ms\"\n";
    let gateway = house(config, &clerk, "limits = { tokens_per_minute = 600 }");
    // A few hundred are set aside for each, four are used.
    for n in 0..20 {
        assert_eq!(gateway.chat(&ask("hello")).await.status, 200, "{n}");
    }
    // At once only two of them fit, and whoever waits is let in when it is known what they came to.
    let got = all((0..20).map(|_| asks(&gateway, KEY, "hello")).collect()).await;
    assert!(got.iter().all(|got| got.status == 200));
    assert!(clerk.most() <= 2, "{}", clerk.most());
}

#[tokio::test]
async fn whoever_has_room_is_asked_before_anybody_is_waited_for() {
    let (one, two) = (Clerk::start(Duration::from_millis(300)).await, Clerk::start(Duration::from_millis(1)).await);
    let config = one.provider("one", "limits = { concurrent = 1 }") + &two.provider("two", "");
    let gateway = Arc::new(Gateway::start(&config));
    let body = |who: &str| crate::harness::with(ask(who), json!({ "provider": { "order": ["one", "two"] } }));
    let first = {
        let (gateway, body) = (gateway.clone(), body("first"));
        tokio::spawn(async move { gateway.chat(&body).await })
    };
    while one.came().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = gateway.chat(&body("second")).await;
    assert_eq!((second.status, &second.json()["provider"]), (200, &json!("two")));
    assert!(!first.is_finished(), "it did not wait");
    assert_eq!(gateway.record(&second).await["slipswitch"]["queued_ms"], 0);
    assert_eq!(first.await.expect("no panic").json()["provider"], "one");
    // Where both are full, whichever is free first is taken.
    let (slow, quick) = (Clerk::start(Duration::from_secs(3)).await, Clerk::start(Duration::from_millis(200)).await);
    let limit = "limits = { concurrent = 1 }";
    let gateway = Arc::new(Gateway::start(&(slow.provider("one", limit) + &quick.provider("two", limit))));
    let asked: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|who| {
            let (gateway, body) = (gateway.clone(), body(who));
            tokio::spawn(async move { gateway.chat(&body).await })
        })
        .collect();
    let got = all(asked).await;
    assert!(got.iter().all(|got| got.status == 200));
    assert_eq!((slow.came().len(), quick.came().len()), (1, 2));
}

#[tokio::test]
async fn who_is_waited_for_goes_past_those_who_are_not_and_finds_room_kept() {
    let clerk = Clerk::start(Duration::from_millis(30)).await;
    let gateway = house("", &clerk, "limits = { concurrent = 5 }");
    let batch = key(&gateway, "batch").await;
    assert_eq!(gateway.chat(&ask("urgent")).await.status, 200, "there is such traffic");
    let queued: Vec<_> = (0..60).map(|_| asks(&gateway, &batch, "batch")).collect();
    waiting_some(&gateway).await;
    assert!(clerk.most() <= 4, "a fifth is left to the others: {}", clerk.most());
    for n in 0..5 {
        let (who, before) = (format!("urgent{n}"), clerk.came().len());
        assert_eq!(gateway.chat(&ask(&who)).await.status, 200);
        let at = clerk.came().iter().position(|other| *other == who).expect("served");
        assert!(at - before <= 5, "{}", at - before);
    }
    assert!(all(queued).await.iter().all(|got| got.status == 200), "nobody starves");
    assert!(clerk.most() <= 5);
}

async fn waiting_some(gateway: &Gateway) {
    for _ in 0..500 {
        if figure(gateway, "queue_length", "account", "batch").await > 20.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("they never waited");
}

#[tokio::test]
async fn a_line_before_an_account_has_an_end_too() {
    let clerk = Clerk::start(Duration::from_millis(1500)).await;
    let config = "[queue.interactive]\nlength = 1\nwait = \"300ms\"\n";
    let gateway = house(config, &clerk, "limits = { concurrent = 1 }");
    let first = asks(&gateway, KEY, "first");
    while clerk.came().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let second = asks(&gateway, KEY, "second");
    waiting(&gateway, "account", "interactive", 1).await;
    let told = gateway.post("/api/v1/explain", &ask("hello")).await.json();
    assert_eq!((&told["endpoints"][0]["verdict"], &told["queue"]["waits"]), (&json!("waits"), &json!(true)), "{told}");
    let third = gateway.chat(&ask("third")).await;
    assert_eq!(third.status, 429, "{}", third.text());
    let second = second.await.expect("no panic");
    assert_eq!(second.status, 429, "{}", second.text());
    assert!(second.text().contains("as long as interactive requests may"), "{}", second.text());
    assert!(began.elapsed() < Duration::from_millis(1400));
    assert!(!second.header("retry-after").is_empty() && !third.header("retry-after").is_empty());
    let record = gateway.record(&second).await;
    assert!(record["slipswitch"]["queued_ms"].as_u64().is_some_and(|ms| (290..1400).contains(&ms)), "{record}");
    assert_eq!(first.await.expect("no panic").status, 200);
    assert_eq!(clerk.came(), ["first"]);
}

#[tokio::test]
async fn who_hangs_up_before_an_account_leaves_nothing_behind() {
    let clerk = Clerk::start(Duration::from_millis(900)).await;
    let gateway = house("", &clerk, "limits = { concurrent = 1 }");
    let first = asks(&gateway, KEY, "first");
    while clerk.came().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let others: Vec<_> = (0..20).map(|_| asks(&gateway, KEY, "other")).collect();
    waiting(&gateway, "account", "interactive", 20).await;
    others.iter().for_each(tokio::task::JoinHandle::abort);
    waiting(&gateway, "account", "interactive", 0).await;
    assert_eq!(first.await.expect("no panic").status, 200);
    assert_eq!(gateway.chat(&ask("next")).await.status, 200);
    assert_eq!(clerk.came(), ["first", "next"]);
}

#[tokio::test]
async fn what_a_provider_says_is_left_is_kept_and_waited_for() {
    let window = Duration::from_millis(700);
    let clerk = Clerk::start(Duration::from_millis(5)).await.counts(5, window);
    let gateway = house("", &clerk, "");
    assert_eq!(gateway.chat(&ask("first")).await.status, 200, "and its answer says that four are left");
    let mut asked = Vec::new();
    for _ in 0..19 {
        asked.push(asks(&gateway, KEY, "hello"));
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    let got = all(asked).await;
    assert!(got.iter().all(|got| got.status == 200), "{:?}", got.iter().map(|got| got.status).collect::<Vec<_>>());
    // Two workers that look at the last one left at the same moment both take it; whoever is refused waits with the others.
    assert!(clerk.refused() <= 2, "{} came too early: {:?}", clerk.refused(), clerk.times());
    assert_eq!(clerk.came().len(), 20 + clerk.refused());
}

#[tokio::test]
async fn keys_of_one_provider_are_accounts_of_their_own() {
    let clerk = Clerk::start(Duration::from_millis(200)).await;
    let config = clerk
        .provider("desk", "limits = { concurrent = 1 }")
        .replace("key = \"upstream-key\"", "keys = [{ key = \"key-one\" }, { key = \"key-two\" }]");
    let gateway = Arc::new(Gateway::start(&config));
    let got = all((0..6).map(|_| asks(&gateway, KEY, "hello")).collect()).await;
    assert!(got.iter().all(|got| got.status == 200));
    assert_eq!((clerk.came().len(), clerk.most()), (6, 2));
}
