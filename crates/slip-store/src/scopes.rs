//! Whom money and leave are counted against, by name: every key, every member, every workspace, and the whole installation. A request
//! lies in several of them, and needs the leave of all.

use crate::directory::{Scope as Shared, Snapshot};
use crate::guardrails::Whose;
use crate::keys::{Key, Reset};
use crate::usage::Whose as Spent;
use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use slip_quota::sums::{Amount, Sums, Usage};
use slip_quota::{Account, Cap, Caps, Quota, Scope};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keys of which it is remembered what they spent elsewhere. What is forgotten is asked again.
const MOST_LEARNT: usize = 10_000;

/// What a scope is the scope of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScopeId {
    /// By its hash.
    Key(Arc<str>),
    Member(Arc<str>),
    Workspace(Arc<str>),
    /// Everybody together.
    Instance,
}

impl ScopeId {
    /// The word for it in errors and headers.
    pub const fn kind(&self) -> &'static str {
        match self {
            ScopeId::Key(_) => "key",
            ScopeId::Member(_) => "member",
            ScopeId::Workspace(_) => "workspace",
            ScopeId::Instance => "installation",
        }
    }
}

impl fmt::Display for ScopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A key is told by its own name where it matters; its hash would only be long.
            ScopeId::Key(_) | ScopeId::Instance => f.write_str(self.kind()),
            ScopeId::Member(name) | ScopeId::Workspace(name) => write!(f, "{} {name}", self.kind()),
        }
    }
}

/// Where a key stands: the scopes its requests lie in, the narrowest first.
#[derive(Debug)]
pub struct Standing {
    pub quota: Arc<Quota>,
    /// Of each scope.
    pub ids: Box<[ScopeId]>,
}

#[derive(Default)]
pub(crate) struct Scopes {
    all: Mutex<HashMap<ScopeId, Arc<Scope>>>,
    /// Other gateways spend from the same limits.
    shared: AtomicBool,
    /// How many they are, beyond the first.
    others: AtomicU32,
    /// What keys had spent on all of them together when somebody last wanted to know.
    learnt: Mutex<HashMap<Arc<str>, Sums>>,
    /// By the hash of the key. Read by every request, changed when keys are.
    standings: ArcSwap<HashMap<Arc<str>, Arc<Standing>, RandomState>>,
}

impl Scopes {
    /// Keys, or what they are held to, have changed: the limits are in force for the next request.
    pub fn arrange(&self, keys: &[Arc<Key>], directory: &Snapshot) {
        let mut caps: HashMap<ScopeId, Caps> = HashMap::new();
        let mut lower = |id: ScopeId, reset: Option<Reset>, cap: Cap| {
            let caps = caps.entry(id).or_default();
            // Of two for the same period the lower one holds, and what one of them counts is counted.
            let cap = caps.of(reset).map_or(cap, |other| Cap {
                limit: cap.limit.min(other.limit),
                include_byok: cap.include_byok || other.include_byok,
            });
            *caps = caps.with(reset, cap);
        };
        for key in keys {
            let (own, member) = (ScopeId::Key(key.hash.clone()), key.detail.member.clone().map(ScopeId::Member));
            if let Some(limit) = key.limit {
                lower(own.clone(), key.limit_reset, Cap { limit, include_byok: key.include_byok_in_limit });
            }
            for told in directory.caps(key) {
                let id = match told.scope {
                    Shared::Workspace(_) => Some(ScopeId::Workspace(key.workspace.clone())),
                    Shared::Member(_) | Shared::Guardrail(_, Whose::Member(_)) => member.clone(),
                    // Whoever it holds for has its limit for themselves.
                    Shared::Guardrail(_, Whose::Key(_)) => Some(own.clone()),
                };
                let cap = Cap { limit: told.limit, include_byok: told.include_byok };
                if let Some(id) = id {
                    lower(id, told.reset, cap);
                }
            }
        }
        for key in keys {
            let (id, detail) = (ScopeId::Key(key.hash.clone()), &key.detail);
            self.pace(&id, detail.requests_per_minute, detail.tokens_per_minute, detail.concurrent);
        }
        for workspace in directory.workspaces() {
            let id = ScopeId::Workspace(workspace.filed.id.clone());
            self.pace(&id, workspace.requests_per_minute, workspace.tokens_per_minute, workspace.concurrent);
        }
        let standings = keys.iter().map(|key| {
            let (parent, member) = (key.detail.parent.as_ref(), key.detail.member.as_ref());
            (key.hash.clone(), self.make(&key.hash, parent, &key.workspace, member))
        });
        self.standings.store(Arc::new(standings.collect()));
        for (id, scope) in &*self.lock() {
            if *id != ScopeId::Instance {
                scope.account.set_caps(caps.get(id).copied().unwrap_or_default());
            }
        }
    }

    /// How fast, and how many at once: an equal part of it for each gateway, and never nothing.
    fn pace(&self, id: &ScopeId, requests: Option<u32>, tokens: Option<u64>, concurrent: Option<u32>) {
        let gateways = u64::from(self.others.load(Ordering::Relaxed)) + 1;
        let part = |limit: u64| limit.div_ceil(gateways);
        let scope = self.scope(id);
        scope.requests.set_limit(requests.map(Into::into).map(part));
        scope.tokens.set_limit(tokens.map(part));
        scope.gate.set_limit(concurrent.map(Into::into).map(part));
    }

