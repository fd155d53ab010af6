//! The tables of Postgres: brought up to date forwards only, by one gateway at a time.

use super::link::Link;
use crate::Error;
use crate::database::Trouble;
use tokio_postgres::Client;

/// Schema `n` is made by the first `n` of these. Append only.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_start.sql"),
    include_str!("../../migrations/postgres/0002_leases.sql"),
];

/// Several gateways may start at once: whoever has this lock migrates, and the others find it done. The number is ours alone
/// ("slipswch", read as one).
const LOCK: &str = "SELECT pg_advisory_xact_lock(8317130056843289448)";
/// Larger than any migration is expected to take: a start that hangs is worse than one that fails.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '7s'";

const FOUND: &str = "SELECT coalesce(max(version), 0)::int FROM schema_version";

/// The schema that is there; 0 when there is none.
pub(super) fn found(link: &mut Link) -> Result<u32, Trouble> {
    link.run(async |client, _| read(client).await)
}

async fn read(client: &Client) -> Result<u32, tokio_postgres::Error> {
    let there = client.query_typed_one("SELECT to_regclass('schema_version') IS NOT NULL", &[]).await?;
    if !there.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let version: i32 = client.query_typed_one(FOUND, &[]).await?.try_get(0)?;
    Ok(version.unsigned_abs())
}

/// All of what is missing, in one transaction, or nothing.
pub(super) fn migrate(link: &mut Link, migrations: &[&str]) -> Result<(), Error> {
    let known = migrations.len() as u32;
    // Most starts find nothing to do, and need not wait for each other to see it.
    let found = found(link)?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    let found = link.run(async |client, _| {
        client.batch_execute(BEGIN).await?;
        let done = step(client, migrations).await;
        // What was not committed is undone, whatever stopped it.
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = client.batch_execute(end).await;
        let found = done?;
        ended.map(|()| found)
    })?;
    if found > known { Err(Error::Newer { found, known }) } else { Ok(()) }
}

async fn step(client: &Client, migrations: &[&str]) -> Result<u32, tokio_postgres::Error> {
    client.batch_execute(LOCK).await?;
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version integer PRIMARY KEY, since timestamptz NOT NULL DEFAULT now())",
        )
        .await?;
    let found = read(client).await?;
    for (version, sql) in (1..).zip(migrations).skip(found as usize) {
        client.batch_execute(sql).await?;
        client.batch_execute(&format!("INSERT INTO schema_version (version) VALUES ({version})")).await?;
    }
    Ok(found)
}
