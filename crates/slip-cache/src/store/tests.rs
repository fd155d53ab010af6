//! A store is a map that may forget, and never mistakes one thing for another.

use super::*;
use crate::entry::Form;
use crate::policy::{POLICIES, named};
use bytes::Bytes;
use proptest::prelude::*;
use slip_ir::Dialect;
use std::collections::HashSet;

const NOW: i64 = 1_795_000_000_000;

fn limits(bytes: u64) -> Limits {
    Limits { bytes, entry_bytes: 1 << 20, per_second: Nano(0), policy: named("cost").unwrap() }
}

fn key(n: u64) -> Key {
    let mut dice = fastrand::Rng::with_seed(n);
    let mut bytes = [0; 32];
    dice.fill(&mut bytes);
    Key::new(bytes)
}

fn header(n: u64) -> Header {
    Header {
        tenant: format!("key_{}", n % 2),
        model: format!("a/{}", n % 3),
        generation: format!("gen-{n}"),
        dialect: Dialect::Anthropic,
        form: Form::Whole,
        status: 200,
        created_ms: NOW,
        ttl_ms: 1_000,
        stale_ms: 500,
        cost: Nano(1_000),
        took_ms: 10,
    }
}

fn entry(n: u64) -> Entry {
    Entry::new(key(n), header(n), Bytes::from(format!("answer {n}")))
}

fn body(found: Found) -> Option<String> {
    match found {
        Found::Fresh(entry) | Found::Stale { entry, .. } => Some(String::from_utf8(entry.body().to_vec()).unwrap()),
        Found::Miss => None,
    }
}

#[test]
fn what_is_put_in_is_found_until_its_time_is_up() {
    let store = Store::new(limits(64 << 20));
    for n in 0..1_000 {
        assert_eq!(store.put(entry(n), NOW), Put::Kept);
    }
    for n in 0..1_000 {
        assert_eq!(body(store.get(&key(n), NOW + 999)), Some(format!("answer {n}")));
    }
    assert_eq!(body(store.get(&key(1_000), NOW)), None);
    assert_eq!(body(store.get(&key(0), NOW + 1_500)), None);
    assert!(store.peek(&key(1), NOW + 1_499).is_some() && store.peek(&key(1), NOW + 1_500).is_none());
    let stats = store.stats();
    assert_eq!((stats.entries, stats.puts, stats.hits, stats.misses, stats.expired), (999, 1_000, 1_000, 2, 1));
    assert_eq!((stats.saved, stats.saved_ms), (Nano(1_000_000), 10_000));
    assert_eq!(store.expire(NOW + 1_500).entries, 999);
    assert_eq!((store.stats().entries, store.stats().bytes), (0, 0));
    assert_eq!(store.put(entry(5), NOW + 1_500), Put::Late);
}

#[test]
fn of_a_stale_entry_one_asks_anew_and_the_others_take_it() {
    let store = Store::new(limits(64 << 20));
    let lasting = |created_ms| {
        let header = Header { created_ms, ttl_ms: 1_000, stale_ms: 1_000_000, ..header(1) };
        Entry::new(key(1), header, Bytes::from_static(b"x"))
    };
    store.put(lasting(NOW), NOW);
    let refreshes = |after: i64| match store.get(&key(1), NOW + after) {
        Found::Stale { refresh, .. } => Some(refresh),
        _ => None,
    };
    assert_eq!([999, 1_000, 1_001, 20_000].map(refreshes), [None, Some(true), Some(false), Some(false)]);
    // Whoever asked anew was not heard of again.
    assert_eq!([1_000 + REFRESH_MS, 1_001 + REFRESH_MS].map(refreshes), [Some(true), Some(false)]);
    store.put(lasting(NOW + 50_000), NOW + 50_000);
    assert_eq!([50_999, 51_000, 51_001].map(refreshes), [None, Some(true), Some(false)]);
}

#[test]
fn an_entry_that_went_bad_in_memory_is_a_miss_once() {
    let store = Store::new(limits(64 << 20));
    store.put(entry(1), NOW);
    let bad = entry(1).spoilt();
    store.shard(key(1).id()).put(Arc::new(bad), Load { bytes: 10, worth: 1 });
    assert_eq!(body(store.get(&key(1), NOW)), None);
    assert_eq!((store.stats().corrupt, store.stats().entries), (1, 0));
}

#[test]
fn it_never_holds_more_than_it_may() {
    for row in POLICIES {
        let limits = Limits { policy: row, ..limits(8 << 20) };
        let store = Store::new(limits);
        let large = Bytes::from(vec![b'x'; 20_000]);
        for n in 0..2_000 {
            store.put(Entry::new(key(n), header(n), large.clone()), NOW);
        }
        let stats = store.stats();
        assert!(stats.bytes <= 8 << 20 && stats.bytes > 7 << 20, "{}: {stats:?}", row.name);
        assert_eq!(stats.entries, stats.puts - stats.evicted, "{}", row.name);
        assert_eq!(stats.puts + stats.refused, 2_000);
        let huge = Bytes::from(vec![b'x'; 600_000]);
        assert_eq!(store.put(Entry::new(key(9_999), header(1), huge), NOW), Put::TooLarge);
        assert_eq!(store.purge(|_, _| true).entries, stats.entries);
        assert_eq!((store.stats().entries, store.stats().bytes), (0, 0), "{}", row.name);
    }
}

