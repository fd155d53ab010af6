-- Many sums at once, a column each, in the order of the key: two gateways that add to the same rows take them in the same order and
-- never wait for each other in a ring. A sum stops at the largest number rather than refuse a record.
INSERT INTO usage (grain, at, key_hash, workspace, member, model, provider, requests, failed, prompt, cached, completion, reasoning,
    nano, byok_nano, waste_nano, ttft_ms, ttft_count, total_ms)
SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
    AS t (grain, at, key_hash, workspace, member, model, provider)
ORDER BY t.grain, t.at, t.key_hash, t.workspace, t.member, t.model, t.provider
ON CONFLICT (grain, at, key_hash, workspace, member, model, provider) DO UPDATE SET
    requests = usage.requests + excluded.requests,
    failed = usage.failed + excluded.failed,
    prompt = least(usage.prompt::numeric + excluded.prompt, 9223372036854775807)::bigint,
    cached = least(usage.cached::numeric + excluded.cached, 9223372036854775807)::bigint,
    completion = least(usage.completion::numeric + excluded.completion, 9223372036854775807)::bigint,
    reasoning = least(usage.reasoning::numeric + excluded.reasoning, 9223372036854775807)::bigint,
    nano = least(usage.nano::numeric + excluded.nano, 9223372036854775807)::bigint,
    byok_nano = least(usage.byok_nano::numeric + excluded.byok_nano, 9223372036854775807)::bigint,
    waste_nano = least(usage.waste_nano::numeric + excluded.waste_nano, 9223372036854775807)::bigint,
    ttft_ms = least(usage.ttft_ms::numeric + excluded.ttft_ms, 9223372036854775807)::bigint,
    ttft_count = usage.ttft_count + excluded.ttft_count,
    total_ms = least(usage.total_ms::numeric + excluded.total_ms, 9223372036854775807)::bigint
