//! `prefix-affinity`: prompts that begin alike go to the same replica, whose prefix cache then holds what they share; a replica that
//! has a quarter more than its share under way is passed over. For self-hosted servers (vLLM, SGLang, llama.cpp).
//!
//! Rendezvous hashing (each conversation ranks all replicas by a hash of both) with bounded loads: when a replica comes or goes only
//! its own conversations move. What makes two prompts alike is `session_id`, else the system prompt and the first message.
//!
//! ```toml
//! [models."house/farm"]
//! endpoints = ["farm/llama"]
//! load_balancer = "prefix-affinity"
//! ```

use super::{Seat, Strategy, least_request::LeastRequest};
use crate::eligible::Candidate;
use crate::view::View;
use fastrand::Rng;

pub struct PrefixAffinity;

/// A replica may have this much more than the mean under way, and one request more.
const SLACK: f64 = 1.25;

/// The higher, the sooner; weights are honoured exactly (the logarithm method of weighted rendezvous hashing).
fn claim(affinity: u64, who: u64, weight: u32) -> f64 {
    // SplitMix64's finaliser, twice: every bit of both numbers moves every bit of the result.
    let mix = |mut n: u64| {
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    };
    let hash = mix(affinity ^ mix(who.wrapping_add(0x9E37_79B9_7F4A_7C15)));
    // 53 bits above zero and below one.
    let unit = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    f64::from(weight) / -unit.ln()
}

/// The most that may be under way at one of so many before the next is asked.
fn bound(all: impl ExactSizeIterator<Item = u32>) -> f64 {
    let count = all.len().max(1) as f64;
    let total: f64 = all.map(f64::from).sum();
    (total + 1.0) / count * SLACK + 1.0
}

impl Strategy for PrefixAffinity {
    fn name(&self) -> &'static str {
        "prefix-affinity"
    }

    fn about(&self) -> &'static str {
        "Prompts that begin alike go to the same endpoint and replica, while it has no more than its share under way."
    }

    fn rank(&self, line: &mut [Candidate], view: &View<'_>, dice: &mut Rng) {
        let Some(affinity) = view.affinity else { return LeastRequest.rank(line, view, dice) };
        let most = bound(line.iter().map(|c| c.live.in_flight));
        let key = |c: &Candidate| (f64::from(c.live.in_flight) + 1.0 > most, claim(affinity, c.key, c.weight));
        line.sort_by(|a, b| {
            let ((full_a, claim_a), (full_b, claim_b)) = (key(a), key(b));
            full_a.cmp(&full_b).then(claim_b.total_cmp(&claim_a))
        });
    }

    fn pick(&self, pool: &[Seat], lap: Option<u64>, view: &View<'_>, dice: &mut Rng) -> usize {
        let Some(affinity) = view.affinity else { return LeastRequest.pick(pool, lap, view, dice) };
        let most = bound(pool.iter().map(|seat| seat.live.in_flight));
        let claims = pool.iter().enumerate().filter(|(_, seat)| f64::from(seat.live.in_flight) < most);
        let best = claims.max_by(|(_, a), (_, b)| {
            let of = |seat: &Seat| claim(affinity, u64::from(seat.instance.id), seat.instance.weight.max(1));
            of(a).total_cmp(&of(b))
        });
        best.map_or(0, |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::seats;

    fn view(affinity: u64) -> View<'static> {
        View { affinity: Some(affinity), ..View::calm(0) }
    }

    fn picked(pool: &[Seat], affinity: u64) -> u32 {
        pool[PrefixAffinity.pick(pool, None, &view(affinity), &mut Rng::with_seed(1))].instance.id
    }

    #[test]
    fn one_conversation_one_replica_and_many_are_spread() {
        let pool = seats(&[(0, None), (0, None), (0, None), (0, None)]);
        let mut count = [0; 4];
        for conversation in 0..4_000u64 {
            let first = picked(&pool, conversation);
            assert_eq!(picked(&pool, conversation), first);
            count[first as usize] += 1;
        }
        assert!(count.iter().all(|n| (850..1_150).contains(n)), "{count:?}");
    }

    #[test]
    fn when_a_replica_goes_only_its_own_conversations_move() {
        let all = seats(&[(0, None), (0, None), (0, None), (0, None)]);
        let left = &all[..3];
        for conversation in 0..1_000u64 {
            let before = picked(&all, conversation);
            let after = picked(left, conversation);
            assert!(before == after || before == 3);
        }
    }

    #[test]
    fn a_full_replica_is_passed_over() {
        let pool = seats(&[(0, None), (0, None)]);
        let mine = picked(&pool, 42);
        let mut busy = pool.clone();
        busy[mine as usize].live.in_flight = 9;
        assert_ne!(picked(&busy, 42), mine);
        busy[1 - mine as usize].live.in_flight = 9;
        assert_eq!(picked(&busy, 42), mine, "both have their share");
    }

    #[test]
    fn endpoints_are_ranked_the_same_way() {
        let mut all = crate::testing::line(&[None, None, None]);
        for (at, candidate) in all.iter_mut().enumerate() {
            candidate.key = at as u64 * 7_919;
        }
        let ranked = |affinity| {
            let mut line = all.clone();
            PrefixAffinity.rank(&mut line, &view(affinity), &mut Rng::with_seed(3));
            crate::testing::order(&line)
        };
        assert_eq!(ranked(5), ranked(5));
        let firsts: std::collections::HashSet<u32> = (0..50).map(|n| ranked(n)[0]).collect();
        assert_eq!(firsts.len(), 3);
    }
}
