//! Keys at providers: sealed in whatever database, opened by the right master key in the right row, and by nothing else.

use super::postgres::Schema;
use super::{NOW, Scratch};
use slip_store::vault::Unopened;
use slip_store::{Edit, Error, Filed, Kind, Masters, Place, ProviderKey, Store};
use std::sync::Arc;

const SECRET: &str = "sk-proj-canary-that-nobody-may-see-0001";

fn masters(byte: u8) -> Masters {
    Masters::read(&[byte; 32]).expect("32 bytes")
}

async fn put(store: &Store, id: &str, workspace: &str, secret: &str) -> Result<(), Error> {
    let vault = store.vault_to_seal().await?;
    let filed = Filed::new(id, NOW);
    let mut key =
        ProviderKey { filed, provider: "openai".into(), workspace: workspace.into(), ..ProviderKey::default() };
    key.sealed = vault.seal(&key.row(), secret)?;
    store.direct(move |_| Ok::<_, Error>((vec![Edit::ProviderKey(key)], ()))).await
}

fn secret(store: &Store, id: &str) -> Result<String, Unopened> {
    let directory = store.directory().now();
    store.vault().secret(directory.provider_key(id).expect("it is there")).map(|secret| secret.to_string())
}

/// Move what is in the envelope of one row into that of another, behind everybody's back.
async fn swap(store: &Store, from: &str, to: &str) {
    let things = store.things(Kind::ProviderKey).await.expect("read");
    let of = |id: &str| things.iter().find(|thing| thing.id == id).cloned().expect("it is there");
    let (from, mut to) = (of(from), of(to));
    to.body["sealed"] = from.body["sealed"].clone();
    store.put_thing(Kind::ProviderKey, to).await.expect("put");
}

