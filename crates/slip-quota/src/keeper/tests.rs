//! Gateways that spend, settle, ask, give back, lose answers, stop, die and come back, in any order, beside what the ledger says.

use super::*;
use crate::account::{Account, Cap, Caps, Held, Lease, hold};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::slice::from_ref;
use std::sync::Arc;

#[test]
fn slices_get_smaller_as_the_end_comes_near() {
    let told = |limit, settled, gateways, ask: &Ask| {
        let whole = Whole { limit: Nano(limit), settled: Nano(settled), gateways };
        lend(whole, &[], Lent::default(), ask).allowed.0
    };
    let spare = Ask::spare();
    assert_eq!(told(1_000, 0, 3, &spare), 50, "a twentieth of the limit");
    assert_eq!(told(1_000, 880, 3, &spare), 20, "a share of what is left");
    assert_eq!(told(1_000, 998, 3, &spare), 0);
    assert_eq!(told(i64::MAX, 0, 1, &spare), 5_000_000_000);
    let waiting = |least, most, crowd| Ask::waiting(Nano(least), Nano(most), Nano(crowd));
    assert_eq!(told(1_000, 0, 3, &waiting(1, 1, 900)), 333, "many who wait get a fair share");
    assert_eq!(told(1_000, 998, 3, &waiting(1, 1, 900)), 1, "and one of them what there is");
    assert_eq!(told(1_000, 998, 3, &waiting(3, 3, 900)), 0, "but not what would serve nobody");
    assert_eq!(told(1_000, 998, 3, &waiting(1, 50, 50)), 2, "a shorter answer is worth having");
    assert_eq!(told(1_000, 1_400, 3, &waiting(1, 1, 1)), 0);
}

#[test]
fn it_is_told_what_others_have_and_do_not_use() {
    let whole = Whole { limit: Nano(100), settled: Nano(30), gateways: 2 };
    let idle = Lent { allowed: Nano(70), used: Nano(0), settled: Nano(0) };
    let ask = Ask::waiting(Nano(10), Nano(10), Nano(10));
    let told = lend(whole, &[idle], Lent::default(), &ask);
    assert_eq!((told.allowed, told.beyond, told.short), (Nano(0), Nano(70), true));
    let busy = Lent { used: Nano(65), ..idle };
    let told = lend(whole, &[busy], Lent::default(), &ask);
    assert_eq!((told.allowed, told.beyond, told.short), (Nano(0), Nano(5), true));
    let done = Lent { used: Nano(70), ..idle };
    let told = lend(whole, &[done], Lent::default(), &ask);
    assert_eq!((told.allowed, told.beyond, told.short), (Nano(0), Nano(0), false), "the limit is reached");
}

const LIMIT: i64 = 1_000;
const GATEWAYS: usize = 3;
const CAP: Cap = Cap { limit: Nano(LIMIT), include_byok: false };

