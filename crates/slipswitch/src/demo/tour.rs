//! Five requests that show what the gateway does. Every figure printed was measured by this run.

use crate::client::Client;
use crate::exit::{Code, Ending};
use crate::ground::Ground;
use anstream::println;
use serde_json::{Value, json};
use slip_server::clock;
use slip_sim::Fault;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// What one request came to, by our own clock and by the gateway's record of it.
struct Seen {
    status: u16,
    ms: f64,
    text: String,
    record: Value,
}

pub async fn tour(root: &str, key: &str, ground: &Ground) -> Result<(), Ending> {
    let client = Client::new(root, key).map_err(broke)?;
    let flaky = ground.sim("flaky").ok_or_else(|| broke("the demo has no provider named flaky"))?;
    let usual = flaky.config().fault.clone();
    let set = |mode: Option<&str>| {
        let fault = mode.and_then(|m| Fault::parse(m).ok());
        flaky.set_fault(fault);
    };
    let ask = |text: &str, more: Value| {
        let mut body = json!({ "model": "demo/echo", "messages": [{ "role": "user", "content": text }] });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        body
    };
    let mut overheads = Vec::new();

    let plain = chat(&client, ask("hello", json!({ "provider": { "order": ["swift"] } }))).await?;
    say(1, "plain request", &format!("demo/echo → {}", plain.path()), &plain, &mut overheads, "");

    let cheap = chat(&client, ask("hello", json!({ "provider": { "sort": "price" } }))).await?;
    let saved = match (plain.cost(), cheap.cost()) {
        (Some(dear), Some(cheap)) if dear > 0.0 => format!("{:+.0} %", (cheap / dear - 1.0) * 100.0),
        _ => String::new(),
    };
    say(2, "sort by price", &format!("provider.sort=price → {}", cheap.path()), &cheap, &mut overheads, &saved);

    set(Some("status:503"));
    let order = json!({ "provider": { "order": ["flaky", "swift"] } });
    let fallback = chat(&client, ask("hello", order)).await?;
    let tries = format!("{} attempts", fallback.attempts().len());
    say(3, "fallback", &fallback.path(), &fallback, &mut overheads, &tries);

    set(Some("cut:12"));
    let only = json!({ "stream": true, "provider": { "only": ["flaky"] } });
    let cut = chat(&client, ask("count to 40", only)).await?;
    flaky.set_fault(usual);
    println!(
        "4/5 stream, cut mid-way    flaky cut after about {} tokens → finish_reason={}, not retried (tokens were already sent)",
        cut.record["tokens_completion"],
        cut.finish()
    );
    println!("                           what was delivered is what is charged: {}", cut.money());

    let again = json!({ "provider": { "order": ["swift"] } });
    let first = chat(&client, ask("the same question", again.clone())).await?;
    let second = chat(&client, ask("the same question", again)).await?;
    let same = if first.text == second.text { "same answer" } else { "another answer" };
    println!(
        "5/5 same prompt twice      {:.0} ms, then {:.0} ms → {same}           {}   {} + {}",
        first.ms,
        second.ms,
        second.status,
        first.money(),
        second.money()
    );
    for seen in [&cut, &first, &second] {
        overheads.extend(seen.overhead());
    }
    overheads.sort_unstable();
    let ms = |us: Option<&u64>| us.map_or(f64::NAN, |n| *n as f64 / 1000.0);
    println!(
        "    gateway overhead       p50 {:.2} ms   max {:.2} ms   over {} requests\n",
        ms(overheads.get(overheads.len() / 2)),
        ms(overheads.last()),
        overheads.len()
    );
    Ok(())
}

fn say(n: u8, what: &str, path: &str, seen: &Seen, overheads: &mut Vec<u64>, note: &str) {
    println!("{n}/5 {what:<22} {path:<36} {}  {:>4.0} ms   {}   {note}", seen.status, seen.ms, seen.money());
    overheads.extend(seen.overhead());
}

fn broke(what: impl std::fmt::Display) -> Ending {
    Ending::new(Code::Failure, format!("error: the tour stopped: {what}"))
}

impl Seen {
    fn attempts(&self) -> Vec<Value> {
        self.record["provider_responses"].as_array().cloned().unwrap_or_default()
    }

    /// `flaky 503 (41 ms) → swift`
    fn path(&self) -> String {
        let step = |a: &Value| {
            let name = a["provider_name"].as_str().unwrap_or("?").to_lowercase();
            match (&a["error"], &a["status"]) {
                (Value::Null, _) => name,
                (_, Value::Number(status)) => format!("{name} {status} ({} ms)", a["latency"]),
                (error, _) => format!("{name} {} ({} ms)", error.as_str().unwrap_or("failed"), a["latency"]),
            }
        };
        self.attempts().iter().map(step).collect::<Vec<_>>().join(" → ")
    }

    fn cost(&self) -> Option<f64> {
        self.record["total_cost"].as_f64()
    }

    fn money(&self) -> String {
        self.cost().map_or_else(|| "$?".to_owned(), |c| format!("${c:.6}"))
    }

    fn finish(&self) -> &str {
        if self.text.contains("\"finish_reason\":\"error\"") {
            "error"
        } else {
            self.record["finish_reason"].as_str().unwrap_or("none")
        }
    }

    fn overhead(&self) -> Option<u64> {
        self.record["slipswitch"]["overhead_us"].as_u64()
    }
}

async fn chat(client: &Client, body: Value) -> Result<Seen, Ending> {
    let began = clock::now();
    let answer = client.post("/api/v1/chat/completions", body.to_string(), PATIENCE).await.map_err(broke)?;
    let ms = clock::now().duration_since(began).as_secs_f64() * 1000.0;
    let id = answer.headers.get("x-generation-id").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let whole = String::from_utf8_lossy(&answer.body).into_owned();
    let text = match serde_json::from_str::<Value>(&whole) {
        Ok(reply) => reply["choices"][0]["message"]["content"].as_str().unwrap_or(&whole).to_owned(),
        Err(_) => whole,
    };
    let path = format!("/api/v1/generation?id={id}");
    let record = client.get(&path, PATIENCE).await.and_then(|answer| answer.json()).map_err(broke)?;
    Ok(Seen { status: answer.status, ms, text, record: record["data"].clone() })
}
