//! Guardrails: what somebody else's keys are held to, and whom each holds for.

use crate::filed::{Filed, Kept, nano, reset};
use crate::keys::{DEFAULT_WORKSPACE, Reset};
use crate::things::Kind;
use crate::workspaces::default_guardrail_id;
use serde::{Deserialize, Serialize};
use slip_ir::Nano;
use std::sync::Arc;

/// `None` says nothing of a matter; what several guardrails say of one all holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guardrail {
    #[serde(skip)]
    pub filed: Filed,
    pub name: String,
    pub description: Option<String>,
    /// Where it is kept. That alone applies it to nobody.
    pub workspace: Arc<str>,
    pub allowed_models: Option<Vec<String>>,
    pub ignored_models: Option<Vec<String>>,
    pub allowed_providers: Option<Vec<String>>,
    pub ignored_providers: Option<Vec<String>>,
    pub zdr: Zdr,
    pub paid_training: Option<bool>,
    pub free_training: Option<bool>,
    pub free_publication: Option<bool>,
    pub filters: Option<Vec<Filter>>,
    pub builtins: Option<Vec<Builtin>>,
    #[serde(with = "nano")]
    pub limit: Option<Nano>,
    #[serde(with = "reset")]
    pub limit_reset: Option<Reset>,
    pub include_byok: bool,
}

impl Default for Guardrail {
    fn default() -> Guardrail {
        Guardrail {
            filed: Filed::default(),
            name: String::new(),
            description: None,
            workspace: DEFAULT_WORKSPACE.into(),
            allowed_models: None,
            ignored_models: None,
            allowed_providers: None,
            ignored_providers: None,
            zdr: Zdr::default(),
            paid_training: None,
            free_training: None,
            free_publication: None,
            filters: None,
            builtins: None,
            limit: None,
            limit_reset: None,
            include_byok: false,
        }
    }
}

impl Guardrail {
    /// It holds for every key of its workspace.
    pub fn is_default(&self) -> bool {
        *self.filed.id == *default_guardrail_id(&self.workspace)
    }
}

/// Whether models must be served without anything of them being kept, by who made the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Zdr {
    /// What was said of all of them at once, as it was said.
    pub all: Option<bool>,
    pub anthropic: Option<bool>,
    pub openai: Option<bool>,
    pub google: Option<bool>,
    pub xai: Option<bool>,
    pub other: Option<bool>,
}

/// What is done about a text that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Redact,
    Block,
    Flag,
}

impl Action {
    pub const ALL: [Action; 3] = [Action::Redact, Action::Block, Action::Flag];

    pub const fn name(self) -> &'static str {
        match self {
            Action::Redact => "redact",
            Action::Block => "block",
            Action::Flag => "flag",
        }
    }
}

/// A pattern of one's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    pub pattern: String,
    pub action: Action,
    #[serde(default)]
    pub label: Option<String>,
}

/// One of the patterns everybody wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builtin {
    pub slug: String,
    pub action: Action,
    /// Only what the user says, not all of the conversation.
    #[serde(default)]
    pub user_only: Option<bool>,
}

impl Kept for Guardrail {
    const KIND: Kind = Kind::Guardrail;

    fn filed(&self) -> &Filed {
        &self.filed
    }

    fn file(&mut self, filed: Filed) {
        self.filed = filed;
    }
}

/// That a guardrail holds for a key or for all keys of a member. Filed under whom it holds for: each has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    #[serde(skip)]
    pub filed: Filed,
    /// Its name in the API.
    pub id: String,
    pub guardrail: Arc<str>,
    pub whose: Whose,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Whose {
    /// By its hash.
    Key(Arc<str>),
    Member(Arc<str>),
}

impl std::fmt::Display for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Whose::Key(hash) => write!(f, "key:{hash}"),
            Whose::Member(id) => write!(f, "member:{id}"),
        }
    }
}

impl Assignment {
    pub fn new(id: String, guardrail: Arc<str>, whose: Whose, now_ms: i64) -> Assignment {
        Assignment { filed: Filed::new(whose.to_string(), now_ms), id, guardrail, whose }
    }
}

impl Kept for Assignment {
    const KIND: Kind = Kind::Assignment;

    fn filed(&self) -> &Filed {
        &self.filed
    }

    fn file(&mut self, filed: Filed) {
        self.filed = filed;
    }
}
