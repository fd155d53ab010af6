//! Workspaces: keys that belong together, what they may spend between them, and who belongs there too.

use crate::filed::{Filed, Kept, derived_id};
use crate::keys::{DEFAULT_WORKSPACE, Reset};
use crate::things::Kind;
use serde::{Deserialize, Serialize};
use slip_ir::Nano;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the default workspace is called outside, where ids have the form of a UUID. Keys are stored under [`DEFAULT_WORKSPACE`].
pub const DEFAULT_WORKSPACE_ID: &str = "6465666c-7400-8000-8000-000000000001";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workspace {
    #[serde(skip)]
    pub filed: Filed,
    pub name: String,
    pub slug: String,
    pub description: Option<String>,
    pub default_text_model: Option<String>,
    pub default_image_model: Option<String>,
    /// `price`, `throughput`, `latency` or `exacto`.
    pub default_provider_sort: Option<String>,
    pub logs_io: bool,
    pub io_sampling_rate: Rate,
    pub io_keys: Option<Vec<i64>>,
    pub broadcasts: bool,
    pub discounts_data: bool,
    /// What is paid with keys of its own counts as spent.
    pub include_byok: bool,
    pub budgets: BTreeMap<Interval, Budget>,
    /// Of all its keys together, in any minute; and at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// By member.
    pub members: BTreeMap<Arc<str>, Joined>,
}

/// A share from 0.0001 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(pub f64);

impl Default for Rate {
    fn default() -> Rate {
        Rate(1.0)
    }
}

/// How long a budget lasts, the shortest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    Daily,
    Weekly,
    Monthly,
    Lifetime,
}

impl Interval {
    pub const ALL: [Interval; 4] = [Interval::Daily, Interval::Weekly, Interval::Monthly, Interval::Lifetime];

    pub const fn name(self) -> &'static str {
        match self {
            Interval::Daily => "daily",
            Interval::Weekly => "weekly",
            Interval::Monthly => "monthly",
            Interval::Lifetime => "lifetime",
        }
    }

    pub fn parse(name: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|i| i.name() == name)
    }

    /// `None`: never.
    pub const fn reset(self) -> Option<Reset> {
        match self {
            Interval::Daily => Some(Reset::Daily),
            Interval::Weekly => Some(Reset::Weekly),
            Interval::Monthly => Some(Reset::Monthly),
            Interval::Lifetime => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub id: String,
    /// Nano-USD.
    limit: i64,
    pub created_ms: i64,
    pub updated_ms: i64,
}

impl Budget {
    pub fn new(id: String, limit: Nano, now_ms: i64) -> Budget {
        Budget { id, limit: limit.0, created_ms: now_ms, updated_ms: now_ms }
    }

    pub fn limit(&self) -> Nano {
        Nano(self.limit)
    }

    pub fn change(&mut self, limit: Nano, now_ms: i64) {
        (self.limit, self.updated_ms) = (limit.0, now_ms);
    }
}

/// That somebody belongs to a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    pub id: String,
    pub created_ms: i64,
}

impl Workspace {
    /// The one that is always there.
    pub(crate) fn default_one() -> Workspace {
        Workspace {
            filed: Filed::new(DEFAULT_WORKSPACE, 0),
            name: "Default".to_owned(),
            slug: DEFAULT_WORKSPACE.to_owned(),
            ..Workspace::default()
        }
    }

    pub fn is_default(&self) -> bool {
        &*self.filed.id == DEFAULT_WORKSPACE
    }

    /// Its id as the API tells it.
    pub fn public_id(&self) -> &str {
        public_id(&self.filed.id)
    }

    /// Of the guardrail that holds for every key in it. It need not have been written yet.
    pub fn default_guardrail_id(&self) -> String {
        default_guardrail_id(&self.filed.id)
    }
}

/// The id of a stored workspace as the API tells it.
pub fn public_id(stored: &str) -> &str {
    if stored == DEFAULT_WORKSPACE { DEFAULT_WORKSPACE_ID } else { stored }
}

pub fn default_guardrail_id(workspace: &str) -> String {
    derived_id(&["default guardrail", public_id(workspace)])
}

impl Kept for Workspace {
    const KIND: Kind = Kind::Workspace;

    fn filed(&self) -> &Filed {
        &self.filed
    }

    fn file(&mut self, filed: Filed) {
        self.filed = filed;
    }
}
