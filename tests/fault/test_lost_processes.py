"""kill -9 of workers and of the service itself in the middle of a painting."""

import os
import signal
import sqlite3

from daemon.job import State
from tests.support.atelier import Studio, is_alive, wait_for


def test_killed_child_returns_job_to_queue(studio: Studio) -> None:
    studio.add_preset("slow", steps=40)
    studio.drop("slow/photo.jpg")
    with studio.service() as service:
        service.wait_for_step()
        worker = service.worker()
        os.kill(worker, signal.SIGKILL)
        wait_for("the job to return", lambda: "the job goes back into the line" in service.log)
        studio.published("slow", "photo.jpg")
        record = studio.record("slow/.jobs/photo.jpg.json")
        assert (record["state"], record["starts"]) == ("done", 2)
        assert service.worker() != worker
        assert len(studio.jobs()) == 1
    log = (studio.outbox / "slow/.jobs/photo.jpg.log").read_text()
    assert "SIGKILL" in log and "start 2" in log


def test_job_that_loses_three_workers_fails_and_the_others_go_on(studio: Studio) -> None:
    studio.drop("quick/a-poison.jpg")
    with studio.service() as service:
        for start in (1, 2, 3):
            wait_for(f"start {start}", lambda start=start: f"start {start} of" in service.log)
            kill(service.worker())
        reason = studio.failure("quick", "a-poison.jpg")
        assert "lost 3 times in a row" in reason and "SIGKILL" in reason
        assert studio.record("failed/quick/a-poison.jpg.json")["starts"] == 3
        studio.drop("quick/innocent.jpg")
        studio.published("quick", "innocent.jpg")


def test_job_that_gets_further_each_time_outlives_any_number_of_lost_workers(
    studio: Studio,
) -> None:
    studio.configure(checkpoint_every=0)
    studio.add_preset("slow", steps=100, size=128)
    studio.drop("slow/photo.jpg")
    with studio.service() as service:
        for start in range(1, 5):
            wait_for(f"start {start}", lambda start=start: f"start {start} of" in service.log)
            before = checkpoints(studio)
            wait_for(
                "a newer one that is noted",
                lambda before=before: checkpoints(studio) > before and fruitless(studio) == 0,
            )
            kill(service.worker())
        studio.published("slow", "photo.jpg")
    record = studio.record("slow/.jobs/photo.jpg.json")
    assert (record["state"], record["starts"]) == ("done", 5)
    log = (studio.outbox / "slow/.jobs/photo.jpg.log").read_text()
    assert log.count("goes on after step") == 4


def kill(worker: int) -> None:
    """Kill -9, and waits until that worker, whoever comes after it, is gone."""
    os.kill(worker, signal.SIGKILL)
    wait_for("its end", lambda: not is_alive(worker))


def checkpoints(studio: Studio) -> float:
    """When the job's checkpoint was written; 0 if there is none."""
    found = list((studio.config.state / "spool" / "jobs").glob("*/checkpoint.safetensors"))
    return found[0].stat().st_mtime if found else 0.0


def fruitless(studio: Studio) -> int:
    """Starts of the only job in a row that got no further."""
    with sqlite3.connect(studio.config.ledger_path) as ledger:
        return int(ledger.execute("SELECT fruitless FROM job").fetchone()[0])


def test_killed_service_leaves_no_process_and_the_next_start_finishes_its_job(
    studio: Studio,
) -> None:
    studio.add_preset("slow", steps=40)
    studio.drop("slow/photo.jpg")
    with studio.service() as service:
        service.wait_for_step()
        family = [*service.workers(), *service.decoders()]
        assert len(family) == 2
        service.process.kill()
        service.process.wait()
        wait_for("its children to end", lambda: not any(map(is_alive, family)))
    (running,) = studio.jobs()
    assert (running.state, running.starts) == (State.RUNNING, 1)
    assert studio.status()["service"]["running"] is False
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    (job,) = studio.jobs()
    assert (job.id, job.state, job.starts) == (running.id, State.DONE, 2)
    assert studio.files(studio.outbox) == {
        "slow/photo.jpg",
        "slow/.jobs/photo.jpg.json",
        "slow/.jobs/photo.jpg.log",
        "originals/slow/photo.jpg",
    }


def test_run_that_ends_while_the_ledger_is_locked_is_told_to_it_later(studio: Studio) -> None:
    studio.add_preset("slow", steps=40)
    studio.drop("slow/photo.jpg")
    with studio.service() as service:
        service.wait_for_step()
        other = sqlite3.connect(studio.config.ledger_path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        service.wait_for_trouble("ledger")
        other.execute("ROLLBACK")
        other.close()
        studio.published("slow", "photo.jpg")
        assert studio.record("slow/.jobs/photo.jpg.json")["starts"] == 1
        service.wait_for_health()
