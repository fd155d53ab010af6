SELECT mac, hash, label, name, kind, disabled, limit_nano, limit_reset, include_byok, expires_ms, created_ms, updated_ms, workspace, detail
FROM keys ORDER BY created_ms, hash
