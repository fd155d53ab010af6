//! From rows to what they stand for. The order of columns is that of the statements in `queries/`.

use crate::generations::Generation;
use crate::keys::{Key, KeyKind, Reset};
use crate::things::Thing;
use crate::usage::{By, Sums, Used, Whose};
use slip_ir::Nano;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

type Read<T> = Result<T, String>;

pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Read<T> {
    row.try_get(column).map_err(|e| {
        let why = std::error::Error::source(&e).map(|why| format!(": {why}")).unwrap_or_default();
        format!("{e}{why}")
    })
}

pub(super) fn generation(row: &Row) -> Read<Generation> {
    let g: Generation = serde_json::from_str(get(row, 8)?).map_err(|e| e.to_string())?;
    let status: i32 = get(row, 5)?;
    let text = |column| get::<&str>(row, column);
    Ok(Generation {
        id: get(row, 0)?,
        created_ms: get(row, 1)?,
        key_hash: get::<Option<&str>>(row, 2)?.map(Into::into),
        model: text(3)?.into(),
        provider_slug: text(4)?.into(),
        status: u16::try_from(status).map_err(|e| e.to_string())?,
        cost: Nano(get(row, 6)?),
        workspace: get::<Option<&str>>(row, 7)?.unwrap_or_default().into(),
        ..g
    })
}

pub(super) fn used(row: &Row) -> Read<Used> {
    let text = |column| get::<&str>(row, column).map(Into::into);
    Ok(Used {
        at: get(row, 0)?,
        by: By { key_hash: text(1)?, workspace: text(2)?, member: text(3)?, model: text(4)?, provider: text(5)? },
        sums: Sums {
            requests: get(row, 6)?,
            failed: get(row, 7)?,
            prompt: get(row, 8)?,
            cached: get(row, 9)?,
            completion: get(row, 10)?,
            reasoning: get(row, 11)?,
            cost: Nano(get(row, 12)?),
            byok: Nano(get(row, 13)?),
            waste: Nano(get(row, 14)?),
            ttft_ms: get(row, 15)?,
            ttft_count: get(row, 16)?,
            total_ms: get(row, 17)?,
        },
    })
}

pub(super) fn whose(row: &Row, past: i64) -> Read<Whose> {
    let text = |column| get::<&str>(row, column).map(Into::into);
    let (day, requests): (i64, i64) = (get(row, 3)?, get(row, 6)?);
    Ok(Whose {
        key_hash: text(0)?,
        workspace: text(1)?,
        member: text(2)?,
        day,
        past: day <= past,
        cost: Nano(get(row, 4)?),
        byok: Nano(get(row, 5)?),
        requests: requests.unsigned_abs(),
    })
}

pub(super) fn thing(row: &Row) -> Read<Thing> {
    let body = serde_json::from_str(get(row, 3)?).map_err(|e| e.to_string())?;
    Ok(Thing { id: get(row, 0)?, created_ms: get(row, 1)?, updated_ms: get(row, 2)?, body })
}

pub(super) fn key(row: &Row) -> Read<Key> {
    let mac: &[u8] = get(row, 0)?;
    let kind: &str = get(row, 4)?;
    let reset: Option<&str> = get(row, 7)?;
    let reset = reset.map(|name| Reset::parse(name).ok_or_else(|| format!("unknown limit reset: {name}")));
    Ok(Key {
        mac: mac.try_into().map_err(|_| format!("a mac of {} bytes", mac.len()))?,
        hash: get::<&str>(row, 1)?.into(),
        label: get(row, 2)?,
        name: get(row, 3)?,
        kind: KeyKind::parse(kind).ok_or_else(|| format!("unknown kind of key: {kind}"))?,
        disabled: get(row, 5)?,
        limit: get::<Option<i64>>(row, 6)?.map(Nano),
        limit_reset: reset.transpose()?,
        include_byok_in_limit: get(row, 8)?,
        expires_ms: get(row, 9)?,
        created_ms: get(row, 10)?,
        updated_ms: get(row, 11)?,
        workspace: get::<&str>(row, 12)?.into(),
        detail: serde_json::from_str(get(row, 13)?).map_err(|e| e.to_string())?,
    })
}
