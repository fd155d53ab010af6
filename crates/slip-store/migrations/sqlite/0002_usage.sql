-- Schema 2: what is used by hour and day, workspaces, members, guardrails and the like, stored content.

ALTER TABLE keys ADD COLUMN workspace TEXT NOT NULL DEFAULT 'default';
-- What need not be asked for by column, as JSON.
ALTER TABLE keys ADD COLUMN detail TEXT NOT NULL DEFAULT '{}';

ALTER TABLE generations ADD COLUMN workspace TEXT;
CREATE INDEX generations_by_key ON generations (key_hash, n);

-- What was used, summed in the same transaction as the generations it sums. `grain` is 'h' or 'd'; `at` counts hours or days (UTC)
-- since 1970-01-01. Texts are empty where there is nothing to say.
CREATE TABLE usage (
    grain       TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    key_hash    TEXT    NOT NULL,
    workspace   TEXT    NOT NULL,
    member      TEXT    NOT NULL,
    model       TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    requests    INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    prompt      INTEGER NOT NULL,
    cached      INTEGER NOT NULL,
    completion  INTEGER NOT NULL,
    reasoning   INTEGER NOT NULL,
    nano        INTEGER NOT NULL,
    byok_nano   INTEGER NOT NULL,
    waste_nano  INTEGER NOT NULL,
    ttft_ms     INTEGER NOT NULL,
    ttft_count  INTEGER NOT NULL,
    total_ms    INTEGER NOT NULL,
    PRIMARY KEY (grain, at, key_hash, workspace, member, model, provider)
) WITHOUT ROWID;

WITH told AS (
    SELECT created_ms, coalesce(key_hash, '') AS key_hash, model, provider, status, cost_nano, detail FROM generations
), grains (grain, ms) AS (VALUES ('h', 3600000), ('d', 86400000))
INSERT INTO usage
SELECT grain, created_ms / ms, key_hash, 'default', '', model, provider,
    count(*),
    sum(status >= 400),
    sum(coalesce(detail ->> '$.tokens.input', 0) + coalesce(detail ->> '$.tokens.cache_read', 0)
        + coalesce(detail ->> '$.tokens.cache_write', 0) + coalesce(detail ->> '$.tokens.cache_write_1h', 0)
        + coalesce(detail ->> '$.tokens.audio_in', 0) + coalesce(detail ->> '$.tokens.image_in', 0)),
    sum(coalesce(detail ->> '$.tokens.cache_read', 0)),
    sum(coalesce(detail ->> '$.tokens.output', 0) + coalesce(detail ->> '$.tokens.reasoning', 0)
        + coalesce(detail ->> '$.tokens.audio_out', 0) + coalesce(detail ->> '$.tokens.image_out', 0)),
    sum(coalesce(detail ->> '$.tokens.reasoning', 0)),
    sum(cost_nano),
    sum(CASE WHEN detail ->> '$.byok' THEN coalesce(detail ->> '$.upstream_cost', 0) ELSE 0 END),
    sum(coalesce(detail ->> '$.hedge_waste', 0)),
    sum(coalesce(detail ->> '$.ttft_ms', 0)),
    sum(detail ->> '$.ttft_ms' IS NOT NULL),
    sum(coalesce(detail ->> '$.total_ms', 0))
FROM told, grains
GROUP BY 1, 2, 3, 4, 5, 6, 7;

DROP TABLE spend;

-- Workspaces, members, guardrails and whatever else is few, read whole at start, and changed by people: one JSON each. `kind` is a
-- closed set of words.
CREATE TABLE things (
    kind        TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    updated_ms  INTEGER,
    body        TEXT    NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- What was asked and answered, of keys that ask for it to be kept: compressed, until `until_ms`.
CREATE TABLE content (
    generation  TEXT    NOT NULL PRIMARY KEY,
    until_ms    INTEGER NOT NULL,
    body        BLOB    NOT NULL
) WITHOUT ROWID;
CREATE INDEX content_by_end ON content (until_ms);
