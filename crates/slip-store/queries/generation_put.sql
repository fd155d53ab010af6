-- A record that is there already stays as it is, and is not counted again.
INSERT INTO generations (id, created_ms, key_hash, model, provider, status, cost_nano, workspace, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO NOTHING
