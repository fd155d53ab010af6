//! What holds for every policy, whatever it is told.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const CAPACITY: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
enum Told {
    Asked { id: u64, bytes: u64, worth: u64 },
    PutAgain { id: u64, bytes: u64 },
    Removed { id: u64 },
}

fn told() -> impl Strategy<Value = Told> {
    // A few that come again and again, and many others.
    let id = || prop_oneof![0..12u64, 0..400u64].prop_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    prop_oneof![
        8 => (id(), 1..300u64, 0..5_000_000_000u64).prop_map(|(id, bytes, worth)| Told::Asked { id, bytes, worth }),
        1 => (id(), prop_oneof![0..300u64, Just(CAPACITY), Just(CAPACITY + 1), Just(u64::MAX / 2)]).prop_map(|(id, bytes)| Told::PutAgain { id, bytes }),
        1 => id().prop_map(|id| Told::Removed { id }),
    ]
}

/// Who is here after all that, by what the policy said; checked on the way.
fn follow(row: &Row, story: &[Told]) -> BTreeMap<u64, u64> {
    let mut policy = (row.make)(CAPACITY);
    let (mut here, mut gone) = (BTreeMap::new(), Vec::new());
    for step in story {
        match *step {
            Told::Asked { id, .. } if here.contains_key(&id) => policy.hit(id),
            Told::Asked { id, bytes, worth } => {
                policy.miss(id);
                here.insert(id, bytes);
                policy.put(id, Load { bytes, worth }, &mut gone);
            }
            Told::PutAgain { id, bytes } => {
                here.insert(id, bytes);
                policy.put(id, Load { bytes, worth: 1 }, &mut gone);
            }
            Told::Removed { id } => {
                here.remove(&id);
                policy.remove(id);
            }
        }
        for id in gone.drain(..) {
            assert!(here.remove(&id).is_some(), "{}: {id} left and was not here", row.name);
        }
        assert_eq!(policy.len(), here.len(), "{} after {step:?}", row.name);
        assert_eq!(policy.used(), here.values().sum::<u64>(), "{} after {step:?}", row.name);
        assert!(policy.used() <= CAPACITY, "{} holds {}", row.name, policy.used());
        assert_eq!(policy.is_empty(), here.is_empty());
    }
    here
}

proptest! {
    #[test]
    fn no_policy_holds_more_than_it_may_and_all_know_what_is_here(story in prop::collection::vec(told(), 0..400)) {
        for row in POLICIES {
            let here = follow(row, &story);
            prop_assert_eq!(here, follow(row, &story), "{} decides by lot", row.name);
        }
    }
}

#[test]
fn as_long_as_there_is_room_everything_stays() {
    for row in POLICIES {
        let mut policy = (row.make)(10_000);
        let mut gone = Vec::new();
        for id in 0..100u64 {
            policy.miss(id);
            policy.put(id, Load { bytes: 100, worth: id }, &mut gone);
        }
        assert!(gone.is_empty() && policy.len() == 100, "{}", row.name);
    }
}

#[test]
fn who_is_asked_for_again_and_again_outlives_a_crowd() {
    for row in POLICIES {
        let mut policy = (row.make)(2_000);
        let (mut gone, mut dice) = (Vec::new(), fastrand::Rng::with_seed(3));
        let load = Load { bytes: 100, worth: 1_000 };
        policy.miss(1);
        policy.put(1, load, &mut gone);
        for _ in 0..500 {
            (0..5).for_each(|_| policy.hit(1));
            let other = dice.u64(2..);
            policy.miss(other);
            policy.put(other, load, &mut gone);
        }
        assert!(!gone.contains(&1), "{}", row.name);
    }
}

#[test]
fn policies_are_found_by_name() {
    assert_eq!(POLICIES[0].name, "cost");
    for row in POLICIES {
        assert!(named(row.name).is_some_and(|found| std::ptr::eq(found, row)));
    }
    assert!(named("belady").is_none());
}

#[test]
fn worth_is_money_and_waiting_and_never_overflows() {
    for (cost, waited_ms, per_second, want) in [
        (10, 0, 0, 10),
        (10, 1_500, 1_000, 1_510),
        (-5, 1_000, 7, 7),
        (5, 1_000, -7, 5),
        (i64::MAX, u64::MAX, i64::MAX, u64::MAX),
    ] {
        assert_eq!(Load::new(1, Nano(cost), waited_ms, Nano(per_second)).worth, want);
    }
}
