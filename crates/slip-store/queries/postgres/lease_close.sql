DELETE FROM leases WHERE gateway = $1 AND (scope, span) IN (SELECT * FROM unnest($2, $3))
