//! What an operator does to a database.

use super::postgres::Schema;
use super::{NOW, Scratch, full_record, record};
use slip_ir::Nano;
use slip_store::upkeep::{self, Schema as Versions};
use slip_store::{Error, NewKey, Place, SecretKey, Store};
use std::os::unix::fs::PermissionsExt;

fn place(scratch: &Scratch) -> Place {
    Place::Dir(scratch.0.clone())
}

async fn filled(store: &Store) {
    for record in (1..40).map(record).chain([full_record()]) {
        store.ledger().reserve(None).expect("room").write(record);
    }
    store
        .create_key(&SecretKey::fixed("the-secret-key").expect("a key"), NewKey::default(), NOW)
        .await
        .expect("created");
    store.flush().await.expect("flushed");
}

#[tokio::test]
async fn a_copy_of_a_running_gateways_database_is_whole_and_can_be_put_back() {
    let (scratch, other) = (Scratch::new("backup"), Scratch::new("backup-other"));
    let copy = other.0.with_extension("copy");
    let _ = std::fs::remove_file(&copy);
    let store = scratch.open().expect("opens");
    filled(&store).await;
    upkeep::backup(&scratch.0, &copy).expect("copied, while the store is open");
    assert_eq!(std::fs::metadata(&copy).expect("there").permissions().mode() & 0o777, 0o600);
    let again = upkeep::backup(&scratch.0, &copy).expect_err("not over another file").to_string();
    assert!(again.contains("exists"), "{again}");
    let pepper = upkeep::pepper_beside(&copy);
    let _ = std::fs::remove_file(&pepper);

    // Without the pepper, or with a wrong one, no key would open anything.
    let refused = upkeep::restore(&copy, &other.0, None, false).expect_err("no pepper").to_string();
    assert!(refused.starts_with("the pepper is missing"), "{refused}");
    std::fs::write(&pepper, [1; 32]).expect("written");
    std::fs::set_permissions(&pepper, std::fs::Permissions::from_mode(0o600)).expect("set");
    let refused = upkeep::restore(&copy, &other.0, None, false).expect_err("a wrong one").to_string();
    assert!(refused.starts_with("the pepper is not the one"), "{refused}");
    std::fs::remove_file(&pepper).expect("removed");
    upkeep::backup_pepper(&scratch.0, &pepper).expect("copied");
    assert_eq!(upkeep::restore(&copy, &other.0, None, false).expect("put back"), None);

    let restored = other.open().expect("opens");
    assert!(restored.keyring().find("the-secret-key", NOW).is_some());
    assert!(restored.generation(&full_record().id).await.expect("read").is_some());
    let refused = upkeep::restore(&copy, &other.0, None, true).expect_err("a gateway runs there");
    assert!(matches!(refused, Error::Locked { .. }), "{refused}");
    restored.ledger().reserve(None).expect("room").write(record(99));
    restored.close().await.expect("closed");

    // Over another database only when told to, and that is set aside.
    let refused = upkeep::restore(&copy, &other.0, None, false).expect_err("there is one");
    assert!(matches!(refused, Error::Occupied { .. }), "{refused}");
    let aside = upkeep::restore(&copy, &other.0, None, true).expect("put back").expect("set aside");
    let meddler = rusqlite::Connection::open(&aside).expect("opens");
    let rows: i64 = meddler.query_row("SELECT count(*) FROM generations", [], |row| row.get(0)).expect("counted");
    assert_eq!(rows, 41);
    drop(meddler);
    let restored = other.open().expect("opens");
    assert!(restored.generation(&record(99).id).await.expect("read").is_none());
    restored.close().await.expect("closed");
    store.close().await.expect("closed");

    std::fs::write(&copy, b"not a database").expect("written");
    let refused = upkeep::restore(&copy, &other.0, None, true).expect_err("damaged").to_string();
    assert!(refused.contains("not a whole database"), "{refused}");
    for path in [copy, pepper] {
        std::fs::remove_file(path).expect("removed");
    }
}

#[tokio::test]
async fn sums_are_counted_again_and_what_differs_is_told() {
    let scratch = Scratch::new("verify");
    let store = scratch.open().expect("opens");
    filled(&store).await;
    let verified = upkeep::verify(&place(&scratch)).expect("counted, while the store is open");
    assert_eq!((verified.records, verified.differences), (40, vec![]));
    let meddler = rusqlite::Connection::open(scratch.0.join("slipswitch.db")).expect("a second connection");
    meddler
        .execute("UPDATE usage SET nano = nano + 5 WHERE grain = 'h' AND provider = 'lab' AND member = ''", [])
        .expect("meddled");
    meddler.execute("DELETE FROM usage WHERE grain = 'd' AND member = 'user-1'", []).expect("meddled");
    let differences = upkeep::verify(&place(&scratch)).expect("counted").differences;
    assert_eq!(differences.len(), 2, "{differences:?}");
    assert_eq!((differences[0].counted.cost, differences[0].kept.cost), (Nano(39_000), Nano(39_005)));
    assert_eq!((differences[1].counted.requests, differences[1].kept.requests), (1, 0));
    store.close().await.expect("closed");
}

#[tokio::test]
async fn the_schema_is_told_without_being_changed() {
    let scratch = Scratch::new("schema");
    upkeep::schema(&place(&scratch)).expect_err("there is nothing, and nothing is made");
    assert!(!scratch.0.exists());
    scratch.open().expect("opens").close().await.expect("closed");
    let meddler = rusqlite::Connection::open(scratch.0.join("slipswitch.db")).expect("opens");
    let all = Versions { found: 2, known: 2 };
    assert_eq!(upkeep::schema(&place(&scratch)).expect("told"), all);
    assert_eq!(upkeep::migrate(&place(&scratch)).expect("nothing to do"), all);
    meddler.execute_batch("PRAGMA user_version = 1").expect("meddled");
    let refused = upkeep::verify(&place(&scratch)).expect_err("older").to_string();
    assert!(refused.contains("slipswitch migrate"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_of_postgres() {
    let Some(schema) = Schema::new("upkeep").await else { return };
    let place = schema.place();
    let off = |place: Place| tokio::task::spawn_blocking(move || (upkeep::schema(&place), upkeep::migrate(&place)));
    let (before, migrated) = off(place.clone()).await.expect("no panic");
    assert_eq!(before.expect("told"), Versions { found: 0, known: 2 });
    assert_eq!(migrated.expect("made"), Versions { found: 0, known: 2 });
    assert_eq!(off(place.clone()).await.expect("no panic").0.expect("told"), Versions { found: 2, known: 2 });
    let store = schema.open().expect("opens");
    filled(&store).await;
    let verify = |place: Place| tokio::task::spawn_blocking(move || upkeep::verify(&place));
    let verified = verify(place.clone()).await.expect("no panic").expect("counted");
    assert_eq!((verified.records, verified.differences), (40, vec![]));
    schema.admin("UPDATE usage SET nano = nano + 5 WHERE grain = 'h' AND member = ''").await;
    let differences = verify(place).await.expect("no panic").expect("counted").differences;
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(differences[0].kept.cost.0 - differences[0].counted.cost.0, 5);
    store.close().await.expect("closed");
    schema.end().await;
}
