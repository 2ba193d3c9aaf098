"""The numbers for Prometheus: counted as things happen, looked up when somebody asks."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon import __version__
from daemon.engine.schedule import Pass
from daemon.job import BULK, Draft, Job, Outputs, State
from daemon.ledger.database import SCHEMA_VERSION
from daemon.ledger.store import Ledger
from daemon.messages import Done, PassAccount, Progress
from daemon.pool.memory import DeviceMemory
from daemon.status.health import Health
from daemon.status.metrics import (
    ERROR_KINDS,
    MORE,
    VERDICTS,
    Metrics,
    size_label,
)
from daemon.status.scrape import MOST_DEVICES, LedgerState

DEVICES = ["cpu", "cuda:0"]
MEMORY = [DeviceMemory("cpu", 7, 5, 9)]
JOB = Job(
    id="j1",
    picture_id="p1",
    preset="starry",
    below=Path("a.jpg"),
    recipe={},
    styles=(),
    priority=0,
    state=State.DONE,
    verdict=State.DONE,
    starts=1,
    cancel_requested=False,
    queued_at="",
    started_at=None,
    finished_at=None,
    outcome=Done(seconds=40.0, passes=(PassAccount(700, 1100),)),
    outputs=Outputs(),
    reason="",
    warnings=(),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(tmp_path / "ledger.sqlite3")
    yield found
    found.close()


@pytest.fixture
def metrics(ledger: Ledger, tmp_path: Path) -> Metrics:
    return Metrics(tmp_path / "ledger.sqlite3", DEVICES, Health(), lambda: MEMORY)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"atelierd_{name}", labels)


def queue(ledger: Ledger, name: str, *priorities: int, size: int = 100) -> None:
    """A picture with a job of each priority."""
    drafts = [
        Draft(f"{name}-{number}", "starry", Path(name), {}, (), priority=priority, work=1000)
        for number, priority in enumerate(priorities)
    ]
    ledger.add_picture(name, Path(name))
    ledger.admit(name, sha256="ab", size=size, width_px=4, height_px=3, drafts=drafts)


def test_counters_begin_with_0_for_every_label_that_is_known(metrics: Metrics) -> None:
    for kind in ERROR_KINDS:
        assert value(metrics, "errors_total", kind=kind) == 0
    for verdict in VERDICTS:
        assert value(metrics, "jobs_ended_total", verdict=verdict) == 0
    for device in DEVICES:
        assert value(metrics, "steps_total", device=device) == 0
        assert value(metrics, "work_total", device=device) == 0
        assert value(metrics, "worker_restarts_total", device=device) == 0
    assert value(metrics, "hooks_total", event="done", outcome="failed") == 0
    assert value(metrics, "health_trouble", part="outbox") == 0
    assert value(metrics, "scan_seconds_count") == 0


def test_what_waits_is_told_by_queue(ledger: Ledger, metrics: Metrics) -> None:
    queue(ledger, "a", 0, 5, BULK, size=70)
    queue(ledger, "b", BULK, size=30)
    assert value(metrics, "waiting_jobs", queue="ordinary") == 2
    assert value(metrics, "waiting_jobs", queue="bulk") == 2
    assert value(metrics, "waiting_bytes", queue="ordinary") == 140
    assert value(metrics, "waiting_bytes", queue="bulk") == 100
    assert value(metrics, "waiting_work", queue="bulk") == 2000
    assert value(metrics, "jobs", state="ready") == 4
    assert value(metrics, "jobs", state="failed") == 0


def test_age_of_a_queue_is_that_of_the_job_that_waits_longest(
    ledger: Ledger, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, queued_at in (("a", "2001-01-01T00:00:00.000Z"), ("b", "2002-01-01T00:00:00.000Z")):
        monkeypatch.setattr("daemon.ledger.store.utc_now", lambda at=queued_at: at)
        queue(ledger, name, 0)
    age_s = value(metrics, "queue_age_seconds", queue="ordinary")
    assert age_s is not None and age_s > 24 * 365 * 86400
    assert value(metrics, "queue_age_seconds", queue="bulk") == 0


def test_job_that_was_queued_in_the_future_has_no_age(
    ledger: Ledger, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.ledger.store.utc_now", lambda: "2999-01-01T00:00:00.000Z")
    queue(ledger, "a", 0)
    assert value(metrics, "queue_age_seconds", queue="ordinary") == 0


def test_answer_that_took_long_is_told_again_for_a_while(ledger: Ledger, tmp_path: Path) -> None:
    """Each look takes 0.1 s by this clock: what it found is good for 10 s."""
    now_s = [0.0]

    def clock() -> float:
        now_s[0] += 0.1
        return now_s[0]

    state = LedgerState(tmp_path / "ledger.sqlite3", clock)

    def waiting() -> float:
        found = {metric.name: metric for metric in state.collect()}
        return sum(sample.value for sample in found["atelierd_waiting_jobs"].samples)

    assert waiting() == 0
    queue(ledger, "a", 0)
    now_s[0] = 9.0
    assert waiting() == 0
    now_s[0] = 10.5
    assert waiting() == 1


def test_answer_that_took_for_ever_is_told_for_15_s_at_most(ledger: Ledger, tmp_path: Path) -> None:
    times_s = iter([0.0, 60.0, 74.0, 75.1, 75.2])
    state = LedgerState(tmp_path / "ledger.sqlite3", lambda: next(times_s))
    looks = []
    for _ in range(3):
        queue(ledger, f"p{len(looks)}", 0)
        looks.append(state._look()[1]["ordinary"].jobs)
    assert looks == [1, 1, 3]


def test_ledger_that_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"no database" * 1000)
    for path in (tmp_path / "none", tmp_path / "broken"):
        metrics = Metrics(path, DEVICES, Health(), lambda: MEMORY)
        assert value(metrics, "ledger_readable") == 0
        assert value(metrics, "jobs", state="ready") is None
        assert value(metrics, "device_memory_own_bytes", device="cpu") == 5


def test_looking_at_the_ledger_changes_nothing_of_it(ledger: Ledger, metrics: Metrics) -> None:
    queue(ledger, "a", 0)
    with ledger.together():  # somebody writes at this moment
        assert value(metrics, "waiting_jobs", queue="ordinary") == 1
    assert value(metrics, "ledger_readable") == 1


def test_part_that_was_in_trouble_keeps_its_series(tmp_path: Path) -> None:
    health = Health()
    metrics = Metrics(tmp_path / "none", DEVICES, health, lambda: [])
    health.bad("hook", OSError("gone"))
    assert value(metrics, "health_trouble", part="hook") == 1
    health.good("hook")
    assert value(metrics, "health_trouble", part="hook") == 0


def test_memory_of_each_device_is_told(metrics: Metrics) -> None:
    told = [
        value(metrics, f"device_memory_{of}_bytes", device="cpu") for of in ("used", "own", "total")
    ]
    assert told == [7, 5, 9]
    assert value(metrics, "device_memory_used_bytes", device="cuda:0") is None


def test_progress_counts_steps_and_shows_pace_and_rest(metrics: Metrics) -> None:
    passes = (Pass(10, 20, 5), Pass(30, 40, 5))
    for number, seconds in ((1, 0.25), (2, 0.5)):
        metrics.observe_progress("cpu", Progress(number, passes, 1, 3.0, {}, seconds), 60.0)
    assert value(metrics, "steps_total", device="cpu") == 2
    assert value(metrics, "work_total", device="cpu") == 10 * 20 + 30 * 40
    assert value(metrics, "steps_per_second", device="cpu") == 2
    assert value(metrics, "running_eta_seconds", device="cpu") == 60
    metrics.rest("cpu")
    assert value(metrics, "steps_per_second", device="cpu") == 0
    assert value(metrics, "running_eta_seconds", device="cpu") == 0
    assert value(metrics, "steps_total", device="cuda:0") == 0


def test_series_of_a_seat_begin_when_it_comes_and_end_when_it_goes(metrics: Metrics) -> None:
    metrics.show_seats([*DEVICES, "desk2/cpu"])
    assert value(metrics, "steps_total", device="desk2/cpu") == 0
    metrics.count_steps("desk2/cpu", 3, pixels=10)
    metrics.show_seats(DEVICES)
    names = ("steps_total", "work_total", "steps_per_second", "running_eta_seconds")
    for name in (*names, "worker_restarts_total"):
        assert value(metrics, name, device="desk2/cpu") is None
        assert value(metrics, name, device="cpu") == 0


def test_what_is_heard_of_a_seat_that_is_gone_makes_no_series(metrics: Metrics) -> None:
    metrics.observe_progress("desk2/cpu", Progress(1, (Pass(1, 2, 5),), 1, 3.0, {}, 0.5), 60.0)
    metrics.rest("desk2/cpu")
    metrics.count_restart("desk2/cpu")
    assert "desk2" not in str(list(metrics.registry.collect()))


def test_seats_beyond_the_first_thousand_are_counted_together(metrics: Metrics) -> None:
    seats = [f"desk{number}/cpu" for number in range(MOST_DEVICES + 2)]
    metrics.show_seats(seats)
    for device in seats[-3:]:
        metrics.observe_progress(device, Progress(1, (Pass(1, 2, 5),), 1, 3.0, {}, 0.5), 60.0)
    assert value(metrics, "steps_total", device=seats[-3]) == 1
    assert value(metrics, "steps_total", device=seats[-1]) is None
    assert value(metrics, "steps_total", device=MORE) == 2
    metrics.show_seats(DEVICES)
    assert value(metrics, "steps_total", device=MORE) is None


def test_seconds_of_a_job_go_by_preset_and_longest_side(metrics: Metrics) -> None:
    metrics.observe_job(JOB)
    labels = {"preset": "starry", "size": "<=2048"}
    assert value(metrics, "job_seconds_sum", **labels) == 40
    assert value(metrics, "job_seconds_bucket", le="30.0", **labels) == 0
    assert value(metrics, "job_seconds_bucket", le="60.0", **labels) == 1
    assert value(metrics, "jobs_ended_total", verdict="done") == 1


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"outcome": Done(seconds=40.0, passes=(PassAccount(700, 1100),), same_as="j0")}, "done"),
        ({"verdict": State.FAILED, "outcome": None, "preset": "no such"}, "failed"),
        ({"verdict": State.CANCELLED, "outcome": None}, "cancelled"),
    ],
)
def test_job_that_was_not_painted_has_no_seconds(
    metrics: Metrics, change: dict[str, object], verdict: str
) -> None:
    """Nor does a preset that no shelf knows become a label."""
    metrics.observe_job(dataclasses.replace(JOB, **change))
    assert value(metrics, "jobs_ended_total", verdict=verdict) == 1
    assert not any(
        sample.name == "atelierd_job_seconds_count"
        for metric in metrics.registry.collect()
        for sample in metric.samples
    )


@pytest.mark.parametrize(("starts", "faults"), [(0, 1), (1, 0)])
def test_job_that_failed_before_it_began_is_a_fault_of_the_input(
    metrics: Metrics, starts: int, faults: int
) -> None:
    """Whose fault it is that a run failed is told by the run."""
    metrics.observe_job(
        dataclasses.replace(JOB, verdict=State.FAILED, starts=starts, outcome=None, preset="")
    )
    assert value(metrics, "errors_total", kind="input") == faults


@pytest.mark.parametrize(
    ("longest_px", "label"),
    [(64, "<=512"), (512, "<=512"), (513, "<=1024"), (4096, "<=4096"), (4097, ">4096")],
)
def test_sizes_are_few(longest_px: int, label: str) -> None:
    assert size_label(longest_px) == label


def test_each_verb_counts_its_own(metrics: Metrics) -> None:
    metrics.count_error("bug")
    metrics.count_restart("cuda:0")
    metrics.count_hook("done", "failed")
    metrics.observe_scan(0.02)
    metrics.observe_publish(2.0)
    metrics.show_paused(True)
    metrics.show_queue("bulk", open_now=False)
    assert value(metrics, "errors_total", kind="bug") == 1
    assert value(metrics, "worker_restarts_total", device="cuda:0") == 1
    assert value(metrics, "hooks_total", event="done", outcome="failed") == 1
    assert value(metrics, "scan_seconds_sum") == 0.02
    assert value(metrics, "publish_seconds_sum") == 2
    assert value(metrics, "paused") == 1
    assert value(metrics, "queue_open", queue="bulk") == 0
    assert value(metrics, "queue_open", queue="ordinary") == 1
    started_s, scanned_s = (
        value(metrics, "start_time_seconds"),
        value(metrics, "last_scan_timestamp_seconds"),
    )
    assert started_s and scanned_s and 0 <= scanned_s - started_s < 60


@pytest.mark.parametrize("path", ["/metrics", "/", "/anything"])
def test_prometheus_is_answered_whatever_path_it_asks_for(metrics: Metrics, path: str) -> None:
    route = metrics.route()
    statuses: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path}
    body = route.answer(environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type]
    text = b"".join(body).decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert path.startswith(route.path) and statuses == ["200 OK"]
    assert {"atelierd_jobs", "atelierd_job_seconds", "process_resident_memory_bytes"} <= families
    assert not any(name.endswith("_created") for name in families)


def test_what_runs_is_told(metrics: Metrics) -> None:
    (build,) = [m for m in metrics.registry.collect() if m.name == "atelierd_build"]
    told = build.samples[0].labels
    assert (told["version"], told["ledger_schema"]) == (__version__, str(SCHEMA_VERSION))
