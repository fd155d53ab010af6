-- Budgets that nobody has asked for before, a column each, from what was used by then. Nobody adds to any meanwhile: the table is locked.
INSERT INTO budgets (scope, span, over_ms, nano, byok_nano)
SELECT t.scope, t.span, t.over_ms, s.nano, s.byok_nano
FROM unnest($1, $2, $3, $4, $5, $6, $7) AS t (scope, span, over_ms, kind, name, first_day, last_day)
CROSS JOIN LATERAL (
    SELECT least(coalesce(sum(nano), 0), 9223372036854775807)::bigint AS nano,
        least(coalesce(sum(byok_nano), 0), 9223372036854775807)::bigint AS byok_nano
    FROM (
        SELECT nano, byok_nano FROM usage WHERE t.kind = 'key' AND grain = 'd' AND key_hash = t.name AND at BETWEEN t.first_day AND t.last_day
        UNION ALL
        SELECT nano, byok_nano FROM usage
        WHERE t.kind = 'member' AND grain = 'd' AND member <> '' AND member = t.name AND at BETWEEN t.first_day AND t.last_day
        UNION ALL
        SELECT nano, byok_nano FROM usage
        WHERE t.kind = 'workspace' AND grain = 'd' AND workspace = t.name AND at BETWEEN t.first_day AND t.last_day
        UNION ALL
        SELECT nano, byok_nano FROM usage WHERE t.kind = 'installation' AND grain = 'd' AND at BETWEEN t.first_day AND t.last_day
    ) AS used
) AS s
ON CONFLICT (scope, span) DO NOTHING
