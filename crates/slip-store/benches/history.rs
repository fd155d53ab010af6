//! How long questions about the past take when there is much of it: builds a database of so many generations (default a million) and
//! times what people ask. `cargo bench -p slip-store --bench history [-- COUNT [DIRECTORY]]`; a directory that is given is kept, and
//! found again.

#![allow(clippy::disallowed_methods, reason = "a bench may look around")]

use slip_ir::{Nano, Usage};
use slip_store::{Attempt, Between, CAPACITY, Generation, Grain, Page, Place, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

const COUNT: usize = 1_000_000;
/// Over so many days, the last of which is 2026-11-28.
const DAYS: i64 = 90;
const LAST_DAY: i64 = 20_785;
const DAY_MS: i64 = 86_400_000;
/// A middling organisation: what is summed grows with these, not with the number of requests.
const KEYS: usize = 200;
const MODELS: usize = 12;
const PROVIDERS: usize = 4;
/// The same question is asked so often; the slowest and the middle are told.
const TIMES: usize = 15;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1).filter(|a| !a.starts_with('-'));
    let count = args.next().map_or(Ok(COUNT), |text| text.replace('_', "").parse())?;
    let kept = args.next().map(PathBuf::from);
    let dir = kept.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("slip-history-{}", std::process::id())));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    if !dir.join("slipswitch.db").exists() {
        build(&dir, count, &runtime)?;
    }
    runtime.block_on(ask(&dir))?;
    if kept.is_none() {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn build(dir: &Path, count: usize, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    let began = Instant::now();
    let store = Store::open(Place::Dir(dir.to_owned()), None)?;
    let ledger = store.ledger();
    let names = Names::new();
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for n in 0..count {
        while ledger.backlog() > CAPACITY / 2 {
            sleep(Duration::from_millis(1));
        }
        ledger.reserve(None)?.write(names.record(n, count, &mut dice));
    }
    drop(ledger);
    runtime.block_on(store.close())?;
    let size = std::fs::metadata(dir.join("slipswitch.db"))?.len();
    println!("{count} generations in {:.0} s, {} MB", began.elapsed().as_secs_f64(), size / 1_000_000);
    Ok(())
}

async fn ask(dir: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    let store = Store::open(Place::Dir(dir.to_owned()), None)?;
    println!("opened, running totals and all, in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    let (newest, names) = (store.page(Page { most: 1, ..Page::default() }).await?, Names::new());
    let middle = newest.first().map_or(0, |(place, _)| place / 2);
    let key = names.keys[KEYS / 3].to_string();
    let days = |key_hash: Option<&str>, days: i64| Between {
        grain: Grain::Day,
        from: LAST_DAY + 1 - days,
        to: LAST_DAY + 1,
        key_hash: key_hash.map(str::to_owned),
        workspace: None,
    };
    let hours = Between { grain: Grain::Hour, from: (LAST_DAY - 6) * 24, to: (LAST_DAY + 1) * 24, ..days(None, 1) };
    let page = |before, key_hash: Option<&str>| Page { before, key_hash: key_hash.map(str::to_owned), most: 100 };

    println!("\n{:<44} {:>9} {:>9} {:>9}", "question", "rows", "middle", "slowest");
    for (what, asked) in [
        ("/activity: 30 days, everything", days(None, 30)),
        ("90 days, everything", days(None, DAYS)),
        ("7 days by the hour, everything", hours),
        ("a key's usage, 30 days", days(Some(&key), 30)),
        ("a key's usage, 90 days", days(Some(&key), DAYS)),
    ] {
        time(what, async || Ok(store.used(asked.clone()).await?.len())).await?;
    }
    for (what, asked) in [
        ("the newest page of the log", page(None, None)),
        ("a page from the middle of the log", page(Some(middle), None)),
        ("the newest page of one key", page(None, Some(&key))),
        ("a page of one key from the middle", page(Some(middle), Some(&key))),
        ("the page of a key that used nothing", page(None, Some("nobody"))),
    ] {
        time(what, async || Ok(store.page(asked.clone()).await?.len())).await?;
    }
    let found = store.page(page(Some(middle), None)).await?;
    let ids: Vec<&str> = found.iter().map(|(_, record)| record.id.as_str()).collect();
    let mut next = ids.iter().cycle();
    time("one record by its id", async || {
        let id = next.next().copied().unwrap_or_default();
        Ok(usize::from(store.generation(id).await?.is_some()))
    })
    .await?;
    Ok(store.close().await?)
}

async fn time(what: &str, mut question: impl AsyncFnMut() -> anyhow::Result<usize>) -> anyhow::Result<()> {
    let (mut took, mut rows) = (Vec::with_capacity(TIMES), 0);
    for _ in 0..TIMES {
        let began = Instant::now();
        rows = question().await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    println!("{what:<44} {rows:>9} {:>6.1} ms {:>6.1} ms", took[TIMES / 2], took[TIMES - 1]);
    Ok(())
}

/// A small generator of our own: the same database each time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    /// Some are used far more than others.
    fn skewed(&mut self, below: usize) -> usize {
        self.throw(below).min(self.throw(below))
    }
}

struct Names {
    keys: Vec<Arc<str>>,
    models: Vec<Arc<str>>,
    providers: Vec<Arc<str>>,
}

impl Names {
    fn new() -> Names {
        let names = |count: usize, name: fn(usize) -> String| (0..count).map(|n| name(n).into()).collect();
        Names {
            keys: names(KEYS, |n| format!("{n:064x}")),
            models: names(MODELS, |n| format!("author-{}/model-{n}", n % 5)),
            providers: names(PROVIDERS, |n| format!("provider-{n}")),
        }
    }

    /// Like those of a plain chat through one provider.
    fn record(&self, n: usize, count: usize, dice: &mut Dice) -> Generation {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let since = (n as i128 * i128::from(DAYS * DAY_MS) / count as i128) as i64;
        let at = (LAST_DAY + 1 - DAYS) * DAY_MS + since;
        let ms = (at % 1000) as usize;
        let tail = (0..18).map(|_| LETTERS[dice.throw(62)]);
        let tail: String = [LETTERS[ms / 62], LETTERS[ms % 62]].into_iter().chain(tail).map(char::from).collect();
        let (key, provider) = (dice.skewed(KEYS), dice.skewed(PROVIDERS));
        // A key is used for a few models.
        let model = (key + dice.skewed(3)) % MODELS;
        let name: Arc<str> = self.providers[provider].clone();
        let (input, output) = (200 + dice.throw(4000) as u64, 20 + dice.throw(800) as u64);
        Generation {
            id: format!("gen-{}-{tail}", at / 1000),
            created_ms: at,
            key_hash: Some(self.keys[key].clone()),
            workspace: "default".into(),
            model: self.models[model].clone(),
            provider_slug: name.clone(),
            provider_name: name.clone(),
            status: if dice.throw(50) == 0 { 502 } else { 200 },
            cost: Nano(input as i64 * 2000 + output as i64 * 8000),
            cost_known: true,
            model_requested: self.models[model].to_string(),
            dialect_in: "openai-chat",
            dialect_out: "openai-chat",
            streamed: true,
            native_finish: Some("stop".into()),
            ttft_ms: Some(100 + dice.throw(900) as u64),
            total_ms: 1000 + dice.throw(9000) as u64,
            overhead_us: 60,
            tokens: Usage { input, output, ..Usage::default() },
            attempts: vec![Attempt {
                endpoint: name.clone(),
                provider: name,
                model: self.models[model].clone(),
                status: Some(200),
                latency_ms: 400,
                upstream_id: Some("chatcmpl-0123456789".into()),
                ..Attempt::default()
            }],
            upstream_id: Some("chatcmpl-0123456789".into()),
            strategy: "expected-cost".into(),
            chosen_by: "default".into(),
            lens: "patched",
            ..Generation::default()
        }
    }
}