#[derive(Clone, Debug)]
enum Step {
    Hold {
        gateway: usize,
        want: i64,
    },
    Settle {
        gateway: usize,
        share: i64,
    },
    Put {
        gateway: usize,
    },
    Round {
        gateway: usize,
        wait: i64,
        keep: i64,
        lost: bool,
    },
    /// It is stopped, or cut off, for so long that its lease is over.
    Stop {
        gateway: usize,
    },
    Bury,
    Die {
        gateway: usize,
    },
    Start {
        gateway: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let gateway = 0..GATEWAYS;
    prop_oneof![
        8 => (gateway.clone(), 1..60i64).prop_map(|(gateway, want)| Step::Hold { gateway, want }),
        6 => (gateway.clone(), 0..=100i64).prop_map(|(gateway, share)| Step::Settle { gateway, share }),
        5 => gateway.clone().prop_map(|gateway| Step::Put { gateway }),
        8 => (gateway.clone(), 0..80i64, 0..80i64, proptest::bool::weighted(0.2))
            .prop_map(|(gateway, wait, keep, lost)| Step::Round { gateway, wait, keep, lost }),
        1 => gateway.clone().prop_map(|gateway| Step::Stop { gateway }),
        1 => Just(Step::Bury),
        1 => gateway.clone().prop_map(|gateway| Step::Die { gateway }),
        1 => gateway.prop_map(|gateway| Step::Start { gateway }),
    ]
}

/// One process, and what the database knows of it.
struct Gateway {
    account: Arc<Account>,
    held: Vec<Held>,
    /// Written, and not yet in the database: in the journal as well.
    queue: VecDeque<i64>,
    epoch: u64,
    alive: bool,
    /// By its own clock its lease is over.
    stopped: bool,
    /// It has not heard of the burial.
    buried: bool,
    row: Option<Lent>,
}

impl Gateway {
    fn begin(&mut self) {
        self.epoch += 1;
        self.account.set_lease(None, Lease::new(self.epoch, Nano(0), i64::MAX));
    }
}

fn fresh() -> Arc<Account> {
    let account = Arc::new(Account::new());
    account.share();
    account.set_caps(Caps::none().with(None, CAP));
    account
}

#[derive(Default)]
struct Fleet {
    all: Vec<Gateway>,
    settled: i64,
    /// What those who died had used and not told of: the bound.
    hidden: i64,
}

impl Fleet {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Hold { gateway, want } => {
                let one = &mut self.all[gateway];
                if one.alive && !one.stopped {
                    one.held.extend(hold(from_ref(&one.account), Nano(want), Nano(1), false, 0));
                }
            }
            Step::Settle { gateway, share } => {
                let one = &mut self.all[gateway];
                if one.alive && !one.held.is_empty() {
                    let held = one.held.remove(0);
                    let cost = held.amount().0 * share / 100;
                    held.settle(Nano(cost), Nano(0), 0);
                    one.queue.push_back(cost);
                }
            }
            Step::Put { gateway } => self.put(gateway),
            Step::Round { gateway, wait, keep, lost } => self.round(gateway, wait, keep, lost),
            Step::Stop { gateway } => self.all[gateway].stopped = true,
            Step::Bury => {
                for one in self.all.iter_mut().filter(|one| (!one.alive || one.stopped) && !one.buried) {
                    one.buried = true;
                    let Some(row) = &mut one.row else { continue };
                    row.allowed = row.allowed.min(row.used.max(row.settled));
                    let used = one
                        .account
                        .lease_use(None)
                        .map_or(0, |u| u.spent.0 + one.held.iter().map(|h| h.amount().0).sum::<i64>());
                    self.hidden += (used - row.used.0).max(0);
                }
            }
            Step::Die { gateway } => {
                let one = &mut self.all[gateway];
                if one.alive {
                    one.alive = false;
                    // What was under way is closed at the next start, with what it was held for at most.
                    let under_way: Vec<_> = one.held.iter().map(|held| held.amount().0).collect();
                    one.queue.extend(under_way);
                    for held in std::mem::take(&mut one.held) {
                        let amount = held.amount();
                        held.settle(amount, Nano(0), 0);
                    }
                }
            }
            Step::Start { gateway } => {
                while !self.all[gateway].alive && !self.all[gateway].queue.is_empty() {
                    self.put(gateway);
                }
                let one = &mut self.all[gateway];
                if !one.alive {
                    (one.alive, one.stopped, one.buried, one.row) = (true, false, false, None);
                    one.account = fresh();
                    one.begin();
                }
            }
        }
    }

    fn put(&mut self, gateway: usize) {
        let one = &mut self.all[gateway];
        if let Some(cost) = one.queue.pop_front() {
            self.settled += cost;
            if let Some(row) = &mut one.row {
                row.settled = row.settled + Nano(cost);
            }
        }
    }

    fn round(&mut self, gateway: usize, wait: i64, keep: i64, lost: bool) {
        if !self.all[gateway].alive {
            return;
        }
        // The writer puts away what it has before it asks.
        while !self.all[gateway].queue.is_empty() {
            self.put(gateway);
        }
        let whole = Whole { limit: Nano(LIMIT), settled: Nano(self.settled), gateways: GATEWAYS as u32 };
        let others: Vec<_> =
            self.all.iter().enumerate().filter(|(at, _)| *at != gateway).filter_map(|(_, one)| one.row).collect();
        let one = &mut self.all[gateway];
        if one.buried {
            one.begin();
            (one.buried, one.row) = (false, None);
        }
        one.stopped = false;
        let ask = if wait > 0 { Ask::waiting(Nano(1), Nano(wait), Nano(wait * 3)) } else { Ask::spare() };
        one.account.give_back(None, Nano(if wait > 0 { 0 } else { keep }));
        let used = one.account.lease_use(None).expect("a lease");
        let row = one.row.unwrap_or_default();
        let mine = Lent { allowed: used.lease.granted, used: used.spent + used.held, settled: row.settled };
        let told = lend(whole, &others, mine, &ask);
        one.row = Some(Lent { allowed: told.allowed, ..mine });
        if !lost {
            one.account.renew_lease(None, CAP, Lease::new(one.epoch, told.allowed, i64::MAX));
        }
    }

    /// What is in the ledger, on its way there, or held.
    fn spent(&self) -> i64 {
        let one = |one: &Gateway| one.queue.iter().sum::<i64>() + one.held.iter().map(|h| h.amount().0).sum::<i64>();
        self.settled + self.all.iter().map(one).sum::<i64>()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    /// Exactly the limit while everybody lives; and however many die, no more beyond it than they had used without a word.
    #[test]
    fn whoever_dies_or_stops_the_limit_is_kept(steps in proptest::collection::vec(step(), 1..250)) {
        let mut fleet = Fleet::default();
        for _ in 0..GATEWAYS {
            let mut one = Gateway {
                account: fresh(), held: vec![], queue: VecDeque::new(), epoch: 0, alive: true, stopped: false, buried: false, row: None,
            };
            one.begin();
            fleet.all.push(one);
        }
        for step in &steps {
            fleet.take(step);
            prop_assert!(fleet.spent() <= LIMIT + fleet.hidden, "{} of {LIMIT} and {}", fleet.spent(), fleet.hidden);
        }
    }

    #[test]
    fn no_number_is_too_large(n in proptest::collection::vec(prop_oneof![any::<i64>(), Just(i64::MAX), Just(i64::MIN)], 14), gateways in any::<u32>()) {
        let lent = |at: usize| Lent { allowed: Nano(n[at]), used: Nano(n[at + 1]), settled: Nano(n[at + 2]) };
        let ask = Ask { least: Nano(n[9]), most: Nano(n[10]), crowd: Nano(n[11]), spare: n[12] > 0 };
        let whole = Whole { limit: Nano(n[12]), settled: Nano(n[13]), gateways };
        let told = lend(whole, &[lent(0), lent(3)], lent(6), &ask.with(ask));
        prop_assert!(told.beyond.0 >= 0 && told.slice.0 >= 0 && told.allowed.0 >= 0);
    }
}
