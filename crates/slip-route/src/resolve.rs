//! From the name a caller wrote to the endpoints it may mean.

use crate::field::{Endpoint, Field, Target, build_ad_hoc, lower};
use crate::rules::Sort;
use crate::{Model, Strategy};
use std::fmt;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// No model name is longer; what is longer is not looked at (it would be compared with every name we know).
pub const MAX_NAME: usize = 256;
/// How many near names an error offers.
const NEAR: usize = 3;
/// Under this likeness a suggestion confuses more than it helps.
const LIKE: f64 = 0.84;

/// What the suffixes of a name ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// `:floor` price, `:nitro` throughput, `:exacto`.
    pub sort: Option<Sort>,
    /// `:free`: only endpoints that cost nothing.
    pub free: bool,
    /// `:thinking`: reason, please.
    pub thinking: bool,
    /// `:extended`: the longer context, where there is one.
    pub extended: bool,
    /// `:online`: with web search.
    pub online: bool,
}

impl Wish {
    /// Whether the suffixes ask for endpoints of this variant.
    pub(crate) fn variant(&self, variant: &str) -> bool {
        match variant {
            "free" => self.free,
            "thinking" => self.thinking,
            "extended" => self.extended,
            _ => false,
        }
    }

    /// Whether an endpoint is not of the variant asked for, where there may be one that is.
    pub(crate) fn misses(&self, variant: Option<&str>) -> bool {
        (self.thinking || self.extended) && !variant.is_some_and(|v| self.variant(v))
    }
}

/// Where a name leads.
#[derive(Clone, Debug)]
pub enum Reach {
    /// All endpoints of a model, by its index.
    Model(usize),
    /// One endpoint, by its index.
    Endpoint(usize),
    /// A house name, by its index.
    House(usize),
    /// Some endpoints, held here (`groq/author/slug`, `groq/anything`).
    These(Vec<Arc<Endpoint>>),
}

#[derive(Clone, Debug)]
pub struct Resolved {
    /// As the caller wrote it.
    pub asked: String,
    pub reach: Reach,
    pub wish: Wish,
    /// The house's own choice.
    pub balancer: Option<&'static dyn Strategy>,
}

/// A name that leads nowhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Unresolved {
    /// As the caller wrote it, at most [`MAX_NAME`] bytes of it.
    pub name: String,
    /// Names that look like it, the likeliest first.
    pub near: Vec<Arc<str>>,
    /// The model is known, but no provider that serves it has a seat.
    pub known: Option<Arc<Model>>,
    /// The providers that would serve it.
    pub would: Vec<Arc<str>>,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.known, self.would.as_slice()) {
            (None, _) => {
                write!(f, "`{}` is not a valid model ID", self.name)?;
                if !self.near.is_empty() {
                    write!(f, ". Did you mean {}?", either(&self.near))?;
                }
                Ok(())
            }
            (Some(_), []) => write!(f, "no provider is known to serve `{}`", self.name),
            (Some(_), would) => {
                write!(f, "no configured provider serves `{}`: add a key for {}", self.name, either(would))
            }
        }
    }
}

