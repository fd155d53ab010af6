//! Which words mean which model. Stronger kinds of name win over weaker ones; a word that two things of the same kind claim means
//! neither.

use foldhash::fast::FixedState;
use std::borrow::Cow;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Model(usize),
    Endpoint(usize),
    House(usize),
}

/// Lower-case names, and the same with dots as dashes (`claude-sonnet-4-5` for `claude-sonnet-4.5`).
#[derive(Debug, Default)]
pub(crate) struct Names {
    exact: Claims,
    dashed: Claims,
}

/// The names are the operator's and the catalogue's; callers only look them up, and every request does.
type Claims = HashMap<Box<str>, Claim, FixedState>;

#[derive(Clone, Copy, Debug)]
struct Claim {
    kind: u8,
    /// `None`: claimed twice.
    target: Option<Target>,
}

impl Names {
    /// `kind`: what sort of name this is; lower ones win.
    pub fn claim(&mut self, kind: u8, name: &str, target: Target) {
        let name = lower(name);
        put(&mut self.dashed, dash(&name), kind, target);
        put(&mut self.exact, name, kind, target);
    }

    /// `name` in lower case.
    pub fn find(&self, name: &str) -> Option<Target> {
        let claim = self.exact.get(name).or_else(|| self.dashed.get(&*dash(name)))?;
        claim.target
    }
}

fn put(map: &mut Claims, name: Cow<'_, str>, kind: u8, target: Target) {
    match map.get_mut(&*name) {
        None => {
            map.insert(name.into_owned().into(), Claim { kind, target: Some(target) });
        }
        Some(claim) if kind < claim.kind => *claim = Claim { kind, target: Some(target) },
        Some(claim) if kind == claim.kind && claim.target != Some(target) => claim.target = None,
        Some(_) => {}
    }
}

/// Lower case without copying what already is.
pub(crate) fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.to_lowercase())
    }
}

fn dash(name: &str) -> Cow<'_, str> {
    if name.contains('.') { Cow::Owned(name.replace('.', "-")) } else { Cow::Borrowed(name) }
}
