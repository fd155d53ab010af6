INSERT INTO gateways AS g (name, epoch, round, until, buried) VALUES ($1, 1, 0, now() + $2 * interval '1 millisecond', false)
ON CONFLICT (name) DO UPDATE SET epoch = g.epoch + 1, round = 0, until = excluded.until, buried = false
RETURNING epoch
