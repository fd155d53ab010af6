UPDATE budgets SET wanted = clock_timestamp() WHERE (scope, span) IN (SELECT * FROM unnest($1, $2))
