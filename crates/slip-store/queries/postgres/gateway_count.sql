-- How many are there, and how many others are past their time and not buried yet.
SELECT count(*) FILTER (WHERE until > now()), count(*) FILTER (WHERE until <= now() AND NOT buried) FROM gateways