async fn kept(open: impl Fn(Option<Masters>) -> Result<Store, Error>) {
    let store = open(Some(masters(1))).expect("opens");
    for (id, workspace, text) in [("a", "default", SECRET), ("b", "default", "sk-b"), ("c", "team", "sk-c")] {
        put(&store, id, workspace, text).await.expect("put");
    }
    assert_eq!(secret(&store, "a").as_deref(), Ok(SECRET));
    let shown = format!("{:?} {:?}", store.directory().now(), store.vault());
    assert!(!shown.contains("canary"), "{shown}");
    store.close().await.expect("closed");

    // The right master key opens all of them again; another, or none, is refused before anything is served.
    for (given, says) in [(Some(masters(2)), "another master key"), (None, "the master key is missing")] {
        let refused = open(given).err().expect("refused").to_string();
        assert!(refused.contains(says) || refused.contains("not the one the provider keys"), "{refused}");
        assert!(refused.contains("SLIPSWITCH_MASTER_KEY") || refused.contains("restore it"), "{refused}");
    }
    let store = open(Some(masters(1))).expect("opens");
    assert_eq!(secret(&store, "c").as_deref(), Ok("sk-c"));

    // A new one takes the place of the old, which then opens nothing.
    store.close().await.expect("closed");
    let store = open(Some(masters(2).with_old(masters(1)))).expect("reseals");
    assert_eq!(secret(&store, "a").as_deref(), Ok(SECRET));
    put(&store, "d", "default", "sk-d").await.expect("put");
    store.close().await.expect("closed");
    assert!(open(Some(masters(1))).is_err(), "what was resealed is the new one's alone");
    let store = open(Some(masters(2))).expect("opens without the old one");
    for (id, text) in [("a", SECRET), ("b", "sk-b"), ("c", "sk-c"), ("d", "sk-d")] {
        assert_eq!(secret(&store, id).as_deref(), Ok(text));
    }

    // In another row, of the same workspace or another one, an envelope does not open; the others are as they were.
    for (from, to) in [("b", "a"), ("b", "c")] {
        swap(&store, from, to).await;
    }
    store.close().await.expect("closed");
    let store = open(Some(masters(2))).expect("one that was tampered with keeps nobody from starting");
    assert_eq!(secret(&store, "a"), Err(Unopened::Tampered));
    assert_eq!(secret(&store, "c"), Err(Unopened::Tampered));
    assert_eq!(secret(&store, "b").as_deref(), Ok("sk-b"));

    // When the last is gone, any master key may begin.
    for id in ["a", "b", "c", "d"] {
        let gone = vec![Edit::Remove(Kind::ProviderKey, id.into())];
        store.direct(move |_| Ok::<_, Error>((gone, ()))).await.expect("removed");
    }
    assert!(store.directory().now().provider_keys().is_empty());
    store.close().await.expect("closed");
    let store = open(Some(masters(3))).expect("opens");
    put(&store, "e", "default", SECRET).await.expect("put");
    store.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_at_providers_in_a_directory() {
    let scratch = Scratch::new("provider-keys");
    let place = Place::Dir(scratch.0.clone());
    kept(|masters| Store::open_with(place.clone(), masters, false, None)).await;
    for file in std::fs::read_dir(&scratch.0).expect("there").flatten().filter(|f| f.path().is_file()) {
        let bytes = std::fs::read(file.path()).expect("read");
        let found = bytes.windows(6).any(|window| window == b"canary");
        assert!(!found, "the secret is in {}", file.path().display());
    }
    assert!(!scratch.0.join("master-key").exists(), "a master key that is given is not written down");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_at_providers_in_postgres() {
    let Some(schema) = Schema::new("provider-keys").await else { return };
    let place = schema.place();
    kept(|masters| Store::open_with(place.clone(), masters, false, None)).await;
    schema.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_gateway_seals_another_opens() {
    let Some(schema) = Schema::new("sealed-two").await else { return };
    let scratch = Scratch::new("sealed-two-b");
    let open = |place, masters| Store::open_with(place, masters, false, None);
    let one = open(schema.place(), Some(masters(1))).expect("opens");
    let two = open(schema.place_beside(&scratch), Some(masters(1))).expect("opens beside it");
    put(&one, "a", "default", SECRET).await.expect("put");
    assert!(two.refresh().await.expect("looked").things);
    assert_eq!(secret(&two, "a").as_deref(), Ok(SECRET));
    two.close().await.expect("closed");
    // One that was forgotten when the master key was handed out.
    let refused = open(schema.place_beside(&scratch), None).err().expect("refused").to_string();
    assert!(refused.contains("the master key is missing") && refused.contains("master_key_file"), "{refused}");
    let refused = open(schema.place_beside(&scratch), Some(masters(9))).err().expect("refused").to_string();
    assert!(refused.contains("sealed with another master key"), "{refused}");
    one.close().await.expect("closed");
    schema.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_key_is_made_when_it_is_needed_and_only_its_owner_may_read_it() {
    let scratch = Scratch::new("master-key");
    let file = scratch.0.join("master-key");
    let store = scratch.open().expect("opens");
    assert!(!file.exists(), "whoever seals nothing has nothing more to back up");
    put(&store, "a", "default", SECRET).await.expect("put");
    store.close().await.expect("closed");
    let made = std::fs::read_to_string(&file).expect("made");
    assert_eq!((made.len(), made.trim().len()), (65, 64));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("set");
        let refused = scratch.open().err().expect("refused").to_string();
        assert!(refused.contains("may be read by others"), "{refused}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
    }
    let store = scratch.open().expect("opens");
    assert_eq!(secret(&store, "a").as_deref(), Ok(SECRET));
    store.close().await.expect("closed");
    // Lost, damaged, or another's.
    let rows: [(Option<&str>, &str); 3] = [
        (None, "the master key is missing"),
        (Some("not a key"), "not a master key; restore it"),
        (Some("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"), "is not the one"),
    ];
    for (text, says) in rows {
        match text {
            None => std::fs::remove_file(&file).expect("removed"),
            Some(text) => {
                std::fs::write(&file, text).expect("written");
                #[cfg(unix)]
                std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
            }
        }
        let refused = scratch.open().err().expect("refused").to_string();
        assert!(refused.contains(says) && refused.contains("master-key"), "{refused}");
        assert!(!refused.contains("0011223344"), "{refused}");
    }
    // Put back, with a newer one before it.
    std::fs::write(&file, format!("{}\n{made}", "ab".repeat(32))).expect("written");
    let store = scratch.open().expect("reseals");
    assert_eq!(secret(&store, "a").as_deref(), Ok(SECRET));
    store.close().await.expect("closed");
    std::fs::write(&file, "ab".repeat(32)).expect("written");
    let store = scratch.open().expect("opens without the old one");
    assert_eq!(secret(&store, "a").as_deref(), Ok(SECRET));
    let other: Arc<str> = "a".into();
    store.direct(move |_| Ok::<_, Error>((vec![Edit::Remove(Kind::ProviderKey, other)], ()))).await.expect("removed");
    store.close().await.expect("closed");
}