#[test]
fn purging_takes_what_is_picked_and_nothing_else() {
    let filled = || {
        let store = Store::new(limits(64 << 20));
        (0..3_000).for_each(|n| _ = store.put(entry(n), NOW));
        store
    };
    let digits = key(7).to_string();
    let any = Select::default();
    for (select, entries) in [
        (any, 3_000),
        (Select { tenant: Some("key_1"), ..any }, 1_500),
        (Select { model: Some("a/2"), ..any }, 1_000),
        (Select { model_prefix: Some("a/"), tenant: Some("key_0"), ..any }, 1_500),
        (Select { model: Some("a"), ..any }, 0),
        (Select { key_prefix: Some(&digits), ..any }, 1),
        (Select { before_ms: Some(NOW), ..any }, 0),
        (Select { before_ms: Some(NOW + 1), ..any }, 3_000),
    ] {
        let store = filled();
        let purged = store.purge(|key, header| select.picks(key, header));
        assert_eq!(purged.entries, entries, "{select:?}");
        assert_eq!(store.stats().entries, 3_000 - entries);
        let left = (0..3_000).filter(|n| matches!(store.get(&key(*n), NOW), Found::Fresh(_)));
        assert_eq!(left.filter(|n| select.picks(&key(*n), &header(*n))).count(), 0);
    }
    let store = filled();
    assert!(store.remove(&key(7)) && !store.remove(&key(7)));
}

#[test]
fn pages_of_a_list_have_everything_once() {
    let store = Store::new(limits(64 << 20));
    (0..3_000).for_each(|n| _ = store.put(entry(n), NOW));
    (0..3_000).step_by(7).for_each(|n| _ = store.remove(&key(n)));
    let (mut seen, mut from, mut pages) = (HashSet::new(), 0, 0);
    loop {
        let page = store.list(from, 100, |_, header| header.tenant == "key_1");
        assert!(page.entries.len() <= 100);
        assert!(page.entries.iter().all(|entry| seen.insert(entry.key)));
        pages += 1;
        let Some(next) = page.next else { break };
        from = next;
    }
    assert_eq!(seen.len(), (0..3_000).filter(|n| n % 7 != 0 && n % 2 == 1).count());
    assert!(pages <= seen.len() / 100 + 2);
    assert!(store.list(u64::MAX, 10, |_, _| true).next.is_none());
}

#[test]
fn a_key_that_looks_like_another_gets_nothing_of_it() {
    let store = Store::new(limits(64 << 20));
    store.put(entry(1), NOW);
    let mut bytes = *key(1).bytes();
    bytes[31] ^= 1;
    let alike = Key::new(bytes);
    assert_eq!(alike.id(), key(1).id());
    assert_eq!(body(store.get(&alike, NOW)), None);
    assert!(!store.remove(&alike));
    store.put(Entry::new(alike, header(2), Bytes::from_static(b"mine")), NOW);
    assert_eq!(body(store.get(&alike, NOW)).as_deref(), Some("mine"));
    assert_eq!((body(store.get(&key(1), NOW)), store.stats().entries), (None, 1));
}

#[test]
fn many_threads_find_only_what_is_theirs() {
    let store = Store::new(limits(4 << 20));
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let store = &store;
            scope.spawn(move || {
                let mut dice = fastrand::Rng::with_seed(thread);
                for _ in 0..4_000 {
                    let n = dice.u64(..5_000);
                    match body(store.get(&key(n), NOW)) {
                        Some(found) => assert_eq!(found, format!("answer {n}")),
                        None => _ = store.put(entry(n), NOW),
                    }
                    if n.is_multiple_of(512) {
                        store.purge(|_, header| header.model == "a/1");
                    }
                }
            });
        }
    });
    assert!(store.stats().bytes <= 4 << 20);
}

proptest! {
    #[test]
    fn a_store_is_a_map_that_may_forget(steps in prop::collection::vec((0..4u8, 0..40u64, 0..4_000i64), 0..200)) {
        let store = Store::new(limits(20 * 700));
        let mut model = std::collections::HashMap::new();
        let mut now = NOW;
        for (what, n, later) in steps {
            now += later / 20;
            match what {
                0 => {
                    let body = format!("{n} at {now}");
                    let entry = Entry::new(key(n), Header { created_ms: now, ..header(n) }, body.clone().into());
                    store.put(entry, now);
                    // Kept or not, what was there before is there no more.
                    model.insert(n, (body, now));
                }
                1 => {
                    store.remove(&key(n));
                    model.remove(&n);
                }
                _ => {
                    if let Some(found) = body(store.get(&key(n), now)) {
                        let (want, created) = &model[&n];
                        prop_assert_eq!(&found, want);
                        prop_assert!(now < created + 1_500);
                    }
                }
            }
            prop_assert!(store.stats().bytes <= 20 * 700);
        }
    }
}
