//! A disk without room, made in two ways: by the limit of a file's size, which needs no rights, and by a small file system of the
//! gateway's own. And a file that is held by somebody else when the gateway starts, or that it may not write.

use super::*;
use crate::harness::{Got, Live};
use std::process::Command;

/// How a disk comes to be full.
enum Disk {
    /// No file may grow. To the one who writes it is the same, but for the number of the error.
    Limit,
    /// Nothing is left of a file system of four mebibytes.
    Small,
}

/// Makes a file system at the directory it is told, which only the gateway sees, and starts it.
const SMALL: &str = "mount -t tmpfs -o size=4m none \"$0\" && exec \"$@\"";

struct House {
    gateway: Gateway,
    disk: Disk,
}

impl House {
    /// `None` where no file system can be made.
    fn on(disk: Disk, config: &str) -> Option<House> {
        let dir = scratch();
        let data = dir.join("data");
        std::fs::create_dir_all(&data).expect("made");
        let gateway = match disk {
            Disk::Limit => Gateway::start_in(dir, config),
            Disk::Small => {
                let made = Command::new("unshare").args(["-rm", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
                if !made.is_ok_and(|made| made.status.success()) {
                    let _ = writeln!(std::io::stderr(), "skipped, for no file system can be made here");
                    return None;
                }
                Gateway::start_by(&["unshare", "-rm", "sh", "-c", SMALL, &at(&data)], dir, config)
            }
        };
        Some(House { gateway, disk })
    }

    /// Takes all the room there is.
    fn ballast(&self) -> PathBuf {
        let data = self.gateway.dir.join("data");
        PathBuf::from(format!("/proc/{}/root{}/ballast", self.gateway.pid(), data.display()))
    }

    fn limit(&self, soft: &str) {
        let (pid, limit) = (self.gateway.pid().to_string(), format!("--fsize={soft}:unlimited"));
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().is_ok_and(|s| s.success()));
    }

    fn fill(&self) {
        match self.disk {
            Disk::Limit => self.limit("0"),
            Disk::Small => {
                let ballast = std::fs::OpenOptions::new().append(true).create(true).open(self.ballast());
                let mut ballast = ballast.expect("opened");
                // In ever smaller pieces, to the last byte.
                for piece in [65_536, 4096, 1] {
                    while ballast.write_all(&vec![b'x'; piece]).is_ok() {}
                }
            }
        }
    }

    fn make_room(&self) {
        match self.disk {
            Disk::Limit => self.limit("unlimited"),
            Disk::Small => std::fs::remove_file(self.ballast()).expect("removed"),
        }
    }

    /// Every record is counted by another process, and held against the sums.
    fn rows(&self) -> i64 {
        let pid = self.gateway.pid().to_string();
        let launcher: &[&str] = match self.disk {
            Disk::Limit => &[],
            Disk::Small => &["nsenter", "-t", &pid, "-m", "-U", "--preserve-credentials"],
        };
        let mut command = crate::harness::binary_by(launcher);
        command.args(["verify-ledger", "--json", "--data-dir"]).arg(self.gateway.dir.join("data"));
        let done = command.output().expect("starts");
        let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        assert_eq!(told["differences"], json!([]), "{}", String::from_utf8_lossy(&done.stderr));
        told["records"].as_i64().expect("a number")
    }

    async fn ready(&self) -> Got {
        self.gateway.send(Method::GET, "/readyz", &[], Bytes::new()).await
    }
}

async fn slow() -> Sim {
    Sim::start(SimConfig { tokens_per_second: 20.0, ..SimConfig::default() }).await.expect("a socket")
}

async fn runs_full_and_is_emptied(disk: Disk) {
    let (quick, slow) = (sim().await, slow().await);
    let config = house(&quick) + &provider("slow", Dialect::OpenAiChat, &slow.base_url(), &["made/slow"]);
    let Some(house) = House::on(disk, &config) else { return };
    let gateway = &house.gateway;
    let mut served: BTreeSet<String> = BTreeSet::new();
    for _ in 0..5 {
        let got = gateway.chat(&ask()).await;
        assert_eq!(got.status, 200, "{}", got.text());
        served.insert(got.header("x-generation-id").to_owned());
    }
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(begun(gateway).await);
    }
    // New requests are turned away with the reason, and nothing of them reaches a provider. What is begun of a page still takes an
    // entry or two, and files that go make room.
    let mut turned_away = 0;
    for _ in 0..200 {
        house.fill();
        let got = gateway.chat(&ask()).await;
        if got.status == 200 {
            served.insert(got.header("x-generation-id").to_owned());
            continue;
        }
        assert_eq!((got.status, got.header("retry-after")), (503, "5"), "{}", got.text());
        assert!(got.text().contains("is the disk full?"), "{}", got.text());
        turned_away += 1;
        if turned_away == 20 {
            break;
        }
    }
    assert_eq!(turned_away, 20);
    assert_eq!(quick.journal().total(), served.len() as u64);
    house.fill();
    let ready = house.ready().await;
    assert!(ready.status == 503 && ready.text().contains("is the disk full?"), "{}", ready.text());
    let made = gateway.manage(Method::POST, "/api/v1/keys", json!({ "name": "k" })).await;
    assert!(made.status == 503 && made.text().contains("nothing was changed"), "{}", made.text());
    gateway.is_well("the disk ran full").await;

