//! Records on their way into the database: an array per column, so that a batch is three round trips however many there are.

use super::link::BEGIN;
use super::{Param, query};
use crate::database::{Result, Sheet, Trouble};
use crate::generations::Generation;
use crate::spans::Settled;
use crate::usage::Batch;
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

/// Records as Postgres can hold them: without the one character it cannot. Names may come from a caller, and must not keep a batch
/// from being written.
pub(super) fn clean_records<'a>(records: &[Sheet<'a>]) -> Vec<Cow<'a, Generation>> {
    let dirty = |g: &Generation| {
        let names =
            [Some(&g.model), Some(&g.provider_slug), Some(&g.workspace), g.key_hash.as_ref(), g.member.as_ref()];
        g.id.contains('\0') || names.into_iter().flatten().any(|name| name.contains('\0'))
    };
    let shared = |name: &Arc<str>| Arc::from(&*clean(name));
    let cleaned = |g: &Generation| Generation {
        id: clean(&g.id).into_owned(),
        model: shared(&g.model),
        provider_slug: shared(&g.provider_slug),
        workspace: shared(&g.workspace),
        key_hash: g.key_hash.as_ref().map(shared),
        member: g.member.as_ref().map(shared),
        ..g.clone()
    };
    records.iter().map(|(g, _)| if dirty(g) { Cow::Owned(cleaned(g)) } else { Cow::Borrowed(*g) }).collect()
}

/// A batch of records, turned on its side.
#[derive(Default)]
pub(super) struct Columns<'a> {
    records: Vec<&'a Generation>,
    id: Vec<&'a str>,
    created_ms: Vec<i64>,
    key_hash: Vec<Option<&'a str>>,
    model: Vec<&'a str>,
    provider: Vec<&'a str>,
    status: Vec<i32>,
    cost: Vec<i64>,
    workspace: Vec<&'a str>,
    detail: Vec<Cow<'a, str>>,
}

