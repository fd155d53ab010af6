//! Callers who leave in the middle: afterwards nothing is held, and the ledger says what the provider says.

use super::{Lab, ask, nano};
use serde_json::json;
use slip_sim::SimConfig;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

const STREAMS: usize = 1000;

#[tokio::test]
async fn a_thousand_streams_with_hang_ups_leave_nothing_held() {
    let conf = SimConfig { tokens_per_second: 500.0, ..SimConfig::default() };
    let lab = Lab::with("price = { input = \"1\", output = \"10\" }", conf).await;
    let key = lab.key(json!({ "limit": 1000 })).await;
    let mut all = JoinSet::new();
    for n in 0..STREAMS {
        let (address, secret) = (lab.gateway.address, key.secret.clone());
        let words = format!("count to {}", 5 + n % 40);
        let body = ask(json!({ "stream": true, "messages": [{ "role": "user", "content": words }] })).to_string();
        all.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("the gateway listens");
            let head = format!(
                "POST /api/v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.expect("sent");
            stream.write_all(body.as_bytes()).await.expect("sent");
            // Some read to the end, most leave after a while.
            let most = if n % 4 == 0 { usize::MAX } else { 1 + n * 37 % 6000 };
            let (mut read, mut piece) = (0, [0; 512]);
            while read < most {
                match stream.read(&mut piece).await {
                    Ok(n) if n > 0 => read += n,
                    _ => break,
                }
            }
        });
        if n % 50 == 49 {
            while all.join_next().await.is_some() {}
        }
    }
    while all.join_next().await.is_some() {}
    let mut now = lab.now(&key).await;
    for _ in 0..100 {
        if nano(&now["limit_held"]) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        now = lab.now(&key).await;
    }
    assert_eq!(nano(&now["limit_held"]), 0, "{now}");
    assert_eq!(lab.sim.journal().total(), STREAMS as u64);
    // The key is worth what its records say, and all of them are there.
    let path = format!("/api/v1/activity?api_key_hash={}", key.hash);
    let day = lab.gateway.manage(http::Method::GET, &path, json!(null)).await.json();
    let row = &day["data"][0];
    assert_eq!((row["requests"].as_u64(), nano(&row["usage"])), (Some(STREAMS as u64), nano(&now["usage"])), "{day}");
    assert_eq!(lab.chat(&key, json!({})).await.status, 200, "and the key goes on");
}
