//! Callers that come, read and leave, in an order that is told and in any order.

use super::*;
use proptest::prelude::*;

type Told = Read<u16, &'static str>;

const KEY: Key = Key::new([3; 32]);

fn lead(flights: &mut Flights<u16, &'static str>) -> Ticket {
    match flights.join(KEY) {
        Joined::Lead(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn follow(flights: &mut Flights<u16, &'static str>) -> Ticket {
    match flights.join(KEY) {
        Joined::Follow(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn chunks(told: Told) -> String {
    match told {
        Read::Chunks(chunks) => String::from_utf8(chunks.concat()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_comes_late_gets_it_from_the_beginning() {
    let mut flights = Flights::default();
    let leader = lead(&mut flights);
    let early = follow(&mut flights);
    assert_eq!(flights.read(early), Read::Wait);
    // Who does not wait is not woken.
    let idle = follow(&mut flights);
    assert_eq!(flights.begin(leader, 200), [early]);
    assert_eq!(flights.read(early), Read::Head(200));
    assert_eq!(flights.read(early), Read::Wait);
    assert_eq!(flights.push(leader, Bytes::from_static(b"ab")), [early]);
    flights.push(leader, Bytes::from_static(b"cd"));
    let late = follow(&mut flights);
    assert_eq!(chunks(flights.read(early)), "abcd");
    for ticket in [late, idle] {
        assert_eq!(flights.read(ticket), Read::Head(200));
        assert_eq!(chunks(flights.read(ticket)), "abcd");
        assert_eq!(flights.read(ticket), Read::Wait);
    }
    flights.push(leader, Bytes::from_static(b"e"));
    assert_eq!(flights.finish(leader, End::Complete).len(), 0);
    // Whoever comes now begins anew, though the others still read.
    let another = lead(&mut flights);
    assert_ne!(another, leader);
    for ticket in [late, idle, early] {
        assert_eq!(chunks(flights.read(ticket)), "e");
        assert_eq!(flights.read(ticket), Read::End(End::Complete));
        assert_eq!(flights.read(ticket), Read::End(End::Broken));
    }
    assert_eq!(flights.len(), 1);
    assert_eq!(flights.leave(another, Some("u")).upstream, Some("u"));
    assert!(flights.is_empty() && flights.open.is_empty());
}

#[test]
fn a_leader_that_leaves_hands_over_to_who_is_furthest_on() {
    let mut flights = Flights::default();
    let leader = lead(&mut flights);
    let [slow, fast] = [follow(&mut flights), follow(&mut flights)];
    flights.begin(leader, 200);
    flights.push(leader, Bytes::from_static(b"a"));
    assert_eq!(flights.read(fast), Read::Head(200));
    assert_eq!(chunks(flights.read(fast)), "a");
    assert_eq!(flights.read(fast), Read::Wait);
    flights.push(leader, Bytes::from_static(b"b"));
    let left = flights.leave(leader, Some("upstream"));
    assert_eq!((left.wake, left.upstream), (vec![], None));
    // What was told comes first, then the lead.
    assert_eq!(chunks(flights.read(fast)), "b");
    assert_eq!(flights.read(fast), Read::Lead(Some("upstream")));
    assert!(flights.push(leader, Bytes::from_static(b"x")).is_empty());
    flights.push(fast, Bytes::from_static(b"c"));
    let late = follow(&mut flights);
    assert_eq!(flights.followers(fast), 2);
    flights.finish(fast, End::Complete);
    for ticket in [slow, late] {
        assert_eq!(flights.read(ticket), Read::Head(200));
        assert_eq!(chunks(flights.read(ticket)), "abc");
        assert_eq!(flights.read(ticket), Read::End(End::Complete));
    }
    assert!(flights.is_empty());
}

#[test]
fn what_is_offered_to_one_who_leaves_is_offered_to_the_next_and_at_last_given_back() {
    let mut flights = Flights::default();
    let leader = lead(&mut flights);
    let [a, b] = [follow(&mut flights), follow(&mut flights)];
    for ticket in [a, b] {
        assert_eq!(flights.read(ticket), Read::Wait);
    }
    let left = flights.leave(leader, Some("u"));
    assert_eq!((left.wake.len(), left.upstream), (2, None));
    let left = flights.leave(a, None);
    assert_eq!(left.upstream, None);
    let left = flights.leave(b, None);
    assert_eq!(left.upstream, Some("u"));
    assert!(flights.is_empty());
}

#[test]
fn a_leader_without_an_answer_makes_another_ask_and_after_a_few_everybody_asks() {
    let mut flights = Flights::default();
    let leader = lead(&mut flights);
    let [a, b, c] = [follow(&mut flights), follow(&mut flights), follow(&mut flights)];
    for ticket in [a, b, c] {
        assert_eq!(flights.read(ticket), Read::Wait);
    }
    assert_eq!(flights.leave(leader, None).wake, [a, b, c]);
    assert_eq!(flights.read(a), Read::Lead(None));
    for ticket in [b, c] {
        assert_eq!(flights.read(ticket), Read::Wait);
    }
    assert_eq!(flights.leave(a, None).wake, [b, c]);
    for ticket in [b, c] {
        assert_eq!(flights.read(ticket), Read::Alone);
    }
    assert!(flights.is_empty() && flights.open.is_empty());
}

#[test]
fn half_an_answer_is_never_asked_for_anew() {
    let mut flights = Flights::default();
    let leader = lead(&mut flights);
    let a = follow(&mut flights);
    flights.begin(leader, 200);
    flights.push(leader, Bytes::from_static(b"ha"));
    flights.leave(leader, None);
    assert_eq!(flights.read(a), Read::Head(200));
    assert_eq!(chunks(flights.read(a)), "ha");
    assert_eq!(flights.read(a), Read::End(End::Broken));
    assert!(flights.is_empty());
}

#[test]
fn what_is_kept_is_bounded_and_who_lags_is_told() {
    let mut flights = Flights::default();
    let leader = lead(&mut flights);
    let [slow, fast] = [follow(&mut flights), follow(&mut flights)];
    flights.begin(leader, 200);
    assert_eq!(flights.read(fast), Read::Head(200));
    let chunk = Bytes::from(vec![b'x'; KEPT_BYTES / 4]);
    for told in 1..=20 {
        flights.push(leader, chunk.clone());
        assert!(matches!(flights.read(fast), Read::Chunks(new) if new.len() == 1));
        let flight = &flights.flights[&leader.flight];
        assert!(flight.bytes <= 2 * KEPT_BYTES, "after {told} chunks");
    }
    // It told more than is kept, so that others begin anew.
    let another = lead(&mut flights);
    assert_eq!(flights.read(slow), Read::End(End::Lagged));
    assert_eq!(flights.read(fast), Read::Wait);
    flights.finish(leader, End::Complete);
    assert_eq!(flights.read(fast), Read::End(End::Complete));
    flights.leave(another, None);
    assert!(flights.is_empty());
    let full = lead(&mut flights);
    (0..MOST_FOLLOWERS).for_each(|_| _ = follow(&mut flights));
    assert_ne!(lead(&mut flights), full);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join,
    Act(usize),
    Leave(usize, bool),
    Finish(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Join),
        10 => (0..8usize).prop_map(Step::Act),
        1 => (0..8usize, any::<bool>()).prop_map(|(n, has)| Step::Leave(n, has)),
        1 => (0..8usize, any::<bool>()).prop_map(|(n, whole)| Step::Finish(n, whole)),
    ]
}

/// A provider's answer under way: what has been read of it. It must never be in two hands.
#[derive(Debug, PartialEq, Eq)]
struct Upstream {
    id: usize,
    told: usize,
}

/// One caller, what it has been handed, and what it reads the provider with if it leads.
struct Caller {
    ticket: Ticket,
    had: Vec<u8>,
    of: Option<usize>,
    leads: Option<Option<Upstream>>,
}

proptest! {
    /// Callers come, read and go in any order. Each gets one answer from its beginning on, whole if it is told so; of those who are on
    /// a flight at most one leads; and no upstream is lost or doubled.
    #[test]
    fn everybody_gets_one_answer_from_its_beginning_whoever_leaves(steps in prop::collection::vec(step(), 0..300)) {
        let mut flights: Flights<usize, Upstream> = Flights::default();
        let (mut callers, mut answers, mut ended): (Vec<Caller>, Vec<Vec<u8>>, usize) = (Vec::new(), Vec::new(), 0);
        let mut all = steps;
        // At last everybody reads to where it waits, and leaves.
        all.extend((0..400).map(|_| Step::Act(0)).chain((0..300).map(|_| Step::Leave(0, true))));
        for step in all {
            let leading = callers.iter().filter(|caller| caller.leads.is_some()).count();
            prop_assert!(leading <= flights.len());
            match step {
                Step::Join => match flights.join(KEY) {
                    Joined::Lead(ticket) => callers.push(Caller { ticket, had: vec![], of: None, leads: Some(None) }),
                    Joined::Follow(ticket) => callers.push(Caller { ticket, had: vec![], of: None, leads: None }),
                    Joined::Alone => prop_assert!(false),
                },
                Step::Act(n) if !callers.is_empty() => {
                    let n = n % callers.len();
                    let caller = &mut callers[n];
                    match &mut caller.leads {
                        Some(none @ None) => {
                            prop_assert!(caller.had.is_empty(), "it asks anew, and has told something");
                            answers.push(Vec::new());
                            *none = Some(Upstream { id: answers.len() - 1, told: 0 });
                            caller.of = Some(answers.len() - 1);
                            flights.begin(caller.ticket, answers.len() - 1);
                        }
                        Some(Some(upstream)) => {
                            upstream.told += 1;
                            let chunk = format!("{}.{} ", upstream.id, upstream.told).into_bytes();
                            answers[upstream.id].extend(&chunk);
                            caller.had.extend(&chunk);
                            flights.push(caller.ticket, chunk.into());
                        }
                        None => match flights.read(caller.ticket) {
                            Read::Wait => {}
                            Read::Head(of) => {
                                prop_assert_eq!(caller.of.replace(of), None);
                            }
                            Read::Chunks(chunks) => caller.had.extend(chunks.concat()),
                            Read::Lead(upstream) => {
                                if let Some(upstream) = &upstream {
                                    prop_assert_eq!(&caller.had, &answers[upstream.id], "it goes on where it is");
                                }
                                caller.leads = Some(upstream);
                            }
                            Read::Alone => {
                                prop_assert!(caller.had.is_empty());
                                callers.swap_remove(n);
                            }
                            Read::End(End::Complete) => {
                                prop_assert_eq!(&caller.had, &answers[caller.of.unwrap()]);
                                callers.swap_remove(n);
                            }
                            Read::End(_) => _ = callers.swap_remove(n),
                        },
                    }
                    if let Some(caller) = callers.get(n)
                        && let Some(of) = caller.of
                    {
                        prop_assert!(answers[of].starts_with(&caller.had));
                    }
                }
                Step::Leave(n, has) if !callers.is_empty() => {
                    let caller = callers.swap_remove(n % callers.len());
                    let upstream = caller.leads.flatten();
                    let (kept, lost) = if has { (upstream, None) } else { (None, upstream) };
                    ended += usize::from(lost.is_some());
                    ended += usize::from(flights.leave(caller.ticket, kept).upstream.is_some());
                }
                Step::Finish(n, whole) if !callers.is_empty() => {
                    let n = n % callers.len();
                    if matches!(callers[n].leads, Some(Some(_))) {
                        let caller = callers.swap_remove(n);
                        flights.finish(caller.ticket, if whole { End::Complete } else { End::Broken });
                        ended += 1;
                    }
                }
                _ => {}
            }
        }
        prop_assert!(callers.is_empty() && flights.is_empty() && flights.open.is_empty());
        prop_assert_eq!(ended, answers.len(), "an upstream is lost");
    }
}
