//! A provider's prefix cache: the blocks it saw last, each for a while.

use std::collections::{BTreeMap, HashMap};

#[derive(Debug)]
pub struct Prefixes {
    room: usize,
    ttl_ms: u64,
    used: u64,
    /// Block → (moment, use).
    blocks: HashMap<u32, (u64, u64)>,
    /// Use → block, oldest first.
    order: BTreeMap<u64, u32>,
}

impl Prefixes {
    pub fn new(room: usize, ttl_ms: u64) -> Prefixes {
        Prefixes { room, ttl_ms, used: 0, blocks: HashMap::new(), order: BTreeMap::new() }
    }

    /// How many blocks of this prompt, from its beginning, were there. All of them are afterwards.
    pub fn hit(&mut self, now_ms: u64, prompt: &[u32]) -> usize {
        let fresh = |b: &&u32| self.blocks.get(*b).is_some_and(|(at, _)| now_ms.saturating_sub(*at) <= self.ttl_ms);
        let hit = prompt.iter().take_while(fresh).count();
        for block in prompt {
            self.used += 1;
            if let Some((_, old)) = self.blocks.insert(*block, (now_ms, self.used)) {
                self.order.remove(&old);
            }
            self.order.insert(self.used, *block);
        }
        while self.blocks.len() > self.room {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.blocks.remove(&oldest);
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_known_from_its_beginning_until_it_is_old_or_crowded_out() {
        let mut cache = Prefixes::new(4, 1_000);
        assert_eq!(cache.hit(0, &[1, 2, 3]), 0);
        assert_eq!(cache.hit(10, &[1, 2, 9]), 2);
        assert_eq!(cache.hit(20, &[8, 2, 3]), 0, "the middle alone is no prefix");
        assert_eq!(cache.hit(30, &[1, 2, 3]), 0, "1 was crowded out");
        assert_eq!(cache.hit(2_000, &[1, 2, 3]), 0, "all too old");
        assert_eq!(cache.hit(2_001, &[1, 2, 3]), 3);
    }
}
