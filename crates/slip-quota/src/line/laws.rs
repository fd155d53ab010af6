//! Laws of the line, for any comings and goings.

use super::Class::Interactive;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const TERMS: Terms = Terms { most: [6, 8, 8], longest_ms: [2_000, 8_000, 20_000], ages_ms: [0, 900, 1_500], share: 4 };

#[derive(Clone, Debug)]
enum Step {
    Push(Class, i64),
    Next,
    Expire,
    Leave(usize),
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![Just(Class::Interactive), Just(Class::Batch), Just(Class::Background)];
    prop_oneof![
        6 => (class, prop_oneof![-10..5_000i64, Just(i64::MAX), Just(i64::MIN)]).prop_map(|(c, d)| Step::Push(c, d)),
        6 => Just(Step::Next),
        1 => Just(Step::Expire),
        1 => (0..20usize).prop_map(Step::Leave),
        4 => prop_oneof![0..20i64, 0..1_000i64].prop_map(Step::Pass),
    ]
}

/// What is known of one who waits.
#[derive(Clone, Copy, Debug)]
struct Seen {
    class: Class,
    deadline: i64,
    came: i64,
}

impl Seen {
    /// The class it has by now.
    fn rank(&self, now: i64) -> Class {
        let waited = now - self.came;
        let [_, batch, background] = TERMS.ages_ms;
        match self.class {
            Class::Batch if waited >= batch => Class::Interactive,
            Class::Background if waited >= background + batch => Class::Interactive,
            Class::Background if waited >= background => Class::Batch,
            class => class,
        }
    }

    fn aged(&self, now: i64) -> bool {
        self.rank(now) != self.class
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn next_is_the_best_that_waits(steps in proptest::collection::vec(step(), 1..150)) {
        let mut line = Line::new(TERMS);
        let mut here: BTreeMap<Ticket, Seen> = BTreeMap::new();
        let (mut now, mut own_since) = (0i64, 0u32);
        for step in steps {
            match step {
                Step::Pass(ms) => now += ms,
                Step::Push(class, deadline) => {
                    let deadline = if deadline.unsigned_abs() < 10_000 { now + deadline } else { deadline };
                    let waits = here.values().filter(|s| s.class == class).count();
                    let pushed = line.push(class, deadline, now);
                    prop_assert_eq!(pushed.is_ok(), waits < TERMS.most[class as usize]);
                    if let Ok(ticket) = pushed {
                        let deadline = deadline.min(now + TERMS.longest_ms[class as usize]);
                        let before = here.insert(ticket, Seen { class, deadline, came: now });
                        prop_assert!(before.is_none(), "no ticket is given twice");
                    }
                }
                Step::Leave(n) => {
                    if let Some(ticket) = here.keys().nth(n).copied() {
                        here.remove(&ticket);
                        prop_assert!(line.leave(ticket));
                        prop_assert!(!line.leave(ticket));
                    }
                }
                Step::Expire => {
                    let over = line.expire(now);
                    let mut want: Vec<_> = here.iter().filter(|(_, s)| s.deadline <= now).map(|(t, s)| (s.deadline, *t)).collect();
                    want.sort_unstable();
                    prop_assert_eq!(&over, &want.into_iter().map(|(_, t)| t).collect::<Vec<_>>());
                    here.retain(|t, _| !over.contains(t));
                }
                Step::Next => {
                    let live: Vec<_> = here.iter().map(|(t, s)| (*t, *s)).filter(|(_, s)| s.deadline > now).collect();
                    let next = line.next(now);
                    prop_assert_eq!(next.is_some(), !live.is_empty());
                    let Some(next) = next else { continue };
                    let taken = here.remove(&next);
                    prop_assert!(taken.is_some());
                    let Some(taken) = taken else { continue };
                    prop_assert!(taken.deadline > now, "never one whose time is up");
                    let best = live.iter().map(|(_, s)| s.rank(now)).min();
                    prop_assert_eq!(Some(taken.rank(now)), best, "only ageing overtakes a class");
                    let peers = live.iter().filter(|(_, s)| Some(s.rank(now)) == best && s.aged(now) == taken.aged(now));
                    if taken.aged(now) {
                        let others = live.iter().any(|(_, s)| s.rank(now) == taken.rank(now) && !s.aged(now));
                        if others && best == Some(Class::Interactive) {
                            prop_assert!(own_since >= TERMS.share - 1, "more than their share");
                        }
                    } else {
                        let first = peers.map(|(t, s)| (s.deadline, *t)).min();
                        prop_assert_eq!(Some((taken.deadline, next)), first, "by deadline");
                    }
                    if best == Some(Class::Interactive) {
                        own_since = if taken.aged(now) { 0 } else { own_since + 1 };
                    }
                }
            }
            for class in Class::ALL {
                prop_assert_eq!(line.len(class), here.values().filter(|s| s.class == class).count());
            }
            prop_assert_eq!(line.is_empty(), here.is_empty());
        }
    }

    /// Interactive requests come faster than anybody is served, for ever. Whoever may wait long enough is served all the same,
    /// within what it takes to age and the share of those that aged before it.
    #[test]
    fn nobody_starves(classes in proptest::collection::vec(any::<bool>(), 1..8), every in 1..50i64) {
        let forever = [i64::MAX / 4; 3];
        let mut line = Line::new(Terms { longest_ms: forever, ..TERMS });
        let mut here = vec![];
        for batch in &classes {
            let class = if *batch { Class::Batch } else { Class::Background };
            here.extend(line.push(class, i64::MAX, 0));
        }
        let patience = TERMS.ages_ms[1] + TERMS.ages_ms[2] + (classes.len() as i64 + 1) * i64::from(TERMS.share) * every;
        let mut now = 0;
        while now <= patience && !here.is_empty() {
            while line.push(Interactive, now + 10, now).is_ok() {}
            let next = line.next(now);
            here.retain(|t| Some(*t) != next);
            now += every;
            line.expire(now);
        }
        prop_assert!(here.is_empty(), "{} still wait", here.len());
    }

    /// However many have aged, of any so many takings while interactive ones wait at most one is theirs.
    #[test]
    fn a_stream_of_batch_takes_no_more_than_its_share(share in 0..8u32, takings in 1..60usize) {
        let mut line = Line::new(Terms { share, ages_ms: [0; 3], most: [100, 100, 100], ..TERMS });
        let mut own = std::collections::BTreeSet::new();
        let mut theirs = vec![];
        for _ in 0..takings {
            while line.push(Class::Batch, i64::MAX, 0).is_ok() {}
            own.extend(line.push(Interactive, i64::MAX, 0));
            let next = line.next(0);
            theirs.push(u32::from(next.is_some_and(|t| !own.contains(&t))));
        }
        for window in theirs.windows(share.max(2) as usize) {
            prop_assert!(window.iter().sum::<u32>() <= 1);
        }
    }

    #[test]
    fn no_number_is_too_large(numbers in proptest::collection::vec(prop_oneof![any::<i64>(), Just(i64::MAX), Just(i64::MIN)], 12)) {
        let triple = |at: usize| [numbers[at], numbers[at + 1], numbers[at + 2]];
        let mut line = Line::new(Terms { most: [5; 3], longest_ms: triple(0), ages_ms: triple(3), share: 0 });
        for (class, at) in Class::ALL.into_iter().zip(6..) {
            let ticket = line.push(class, numbers[at], numbers[at + 1]);
            prop_assert!(ticket.is_ok());
            line.next(numbers[at + 2]);
            line.expire(numbers[at + 3]);
        }
        line.expire(i64::MAX);
        prop_assert!(line.is_empty());
    }
}
