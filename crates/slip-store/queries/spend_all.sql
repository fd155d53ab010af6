-- The past as one row per key (everything up to ?1), then day by day: enough to rebuild every running total.
SELECT key_hash, ?1, sum(nano), sum(byok_nano), sum(requests) FROM spend WHERE day <= ?1 GROUP BY key_hash
UNION ALL
SELECT key_hash, day, nano, byok_nano, requests FROM spend WHERE day > ?1
ORDER BY 1, 2
