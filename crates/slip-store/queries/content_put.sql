INSERT INTO content (generation, until_ms, body) VALUES ($1, $2, $3)
ON CONFLICT (generation) DO UPDATE SET until_ms = excluded.until_ms, body = excluded.body
