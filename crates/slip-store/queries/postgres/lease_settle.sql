UPDATE leases AS l SET
    nano = least(l.nano::numeric + t.nano, 9223372036854775807)::bigint,
    byok_nano = least(l.byok_nano::numeric + t.byok_nano, 9223372036854775807)::bigint
FROM unnest($2, $3, $4, $5) AS t (scope, span, nano, byok_nano)
WHERE l.gateway = $1 AND l.scope = t.scope AND l.span = t.span
