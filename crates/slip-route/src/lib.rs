//! Which endpoint serves a request: the catalogue, the callers' rules, who may serve, in which order, and what to do when one
//! fails.
//!
//! Pure: no I/O, no clock, no JSON but the caller's `provider` object. Time is an argument, dice are an argument, and live health
//! arrives as a [`View`]. Start reading at [`plan`], the whole of it on one screen; then [`field`] and [`eligible`]. [`explain`] tells
//! the same decision in full.

pub mod catalog;
pub mod eligible;
pub mod explain;
pub mod field;
pub mod governor;
pub mod guard;
pub mod health;
pub mod no_route;
pub mod own;
pub mod plan;
pub mod resolve;
pub mod rules;
pub mod strategy;
pub mod view;
pub mod vocabulary;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;

pub use catalog::{Catalog, Model, Policy};
pub use eligible::{Candidate, Refusal, Rule};
pub use explain::{Explained, explain};
pub use field::{Declared, Endpoint, Field, House, Instance, ProviderSeat};
pub use governor::Governor;
pub use guard::Guard;
pub use health::{Health, Metric, Percentiles};
pub use no_route::NoRoute;
pub use own::{Holder, Own, OwnKey};
pub use plan::{Allow, Ask, Attempt, By, Chosen, Past, Plan, Sent, Step, choose};
pub use resolve::{Resolved, Unresolved, Wish};
pub use rules::{BadRules, Rules, Sort};
pub use strategy::Seat;
pub use strategy::{STRATEGIES, Strategy};
pub use view::{Board, ByEndpoint, Calm, Sticky, View, Vital, Vitals};
