-- The ledger. Version 10 (PRAGMA user_version); migrations.sql brings older ones up to it.

CREATE TABLE picture (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL UNIQUE,
    path      BLOB NOT NULL,             -- as dropped, below the inbox, byte for byte
    sidecar   BLOB,                      -- its companions, likewise, a NUL between them; or NULL
    state     TEXT NOT NULL CHECK (state IN ('claiming', 'claimed', 'filed')),
    sha256    TEXT NOT NULL DEFAULT '',
    bytes     INTEGER NOT NULL DEFAULT 0,
    width_px  INTEGER NOT NULL DEFAULT 0,
    height_px INTEGER NOT NULL DEFAULT 0,
    format    TEXT NOT NULL DEFAULT '',  -- by its content, '': not known
    bits      INTEGER NOT NULL DEFAULT 0 -- of a channel, 0: not known
) STRICT;

CREATE TABLE job (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    picture_id       TEXT NOT NULL REFERENCES picture (id),
    preset           TEXT NOT NULL,
    below            BLOB NOT NULL,      -- the result's path below outbox/PRESET
    label            TEXT NOT NULL DEFAULT '',     -- which of a sweep's cells, '': of none
    recipe           TEXT NOT NULL,      -- JSON, resolved
    styles           TEXT NOT NULL,      -- JSON
    profiles         TEXT NOT NULL DEFAULT '[]',   -- JSON
    mask             TEXT NOT NULL DEFAULT 'null', -- JSON
    suffix           TEXT NOT NULL DEFAULT '',     -- of the result's name
    state            TEXT NOT NULL CHECK (state IN
        ('ready', 'running', 'publishing', 'awaiting', 'done', 'failed', 'cancelled', 'retried')),
    verdict          TEXT CHECK (verdict IN ('awaiting', 'done', 'failed', 'cancelled')),
    priority         INTEGER NOT NULL DEFAULT 0,
    place            REAL,               -- among those of its priority, NULL: its seq
    runs_on          TEXT NOT NULL DEFAULT '',     -- what a seat must offer for it, '': nothing
    approval         TEXT NOT NULL DEFAULT '' CHECK (approval IN ('', 'asked', 'given')),
    proof            TEXT NOT NULL DEFAULT 'null', -- JSON, the last that was decided about
    owner            TEXT,               -- who runs it
    starts           INTEGER NOT NULL DEFAULT 0,
    fruitless        INTEGER NOT NULL DEFAULT 0,   -- starts in a row that got no further
    shortages        INTEGER NOT NULL DEFAULT 0,   -- how often memory ran out
    memory_bytes     INTEGER,            -- what a run may take since then, NULL: as configured
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    fingerprint      TEXT,               -- of all that makes the result; NULL: paint it in any case
    twin             TEXT,               -- a done job with the same fingerprint, whose result will do
    work             INTEGER NOT NULL DEFAULT 0,   -- planned: pixels times steps, of all passes
    untold           INTEGER NOT NULL DEFAULT 0,   -- over, and its hooks have not been run yet
    queued_at        TEXT NOT NULL,
    started_at       TEXT,
    finished_at      TEXT,
    outcome          TEXT NOT NULL DEFAULT '{}',   -- JSON, what the worker reported
    outputs          TEXT NOT NULL DEFAULT '{}',   -- JSON, files published
    warnings         TEXT NOT NULL DEFAULT '[]',   -- JSON
    reason           TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX job_waiting ON job (priority DESC, coalesce(place, seq)) WHERE state = 'ready';
CREATE INDEX job_asking ON job (runs_on, priority DESC, coalesce(place, seq)) WHERE state = 'ready';
CREATE INDEX job_work ON job (priority, preset, work) WHERE state = 'ready';
CREATE INDEX job_cancelled ON job (state) WHERE cancel_requested = 1;
CREATE INDEX job_untold ON job (seq) WHERE untold = 1;
CREATE INDEX job_by_state ON job (state);
CREATE INDEX job_ended ON job (finished_at) WHERE state IN ('done', 'failed', 'cancelled');
CREATE INDEX job_alike ON job (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX job_awaiting ON job (finished_at) WHERE state = 'awaiting';
CREATE INDEX job_twinned ON job (seq) WHERE state = 'ready' AND twin IS NOT NULL;
CREATE INDEX job_of_picture ON job (picture_id);
CREATE INDEX picture_unfiled ON picture (seq) WHERE state <> 'filed';