fn either(words: &[Arc<str>]) -> String {
    match words {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

impl Field {
    /// What `name` means here. Upper and lower case are one; the strongest kind of name wins: house, id, dated slug, alias,
    /// `~author/family-latest`, a provider's own word behind its name, a slug without author, a provider's own word.
    pub fn resolve(&self, name: &str) -> Result<Resolved, Unresolved> {
        let asked = name.trim();
        if asked.len() > MAX_NAME {
            let cut = asked.floor_char_boundary(MAX_NAME);
            return Err(Unresolved { name: asked[..cut].to_owned(), near: Vec::new(), known: None, would: Vec::new() });
        }
        let whole = lower(asked);
        let (base, wish) = match self.names.find(&whole) {
            Some(_) => (&*whole, Wish::default()),
            None => suffixes(&whole),
        };
        let done = |reach, balancer| Ok(Resolved { asked: asked.to_owned(), reach, wish, balancer });
        match self.names.find(base) {
            Some(Target::House(at)) => {
                return done(Reach::House(at), self.aliases.get(at).and_then(|a| a.balancer));
            }
            Some(Target::Endpoint(at)) => return done(self.with_tiers(at), None),
            Some(Target::Model(at)) => {
                if let Some(listed) = self.listed(at).filter(|l| l.endpoints.is_empty()) {
                    return Err(Unresolved {
                        name: asked.to_owned(),
                        near: Vec::new(),
                        known: Some(listed.model.clone()),
                        would: listed.absent.to_vec(),
                    });
                }
                return done(Reach::Model(at), None);
            }
            None => {}
        }
        match self.at_provider(base, asked) {
            Some(reach) => done(reach, None),
            None => Err(Unresolved { name: asked.to_owned(), near: self.near(base), known: None, would: Vec::new() }),
        }
    }

    /// `provider/rest`: that provider's endpoints of a known model, or else whatever the provider makes of the rest.
    /// `base` is the lower-case name without suffixes, `asked` the same with the caller's capitals: upstream ids may need them.
    fn at_provider(&self, base: &str, asked: &str) -> Option<Reach> {
        let (slug, rest) = base.split_once('/').filter(|(_, rest)| !rest.is_empty())?;
        let seat = self.seats.get(slug)?;
        if let Some(Target::Model(at)) = self.names.find(rest) {
            let all = self.listed(at).map_or(&[][..], |l| l.endpoints);
            let here: Vec<_> = all.iter().filter(|e| *e.provider == *slug).cloned().collect();
            if !here.is_empty() {
                return Some(Reach::These(here));
            }
        }
        if seat.only_declared {
            return None;
        }
        // Lower-casing may change lengths outside ASCII; then the lower-case form has to do.
        let upstream = asked.get(slug.len() + 1..base.len()).filter(|t| t.to_lowercase() == rest).unwrap_or(rest);
        Some(Reach::These(vec![Arc::new(build_ad_hoc(seat, upstream))]))
    }

    /// A provider's word for a model means it at every tier of service; the request says at which.
    fn with_tiers(&self, at: usize) -> Reach {
        let Some(one) = self.endpoints().get(at).filter(|e| e.sells_tiers()) else { return Reach::Endpoint(at) };
        let same = |e: &&Arc<Endpoint>| {
            e.provider == one.provider
                && e.upstream == one.upstream
                && e.variant == one.variant
                && e.model.id == one.model.id
        };
        Reach::These(self.endpoints().iter().filter(same).cloned().collect())
    }

    /// The endpoints behind a resolved name.
    pub fn reach<'a>(&'a self, reach: &'a Reach) -> &'a [Arc<Endpoint>] {
        match reach {
            Reach::Model(at) => self.listed(*at).map_or(&[], |l| l.endpoints),
            Reach::Endpoint(at) => self.endpoints().get(*at..*at + 1).unwrap_or_default(),
            Reach::House(at) => self.aliases.get(*at).map_or(&[], |a| a.endpoints.as_slice()),
            Reach::These(endpoints) => endpoints,
        }
    }

    fn near(&self, base: &str) -> Vec<Arc<str>> {
        let (_, slug) = base.rsplit_once('/').unwrap_or(("", base));
        let score = |id: &str| {
            let id = lower(id);
            let whole = strsim::jaro_winkler(&id, base);
            let bare = id.split_once('/').map_or(0.0, |(_, s)| strsim::jaro_winkler(s, slug));
            whole.max(bare * 0.98)
        };
        let names = self.models().map(|l| l.model.id.clone()).chain(self.aliases.iter().map(|a| a.name.clone()));
        let mut all: Vec<(f64, Arc<str>)> = names.map(|id| (score(&id), id)).filter(|(s, _)| *s >= LIKE).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.into_iter().take(NEAR).map(|(_, id)| id).collect()
    }
}

/// Known suffixes off the end, in any order. An unknown one is part of the id (`llama3.2:1b`).
pub(crate) fn suffixes(name: &str) -> (&str, Wish) {
    let mut wish = Wish::default();
    let mut base = name;
    while let Some((before, suffix)) = base.rsplit_once(':') {
        match suffix {
            "free" => wish.free = true,
            "nitro" => wish.sort = Some(Sort::Throughput),
            "floor" => wish.sort = Some(Sort::Price),
            "exacto" => wish.sort = Some(Sort::Exacto),
            "thinking" => wish.thinking = true,
            "extended" => wish.extended = true,
            "online" => wish.online = true,
            _ => break,
        }
        base = before;
    }
    (base, wish)
}
