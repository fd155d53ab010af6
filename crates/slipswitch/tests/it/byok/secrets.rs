//! Where a secret must not be: on disk, in the log, in metrics, in any answer; and what becomes of one that was tampered with.

use super::{Door, HOUSE, ask, bring, config, told, well};
use crate::harness::{Gateway, KEY, scratch};
use http::Method;
use serde_json::{Value, json};
use slip_store::{Kind, Place, Store};
use std::path::{Path, PathBuf};

const SECRET: &str = "sk-own-canary-0123456789-AbCd";
const WORD: &[u8] = b"canary-0123456789";

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        match entry.path() {
            path if path.is_dir() => all.extend(files(&path)),
            path => all.push(path),
        }
    }
    all
}

fn holds(bytes: &[u8]) -> bool {
    [WORD, HOUSE.as_bytes()].iter().any(|word| bytes.windows(word.len()).any(|window| window == *word))
}

#[tokio::test]
async fn a_secret_is_nowhere_but_on_its_way_to_the_provider() {
    let door = Door::open().await;
    let dir = scratch();
    let gateway = Gateway::start_in(dir.clone(), &format!("log = \"trace\"\n{}", config(&[("lab", &door)])));
    let id = bring(&gateway, "lab", SECRET, json!({ "name": "mine" })).await;
    well(&gateway).await;
    assert_eq!(door.shown(), [SECRET]);
    // This provider repeats what it is shown, whatever it has against it.
    let mut answers = Vec::new();
    for status in [400, 422, 404, 500, 429, 401] {
        door.refuses(SECRET, status);
        let alone = crate::harness::with(ask(), json!({ "provider": { "allow_fallbacks": false } }));
        let refused = gateway.chat(&alone).await;
        assert!(refused.status >= 400, "{status}: {}", refused.text());
        answers.push(refused.text());
    }
    door.refuses(HOUSE, 400);
    answers.push(gateway.chat(&ask()).await.text());
    for path in ["/metrics", "/api/v1/key", "/api/v1/generations", "/api/v1/models/lab/one/endpoints"] {
        answers.push(gateway.get(path).await.text());
    }
    for path in ["/byok".to_owned(), format!("/byok/{id}"), "/keys".to_owned(), "/activity".to_owned()] {
        answers.push(gateway.manage(Method::GET, &format!("/api/v1{path}"), Value::Null).await.text());
    }
    let bearer = format!("Bearer {KEY}");
    let path = "/api/v1/explain";
    answers
        .push(gateway.send(Method::POST, path, &[("authorization", &bearer)], ask().to_string().into()).await.text());
    answers.push(gateway.said());
    for answer in &answers {
        assert!(!holds(answer.as_bytes()), "{answer}");
    }
    for file in files(&dir.join("data")) {
        let bytes = std::fs::read(&file).expect("read");
        assert!(!holds(&bytes), "it is in {}", file.display());
    }
    assert!(dir.join("data/master-key").exists());
}

#[tokio::test]
async fn an_envelope_in_another_row_is_told_of_and_never_used() {
    let door = Door::open().await;
    let dir = scratch();
    let config = config(&[("lab", &door)]);
    let first = Gateway::start_in(dir.clone(), &config);
    let (one, two) =
        (bring(&first, "lab", SECRET, json!({})).await, bring(&first, "lab", "sk-own-other-00000000", json!({})).await);
    let kept = keep(&dir);
    drop(first);
    swap(&kept.join("data"), &two, &one).await;
    let gateway = Gateway::start_in(kept, &config);
    well(&gateway).await;
    assert_eq!(door.shown(), ["sk-own-other-00000000"], "the other one still opens");
    gateway.says(&format!("the provider key {one} cannot be used: what is stored of it was changed")).await;
    told(&gateway, Method::DELETE, &format!("/byok/{two}"), Value::Null, 200).await;
    well(&gateway).await;
    assert_eq!(door.shown(), [HOUSE]);
}

/// The environment of a start, and what is said where it is refused.
type Round<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);

#[tokio::test]
async fn the_master_key_may_come_from_outside_and_be_replaced() {
    let door = Door::open().await;
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let config = config(&[("lab", &door)]);
    let mut dir = scratch();
    let start = |dir: &Path, env: &[(&str, &str)]| Gateway::try_start_there(dir.to_owned(), &config, env);
    let rounds: [Round<'_>; 5] = [
        (&[("SLIPSWITCH_MASTER_KEY", &old)], None),
        (&[("SLIPSWITCH_MASTER_KEY", &new), ("SLIPSWITCH_MASTER_KEY_OLD", &old)], None),
        (&[("SLIPSWITCH_MASTER_KEY", &new)], None),
        (&[("SLIPSWITCH_MASTER_KEY", &old)], Some("is not the one the provider keys of the database were sealed with")),
        (&[("SLIPSWITCH_MASTER_KEY_OLD", &old)], Some("no master key that takes their place")),
    ];
    for (at, (env, refused)) in rounds.into_iter().enumerate() {
        let kept = keep(&dir);
        match (start(&dir, env), refused) {
            (Ok(gateway), None) => {
                if at == 0 {
                    bring(&gateway, "lab", SECRET, json!({})).await;
                }
                well(&gateway).await;
                assert_eq!(door.shown(), [SECRET], "{at}");
                assert!(!gateway.dir.join("data/master-key").exists());
                dir = keep(&gateway.dir);
                std::fs::remove_dir_all(kept).expect("removed");
            }
            (Err(said), Some(words)) => {
                assert!(said.contains(words) && !said.contains(&old), "{at}: {said}");
                dir = kept;
            }
            (Ok(_), Some(words)) => panic!("{at}: it started, without {words:?}"),
            (Err(said), None) => panic!("{at}: {said}"),
        }
    }
    std::fs::remove_dir_all(dir).expect("removed");
}

/// A copy of a gateway's directory, which goes with it.
fn keep(dir: &Path) -> PathBuf {
    let to = scratch();
    let copied = std::process::Command::new("cp").arg("-a").arg(format!("{}/.", dir.display())).arg(&to).status();
    assert!(copied.is_ok_and(|status| status.success()));
    to
}

/// Move what is in the envelope of one row into that of another. The store asks no questions.
async fn swap(data: &Path, from: &str, to: &str) {
    let store = Store::open(Place::Dir(data.to_owned()), None).expect("a store");
    let things = store.things(Kind::ProviderKey).await.expect("read");
    let of = |id: &str| things.iter().find(|thing| thing.id == id).cloned().expect("it is there");
    let (from, mut to) = (of(from), of(to));
    to.body["sealed"] = from.body["sealed"].clone();
    store.put_thing(Kind::ProviderKey, to).await.expect("put");
    store.close().await.expect("closed");
}
