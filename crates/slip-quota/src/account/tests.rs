//! Rows about accounts, and threads that race for the last cent.

use super::*;
use crate::period::DAY_MS;
use std::slice::from_ref;
use std::sync::Barrier;

/// Monday, 30 November 2026, 00:00 UTC.
const MONDAY: i64 = 20_787 * DAY_MS;

fn cap(limit: i64) -> Cap {
    Cap { limit: Nano(limit), include_byok: false }
}

fn capped(reset: Option<Reset>, limit: i64) -> Arc<Account> {
    let account = Arc::new(Account::new());
    account.set_caps(Caps::none().with(reset, cap(limit)));
    account
}

fn take(accounts: &[Arc<Account>], want: i64, least: i64) -> Result<Held, Denied> {
    hold(accounts, Nano(want), Nano(least), false, MONDAY)
}

#[test]
fn every_account_grants_or_none_holds_anything() {
    let (key, workspace, free) = (capped(None, 100), capped(Some(Reset::Daily), 60), Arc::new(Account::new()));
    let all = [free.clone(), key.clone(), workspace.clone(), key.clone()];
    let first = take(&all, 50, 50).expect("sixty are left");
    let denied = take(&all, 50, 11).expect_err("ten are left");
    assert_eq!(
        (denied.which, denied.by.reset, denied.by.left, denied.missing),
        (2, Some(Reset::Daily), Nano(10), Nano(1))
    );
    assert_eq!((denied.by.spent, denied.by.held, denied.by.limit), (Nano(0), Nano(50), Nano(60)));
    assert_eq!(denied.by.resets_at_ms, Some(MONDAY + DAY_MS));
    assert_eq!(take(&all, 50, 10).expect("as much as is left").amount(), Nano(10));
    for account in &all {
        assert_eq!(account.held(), Amount::own(Nano(50)), "what was granted in part is given back");
    }
    first.settle(Nano(20), Nano(0), MONDAY);
    let usage = free.usage(MONDAY);
    assert_eq!((usage.daily, usage.requests, free.held()), (Nano(20), 1, Amount::default()), "no cap, yet counted");
    assert_eq!(key.usage(MONDAY).total, Nano(20), "named twice, counted once");
    assert_eq!(workspace.tightest(MONDAY).map(|l| l.left), Some(Nano(40)));
}

#[test]
fn a_refusal_names_what_waiting_or_asking_will_not_help() {
    let account = |lifetime, daily, monthly| {
        let account = Account::new();
        let caps = Caps::none().with(None, cap(lifetime)).with(Some(Reset::Daily), cap(daily));
        account.set_caps(caps.with(Some(Reset::Monthly), cap(monthly)));
        Arc::new(account)
    };
    let rows = [
        ((5, 5, 5), None),
        ((9, 5, 5), Some(Reset::Monthly)),
        ((9, 5, 9), Some(Reset::Daily)),
        ((0, -7, 0), None), // below zero is zero
    ];
    for ((lifetime, daily, monthly), named) in rows {
        let account = [account(lifetime, daily, monthly)];
        let denied = hold(&account, Nano(10), Nano(10), false, MONDAY - 1).expect_err("too little is left");
        assert_eq!(denied.by.reset, named, "{lifetime} {daily} {monthly}");
    }
    let (leased, plain) = (capped(Some(Reset::Daily), 100), capped(Some(Reset::Daily), 0));
    assert!(leased.set_lease(Some(Reset::Daily), Lease::new(1, Nano(0), i64::MAX)));
    let denied = take(&[leased.clone(), plain], 10, 10).expect_err("nothing is left");
    assert_eq!((denied.which, denied.by.leased), (1, false));
    let denied = take(&[leased], 10, 7).expect_err("nothing was leased");
    assert_eq!((denied.by.leased, denied.missing), (true, Nano(7)));
}

#[test]
fn a_hold_grows_shrinks_and_is_given_back() {
    let account = capped(None, 100);
    let mut held = take(from_ref(&account), 40, 40).expect("a hundred are left");
    assert_eq!(held.top_up(Nano(40), Nano(40), MONDAY), Ok(Nano(40)));
    assert_eq!(held.top_up(Nano(40), Nano(1), MONDAY), Ok(Nano(20)));
    assert_eq!(held.top_up(Nano(1), Nano(1), MONDAY).map_err(|d| d.missing), Err(Nano(1)));
    held.shrink(Nano(70));
    held.shrink(Nano(90));
    assert_eq!((held.amount(), account.held().own), (Nano(70), Nano(70)));
    drop(held);
    assert_eq!((account.held(), account.usage(MONDAY).total), (Amount::default(), Nano(0)));
}

