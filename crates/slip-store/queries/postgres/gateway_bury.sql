-- Whoever has not been heard of in time spends no more. What it had used when it last said so may still come; the rest of its leases
-- is had by others. Its epoch is over: should it come back, it begins anew.
WITH gone AS (
    SELECT name FROM gateways WHERE until <= now() AND NOT buried ORDER BY name FOR UPDATE SKIP LOCKED
), told AS (
    UPDATE gateways AS g SET buried = true, epoch = epoch + 1 FROM gone WHERE g.name = gone.name
)
UPDATE leases AS l SET allowed = least(allowed, greatest(used, l.nano + CASE WHEN l.byok THEN l.byok_nano ELSE 0 END))
FROM gone WHERE l.gateway = gone.name
