SELECT id, created_ms, updated_ms, body FROM things WHERE kind = $1 ORDER BY created_ms, id
