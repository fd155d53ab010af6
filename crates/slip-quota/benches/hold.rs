//! How long it takes to hold and settle money on four nested accounts, alone and from four threads at once. Prints nanoseconds
//! per request, the best of many short
//! runs: on a busy machine a long one measures the neighbours.

#![cfg_attr(loom, allow(dead_code, unused_imports))]
#![allow(clippy::disallowed_methods, reason = "a bench is a stopwatch")]

use slip_ir::Nano;
use slip_quota::{Account, Cap, Caps, Reset, hold};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const NOW: i64 = 1_795_305_600_000;
const TURNS: u32 = 2_000;
const RUNS: u32 = 400;

fn account() -> Arc<Account> {
    let account = Account::new();
    let cap = |limit| Cap { limit: Nano(limit), include_byok: false };
    account.set_caps(Caps::none().with(Some(Reset::Daily), cap(i64::MAX)).with(Some(Reset::Monthly), cap(i64::MAX)));
    Arc::new(account)
}

fn requests(accounts: &[Arc<Account>]) {
    for turn in 0..TURNS {
        let now = NOW + i64::from(turn);
        let held = hold(black_box(accounts), Nano(20_000), Nano(10_000), false, now).expect("no cap is near");
        held.settle(black_box(Nano(7_500)), Nano(0), now);
    }
}

fn best(run: impl Fn()) -> u128 {
    let time = || {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() / u128::from(TURNS)
    };
    (0..RUNS).map(|_| time()).min().unwrap_or_default()
}

fn main() {
    let shared: [_; 3] = std::array::from_fn(|_| account());
    let [instance, workspace, member] = shared;
    let nested = |own: Arc<Account>| [own, member.clone(), workspace.clone(), instance.clone()];
    for accounts in [1, 4, 8] {
        let mut all: Vec<_> = (0..accounts).map(|_| account()).collect();
        all.reverse(); // the narrowest scope is the youngest, and named first
        println!("hold and settle, {accounts} accounts, one thread    {:>6} ns", best(|| requests(&all)));
    }
    let threads = || {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let all = nested(account());
                scope.spawn(move || requests(&all));
            }
        });
    };
    println!("hold and settle, 4 accounts, three of them shared by four threads, {:>6} ns", best(threads) / 4);
}
