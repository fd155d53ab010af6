//! A rule of the house: what whoever runs this gateway holds a key to, whatever the request says. A request under several is held
//! to each of them, so that what they allow intersects and what they forbid adds up.

use crate::field::{Endpoint, lower};
use std::fmt;
use std::sync::Arc;

/// What one guardrail allows, under its name. The default allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    pub name: Arc<str>,
    /// `None`: all. `author/*` takes in all of an author, `*` everything.
    pub allowed_models: Option<Names>,
    pub ignored_models: Names,
    /// Slugs, display names or tags, like `provider.only`.
    pub allowed_providers: Option<Names>,
    pub ignored_providers: Names,
    pub zdr: Zdr,
    /// Paid endpoints may train on what they are sent.
    pub no_paid_training: bool,
    pub no_free_training: bool,
    /// Free endpoints may not publish what they are sent.
    pub no_free_publication: bool,
}

/// Names in lower case; one that ends in `*` stands for all that begin so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
        Names(names.into_iter().map(|name| name.trim().to_lowercase()).collect())
    }

    /// `name` in lower case.
    pub(crate) fn take_in(&self, name: &str) -> bool {
        self.0.iter().any(|one| match one.strip_suffix('*') {
            Some(front) => name.starts_with(front),
            None => one == name,
        })
    }

    fn model(&self, endpoint: &Endpoint) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let (id, canonical) = (lower(&endpoint.model.id), lower(&endpoint.model.canonical));
        // A free endpoint may be meant alone (`author/model:free`).
        let variant = || endpoint.variant.as_ref().is_some_and(|variant| self.take_in(&format!("{id}:{variant}")));
        self.take_in(&id) || self.take_in(&canonical) || variant()
    }

    pub(crate) fn provider(&self, endpoint: &Endpoint) -> bool {
        self.0.iter().any(|word| word == "*" || endpoint.answers_to(word))
    }
}

/// By who made the model: nothing of what it is sent may be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zdr {
    pub anthropic: bool,
    pub openai: bool,
    pub google: bool,
    pub xai: bool,
    pub other: bool,
}

impl Zdr {
    fn wants(self, author: &str) -> bool {
        match author {
            "anthropic" => self.anthropic,
            "openai" => self.openai,
            "google" => self.google,
            "x-ai" | "xai" => self.xai,
            _ => self.other,
        }
    }
}

/// What of a guardrail speaks against an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    ModelNotAllowed,
    ModelIgnored,
    ProviderNotAllowed,
    ProviderIgnored,
    Zdr,
    Training,
    Publication,
}

impl Against {
    /// It is about what becomes of the data, not about whom to ask.
    pub const fn is_policy(self) -> bool {
        matches!(self, Against::Zdr | Against::Training | Against::Publication)
    }

    pub const fn says(self) -> &'static str {
        match self {
            Against::ModelNotAllowed => "its model is not among those allowed",
            Against::ModelIgnored => "its model is ignored",
            Against::ProviderNotAllowed => "its provider is not among those allowed",
            Against::ProviderIgnored => "its provider is ignored",
            Against::Zdr => "no zero data retention",
            Against::Training => "it may train on what it is sent",
            Against::Publication => "it may publish what it is sent",
        }
    }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.says())
    }
}

impl Guard {
    /// The first of its rules against an endpoint. `asked` is the name that led there, in lower case and without suffixes: a
    /// house name may be allowed with nothing behind it, and ignored with all of it. What is not known of an endpoint's data
    /// policy is held against it.
    pub(crate) fn objection(&self, asked: &str, e: &Endpoint) -> Option<Against> {
        let free = || e.facts.free || e.price.as_ref().is_some_and(|price| price.is_free());
        let trains = e.policy.trains != Some(false);
        let rows: [(&dyn Fn() -> bool, Against); 7] = [
            (
                &|| self.allowed_models.as_ref().is_some_and(|names| !names.take_in(asked) && !names.model(e)),
                Against::ModelNotAllowed,
            ),
            (&|| self.ignored_models.take_in(asked) || self.ignored_models.model(e), Against::ModelIgnored),
            (&|| self.allowed_providers.as_ref().is_some_and(|names| !names.provider(e)), Against::ProviderNotAllowed),
            (&|| self.ignored_providers.provider(e), Against::ProviderIgnored),
            (&|| self.zdr.wants(&e.model.author) && !e.policy.zdr, Against::Zdr),
            (&|| trains && (self.no_paid_training && !free() || self.no_free_training && free()), Against::Training),
            // Nobody says who publishes: who neither keeps nor trains cannot.
            (&|| self.no_free_publication && free() && trains && e.policy.retains != Some(false), Against::Publication),
        ];
        rows.iter().find(|(speaks, _)| speaks()).map(|(_, against)| *against)
    }
}
