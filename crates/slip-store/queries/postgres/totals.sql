-- What was spent by whom: the past as one row each (everything up to day $1), then day by day. Sums of Postgres are wider than what
-- they sum.
SELECT key_hash, workspace, member, greatest(at, $1) AS day, least(sum(nano), 9223372036854775807)::bigint,
    least(sum(byok_nano), 9223372036854775807)::bigint, sum(requests)::bigint
FROM usage WHERE grain = 'd'
GROUP BY 1, 2, 3, 4
ORDER BY 4
