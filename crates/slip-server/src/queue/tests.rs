//! Lines under many hands: nothing is lost, whoever leaves and whenever.

use super::Counts;
use super::account::{Account, Need};
use super::door::InFlight;
use crate::clock;
use crate::config::AccountLimits;
use crate::testing::app;
use slip_quota::Class;
use slip_quota::line::Terms;
use slip_route::Health;
use slip_route::health::{Allowance, Left};
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;
use tokio::task::JoinSet;

const WORKERS: u64 = 4;
const ROUNDS: u64 = 300;

/// Each worker does this many times, all of them at once, on a runtime of its own.
fn everywhere<F: Future<Output = ()> + 'static>(work: impl Fn(u64) -> F + Sync) {
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let work = &work;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                tokio::task::LocalSet::new().block_on(&runtime, async {
                    let mut all = JoinSet::new();
                    for round in 0..ROUNDS {
                        all.spawn_local(work(worker * ROUNDS + round));
                    }
                    while let Some(ended) = all.join_next().await {
                        ended.expect("no panic");
                    }
                });
            });
        }
    });
}

fn class(n: u64) -> Class {
    Class::ALL[(n % 3) as usize]
}

#[test]
fn at_the_door_no_place_is_lost_and_none_is_given_twice() {
    let app = app();
    app.door.set(5, Terms::default());
    let served = Arc::new(AtomicUsize::new(0));
    everywhere(|n| {
        let (app, served) = (app.clone(), served.clone());
        async move {
            let place = match InFlight::enter(&app, class(n)) {
                Some(place) => place,
                None => {
                    let mut waiting = InFlight::wait(&app, class(n), i64::MAX).expect("room in the line");
                    if n % 4 == 0 {
                        // It hangs up, perhaps at the very moment in which it is let in.
                        let patience = Duration::from_micros(n * 37 % 3_000);
                        match tokio::time::timeout(patience, waiting.turn()).await {
                            Ok(place) => place.expect("its turn"),
                            Err(_) => return,
                        }
                    } else {
                        waiting.turn().await.expect("its turn")
                    }
                }
            };
            assert!(app.in_flight.load(SeqCst) <= 5);
            served.fetch_add(1, SeqCst);
            tokio::time::sleep(Duration::from_micros(n % 300)).await;
            drop(place);
        }
    });
    assert_eq!((app.in_flight.load(SeqCst), app.door.waiting()), (0, 0));
    assert!(served.load(SeqCst) as u64 >= WORKERS * ROUNDS * 3 / 4, "whoever stayed was served");
    let every: Vec<_> = (0..5).map(|_| InFlight::enter(&app, Class::Interactive)).collect();
    assert!(every.iter().all(Option::is_some) && InFlight::enter(&app, Class::Interactive).is_none());
}

#[test]
fn room_is_kept_for_those_who_are_waited_for() {
    let app = app();
    app.door.set(10, Terms::default());
    let inside: Vec<_> = std::iter::from_fn(|| InFlight::enter(&app, Class::Batch)).collect();
    assert_eq!(inside.len(), 8);
    let urgent: Vec<_> = std::iter::from_fn(|| InFlight::enter(&app, Class::Interactive)).collect();
    assert_eq!(urgent.len(), 2);
    drop((inside, urgent));
    app.door.set(1, Terms::default());
    assert!(InFlight::enter(&app, Class::Background).is_some(), "however little it is, it is not nothing");
}

fn need(class: Class, health: Option<&Arc<Health>>) -> Need {
    Need { class, tokens: 10, prompt: 5, health: health.cloned(), latest_ms: i64::MAX }
}

#[test]
fn before_an_account_no_place_is_lost_and_none_is_given_twice() {
    let account = Arc::new(Account::new(Counts::default()));
    let limits = AccountLimits { concurrent: Some(4), ..AccountLimits::default() };
    account.set(limits, Terms::default());
    let inside = Arc::new(AtomicUsize::new(0));
    everywhere(|n| {
        let (account, inside) = (account.clone(), inside.clone());
        async move {
            let need = need(class(n), None);
            let mut lease = match account.take(&need) {
                Some(lease) => lease,
                None => {
                    let Ok(mut standing) = account.stand(need) else { panic!("room in the line") };
                    let turn = poll_fn(|cx| standing.poll_turn(cx));
                    if n % 4 == 0 {
                        match tokio::time::timeout(Duration::from_micros(n * 37 % 3_000), turn).await {
                            Ok(lease) => lease,
                            Err(_) => return,
                        }
                    } else {
                        turn.await
                    }
                }
            };
            assert!(inside.fetch_add(1, SeqCst) < 4);
            lease.begins();
            tokio::time::sleep(Duration::from_micros(n % 300)).await;
            inside.fetch_sub(1, SeqCst);
            lease.settle(n);
        }
    });
    assert_eq!((account.waiting(), account.is_full(clock::unix_ms())), (0, false));
    let urgent = need(Class::Interactive, None);
    let leases: Vec<_> = std::iter::from_fn(|| account.take(&urgent)).collect();
    assert_eq!((leases.len(), account.is_full(clock::unix_ms())), (4, true));
}

#[tokio::test]
async fn one_finds_out_what_is_left_and_the_others_follow_by_its_answer() {
    let account = Arc::new(Account::new(Counts::default()));
    let health = Arc::new(Health::default());
    let now = clock::unix_ms();
    let said = |left, reset_ms| Allowance { requests: Some(Left { left, reset_ms }), tokens: None };
    health.allowed(now, &said(0, 400));
    let urgent = need(Class::Interactive, Some(&health));
    assert!(account.take(&urgent).is_none());
    let mut line: Vec<_> = (0..5).filter_map(|_| account.stand(urgent.clone()).ok()).collect();
    assert_eq!(line.len(), 5);
    // Of another model there is enough.
    let other = need(Class::Batch, Some(&Arc::new(Health::default())));
    assert!(account.take(&other).is_some(), "what they wait for it does not need");
    let mut turns = async |within: u64| {
        let mut leases = Vec::new();
        let all = poll_fn(|cx| {
            for standing in &mut line {
                if let Poll::Ready(lease) = standing.poll_turn(cx) {
                    leases.push(lease);
                }
            }
            Poll::<()>::Pending
        });
        let _ = tokio::time::timeout(Duration::from_millis(within), all).await;
        leases
    };
    assert_eq!(turns(100).await.len(), 0, "nothing is left until then");
    let mut first = turns(800).await;
    assert_eq!(first.len(), 1, "one finds out");
    health.begin(clock::unix_ms(), 5);
    first[0].begins();
    assert_eq!(turns(50).await.len(), 0, "and the others wait for its answer");
    health.allowed(clock::unix_ms(), &said(2, 60_000));
    first[0].heard();
    assert_eq!(turns(50).await.len(), 2, "which says that two more may");
    health.allowed(clock::unix_ms(), &said(9, 60_000));
    first.clear();
    assert_eq!(turns(50).await.len(), 2);
}