impl<'a> Columns<'a> {
    /// `details` has the JSON of those records whose JSON has been written already.
    pub fn of(records: &'a [Cow<'a, Generation>], details: &[Sheet<'a>]) -> Result<Columns<'a>> {
        let mut columns = Columns::default();
        for (g, (_, detail)) in records.iter().zip(details) {
            columns.records.push(g);
            columns.id.push(&g.id);
            columns.created_ms.push(g.created_ms);
            columns.key_hash.push(g.key_hash.as_deref());
            columns.model.push(&g.model);
            columns.provider.push(&g.provider_slug);
            columns.status.push(i32::from(g.status));
            columns.cost.push(g.cost.0);
            columns.workspace.push(&g.workspace);
            columns.detail.push(match detail {
                Some(detail) => Cow::Borrowed(*detail),
                None => serde_json::to_string(&**g).map_err(|e| Trouble(e.to_string()))?.into(),
            });
        }
        Ok(columns)
    }

    /// All or nothing; only what was not there yet is counted, so doing it again does no harm.
    pub async fn put(&self, client: &Client, gateway: &str) -> std::result::Result<(), Error> {
        let params: [Param<'_>; 9] = [
            (&self.id, Type::TEXT_ARRAY),
            (&self.created_ms, Type::INT8_ARRAY),
            (&self.key_hash, Type::TEXT_ARRAY),
            (&self.model, Type::TEXT_ARRAY),
            (&self.provider, Type::TEXT_ARRAY),
            (&self.status, Type::INT4_ARRAY),
            (&self.cost, Type::INT8_ARRAY),
            (&self.workspace, Type::TEXT_ARRAY),
            (&self.detail, Type::TEXT_ARRAY),
        ];
        let put = client.query_typed(query!("postgres/generation_put"), &params);
        let (begun, fresh) = tokio::join!(biased; client.batch_execute(BEGIN), put);
        begun?;
        let fresh = match fresh {
            Ok(rows) => rows,
            Err(e) => return Err(rolled_back(client, e).await),
        };
        let mut fresh: HashSet<&str> = fresh.iter().filter_map(|row| row.try_get(0).ok()).collect();
        let mut batch = Batch::default();
        // Taken out as it is counted: two records of one name are one row.
        let (mut settled, mut of_leases) = (Settled::default(), Settled::default());
        for g in self.records.iter().filter(|g| fresh.remove(&*g.id)) {
            batch.add(g);
            settled.add(g);
            if g.key_hash.is_some() {
                // What belongs to no key is counted against no lease.
                of_leases.add(g);
            }
        }
        let sums = Added::of(&batch);
        let params = sums.params();
        let added = client.execute_typed(query!("postgres/usage_add"), &params);
        let settled = settle(client, gateway, &settled, &of_leases);
        let (added, settled, ended) = tokio::join!(biased; added, settled, client.batch_execute("COMMIT"));
        added?;
        settled?;
        ended
    }
}

/// What is spent of budgets, and of leases. Sent before it first waits.
async fn settle(client: &Client, gateway: &str, budgets: &Settled, leases: &Settled) -> std::result::Result<(), Error> {
    if budgets.is_empty() {
        return Ok(());
    }
    let (scopes, spans, own, byok) = budgets.columns();
    let sums: [Param<'_>; 4] =
        [(&scopes, Type::TEXT_ARRAY), (&spans, Type::TEXT_ARRAY), (&own, Type::INT8_ARRAY), (&byok, Type::INT8_ARRAY)];
    let (scopes, spans, own, byok) = leases.columns();
    let lent: [Param<'_>; 5] = [
        (&gateway, Type::TEXT),
        (&scopes, Type::TEXT_ARRAY),
        (&spans, Type::TEXT_ARRAY),
        (&own, Type::INT8_ARRAY),
        (&byok, Type::INT8_ARRAY),
    ];
    let (locked, settled, told) = tokio::join!(
        biased;
        client.execute_typed(query!("postgres/budget_lock"), &sums[..2]),
        client.execute_typed(query!("postgres/budget_settle"), &sums),
        client.execute_typed(query!("postgres/lease_settle"), &lent),
    );
    locked?;
    settled?;
    told.map(drop)
}

/// The connection is used again, so nothing may stay open on it.
pub(super) async fn rolled_back(client: &Client, why: Error) -> Error {
    // A connection that is gone has nothing open.
    let _ = client.batch_execute("ROLLBACK").await;
    why
}

/// Seven names and twelve sums.
struct Added<'a> {
    grain: Vec<&'static str>,
    at: Vec<i64>,
    names: [Vec<&'a str>; 5],
    sums: [Vec<i64>; 12],
}

impl<'a> Added<'a> {
    fn of(batch: &'a Batch) -> Added<'a> {
        let mut added =
            Added { grain: Vec::new(), at: Vec::new(), names: Default::default(), sums: Default::default() };
        for (grain, at, by, s) in batch.rows() {
            added.grain.push(grain.name());
            added.at.push(at);
            let names = [&by.key_hash, &by.workspace, &by.member, &by.model, &by.provider];
            added.names.iter_mut().zip(names).for_each(|(column, name)| column.push(name));
            let sums = [
                s.requests,
                s.failed,
                s.prompt,
                s.cached,
                s.completion,
                s.reasoning,
                s.cost.0,
                s.byok.0,
                s.waste.0,
                s.ttft_ms,
                s.ttft_count,
                s.total_ms,
            ];
            added.sums.iter_mut().zip(sums).for_each(|(column, sum)| column.push(sum));
        }
        added
    }

    fn params(&self) -> Vec<Param<'_>> {
        let mut params: Vec<Param<'_>> = vec![(&self.grain, Type::TEXT_ARRAY), (&self.at, Type::INT8_ARRAY)];
        params.extend(self.names.iter().map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY)));
        params.extend(self.sums.iter().map(|column| (column as &(dyn ToSql + Sync), Type::INT8_ARRAY)));
        params
    }
}

/// Without the one character Postgres cannot hold.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}
