//! Members: people whose the keys are, so that what they spend is known by person.

use crate::filed::{Filed, Kept, nano, reset};
use crate::keys::Reset;
use crate::things::Kind;
use serde::{Deserialize, Serialize};
use slip_ir::Nano;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    #[serde(skip)]
    pub filed: Filed,
    pub email: String,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub role: Role,
    /// Of all their keys together.
    #[serde(with = "nano")]
    pub limit: Option<Nano>,
    #[serde(with = "reset")]
    pub limit_reset: Option<Reset>,
    pub include_byok: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Admin,
    #[default]
    Member,
}

impl Role {
    /// In the organisation.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Admin => "org:admin",
            Role::Member => "org:member",
        }
    }

    /// In a workspace, where everybody has the role they have in the organisation.
    pub const fn short(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Member => "member",
        }
    }

    pub fn parse(name: &str) -> Option<Role> {
        [Role::Admin, Role::Member].into_iter().find(|role| role.name() == name)
    }
}

impl Kept for Member {
    const KIND: Kind = Kind::Member;

    fn filed(&self) -> &Filed {
        &self.filed
    }

    fn file(&mut self, filed: Filed) {
        self.filed = filed;
    }
}
