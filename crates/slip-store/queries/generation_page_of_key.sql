-- The same of one key.
SELECT id, created_ms, key_hash, model, provider, status, cost_nano, workspace, detail, n FROM generations
WHERE n < $1 AND key_hash = $2 ORDER BY n DESC LIMIT $3
