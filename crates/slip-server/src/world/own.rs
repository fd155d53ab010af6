//! A world as one workspace sees it: with the keys it has at providers beside the house's, and the providers that only it has a key for.
//!
//! Made once for a workspace and kept until its keys or the configuration change. A key goes to the hosts that the provider's own
//! file or the operator's configuration names, and nowhere else; of the house's headers and credentials it takes none along.

use super::{BadWorld, Seat, World, provider, seat, table_seat};
use crate::config::{AccountLimits, ProviderConf, Secret};
use crate::vitals::own::Tended;
use slip_providers::{Auth, Provider};
use slip_route::{Catalog, Field, House, Instance, Own, OwnKey, ProviderSeat};
use slip_store::{Key, ProviderKey, Snapshot, Vault};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Instances of own keys are numbered from here; those of a configuration are far fewer.
pub const FIRST: u32 = 1 << 31;
/// Workspaces whose worlds are kept at once. What is forgotten is made again.
const MOST: usize = 10_000;
/// The same for fields with more providers than the house has keys for.
const MOST_FIELDS: usize = 64;

type Stored = Arc<BTreeMap<Arc<str>, Arc<ProviderKey>>>;

/// What other worlds are made from.
pub(super) struct Soil {
    pub confs: Vec<ProviderConf>,
    pub catalog: Catalog,
    pub table: Vec<ProviderSeat>,
    pub houses: Vec<House>,
}

/// Of which keys a world was made. `None`: they are none, and the world is seen as it is.
type Made = (Stored, Option<Arc<World>>);

/// Those that were made from a world.
#[derive(Default)]
pub(super) struct Outfits {
    /// By workspace.
    worlds: Mutex<HashMap<Arc<str>, Made>>,
    /// By the providers in it beside the house's.
    fields: Mutex<HashMap<Vec<String>, Arc<Field>>>,
}

/// The keys of one workspace, in the order in which they are tried.
#[derive(Default)]
pub(super) struct Outfit(Vec<Carried>);

struct Carried {
    key: Arc<ProviderKey>,
    /// One for each base URL of the provider.
    seats: Vec<(Seat, Arc<Tended>)>,
    ways: Vec<OwnKey>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outfit {
    pub fn seat(&self, instance: u32) -> Option<&(Seat, Arc<Tended>)> {
        self.0.iter().flat_map(|carried| &carried.seats).find(|(_, tended)| tended.instance == instance)
    }

    fn key(&self, instance: u32) -> Option<&Arc<ProviderKey>> {
        let has = |carried: &&Carried| carried.seats.iter().any(|(_, tended)| tended.instance == instance);
        self.0.iter().find(has).map(|carried| &carried.key)
    }
}

impl World {
    /// As a workspace sees it.
    pub fn outfitted(self: &Arc<World>, directory: &Snapshot, vault: &Vault, workspace: &Arc<str>) -> Arc<World> {
        let stored = directory.provider_keys();
        if let Some((of, world)) = locked(&self.outfits.worlds).get(workspace)
            && Arc::ptr_eq(of, stored)
        {
            return world.as_ref().unwrap_or(self).clone();
        }
        let made = self.outfit(stored, vault, workspace);
        let mut worlds = locked(&self.outfits.worlds);
        if worlds.len() >= MOST {
            worlds.clear();
        }
        worlds.insert(workspace.clone(), (stored.clone(), made.clone()));
        drop(worlds);
        made.unwrap_or_else(|| self.clone())
    }

    fn outfit(&self, stored: &Stored, vault: &Vault, workspace: &Arc<str>) -> Option<Arc<World>> {
        let mut keys: Vec<_> =
            stored.values().filter(|key| key.workspace == *workspace && !key.disabled).cloned().collect();
        keys.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let mut more: BTreeMap<String, (Arc<Provider>, ProviderConf)> = BTreeMap::new();
        let mut outfit = Outfit::default();
        for key in keys {
            match self.carry(&key, vault, &mut more) {
                Ok(carried) => outfit.0.push(carried),
                // Its owner may be asked by its id; of what is in it nothing may be said.
                Err(why) => tracing::error!("the provider key {} cannot be used: {why}", key.filed.id),
            }
        }
        if outfit.0.is_empty() {
            return None;
        }
        let (field, providers) = self.widened(&more)?;
        let own = Some(Arc::new(outfit));
        Some(Arc::new(World { field, providers, own, outfits: Arc::default(), ..self.clone() }))
    }

    fn carry(
        &self,
        key: &Arc<ProviderKey>,
        vault: &Vault,
        more: &mut BTreeMap<String, (Arc<Provider>, ProviderConf)>,
    ) -> Result<Carried, String> {
        let secret = vault.secret(key).map_err(|why| why.to_string())?;
        let (provider, conf) = match self.seated(&key.provider) {
            Some((provider, conf)) => (provider.clone(), conf.clone()),
            None => {
                let found = unseated(&key.provider)?;
                more.entry(key.provider.to_string()).or_insert(found).clone()
            }
        };
        let conf = with_own_key(conf, &secret);
        let mut tended = Vec::new();
        let mut made = Vec::new();
        let keyed = &mut |base: &str, _: usize| {
            let one = self.all.own(key, base);
            let whose = (one.key.clone(), one.account.clone());
            tended.push(one);
            whose
        };
        // What is wrong with a key is told in words of ours, which do not repeat it.
        seat(&conf, &provider, &self.all, keyed, &mut made).map_err(|bad| bad.why)?;
        let seats: Vec<_> = made.into_iter().zip(tended).collect();
        let way = |(_, tended): &(Seat, Arc<Tended>)| {
            let instance = Instance { id: tended.instance, weight: 1 };
            OwnKey::new(&key.provider, instance, key.fallback, key.models.as_deref())
        };
        let ways = seats.iter().map(way).collect();
        Ok(Carried { key: key.clone(), seats, ways })
    }

