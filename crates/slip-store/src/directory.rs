//! Workspaces, members and guardrails in memory: one immutable snapshot, read whole at start and replaced whole by every change.

use crate::Error;
use crate::database::Database;
use crate::filed::Kept;
use crate::guardrails::{Assignment, Guardrail, Whose};
use crate::keys::{DEFAULT_WORKSPACE, Key, Reset};
use crate::members::Member;
use crate::provider_keys::ProviderKey;
use crate::things::{Kind, Thing};
use crate::workspaces::{DEFAULT_WORKSPACE_ID, Workspace, default_guardrail_id};
use arc_swap::ArcSwap;
use slip_ir::Nano;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A handle to the directory as it is now. Cheap to clone; every clone sees every change.
#[derive(Clone, Default)]
pub struct Directory(Arc<ArcSwap<Snapshot>>);

/// The directory at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    workspaces: BTreeMap<Arc<str>, Arc<Workspace>>,
    members: BTreeMap<Arc<str>, Arc<Member>>,
    guardrails: BTreeMap<Arc<str>, Arc<Guardrail>>,
    /// By whom it holds for ([`Whose`], spelt).
    assignments: BTreeMap<Arc<str>, Arc<Assignment>>,
    /// Shared, so that whoever derives much from them sees by its place whether any has changed.
    provider_keys: Arc<BTreeMap<Arc<str>, Arc<ProviderKey>>>,
}

impl Default for Snapshot {
    fn default() -> Snapshot {
        let default = Workspace::default_one();
        Snapshot {
            workspaces: BTreeMap::from([(default.filed.id.clone(), Arc::new(default))]),
            members: BTreeMap::new(),
            guardrails: BTreeMap::new(),
            assignments: BTreeMap::new(),
            provider_keys: Arc::default(),
        }
    }
}

/// One step of a change.
#[derive(Clone, Debug)]
pub enum Edit {
    Workspace(Workspace),
    Member(Member),
    Guardrail(Guardrail),
    Assignment(Assignment),
    ProviderKey(ProviderKey),
    /// By its id.
    Remove(Kind, Arc<str>),
}

/// What a key may not spend more than, together with whoever shares the scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    pub scope: Scope,
    /// `None`: never.
    pub reset: Option<Reset>,
    pub limit: Nano,
    /// What is paid with a provider key of the caller's own counts too.
    pub include_byok: bool,
}

/// Whose spending is summed. The `Display` form names it in the database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Workspace(Arc<str>),
    Member(Arc<str>),
    /// Everybody a guardrail holds for has its limit for themselves.
    Guardrail(Arc<str>, Whose),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Workspace(id) => write!(f, "workspace:{id}"),
            Scope::Member(id) => write!(f, "member:{id}"),
            Scope::Guardrail(id, whose) => write!(f, "guardrail:{id}:{whose}"),
        }
    }
}

impl Directory {
    pub(crate) fn read(database: &mut dyn Database) -> Result<Directory, Error> {
        fn all<T: Kept>(database: &mut dyn Database) -> Result<Vec<T>, Error> {
            database.things(T::KIND)?.into_iter().map(T::read).collect()
        }
        let mut snapshot = Snapshot::default();
        let edits = all(database)?.into_iter().map(Edit::Workspace);
        let edits = edits.chain(all(database)?.into_iter().map(Edit::Member));
        let edits = edits.chain(all(database)?.into_iter().map(Edit::Guardrail));
        let edits = edits.chain(all(database)?.into_iter().map(Edit::Assignment));
        for edit in edits.chain(all(database)?.into_iter().map(Edit::ProviderKey)) {
            snapshot.apply(edit);
        }
        Ok(Directory(Arc::new(ArcSwap::from_pointee(snapshot))))
    }

    /// Somebody else has changed it.
    pub(crate) fn reload(&self, database: &mut dyn Database) -> Result<(), Error> {
        self.0.store(Directory::read(database)?.now());
        Ok(())
    }

