//! Money is exact: what is admitted, what is held, what is settled, and what is left after a sudden end.

mod hangups;
mod kills;
mod limits;
mod nested;
mod races;
mod several;
mod shorter;

use crate::harness::{Gateway, Got, provider};
use http::Method;
use serde_json::{Value, json};
use slip_ir::Dialect;
use slip_sim::{Sim, SimConfig};

/// A provider of one model at this price, behind a gateway.
struct Lab {
    gateway: Gateway,
    sim: Sim,
}

/// Every request costs exactly a tenth of a cent's tenth.
const FLAT: &str = "price = { input = \"0\", output = \"0\", request = \"0.0001\" }";

impl Lab {
    async fn at(price: &str) -> Lab {
        Lab::with(price, SimConfig::default()).await
    }

    async fn with(price: &str, conf: SimConfig) -> Lab {
        Lab::with_config(price, conf, "").await
    }

    async fn with_config(price: &str, conf: SimConfig, config: &str) -> Lab {
        let sim = Sim::start(conf).await.expect("a socket");
        let lab = provider("lab", Dialect::OpenAiChat, &sim.base_url(), &["lab/one"]);
        let usual = "price = { input = \"2\", output = \"8\" }";
        assert!(lab.contains(usual), "{lab}");
        Lab { gateway: Gateway::start(&format!("{config}\n{}", lab.replace(usual, price))), sim }
    }

    /// A key with these members, its data and its secret.
    async fn key(&self, members: Value) -> Key {
        let body = crate::harness::with(json!({ "name": "k" }), members);
        let made = self.gateway.manage(Method::POST, "/api/v1/keys", body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let made = made.json();
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        Key { hash: text(&made["data"]["hash"]), secret: text(&made["key"]) }
    }

    async fn now(&self, key: &Key) -> Value {
        self.gateway.manage(Method::GET, &format!("/api/v1/keys/{}", key.hash), Value::Null).await.json()["data"]
            .clone()
    }

    /// Everything it used, in billionths of a dollar.
    async fn used(&self, key: &Key) -> i64 {
        nano(&self.now(key).await["usage"])
    }

    async fn chat(&self, key: &Key, over: Value) -> Got {
        self.gateway.chat_as(&key.secret, &ask(over)).await
    }
}

struct Key {
    hash: String,
    secret: String,
}

fn ask(over: Value) -> Value {
    let body = json!({ "model": "lab/one", "messages": [{ "role": "user", "content": "count to 3" }] });
    crate::harness::with(body, over)
}

fn nano(usd: &Value) -> i64 {
    (usd.as_f64().expect("an amount") * 1e9).round() as i64
}
