//! How a limit's scope and period are called in the database, and which of them a record belongs to.

use crate::generations::Generation;
use crate::keys::Reset;
use crate::scopes::ScopeId;
use slip_ir::Nano;
use slip_quota::period::{DAY_MS, month_begins};
use slip_quota::sums::Amount;
use std::collections::BTreeMap;

/// A period of some kind, or all time. Its name is stored, and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub name: String,
    /// Its first day and its last.
    pub days: (i64, i64),
    /// When it ends.
    pub over_ms: Option<i64>,
}

impl Span {
    /// The one a day lies in.
    pub fn of(reset: Option<Reset>, day: i64) -> Span {
        let Some(reset) = reset else {
            return Span { name: "total".to_owned(), days: (i64::MIN, i64::MAX), over_ms: None };
        };
        let period = reset.period(day);
        let (first, next) = match reset {
            Reset::Daily => (day, day.saturating_add(1)),
            Reset::Weekly => (period * 7 - 3, period * 7 + 4),
            Reset::Monthly => (month_begins(period), month_begins(period + 1)),
        };
        let name = format!("{} {period}", reset.name());
        Span { name, days: (first, next - 1), over_ms: Some(next.saturating_mul(DAY_MS)) }
    }
}

/// How a scope is called.
pub(crate) fn scope_name(id: &ScopeId) -> String {
    match id {
        ScopeId::Key(name) | ScopeId::Member(name) | ScopeId::Workspace(name) => format!("{} {name}", id.kind()),
        ScopeId::Instance => id.kind().to_owned(),
    }
}

/// What records come to, by scope and span, in the order of their names.
#[derive(Default)]
pub(crate) struct Settled(BTreeMap<(String, String), Amount>);

impl Settled {
    /// What costs nothing changes no sum.
    pub fn add(&mut self, g: &Generation) {
        let amount = Amount { own: g.cost, byok: g.own_key_cost() };
        if amount.own.0 <= 0 && amount.byok.0 <= 0 {
            return;
        }
        let day = slip_quota::day_of(g.created_ms);
        let mut scopes = vec![ScopeId::Instance];
        scopes.extend(g.key_hash.clone().map(ScopeId::Key));
        scopes.extend(g.member.clone().map(ScopeId::Member));
        scopes.extend(Some(g.workspace.clone()).filter(|name| !name.is_empty()).map(ScopeId::Workspace));
        let resets = [None, Some(Reset::Daily), Some(Reset::Weekly), Some(Reset::Monthly)];
        let spans = resets.map(|reset| Span::of(reset, day).name);
        for scope in scopes {
            for span in &spans {
                let sum = self.0.entry((scope_name(&scope), span.clone())).or_default();
                sum.own = sum.own + Nano(amount.own.0.max(0));
                sum.byok = sum.byok + Nano(amount.byok.0.max(0));
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A column each: scopes, spans, and both kinds of money.
    pub fn columns(&self) -> (Vec<&str>, Vec<&str>, Vec<i64>, Vec<i64>) {
        let names = self.0.keys();
        let (scopes, spans) = names.map(|(scope, span)| (scope.as_str(), span.as_str())).unzip();
        let (own, byok) = self.0.values().map(|amount| (amount.own.0, amount.byok.0)).unzip();
        (scopes, spans, own, byok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_days_of_its_period_and_no_other() {
        for day in [-400, 0, 20_786, 20_787, 20_788, 19_782] {
            for reset in Reset::ALL {
                let span = Span::of(Some(reset), day);
                let (first, last) = span.days;
                assert!(first <= day && day <= last, "{reset:?} of {day}: {span:?}");
                for (other, same) in [(first, true), (last, true), (first - 1, false), (last + 1, false)] {
                    assert_eq!(Span::of(Some(reset), other) == span, same, "{reset:?} of {other}");
                }
                assert_eq!(span.over_ms, Some(reset.ends_ms(day * DAY_MS)));
            }
        }
        assert_eq!(Span::of(Some(Reset::Daily), 20_786).name, "daily 20786");
    }

    #[test]
    fn a_record_is_summed_wherever_a_limit_may_count_it() {
        let mut settled = Settled::default();
        let record = Generation {
            key_hash: Some("abc".into()),
            workspace: "team".into(),
            created_ms: 20_786 * DAY_MS,
            cost: Nano(7),
            ..Generation::default()
        };
        settled.add(&record);
        settled.add(&Generation { created_ms: 20_787 * DAY_MS, ..record.clone() });
        settled.add(&Generation { cost: Nano(0), workspace: "other".into(), ..record });
        let (scopes, spans, own, _) = settled.columns();
        let rows: Vec<_> = scopes.iter().zip(&spans).zip(&own).map(|((a, b), c)| format!("{a}/{b}: {c}")).collect();
        let of_key = [
            "key abc/daily 20786: 7",
            "key abc/daily 20787: 7",
            "key abc/monthly 24322: 14",
            "key abc/total: 14",
            "key abc/weekly 2969: 7",
            "key abc/weekly 2970: 7",
        ];
        assert_eq!(rows[6..12], of_key);
        assert_eq!(rows.len(), 18, "{rows:?}");
    }
}
