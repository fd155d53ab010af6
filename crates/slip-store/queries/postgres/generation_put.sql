-- Many records at once, a column each. One that is there already stays as it is, and is not among those told: only those are counted.
INSERT INTO generations (id, created_ms, key_hash, model, provider, status, cost_nano, workspace, detail)
SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (id) DO NOTHING
RETURNING id
