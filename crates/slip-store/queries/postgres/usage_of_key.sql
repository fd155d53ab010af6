-- What a key spent, by day.
SELECT key_hash, '' AS workspace, '' AS member, at, least(sum(nano), 9223372036854775807)::bigint,
    least(sum(byok_nano), 9223372036854775807)::bigint, sum(requests)::bigint
FROM usage WHERE grain = 'd' AND key_hash = $1
GROUP BY key_hash, at
