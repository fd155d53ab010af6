//! Where conversations were before: the endpoint whose prompt cache holds their beginning, for as long as it is likely to.
//!
//! Two generations of a bounded map to a shard: when the young one is full it becomes the old one, and what is still asked for moves
//! back. Nothing here says who was speaking; a wrong memory costs a cache miss and no more.

use crate::fnv;
use slip_route::Sticky;
use std::collections::HashMap;
use std::sync::Mutex;

/// Providers keep a prompt for five to ten minutes after it was last used.
pub const STAYS_MS: u64 = 10 * 60_000;
/// The longer lifetime Anthropic sells.
pub const STAYS_LONG_MS: u64 = 60 * 60_000;
const SHARDS: usize = 16;
/// Of a generation of a shard: 131,072 conversations in all, at about 64 bytes each.
const MOST: usize = 4_096;

#[derive(Clone, Copy)]
struct Stay {
    sticky: Sticky,
    until_ms: u64,
}

#[derive(Default)]
struct Shard {
    young: HashMap<u64, Stay>,
    old: HashMap<u64, Stay>,
}

#[derive(Default)]
pub struct Conversations([Mutex<Shard>; SHARDS]);

/// The same conversation, tenant and model names: the same number.
pub fn key(conversation: u64, tenant: &str, models: &[String]) -> u64 {
    let each = std::iter::once(tenant).chain(models.iter().map(String::as_str));
    each.fold(fnv::START ^ conversation, |state, text| fnv::on(fnv::on(state, text.as_bytes()), &[0xFF]))
}

impl Conversations {
    fn shard(&self, key: u64) -> Option<std::sync::MutexGuard<'_, Shard>> {
        let shard = self.0.get((key >> 40) as usize % SHARDS)?;
        Some(shard.lock().unwrap_or_else(|broken| broken.into_inner()))
    }

    pub fn find(&self, key: u64, now_ms: u64) -> Option<Sticky> {
        let shard = self.shard(key)?;
        let stay = shard.young.get(&key).or_else(|| shard.old.get(&key))?;
        (stay.until_ms > now_ms).then_some(stay.sticky)
    }

    pub fn remember(&self, key: u64, sticky: Sticky, until_ms: u64) {
        let Some(mut shard) = self.shard(key) else { return };
        if shard.young.len() >= MOST && !shard.young.contains_key(&key) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, Stay { sticky, until_ms });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(endpoint: u64) -> Sticky {
        Sticky { endpoint, instance: 1, cached: 2_000 }
    }

    #[test]
    fn a_conversation_is_found_until_its_time_is_over() {
        let all = Conversations::default();
        let models = ["m/one".to_owned()];
        let mine = key(7, "tenant", &models);
        assert_ne!(mine, key(7, "other", &models));
        assert_ne!(mine, key(7, "tenant", &[]));
        all.remember(mine, at(3), 1_000);
        assert_eq!(all.find(mine, 999), Some(at(3)));
        assert_eq!(all.find(mine, 1_000), None);
        assert_eq!(all.find(key(8, "tenant", &models), 0), None);
    }

    #[test]
    fn the_map_does_not_grow_and_what_is_used_stays() {
        let all = Conversations::default();
        let used = key(0, "t", &[]);
        for n in 0..500_000u64 {
            all.remember(key(n + 1, "t", &[]), at(n), u64::MAX);
            if n % 1_000 == 0 {
                all.remember(used, at(1), u64::MAX);
            }
        }
        assert!(all.find(used, 0).is_some());
        let size: usize = all.0.iter().map(|s| s.lock().unwrap()).map(|s| s.young.len() + s.old.len()).sum();
        assert!(size <= SHARDS * MOST * 2, "{size}");
    }
}
