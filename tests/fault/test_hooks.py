"""Hooks that fail, hang, or are not run before the service is killed: jobs do not care."""

import json
import os
import signal
import sqlite3
from typing import Any

from daemon.job import State
from daemon.ledger.store import Ledger
from daemon.state.spool import Spool
from tests.fault.test_publish_crashes import OUTCOME, RESULT
from tests.support.atelier import Service, Studio, is_alive, wait_for


def shell(text: str, **keys: Any) -> dict[str, Any]:
    return {"command": ["/bin/sh", "-c", text], **keys}


def hooks(studio: Studio, **events: Any) -> None:
    studio.configure(hooks=events)


def paint(studio: Studio, *names: str) -> None:
    """Jobs that a service painted before it died, so that the next only publishes them."""
    for name in names:
        studio.drop(f"quick/{name}")
    with studio.intake():
        wait_for("the jobs", lambda: len(studio.jobs()) == len(names))
    ledger = Ledger(studio.config.ledger_path)
    while job := ledger.claim_job("the dead service"):
        result = Spool(studio.state).result(job.id)
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_bytes(RESULT)
        ledger.finish_job(job.id, "the dead service", State.DONE, outcome=OUTCOME)
    ledger.close()


def said(studio: Studio) -> list[str]:
    """What the tests' hooks have written so far."""
    path = studio.root / "said"
    return path.read_text().splitlines() if path.exists() else []


def untold(studio: Studio) -> int:
    with sqlite3.connect(studio.config.ledger_path) as ledger:
        return int(ledger.execute("SELECT count(*) FROM job WHERE untold = 1").fetchone()[0])


def kill_alone(service: Service) -> None:
    """Kill -9 of the service, which its hooks outlive."""
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()


def test_hooks_are_told_of_done_and_failed_jobs_and_then_of_an_idle_queue(studio: Studio) -> None:
    to_file = f"cat > {studio.root}/$ATELIERD_EVENT.json; env > {studio.root}/$ATELIERD_EVENT.env"
    hooks(studio, on_done=shell(to_file), on_failed=shell(to_file), on_idle=shell(to_file))
    studio.drop("quick/photo.jpg")
    studio.drop("quick/text.png", b"no picture")
    answer = studio.run("run", "--once")
    assert answer.returncode == 1
    for event, record in (
        ("done", "quick/.jobs/photo.jpg.json"),
        ("failed", "failed/quick/text.png.json"),
    ):
        told = json.loads((studio.root / f"{event}.json").read_text())
        assert told == studio.record(record)
        lines = (studio.root / f"{event}.env").read_text().splitlines()
        assert f"ATELIERD_RECORD={studio.outbox / record}" in lines
        assert f"ATELIERD_STATE={event}" in lines
    result = f"ATELIERD_RESULT={studio.outbox}/quick/photo.jpg"
    original = f"ATELIERD_ORIGINAL={studio.outbox}/originals/quick/photo.jpg"
    assert {result, original} <= set((studio.root / "done.env").read_text().splitlines())
    idle = json.loads((studio.root / "idle.json").read_text())
    assert (idle["event"], idle["jobs"]["done"], idle["jobs"]["failed"]) == ("idle", 1, 1)
    assert untold(studio) == 0


def test_hook_that_fails_is_a_warning_and_the_job_stays_done(studio: Studio, port: int) -> None:
    hooks(
        studio,
        on_done=[
            shell("echo out of order; exit 3"),
            shell(f"echo $ATELIERD_STATE >> {studio.root}/said"),
            {"url": f"http://127.0.0.1:{port}/gone?token=secret", "retries": 0},
        ],
    )
    paint(studio, "photo.jpg")
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    (job,) = studio.jobs()
    assert job.state is State.DONE and untold(studio) == 0
    assert said(studio) == ["done"]
    about = f"(done {job.id[:8]})"
    assert f"hook /bin/sh {about}: out of order" in answer.stderr
    assert f"WARNING hook /bin/sh {about}: failed: ended with exit code 3" in answer.stderr
    assert f"WARNING hook http://127.0.0.1:{port}/gone {about}: failed: " in answer.stderr
    assert "secret" not in answer.stderr
    assert not (studio.state / "spool" / "jobs" / job.id).exists()


def test_hook_that_hangs_is_ended_and_its_job_and_the_next_are_done(studio: Studio) -> None:
    hooks(studio, on_done=shell(f"echo $$ >> {studio.root}/said; exec sleep 1000", timeout_s=1))
    paint(studio, "first.jpg", "second.jpg")
    with studio.service() as service:
        wait_for("both to be told", lambda: len(said(studio)) == 2 and untold(studio) == 0)
        assert service.log.count("failed: did not end within 1 s and was ended") == 2
        assert [job.state for job in studio.jobs()] == [State.DONE, State.DONE]
        assert not any(is_alive(int(pid)) for pid in said(studio))


def test_service_stops_in_time_beside_a_hook_that_hangs_and_tells_at_its_next_start(
    studio: Studio,
) -> None:
    hooks(studio, on_done=shell(f"echo $$ >> {studio.root}/said; exec sleep 1000"))
    paint(studio, "first.jpg", "second.jpg")
    with studio.service() as service:
        wait_for("the hook", lambda: said(studio))
        wait_for("both jobs", lambda: len(studio.jobs(State.DONE)) == 2)
        assert service.stop() == 0
        assert not is_alive(int(said(studio)[0]))
    told_by_the_next_start(studio)


def test_killed_between_publishing_and_the_hook(studio: Studio) -> None:
    hooks(studio, on_done=shell(f"echo $$ >> {studio.root}/said; exec sleep 1000"))
    paint(studio, "first.jpg", "second.jpg")
    with studio.service() as service:
        wait_for("the first job's hook", lambda: said(studio))  # which keeps the second's waiting
        wait_for("both jobs", lambda: len(studio.jobs(State.DONE)) == 2)
        kill_alone(service)
        os.kill(int(said(studio)[0]), signal.SIGKILL)
    told_by_the_next_start(studio)


def told_by_the_next_start(studio: Studio) -> None:
    """Two jobs are done and untold; the next start tells of both, and paints nothing."""
    assert untold(studio) == 2 and len(said(studio)) == 1
    hooks(studio, on_done=shell(f"echo $ATELIERD_JOB >> {studio.root}/told"))
    answer = studio.run("run", "--once")
    assert answer.returncode == 0 and "start 2" not in answer.stderr
    told = (studio.root / "told").read_text().splitlines()
    assert told == [job.id for job in studio.jobs(State.DONE)] and len(told) == 2
    assert untold(studio) == 0


def test_wrong_hook_keeps_the_service_from_starting_and_is_told(studio: Studio) -> None:
    secret = studio.root / "secret"
    secret.write_text("between us")
    secret.chmod(0o644)
    hooks(studio, on_done={"url": "http://127.0.0.1:9/", "secret_file": "secret"})
    for command in ("run", "doctor"):
        answer = studio.run(command)
        assert answer.returncode == (78 if command == "run" else 1)
        assert "everybody may read this secret" in " ".join((answer.stdout + answer.stderr).split())
    hooks(studio, on_done={"command": "notify $ATELIERD_RESULT"})
    answer = studio.run("run")
    assert answer.returncode == 78
    assert "hooks.on_done.command: must be a list" in answer.stderr
