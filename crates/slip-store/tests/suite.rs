//! What every kind of store must do: one suite, run in memory, on disk and in Postgres. What only a directory can do follows.

#[path = "suite/postgres.rs"]
mod postgres;
#[path = "suite/provider_keys.rs"]
mod provider_keys;
#[path = "suite/proxy.rs"]
mod proxy;
#[path = "suite/upkeep.rs"]
mod upkeep;

use serde_json::json;
use slip_ir::{Finish, Nano, Tier, Usage};
use slip_store::{
    Attempt, Between, CAPACITY, Charged, Classes, Content, Error, Failure, Full, Generation, Grain, KeyDetail, KeyKind,
    Kind, NewKey, Page, Place, Reset, Ruled, ScopeId, SecretKey, Store, Sums, Thing, day_of,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// 2026-11-23, a Monday.
const NOW: i64 = 1_795_392_000_000;

/// A directory of this test's own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        Scratch(dir)
    }

    fn open(&self) -> Result<Store, Error> {
        Store::open(Place::Dir(self.0.clone()), None)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn record(number: usize) -> Generation {
    Generation {
        id: format!("gen-{}-{number:020}", NOW / 1000),
        created_ms: NOW,
        key_hash: Some("key-one".into()),
        model: "house/one".into(),
        provider_slug: "lab".into(),
        status: 200,
        cost: Nano(1_000),
        workspace: "team".into(),
        cost_known: true,
        ..Generation::default()
    }
}

/// Every field away from its default.
fn full_record() -> Generation {
    Generation {
        member: Some("user-1".into()),
        provider_name: "The Lab".into(),
        model_requested: "one:floor".into(),
        op: "embeddings",
        dialect_in: "openai-chat",
        dialect_out: "gemini",
        streamed: true,
        cancelled: true,
        finish: Some(Finish::ToolCalls),
        native_finish: Some("tool_use".into()),
        ttft_ms: Some(12),
        total_ms: 345,
        overhead_us: 67,
        tokens: Usage {
            input: 1,
            cache_read: 2,
            cache_write: 3,
            cache_write_1h: 4,
            audio_in: 5,
            image_in: 19,
            output: 6,
            reasoning: 7,
            audio_out: 8,
            image_out: 9,
            accepted_prediction: 10,
            rejected_prediction: 11,
            web_searches: 12,
            images: 15,
            audio_ms: 16,
            characters: 17,
            searches: 18,
            upstream_cost: Some(Nano(13)),
            estimated: true,
            correction: Nano(0),
            tier: None,
        },
        charged: Some(Charged {
            version: Some("catalogue 2026-11-20".into()),
            input: 16,
            output: 17,
            ..Charged::default()
        }),
        upstream_cost: Some(Nano(14)),
        byok: true,
        attempts: vec![
            Attempt {
                endpoint: "lab".into(),
                provider: "The Lab".into(),
                model: "one-v1".into(),
                tier: Some(Tier::Flex),
                status: Some(503),
                latency_ms: 5,
                fault: Some("upstream_overloaded"),
                upstream_id: None,
                hedge: true,
                own_key: Some("own-1".into()),
                cancelled: true,
                torn: true,
                continues: true,
                after_tokens: Some(20),
                how: Some("prefill"),
            },
            Attempt { upstream_id: Some("resp-1".into()), ..Attempt::default() },
        ],
        hedge_waste: Some(Nano(15)),
        refusals: 3,
        ruled_out: vec![Ruled { endpoint: "dear".into(), rule: "max_price".into(), says: "dearer than asked".into() }],
        tried_last: vec![Ruled { endpoint: "ill".into(), rule: "cooldown".into(), says: "cooling down".into() }],
        strategy: "expected-cost".into(),
        chosen_by: "default".into(),
        losses: vec!["top_k: has no place in openai-chat".into()],
        origin: Some("https://a.example".into()),
        http_referer: Some("https://b.example".into()),
        app_title: Some("App „quoted“".into()),
        user_agent: Some("ua/1".into()),
        external_user: Some("u".into()),
        session_id: Some("s".into()),
        upstream_id: Some("resp-2".into()),
        error: Some(Failure { kind: "upstream_failed", message: "it \"broke\"".into() }),
        service_tier: Some(Tier::Priority),
        lens: "translated",
        ..record(0)
    }
}

async fn suite(store: Store) {
    let ledger = store.ledger();

    // A record is there the moment it is written, and the same once it is on disk.
    for record in [full_record(), record(1)] {
        ledger.reserve(None).expect("room").write(record.clone());
        let read = store.generation(&record.id).await.expect("read").expect("written");
        assert_eq!(*read, record);
    }
    assert_eq!(store.generation("gen-0-nobody").await.expect("read"), None);

    // Spend is counted at once too.
    let usage = store.usage(&ScopeId::Key("key-one".into()), NOW);
    assert_eq!((usage.total, usage.daily, usage.weekly, usage.monthly, usage.requests), {
        let two = Nano(2_000);
        (two, two, two, two, 2)
    });
    assert_eq!((usage.byok_total, usage.byok_daily), (Nano(14), Nano(14)));
    assert_eq!(store.usage(&ScopeId::Key("key-one".into()), NOW + 86_400_000).daily, Nano(0));

    // A slot that is not used gives its room back.
    drop(ledger.reserve(None).expect("room"));
    store.flush().await.expect("flushed");
    assert_eq!(ledger.backlog(), 0);

    // Keys.
    let ring = store.keyring();
    let secret = SecretKey::mint();
    assert!(ring.find(secret.expose(), NOW).is_none());
    let new = NewKey {
        name: "first".into(),
        kind: KeyKind::Management,
        limit: Some(Nano(5)),
        limit_reset: Some(Reset::Weekly),
        include_byok_in_limit: true,
        expires_ms: Some(NOW + 1),
        workspace: Some("team".into()),
        detail: KeyDetail { member: Some("user-1".into()), models: vec!["a/*".into()], ..KeyDetail::default() },
    };
    let key = store.create_key(&secret, new, NOW).await.expect("created");
    assert_eq!(ring.find(secret.expose(), NOW).as_deref(), Some(&*key));
    assert_eq!((&*key.hash, &key.label), (secret.hash().as_str(), &secret.label()));
    assert!(ring.find(&secret.expose()[1..], NOW).is_none());
    assert!(ring.find(&format!("{} ", secret.expose()), NOW).is_none());
    let again = store.create_key(&secret, NewKey::default(), NOW + 9).await.expect("created");
    assert_eq!(again, key, "a key is made once");

    let mut edited = slip_store::Key::clone(&key);
    edited.disabled = true;
    edited.limit = None;
    let edited = store.update_key(edited, NOW + 2).await.expect("updated").expect("there");
    assert_eq!((edited.updated_ms, edited.created_ms), (Some(NOW + 2), NOW));
    assert_eq!(ring.find(secret.expose(), NOW), Some(edited.clone()));
    // Another secret, under the same name; the old one for a while.
    let newer = SecretKey::mint();
    let rotated = store.rotate_key(&key.hash, &newer, NOW + 10, NOW).await.expect("rotated").expect("there");
    assert_eq!((&rotated.hash, &rotated.label), (&key.hash, &newer.label()));
    for (secret, now, opens) in [(&newer, NOW, true), (&secret, NOW + 9, true), (&secret, NOW + 10, false)] {
        assert_eq!(ring.find(secret.expose(), now).is_some(), opens, "{secret:?} at {now}");
    }
    assert_eq!(ring.len(), 1);
    let at_once = SecretKey::mint();
    store.rotate_key(&key.hash, &at_once, NOW, NOW).await.expect("rotated").expect("there");
    assert!(ring.find(newer.expose(), NOW).is_none() && ring.find(secret.expose(), NOW).is_none());
    assert!(ring.find(at_once.expose(), NOW).is_some());
    assert!(store.delete_key(&key.hash).await.expect("deleted"));
    assert!(!store.delete_key(&key.hash).await.expect("deleted"));
    assert!(ring.find(secret.expose(), NOW).is_none());
    assert_eq!(store.update_key((*edited).clone(), NOW).await.expect("asked"), None, "the dead stay dead");

    // What was used, by hour and day; a page of history, the newest first.
    let day = Between { grain: Grain::Day, from: day_of(NOW), to: day_of(NOW) + 1, key_hash: None, workspace: None };
    let used = store.used(day.clone()).await.expect("read");
    let sums = used.iter().fold(Sums::default(), |mut all, used| {
        all.add(&used.sums);
        all
    });
    let mut told = Sums::of(&full_record());
    told.add(&Sums::of(&record(1)));
    assert_eq!(sums, told);
    assert_eq!((sums.requests, sums.cost, sums.byok, sums.waste), (2, Nano(2_000), Nano(14), Nano(15)));
    let hours =
        store.used(Between { grain: Grain::Hour, from: NOW / 3_600_000, to: NOW / 3_600_000 + 1, ..day.clone() });
    assert_eq!(hours.await.expect("read").iter().map(|used| used.sums.requests).sum::<i64>(), 2);
    let of = |key: &str, workspace: &str| Between {
        key_hash: Some(key.into()).filter(|key: &String| !key.is_empty()),
        workspace: Some(workspace.into()).filter(|name: &String| !name.is_empty()),
        ..day.clone()
    };
    for (asked, rows) in [(of("key-one", ""), 2), (of("key-two", ""), 0), (of("", "team"), 2), (of("", "other"), 0)] {
        assert_eq!(store.used(asked.clone()).await.expect("read").len(), rows, "{asked:?}");
    }
    let page = store.page(Page { most: 1, ..Page::default() }).await.expect("read");
    assert_eq!(page.iter().map(|(_, g)| g.clone()).collect::<Vec<_>>(), [record(1)]);
    let next = Page { before: Some(page[0].0), key_hash: Some("key-one".into()), most: 9 };
    let page = store.page(next).await.expect("read");
    assert_eq!(page.into_iter().map(|(_, g)| g).collect::<Vec<_>>(), [full_record()]);
    let nobody = Page { key_hash: Some("nobody".into()), most: 9, ..Page::default() };
    assert!(store.page(nobody).await.expect("read").is_empty());

    // Things.
    let thing = |id: &str, n: i64| Thing { id: id.into(), created_ms: n, updated_ms: None, body: json!({ "n": n }) };
    for (id, n) in [("b", 2), ("a", 1), ("b", 2)] {
        store.put_thing(Kind::Workspace, thing(id, n)).await.expect("put");
    }
    store.put_thing(Kind::Guardrail, thing("a", 3)).await.expect("put");
    let changed = Thing { updated_ms: Some(9), body: json!({ "n": "changed" }), ..thing("a", 1) };
    store.put_thing(Kind::Workspace, changed.clone()).await.expect("put");
    assert_eq!(store.things(Kind::Workspace).await.expect("read"), [changed, thing("b", 2)]);
    assert!(store.delete_thing(Kind::Workspace, "a").await.expect("deleted"));
    assert!(!store.delete_thing(Kind::Workspace, "a").await.expect("deleted"));
    assert_eq!(store.things(Kind::Guardrail).await.expect("read"), [thing("a", 3)]);

    // Content.
    for (id, until_ms) in [("one", NOW), ("two", NOW + 1), ("three", NOW - 1)] {
        let content = Content { generation: id.into(), until_ms, body: vec![0, 255, id.len() as u8] };
        store.put_content(content).await.expect("put");
    }
    assert_eq!(store.content("two", NOW).await.expect("read"), Some(vec![0, 255, 3]));
    assert_eq!(store.content("one", NOW).await.expect("read"), None, "its time is up");
    assert_eq!(store.purge_content(NOW, 1).await.expect("purged"), 1);
    assert_eq!(store.purge_content(NOW, 9).await.expect("purged"), 1);
    assert_eq!(store.purge_content(NOW, 9).await.expect("purged"), 0);
    assert_eq!(store.content("two", NOW).await.expect("read"), Some(vec![0, 255, 3]));

    // Of a key that is deleted nothing is kept, and nothing that comes late.
    let minted = SecretKey::from_bits([9; 32]);
    let keeper = store.create_key(&minted, NewKey::default(), NOW).await.expect("created");
    let kept = Generation { key_hash: Some(keeper.hash.clone()), ..record(77) };
    ledger.reserve(None).expect("room").write(kept.clone());
    let content = Content { generation: kept.id.clone(), until_ms: NOW + 1, body: vec![1] };
    store.put_content_of(&keeper.hash, content.clone()).await.expect("put");
    assert_eq!(store.content(&kept.id, NOW).await.expect("read"), Some(vec![1]));
    assert!(store.delete_key(&keeper.hash).await.expect("deleted"));
    assert_eq!(store.content(&kept.id, NOW).await.expect("read"), None);
    store.put_content_of(&keeper.hash, content).await.expect("refused in silence");
    assert_eq!(store.content(&kept.id, NOW).await.expect("read"), None);
    assert!(store.content("two", NOW).await.expect("read").is_some(), "another's stays");

    // What was used is the same as JSON.
    let classes = Classes(Usage { correction: Nano(0), tier: None, ..full_record().tokens });
    let told = serde_json::to_value(&classes).expect("JSON");
    assert_eq!(serde_json::from_value::<Classes>(told).expect("classes"), classes);

    // Settings.
    assert_eq!(store.setting("first-run").await.expect("read"), None);
    store.set("first-run", "a").await.expect("set");
    store.set("first-run", "b").await.expect("set");
    assert_eq!(store.setting("first-run").await.expect("read").as_deref(), Some("b"));

    store.close().await.expect("closed");
    assert_eq!(ledger.reserve(None).err(), Some(Full), "nothing is taken on after the end");
}

#[tokio::test]
async fn the_suite_in_memory() {
    suite(Store::open(Place::Memory, None).expect("opens")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_in_a_directory() {
    let scratch = Scratch::new("suite");
    suite(scratch.open().expect("opens")).await;
}

#[tokio::test]
async fn everything_survives_a_restart() {
    let scratch = Scratch::new("restart");
    survives_a_restart(|| scratch.open()).await;
}

async fn survives_a_restart(open: impl Fn() -> Result<Store, Error>) {
    let secret = SecretKey::fixed("operator's-own").expect("a key");
    let store = open().expect("opens");
    let key =
        store.create_key(&secret, NewKey { name: "ops".into(), ..NewKey::default() }, NOW).await.expect("created");
    store.set("mark", "1").await.expect("set");
    let day = 86_400_000;
    for (number, created_ms) in [NOW - 400 * day, NOW - 8 * day, NOW - day, NOW].into_iter().enumerate() {
        store.ledger().reserve(None).expect("room").write(Generation { created_ms, ..record(number) });
    }
    store.ledger().reserve(None).expect("room").write(Generation { id: "gen-full".into(), ..full_record() });
    let before = store.usage(&ScopeId::Key("key-one".into()), NOW);
    assert_eq!((before.total, before.weekly, before.monthly), (Nano(5_000), Nano(2_000), Nano(4_000)));
    store.close().await.expect("closed");

    let store = open().expect("opens again");
    assert_eq!(store.usage(&ScopeId::Key("key-one".into()), NOW), before);
    assert_eq!(store.keyring().find("operator's-own", NOW), Some(key));
    assert_eq!(store.setting("mark").await.expect("read").as_deref(), Some("1"));
    assert!(store.ledger().recent("gen-full").is_none(), "so it is the database that answers");
    let read = store.generation("gen-full").await.expect("read").expect("kept");
    assert_eq!(*read, Generation { id: "gen-full".into(), ..full_record() });
    store.close().await.expect("closed");
}

#[tokio::test]
async fn a_full_ledger_pushes_back_and_loses_nothing() {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = seen.clone();
    let observer = move |_: &Generation| {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let store = Store::open(Place::Memory, Some(Box::new(observer))).expect("opens");
    let ledger = store.ledger();
    let mut slots: Vec<_> = (0..CAPACITY).map(|_| ledger.reserve(None).expect("room")).collect();
    assert_eq!(ledger.reserve(None).err(), Some(Full));
    assert_eq!(ledger.backlog(), CAPACITY);
    slots.pop();
    let last = ledger.reserve(None).expect("the room that was given back");
    for (number, slot) in slots.into_iter().chain([last]).enumerate() {
        slot.write(record(number));
    }
    store.flush().await.expect("flushed");
    assert_eq!(seen.load(Ordering::Relaxed), CAPACITY, "the observer sees every record once");
    for number in [0, 1, CAPACITY / 2, CAPACITY - 1] {
        let id = record(number).id;
        assert!(store.generation(&id).await.expect("read").is_some(), "{id}");
    }
    assert_eq!(store.usage(&ScopeId::Key("key-one".into()), NOW).requests, CAPACITY as u64);
    store.close().await.expect("closed");
}

#[tokio::test]
async fn records_in_memory_are_bounded_and_the_rest_are_read_from_disk() {
    let scratch = Scratch::new("bounded");
    let store = scratch.open().expect("opens");
    let ledger = store.ledger();
    for number in 0..20_000 {
        while ledger.reserve(None).map(|slot| slot.write(record(number))).is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    store.flush().await.expect("flushed");
    let kept = (0..20_000).filter(|number| ledger.recent(&record(*number).id).is_some()).count();
    assert!(kept <= CAPACITY, "{kept}");
    assert!(ledger.recent(&record(0).id).is_none());
    for number in [0, 9_999, 19_999] {
        assert!(store.generation(&record(number).id).await.expect("read").is_some(), "{number}");
    }
    store.close().await.expect("closed");
}

#[tokio::test]
async fn a_second_process_is_refused_with_the_pid_of_the_first() {
    let scratch = Scratch::new("lock");
    let store = scratch.open().expect("opens");
    let refused = scratch.open().err().expect("refused");
    assert!(matches!(&refused, Error::Locked { pid, .. } if *pid == Some(std::process::id())), "{refused}");
    store.close().await.expect("closed");
    scratch.open().expect("free again").close().await.expect("closed");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let scratch = Scratch::new("newer");
    scratch.open().expect("opens").close().await.expect("closed");
    // user_version is the big-endian number at byte 60 of the file (sqlite.org/fileformat2.html).
    let file = scratch.0.join("slipswitch.db");
    let mut bytes = std::fs::read(&file).expect("the database");
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    std::fs::write(&file, bytes).expect("written");
    let refused = scratch.open().err().expect("refused");
    assert!(matches!(refused, Error::Newer { found: 99, known: 2 }), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_the_data() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("modes");
    let store = scratch.open().expect("opens");
    store.flush().await.expect("flushed");
    let mode = |name: &str| std::fs::metadata(scratch.0.join(name)).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in ["pepper", "lock", "slipswitch.db", "slipswitch.db-wal"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    store.close().await.expect("closed");

    let pepper = scratch.0.join("pepper");
    let check = |why: &str| {
        let refused = scratch.open().err().expect("refused").to_string();
        assert!(refused.starts_with(why), "{refused}");
    };
    std::fs::set_permissions(&pepper, std::fs::Permissions::from_mode(0o644)).expect("set");
    check("the pepper may be read by others");
    std::fs::remove_file(&pepper).expect("removed");
    check("the pepper is not the one the stored keys were made with");
    std::fs::write(&pepper, b"short").expect("written");
    std::fs::set_permissions(&pepper, std::fs::Permissions::from_mode(0o600)).expect("set");
    check("the pepper is not 32 bytes");
}

#[tokio::test]
async fn the_secret_is_nowhere_on_disk() {
    let scratch = Scratch::new("secret");
    let store = scratch.open().expect("opens");
    let secret = SecretKey::mint();
    store.create_key(&secret, NewKey::default(), NOW).await.expect("created");
    store.flush().await.expect("flushed");
    let files = |dir: &Path| {
        let entries = std::fs::read_dir(dir).expect("a directory");
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect::<Vec<_>>()
    };
    for path in [files(&scratch.0), files(&scratch.0.join("journal"))].concat() {
        let bytes = std::fs::read(&path).expect("a file");
        let body = &secret.expose().as_bytes()[11..54];
        assert!(!bytes.windows(body.len()).any(|piece| piece == body), "{}", path.display());
    }
    store.close().await.expect("closed");
}

/// Set for the process that is to be killed: the directory it writes to.
const VICTIM: &str = "SLIPSWITCH_TEST_VICTIM";

/// Not a test of its own: what the killed process does. Without the variable there is nothing to do.
#[tokio::test]
async fn victim() {
    let Some(dir) = std::env::vars_os().find(|(name, _)| name == VICTIM).map(|(_, value)| value) else { return };
    let store = Store::open(Place::Dir(dir.into()), None).expect("opens");
    for number in 0.. {
        store.ledger().reserve(None).expect("room").write(record(number));
        if number % 100 == 99 {
            store.flush().await.expect("flushed");
            println!("flushed {}", number + 1);
        }
    }
}

#[tokio::test]
async fn killed_in_the_middle_it_keeps_all_that_was_flushed() {
    use std::io::{BufRead, BufReader};
    let scratch = Scratch::new("killed");
    let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "victim", "--nocapture"])
        .env(VICTIM, &scratch.0)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("starts");
    let mut flushed = 0;
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        // The test harness may print its own words before ours on the first line.
        if let Some((_, count)) = line.rsplit_once("flushed ") {
            flushed = count.parse().expect("a count");
        }
        if flushed >= 1_000 {
            break;
        }
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert!(flushed >= 1_000);

    let store = scratch.open().expect("opens after the kill");
    for number in 0..flushed {
        assert!(store.generation(&record(number).id).await.expect("read").is_some(), "{number} of {flushed}");
    }
    // Spend is written with the records it sums: never one without the other.
    let mut kept = flushed;
    while store.generation(&record(kept).id).await.expect("read").is_some() {
        kept += 1;
    }
    assert_eq!(store.usage(&ScopeId::Key("key-one".into()), NOW).requests, kept as u64);
    store.close().await.expect("closed");
}

#[tokio::test]
async fn what_the_disk_refuses_is_kept_until_it_takes_it() {
    let scratch = Scratch::new("refused");
    let store = scratch.open().expect("opens");
    let meddler = rusqlite::Connection::open(scratch.0.join("slipswitch.db")).expect("a second connection");
    meddler.execute_batch("ALTER TABLE generations RENAME TO hidden").expect("hidden");
    store.ledger().reserve(None).expect("room").write(record(0));
    while store.trouble().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(store.generation(&record(0).id).await.expect("read").is_some(), "memory still answers");
    meddler.execute_batch("ALTER TABLE hidden RENAME TO generations").expect("back");
    store.flush().await.expect("flushed");
    assert_eq!(store.trouble(), None);
    let rows: i64 = meddler.query_row("SELECT count(*) FROM generations", [], |row| row.get(0)).expect("counted");
    let requests: i64 =
        meddler.query_row("SELECT sum(requests) FROM usage WHERE grain = 'd'", [], |row| row.get(0)).expect("counted");
    assert_eq!((rows, requests), (1, 1), "once, however often it was tried");
    drop(meddler);
    store.close().await.expect("closed");
}
