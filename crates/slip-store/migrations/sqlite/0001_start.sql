-- Schema 1: keys, generations, daily spend, settings.

-- Who may call. `mac` is HMAC-SHA256(pepper, secret): a copy of this file alone cannot confirm a guess at a key.
-- `hash` is the public name of the key (hex SHA-256 of the secret). Times are Unix milliseconds, money is nano-USD.
CREATE TABLE keys (
    mac           BLOB    NOT NULL PRIMARY KEY,
    hash          TEXT    NOT NULL UNIQUE,
    label         TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    limit_nano    INTEGER,
    limit_reset   TEXT,
    include_byok  INTEGER NOT NULL DEFAULT 0,
    expires_ms    INTEGER,
    created_ms    INTEGER NOT NULL,
    updated_ms    INTEGER
) WITHOUT ROWID;

-- One row per request that reached routing, append-only: rows land at the end of the table, and because the id begins with the
-- moment it was made, so do the entries of its index. A page of history is a range of that index. What is asked for by column is a
-- column; the rest is one JSON `detail`.
CREATE TABLE generations (
    n           INTEGER NOT NULL PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    created_ms  INTEGER NOT NULL,
    key_hash    TEXT,
    model       TEXT    NOT NULL,
    provider    TEXT    NOT NULL,
    status      INTEGER NOT NULL,
    cost_nano   INTEGER NOT NULL,
    detail      TEXT    NOT NULL
);

-- What each key spent on each UTC day (days since 1970-01-01), written in the same transaction as the generations it sums.
CREATE TABLE spend (
    key_hash   TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    nano       INTEGER NOT NULL,
    byok_nano  INTEGER NOT NULL,
    requests   INTEGER NOT NULL,
    PRIMARY KEY (key_hash, day)
) WITHOUT ROWID;

-- Small facts about this installation: first-run marks, the proof that the pepper is the right one.
CREATE TABLE settings (
    name   TEXT NOT NULL PRIMARY KEY,
    value  TEXT NOT NULL
) WITHOUT ROWID;
