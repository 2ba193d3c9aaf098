"""What monitors see of a real service, and what its logs say."""

import json
import re
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.job import State
from tests.support.atelier import Studio, memory_bytes, wait_for

SECRET = "correct-horse-battery-staple"


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def sample(text: str, name: str, **labels: str) -> float | None:
    """The value of a series, without its prefix; None if there is none."""
    return next(
        (
            one.value
            for family in text_string_to_metric_families(text)
            for one in family.samples
            if one.name == f"atelierd_{name}" and one.labels == labels
        ),
        None,
    )


def test_service_tells_prometheus_what_it_did(tmp_path: Path, port: int) -> None:
    studio = Studio(tmp_path, paints=False, metrics=f"127.0.0.1:{port}")
    with studio.service() as service:
        studio.drop("quick/photo.jpg")
        studio.drop("quick/torn.jpg", b"no picture")
        studio.published("quick", "photo.jpg")
        studio.failure("quick", "torn.jpg")
        text = wait_for(
            "both jobs to be told",
            lambda: (
                (found := scrape(port))
                and sample(found, "jobs_ended_total", verdict="done") == 1
                and sample(found, "jobs_ended_total", verdict="failed") == 1
                and sample(found, "jobs", state="failed") == 1
                and sample(found, "publish_seconds_count") == 2  # counted after the end
                and (sample(found, "scan_seconds_count") or 0) > 1
                and found
            ),
        )
        (worker,) = service.workers()
        held_bytes = memory_bytes(worker)
        assert service.stop() == 0
    steps = sum(one["steps"] for one in studio.record("quick/.jobs/photo.jpg.json")["passes"])
    assert sample(text, "steps_total", device="cpu") == steps > 0
    assert (sample(text, "work_total", device="cpu") or 0) > steps * 32 * 32
    assert sample(text, "steps_per_second", device="cpu") == 0  # of the job that runs
    assert sample(text, "job_seconds_count", preset="quick", size="<=512") == 1
    assert sample(text, "jobs", state="done") == sample(text, "jobs", state="failed") == 1
    assert sample(text, "waiting_jobs", queue="ordinary") == 0
    assert sample(text, "errors_total", kind="input") == 1
    assert sample(text, "errors_total", kind="bug") == 0
    started_s = sample(text, "start_time_seconds")
    scanned_s = sample(text, "last_scan_timestamp_seconds")
    assert started_s and scanned_s and scanned_s > started_s
    told_bytes = sample(text, "device_memory_own_bytes", device="cpu") or 0
    assert held_bytes / 2 < told_bytes < 2 * held_bytes
    assert sample(text, "health_trouble", part="inbox") == 0
    if shutil.which("promtool"):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=text, text=True, capture_output=True
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_lost_worker_is_counted(tmp_path: Path, port: int) -> None:
    studio = Studio(tmp_path, paints=False, metrics=f"127.0.0.1:{port}")
    studio.add_preset("endless", steps=100_000)
    with studio.service() as service:
        studio.drop("endless/photo.jpg")
        service.wait_for_step()
        wait_for("steps to be told", lambda: sample(scrape(port), "steps_per_second", device="cpu"))
        assert sample(scrape(port), "jobs", state="running") == 1
        subprocess.run(["kill", "-9", str(service.worker())], check=True)
        wait_for(
            "the loss to be told",
            lambda: (
                (found := scrape(port))
                and sample(found, "worker_restarts_total", device="cpu") == 1
                and sample(found, "errors_total", kind="worker_lost") == 1
            ),
        )


def test_busy_port_is_a_trouble_and_the_service_goes_on(tmp_path: Path, port: int) -> None:
    studio = Studio(tmp_path, paints=False, metrics=f"127.0.0.1:{port}")
    with socket.create_server(("127.0.0.1", port)), studio.service() as service:
        studio.drop("quick/photo.jpg")
        studio.published("quick", "photo.jpg")
        told = service.wait_for_trouble("metrics")
        assert f"127.0.0.1 port {port}" in told and "Address already in use" in told
        assert service.stop() == 0


def test_logs_of_a_job_and_of_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job's own log tells all of it, though the service's own holds only what matters."""
    monkeypatch.setenv("ATELIERD_TEST_PASSWORD", SECRET)
    studio = Studio(tmp_path, paints=False, log={"format": "json"})
    studio.add_preset("quick2", steps=20)
    studio.drop("quick2/photo.jpg")
    ended = studio.run("run", "--once")
    assert ended.returncode == 0, ended.stderr
    (job,) = studio.jobs(State.DONE)

    lines = (studio.outbox / "quick2/.jobs/photo.jpg.log").read_text().splitlines()
    shape = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR) +(.*)"
    found = [re.fullmatch(shape, line) for line in lines]
    told = [(one[1], one[2]) for one in found if one is not None]
    assert len(told) == len(lines)
    assert told[0] == ("INFO", "quick2/photo.jpg queued for quick2")
    assert told[1][1].startswith("start 1 of quick2/photo.jpg after quick2 on cpu")
    assert told[-1][0] == "INFO" and told[-1][1].startswith("painted in ")
    steps = [level for level, text in told if re.search(r"\bstep \d+/\d+", text)]
    assert len(steps) > 3 and set(steps) == {"DEBUG"}

    told_by_all = (studio.state / "log/atelierd.log").read_text().splitlines()
    service = [json.loads(line) for line in told_by_all]
    assert ended.stderr.splitlines() == told_by_all  # and no line of progress between them
    assert {one["level"] for one in service} == {"INFO"}
    assert not any(" step " in one["message"] for one in service)
    mine = [one["message"] for one in service if one.get("job") == job.id]
    assert mine == [text for level, text in told if level == "INFO"]
    assert not any(SECRET in text for text in (ended.stderr, *lines, *told_by_all))
