//! What a batch of records costs with Postgres: through the store, and row by row as one would write it at first. Needs
//! SLIPSWITCH_TEST_PG, and leaves nothing there. `cargo xtask postgres -- cargo bench -p slip-store --bench postgres`

use slip_ir::{Nano, Usage};
use slip_store::{CAPACITY, DatabaseUrl, Generation, Place, Store};
use tokio::time::Instant;
use tokio_postgres::NoTls;

const RECORDS: usize = 20_000;
const SCHEMA: &str = "slip_bench";

fn main() -> anyhow::Result<()> {
    let Some((_, server)) = std::env::vars().find(|(name, _)| name == "SLIPSWITCH_TEST_PG") else {
        println!("skipped: SLIPSWITCH_TEST_PG names no Postgres");
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&server, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")).await?;
        let dir = std::env::temp_dir().join(format!("slip-bench-{}", std::process::id()));
        let joint = if server.contains('?') { '&' } else { '?' };
        let url = DatabaseUrl::parse(&format!("{server}{joint}options=-csearch_path%3D{SCHEMA}"));
        let url = url.map_err(anyhow::Error::msg)?;
        let store = Store::open(Place::Postgres { url, dir: dir.clone(), pepper: None }, None)?;

        let began = Instant::now();
        for n in 0..RECORDS {
            while store.ledger().backlog() > CAPACITY / 2 {
                tokio::task::yield_now().await;
            }
            store.ledger().reserve(None)?.write(record(n));
        }
        store.flush().await?;
        let batched = began.elapsed();
        store.close().await?;

        client.batch_execute(&format!("SET search_path = {SCHEMA}; TRUNCATE generations, usage")).await?;
        let put = client.prepare(include_str!("../queries/generation_put.sql")).await?;
        let add = client.prepare(include_str!("../queries/usage_add.sql")).await?;
        let few = RECORDS / 10;
        let began = Instant::now();
        for from in (0..few).step_by(500) {
            client.batch_execute("BEGIN").await?;
            for n in from..from + 500 {
                let g = record(n);
                let (detail, status) = (serde_json::to_string(&g)?, i32::from(g.status));
                let (key, model, provider) = (g.key_hash.as_deref(), &*g.model, &*g.provider_slug);
                let workspace = &*g.workspace;
                let row: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
                    [&g.id, &g.created_ms, &key, &model, &provider, &status, &g.cost.0, &workspace, &detail];
                client.execute(&put, &row).await?;
            }
            // Sums are few: they are added up here as the store does it.
            for (grain, at) in [("h", 0i64), ("d", 0)] {
                let (text, one) = ("", 1i64);
                let row: [&(dyn tokio_postgres::types::ToSql + Sync); 19] = [
                    &grain, &at, &text, &text, &text, &text, &text, &one, &one, &one, &one, &one, &one, &one, &one,
                    &one, &one, &one, &one,
                ];
                client.execute(&add, &row).await?;
            }
            client.batch_execute("COMMIT").await?;
        }
        let one_by_one = began.elapsed();
        client.batch_execute(&format!("DROP SCHEMA {SCHEMA} CASCADE")).await?;
        let _ = std::fs::remove_dir_all(dir);
        let pace = |rows: usize, took: std::time::Duration| rows as f64 / took.as_secs_f64();
        println!("a column at a time: {:.0} rows/s", pace(RECORDS, batched));
        println!("row by row:         {:.0} rows/s", pace(few, one_by_one));
        Ok(())
    })
}

fn record(n: usize) -> Generation {
    Generation {
        id: format!("gen-1795392000-{n:020}"),
        created_ms: 1_795_392_000_000 + n as i64,
        key_hash: Some("f34b4ca80f526c5b9e3391dcd44a6b1dbe8cf1eb16ea2f2ee91d82115551aa9e".into()),
        model: "lab/model-1".into(),
        provider_slug: "lab".into(),
        provider_name: "The Lab".into(),
        status: 200,
        cost: Nano(61_500),
        cost_known: true,
        model_requested: "lab/model-1".into(),
        dialect_in: "openai-chat",
        dialect_out: "openai-chat",
        tokens: Usage { input: 10, output: 100, ..Usage::default() },
        upstream_id: Some("chatcmpl-0123456789".into()),
        lens: "patched",
        ..Generation::default()
    }
}
