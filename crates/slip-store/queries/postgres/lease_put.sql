INSERT INTO leases (scope, span, gateway, byok, allowed, used, nano, byok_nano)
SELECT t.scope, t.span, $1, t.byok, t.allowed, t.used, 0, 0
FROM unnest($2, $3, $4, $5, $6) AS t (scope, span, byok, allowed, used)
ON CONFLICT (scope, span, gateway) DO UPDATE SET byok = excluded.byok, allowed = excluded.allowed, used = excluded.used
