-- name: add_picture
-- A file was seen and is about to be claimed.
INSERT INTO picture (id, path, sidecar, state) VALUES (:id, :path, :companions, 'claiming');

-- name: forget_picture
-- The claim came to nothing: the file was gone, or was still being written.
DELETE FROM picture WHERE id = :id AND state = 'claiming';

-- name: admit_picture
-- The copy in the spool is whole.
UPDATE picture SET state = 'claimed', sha256 = :sha256, bytes = :bytes,
       width_px = :width_px, height_px = :height_px, format = :format, bits = :bits
WHERE id = :id AND state = 'claiming';

-- name: add_job
-- If the same was painted before, that job is its twin.
INSERT INTO job (id, picture_id, preset, below, label, recipe, styles, profiles, mask, suffix, approval,
                 runs_on, state,
                 verdict, queued_at, finished_at, reason, priority, work, fingerprint, warnings,
                 twin)
VALUES (:id, :picture_id, :preset, :below, :label, :recipe, :styles, :profiles, :mask, :suffix, :approval,
        :runs_on, :state,
        :verdict, :queued_at, :finished_at, :reason, :priority, :work, :fingerprint, :warnings,
        (SELECT id FROM job AS alike WHERE alike.fingerprint = :fingerprint
             AND alike.state = 'done' ORDER BY alike.seq DESC LIMIT 1));

-- name: asked_for
-- What waiting jobs ask for, each once: a step of the index from one to the next, however many wait.
WITH RECURSIVE asked (name) AS (
    SELECT * FROM (SELECT runs_on FROM job INDEXED BY job_asking WHERE state = 'ready'
                   ORDER BY runs_on LIMIT 1)
    UNION ALL
    SELECT (SELECT runs_on FROM job INDEXED BY job_asking
            WHERE state = 'ready' AND runs_on > asked.name ORDER BY runs_on LIMIT 1)
    FROM asked WHERE asked.name IS NOT NULL
) SELECT name FROM asked WHERE name IS NOT NULL;

-- name: count_asking
-- How many jobs wait that ask for something, by that, and the first of each.
SELECT runs_on, count, (
    SELECT id FROM job INDEXED BY job_asking WHERE state = 'ready' AND job.runs_on = asking.runs_on
    ORDER BY priority DESC, coalesce(place, seq) LIMIT 1
) AS first FROM (
    SELECT runs_on, count(*) AS count FROM job INDEXED BY job_asking
    WHERE state = 'ready' AND runs_on > '' GROUP BY runs_on
) AS asking;

-- name: first_in_line
-- Of those that ask for the same. One whose like is being painted waits for that result. The index
-- has the order; SQLite, left to itself, sorts all that waits at every look.
SELECT id, priority, coalesce(place, seq) AS place FROM job INDEXED BY job_asking
WHERE state = 'ready' AND runs_on = :runs_on AND twin IS NULL
    AND id NOT IN (SELECT value FROM json_each(:put_off))
    AND priority BETWEEN :least AND :most AND (fingerprint IS NULL OR fingerprint NOT IN (
        SELECT fingerprint FROM job WHERE fingerprint IS NOT NULL
            AND (state = 'running' OR (state = 'publishing' AND verdict = 'done'))
    )) ORDER BY priority DESC, coalesce(place, seq) LIMIT 1;

-- name: claim_job
-- The first in line becomes the owner's.
UPDATE job SET state = 'running', owner = :owner, starts = starts + 1, fruitless = fruitless + 1,
       started_at = coalesce(started_at, :now)
WHERE id = :id AND state = 'ready' RETURNING *;

-- name: answer_job
-- Its twin's result is at hand: nothing is left but to publish it.
UPDATE job SET state = 'publishing', verdict = 'done', outcome = :outcome,
       started_at = :started_at, finished_at = :now
WHERE id = :id AND state = 'ready' AND twin IS NOT NULL;

-- name: forget_twin
-- The twin's result is no longer there, or no longer what it was: this one is painted.
UPDATE job SET twin = NULL WHERE id = :id AND state = 'ready' AND twin IS NOT NULL;

-- name: share_result
-- A job is done: those that are like it take its result.
UPDATE job SET twin = :id
WHERE state = 'ready' AND twin IS NULL
  AND fingerprint = (SELECT fingerprint FROM job WHERE id = :id AND state = 'done');

-- name: release_job
-- Back into the line, because of the surroundings or on request; nothing is charged.
UPDATE job SET state = 'ready', owner = NULL, fruitless = 0
WHERE id = :id AND state = 'running' AND owner = :owner;

