//! What a key is held to beside what its request says: its own lists, the guardrails over it, the habits of its workspace. Worked
//! out once for a key as it is, and kept by each worker until the key or the directory changes.

use super::screen::Screen;
use crate::App;
use crate::api::guardrail_name;
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use slip_ir::{Fault, FaultKind, Op};
use slip_route::guard::{Guard, Names, Zdr};
use slip_route::{Allow, Sort};
use slip_store::{Guardrail, Key, Snapshot};
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Keys and guardrails one worker remembers. What is forgotten is worked out again.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub struct Bounds {
    /// `None`: everything.
    pub allow: Option<Arc<Allow>>,
    pub screens: Vec<Arc<Screen>>,
    /// How the workspace likes endpoints to be ordered.
    pub sort: Option<Sort>,
    text_model: Option<String>,
    image_model: Option<String>,
    /// Nothing of it may be kept, at least with some models.
    pub zero_retention: bool,
    /// Equal where all rules are that shape its answers.
    pub rules: [u8; 32],
    /// Where it may be used from, and its parent; `None`: anywhere.
    networks: [Option<Vec<IpNet>>; 2],
}

/// A guardrail as it was written, and what came of it. Its name may be its workspace's.
struct Made {
    from: Arc<Guardrail>,
    guard: Arc<Guard>,
    screen: Option<Arc<Screen>>,
}

struct Held {
    key: Arc<Key>,
    parent: Option<Arc<Key>>,
    directory: Arc<Snapshot>,
    bounds: Arc<Bounds>,
}

#[derive(Default)]
struct Remembered {
    /// By the place in memory of a key that is kept here, so that no other can come to stand there.
    keys: HashMap<usize, Held>,
    guardrails: HashMap<Arc<str>, Made>,
}

thread_local! {
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

/// Of this key, at this moment.
pub fn of(app: &App, key: &Arc<Key>) -> Arc<Bounds> {
    let (directory, place) = (app.store.directory().now(), Arc::as_ptr(key) as usize);
    let parent = key.detail.parent.as_ref().and_then(|hash| app.store.keyring().by_hash(hash));
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(held) = remembered.keys.get(&place)
            && Arc::ptr_eq(&held.key, key)
            && Arc::ptr_eq(&held.directory, &directory)
            && held.parent.as_ref().map(Arc::as_ptr) == parent.as_ref().map(Arc::as_ptr)
        {
            return held.bounds.clone();
        }
        let bounds = Arc::new(remembered.work_out(key, parent.as_deref(), &directory));
        if remembered.keys.len() >= MOST {
            remembered.keys.clear();
        }
        remembered.keys.insert(place, Held { key: key.clone(), parent, directory, bounds: bounds.clone() });
        bounds
    })
}

impl Remembered {
    fn work_out(&mut self, key: &Arc<Key>, parent: Option<&Key>, directory: &Snapshot) -> Bounds {
        let parents = parent.and_then(|parent| networks(&parent.detail.addresses));
        let mut bounds = Bounds { networks: [networks(&key.detail.addresses), parents], ..Bounds::default() };
        if let Some(workspace) = directory.workspace(&key.workspace) {
            bounds.sort = workspace.default_provider_sort.as_deref().and_then(sort);
            bounds.text_model.clone_from(&workspace.default_text_model);
            bounds.image_model.clone_from(&workspace.default_image_model);
        }
        let mut guards: Vec<Arc<Guard>> = Vec::new();
        let lists = [Some(&**key), parent].map(|key| key.map(|key| (&key.detail.models, &key.detail.providers)));
        let mut rules = format!("{lists:?}{:?}", bounds.sort);
        rules.extend([&bounds.text_model, &bounds.image_model].map(|model| format!("{model:?}")));
        for (_, guardrail) in directory.over(key) {
            let (guard, screen) = self.made(guardrail, directory);
            if guards.iter().any(|other| Arc::ptr_eq(other, &guard)) {
                continue;
            }
            bounds.zero_retention |= guard.zdr != Zdr::default();
            rules.push_str(&format!("{guardrail:?}"));
            guards.push(guard);
            bounds.screens.extend(screen);
        }
        bounds.rules = Sha256::digest(rules).into();
        let list = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
        let (mut models, mut providers) = (list(&key.detail.models), list(&key.detail.providers));
        if let Some(parent) = parent.map(|parent| &parent.detail) {
            let names = |names: &[String]| Names::new(names.iter().map(String::as_str));
            // What both say must be allowed by both; what one says holds as if the other had said it.
            let both = |own: &mut Option<Vec<String>>, parents: &[String]| match own {
                None => {
                    *own = list(parents);
                    None
                }
                Some(_) => (!parents.is_empty()).then(|| names(parents)),
            };
            let (allowed_models, allowed_providers) =
                (both(&mut models, &parent.models), both(&mut providers, &parent.providers));
            if allowed_models.is_some() || allowed_providers.is_some() {
                let name = "the key it was signed in with".into();
                guards.push(Arc::new(Guard { name, allowed_models, allowed_providers, ..Guard::default() }));
            }
        }
        if models.is_some() || providers.is_some() || !guards.is_empty() {
            bounds.allow = Some(Arc::new(Allow::new(models, providers).under(guards)));
        }
        bounds
    }

