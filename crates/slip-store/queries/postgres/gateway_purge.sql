-- Who has been away for a day is not waited for any longer, and what is long over not kept.
DELETE FROM gateways WHERE buried AND until < now() - interval '1 day';
DELETE FROM leases WHERE gateway NOT IN (SELECT name FROM gateways);
DELETE FROM leases AS l USING budgets AS b
    WHERE l.scope = b.scope AND l.span = b.span AND b.over_ms < extract(epoch FROM now()) * 1000 - 172800000;
DELETE FROM budgets WHERE over_ms < extract(epoch FROM now()) * 1000 - 172800000
