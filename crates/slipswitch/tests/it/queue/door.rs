//! At the door: `limits.max_concurrent` are inside.

use super::clerk::Clerk;
use super::{all, ask, asks, figure, house, key, waiting};
use crate::harness::KEY;
use bytes::Bytes;
use http::Method;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

const CHAT: &str = "/api/v1/chat/completions";

#[tokio::test]
async fn two_hundred_that_nobody_waits_for_are_gone_past_and_all_served() {
    const INSIDE: usize = 4;
    let clerk = Clerk::start(Duration::from_millis(20)).await;
    let gateway = house(&format!("[limits]\nmax_concurrent = {INSIDE}\n"), &clerk, "");
    let batch = key(&gateway, "batch").await;
    let queued: Vec<_> = (0..200).map(|_| asks(&gateway, &batch, "batch")).collect();
    while clerk.came().len() < 2 * INSIDE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut behind = Vec::new();
    for n in 0..20 {
        let (who, before) = (format!("urgent{n}"), clerk.came().len());
        let got = gateway.chat(&ask(&who)).await;
        assert_eq!(got.status, 200, "{}", got.text());
        let came = clerk.came();
        let at = came.iter().position(|other| *other == who).expect("it was served");
        behind.push(at - before);
    }
    let served_by_then = clerk.came().len();
    let got = all(queued).await;
    assert!(got.iter().all(|got| got.status == 200), "each of them is served");
    assert!(served_by_then < 200, "there were still some waiting");
    behind.sort_unstable();
    // What is inside is not sent away, and a request takes a moment to get to the door.
    assert!(behind[18] <= 2 * INSIDE, "others served between asking and being served: {behind:?}");
    assert!(clerk.most() <= INSIDE);
    let record = gateway.record_of(&batch, &got[199]).await;
    assert_eq!(record["slipswitch"]["priority"], "batch");
    assert!(record["slipswitch"]["queued_ms"].as_u64().is_some_and(|ms| ms > 100), "{record}");
    assert!(record["slipswitch"]["overhead_us"].as_u64().is_some_and(|us| us < 100_000), "waiting is no overhead");
}

#[tokio::test]
async fn who_has_waited_long_enough_gets_through_whatever_else_comes() {
    let clerk = Clerk::start(Duration::from_millis(5)).await;
    let config = "[limits]\nmax_concurrent = 1\n[queue.batch]\nages = \"100ms\"\n";
    let gateway = house(config, &clerk, "");
    let batch = key(&gateway, "batch").await;
    // Four that never pause are more than one at once.
    let restless: Vec<_> = (0..4)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                loop {
                    assert_eq!(gateway.chat(&ask("urgent")).await.status, 200);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let queued: Vec<_> = (0..10).map(|_| asks(&gateway, &batch, "batch")).collect();
    assert!(all(queued).await.iter().all(|got| got.status == 200));
    let came = clerk.came();
    assert!(restless.iter().all(|task| !task.is_finished()), "they never had to go without");
    restless.iter().for_each(tokio::task::JoinHandle::abort);
    let last = came.iter().rposition(|who| who == "batch").expect("served");
    let urgent = came[..last].iter().filter(|who| *who == "urgent").count();
    assert!(urgent >= 10, "and those who are waited for were served meanwhile: {urgent}");
}

#[tokio::test]
async fn a_line_has_an_end_and_so_has_waiting() {
    let clerk = Clerk::start(Duration::from_millis(1500)).await;
    let config = "[limits]\nmax_concurrent = 1\n[queue.interactive]\nlength = 1\nwait = \"300ms\"\n";
    let gateway = house(config, &clerk, "");
    let first = asks(&gateway, KEY, "first");
    while clerk.came().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    let second = asks(&gateway, KEY, "second");
    waiting(&gateway, "gateway", "interactive", 1).await;
    let third = gateway.chat(&ask("third")).await;
    assert_eq!((third.status, third.header("retry-after")), (503, "1"), "{}", third.text());
    assert_eq!(third.error()["metadata"]["reason"], "server_busy");
    let second = second.await.expect("no panic");
    let waited = began.elapsed();
    assert_eq!((second.status, second.header("retry-after")), (503, "2"), "{}", second.text());
    assert!(second.text().contains("as long as interactive requests may"), "{}", second.text());
    assert!(waited >= Duration::from_millis(290) && waited < Duration::from_millis(1400), "{waited:?}");
    assert_eq!(first.await.expect("no panic").status, 200);
    for (name, want) in [("queue_shed_total", 1.0), ("queue_expired_total", 1.0), ("queue_length", 0.0)] {
        assert_eq!(figure(&gateway, name, "gateway", "interactive").await, want, "{name}");
    }
    assert_eq!(gateway.chat(&ask("fourth")).await.status, 200, "and then there is room");
    assert_eq!(clerk.came(), ["first", "fourth"]);
}

#[tokio::test]
async fn who_hangs_up_while_it_waits_leaves_nothing_behind() {
    let clerk = Clerk::start(Duration::from_millis(1200)).await;
    let gateway = house("[limits]\nmax_concurrent = 1\n", &clerk, "");
    let first = asks(&gateway, KEY, "first");
    while clerk.came().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut callers = Vec::new();
    for n in 0..20 {
        let body = ask(&"word ".repeat(1 + n * 20)).to_string();
        let mut caller = TcpStream::connect(gateway.address).await.expect("the gateway listens");
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        caller.write_all(head.as_bytes()).await.expect("written");
        callers.push(caller);
    }
    waiting(&gateway, "gateway", "interactive", 20).await;
    drop(callers);
    waiting(&gateway, "gateway", "interactive", 0).await;
    assert!(!first.is_finished(), "it was noticed before it would have been their turn");
    assert_eq!(first.await.expect("no panic").status, 200);
    let began = Instant::now();
    assert_eq!(gateway.chat(&ask("next")).await.status, 200);
    assert!(began.elapsed() < Duration::from_millis(2300), "nobody stood before it");
    assert_eq!(clerk.came(), ["first", "next"]);
}

#[tokio::test]
async fn a_drain_sends_home_who_has_not_come_in() {
    let clerk = Clerk::start(Duration::from_millis(500)).await;
    let gateway = house("[limits]\nmax_concurrent = 1\n", &clerk, "");
    let first = asks(&gateway, KEY, "first");
    while clerk.came().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = asks(&gateway, KEY, "second");
    waiting(&gateway, "gateway", "interactive", 1).await;
    gateway.signal("TERM");
    let second = second.await.expect("no panic");
    assert_eq!(second.status, 503, "{}", second.text());
    assert!(second.text().contains("shutting down"), "{}", second.text());
    assert_eq!(first.await.expect("no panic").status, 200);
}

#[tokio::test]
async fn the_room_may_change_while_some_wait() {
    let clerk = Clerk::start(Duration::from_millis(400)).await;
    let gateway = house("[limits]\nmax_concurrent = 1\n", &clerk, "");
    let asked: Vec<_> = (0..6).map(|n| asks(&gateway, KEY, &format!("n{n}"))).collect();
    waiting(&gateway, "gateway", "interactive", 5).await;
    let config = std::fs::read_to_string(&gateway.config).expect("the configuration");
    std::fs::write(&gateway.config, config.replace("max_concurrent = 1", "max_concurrent = 9")).expect("written");
    gateway.signal("HUP");
    gateway.says("Reloaded in").await;
    assert!(all(asked).await.iter().all(|got| got.status == 200));
    assert!(clerk.most() > 1, "{}", clerk.most());
    let got = gateway.send(Method::GET, "/healthz", &[], Bytes::new()).await;
    assert_eq!(got.status, 200);
}