    // What runs, runs to its end, and can be asked for.
    for live in streams {
        let id = live.id();
        let rest = live.rest().await;
        assert!(rest.contains("\"cost\"") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
        let told = gateway.get(&format!("/api/v1/generation?id={id}")).await;
        assert_eq!(told.status, 200, "{}", told.text());
        served.insert(id);
    }
    tokio::time::sleep(Duration::from_millis(600)).await;

    house.make_room();
    let began = Instant::now();
    // Whoever looks whether it is ready finds out by that alone.
    while house.ready().await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", house.ready().await.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..5 {
        let got = gateway.chat(&ask()).await;
        assert_eq!(got.status, 200, "{}", got.text());
        served.insert(got.header("x-generation-id").to_owned());
    }
    let made = gateway.manage(Method::POST, "/api/v1/keys", json!({ "name": "k" })).await;
    assert_eq!(made.status, 201, "{}", made.text());
    // Who was turned away has a row too.
    let want = served.len() as i64 + turned_away;
    let began = Instant::now();
    while house.rows() < want {
        assert!(began.elapsed() < Duration::from_secs(10), "{} of {want}: {}", house.rows(), gateway.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(house.rows(), want, "each once");
    for id in &served {
        assert_eq!(gateway.get(&format!("/api/v1/generation?id={id}")).await.status, 200, "{id}");
    }
}

/// A stream that has begun, and goes on for two seconds.
async fn begun(gateway: &Gateway) -> Live {
    let words = "word ".repeat(40);
    let body = json!({ "model": "made/slow", "stream": true, "messages": [{ "role": "user", "content": words }] });
    let mut live = gateway.open("/api/v1/chat/completions", &body).await;
    assert_eq!(live.status, 200);
    live.until("\"content\":\"").await;
    live
}

#[tokio::test]
async fn where_no_file_may_grow_what_runs_ends_well_and_nothing_is_lost() {
    runs_full_and_is_emptied(Disk::Limit).await;
}

#[tokio::test]
async fn on_a_full_disk_what_runs_ends_well_and_nothing_is_lost() {
    runs_full_and_is_emptied(Disk::Small).await;
}

/// The worst moment to be killed at: what is complete is only in memory.
#[tokio::test]
async fn who_is_killed_while_the_disk_is_full_has_a_row_for_all_that_was_sent() {
    let slow = slow().await;
    let config = provider("slow", Dialect::OpenAiChat, &slow.base_url(), &["made/slow"]);
    let Some(house) = House::on(Disk::Limit, &config) else { return };
    let live = begun(&house.gateway).await;
    let id = live.id();
    house.fill();
    assert!(live.rest().await.ends_with("data: [DONE]\n\n"));
    house.gateway.signal("KILL");
    let kept = house.gateway.dir.with_extension("kept");
    std::fs::rename(&house.gateway.dir, &kept).expect("moved");
    drop(house);
    let gateway = Gateway::start_in(kept, &config);
    let told = gateway.get(&format!("/api/v1/generation?id={id}")).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let used = gateway.get("/api/v1/key").await.json()["data"]["usage"].as_f64();
    assert!(used.is_some_and(|used| used > 0.0), "what was sent is charged");
}

/// Somebody else's program holds the file for a moment, or for longer than a start should take.
#[tokio::test]
async fn a_start_waits_a_little_for_a_file_that_is_held() {
    let sim = sim().await;
    let dir = scratch();
    let data = dir.join("data");
    std::fs::create_dir_all(&data).expect("made");
    let file = data.join("slipswitch.db");
    let meddler = rusqlite::Connection::open(&file).expect("opens");
    meddler.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE other (n); BEGIN EXCLUSIVE").expect("held");
    let released = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1500));
        meddler.execute_batch("COMMIT").expect("let go");
        meddler
    });
    let began = Instant::now();
    let gateway = Gateway::start_in(dir.clone(), &house(&sim));
    assert!(began.elapsed() > Duration::from_secs(1), "it waited");
    assert_eq!(gateway.chat(&ask()).await.status, 200);
    drop(gateway);
    let _ = released.join();

    std::fs::create_dir_all(&data).expect("made");
    let meddler = rusqlite::Connection::open(&file).expect("opens");
    meddler.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE other (n); BEGIN EXCLUSIVE").expect("held");
    let said = run(&["serve", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir", &at(&data)], &[]);
    assert!(said.code == Some(69) && said.err.contains("locked"), "{:?} {}", said.code, said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    drop(meddler);
    std::fs::remove_dir_all(dir).expect("removed");
}

/// As a user who owns nothing, since to root every file may be written.
#[test]
fn a_start_where_nothing_may_be_written_ends_and_says_where() {
    let dir = scratch();
    let data = dir.join("data");
    std::fs::create_dir_all(&data).expect("made");
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let run = || {
        let mut command = crate::harness::binary_by(&nobody);
        command.args(["serve", "--no-probe", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
        command.output().expect("setpriv")
    };
    if !Command::new(nobody[0]).args(&nobody[1..]).arg("true").output().is_ok_and(|done| done.status.success()) {
        let _ = writeln!(std::io::stderr(), "skipped, for nobody else can be become here");
        return;
    }
    let done = run();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(69), "{said}");
    assert!(said.contains("Permission denied") && said.contains(&at(&data)), "{said}");
    std::fs::remove_dir_all(dir).expect("removed");
}

/// A thread of this name is there for what is to outlive a loss of power, and for nothing else.
fn syncs(gateway: &Gateway) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{}/task", gateway.pid())).expect("Linux");
    let mut names = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    names.any(|name| name.trim() == "slip-sync")
}

#[tokio::test]
async fn who_waits_for_the_disk_is_answered_like_everybody_else() {
    let sim = sim().await;
    let bad = Gateway::try_start(&format!("durability = \"platter\"\n{}", house(&sim)), &[]).err().expect("refused");
    assert!(bad.contains("durability") && bad.contains("process"), "{bad}");
    let usual = Gateway::start(&house(&sim));
    assert!(!syncs(&usual), "nobody waits unasked");
    drop(usual);
    let gateway = Gateway::start(&format!("durability = \"disk\"\n{}", house(&sim)));
    assert!(syncs(&gateway));
    let gateway = Arc::new(gateway);
    let asked: Vec<_> = (0..40)
        .map(|n| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                let stream = n % 2 == 0;
                let got = gateway.chat(&crate::harness::with(ask(), json!({ "stream": stream }))).await;
                assert_eq!(got.status, 200, "{}", got.text());
                assert!(!stream || got.text().ends_with("data: [DONE]\n\n"), "{}", got.text());
                assert_eq!(gateway.record(&got).await["streamed"], json!(stream));
                got.header("x-generation-id").to_owned()
            })
        })
        .collect();
    let mut ids = Vec::new();
    for asked in asked {
        ids.push(asked.await.expect("answered"));
    }
    // Whoever hangs up meanwhile leaves nothing waiting.
    let body = crate::harness::with(ask(), json!({ "stream": true }));
    for _ in 0..20 {
        drop(gateway.open("/api/v1/chat/completions", &body).await);
    }
    gateway.signal("KILL");
    let gateway = Arc::into_inner(gateway).expect("nobody else has it");
    let kept = gateway.dir.with_extension("kept");
    std::fs::rename(&gateway.dir, &kept).expect("moved");
    drop(gateway);
    let gateway = Gateway::start_in(kept, &house(&sim));
    for id in ids {
        assert_eq!(gateway.get(&format!("/api/v1/generation?id={id}")).await.status, 200, "{id}");
    }
}
