-- Schema 1 of Postgres: what schema 2 of SQLite holds, under the same names. Times are Unix milliseconds, money is nano-USD.
-- Names are compared byte by byte (COLLATE "C"), so that both databases order them alike.

-- Who may call. `mac` is HMAC-SHA256(pepper, secret): a copy of this database alone cannot confirm a guess at a key.
-- `hash` is the public name of the key (hex SHA-256 of the secret).
CREATE TABLE keys (
    hash          text     COLLATE "C" NOT NULL PRIMARY KEY,
    mac           bytea    NOT NULL,
    label         text     NOT NULL,
    name          text     NOT NULL,
    kind          text     NOT NULL,
    disabled      boolean  NOT NULL DEFAULT false,
    limit_nano    bigint,
    limit_reset   text,
    include_byok  boolean  NOT NULL DEFAULT false,
    expires_ms    bigint,
    created_ms    bigint   NOT NULL,
    updated_ms    bigint,
    workspace     text     COLLATE "C" NOT NULL DEFAULT 'default',
    detail        text     NOT NULL DEFAULT '{}'
);

-- One row per request that reached routing, append-only. What is asked for by column is a column; the rest is one JSON `detail`.
CREATE TABLE generations (
    n           bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          text     COLLATE "C" NOT NULL UNIQUE,
    created_ms  bigint   NOT NULL,
    key_hash    text     COLLATE "C",
    model       text     NOT NULL,
    provider    text     NOT NULL,
    status      integer  NOT NULL,
    cost_nano   bigint   NOT NULL,
    workspace   text     COLLATE "C",
    detail      text     NOT NULL
);
CREATE INDEX generations_by_key ON generations (key_hash, n);

-- What was used, summed in the same transaction as the generations it sums. `grain` is 'h' or 'd'; `at` counts hours or days (UTC)
-- since 1970-01-01. Texts are empty where there is nothing to say. Rows are changed all the time, and none of their indexed columns
-- ever is: with room left on their pages that costs no index anything.
CREATE TABLE usage (
    grain       text    COLLATE "C" NOT NULL,
    at          bigint  NOT NULL,
    key_hash    text    COLLATE "C" NOT NULL,
    workspace   text    COLLATE "C" NOT NULL,
    member      text    COLLATE "C" NOT NULL,
    model       text    COLLATE "C" NOT NULL,
    provider    text    COLLATE "C" NOT NULL,
    requests    bigint  NOT NULL,
    failed      bigint  NOT NULL,
    prompt      bigint  NOT NULL,
    cached      bigint  NOT NULL,
    completion  bigint  NOT NULL,
    reasoning   bigint  NOT NULL,
    nano        bigint  NOT NULL,
    byok_nano   bigint  NOT NULL,
    waste_nano  bigint  NOT NULL,
    ttft_ms     bigint  NOT NULL,
    ttft_count  bigint  NOT NULL,
    total_ms    bigint  NOT NULL,
    PRIMARY KEY (grain, at, key_hash, workspace, member, model, provider)
) WITH (fillfactor = 70);

-- Small facts about this installation: first-run marks, the proof that the pepper is the right one.
CREATE TABLE settings (
    name   text  COLLATE "C" NOT NULL PRIMARY KEY,
    value  text  NOT NULL
);

-- Workspaces, members, guardrails and whatever else is few, read whole at start, and changed by people: one JSON each. `kind` is a
-- closed set of words.
CREATE TABLE things (
    kind        text    COLLATE "C" NOT NULL,
    id          text    COLLATE "C" NOT NULL,
    created_ms  bigint  NOT NULL,
    updated_ms  bigint,
    body        text    NOT NULL,
    PRIMARY KEY (kind, id)
);

-- What was asked and answered, of keys that ask for it to be kept: compressed, until `until_ms`.
CREATE TABLE content (
    generation  text    COLLATE "C" NOT NULL PRIMARY KEY,
    until_ms    bigint  NOT NULL,
    body        bytea   NOT NULL
);
ALTER TABLE content ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX content_by_end ON content (until_ms);

-- How often each table that is held in memory has been changed: a gateway looks here for what another has done. Triggers count, so a
-- change made by hand is seen too.
CREATE TABLE changes (
    what  text    COLLATE "C" NOT NULL PRIMARY KEY,
    n     bigint  NOT NULL
);
INSERT INTO changes (what, n) VALUES ('keys', 0), ('things', 0);

CREATE FUNCTION count_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE %I.changes SET n = n + 1 WHERE what = %L', TG_TABLE_SCHEMA, TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER keys_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON keys
    FOR EACH STATEMENT EXECUTE FUNCTION count_change();
CREATE TRIGGER things_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON things
    FOR EACH STATEMENT EXECUTE FUNCTION count_change();