#[test]
fn money_counts_in_the_period_it_was_spent_in() {
    let account = Arc::new(Account::new());
    let caps = Caps::none().with(Some(Reset::Daily), cap(100)).with(Some(Reset::Weekly), cap(150));
    account.set_caps(caps);
    let (sunday, late) = (MONDAY - 1, MONDAY + DAY_MS - 1);
    account.load(day_of(sunday), Amount::own(Nano(90)), 1);
    let held = hold(from_ref(&account), Nano(50), Nano(50), false, sunday).expect_err("ten are left of Sunday");
    assert_eq!((held.by.reset, held.by.resets_at_ms), (Some(Reset::Daily), Some(MONDAY)));
    // At midnight both begin anew; what Sunday still holds counts until it is known where it belongs.
    let sundays = hold(from_ref(&account), Nano(10), Nano(10), false, sunday).expect("ten are left of Sunday");
    let held = take(from_ref(&account), 100, 1).expect("Monday is new");
    assert_eq!(held.amount(), Nano(90));
    sundays.settle(Nano(10), Nano(0), sunday);
    held.settle(Nano(90), Nano(0), late);
    let left = |now| account.left(now).map(|l| (l.spent.0, l.left.0)).collect::<Vec<_>>();
    assert_eq!(left(late), [(90, 10), (90, 60)]);
    assert_eq!(left(late + 1), [(0, 100), (90, 60)]);
    assert_eq!(left(sunday), [(90, 10), (90, 60)], "a clock put back brings nothing back");
    assert_eq!(account.usage(late).total, Nano(190));
}

#[test]
fn what_own_provider_keys_cost_counts_where_a_cap_says_so() {
    let rows = [(false, 100, 100), (true, 50, 50)];
    for (include_byok, own_left, byok_left) in rows {
        let account = Arc::new(Account::new());
        account.set_caps(Caps::none().with(None, Cap { limit: Nano(100), include_byok }));
        let ask = |byok| hold(from_ref(&account), Nano(100), Nano(0), byok, MONDAY).expect("any").amount().0;
        let held = hold(from_ref(&account), Nano(30), Nano(30), true, MONDAY).expect("a hundred are left");
        assert_eq!(account.held(), Amount { own: Nano(0), byok: Nano(30) });
        held.settle(Nano(0), Nano(50), MONDAY);
        assert_eq!((ask(false), ask(true)), (own_left, byok_left), "{include_byok}");
        let usage = account.usage(MONDAY);
        assert_eq!((usage.total, usage.byok_total), (Nano(0), Nano(50)));
    }
}

#[test]
fn caps_change_under_way_and_nothing_becomes_negative() {
    let account = capped(None, 100);
    let held = take(from_ref(&account), 80, 80).expect("a hundred are left");
    account.set_caps(Caps::none().with(None, cap(50)));
    assert_eq!(account.tightest(MONDAY).map(|l| (l.limit, l.left)), Some((Nano(50), Nano(0))));
    assert!(take(from_ref(&account), 1, 1).is_err());
    held.settle(Nano(120), Nano(0), MONDAY);
    assert_eq!(account.tightest(MONDAY).map(|l| (l.spent, l.left)), Some((Nano(120), Nano(0))), "spent is spent");
    assert_eq!(take(from_ref(&account), 10, 0).expect("nothing is always granted").amount(), Nano(0));
    account.set_caps(Caps::none().with(None, cap(121)));
    assert_eq!(take(from_ref(&account), 10, 0).expect("one is left").amount(), Nano(1));
    account.set_caps(Caps::none());
    assert_eq!(take(from_ref(&account), 10, 10).expect("no cap").amount(), Nano(10));
    assert_eq!((account.caps(), account.tightest(MONDAY)), (Caps::none(), None));
}

#[test]
fn what_a_process_left_held_is_held_again() {
    let account = capped(None, 100);
    account.load_past(Amount::own(Nano(60)), 7);
    let held = Account::rehold(from_ref(&account), Nano(70), false);
    assert_eq!(account.tightest(MONDAY).map(|l| (l.spent, l.held, l.left)), Some((Nano(60), Nano(70), Nano(0))));
    held.settle(Nano(30), Nano(0), MONDAY);
    assert_eq!(account.tightest(MONDAY).map(|l| (l.spent, l.held, l.left)), Some((Nano(90), Nano(0), Nano(10))));
    assert_eq!(account.usage(MONDAY).requests, 8);
}

