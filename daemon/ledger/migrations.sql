-- name: from_1
-- How often memory ran out during a job, and what its runs may take since then.
ALTER TABLE job ADD COLUMN shortages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN memory_bytes INTEGER;
-- name: from_2
-- The same picture after the same recipe is painted once.
ALTER TABLE job ADD COLUMN fingerprint TEXT;
ALTER TABLE job ADD COLUMN twin TEXT;
CREATE INDEX job_alike ON job (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX job_twinned ON job (seq) WHERE state = 'ready' AND twin IS NOT NULL;
DROP INDEX job_active;
CREATE INDEX job_by_state ON job (state);
CREATE INDEX job_ended ON job (finished_at) WHERE state IN ('done', 'failed', 'cancelled');
-- name: from_3
-- How much work waits, and which jobs' hooks are still to be run.
ALTER TABLE job ADD COLUMN work INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_work ON job (priority, preset, work) WHERE state = 'ready';
CREATE INDEX job_cancelled ON job (state) WHERE cancel_requested = 1;
CREATE INDEX job_untold ON job (seq) WHERE untold = 1;
-- name: from_4
-- A picture may have several jobs of one preset.
ALTER TABLE job ADD COLUMN label TEXT NOT NULL DEFAULT '';
-- name: from_5
-- Jobs keep what they were queued with: their recipes do not say yet what is no default any more.
UPDATE job SET recipe = json_set(recipe, '$.statistics', 'gram', '$.preconditioner', 'fourier')
WHERE json_extract(recipe, '$.statistics') IS NULL;
-- name: from_6
-- What a picture is by its content, how a result's name ends, and the profiles it is made with.
-- Jobs keep what they were queued with: results were sRGB in 8 bits.
ALTER TABLE picture ADD COLUMN format TEXT NOT NULL DEFAULT '';
ALTER TABLE picture ADD COLUMN bits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN suffix TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN profiles TEXT NOT NULL DEFAULT '[]';
UPDATE job SET recipe = json_set(recipe, '$.profile', 'srgb', '$.depth', 8)
WHERE json_extract(recipe, '$.size') IS NOT NULL AND json_extract(recipe, '$.profile') IS NULL;
-- name: from_7
-- The mask that says where a job's styles go.
ALTER TABLE job ADD COLUMN mask TEXT NOT NULL DEFAULT 'null';
-- name: from_8
-- Proofs that wait for approval, and places in the line. The table is made anew, since SQLite cannot
-- change which states are allowed.
CREATE TABLE job_9 (
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
INSERT INTO job_9 (
    seq, id, picture_id, preset, below, label, recipe, styles, profiles, mask, suffix, state,
    verdict, priority, owner, starts, fruitless, shortages, memory_bytes, cancel_requested,
    fingerprint, twin, work, untold, queued_at, started_at, finished_at, outcome, outputs,
    warnings, reason
) SELECT
    seq, id, picture_id, preset, below, label, recipe, styles, profiles, mask, suffix, state,
    verdict, priority, owner, starts, fruitless, shortages, memory_bytes, cancel_requested,
    fingerprint, twin, work, untold, queued_at, started_at, finished_at, outcome, outputs,
    warnings, reason
FROM job;
DROP TABLE job;
ALTER TABLE job_9 RENAME TO job;
CREATE INDEX job_waiting ON job (priority DESC, coalesce(place, seq)) WHERE state = 'ready';
CREATE INDEX job_work ON job (priority, preset, work) WHERE state = 'ready';
CREATE INDEX job_cancelled ON job (state) WHERE cancel_requested = 1;
CREATE INDEX job_untold ON job (seq) WHERE untold = 1;
CREATE INDEX job_by_state ON job (state);
CREATE INDEX job_ended ON job (finished_at) WHERE state IN ('done', 'failed', 'cancelled');
CREATE INDEX job_alike ON job (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX job_awaiting ON job (finished_at) WHERE state = 'awaiting';
CREATE INDEX job_twinned ON job (seq) WHERE state = 'ready' AND twin IS NOT NULL;
CREATE INDEX job_of_picture ON job (picture_id);
-- name: from_9
-- What a seat must offer for a job, such as a node's name; and what waits by that.
ALTER TABLE job ADD COLUMN runs_on TEXT NOT NULL DEFAULT '';
CREATE INDEX job_asking ON job (runs_on, priority DESC, coalesce(place, seq)) WHERE state = 'ready';
