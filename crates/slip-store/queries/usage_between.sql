-- The sums of a grain, from $2 up to and without $3. An empty $4 or $5 asks for every key or workspace.
SELECT at, key_hash, workspace, member, model, provider, requests, failed, prompt, cached, completion, reasoning, nano, byok_nano,
    waste_nano, ttft_ms, ttft_count, total_ms
FROM usage
WHERE grain = $1 AND at >= $2 AND at < $3 AND ($4 = '' OR key_hash = $4) AND ($5 = '' OR workspace = $5)
ORDER BY at, key_hash, workspace, member, model, provider
