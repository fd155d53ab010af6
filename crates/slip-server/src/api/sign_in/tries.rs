//! How often somebody may be wrong: guesses of keys and codes are counted by the address they come from, in as much memory as this
//! takes at its start and no more.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Wrong guesses from one address in a minute.
pub const MOST: u64 = 20;
/// Addresses are counted in so many places. Two that share one share its count, which costs the innocent a minute at worst.
const PLACES: usize = 4096;

/// What is guessed. Who floods the one keeps nobody from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guess {
    Key,
    Code,
}

/// Each place holds a minute since 1970 and how many guesses were wrong in it.
pub struct Tries {
    places: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Tries {
    fn default() -> Tries {
        Tries { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), hasher: RandomState::new() }
    }
}

impl Tries {
    /// `Err`: the seconds until somebody from there may guess again.
    pub fn may(&self, what: Guess, peer: IpAddr, now_ms: i64) -> Result<(), u64> {
        let (minute, left) = at(now_ms);
        let seen = self.place(what, peer).load(Ordering::Relaxed);
        if seen >> 16 == minute && seen & 0xffff >= MOST { Err(left) } else { Ok(()) }
    }

    pub fn was_wrong(&self, what: Guess, peer: IpAddr, now_ms: i64) {
        let (minute, _) = at(now_ms);
        let more = |seen: u64| {
            let count = if seen >> 16 == minute { seen & 0xffff } else { 0 };
            Some(minute << 16 | (count + 1).min(0xffff))
        };
        let _ = self.place(what, peer).fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn place(&self, what: Guess, peer: IpAddr) -> &AtomicU64 {
        // Who has one address of IPv6 has 2^64 of them.
        let near = match peer.to_canonical() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
        };
        &self.places[self.hasher.hash_one((what, near)) as usize % PLACES]
    }
}

/// The minute, and the seconds that are left of it.
fn at(now_ms: i64) -> (u64, u64) {
    let seconds = now_ms.max(0).unsigned_abs() / 1000;
    (seconds / 60, 60 - seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_wrong_too_often_waits_a_minute() {
        let tries = Tries::default();
        let (one, near, far): (IpAddr, IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::ffff".parse().unwrap(), "2001:db8:1::1".parse().unwrap());
        let start = 60_000 * 1000;
        for n in 0..MOST {
            assert_eq!(tries.may(Guess::Key, one, start), Ok(()), "{n}");
            tries.was_wrong(Guess::Key, one, start);
        }
        assert_eq!(tries.may(Guess::Key, one, start + 15_000), Err(45));
        assert_eq!(tries.may(Guess::Key, near, start + 15_000), Err(45), "the same network");
        assert_eq!(tries.may(Guess::Key, one, start + 60_000), Ok(()), "the next minute");
        // By a chance of one in four thousand they share a place.
        let others =
            (0..8).filter(|n| tries.may(Guess::Code, format!("10.0.0.{n}").parse().unwrap(), start).is_ok()).count();
        assert!(others >= 6 || tries.may(Guess::Key, far, start).is_ok());
    }
}
