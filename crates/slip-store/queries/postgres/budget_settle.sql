-- Many sums at once. Of budgets nobody has asked for there is no row.
UPDATE budgets AS b SET
    nano = least(b.nano::numeric + t.nano, 9223372036854775807)::bigint,
    byok_nano = least(b.byok_nano::numeric + t.byok_nano, 9223372036854775807)::bigint
FROM unnest($1, $2, $3, $4) AS t (scope, span, nano, byok_nano)
WHERE b.scope = t.scope AND b.span = t.span
