-- The newest first, before the place $1 in the order of arrival, at most $2. They are told with that place: it asks for the next page.
SELECT id, created_ms, key_hash, model, provider, status, cost_nano, workspace, detail, n FROM generations
WHERE n < $1 ORDER BY n DESC LIMIT $2
