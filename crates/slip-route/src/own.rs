//! Keys of the caller's own at providers: each endpoint they open is tried with them before it is tried with the house's, or after it,
//! in the order their owner gave them.

use crate::field::{Endpoint, Instance, lower};
use crate::guard::Names;
use std::borrow::Cow;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Whose key an endpoint is tried with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// The caller's.
    Own,
    #[default]
    House,
    /// The caller's, where the house's came to nothing.
    Reserve,
}

impl Holder {
    pub const ALL: [Holder; 3] = [Holder::Own, Holder::House, Holder::Reserve];

    pub const fn name(self) -> &'static str {
        match self {
            Holder::Own => "own",
            Holder::House => "house",
            Holder::Reserve => "own_fallback",
        }
    }

    /// The provider bills the caller, not the house.
    pub const fn is_own(self) -> bool {
        !matches!(self, Holder::House)
    }
}

/// One key.
#[derive(Clone, Debug)]
pub struct OwnKey {
    /// The provider's slug, lower case.
    pub provider: Arc<str>,
    pub instance: Instance,
    /// Only after the house's.
    pub reserve: bool,
    /// `None` is every model.
    models: Option<Names>,
}

impl OwnKey {
    /// `models` as an allow list has them: `author/*` takes in all of an author.
    pub fn new(provider: &str, instance: Instance, reserve: bool, models: Option<&[String]>) -> OwnKey {
        let models = models.map(|list| Names::new(list.iter().map(String::as_str)));
        OwnKey { provider: lower(provider).into(), instance, reserve, models }
    }

    fn opens(&self, endpoint: &Endpoint) -> bool {
        let model = &endpoint.model;
        let among = |names: &Names| names.take_in(&lower(&model.id)) || names.take_in(&lower(&model.canonical));
        self.provider == endpoint.provider && self.models.as_ref().is_none_or(among)
    }
}

/// All of a caller's keys, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub struct Own(Vec<OwnKey>);

impl Own {
    /// `None` where there are none: most callers have none, and pay nothing for those who do.
    pub fn of(keys: Vec<OwnKey>) -> Option<Arc<Own>> {
        (!keys.is_empty()).then(|| Arc::new(Own(keys)))
    }

    fn held(&self, endpoint: &Endpoint, holder: Holder) -> impl Iterator<Item = Instance> {
        let wanted = move |key: &&OwnKey| holder.is_own() && key.reserve == (holder == Holder::Reserve);
        self.0.iter().filter(wanted).filter(|key| key.opens(endpoint)).map(|key| key.instance)
    }
}

/// Through what an endpoint can be called with the keys of one holder.
pub(crate) fn pool<'e>(own: Option<&Own>, endpoint: &'e Endpoint, holder: Holder) -> Cow<'e, [Instance]> {
    match (holder, own) {
        (Holder::House, _) => Cow::Borrowed(&endpoint.pool),
        (_, Some(own)) => own.held(endpoint, holder).collect(),
        (_, None) => Cow::default(),
    }
}

/// Who holds keys of it, in the order of [`Holder::ALL`].
pub(crate) fn holders(own: Option<&Own>, endpoint: &Endpoint) -> impl Iterator<Item = Holder> {
    let has = move |holder: &Holder| match holder {
        Holder::House => !endpoint.pool.is_empty(),
        _ => own.is_some_and(|own| own.held(endpoint, *holder).next().is_some()),
    };
    Holder::ALL.into_iter().filter(has)
}
