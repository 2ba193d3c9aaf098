"""Nights, bulk drops, pauses and changed settings, as a running service takes them."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.cli import end_of
from daemon.job import State
from tests.support.atelier import (
    ENDLESS_STEPS,
    PATIENCE_S,
    SETTINGS,
    Service,
    Studio,
    encoded,
    environment,
    photograph,
    wait_for,
)


def window(begin_h: float, end_h: float) -> str:
    """A window that begins and ends so many hours from now, on a clock of UTC."""
    now = datetime.now(UTC)
    begin, end = (now + timedelta(hours=hours) for hours in (begin_h, end_h))
    return f"{begin:%H:%M}-{end:%H:%M}"


OPEN, CLOSED = window(-2, 4), window(3, 5)


def bulk(hours: str) -> dict[str, object]:
    return {"schedule": {"time_zone": "UTC", "bulk": [hours]}}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    studio = Studio(tmp_path / "atelier", paints=False, checkpoint_every=0)
    studio.add_preset("endless", steps=ENDLESS_STEPS)
    return studio


@pytest.fixture
def service(studio: Studio) -> Iterator[Service]:
    studio.configure(checkpoint_every=0, **bulk(OPEN))
    with studio.service() as running:
        yield running
        assert "stumbled" not in running.log


def different(number: int) -> bytes:
    return encoded(photograph((96 + number, 72)))


def test_bulk_waits_for_its_window_and_ordinary_drops_do_not(studio: Studio) -> None:
    studio.configure(**bulk(CLOSED))
    studio.add_preset("quick", steps=20)
    studio.drop("bulk/quick/night.jpg")
    studio.drop("bulk/quick/2026/deep.jpg")
    studio.drop("quick/day.jpg")
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert "2 jobs are left for later" in answer.stderr
    assert studio.files(studio.outbox / "quick") >= {"day.jpg"}
    assert {str(job.below) for job in studio.jobs(State.READY)} == {"night.jpg", "2026/deep.jpg"}
    queues = studio.status()["queues"]
    assert (queues["bulk"]["waiting"], queues["bulk"]["open"]) == (2, False)
    assert queues["bulk"]["window_fits"] is True
    assert queues["bulk"]["seconds"] > 0
    text = studio.run("status").stdout
    assert "bulk     2 waiting, about" in text
    assert "the window is long enough, done about" in text
    studio.configure(**bulk(OPEN))
    assert studio.run("run", "--once").returncode == 0
    assert studio.files(studio.outbox / "quick") >= {"night.jpg", "2026/deep.jpg"}
    assert studio.files(studio.outbox / "originals/quick") >= {"night.jpg", "2026/deep.jpg"}


def test_inbox_shows_the_presets_in_the_bulk_folder_too(studio: Studio) -> None:
    studio.configure(schedule={"bulk_folder": "nights"})
    assert studio.run("run", "--once").returncode == 0
    assert (studio.inbox / "nights/quick").is_dir()
    assert (studio.inbox / "quick").is_dir()


def test_bulk_job_makes_way_for_an_ordinary_one_and_goes_on(
    studio: Studio, service: Service
) -> None:
    studio.drop("bulk/endless/night.jpg")
    service.wait_for_step()
    studio.drop("quick/day.jpg")
    studio.published("quick", "day.jpg")
    log = service.wait_for_step(start=2)
    assert "an ordinary job goes first" in log
    assert "goes on after step" in log


def test_job_whose_window_closes_goes_on_in_the_next(studio: Studio, service: Service) -> None:
    studio.drop("bulk/endless/night.jpg")
    service.wait_for_step()
    service.reload(checkpoint_every=0, **bulk(CLOSED))
    wait_for("the job to wait", lambda: studio.job_of("night.jpg", State.READY))
    service.reload(checkpoint_every=0, **bulk(OPEN))
    log = service.wait_for_step(start=2)
    assert "its window has closed" in log
    assert "goes on after step" in log


def test_paused_painting_gives_its_memory_back_and_goes_on_when_resumed(
    studio: Studio, service: Service
) -> None:
    studio.drop("endless/photo.jpg")
    service.wait_for_step()
    assert "painting is paused" in studio.run("pause").stdout
    wait_for("the worker's end", lambda: not service.workers())
    studio.drop("quick/other.jpg")
    wait_for("pictures to be taken in still", lambda: len(studio.jobs(State.READY)) == 2)
    assert studio.status()["paused_since"]
    assert "paused   since 2" in studio.run("status").stdout
    assert "has been paused since" in studio.run("pause").stdout
    assert "painting goes on" in studio.run("resume").stdout
    assert "goes on after step" in service.wait_for_step(start=2)
    assert "was not paused" in studio.run("resume").stdout


def test_pause_holds_over_a_restart(studio: Studio) -> None:
    studio.run("pause")
    studio.drop("quick/photo.jpg")
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert [str(job.below) for job in studio.jobs(State.READY)] == ["photo.jpg"]


UNTIL = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from daemon.cli import read_anew
from daemon.status.logs import start_logging
from daemon.service.main import Service
config, devices = read_anew(Path(sys.argv[1]))
start_logging(config)
end = datetime.now(UTC) + timedelta(seconds=2)
sys.exit(Service(config, devices, lambda: (config, devices), until=end).run())
"""