    fn seated(&self, slug: &str) -> Option<(&Arc<Provider>, &ProviderConf)> {
        self.providers.iter().zip(&self.soil.confs).find(|(_, conf)| conf.slug == slug)
    }

    /// With these at the table too, without a key of the house's.
    fn widened(
        &self,
        more: &BTreeMap<String, (Arc<Provider>, ProviderConf)>,
    ) -> Option<(Arc<Field>, Vec<Arc<Provider>>)> {
        if more.is_empty() {
            return Some((self.field.clone(), self.providers.clone()));
        }
        let providers = self.providers.iter().chain(more.values().map(|(provider, _)| provider)).cloned().collect();
        let names: Vec<String> = more.keys().cloned().collect();
        if let Some(field) = locked(&self.outfits.fields).get(&names) {
            return Some((field.clone(), providers));
        }
        let soil = &self.soil;
        let seats = more.values().map(|(provider, conf)| table_seat(conf, provider, Vec::new(), &soil.catalog));
        let table = soil.table.iter().cloned().chain(seats).collect();
        let field = match Field::build(&soil.catalog, table, soil.houses.clone()) {
            Ok(field) => Arc::new(field),
            Err(bad) => {
                tracing::error!("own keys cannot be used: {bad}");
                return None;
            }
        };
        let mut fields = locked(&self.outfits.fields);
        if fields.len() >= MOST_FIELDS {
            fields.clear();
        }
        fields.insert(names, field.clone());
        Some((field, providers))
    }

    /// The keys of its workspace that requests of this key may use.
    pub fn own_of(&self, key: &Key) -> Option<Arc<Own>> {
        let carried = self.own.as_ref()?.0.iter().filter(|carried| carried.key.is_for(key));
        Own::of(carried.flat_map(|carried| carried.ways.iter().cloned()).collect())
    }

    /// Which of them this is, if it is one.
    pub fn own_key(&self, instance: u32) -> Option<&Arc<ProviderKey>> {
        self.own.as_ref().filter(|_| instance >= FIRST)?.key(instance)
    }

    /// The slug of the provider that is meant, if a workspace may have keys there; or why it may not.
    pub fn takes_own_keys(&self, named: &str) -> Result<String, String> {
        let seated = self.providers.iter().zip(&self.soil.confs);
        let called = |p: &Provider| p.id == *named || p.aliases.iter().any(|alias| alias == named);
        let found = seated.into_iter().find(|(p, _)| called(p)).map(|(p, conf)| (p.clone(), conf.slug.clone()));
        let (provider, slug) = match found {
            Some(found) => found,
            None => {
                let (provider, conf) = unseated(named)?;
                (provider, conf.slug)
            }
        };
        match provider.auth {
            Auth::None => Err(format!("{slug} takes no key")),
            _ => Ok(slug),
        }
    }

    /// Whether it could be sent as this provider wants it.
    pub fn own_key_fits(&self, slug: &str, secret: &str) -> Result<(), String> {
        let provider = match self.seated(slug) {
            Some((provider, _)) => provider.clone(),
            None => unseated(slug)?.0,
        };
        let fits = provider.credential(secret).is_some_and(|(_, value)| http::HeaderValue::try_from(value).is_ok());
        // In a configuration this stands for there being none.
        let fits = fits && secret != "none";
        if fits { Ok(()) } else { Err("holds characters that a header cannot carry".to_owned()) }
    }
}

/// A provider the house has no key for, as its own file describes it.
fn unseated(named: &str) -> Result<(Arc<Provider>, ProviderConf), String> {
    let Some(known) = slip_providers::by_id(named) else { return Err("names no provider".to_owned()) };
    if known.local.is_some() {
        return Err(format!("{} runs where its operator wants it, and is not configured here", known.id));
    }
    // That there will be a key decides which door is taken.
    let conf = ProviderConf { keys: vec![(Secret::new(""), 1)], ..ProviderConf::builtin(&known.id) };
    match provider(&conf) {
        Ok(provider) => Ok((Arc::new(provider), conf)),
        Err(BadWorld { why, .. }) => Err(format!("{} has to be configured here first: {why}", known.id)),
    }
}

/// The provider with this key in place of the house's credentials. Headers of the configuration are the house's too; they stay where
/// the address is the configuration's own, which may be a door that opens to nothing else.
fn with_own_key(conf: ProviderConf, secret: &str) -> ProviderConf {
    let headers = if conf.base_urls.is_empty() { Vec::new() } else { conf.headers };
    // What the house's account may do says nothing of theirs.
    let account = AccountLimits::default();
    ProviderConf { keys: vec![(Secret::new(secret), 1)], credential: None, probe: None, headers, account, ..conf }
}
