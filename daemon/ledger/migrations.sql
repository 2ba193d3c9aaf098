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