-- name: return_job
-- Back into the line after its worker was lost; the start stays counted.
UPDATE job SET state = 'ready', owner = NULL
WHERE id = :id AND state = 'running' AND owner = :owner;

-- name: return_out_of_memory
-- Back into the line after memory ran out. The start is not charged: the next one takes less.
UPDATE job SET state = 'ready', owner = NULL, fruitless = max(fruitless - 1, 0),
       shortages = shortages + 1, memory_bytes = :memory_bytes,
       warnings = json_insert(warnings, '$[#]', :warning)
WHERE id = :id AND state = 'running' AND owner = :owner;

-- name: note_progress
-- The run got further: what is lost from here on is not lost for nothing.
UPDATE job SET fruitless = 0
WHERE id = :id AND state = 'running' AND owner = :owner;

-- name: finish_job
-- The run is over; what is left is to publish. Warnings of earlier starts stay.
UPDATE job SET state = 'publishing', verdict = :verdict, outcome = :outcome, reason = :reason,
       warnings = (SELECT json_group_array(value) FROM (
           SELECT value FROM json_each(job.warnings)
           UNION ALL SELECT value FROM json_each(:warnings))),
       finished_at = :now
WHERE id = :id AND state = 'running' AND owner = :owner;

-- name: cancel_waiting
-- Whatever was cancelled while it waited needs no run.
UPDATE job SET state = 'publishing', verdict = 'cancelled', reason = :reason, finished_at = :now
WHERE state = 'ready' AND cancel_requested = 1 RETURNING *;

-- name: decide
-- A proof was looked at. What became of it is kept, and the job is as if it had never run; hooks
-- need not be told any more that it waits.
UPDATE job SET proof = json_object('outputs', json(outputs), 'outcome', json(outcome),
                                   'recipe', json(recipe), 'finished_at', finished_at,
                                   'first_recipe',
                                   json(coalesce(json_extract(proof, '$.first_recipe'), recipe))),
       state = 'ready', verdict = NULL, owner = NULL, outputs = '{}', outcome = '{}', reason = '',
       started_at = NULL, finished_at = NULL, starts = 0, fruitless = 0, shortages = 0,
       memory_bytes = NULL, untold = 0
WHERE id = :id AND state = 'awaiting';

-- name: redraft
-- What is painted after the decision, and where that stands.
UPDATE job SET approval = :approval, recipe = :recipe, profiles = :profiles, mask = :mask,
       suffix = :suffix, priority = :priority, work = :work, warnings = :warnings,
       fingerprint = :fingerprint,
       twin = (SELECT id FROM job AS alike WHERE alike.fingerprint = :fingerprint
               AND alike.state = 'done' ORDER BY alike.seq DESC LIMIT 1)
WHERE id = :id AND state = 'ready';

-- name: end_waiting
-- It is not painted after all.
UPDATE job SET state = 'publishing', verdict = 'cancelled', reason = :reason,
       finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE id = :id AND state = 'ready';

-- name: cancelled_proofs
-- Proofs that wait, of jobs that somebody asked to be cancelled.
SELECT id FROM job INDEXED BY job_cancelled WHERE state = 'awaiting' AND cancel_requested = 1;

-- name: awaiting
-- Proofs that wait for approval, the oldest first.
SELECT * FROM job INDEXED BY job_awaiting WHERE state = 'awaiting' ORDER BY finished_at
LIMIT :limit OFFSET :offset;

-- name: line
-- What waits, in the order in which it is painted.
SELECT * FROM job INDEXED BY job_waiting WHERE state = 'ready'
ORDER BY priority DESC, coalesce(place, seq)
LIMIT :limit OFFSET :offset;

-- name: place
-- Where a waiting job stands.
SELECT priority, coalesce(place, seq) AS place FROM job WHERE id = :id AND state = 'ready';

-- name: head
-- The place of the first that waits in a priority.
SELECT coalesce(place, seq) AS place FROM job WHERE state = 'ready' AND priority = :priority
    AND id <> :id ORDER BY coalesce(place, seq) LIMIT 1;

-- name: place_before
-- The place of the one that waits before a place.
SELECT coalesce(place, seq) AS place FROM job WHERE state = 'ready' AND priority = :priority
    AND id <> :id AND coalesce(place, seq) < :place ORDER BY coalesce(place, seq) DESC LIMIT 1;

-- name: tail
-- The place that the next job of all will have.
SELECT max(seq) + 1 AS place FROM job;

