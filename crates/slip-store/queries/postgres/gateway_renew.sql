-- Nothing, when others have buried it, or when it has been heard of since.
UPDATE gateways SET until = now() + $4 * interval '1 millisecond', round = $3
WHERE name = $1 AND epoch = $2 AND round <= $3 AND NOT buried
RETURNING epoch
