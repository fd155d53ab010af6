-- Schema 2 of Postgres: limits that several gateways spend from. A limit is lent out to them in parts (`leases`); what is settled of a
-- budget, and what is lent and not settled yet, never come to more than the limit.

-- Who is there: by the name in its data directory. `epoch` grows with each start, and when others take it for dead; `round` with each
-- of its rounds, so that one that was delayed on the way changes nothing any more. Past `until`, by the clock of this database, it spends
-- nothing, whatever it has.
CREATE TABLE gateways (
    name    text         COLLATE "C" NOT NULL PRIMARY KEY,
    epoch   bigint       NOT NULL,
    round   bigint       NOT NULL,
    until   timestamptz  NOT NULL,
    buried  boolean      NOT NULL
) WITH (fillfactor = 70);

-- What has been settled in a period by whom a limit holds for: `scope` is `key <hash>`, `member <id>`, `workspace <id>` or
-- `installation`, `span` is `total` or a period and its number (`daily 20786`), which is over at `over_ms`. A budget is made when somebody
-- first asks for a part of it, from the sums of `usage`, and kept up in the transactions that change those. `wanted` is when somebody
-- last found it lent out to others.
CREATE TABLE budgets (
    scope      text         COLLATE "C" NOT NULL,
    span       text         COLLATE "C" NOT NULL,
    over_ms    bigint,
    nano       bigint       NOT NULL,
    byok_nano  bigint       NOT NULL,
    wanted     timestamptz,
    PRIMARY KEY (scope, span)
) WITH (fillfactor = 70);

-- What a gateway may spend of a budget since its lease began (`allowed`), what it had spent and held when it last said so (`used`), and
-- what of that is settled.
CREATE TABLE leases (
    scope      text     COLLATE "C" NOT NULL,
    span       text     COLLATE "C" NOT NULL,
    gateway    text     COLLATE "C" NOT NULL,
    byok       boolean  NOT NULL,
    allowed    bigint   NOT NULL,
    used       bigint   NOT NULL,
    nano       bigint   NOT NULL,
    byok_nano  bigint   NOT NULL,
    PRIMARY KEY (scope, span, gateway)
) WITH (fillfactor = 70);
CREATE INDEX leases_by_gateway ON leases (gateway);

-- To make a budget from what was used.
CREATE INDEX usage_by_key ON usage (key_hash, at) WHERE grain = 'd';
CREATE INDEX usage_by_member ON usage (member, at) WHERE grain = 'd' AND member <> '';
CREATE INDEX usage_by_workspace ON usage (workspace, at) WHERE grain = 'd';