-- name: settle_places
-- Room between all that may stand in a priority's line: their order stays.
UPDATE job SET place = numbered.number FROM (
    SELECT seq, row_number() OVER (ORDER BY coalesce(place, seq), seq) AS number FROM job
    WHERE priority = :priority AND state IN ('ready', 'running', 'awaiting')
) AS numbered WHERE numbered.seq = job.seq;

-- name: put_in_place
UPDATE job SET place = :place WHERE id = :id AND state = 'ready';

-- name: request_cancel
UPDATE job SET cancel_requested = 1 WHERE id = :id AND state IN ('ready', 'running', 'awaiting');

-- name: plan_outputs
-- The names are chosen once; publishing again uses them again.
UPDATE job SET outputs = :outputs WHERE id = :id AND state = 'publishing';

-- name: publish_job
-- Every file of the job is in the outbox. Whether its hooks are to be run is said with it: a
-- crash right after this must not lose them.
UPDATE job SET state = verdict, owner = NULL, untold = :tell
WHERE id = :id AND state = 'publishing';

-- name: mark_told
-- Its hooks were run; that it was put back into the inbox meanwhile does not matter.
UPDATE job SET untold = 0
WHERE id = :id AND untold = 1 AND state IN ('awaiting', 'done', 'failed', 'cancelled', 'retried');

-- name: retry_job
-- The picture went back to the inbox and will come again as a new job.
UPDATE job SET state = 'retried' WHERE id = :id AND state IN ('failed', 'cancelled');

-- name: file_picture
-- All its jobs are over and the picture has been moved out of the claimed folder.
UPDATE picture SET state = 'filed' WHERE id = :id AND state = 'claimed';

-- name: release_picture
-- It is no longer this ledger's: another service has it, or it goes back into the inbox to be
-- painted anew. Not while one of its jobs runs. Without a hash nothing passes for its filed copy.
UPDATE picture SET state = 'filed', sha256 = '' WHERE id = :id AND state = 'claimed' AND NOT EXISTS (
    SELECT 1 FROM job WHERE picture_id = :id AND state = 'running');

-- name: release_jobs_of_picture
-- What was not published of it never will be.
UPDATE job SET state = 'retried', owner = NULL
WHERE picture_id = :id AND state IN ('ready', 'publishing', 'awaiting') RETURNING *;

-- name: orphans
-- Jobs that run for nobody: their owner is gone.
SELECT * FROM job WHERE state = 'running' AND owner <> :owner ORDER BY seq;

-- name: adopt
UPDATE job SET owner = :owner WHERE id = :id AND state = 'running' AND owner = :former;

-- name: picture
SELECT * FROM picture WHERE id = :id;

-- name: claiming
SELECT * FROM picture WHERE state = 'claiming' ORDER BY seq;

-- name: unfiled
-- Claimed pictures whose jobs are all over.
SELECT * FROM picture WHERE state = 'claimed' AND NOT EXISTS (
    SELECT 1 FROM job WHERE picture_id = picture.id
        AND state IN ('ready', 'running', 'publishing', 'awaiting')
) ORDER BY seq;

-- name: memory_of_job
SELECT shortages, memory_bytes FROM job WHERE id = :id;

-- name: jobs_of_picture
SELECT * FROM job WHERE picture_id = :id ORDER BY seq;

-- name: jobs_in_state
SELECT * FROM job WHERE state = :state ORDER BY priority DESC, seq LIMIT :limit;

-- name: twinned
-- Waiting jobs whose result is at hand.
SELECT * FROM job WHERE state = 'ready' AND twin IS NOT NULL ORDER BY priority DESC, seq
LIMIT :limit;

-- name: untold
-- Jobs that are over and whose hooks have not been run. An original about to be filed is waited
-- for, so that they find it in its place; one whose other jobs go on is not.
SELECT * FROM job AS over WHERE untold = 1 AND (
    EXISTS (SELECT 1 FROM picture WHERE id = over.picture_id AND state = 'filed')
    OR EXISTS (SELECT 1 FROM job WHERE picture_id = over.picture_id
               AND state IN ('ready', 'running', 'publishing', 'awaiting'))
) ORDER BY seq LIMIT :limit;

-- name: count_waiting
SELECT count(*) AS count FROM job WHERE state = 'ready';

-- name: open_jobs
SELECT id FROM job WHERE state IN ('ready', 'running', 'publishing', 'awaiting');

-- name: open_pictures
SELECT id FROM picture WHERE state <> 'filed';

-- name: recent
SELECT * FROM job WHERE state IN ('done', 'failed', 'cancelled') ORDER BY finished_at DESC LIMIT :limit;

