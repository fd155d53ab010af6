//! Tiers of service: an endpoint that serves sooner or later than the standard one is used by who asked for that, and by nobody else.
//!
//! `service_tier` asks for one; so does its tag in `provider.order` or `provider.only`. `:floor` lets the cheaper tier compete by its
//! price and `:nitro` the quicker one by its speed; a plain `sort` lets neither.

use super::{Rule, Stand};
use crate::field::{Endpoint, Field};
use crate::resolve::{Resolved, Wish};
use crate::rules::{Rules, Sort};
use slip_ir::{Tier, Want};

/// Whether some endpoint behind a name is of the tier asked for. Where none is, the request goes where it would have gone without.
pub(crate) fn sold(field: &Field, asked: &Resolved, want: &Want) -> bool {
    let Some(tier @ (Tier::Flex | Tier::Priority)) = want.tier else { return false };
    field.reach(&asked.reach).iter().any(|e| e.tier == tier)
}

pub(super) fn refused(stand: &Stand<'_>, want: &Want, rules: &Rules) -> Option<Rule> {
    let e = stand.endpoint;
    match want.tier {
        // Who wants it cheap does not want it dear when it cannot be had cheap.
        Some(Tier::Flex) if stand.tiered && e.tier != Tier::Flex => Some(Rule::NotTier(Tier::Flex)),
        _ if e.tier == Tier::Standard || want.tier == Some(e.tier) || named(e, rules) => None,
        // The standard tier was asked for in so many words.
        Some(Tier::Standard) => Some(Rule::Tier(e.tier)),
        _ if admitted(e.tier, stand.asked.wish) => None,
        _ => Some(Rule::Tier(e.tier)),
    }
}

/// Comes after those of the tier asked for.
pub(super) fn later(stand: &Stand<'_>, want: &Want) -> bool {
    stand.tiered && want.tier != Some(stand.endpoint.tier)
}

fn named(e: &Endpoint, rules: &Rules) -> bool {
    rules.order.iter().chain(&rules.only).any(|word| **word == *e.tag)
}

fn admitted(tier: Tier, wish: Wish) -> bool {
    matches!((tier, wish.sort), (Tier::Flex, Some(Sort::Price)) | (Tier::Priority, Some(Sort::Throughput)))
}
