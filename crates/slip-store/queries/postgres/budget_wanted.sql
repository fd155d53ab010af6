-- Of which of a gateway's leases others want a part.
SELECT b.scope, b.span FROM leases AS l JOIN budgets AS b ON b.scope = l.scope AND b.span = l.span
WHERE l.gateway = $1 AND b.wanted > now() - interval '1500 milliseconds'