    /// From now on no more is spent of any limit than is lent to this gateway.
    pub fn share(&self) {
        let all = self.lock();
        self.shared.store(true, Ordering::Relaxed);
        all.values().for_each(|scope| scope.account.share());
    }

    /// So many gateways there are. In force when keys are arranged again.
    pub fn divide(&self, gateways: u32) {
        self.others.store(gateways.saturating_sub(1), Ordering::Relaxed);
    }

    pub fn account(&self, id: &ScopeId) -> Option<Arc<Account>> {
        self.lock().get(id).map(|scope| scope.account.clone())
    }

    /// Where the key of this hash stands. One that is not known (any more) has no limits of its own.
    pub fn of(&self, hash: &Arc<str>, workspace: &Arc<str>, member: Option<&Arc<str>>) -> Arc<Standing> {
        let known = self.standings.load().get(hash).cloned();
        known.unwrap_or_else(|| self.make(hash, None, workspace, member))
    }

    /// What all keys together may spend.
    pub fn cap_instance(&self, caps: Caps) {
        self.scope(&ScopeId::Instance).account.set_caps(caps);
    }

    pub fn usage(&self, id: &ScopeId, now_ms: i64) -> Usage {
        let scope = self.lock().get(id).cloned();
        let here = scope.map_or(Usage::default(), |scope| scope.account.usage(now_ms));
        let ScopeId::Key(hash) = id else { return here };
        let learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        learnt.get(hash).map_or(here, |sums| most(here, sums.usage(slip_quota::day_of(now_ms))))
    }

    /// What the database says a key has spent.
    pub fn learn(&self, hash: &Arc<str>, days: &[Spent]) {
        let mut sums = Sums::default();
        for spent in days {
            sums.add(spent.day, Amount { own: spent.cost, byok: spent.byok }, spent.requests);
        }
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        if learnt.len() >= MOST_LEARNT {
            learnt.clear();
        }
        learnt.insert(hash.clone(), sums);
    }

    /// What requests under way hold.
    pub fn held(&self, id: &ScopeId) -> Amount {
        let scope = self.lock().get(id).cloned();
        scope.map_or(Amount::default(), |scope| scope.account.held())
    }

    /// What the database says was spent.
    pub fn load(&self, whose: &Spent) {
        let mut ids = vec![ScopeId::Instance];
        let named = |name: &Arc<str>| Some(name.clone()).filter(|name| !name.is_empty());
        ids.extend(named(&whose.key_hash).map(ScopeId::Key));
        // What an app spent, the key that signed it in has spent.
        let standing = self.standings.load().get(&whose.key_hash).cloned();
        let keys = standing.iter().flat_map(|standing| standing.ids.iter()).filter(|id| matches!(id, ScopeId::Key(_)));
        ids.extend(keys.skip(1).cloned());
        ids.extend(named(&whose.workspace).map(ScopeId::Workspace));
        ids.extend(named(&whose.member).map(ScopeId::Member));
        let amount = Amount { own: whose.cost, byok: whose.byok };
        for id in ids {
            let account = &self.scope(&id).account;
            if whose.past {
                account.load_past(amount, whose.requests);
            } else {
                account.load(whose.day, amount, whose.requests);
            }
        }
    }

    fn make(
        &self,
        hash: &Arc<str>,
        parent: Option<&Arc<str>>,
        workspace: &Arc<str>,
        member: Option<&Arc<str>>,
    ) -> Arc<Standing> {
        let mut ids = vec![ScopeId::Key(hash.clone())];
        ids.extend(parent.cloned().map(ScopeId::Key));
        ids.extend(member.cloned().map(ScopeId::Member));
        ids.extend(Some(workspace.clone()).filter(|name| !name.is_empty()).map(ScopeId::Workspace));
        ids.push(ScopeId::Instance);
        let scopes = ids.iter().map(|id| self.scope(id)).collect();
        Arc::new(Standing { quota: Arc::new(Quota::new(scopes)), ids: ids.into() })
    }

    fn scope(&self, id: &ScopeId) -> Arc<Scope> {
        let mut all = self.lock();
        let made = || {
            let scope = Arc::<Scope>::default();
            if self.shared.load(Ordering::Relaxed) {
                scope.account.share();
            }
            scope
        };
        all.entry(id.clone()).or_insert_with(made).clone()
    }

    /// A map is changed in one step, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<ScopeId, Arc<Scope>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two who know a part each of what only grows: neither knows too much.
fn most(one: Usage, other: Usage) -> Usage {
    Usage {
        total: one.total.max(other.total),
        daily: one.daily.max(other.daily),
        weekly: one.weekly.max(other.weekly),
        monthly: one.monthly.max(other.monthly),
        byok_total: one.byok_total.max(other.byok_total),
        byok_daily: one.byok_daily.max(other.byok_daily),
        byok_weekly: one.byok_weekly.max(other.byok_weekly),
        byok_monthly: one.byok_monthly.max(other.byok_monthly),
        requests: one.requests.max(other.requests),
    }
}
