-- A key keeps its name (`hash`) when its secret (`mac`) is changed.
INSERT INTO keys (mac, hash, label, name, kind, disabled, limit_nano, limit_reset, include_byok, expires_ms, created_ms, updated_ms,
    workspace, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (hash) DO UPDATE SET
    mac = excluded.mac, label = excluded.label, name = excluded.name, kind = excluded.kind, disabled = excluded.disabled,
    limit_nano = excluded.limit_nano, limit_reset = excluded.limit_reset, include_byok = excluded.include_byok,
    expires_ms = excluded.expires_ms, updated_ms = excluded.updated_ms, workspace = excluded.workspace, detail = excluded.detail
