-- What is settled, and who has what.
SELECT b.scope, b.span, b.nano, b.byok_nano, l.gateway, l.allowed, l.used, l.nano, l.byok_nano
FROM budgets AS b LEFT JOIN leases AS l ON l.scope = b.scope AND l.span = b.span
WHERE (b.scope, b.span) IN (SELECT * FROM unnest($1, $2))
