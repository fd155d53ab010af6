//! What a hit costs before its bytes are written: the key of a body by its size, and looking it up. Prints nanoseconds, the best of
//! many short runs: on a busy machine a long one measures the neighbours.

#![allow(clippy::disallowed_methods, reason = "a bench is a stopwatch")]

use bytes::Bytes;
use slip_cache::policy::POLICIES;
use slip_cache::{Entry, Form, Header, Key, Keyer, Limits, Scope, Store, codec};
use slip_ir::{Dialect, Nano, Op};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

const NOW: i64 = 1_795_000_000_000;

fn best(runs: u32, turns: u32, mut one: impl FnMut()) -> u128 {
    let time = |_| {
        let start = Instant::now();
        (0..turns).for_each(|_| one());
        start.elapsed().as_nanos() / u128::from(turns)
    };
    (0..runs).map(time).min().unwrap_or_default()
}

/// A conversation with tools, of about so many bytes.
fn body(bytes: usize) -> String {
    let mut body = String::from(
        r#"{"model":"openai/gpt-x","temperature":0,"max_tokens":512,"stream":true,"tools":[{"type":"function","function":{"name":"look_up","description":"Looks a word up","parameters":{"type":"object","properties":{"word":{"type":"string"},"language":{"type":"string","enum":["en","de"]}},"required":["word"]}}}],"messages":[{"role":"system","content":"You are terse."}"#,
    );
    let mut turn = 0;
    while body.len() < bytes {
        turn += 1;
        let words = "what \\\"it\\\" means, and how one says so elsewhere\\n".repeat(4);
        let _ = write!(body, r#",{{"role":"user","content":"{turn}: {words}"}}"#);
    }
    body + "]}"
}

fn header() -> Header {
    Header {
        tenant: "key_1".to_owned(),
        model: "openai/gpt-x".to_owned(),
        generation: "gen-1-abcdefghijklmnopqrst".to_owned(),
        dialect: Dialect::OpenAiChat,
        form: Form::Events,
        status: 200,
        created_ms: NOW,
        ttl_ms: 300_000,
        stale_ms: 0,
        cost: Nano(1_000_000),
        took_ms: 900,
    }
}

fn main() {
    let scope =
        Scope { tenant: "key_1", policy: b"p", model: "openai/gpt-x", op: Op::Chat, dialect: Dialect::OpenAiChat };
    let mut keyer = Keyer::default();
    for bytes in [300, 2_000, 20_000, 200_000] {
        let body = body(bytes);
        let ns = best(200, 50, || _ = black_box(keyer.key(&scope, black_box(body.as_bytes()))));
        println!("key of {:>6} bytes {ns:>9} ns", body.len());
    }
    let key = |n: u64| keyer_key(&scope, n);
    let answer = Bytes::from(vec![b'x'; 4_000]);
    for row in POLICIES {
        let limits = Limits { bytes: 64 << 20, entry_bytes: 1 << 20, per_second: Nano(0), policy: row };
        let store = Store::new(limits);
        let keys: Vec<Key> = (0..40_000).map(key).collect();
        let mut next = keys.iter().cycle();
        let put = best(20, 2_000, || {
            if let Some(key) = next.next() {
                store.put(Entry::new(*key, header(), answer.clone()), NOW);
            }
        });
        let here: Vec<&Key> = keys.iter().filter(|key| store.peek(key, NOW).is_some()).collect();
        let mut next = here.iter().cycle();
        let get = best(200, 500, || _ = next.next().map(|key| black_box(store.get(key, NOW))));
        println!("{:>12}: get {get:>6} ns, put {put:>6} ns, of 4,000 bytes with {} here", row.name, here.len());
    }
    let entry = Entry::new(key(1), header(), answer);
    let bytes = Bytes::from(codec::encode(&entry).unwrap_or_default());
    let encode = best(200, 100, || _ = black_box(codec::encode(black_box(&entry))));
    let decode = best(200, 100, || _ = black_box(codec::decode(&entry.key, black_box(&bytes))));
    println!("an entry of {} bytes: written in {encode} ns, read in {decode} ns", bytes.len());
}

fn keyer_key(scope: &Scope<'_>, n: u64) -> Key {
    Keyer::default().raw(scope, [&n.to_le_bytes()[..]])
}
