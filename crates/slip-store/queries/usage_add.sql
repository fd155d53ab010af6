INSERT INTO usage (grain, at, key_hash, workspace, member, model, provider, requests, failed, prompt, cached, completion, reasoning,
    nano, byok_nano, waste_nano, ttft_ms, ttft_count, total_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (grain, at, key_hash, workspace, member, model, provider) DO UPDATE SET
    requests = usage.requests + excluded.requests, failed = usage.failed + excluded.failed,
    prompt = usage.prompt + excluded.prompt, cached = usage.cached + excluded.cached,
    completion = usage.completion + excluded.completion, reasoning = usage.reasoning + excluded.reasoning,
    nano = usage.nano + excluded.nano, byok_nano = usage.byok_nano + excluded.byok_nano,
    waste_nano = usage.waste_nano + excluded.waste_nano, ttft_ms = usage.ttft_ms + excluded.ttft_ms,
    ttft_count = usage.ttft_count + excluded.ttft_count, total_ms = usage.total_ms + excluded.total_ms
