-- A bounded piece of work: whoever asks goes on until nothing is left.
DELETE FROM content WHERE generation IN (SELECT generation FROM content WHERE until_ms <= $1 LIMIT $2)