    fn made(&mut self, from: &Arc<Guardrail>, directory: &Snapshot) -> (Arc<Guard>, Option<Arc<Screen>>) {
        let name = guardrail_name(directory, from);
        if let Some(made) = self.guardrails.get(&from.filed.id)
            && Arc::ptr_eq(&made.from, from)
            && *made.guard.name == *name
        {
            return (made.guard.clone(), made.screen.clone());
        }
        let (guard, screen) = (Arc::new(guard(&name, from)), Screen::of(&name, from).map(Arc::new));
        if self.guardrails.len() >= MOST {
            self.guardrails.clear();
        }
        let made = Made { from: from.clone(), guard: guard.clone(), screen: screen.clone() };
        self.guardrails.insert(from.filed.id.clone(), made);
        (guard, screen)
    }
}

impl Bounds {
    /// May it be used from here?
    pub fn admits(&self, peer: IpAddr) -> Result<(), Fault> {
        let peer = peer.to_canonical();
        let mut networks = self.networks.iter().flatten();
        if networks.all(|networks| networks.iter().any(|network| network.contains(&peer))) {
            return Ok(());
        }
        Err(Fault::caller(FaultKind::Forbidden, format!("this key may not be used from the address {peer}")))
    }

    /// What the workspace asks for where a request names no model.
    pub fn model(&self, op: Op) -> Option<&String> {
        match op {
            Op::Chat => self.text_model.as_ref(),
            Op::Image => self.image_model.as_ref(),
            _ => None,
        }
    }
}

/// An address or a network, as a key is given them (`10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`).
pub fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| IpNet::from(ip.to_canonical())))
}

/// What cannot be read opens nothing: a mistyped network must not mean everywhere.
fn networks(addresses: &[String]) -> Option<Vec<IpNet>> {
    (!addresses.is_empty()).then(|| addresses.iter().filter_map(|text| network(text.trim())).collect())
}

fn sort(word: &str) -> Option<Sort> {
    match word {
        "price" => Some(Sort::Price),
        "throughput" => Some(Sort::Throughput),
        "latency" => Some(Sort::Latency),
        "exacto" => Some(Sort::Exacto),
        _ => None,
    }
}

fn guard(name: &str, from: &Guardrail) -> Guard {
    let names = |list: &Option<Vec<String>>| list.as_ref().map(|l| Names::new(l.iter().map(String::as_str)));
    let (zdr, yes) = (from.zdr, |flag: Option<bool>| flag == Some(true));
    Guard {
        name: name.into(),
        allowed_models: names(&from.allowed_models),
        ignored_models: names(&from.ignored_models).unwrap_or_default(),
        allowed_providers: names(&from.allowed_providers),
        ignored_providers: names(&from.ignored_providers).unwrap_or_default(),
        zdr: Zdr {
            anthropic: yes(zdr.anthropic),
            openai: yes(zdr.openai),
            google: yes(zdr.google),
            xai: yes(zdr.xai),
            other: yes(zdr.other),
        },
        no_paid_training: from.paid_training == Some(false),
        no_free_training: from.free_training == Some(false),
        no_free_publication: from.free_publication == Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_used_from_where_it_may_be() {
        let rows: &[(&[&str], &str, bool)] = &[
            (&[], "203.0.113.9", true),
            (&["10.0.0.0/8"], "10.1.2.3", true),
            (&["10.0.0.0/8"], "11.1.2.3", false),
            (&["10.0.0.7", "2001:db8::/32"], "10.0.0.7", true),
            (&["10.0.0.7", "2001:db8::/32"], "10.0.0.8", false),
            (&["10.0.0.7", "2001:db8::/32"], "2001:db8::1", true),
            (&["::1"], "127.0.0.1", false),
            // As a dual-stack socket tells it.
            (&["10.0.0.0/8"], "::ffff:10.1.2.3", true),
            (&["::ffff:10.1.2.3"], "10.1.2.3", true),
            // Mistyped, which is not everywhere.
            (&["10.0.0.0/33"], "10.1.2.3", false),
            (&["localhost"], "127.0.0.1", false),
            (&[" 127.0.0.0/8 "], "127.0.0.1", true),
        ];
        for (addresses, peer, may) in rows {
            let addresses: Vec<String> = addresses.iter().map(|a| (*a).to_owned()).collect();
            let bounds = Bounds { networks: [networks(&addresses), None], ..Bounds::default() };
            let said = bounds.admits(peer.parse().expect("an address"));
            assert_eq!(said.is_ok(), *may, "{addresses:?} from {peer}");
        }
    }
}