def test_run_until_a_time_stops_then_and_leaves_the_rest(studio: Studio) -> None:
    """The clock of `--until` shows minutes; the service is told a moment, here two seconds off."""
    studio.configure(schedule={"time_zone": "UTC", "ordinary": [CLOSED]})
    studio.drop("quick/photo.jpg")
    with studio.intake():  # before, for two seconds may be too few
        wait_for("the job", lambda: studio.jobs(State.READY))
    answer = subprocess.run(
        [sys.executable, "-c", UNTIL, studio.config_file],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment(),
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "it is time to stop" in answer.stderr
    assert len(studio.jobs(State.READY)) == 1


def test_until_wants_a_time_of_day_and_takes_the_next_there_is(studio: Studio) -> None:
    wrong = studio.run("run", "--until", "6 o'clock")
    assert wrong.returncode == 2
    assert "must be a time of day such as 06:00" in wrong.stderr
    config = studio.config
    now = datetime.now(UTC)
    end = end_of("06:00", config)
    assert end is not None and now < end <= now + timedelta(days=1, hours=1)
    assert end_of(None, config) is None


def test_settings_that_are_wrong_leave_the_old_ones(studio: Studio, service: Service) -> None:
    import signal

    studio.configure(settle_s="soon", limits=SETTINGS["limits"])
    service.process.send_signal(signal.SIGHUP)
    wait_for("the fault", lambda: "the old one stays" in service.log)
    assert "settle_s" in service.log
    studio.drop("quick/photo.jpg")
    studio.published("quick", "photo.jpg")


def test_settings_change_while_a_job_runs_that_goes_on(studio: Studio, service: Service) -> None:
    studio.drop("endless/photo.jpg")
    service.wait_for_step()
    worker = service.worker()
    service.reload(outbox="elsewhere", settle_s=0.1, **bulk(OPEN) | {"checkpoint_every": 0})
    assert "outbox cannot change while the service runs" in service.log
    assert service.workers() == [worker]
    service.reload(precision="float32", **bulk(OPEN) | {"checkpoint_every": 0})
    wait_for("another worker", lambda: service.workers() not in ([worker], []))
    assert "goes on after step" in service.wait_for_step(start=2)


def test_new_preset_gets_its_folder_on_reload_and_the_status_its_lines_in_the_log(
    studio: Studio, service: Service
) -> None:
    import signal

    studio.add_preset("fresh")
    service.reload(**bulk(OPEN))
    assert (studio.inbox / "fresh").is_dir()
    service.process.send_signal(signal.SIGUSR1)
    wait_for("the status to its end", lambda: "status: queue    empty" in service.log)
    assert "status: service  running" in service.log
