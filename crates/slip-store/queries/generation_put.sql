-- Replacing keeps a repeated write of one record harmless.
INSERT OR REPLACE INTO generations (id, created_ms, key_hash, model, provider, status, cost_nano, detail)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
