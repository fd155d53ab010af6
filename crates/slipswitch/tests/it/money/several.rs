//! Several gateways on one Postgres spend from the same limits: never more than they are, whoever dies, stops or is cut off.

use super::{FLAT, Key, ask, nano};
use crate::databases::proxy::Proxy;
use crate::databases::{PEPPER, Schema, soon, start};
use crate::harness::{Gateway, Got, KEY, provider, run, scratch};
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What one request costs, in billionths of a dollar.
const COST: i64 = 100_000;

struct Fleet {
    schema: Schema,
    sim: Sim,
    gateways: Vec<Gateway>,
}

fn config(sim: &Sim, limits: &str) -> String {
    let lab = provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one"]);
    let lab = lab.replace("price = { input = \"2\", output = \"8\" }", FLAT);
    format!("[limits]\n{limits}\n\n{lab}")
}

impl Fleet {
    /// So many gateways, of which the last may be cut off from the database.
    async fn of(name: &str, gateways: usize, limits: &str, proxy: Option<&mut Option<Proxy>>) -> Option<Fleet> {
        let schema = Schema::new(name).await?;
        let sim = Sim::start(SimConfig::default()).await.expect("a socket");
        let config = config(&sim, limits);
        let mut urls = vec![schema.url(); gateways];
        if let (Some(place), Some(last)) = (proxy, urls.last_mut()) {
            *last = schema.url_through(place.insert(Proxy::to(schema.host())));
        }
        let gateways = urls.iter().map(|url| start(&config, url)).collect();
        Some(Fleet { schema, sim, gateways })
    }