-- name: job
SELECT * FROM job WHERE id = :id;

-- name: jobs_by_prefix
SELECT * FROM job WHERE substr(id, 1, length(:prefix)) = :prefix ORDER BY seq LIMIT 2;

-- name: cancel_requests
SELECT id FROM job WHERE state = 'running' AND cancel_requested = 1;

-- name: owed
-- Whether there is anything to publish, to answer, or to cancel that waits.
SELECT EXISTS (SELECT 1 FROM job WHERE state = 'publishing')
    OR EXISTS (SELECT 1 FROM job INDEXED BY job_twinned WHERE state = 'ready' AND twin IS NOT NULL)
    OR EXISTS (SELECT 1 FROM job INDEXED BY job_cancelled
               WHERE cancel_requested = 1 AND state IN ('ready', 'awaiting'))
    AS owed;

-- name: reached
-- How far everything has come. A job that only goes back and forth between ready and running is
-- where it was, and so is a claim that is begun again and again.
SELECT (SELECT max(seq) FROM job) AS queued,
       (SELECT count(*) FROM job WHERE state IN ('ready', 'running')) AS unpainted,
       (SELECT count(*) FROM job WHERE state = 'publishing') AS unpublished,
       (SELECT count(*) FROM picture WHERE state = 'claimed' AND state <> 'filed') AS unfiled,
       (SELECT count(*) FROM job WHERE untold = 1) AS untold;

-- name: waiting_work
-- What waits, by queue and preset: how many jobs, and the work they are.
SELECT priority, preset, count(*) AS count, sum(work) AS work FROM job WHERE state = 'ready'
GROUP BY priority, preset;

-- name: pace
-- What jobs that were really painted took of late.
SELECT preset, work, json_extract(outcome, '$.seconds') AS seconds FROM job INDEXED BY job_ended
WHERE state IN ('done', 'failed', 'cancelled') AND verdict = 'done' AND work > 0
    AND json_extract(outcome, '$.same_as') IS NULL
ORDER BY finished_at DESC LIMIT :limit;

-- name: count_states
SELECT state, count(*) AS count FROM job GROUP BY state;

-- name: waiting_by_queue
-- What waits in each queue. With many jobs this takes a while (0.3 s for 100,000).
SELECT job.priority < 0 AS bulk, count(*) AS jobs, sum(job.work) AS work,
       sum(picture.bytes) AS bytes, min(job.queued_at) AS oldest
FROM job JOIN picture ON picture.id = job.picture_id WHERE job.state = 'ready' GROUP BY bulk;

-- name: ended
-- Jobs of one outcome, the newest first. The states twice: the index is of all three, and without
-- being told SQLite sorts all that are over.
SELECT * FROM job INDEXED BY job_ended WHERE state IN ('done', 'failed', 'cancelled')
    AND (state = :state OR (:unlucky AND state IN ('failed', 'cancelled')))
    AND (:preset = '' OR preset = :preset)
ORDER BY finished_at DESC, seq DESC LIMIT :limit OFFSET :offset;

-- name: count_ended
SELECT preset, count(*) AS count FROM job WHERE state IN ('done', 'failed', 'cancelled')
    AND (state = :state OR (:unlucky AND state IN ('failed', 'cancelled')))
GROUP BY preset ORDER BY preset;

-- name: ended_after
-- The job that ended next after a moment, among those of one outcome.
SELECT * FROM job INDEXED BY job_ended WHERE state IN ('done', 'failed', 'cancelled') AND state = :state
    AND (finished_at, seq) > (:finished_at, (SELECT seq FROM job WHERE id = :id))
ORDER BY finished_at, seq LIMIT 1;

-- name: ended_before
SELECT * FROM job INDEXED BY job_ended WHERE state IN ('done', 'failed', 'cancelled') AND state = :state
    AND (finished_at, seq) < (:finished_at, (SELECT seq FROM job WHERE id = :id))
ORDER BY finished_at DESC, seq DESC LIMIT 1;

-- name: named_pictures
-- Pictures in whose path a text stands, the newest first.
SELECT * FROM picture WHERE instr(path, :part) > 0 ORDER BY seq DESC LIMIT :limit;

-- name: work_of_job
SELECT work FROM job WHERE id = :id;

-- name: data_version
PRAGMA data_version;

-- name: work_before
-- The work of those that come first in the line, by preset.
SELECT preset, sum(work) AS work FROM (
    SELECT preset, work FROM job WHERE state = 'ready'
    ORDER BY priority DESC, coalesce(place, seq) LIMIT :count
) GROUP BY preset;
