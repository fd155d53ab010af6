//! The cassettes of a directory, and which of them answers a request.

use super::near::{TOLD, differences};
use super::{Cassette, Request, meaning};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub struct Shelf {
    /// In the order of their names, and so of their takes.
    cassettes: Vec<Kept>,
    by_address: HashMap<String, Vec<usize>>,
    by_wording: HashMap<String, Vec<usize>>,
    /// How often each address or wording was asked for.
    asked: Mutex<HashMap<String, usize>>,
}

struct Kept {
    name: String,
    cassette: Cassette,
    used: AtomicBool,
}

/// There is no cassette for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    pub says: String,
}

impl Shelf {
    pub fn open(dir: &Path) -> anyhow::Result<Shelf> {
        Ok(Shelf::of(super::load(dir)?))
    }

    pub fn of(cassettes: Vec<(String, Cassette)>) -> Shelf {
        let mut shelf = Shelf {
            cassettes: Vec::with_capacity(cassettes.len()),
            by_address: HashMap::new(),
            by_wording: HashMap::new(),
            asked: Mutex::default(),
        };
        let mut cassettes = cassettes;
        cassettes
            .sort_by(|(a, x), (b, y)| (&x.provider, &x.address, x.take, a).cmp(&(&y.provider, &y.address, y.take, b)));
        for (at, (name, cassette)) in cassettes.into_iter().enumerate() {
            // Not what the file says: people edit cassettes.
            let address = meaning::address(&cassette.provider, &cassette.request);
            let wording = meaning::wording(&cassette.provider, &cassette.request);
            shelf.by_address.entry(address).or_default().push(at);
            shelf.by_wording.entry(wording).or_default().push(at);
            shelf.cassettes.push(Kept { name, cassette, used: AtomicBool::new(false) });
        }
        shelf
    }

    pub fn len(&self) -> usize {
        self.cassettes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cassettes.is_empty()
    }

    /// Those nobody has asked for.
    pub fn unused(&self) -> Vec<&str> {
        self.cassettes.iter().filter(|k| !k.used.load(Ordering::Relaxed)).map(|k| k.name.as_str()).collect()
    }

    /// The answer to a request: of several takes one after the other, and then the last again and again.
    pub fn find(&self, provider: &str, request: &Request) -> Result<&Cassette, Miss> {
        let (wording, address) = (meaning::wording(provider, request), meaning::address(provider, request));
        let found = match (self.by_wording.get(&wording), self.by_address.get(&address)) {
            (Some(takes), _) => Some((wording, takes)),
            (None, Some(takes)) => Some((address, takes)),
            (None, None) => None,
        };
        let Some((key, takes)) = found else { return Err(self.miss(provider, request)) };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // There are no more keys than cassettes.
        let turn = asked.entry(key).or_insert(0);
        let take = takes.get((*turn).min(takes.len() - 1)).and_then(|at| self.cassettes.get(*at));
        *turn = turn.saturating_add(1).min(takes.len());
        drop(asked);
        let Some(kept) = take else { return Err(self.miss(provider, request)) };
        kept.used.store(true, Ordering::Relaxed);
        Ok(&kept.cassette)
    }

    fn miss(&self, provider: &str, request: &Request) -> Miss {
        let what = format!("no cassette for this request ({provider}: {} {})", request.method, request.path);
        let near = self.cassettes.iter().map(|kept| {
            let found = differences(request, &kept.cassette.request);
            // Another path or provider is farther away than any difference within.
            let far = kept.cassette.request.path != request.path;
            ((kept.cassette.provider != provider, far, found.told.len(), found.letters), kept, found.told)
        });
        let says = match near.min_by_key(|(distance, ..)| *distance) {
            None => format!("{what}: the directory has none at all"),
            Some(((other, ..), kept, found)) => {
                let mut told: Vec<String> = found.iter().take(TOLD).cloned().collect();
                if other {
                    told.insert(
                        0,
                        format!("the provider: {provider} here, {} in the cassette", kept.cassette.provider),
                    );
                }
                if found.len() > TOLD {
                    told.push(format!("and {} more", found.len() - TOLD));
                }
                format!("{what}; the nearest is {}, where this is different: {}", kept.name, told.join("; "))
            }
        };
        Miss { says }
    }
}
