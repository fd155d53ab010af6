INSERT INTO keys (mac, hash, label, name, kind, disabled, limit_nano, limit_reset, include_byok, expires_ms, created_ms, updated_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT (mac) DO UPDATE SET
    name = excluded.name, kind = excluded.kind, disabled = excluded.disabled, limit_nano = excluded.limit_nano,
    limit_reset = excluded.limit_reset, include_byok = excluded.include_byok, expires_ms = excluded.expires_ms,
    updated_ms = excluded.updated_ms
