//! Accounts beside a model that keeps every record and adds them up each time it is asked.
//!
//! | Law | Here |
//! |---|---|
//! | what is spent is the sum of what was settled in the period | usage and each cap's `spent` equal the model's |
//! | what is held is the sum of open holds, never below zero | `held` after every step, zero when all are gone |
//! | a grant keeps spent and held within every limit, and a denial names one that it would have broken | at every hold and top-up |
//! | nothing overflows | any numbers at all |
//! | the keys' sums are the installation's | every hold names one key and the installation |

use super::*;
use crate::period::DAY_MS;
use proptest::prelude::*;

const START: i64 = 20_786 * DAY_MS; // a Sunday, two days before December
const KEYS: usize = 2;
const WORKSPACE: usize = 2;
const INSTANCE: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Cap { account: usize, slot: usize, cap: Option<(i64, bool)> },
    Lease { account: usize, slot: usize, epoch: u64, granted: i64, lasts: i64 },
    Hold { key: usize, workspace: bool, twice: bool, want: i64, least: i64, byok: bool },
    TopUp { hold: usize, want: i64, least: i64 },
    Shrink { hold: usize, to: i64 },
    Settle { hold: usize, own: i64, byok: i64, back: i64 },
    Drop { hold: usize },
    Pass { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (money, account) = (-3i64..80, 0..4usize);
    prop_oneof![
        2 => (account.clone(), 0..4usize, proptest::option::weighted(0.8, (-3i64..250, any::<bool>())))
            .prop_map(|(account, slot, cap)| Step::Cap { account, slot, cap }),
        1 => (account, 0..4usize, 0..4u64, -3i64..200, -DAY_MS..3 * DAY_MS)
            .prop_map(|(account, slot, epoch, granted, lasts)| Step::Lease { account, slot, epoch, granted, lasts }),
        6 => (0..KEYS, any::<bool>(), any::<bool>(), money.clone(), money.clone(), any::<bool>())
            .prop_map(|(key, workspace, twice, want, least, byok)| Step::Hold { key, workspace, twice, want, least, byok }),
        2 => (0..8usize, money.clone(), money.clone()).prop_map(|(hold, want, least)| Step::TopUp { hold, want, least }),
        1 => (0..8usize, money.clone()).prop_map(|(hold, to)| Step::Shrink { hold, to }),
        4 => (0..8usize, money.clone(), money, -DAY_MS..2 * DAY_MS)
            .prop_map(|(hold, own, byok, back)| Step::Settle { hold, own, byok, back }),
        1 => (0..8usize).prop_map(|hold| Step::Drop { hold }),
        2 => (-DAY_MS..2 * DAY_MS).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// One account, remembered in full.
#[derive(Default)]
struct Ledger {
    caps: [Option<Cap>; 4],
    /// With how many records there were when its epoch began.
    leases: [Option<(Lease, usize)>; 4],
    /// Day, own, byok.
    records: Vec<(i64, i64, i64)>,
}

/// An open hold: whose, how much, of which money.
struct Open {
    held: Held,
    accounts: Vec<usize>,
    amount: i64,
}

impl Ledger {
    fn sum(records: &[(i64, i64, i64)], byok: bool) -> i64 {
        records.iter().map(|(_, own, theirs)| own + if byok { *theirs } else { 0 }).sum()
    }

    fn spent(&self, slot: usize, byok: bool, now: i64) -> i64 {
        if let Some((_, since)) = self.leases[slot] {
            return Ledger::sum(&self.records[since..], byok);
        }
        let Some(reset) = SLOTS[slot] else { return Ledger::sum(&self.records, byok) };
        let seen = self.records.iter().map(|(day, ..)| reset.period(*day)).max();
        let running = reset.period(day_of(now)).max(seen.unwrap_or(i64::MIN));
        let within: Vec<_> = self.records.iter().copied().filter(|(day, ..)| reset.period(*day) == running).collect();
        Ledger::sum(&within, byok)
    }

    fn limit(&self, slot: usize, now: i64) -> Option<i64> {
        let cap = self.caps[slot]?;
        Some(match self.leases[slot] {
            Some((lease, _)) if now >= lease.until.unix_ms => 0,
            Some((lease, _)) => lease.granted.0,
            None => cap.limit.0,
        })
    }
}

struct World {
    accounts: Vec<Arc<Account>>,
    ledgers: Vec<Ledger>,
    open: Vec<Open>,
    now: i64,
}

impl World {
    fn held(&self, account: usize, byok: bool) -> i64 {
        let here = self.open.iter().filter(|o| o.accounts.contains(&account) && o.held.byok() == byok);
        here.map(|o| o.amount).sum()
    }

    /// What a cap leaves; may be below zero.
    fn left(&self, account: usize, slot: usize) -> Option<i64> {
        let ledger = &self.ledgers[account];
        let (limit, cap) = (ledger.limit(slot, self.now)?, ledger.caps[slot]?);
        let held = self.held(account, false) + if cap.include_byok { self.held(account, true) } else { 0 };
        Some(limit - ledger.spent(slot, cap.include_byok, self.now) - held)
    }

    /// What the tightest cap that is concerned leaves.
    fn room(&self, accounts: &[usize], byok: bool) -> Option<i64> {
        let caps = accounts.iter().flat_map(|a| (0..4).map(move |slot| (*a, slot)));
        let concerned = caps.filter(|(a, slot)| self.ledgers[*a].caps[*slot].is_some_and(|c| !byok || c.include_byok));
        concerned.filter_map(|(a, slot)| self.left(a, slot)).min().map(|left| left.max(0))
    }

    /// What a hold or a top-up must come to.
    fn judge(
        &self,
        accounts: &[usize],
        want: i64,
        least: i64,
        byok: bool,
        got: Result<Nano, Denied>,
    ) -> Result<(), TestCaseError> {
        let want = want.max(0);
        let least = least.clamp(0, want);
        let room = self.room(accounts, byok);
        let granted = room.map_or(want, |room| want.min(room));
        match got {
            Ok(amount) => {
                prop_assert_eq!(amount.0, granted);
                prop_assert!(granted >= least);
            }
            Err(denied) => {
                prop_assert!(granted < least, "denied although {:?} is left of {}", room, least);
                prop_assert_eq!(Some(denied.by.left.0), room, "the tightest is named");
                prop_assert_eq!(denied.missing.0, least - granted);
                prop_assert!(denied.which < accounts.len());
                let (which, slot) = (accounts[denied.which], slot(denied.by.reset));
                prop_assert_eq!(self.left(which, slot).map(|l| l.max(0)), room);
                prop_assert_eq!(denied.by.leased, self.ledgers[which].leases[slot].is_some());
            }
        }
        Ok(())
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let pick = |hold: &usize, open: &Vec<Open>| (!open.is_empty()).then(|| hold % open.len());
        match step {
            Step::Cap { account, slot, cap } => {
                let cap = cap.map(|(limit, include_byok)| Cap { limit: Nano(limit), include_byok });
                let byok = cap.is_some_and(|cap| cap.include_byok);
                let held = self.held(*account, false) + if byok { self.held(*account, true) } else { 0 };
                let ledger = &mut self.ledgers[*account];
                if let (Some((lease, since)), true) = (&mut ledger.leases[*slot], ledger.caps[*slot] != cap) {
                    let used = Ledger::sum(&ledger.records[*since..], byok) + held;
                    lease.granted = Nano(lease.granted.0.min(used));
                }
                ledger.caps[*slot] = cap;
                if cap.is_none() {
                    ledger.leases[*slot] = None;
                }
                self.accounts[*account].set_caps(Caps(ledger.caps));
                prop_assert_eq!(self.accounts[*account].caps(), Caps(ledger.caps));
            }
            Step::Lease { account, slot, epoch, granted, lasts } => {
                let lease = Lease::new(*epoch, Nano(*granted), self.now + lasts);
                let ledger = &mut self.ledgers[*account];
                let old = ledger.leases[*slot];
                let taken = ledger.caps[*slot].is_some() && old.is_none_or(|(old, _)| old.epoch <= *epoch);
                prop_assert_eq!(self.accounts[*account].set_lease(SLOTS[*slot], lease), taken);
                if taken {
                    let since =
                        old.filter(|(old, _)| old.epoch == *epoch).map_or(ledger.records.len(), |(_, since)| since);
                    ledger.leases[*slot] = Some((lease, since));
                }
            }
            Step::Hold { key, workspace, twice, want, least, byok } => {
                let mut accounts = vec![*key];
                accounts.extend(workspace.then_some(WORKSPACE));
                accounts.push(INSTANCE);
                accounts.extend(twice.then_some(*key));
                let named: Vec<_> = accounts.iter().map(|a| self.accounts[*a].clone()).collect();
                let got = hold(&named, Nano(*want), Nano(*least), *byok, self.now);
                // What is held now is not yet in the model.
                self.judge(&accounts, *want, *least, *byok, got.as_ref().map(Held::amount).map_err(|d| *d))?;
                if let Ok(held) = got {
                    let amount = held.amount().0;
                    self.open.push(Open { held, accounts, amount });
                }
            }
            Step::TopUp { hold, want, least } => {
                let Some(at) = pick(hold, &self.open) else { return Ok(()) };
                let got = self.open[at].held.top_up(Nano(*want), Nano(*least), self.now);
                let (accounts, byok) = (self.open[at].accounts.clone(), self.open[at].held.byok());
                self.judge(&accounts, *want, *least, byok, got)?;
                self.open[at].amount += got.map_or(0, |more| more.0);
                prop_assert_eq!(self.open[at].held.amount().0, self.open[at].amount);
            }
            Step::Shrink { hold, to } => {
                let Some(at) = pick(hold, &self.open) else { return Ok(()) };
                let open = &mut self.open[at];
                open.held.shrink(Nano(*to));
                open.amount = open.amount.min(*to).max(0);
            }
            Step::Settle { hold, own, byok, back } => {
                let Some(at) = pick(hold, &self.open) else { return Ok(()) };
                let Open { held, mut accounts, .. } = self.open.remove(at);
                let created = self.now - back;
                held.settle(Nano(*own), Nano(*byok), created);
                accounts.sort_unstable();
                accounts.dedup();
                for account in accounts {
                    self.ledgers[account].records.push((day_of(created), (*own).max(0), (*byok).max(0)));
                }
            }
            Step::Drop { hold } => {
                let Some(at) = pick(hold, &self.open) else { return Ok(()) };
                drop(self.open.remove(at));
            }
            Step::Pass { ms } => self.now += ms,
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (at, (account, ledger)) in self.accounts.iter().zip(&self.ledgers).enumerate() {
            let held = Amount { own: Nano(self.held(at, false)), byok: Nano(self.held(at, true)) };
            prop_assert_eq!(account.held(), held, "account {}", at);
            let usage = account.usage(self.now);
            prop_assert_eq!(usage.requests, ledger.records.len() as u64);
            prop_assert_eq!(usage.total.0, Ledger::sum(&ledger.records, false));
            for left in account.left(self.now) {
                let slot = slot(left.reset);
                prop_assert_eq!(left.left.0, self.left(at, slot).unwrap_or(-1).max(0), "account {} {:?}", at, left);
                prop_assert_eq!(left.spent.0, ledger.spent(slot, left.include_byok, self.now));
                if let Some(used) = account.lease_use(left.reset) {
                    let unused = used.lease.granted.0 - used.spent.0 - used.held.0;
                    prop_assert_eq!(used.unused.0, unused.max(0));
                    prop_assert_eq!(used.spent, left.spent);
                }
            }
            prop_assert_eq!(account.left(self.now).count(), ledger.caps.iter().flatten().count());
        }
        let usage = |at: usize| self.accounts[at].usage(self.now);
        let keys = (0..KEYS).map(|k| (usage(k).total.0, usage(k).byok_total.0));
        let sum = keys.reduce(|a, b| (a.0 + b.0, a.1 + b.1));
        prop_assert_eq!(sum, Some((usage(INSTANCE).total.0, usage(INSTANCE).byok_total.0)));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn accounts_do_what_adding_everything_up_would(steps in proptest::collection::vec(step(), 1..80)) {
        let accounts: Vec<_> = (0..4).map(|_| Arc::new(Account::new())).collect();
        let ledgers = (0..4).map(|_| Ledger::default()).collect();
        let mut world = World { accounts, ledgers, open: vec![], now: START };
        for step in &steps {
            world.take(step)?;
            world.check()?;
        }
        world.open.clear();
        for account in &world.accounts {
            prop_assert_eq!(account.held(), Amount::default());
        }
    }

    /// Whatever is asked, nothing panics, no cap is broken and all is given back.
    #[test]
    fn no_number_is_too_large(
        numbers in proptest::collection::vec(prop_oneof![any::<i64>(), Just(i64::MAX), Just(i64::MIN), -2i64..3], 12),
        byok in any::<bool>(),
        include_byok in any::<bool>(),
        reset in proptest::option::of(0..3usize),
    ) {
        let n = |at: usize| Nano(numbers[at]);
        let reset = reset.map(|r| Reset::ALL[r]);
        let accounts: Vec<_> = (0..10).map(|_| Arc::new(Account::new())).collect();
        accounts[0].load(numbers[0], Amount { own: n(1), byok: n(2) }, u64::MAX);
        accounts[1].set_caps(Caps::none().with(reset, Cap { limit: n(3), include_byok }));
        accounts[2].set_caps(Caps::none().with(reset, Cap { limit: n(3), include_byok }));
        accounts[2].set_lease(reset, Lease::new(1, n(4), numbers[5]));
        for some in [&accounts[..3], &accounts[..]] {
            let mut held: Vec<_> = (0..3).filter_map(|_| hold(some, n(6), n(7), byok, numbers[8]).ok()).collect();
            held.push(Account::rehold(some, n(9), byok));
            for one in &mut held {
                let _ = one.top_up(n(7), n(6), numbers[8]);
                let _ = one.top_up(n(10), n(11), numbers[8]);
            }
            held[0].shrink(n(11));
            let last = held.pop();
            drop(held);
            if let Some(last) = last {
                last.settle(n(10), n(11), numbers[5]);
            }
            for account in some {
                prop_assert_eq!(account.held(), Amount::default());
                let usage = account.usage(numbers[8]);
                prop_assert!(usage.total.0 >= 0 && usage.byok_monthly.0 >= 0);
                prop_assert!(account.left(numbers[8]).all(|l| l.left.0 >= 0 && l.held.0 == 0));
            }
        }
    }
}
