-- In one order for everybody, so that nobody waits for another in a ring.
SELECT 1 FROM budgets WHERE (scope, span) IN (SELECT * FROM unnest($1, $2)) ORDER BY scope, span FOR UPDATE
