//! Keys that a workspace has at providers: what may be known of them, and the secret in its envelope.

use crate::filed::{Filed, Kept};
use crate::keys::{DEFAULT_WORKSPACE, Key};
use crate::things::Kind;
use crate::vault::{Row, Sealed};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Characters of a label that are the key's own: few enough to tell nothing, enough for its owner to know it by.
const SHOWN_FIRST: usize = 3;
const SHOWN_LAST: usize = 4;
/// A shorter one shows nothing of itself.
const SHORTEST_SHOWN: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderKey {
    #[serde(skip)]
    pub filed: Filed,
    /// The provider's slug. Never changes: the secret is bound to it, as to the workspace.
    pub provider: Arc<str>,
    pub workspace: Arc<str>,
    pub name: Option<String>,
    pub label: String,
    pub disabled: bool,
    /// Only after the house's.
    pub fallback: bool,
    /// Whom and what it is for; `None` is everybody and everything.
    pub models: Option<Vec<String>>,
    /// Keys of this house, by their hashes.
    pub keys: Option<Vec<String>>,
    pub members: Option<Vec<String>>,
    /// Among those of the same provider: the lowest is tried first.
    pub order: i64,
    /// When the secret was put in.
    pub keyed_ms: i64,
    pub sealed: Sealed,
}

impl Default for ProviderKey {
    fn default() -> ProviderKey {
        ProviderKey {
            filed: Filed::default(),
            provider: "".into(),
            workspace: DEFAULT_WORKSPACE.into(),
            name: None,
            label: String::new(),
            disabled: false,
            fallback: false,
            models: None,
            keys: None,
            members: None,
            order: 0,
            keyed_ms: 0,
            sealed: Sealed::default(),
        }
    }
}

impl ProviderKey {
    /// What its secret is bound to.
    pub fn row(&self) -> Row<'_> {
        Row { id: &self.filed.id, workspace: &self.workspace, provider: &self.provider }
    }

    /// Whether requests of this key of the house may use it.
    pub fn is_for(&self, key: &Key) -> bool {
        let among = |list: &Option<Vec<String>>, who: Option<&str>| match (list, who) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(list), Some(who)) => list.iter().any(|one| one == who),
        };
        !self.disabled
            && self.workspace == key.workspace
            && among(&self.keys, Some(&key.hash))
            && among(&self.members, key.detail.member.as_deref())
    }

    /// In which it is tried among all of its workspace.
    pub fn rank(&self) -> (i64, i64, &str) {
        (self.order, self.filed.created_ms, &self.filed.id)
    }
}

/// What people know a secret by: `sk-...AbCd`.
pub fn label(secret: &str) -> String {
    let all = secret.chars().count();
    if all < SHORTEST_SHOWN {
        return "...".to_owned();
    }
    let first: String = secret.chars().take(SHOWN_FIRST).collect();
    let last: String = secret.chars().skip(all - SHOWN_LAST).collect();
    format!("{first}...{last}")
}

impl Kept for ProviderKey {
    const KIND: Kind = Kind::ProviderKey;

    fn filed(&self) -> &Filed {
        &self.filed
    }

    fn file(&mut self, filed: Filed) {
        self.filed = filed;
    }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn a_label_shows_little_of_a_long_secret_and_nothing_of_a_short_one() {
        for (secret, want) in [
            ("sk-proj-0123456789AbCd", "sk-...AbCd"),
            ("0123456789abcdef", "012...cdef"),
            ("0123456789abcde", "..."),
            ("", "..."),
            ("schlüssel-schlüssel-ß", "sch...el-ß"),
        ] {
            assert_eq!(label(secret), want);
        }
    }
}