#[test]
fn a_lease_stands_in_for_its_cap() {
    let day = Some(Reset::Daily);
    let account = capped(day, 1_000);
    let lease = |epoch, granted, until_ms: i64| Lease::new(epoch, Nano(granted), until_ms);
    let used = || account.lease_use(day).map(|u| (u.lease.epoch, u.spent.0, u.held.0, u.unused.0));
    account.load(day_of(MONDAY), Amount::own(Nano(900)), 1);
    assert!(!account.set_lease(None, lease(1, 50, i64::MAX)), "no such cap");
    assert_eq!(used(), None);

    assert!(account.set_lease(day, lease(1, 50, MONDAY + 10)));
    let mut held = take(from_ref(&account), 30, 30).expect("fifty were granted");
    let denied = take(from_ref(&account), 30, 25).expect_err("twenty are left");
    assert_eq!((denied.by.leased, denied.missing, denied.by.limit), (true, Nano(5), Nano(50)));
    assert!(account.set_lease(day, lease(1, 55, MONDAY + 10)), "the same, enlarged");
    assert_eq!(held.top_up(Nano(25), Nano(25), MONDAY), Ok(Nano(25)));
    held.settle(Nano(40), Nano(0), MONDAY - DAY_MS);
    assert_eq!(used(), Some((1, 40, 0, 15)), "it is drawn on, whichever day it belongs to");

    let over = |now| hold(from_ref(&account), Nano(1), Nano(1), false, now).map(|h| h.amount()).map_err(|d| d.by.limit);
    assert_eq!((over(MONDAY + 9), over(MONDAY + 10)), (Ok(Nano(1)), Err(Nano(0))), "nothing after its end");

    let held = take(from_ref(&account), 5, 5).expect("fifteen are left");
    assert!(account.set_lease(day, lease(2, 20, i64::MAX)));
    assert!(!account.set_lease(day, lease(1, 500, i64::MAX)), "an older one");
    assert_eq!(used(), Some((2, 0, 5, 15)), "what is under way counts in the new one");
    held.settle(Nano(7), Nano(0), MONDAY);
    assert_eq!(used(), Some((2, 7, 0, 13)));

    account.set_caps(Caps::none().with(day, cap(1_000)));
    assert_eq!(used(), Some((2, 7, 0, 13)), "the same limit again");
    account.set_caps(Caps::none().with(day, cap(2_000)));
    assert_eq!(used(), Some((2, 7, 0, 0)), "under another limit what is not used has to be asked for again");
    account.set_caps(Caps::none());
    assert_eq!(used(), None);
}

#[test]
fn more_accounts_than_fit_are_counted_all_the_same() {
    for count in [1, 8, 9, 20] {
        let mut accounts: Vec<_> = (0..count).map(|_| Arc::new(Account::new())).collect();
        accounts.reverse();
        accounts.push(accounts[0].clone());
        let last = count - 1;
        accounts[last].set_caps(Caps::none().with(None, cap(10)));
        let held = take(&accounts, 10, 10).expect("ten are left");
        assert_eq!(take(&accounts, 1, 1).map(|h| h.amount()).map_err(|d| d.which), Err(last), "{count}");
        held.settle(Nano(10), Nano(0), MONDAY);
        assert!(accounts.iter().all(|a| a.usage(MONDAY).daily == Nano(10) && a.held() == Amount::default()), "{count}");
    }
    assert_eq!(take(&[], 5, 5).expect("nobody to ask").amount(), Nano(5));
}

/// A cent, held by a hundredth of it, a thousand times at once.
#[test]
fn exactly_a_hundred_of_a_thousand_at_once_are_granted() {
    const THREADS: usize = 8;
    for keep in [true, false] {
        let cent = Nano::usd("0.01").expect("an amount");
        let piece = Nano::usd("0.0001").expect("an amount");
        let (global, key) = (Arc::new(Account::new()), Arc::new(Account::new()));
        key.set_caps(Caps::none().with(None, Cap { limit: cent, include_byok: false }));
        let start = Barrier::new(THREADS);
        let granted: usize = std::thread::scope(|scope| {
            let race = || {
                start.wait();
                let asked = (0..1_000 / THREADS).filter_map(|turn| {
                    // Either order of the same two.
                    let mut both = [global.clone(), key.clone()];
                    both.rotate_left(turn % 2);
                    let held = hold(&both, piece, piece, false, MONDAY).ok()?;
                    match keep {
                        true => Some(held),
                        false => {
                            held.settle(piece, Nano(0), MONDAY);
                            None
                        }
                    }
                });
                let held: Vec<Held> = asked.collect();
                start.wait(); // nothing is given back before everybody has asked
                let count = held.len();
                held.into_iter().for_each(|h| h.settle(piece, Nano(0), MONDAY));
                count
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(race)).collect();
            threads.into_iter().map(|t| t.join().expect("no panic")).sum()
        });
        assert_eq!(granted, if keep { 100 } else { 0 });
        for account in [&key, &global] {
            let usage = account.usage(MONDAY);
            assert_eq!((usage.total, usage.requests, account.held()), (cent, 100, Amount::default()));
        }
    }
}

/// Each asks for what is surely there, so nobody may be denied, however much is taken and given back around it.
#[test]
fn nobody_is_denied_for_what_another_gives_back() {
    const THREADS: i64 = 4;
    let accounts = [capped(None, 10 * THREADS), capped(Some(Reset::Monthly), 10 * THREADS)];
    let tight = capped(None, 0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let held = take(&accounts, 10, 10).expect("there is enough for everybody");
                    let doomed = [accounts[0].clone(), accounts[1].clone(), tight.clone()];
                    assert!(take(&doomed, 10, 1).is_err());
                    drop(held);
                }
            });
        }
    });
    assert!(accounts.iter().all(|a| a.held() == Amount::default()));
}
