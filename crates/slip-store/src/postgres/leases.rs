//! The keeper of limits in the database: what is settled and lent of each, under locks that are taken in one order by everybody.

use super::batch::rolled_back;
use super::link::BEGIN;
use super::rows::get;
use super::{Param, Postgres, query};
use crate::database::Result;
use crate::leases::{Item, Kept, Round};
use slip_ir::Nano;
use slip_quota::keeper::{Lent, Told, Whole, lend};
use std::collections::HashMap;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

/// Nobody adds to a budget while one is made, so that nothing is left out and nothing counted twice.
const LOCK_BUDGETS: &str = "LOCK TABLE budgets IN SHARE ROW EXCLUSIVE MODE";

/// A budget as it is.
#[derive(Default)]
struct Budget {
    own: i64,
    byok: i64,
    /// By the name of the gateway: what it has, and what both kinds of money of it are settled.
    lent: Vec<(String, Nano, Nano, i64, i64)>,
}

/// What a round finds.
struct Found {
    there: bool,
    gateways: u32,
    overdue: bool,
    budgets: HashMap<(String, String), Budget>,
    wanted: Vec<(String, String)>,
}

impl Postgres {
    /// Where several gateways are, each has a name.
    pub fn enrol_as(&mut self, gateway: &str, lasts_ms: i64, first: bool) -> Result<i64> {
        let lasts = lasts_ms as f64;
        let params: [Param<'_>; 2] = [(&gateway, Type::TEXT), (&lasts, Type::FLOAT8)];
        let row = self.0.run(async |client, _| {
            let done = async {
                client.batch_execute(BEGIN).await?;
                if first {
                    // Everything an earlier life of it had used has been put away before.
                    let all = "DELETE FROM leases WHERE gateway = $1";
                    client.execute_typed(all, &params[..1]).await?;
                    client.batch_execute(query!("postgres/gateway_purge")).await?;
                }
                let row = client.query_typed_one(query!("postgres/gateway_enrol"), &params).await?;
                client.batch_execute("COMMIT").await?;
                Ok(row)
            };
            undone(client, done.await).await
        })?;
        self.unreadable(get(&row, 0))
    }

    pub fn keep_round(&mut self, round: &Round) -> Result<Kept> {
        self.open_budgets(round)?;
        let (there, overdue, kept) = self.0.run(async |client, _| {
            let done = undone(client, take(client, round).await).await?;
            Ok(done)
        })?;
        if overdue {
            self.change(query!("postgres/gateway_bury"), &[])?;
        }
        Ok(if there { kept } else { Kept { fenced: true, ..Kept::default() } })
    }

    /// It has put away everything, and spends no more.
    pub fn leave_as(&mut self, gateway: &str) -> Result<()> {
        let name: [Param<'_>; 1] = [(&gateway, Type::TEXT)];
        self.change("DELETE FROM leases WHERE gateway = $1", &name)?;
        self.change("DELETE FROM gateways WHERE name = $1", &name)?;
        Ok(())
    }

    /// Budgets nobody has asked for before.
    fn open_budgets(&mut self, round: &Round) -> Result<()> {
        let new: Vec<&Item> = round.items.iter().filter(|item| !item.known).collect();
        if new.is_empty() {
            return Ok(());
        }
        let column = |of: fn(&Item) -> &str| new.iter().map(|item| of(item)).collect::<Vec<_>>();
        let (scope, span) = (column(|item| &item.scope), column(|item| &item.span.name));
        let (kind, name) = (column(|item| item.kind), column(|item| &item.name));
        let over: Vec<Option<i64>> = new.iter().map(|item| item.span.over_ms).collect();
        let (first, last): (Vec<i64>, Vec<i64>) = new.iter().map(|item| item.span.days).unzip();
        let params: [Param<'_>; 7] = [
            (&scope, Type::TEXT_ARRAY),
            (&span, Type::TEXT_ARRAY),
            (&over, Type::INT8_ARRAY),
            (&kind, Type::TEXT_ARRAY),
            (&name, Type::TEXT_ARRAY),
            (&first, Type::INT8_ARRAY),
            (&last, Type::INT8_ARRAY),
        ];
        // Mostly another gateway has made it: then nobody need be kept waiting.
        let there = "SELECT count(*) FROM budgets WHERE (scope, span) IN (SELECT * FROM unnest($1, $2))";
        let found = self.rows(there, &params[..2])?;
        let found: i64 = self.unreadable(found.first().map_or(Ok(0), |row| get(row, 0)))?;
        if usize::try_from(found) == Ok(new.len()) {
            return Ok(());
        }
        self.0.run(async |client, _| {
            let done = async {
                client.batch_execute(BEGIN).await?;
                client.batch_execute(LOCK_BUDGETS).await?;
                client.execute_typed(query!("postgres/budget_open"), &params).await?;
                client.batch_execute("COMMIT").await
            };
            undone(client, done.await).await
        })
    }
}

/// The round itself: two exchanges, one to see, one to say.
async fn take(client: &Client, round: &Round) -> std::result::Result<(bool, bool, Kept), Error> {
    let found = see(client, round).await?;
    if !found.there {
        client.batch_execute("ROLLBACK").await?;
        return Ok((false, false, Kept::default()));
    }
    let told: Vec<Option<Told>> = round.items.iter().map(|item| found.judge(item, round)).collect();
    say(client, round, &told).await?;
    Ok((true, found.overdue, Kept { fenced: false, gateways: found.gateways, told, wanted: found.wanted }))
}

/// Lock what the round is about, and read it as it is then.
async fn see(client: &Client, round: &Round) -> std::result::Result<Found, Error> {
    let lasts = round.lasts_ms as f64;
    let renew: [Param<'_>; 4] =
        [(&round.gateway, Type::TEXT), (&round.epoch, Type::INT8), (&round.number, Type::INT8), (&lasts, Type::FLOAT8)];
    let scopes: Vec<&str> = round.items.iter().map(|item| item.scope.as_str()).collect();
    let spans: Vec<&str> = round.items.iter().map(|item| item.span.name.as_str()).collect();
    let names: [Param<'_>; 2] = [(&scopes, Type::TEXT_ARRAY), (&spans, Type::TEXT_ARRAY)];
    // Sent in this order. What is read after the locks is read as it is after them.
    let (begun, renewed, counted, locked, read, wanted) = tokio::join!(
        biased;
        client.batch_execute(BEGIN),
        client.query_typed(query!("postgres/gateway_renew"), &renew),
        client.query_typed(query!("postgres/gateway_count"), &[]),
        client.execute_typed(query!("postgres/budget_lock"), &names),
        client.query_typed(query!("postgres/budget_read"), &names),
        client.query_typed(query!("postgres/budget_wanted"), &renew[..1]),
    );
    begun?;
    let renewed = renewed?;
    let counted = counted?;
    locked?;
    let (read, wanted) = (read?, wanted?);
    let count = |at: usize| counted.first().and_then(|row| row.try_get::<_, i64>(at).ok()).unwrap_or(0);
    let mut budgets: HashMap<(String, String), Budget> = HashMap::new();
    for row in &read {
        let budget = budgets.entry(pair(row)?).or_default();
        (budget.own, budget.byok) = (row.try_get(2)?, row.try_get(3)?);
        if let Some(gateway) = row.try_get::<_, Option<String>>(4)? {
            let lent = (gateway, Nano(row.try_get(5)?), Nano(row.try_get(6)?), row.try_get(7)?, row.try_get(8)?);
            budget.lent.push(lent);
        }
    }
    Ok(Found {
        there: !renewed.is_empty(),
        gateways: u32::try_from(count(0)).unwrap_or(u32::MAX),
        overdue: count(1) > 0,
        budgets,
        wanted: wanted.iter().map(pair).collect::<std::result::Result<_, Error>>()?,
    })
}

fn pair(row: &Row) -> std::result::Result<(String, String), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

impl Found {
    fn judge(&self, item: &Item, round: &Round) -> Option<Told> {
        let budget = self.budgets.get(&(item.scope.clone(), item.span.name.clone()))?;
        let counted = |own: i64, byok: i64| if item.byok { Nano(own) + Nano(byok) } else { Nano(own) };
        let mut mine = Lent { allowed: item.allowed, used: item.used, settled: Nano(0) };
        let mut others = Vec::with_capacity(budget.lent.len());
        for (gateway, allowed, used, own, byok) in &budget.lent {
            let settled = counted(*own, *byok);
            if *gateway != round.gateway {
                others.push(Lent { allowed: *allowed, used: *used, settled });
            } else if !item.fresh {
                mine.settled = settled;
            }
        }
        let whole =
            Whole { limit: item.limit, settled: counted(budget.own, budget.byok), gateways: self.gateways.max(1) };
        Some(lend(whole, &others, mine, &item.ask))
    }
}

/// Write down what everybody has now.
async fn say(client: &Client, round: &Round, told: &[Option<Told>]) -> std::result::Result<(), Error> {
    let kept = || round.items.iter().zip(told).filter_map(|(item, told)| Some((item, told.as_ref()?)));
    let void = round.items.iter().filter(|item| item.fresh).map(|item| (&item.scope, &item.span.name));
    let closed = round.closed.iter().map(|(scope, span)| (scope, span)).chain(void);
    let (closed_scopes, closed_spans): (Vec<&str>, Vec<&str>) =
        closed.map(|(scope, span)| (scope.as_str(), span.as_str())).unzip();
    let close: [Param<'_>; 3] =
        [(&round.gateway, Type::TEXT), (&closed_scopes, Type::TEXT_ARRAY), (&closed_spans, Type::TEXT_ARRAY)];
    let (scopes, spans): (Vec<&str>, Vec<&str>) = kept().map(|(i, _)| (i.scope.as_str(), i.span.name.as_str())).unzip();
    let byok: Vec<bool> = kept().map(|(item, _)| item.byok).collect();
    let (allowed, used): (Vec<i64>, Vec<i64>) = kept().map(|(item, told)| (told.allowed.0, item.used.0)).unzip();
    let put: [Param<'_>; 6] = [
        (&round.gateway, Type::TEXT),
        (&scopes, Type::TEXT_ARRAY),
        (&spans, Type::TEXT_ARRAY),
        (&byok, Type::BOOL_ARRAY),
        (&allowed, Type::INT8_ARRAY),
        (&used, Type::INT8_ARRAY),
    ];
    let short = kept().filter(|(_, told)| told.short);
    let (want_scopes, want_spans): (Vec<&str>, Vec<&str>) =
        short.map(|(item, _)| (item.scope.as_str(), item.span.name.as_str())).unzip();
    let want: [Param<'_>; 2] = [(&want_scopes, Type::TEXT_ARRAY), (&want_spans, Type::TEXT_ARRAY)];
    let (cleared, lent, wanted, ended) = tokio::join!(
        biased;
        async {
            if closed_scopes.is_empty() { Ok(0) } else { client.execute_typed(query!("postgres/lease_close"), &close).await }
        },
        async { if scopes.is_empty() { Ok(0) } else { client.execute_typed(query!("postgres/lease_put"), &put).await } },
        async { if want_scopes.is_empty() { Ok(0) } else { client.execute_typed(query!("postgres/budget_want"), &want).await } },
        client.batch_execute("COMMIT"),
    );
    cleared?;
    lent?;
    wanted?;
    ended
}

/// After an error the connection is used again, so nothing may stay open on it.
async fn undone<T>(client: &Client, done: std::result::Result<T, Error>) -> std::result::Result<T, Error> {
    match done {
        Ok(done) => Ok(done),
        Err(e) => Err(rolled_back(client, e).await),
    }
}
