//! The keys in memory: one HMAC and one map look-up per request, no lock, no database.

use crate::keys::{Key, SecretKey, looks_like_a_key};
use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;

#[derive(Clone, Default)]
struct Snapshot {
    /// By the HMAC of a secret that opens it.
    by_secret: HashMap<[u8; 32], Arc<Key>, RandomState>,
    by_hash: HashMap<Arc<str>, Arc<Key>, RandomState>,
}

/// A handle to the keys as they are now. Cheap to clone; every clone sees every change.
#[derive(Clone)]
pub struct Keyring(Arc<Ring>);

struct Ring {
    /// HMAC-SHA256 already keyed with the pepper: cloning it saves hashing the key block each time.
    keyed: Hmac<Sha256>,
    keys: ArcSwap<Snapshot>,
}

impl Keyring {
    pub(crate) fn new(pepper: &[u8; 32]) -> Keyring {
        let keyed = Hmac::new_from_slice(pepper).expect("a mac takes a key of any length");
        Keyring(Arc::new(Ring { keyed, keys: ArcSwap::default() }))
    }

    /// The key `presented` opens, disabled and expired ones included: what may be done with it is the caller's to judge. A secret
    /// that was replaced opens it until its time is up.
    pub fn find(&self, presented: &str, now_ms: i64) -> Option<Arc<Key>> {
        if !looks_like_a_key(presented) {
            return None;
        }
        let mac = self.mac(presented.as_bytes());
        let keys = self.0.keys.load();
        let key = keys.by_secret.get(&mac)?;
        let before = key.detail.before.as_ref().filter(|before| before.until_ms > now_ms);
        let known = key.mac.ct_eq(&mac) | before.map_or(0.into(), |before| before.mac.ct_eq(&mac));
        bool::from(known).then(|| key.clone())
    }

    /// Every key, oldest first.
    pub fn all(&self) -> Vec<Arc<Key>> {
        let mut all: Vec<_> = self.0.keys.load().by_hash.values().cloned().collect();
        all.sort_by(|a, b| (a.created_ms, &a.hash).cmp(&(b.created_ms, &b.hash)));
        all
    }

    /// The key of this public name.
    pub fn by_hash(&self, hash: &str) -> Option<Arc<Key>> {
        self.0.keys.load().by_hash.get(hash).cloned()
    }

    pub fn len(&self) -> usize {
        self.0.keys.load().by_hash.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn mac(&self, text: &[u8]) -> [u8; 32] {
        let mut mac = self.0.keyed.clone();
        mac.update(text);
        mac.finalize().into_bytes().into()
    }

    pub(crate) fn mac_of(&self, secret: &SecretKey) -> [u8; 32] {
        self.mac(secret.expose().as_bytes())
    }

    pub(crate) fn put(&self, key: Arc<Key>) {
        self.change(|keys| {
            keys.drop(&key.hash);
            keys.hang(key.clone());
        });
    }

    /// These keys and no others.
    pub(crate) fn replace(&self, keys: Vec<Key>) {
        let mut next = Snapshot::default();
        keys.into_iter().for_each(|key| next.hang(Arc::new(key)));
        self.0.keys.store(Arc::new(next));
    }

    pub(crate) fn remove(&self, hash: &str) {
        self.change(|keys| keys.drop(hash));
    }

    /// Readers keep the snapshot they have; the next look-up sees the new one.
    fn change(&self, edit: impl Fn(&mut Snapshot)) {
        self.0.keys.rcu(|keys| {
            let mut next = Snapshot::clone(keys);
            edit(&mut next);
            next
        });
    }
}

impl Snapshot {
    /// Under every secret that opens it.
    fn hang(&mut self, key: Arc<Key>) {
        if let Some(before) = &key.detail.before {
            self.by_secret.insert(before.mac, key.clone());
        }
        self.by_secret.insert(key.mac, key.clone());
        self.by_hash.insert(key.hash.clone(), key);
    }

    fn drop(&mut self, hash: &str) {
        if self.by_hash.remove(hash).is_some() {
            self.by_secret.retain(|_, key| &*key.hash != hash);
        }
    }
}
