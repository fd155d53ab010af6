//! What is few, changed by people, and read whole at start: workspaces, members, guardrails, stored provider keys and the like, one
//! JSON each.

use serde_json::Value;

/// What a [`Thing`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Workspace,
    Member,
    Guardrail,
    /// Which guardrail holds for which key or member.
    Assignment,
    /// A workspace's own key at a provider, sealed.
    ProviderKey,
    /// A sign-in that an app has not yet exchanged for a key.
    AuthCode,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::Workspace, Kind::Member, Kind::Guardrail, Kind::Assignment, Kind::ProviderKey, Kind::AuthCode];

    /// How it is stored. Never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Workspace => "workspace",
            Kind::Member => "member",
            Kind::Guardrail => "guardrail",
            Kind::Assignment => "assignment",
            Kind::ProviderKey => "provider-key",
            Kind::AuthCode => "auth-code",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Thing {
    pub id: String,
    /// Unix milliseconds.
    pub created_ms: i64,
    pub updated_ms: Option<i64>,
    pub body: Value,
}
