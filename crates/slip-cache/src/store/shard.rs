//! What one lock guards: entries by key, in places that a walk can go through, and the policy that knows them.

use super::REFRESH_MS;
use crate::Key;
use crate::entry::{Age, Entry, Header};
use crate::policy::{ById, Load, Policy};
use std::sync::Arc;

pub(super) struct Shard {
    places: ById<u32>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    policy: Box<dyn Policy>,
    /// Ids that the policy let go.
    gone: Vec<u64>,
}

struct Slot {
    entry: Arc<Entry>,
    /// Somebody is asking anew, and has until then.
    refreshing_until: i64,
}

impl Shard {
    pub fn new(policy: Box<dyn Policy>) -> Shard {
        Shard { places: ById::default(), slots: Vec::new(), free: Vec::new(), policy, gone: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn used(&self) -> u64 {
        self.policy.used()
    }

    fn slot(&mut self, key: &Key) -> Option<&mut Slot> {
        let place = *self.places.get(&key.id())?;
        // The map knows an eighth of the key. Another key with the same one is as good as nothing, and is replaced by it.
        self.slots.get_mut(place as usize)?.as_mut().filter(|slot| slot.entry.key == *key)
    }

    pub fn peek(&mut self, key: &Key) -> Option<Arc<Entry>> {
        self.slot(key).map(|slot| slot.entry.clone())
    }

    /// What is here, and whether whoever asks should ask anew if it is stale.
    pub fn get(&mut self, key: &Key, now_ms: i64) -> Option<(Arc<Entry>, bool)> {
        let Some(slot) = self.slot(key) else {
            self.policy.miss(key.id());
            return None;
        };
        let entry = slot.entry.clone();
        let age = entry.header.age(now_ms);
        let refresh = age == Age::Stale && slot.refreshing_until <= now_ms;
        if refresh {
            slot.refreshing_until = now_ms.saturating_add(REFRESH_MS);
        }
        match age {
            Age::Gone => self.policy.miss(key.id()),
            _ => self.policy.hit(key.id()),
        }
        Some((entry, refresh))
    }

    /// Was it let in, and who left for it (itself, if it was not)? They are handed out to be dropped elsewhere.
    pub fn put(&mut self, entry: Arc<Entry>, load: Load) -> (bool, Vec<Arc<Entry>>) {
        let id = entry.key.id();
        let slot = Some(Slot { entry, refreshing_until: i64::MIN });
        let mut gone = Vec::new();
        match self.places.get(&id).and_then(|place| self.slots.get_mut(*place as usize)) {
            // What was here before has not left for want of room.
            Some(taken) => *taken = slot,
            None => {
                let place = self.free.pop().unwrap_or_else(|| {
                    self.slots.push(None);
                    (self.slots.len() - 1) as u32
                });
                if let Some(empty) = self.slots.get_mut(place as usize) {
                    *empty = slot;
                }
                self.places.insert(id, place);
            }
        }
        let mut ids = std::mem::take(&mut self.gone);
        self.policy.put(id, load, &mut ids);
        let kept = !ids.contains(&id);
        gone.extend(ids.drain(..).filter_map(|id| self.take(id)));
        self.gone = ids;
        (kept, gone)
    }

    /// Out of the map; the policy has let it go already.
    fn take(&mut self, id: u64) -> Option<Arc<Entry>> {
        let place = self.places.remove(&id)?;
        let slot = self.slots.get_mut(place as usize)?.take()?;
        self.free.push(place);
        Some(slot.entry)
    }

    pub fn remove(&mut self, key: &Key) -> Option<Arc<Entry>> {
        self.slot(key)?;
        self.policy.remove(key.id());
        self.take(key.id())
    }

    /// Remove it if it is still the one that was found.
    pub fn remove_if(&mut self, key: &Key, found: &Arc<Entry>) {
        if self.slot(key).is_some_and(|slot| Arc::ptr_eq(&slot.entry, found)) {
            self.remove(key);
        }
    }

    /// Take out what is picked of so many places; where to go on.
    pub fn purge(
        &mut self,
        from: usize,
        places: usize,
        pick: &mut dyn FnMut(&Key, &Header) -> bool,
    ) -> (Vec<Arc<Entry>>, Option<usize>) {
        let to = (from + places).min(self.slots.len());
        let slots = self.slots.get(from..to).unwrap_or_default().iter().flatten();
        let picked = slots.filter(|slot| pick(&slot.entry.key, &slot.entry.header));
        let keys: Vec<Key> = picked.map(|slot| slot.entry.key).collect();
        let gone = keys.iter().filter_map(|key| self.remove(key)).collect();
        (gone, (to < self.slots.len()).then_some(to))
    }

    /// Up to `most` of what is picked of so many places; where to go on.
    pub fn list(
        &self,
        from: usize,
        places: usize,
        most: usize,
        pick: &mut dyn FnMut(&Key, &Header) -> bool,
        out: &mut Vec<Arc<Entry>>,
    ) -> Option<usize> {
        let (mut at, mut left) = (from, most);
        let to = (from + places).min(self.slots.len());
        while at < to && left > 0 {
            if let Some(Some(slot)) = self.slots.get(at)
                && pick(&slot.entry.key, &slot.entry.header)
            {
                out.push(slot.entry.clone());
                left -= 1;
            }
            at += 1;
        }
        (at < self.slots.len()).then_some(at)
    }
}
