-- What was spent by whom: the past as one row each (everything up to day $1), then day by day. Enough to rebuild every running total.
SELECT key_hash, workspace, member, CASE WHEN at > $1 THEN at ELSE $1 END AS day, sum(nano), sum(byok_nano), sum(requests)
FROM usage WHERE grain = 'd'
GROUP BY 1, 2, 3, 4
ORDER BY 4