    /// A key with these members that every gateway knows.
    async fn key(&self, members: Value) -> Key {
        let body = crate::harness::with(json!({ "name": "k" }), members);
        let made = self.gateways[0].manage(Method::POST, "/api/v1/keys", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let key = Key { hash: text(&made["data"]["hash"]), secret: text(&made["key"]) };
        let path = format!("/api/v1/keys/{}", key.hash);
        for gateway in &self.gateways {
            soon("the key is known", async || gateway.manage(Method::GET, &path, Value::Null).await.status == 200)
                .await;
        }
        key
    }

    async fn chat(&self, gateway: usize, key: &Key) -> Got {
        self.gateways[gateway].chat_as(&key.secret, &ask(json!({}))).await
    }

    /// So many at once, spread over these gateways: how many of each status came of it.
    async fn rush(&self, over: &[usize], key: &Key, requests: usize, body: &Value) -> BTreeMap<u16, usize> {
        let mut all = JoinSet::new();
        for n in 0..requests {
            let address = self.gateways[over[n % over.len()]].address;
            let (secret, body) = (key.secret.clone(), ask(body.clone()));
            all.spawn(async move {
                let bearer = format!("Bearer {secret}");
                let headers = [("authorization", bearer.as_str())];
                let path = "/api/v1/chat/completions";
                crate::harness::send(address, Method::POST, path, &headers, body.to_string().into()).await
            });
        }
        let mut came = BTreeMap::new();
        while let Some(got) = all.join_next().await {
            let got = got.expect("an answer");
            assert!([200, 402, 429, 503].contains(&got.status), "{}: {}", got.status, got.text());
            assert!(got.status != 503 || !got.header("retry-after").is_empty(), "{}", got.text());
            *came.entry(got.status).or_default() += 1;
        }
        came
    }

    /// What everybody spent of a key, once it is all put away.
    async fn spent(&self, key: &Key, requests: i64) -> i64 {
        let began = Instant::now();
        let count = format!("SELECT count(*) FROM generations WHERE key_hash = '{}' AND status = 200", key.hash);
        while self.schema.number(&count).await < requests {
            assert!(began.elapsed() < Duration::from_secs(10), "{requests} records were put away");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let sum = format!("SELECT sum(nano)::bigint FROM usage WHERE grain = 'd' AND key_hash = '{}'", key.hash);
        self.schema.number(&sum).await
    }

    /// What is lent of a key's limit and not settled.
    async fn out(&self, key: &Key) -> i64 {
        let sum = "SELECT coalesce(sum(allowed - nano), 0)::bigint FROM leases";
        self.schema.number(&format!("{sum} WHERE scope = 'key {}'", key.hash)).await
    }

    /// The sums are what the records say, and budgets what the sums say.
    async fn is_sound(&self) {
        let said = run(&["verify-ledger", "--json"], &[("DATABASE_URL", &self.schema.url())]);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{}", said.out);
        let differ = "SELECT count(*) FROM budgets AS b WHERE span = 'total' AND scope LIKE 'key %' AND nano <> \
            (SELECT coalesce(sum(nano), 0) FROM usage AS u WHERE grain = 'd' AND u.key_hash = substr(b.scope, 5))";
        assert_eq!(self.schema.number(differ).await, 0);
    }

    async fn end(self) {
        drop(self.gateways);
        self.schema.end().await;
    }
}

fn good(came: &BTreeMap<u16, usize>) -> usize {
    came.get(&200).copied().unwrap_or(0)
}

#[tokio::test]
async fn of_a_cent_three_gateways_spend_a_cent() {
    let Some(fleet) = Fleet::of("cent", 3, "lease = '60s'", None).await else { return };
    for (stream, reset) in [(false, "daily"), (true, "monthly")] {
        let key = fleet.key(json!({ "limit": 0.01, "limit_reset": reset })).await;
        let before = fleet.sim.journal().total();
        let began = Instant::now();
        let came = fleet.rush(&[0, 1, 2], &key, 1000, &json!({ "stream": stream })).await;
        println!("stream {stream}: {came:?} in {:?}", began.elapsed());
        assert!((95..=100).contains(&good(&came)), "{came:?}");
        assert_eq!(fleet.sim.journal().total() - before, good(&came) as u64, "nobody was asked for those refused");
        assert_eq!(fleet.spent(&key, good(&came) as i64).await, good(&came) as i64 * COST);
        // Whoever comes now finds what was left, if anything was, and then is told that the limit is reached, by each of them.
        let mut all = good(&came);
        for gateway in [0, 1, 2, 0, 1, 2] {
            let mut got = fleet.chat(gateway, &key).await;
            while got.status == 200 {
                all += 1;
                got = fleet.chat(gateway, &key).await;
            }
            assert_eq!(got.status, 402, "{}", got.text());
            assert!(got.text().contains(&format!("the {reset} limit of this key does not afford")), "{}", got.text());
            assert!(got.text().contains("of $0.01 "), "{}", got.text());
        }
        assert_eq!(all, 100, "every last one of them");
        fleet.spent(&key, 100).await;
        for gateway in &fleet.gateways {
            let now = gateway.manage(Method::GET, &format!("/api/v1/keys/{}", key.hash), Value::Null).await.json();
            let told = (nano(&now["data"]["usage"]), nano(&now["data"]["limit_remaining"]));
            assert_eq!(told, (100 * COST, 0), "whichever is asked");
        }
        // More is allowed, and had at once where that was said.
        let path = format!("/api/v1/keys/{}", key.hash);
        let raised = fleet.gateways[0].manage(Method::PATCH, &path, json!({ "limit": 0.0102 })).await;
        assert_eq!(raised.status, 200);
        assert_eq!(good(&fleet.rush(&[0], &key, 5, &json!({})).await), 2);
    }
    fleet.is_sound().await;
    fleet.end().await;
}

/// One of two keys could spend all that the installation may, the other half of it.
#[tokio::test]
async fn limits_lie_in_one_another_wherever_they_are_spent() {
    let Some(fleet) = Fleet::of("nested", 3, "daily_usd = '0.01'", None).await else { return };
    let keys = [fleet.key(json!({ "limit": 0.01 })).await, fleet.key(json!({ "limit": 0.005 })).await];
    let none = json!({});
    let (one, other) =
        tokio::join!(fleet.rush(&[0, 1, 2], &keys[0], 150, &none), fleet.rush(&[0, 1, 2], &keys[1], 150, &none),);
    assert!(good(&other) <= 50 && good(&one) + good(&other) <= 100, "{one:?} {other:?}");
    let rest = drain(&fleet, &[0, 1, 2], &keys[0]).await;
    assert_eq!(good(&one) + good(&other) + rest, 100, "{one:?} {other:?}");
    let got = fleet.chat(1, &keys[0]).await;
    assert!(got.status == 402 && got.text().contains("the daily limit of this installation"), "{}", got.text());
    fleet.is_sound().await;
    fleet.end().await;
}

/// Ask one after the other until the limit is reached. What cannot be said yet is asked again.
async fn drain(fleet: &Fleet, gateways: &[usize], key: &Key) -> usize {
    let (began, mut served) = (Instant::now(), 0);
    for gateway in gateways.iter().cycle() {
        let got = fleet.chat(*gateway, key).await;
        match got.status {
            200 => served += 1,
            402 => break,
            503 => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => panic!("{}: {}", got.status, got.text()),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the limit was never reached: {served}");
    }
    served
}

#[tokio::test]
async fn what_was_lent_to_a_gateway_that_was_killed_is_had_by_the_others() {
    let Some(mut fleet) = Fleet::of("killed", 3, "lease = '3s'", None).await else { return };
    let key = fleet.key(json!({ "limit": 0.01 })).await;
    for gateway in [0, 1, 2, 2, 2] {
        assert_eq!(fleet.chat(gateway, &key).await.status, 200);
    }
    fleet.spent(&key, 5).await;
    assert!(fleet.out(&key).await > COST, "something is lent and not spent");
    let killed = fleet.gateways.pop().expect("three");
    let (dir, kept) = (scratch(), killed.dir.join("data"));
    killed.signal("KILL");
    let began = Instant::now();
    let copied = std::process::Command::new("cp").arg("-r").arg(&kept).arg(&dir).status();
    assert!(copied.is_ok_and(|status| status.success()));
    drop(killed);
    assert_eq!(5 + drain(&fleet, &[0, 1], &key).await, 100, "all of it");
    let took = began.elapsed();
    assert!(Duration::from_secs(2) < took && took < Duration::from_secs(20), "{took:?}");
    assert_eq!(fleet.spent(&key, 100).await, 100 * COST);
    // Started again it has nothing of what it had, and everybody may have what is new.
    let url = fleet.schema.url();
    let env = [("SLIPSWITCH_DATABASE_URL", url.as_str()), ("SLIPSWITCH_PEPPER", PEPPER)];
    fleet
        .gateways
        .push(Gateway::try_start_there(dir, &config(&fleet.sim, "lease = '3s'"), &env).expect("starts again"));
    assert_eq!(fleet.chat(2, &key).await.status, 402);
    let path = format!("/api/v1/keys/{}", key.hash);
    assert_eq!(fleet.gateways[2].manage(Method::PATCH, &path, json!({ "limit": 0.011 })).await.status, 200);
    assert_eq!(good(&fleet.rush(&[2], &key, 20, &json!({})).await), 10);
    fleet.is_sound().await;
    fleet.end().await;
}

#[tokio::test]
async fn a_gateway_that_was_stopped_spends_nothing_of_what_it_had() {
    let Some(fleet) = Fleet::of("stopped", 2, "lease = '2s'", None).await else { return };
    let key = fleet.key(json!({ "limit": 0.01 })).await;
    for gateway in [0, 1] {
        assert_eq!(fleet.chat(gateway, &key).await.status, 200);
    }
    fleet.spent(&key, 2).await;
    fleet.gateways[1].signal("STOP");
    // Already at its door, and the first thing it sees when it goes on.
    let plain = json!({});
    let waiting = fleet.rush(&[1], &key, 20, &plain);
    let others = async {
        let served = drain(&fleet, &[0], &key).await;
        fleet.gateways[1].signal("CONT");
        served
    };
    let (came, served) = tokio::join!(waiting, others);
    assert_eq!((good(&came), 2 + served), (0, 100), "{came:?}");
    fleet.gateways[1].says("it begins anew").await;
    assert_eq!(fleet.chat(1, &key).await.status, 402);
    assert_eq!(fleet.spent(&key, 100).await, 100 * COST);
    fleet.is_sound().await;
    fleet.end().await;
}

#[tokio::test]
async fn without_the_database_a_budget_is_spent_as_far_as_it_is_lent_and_nobody_is_told_it_is_reached() {
    let mut proxy = None;
    let Some(fleet) = Fleet::of("lent", 2, "lease = '4s'", Some(&mut proxy)).await else { return };
    let proxy = proxy.expect("a proxy");
    let key = fleet.key(json!({ "limit": 1.0 })).await;
    assert_eq!(fleet.chat(1, &key).await.status, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    proxy.cut();
    let (began, mut served) = (Instant::now(), 1);
    // A lease lasts, and then nobody can say.
    let refused = loop {
        let got = fleet.chat(1, &key).await;
        if got.status != 200 {
            break got;
        }
        served += 1;
        assert!(began.elapsed() < Duration::from_secs(8), "it went on and on");
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}: {}", began.elapsed(), refused.text());
    assert_eq!((refused.status, refused.header("retry-after").is_empty()), (503, false), "{}", refused.text());
    let free = fleet.gateways[1].chat_as(KEY, &ask(json!({}))).await;
    assert_eq!(free.status, 200, "who has no limit needs no lease: {}", free.text());
    assert_eq!(fleet.chat(0, &key).await.status, 200, "nor is anybody else concerned");
    proxy.mend();
    let mended = Instant::now();
    while fleet.chat(1, &key).await.status != 200 {
        // It leaves a database alone for up to five seconds that it could not reach.
        assert!(mended.elapsed() < Duration::from_secs(10), "it is lent again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(fleet.spent(&key, served + 2).await, (served + 2) * COST);
    fleet.is_sound().await;
    fleet.end().await;
}

#[tokio::test]
async fn limits_by_the_minute_are_divided_and_what_is_left_is_given_back_at_the_end() {
    let Some(mut fleet) = Fleet::of("divided", 3, "lease = '60s'", None).await else { return };
    let key = fleet.key(json!({ "limit": 0.01, "requests_per_minute": 30 })).await;
    // They hear of each other with their rounds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let came = fleet.rush(&[0, 1, 2], &key, 90, &json!({})).await;
    assert_eq!(good(&came), 30, "{came:?}");
    assert!(fleet.out(&key).await > 0);
    for mut gateway in fleet.gateways.drain(..) {
        gateway.signal("TERM");
        assert_eq!(gateway.wait(Duration::from_secs(20)), Some(0), "{}", gateway.said());
    }
    let rows = "SELECT (SELECT count(*) FROM leases) + (SELECT count(*) FROM gateways)";
    assert_eq!(fleet.schema.number(rows).await, 0, "nothing is left behind");
    fleet.end().await;
}