    pub fn now(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// See [`Snapshot::caps`].
    pub fn caps(&self, key: &Key) -> Vec<Cap> {
        self.0.load().caps(key)
    }

    /// On disk, then in memory; what goes, goes from memory first. On the writer's thread, so that nobody else changes anything.
    pub(crate) fn apply(&self, edits: Vec<Edit>, database: &mut dyn Database) -> Result<(), Error> {
        for edit in edits {
            match edit {
                Edit::Remove(kind, id) => {
                    self.change(Edit::Remove(kind, id.clone()));
                    database.delete_thing(kind, &id)?;
                }
                put => {
                    let (kind, thing) = put.thing()?;
                    database.put_thing(kind, &thing)?;
                    self.change(put);
                }
            }
        }
        Ok(())
    }

    fn change(&self, edit: Edit) {
        let mut next = Snapshot::clone(&self.0.load());
        next.apply(edit);
        self.0.store(Arc::new(next));
    }
}

impl Edit {
    fn thing(&self) -> Result<(Kind, Thing), Error> {
        Ok(match self {
            Edit::Workspace(one) => (Workspace::KIND, one.thing()?),
            Edit::Member(one) => (Member::KIND, one.thing()?),
            Edit::Guardrail(one) => (Guardrail::KIND, one.thing()?),
            Edit::Assignment(one) => (Assignment::KIND, one.thing()?),
            Edit::ProviderKey(one) => (ProviderKey::KIND, one.thing()?),
            Edit::Remove(..) => return Err(Error::Database("nothing to put".to_owned())),
        })
    }
}

/// Oldest first; what is as old as another, by its name.
fn in_order<'a, T: 'a + Kept>(all: impl Iterator<Item = &'a Arc<T>>) -> Vec<Arc<T>> {
    let mut all: Vec<Arc<T>> = all.cloned().collect();
    all.sort_by(|a, b| {
        let (a, b) = (a.filed(), b.filed());
        (a.created_ms, &a.id).cmp(&(b.created_ms, &b.id))
    });
    all
}

impl Snapshot {
    fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Workspace(one) => drop(self.workspaces.insert(one.filed.id.clone(), Arc::new(one))),
            Edit::Member(one) => drop(self.members.insert(one.filed.id.clone(), Arc::new(one))),
            Edit::Guardrail(one) => drop(self.guardrails.insert(one.filed.id.clone(), Arc::new(one))),
            Edit::Assignment(one) => drop(self.assignments.insert(one.filed.id.clone(), Arc::new(one))),
            Edit::ProviderKey(one) => {
                Arc::make_mut(&mut self.provider_keys).insert(one.filed.id.clone(), Arc::new(one));
            }
            Edit::Remove(kind, id) => match kind {
                Kind::Workspace => drop(self.workspaces.remove(&id)),
                Kind::Member => drop(self.members.remove(&id)),
                Kind::Guardrail => drop(self.guardrails.remove(&id)),
                Kind::Assignment => drop(self.assignments.remove(&id)),
                Kind::ProviderKey => drop(Arc::make_mut(&mut self.provider_keys).remove(&id)),
                Kind::AuthCode => {}
            },
        }
    }

    /// Oldest first, as are the lists below. The default one is always among them.
    pub fn workspaces(&self) -> Vec<Arc<Workspace>> {
        in_order(self.workspaces.values())
    }

    /// By its id (as stored or as the API tells it) or its slug.
    pub fn workspace(&self, name: &str) -> Option<&Arc<Workspace>> {
        let id = if name == DEFAULT_WORKSPACE_ID { DEFAULT_WORKSPACE } else { name };
        self.workspaces.get(id).or_else(|| self.workspaces.values().find(|w| w.slug == name))
    }

    pub fn members(&self) -> Vec<Arc<Member>> {
        in_order(self.members.values())
    }

    pub fn member(&self, id: &str) -> Option<&Arc<Member>> {
        self.members.get(id)
    }

    pub fn guardrails(&self) -> Vec<Arc<Guardrail>> {
        in_order(self.guardrails.values())
    }

    pub fn guardrail(&self, id: &str) -> Option<&Arc<Guardrail>> {
        self.guardrails.get(id)
    }

    pub fn assignments(&self) -> Vec<Arc<Assignment>> {
        in_order(self.assignments.values())
    }

    pub fn assignment(&self, whose: &Whose) -> Option<&Arc<Assignment>> {
        self.assignments.get(whose.to_string().as_str())
    }

    /// Keys at providers, by their ids.
    pub fn provider_keys(&self) -> &Arc<BTreeMap<Arc<str>, Arc<ProviderKey>>> {
        &self.provider_keys
    }

    pub fn provider_key(&self, id: &str) -> Option<&Arc<ProviderKey>> {
        self.provider_keys.get(id)
    }

    /// Nothing here can concern any key.
    fn is_bare(&self) -> bool {
        self.guardrails.is_empty() && self.members.is_empty() && self.workspaces.values().all(|w| w.budgets.is_empty())
    }

    /// What a key is held to, and for whom: by its workspace, its member, and itself.
    pub fn over(&self, key: &Key) -> Vec<(Whose, &Arc<Guardrail>)> {
        if self.guardrails.is_empty() {
            return Vec::new();
        }
        let itself = Whose::Key(key.hash.clone());
        let member = key.detail.member.clone().map(Whose::Member);
        let assigned = |whose: &Whose| self.guardrails.get(&self.assignment(whose)?.guardrail);
        let by_workspace = self.guardrails.get(default_guardrail_id(&key.workspace).as_str());
        // What holds for a whole workspace holds for each of its people, and for keys that are nobody's.
        let each = member.clone().unwrap_or_else(|| itself.clone());
        let by_member = member.and_then(|member| Some((assigned(&member)?, member)));
        let by_key = assigned(&itself).map(|guardrail| (guardrail, itself));
        let parent = key.detail.parent.clone().map(Whose::Key);
        let by_parent = parent.and_then(|parent| Some((assigned(&parent)?, parent)));
        let by_workspace = by_workspace.map(|guardrail| (guardrail, each));
        let all = by_workspace.into_iter().chain(by_member).chain(by_key).chain(by_parent);
        all.map(|(guardrail, whose)| (whose, guardrail)).collect()
    }

    /// Everything that limits what a key may spend, its own limit apart.
    pub fn caps(&self, key: &Key) -> Vec<Cap> {
        if self.is_bare() {
            return Vec::new();
        }
        let mut caps = Vec::new();
        if let Some(workspace) = self.workspaces.get(&key.workspace) {
            caps.extend(workspace.budgets.iter().map(|(interval, budget)| Cap {
                scope: Scope::Workspace(workspace.filed.id.clone()),
                reset: interval.reset(),
                limit: budget.limit(),
                include_byok: workspace.include_byok,
            }));
        }
        let member = key.detail.member.as_deref().and_then(|id| self.members.get(id));
        if let Some((member, limit)) = member.and_then(|member| Some((member, member.limit?))) {
            let scope = Scope::Member(member.filed.id.clone());
            caps.push(Cap { scope, reset: member.limit_reset, limit, include_byok: member.include_byok });
        }
        for (whose, guardrail) in self.over(key) {
            if let Some(limit) = guardrail.limit {
                let scope = Scope::Guardrail(guardrail.filed.id.clone(), whose);
                caps.push(Cap { scope, reset: guardrail.limit_reset, limit, include_byok: guardrail.include_byok });
            }
        }
        // The same guardrail may hold for the same person twice over.
        let mut seen: Vec<(Scope, Option<Reset>)> = Vec::with_capacity(caps.len());
        caps.retain(|cap| {
            let new = !seen.iter().any(|(scope, reset)| (scope, *reset) == (&cap.scope, cap.reset));
            if new {
                seen.push((cap.scope.clone(), cap.reset));
            }
            new
        });
        caps
    }
}
