//! What a record costs on its way to disk: CPU microseconds of the writer's thread per record, at a busy gateway's pace. Takes a
//! directory to write to (default: below the system's temporary directory) and prints the best of five.

#![allow(clippy::disallowed_methods, reason = "a bench may look around")]

use slip_ir::{Nano, Usage};
use slip_store::{Attempt, Generation, Place, Store};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const RECORDS: usize = 60_000;
/// Per millisecond.
const PACE: usize = 15;

fn main() -> anyhow::Result<()> {
    let base = std::env::args().nth(1).filter(|a| !a.starts_with('-')).map_or_else(std::env::temp_dir, Into::into);
    let dir = base.join(format!("slip-ledger-bench-{}", std::process::id()));
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        best = best.min(round(&dir)?);
    }
    println!("{best:.2} µs of CPU per record");
    Ok(())
}

fn round(dir: &Path) -> anyhow::Result<f64> {
    let store = Store::open(Place::Dir(dir.to_owned()), None)?;
    let ledger = store.ledger();
    let mut dice = 0x2545_f491_4f6c_dd1du64;
    let before = cpu_us()?;
    for n in 0..RECORDS {
        let record = record(now_ms()?, &mut dice);
        while ledger.backlog() > slip_store::CAPACITY / 2 {
            sleep(Duration::from_millis(1));
        }
        ledger.reserve(None)?.write(record);
        if n % PACE == 0 {
            sleep(Duration::from_millis(1));
        }
    }
    tokio::runtime::Builder::new_current_thread().build()?.block_on(store.flush())?;
    let spent = cpu_us()? - before;
    let size = std::fs::metadata(dir.join("slipswitch.db"))?.len();
    drop((store, ledger));
    sleep(Duration::from_millis(300));
    std::fs::remove_dir_all(dir)?;
    println!("{:.2} µs, {} bytes a record", spent / RECORDS as f64, size / RECORDS as u64);
    Ok(spent / RECORDS as f64)
}

/// Like those of a plain chat through one provider.
fn record(now_ms: u64, dice: &mut u64) -> Generation {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut letter = |_| {
        *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(*dice >> 40) as usize % LETTERS.len()])
    };
    let ms = (now_ms % 1000) as usize;
    let tail: String =
        [ms / 62, ms % 62].map(|n| char::from(LETTERS[n])).into_iter().chain((0..18).map(&mut letter)).collect();
    Generation {
        id: format!("gen-{}-{tail}", now_ms / 1000),
        created_ms: now_ms as i64,
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
        native_finish: Some("stop".into()),
        ttft_ms: Some(1),
        total_ms: 1,
        overhead_us: 6,
        tokens: Usage { input: 10, output: 100, ..Usage::default() },
        attempts: vec![Attempt {
            endpoint: "lab".into(),
            provider: "The Lab".into(),
            model: "model-1".into(),
            status: Some(200),
            latency_ms: 1,
            upstream_id: Some("chatcmpl-0123456789".into()),
            ..Attempt::default()
        }],
        upstream_id: Some("chatcmpl-0123456789".into()),
        lens: "patched",
        ..Generation::default()
    }
}

fn now_ms() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64)
}

fn cpu_us() -> anyhow::Result<f64> {
    let mut ns = 0u64;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim_end() != "slip-ledger" {
            continue;
        }
        let text = std::fs::read_to_string(task.join("schedstat"))?;
        ns += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(ns as f64 / 1e3)
}
