//! Every order in which three requests can take and release the locks of two nested accounts, tried one after the other:
//! `cargo xtask loom`.

use super::*;
use loom::model::Builder;
use loom::thread;

const NOW: i64 = 1_795_305_600_000;

/// A key within a workspace, each with this limit.
fn nested(key: i64, workspace: i64) -> [Arc<Account>; 2] {
    let with = |limit| {
        let account = Account::new();
        account.set_caps(Caps::none().with(None, Cap { limit: Nano(limit), include_byok: false }));
        Arc::new(account)
    };
    let workspace = with(workspace);
    [with(key), workspace]
}

/// With up to four switches of thread where none was needed: a second. A fifth takes seven times as long; all there
/// can be, more than anybody waits for.
fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut every = Builder::new();
    every.preemption_bound = Some(4);
    every.check(model);
}

fn left_behind(accounts: &[Arc<Account>], spent: i64) {
    for account in accounts {
        assert_eq!(account.held(), Amount::default(), "everything is released");
        assert_eq!(account.usage(NOW).total, Nano(spent));
    }
}

/// Three want 10 of 20: two have it whatever the order, and the third is not told otherwise than "no".
#[test]
fn loom_of_three_who_keep_what_two_can_have_two_have_it() {
    explore(|| {
        let accounts = nested(20, 1_000);
        let ask = |mut both: [Arc<Account>; 2], turn: usize| {
            both.rotate_left(turn % 2);
            hold(&both, Nano(10), Nano(10), false, NOW)
        };
        let others: Vec<_> = (0..2)
            .map(|turn| {
                let both = accounts.clone();
                thread::spawn(move || ask(both, turn))
            })
            .collect();
        let mine = ask(accounts.clone(), 0);
        let theirs = others.into_iter().map(|t| t.join().expect("no panic"));
        let granted: Vec<Held> = theirs.chain([mine]).flatten().collect();
        assert_eq!(granted.len(), 2, "never over, never a phantom denial");
        for held in granted {
            held.settle(Nano(10), Nano(0), NOW);
        }
        left_behind(&accounts, 20);
    });
}

/// One is bound to be denied by the workspace and must not disturb the two that fit.
#[test]
fn loom_who_is_denied_by_one_account_takes_nothing_from_the_other() {
    explore(|| {
        let accounts = nested(20, 15);
        let doomed = {
            let both = accounts.clone();
            thread::spawn(move || assert!(hold(&both, Nano(16), Nano(16), false, NOW).is_err()))
        };
        let other = {
            let [key, _] = accounts.clone();
            thread::spawn(move || {
                let held = hold(&[key], Nano(10), Nano(10), false, NOW).expect("twenty, less ten");
                drop(held);
            })
        };
        let mut held = hold(&accounts, Nano(6), Nano(6), false, NOW).expect("twenty, less ten");
        held.top_up(Nano(4), Nano(4), NOW).expect("twenty, less sixteen");
        held.settle(Nano(9), Nano(0), NOW);
        doomed.join().expect("no panic");
        other.join().expect("no panic");
        left_behind(&accounts[1..], 9);
        left_behind(&accounts[..1], 9);
    });
}

/// While one settles, another sees what was held or what was spent, never neither.
#[test]
fn loom_settling_opens_no_gap() {
    explore(|| {
        let accounts = nested(10, 10);
        let held = hold(&accounts, Nano(10), Nano(10), false, NOW).expect("ten are left");
        let asks = |which: usize| {
            let both = accounts.clone();
            thread::spawn(move || hold(&both[which..], Nano(1), Nano(1), false, NOW).is_ok())
        };
        let (nested, outer) = (asks(0), asks(1));
        held.settle(Nano(10), Nano(0), NOW);
        assert!(!nested.join().expect("no panic") && !outer.join().expect("no panic"));
        left_behind(&accounts, 10);
    });
}
