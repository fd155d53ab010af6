SELECT id, created_ms, key_hash, model, provider, status, cost_nano, workspace, detail FROM generations WHERE id = $1
