-- name: from_1
-- How often memory ran out during a job, and what its runs may take since then.
ALTER TABLE job ADD COLUMN shortages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN memory_bytes INTEGER;
