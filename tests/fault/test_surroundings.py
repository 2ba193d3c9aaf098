"""Disks that fill up, shares that go away, ledgers that break, clocks that jump, and limits."""

import contextlib
import datetime
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.host import files
from daemon.job import State
from daemon.state.claimed import CLAIMED_FOLDER, claims
from tests.support.atelier import (
    ENDLESS_STEPS,
    SETTINGS,
    Studio,
    encoded,
    may_mount,
    mounted,
    photograph,
    shared,
    stopped_process,
    wait_for,
)
from tests.support.puppet_worker import DEVICE_LOST

# watchdog may warn when a folder it is about to watch is renamed; the scans go on regardless.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")


def temporary_files(studio: Studio) -> list[str]:
    return [name for name in studio.files(studio.root) if name.endswith(".tmp")]


def contents(folder: Path) -> set[bytes]:
    found = set()
    for inner, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # moved at this moment
                found.add(Path(inner, name).read_bytes())
    return found


# Disks


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[None]:
    """No byte is free on the disk of `folder` meanwhile."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    yield
    ballast.unlink()


def test_full_state_disk_pauses_the_queue_and_loses_nothing(studio: Studio) -> None:
    if not may_mount():
        pytest.skip("may not mount a small disk here")
    content = encoded(photograph((400, 300)), quality=95)
    with mounted(studio.state, "size=64m"), studio.service() as service:
        studio.drop("quick/before.jpg")
        studio.published("quick", "before.jpg")
        with filled(studio.state):
            studio.drop("quick/photo.jpg", content)
            wait_for("the trouble", lambda: service.live()["health"] or "No space" in service.log)
            assert content in contents(studio.inbox)
        studio.published("quick", "photo.jpg")
        wait_for("it to be filed", lambda: content in contents(studio.outbox / "originals"))
        service.wait_for_health()
        wait_for("an empty spool", lambda: studio.files(studio.state / "spool") == set())
        assert "stumbled" not in service.log
        assert temporary_files(studio) == []
        assert service.stop() == 0


def test_room_to_be_kept_free_pauses_the_queue_and_says_so(studio: Studio) -> None:
    studio.configure(limits={"free_bytes": 1 << 60})
    dropped = studio.drop("quick/photo.jpg")
    with studio.service() as service:
        service.wait_for_trouble("inbox")
        service.wait_for_trouble("disk")
        assert "limits: free_bytes" in studio.status()["health"]["disk"]
        assert dropped.exists()
        assert service.stop() == 0
    studio.configure()
    assert studio.run("run", "--once").returncode == 0
    assert studio.published("quick", "photo.jpg").exists()


# Shares


def test_unmounted_inbox_is_unavailable_and_nothing_is_made_in_its_place(studio: Studio) -> None:
    if not may_mount():
        pytest.skip("may not mount a share here")
    studio.add_preset("slow", steps=60)
    share = studio.root / "share"
    with contextlib.ExitStack() as disk:
        take_away = disk.enter_context(shared(studio.inbox, share))
        with studio.service() as service:
            content = studio.drop("slow/photo.jpg").read_bytes()
            service.wait_for_step()
            take_away()
            service.wait_for_trouble("inbox")
            assert "nothing is mounted" in studio.status()["health"]["inbox"]
            studio.published("slow", "photo.jpg")  # what is queued goes on
            wait_for("it to be filed", lambda: content in contents(studio.outbox / "originals"))
            assert service.stop() == 0
            with studio.service() as again:  # a start does not take the empty folder for it either
                again.wait_for_trouble("inbox")
                assert list(studio.inbox.iterdir()) == []
                subprocess.run(["mount", "--bind", share, studio.inbox], check=True)
                again.wait_for_health()
                studio.drop("quick/after.jpg")
                studio.published("quick", "after.jpg")
                wait_for("no claim left", lambda: not claims(studio.inbox))
                assert len(studio.jobs()) == 2  # the first one was not painted again


def test_unmounted_outbox_gets_its_results_when_it_is_back(studio: Studio) -> None:
    if not may_mount():
        pytest.skip("may not mount a share here")
    studio.add_preset("slow", steps=60)
    share = studio.root / "share"
    with shared(studio.outbox, share) as take_away, studio.service() as service:
        studio.drop("slow/photo.jpg")
        service.wait_for_step()
        take_away()
        service.wait_for_trouble("outbox")
        assert list(studio.outbox.iterdir()) == []
        subprocess.run(["mount", "--bind", share, studio.outbox], check=True)
        studio.published("slow", "photo.jpg")
        service.wait_for_health()
        assert studio.record("slow/.jobs/photo.jpg.json")["starts"] == 1


# The ledger


@pytest.mark.parametrize("loss", ["deleted", "damaged"])
def test_lost_ledger_is_rebuilt_from_the_claimed_files(studio: Studio, loss: str) -> None:
    studio.add_preset("endless", steps=ENDLESS_STEPS)
    dropped = {}
    with studio.service() as service:
        studio.drop("endless/first.jpg")
        service.wait_for_step()
        for number in range(3):
            name = f"quick/{number}.jpg"
            dropped[name] = encoded(photograph((90 + number, 70)))
            studio.drop(name, dropped[name])
        studio.drop("quick/2.yaml", b"steps: 3\n")
        wait_for("them to be queued", lambda: len(studio.jobs(State.READY)) == 3)
        service.kill()
    ledger = studio.config.ledger_path
    for beside in ("-wal", "-shm"):
        Path(f"{ledger}{beside}").unlink(missing_ok=True)
    if loss == "deleted":
        ledger.unlink()
    else:
        ledger.write_bytes(b"\0" * 4096 + os.urandom(8192))
    studio.add_preset("endless")  # ends now
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count("back into the inbox") == 4
    for name, content in dropped.items():
        assert (studio.outbox / name).exists()
        assert (studio.outbox / "originals" / name).read_bytes() == content
    assert len(studio.jobs(State.DONE)) == len(studio.jobs()) == 4
    assert studio.files(studio.inbox) == set() and studio.files(studio.state / "spool") == set()
    if loss == "damaged":
        assert "damaged" in answer.stderr
        assert ledger.with_name(f"{ledger.name}.damaged-1").exists()


# Two services


def test_two_services_on_one_inbox_claim_each_picture_once(studio: Studio) -> None:
    other = Studio(studio.root / "other", paints=False)
    other.configure(**{"inbox": "../inbox", "outbox": "../outbox"})
    names: list[str] = []

    def wave() -> set[Path]:
        """The names of some pictures, which are out of the inbox by then."""
        for _ in range(6):
            names.append(f"quick/{len(names):03}.jpg")
            studio.drop(names[-1], encoded(photograph((64 + len(names), 64))))
        wait_for("the wave", lambda: not studio.files(studio.inbox / "quick"))
        return {Path(Path(name).name) for name in names[-6:]}

    def wave_for(claiming: Studio) -> None:
        """A wave that only one of them can claim, since the other does not move."""
        wanted = wave()
        wait_for("its jobs", lambda: wanted <= {job.below for job in claiming.jobs()})

    with studio.service() as first, other.service() as second:
        wave()
        with stopped_process(first.process.pid):
            wave_for(other)
        with stopped_process(second.process.pid):
            wave_for(studio)
        wave()
        for name in names:
            wait_for(name, (studio.outbox / name).exists)
            wait_for(name, (studio.outbox / "originals" / name).exists)
    claimed = [str(job.below) for one in (studio, other) for job in one.jobs()]
    assert sorted(claimed) == sorted(Path(name).name for name in names)
    results = [name for name in studio.files(studio.outbox) if name.startswith("quick/")]
    assert len(results) == 3 * len(names)  # with record and log
    assert studio.files(studio.inbox) == set()


# Clocks


def test_clock_that_jumps_by_a_day_settles_and_expires_nothing(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Jumping(datetime.datetime):
        days = 0

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            cls.days = -cls.days or 1
            return datetime.datetime.now(tz) + datetime.timedelta(days=cls.days)

    true_time = time.time
    monkeypatch.setattr("daemon.ledger.store.datetime", Jumping)
    monkeypatch.setattr(time, "time", lambda: true_time() + 86_400 * Jumping.days)
    content = encoded(photograph())
    scans: list[float] = []
    with studio.intake(settle_s=3600.0, give_up_s=3600.0, on_scan=scans.append):
        studio.drop("quick/cut.jpg", content[: len(content) // 2])
        studio.drop("quick/photo.jpg", content)
        studio.drop("quick/letter.txt", b"a later round")
        before = len(scans)
        wait_for("three more looks", lambda: len(scans) >= before + 3)
        assert studio.jobs() == []
        assert studio.files(studio.inbox) == {
            "quick/cut.jpg",
            "quick/photo.jpg",
            "quick/letter.txt",
        }


# Limits


def test_job_that_takes_too_long_fails_and_the_next_one_runs(studio: Studio) -> None:
    """The limit comes when the worker is warm: a start may take longer."""
    studio.add_preset("endless", steps=ENDLESS_STEPS)
    with studio.service() as service:
        studio.drop("quick/warm.jpg")
        studio.published("quick", "warm.jpg")
        service.reload(limits=SETTINGS["limits"] | {"job_s": 4.0})
        studio.drop("endless/a.jpg")
        service.wait_for_step()
        studio.drop("quick/b.jpg")
        reason = studio.failure("endless", "a.jpg")
        assert "more than 4 s (limits: job_s)" in reason
        studio.published("quick", "b.jpg")
        assert service.log.count("network ready") == 1  # the worker was asked, not killed
    assert studio.record("failed/endless/a.jpg.json")["starts"] == 1


def test_more_pictures_than_may_wait_stay_in_the_inbox_until_there_is_room(studio: Studio) -> None:
    studio.configure(limits=SETTINGS["limits"] | {"waiting": 3})
    names = [f"{number}.jpg" for number in range(8)]
    for name in names:
        studio.drop(f"quick/{name}")
    with studio.intake() as loop:
        wait_for("the trouble", lambda: "inbox" in loop._health.troubles)
        assert "limits: waiting" in loop._health.troubles["inbox"]
        assert [str(job.below) for job in studio.jobs()] == names[:3]
        assert studio.files(studio.inbox / "quick") == set(names[3:])
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert sorted(str(job.below) for job in studio.jobs(State.DONE)) == names


# Devices


def test_lost_device_costs_no_attempt_and_is_taken_up_again(studio: Studio, faults: Path) -> None:
    (faults / DEVICE_LOST).touch()
    studio.drop("quick/photo.jpg")
    with studio.service() as service:
        service.wait_for_trouble("worker")
        assert "the device failed: CUDA error" in studio.status()["health"]["worker"]
        studio.drop("quick/later.jpg")
        wait_for("the intake to go on", lambda: studio.job_of("later.jpg"))
        (faults / DEVICE_LOST).unlink()
        studio.published("quick", "photo.jpg")
        studio.published("quick", "later.jpg")
        service.wait_for_health()
    job = studio.job_of("photo.jpg")
    assert job is not None and job.state is State.DONE


def test_preset_folder_that_is_a_mount_of_its_own_is_taken_from(studio: Studio) -> None:
    if not may_mount():
        pytest.skip("needs the right to mount")
    share = studio.inbox / "quick"
    share.mkdir(parents=True)
    with mounted(share, "size=16m"), studio.intake():
        dropped = studio.drop("quick/photo.jpg")
        content = dropped.read_bytes()
        wait_for("the job", lambda: studio.job_of("photo.jpg"))
        (job,) = studio.jobs()
        claimed = studio.inbox / CLAIMED_FOLDER / job.picture_id / "quick/photo.jpg"
        assert claimed.read_bytes() == content and not dropped.exists()


def test_picture_written_to_after_its_claim_is_painted_whole(studio: Studio) -> None:
    whole = encoded(photograph(), "BMP")
    dropped = studio.drop("quick/photo.bmp", whole[:-6000] + bytes(range(1, 251)) * 24)
    with dropped.open("r+b") as writer, studio.service() as service:
        wait_for("the claim", lambda: studio.jobs())
        writer.seek(len(whole) - 6000)
        writer.write(whole[-6000:])
        writer.flush()
        studio.published("quick", "photo.bmp")
        record = studio.record("quick/.jobs/photo.bmp.json")
        original = studio.outbox / "originals/quick/photo.bmp"
        wait_for("the original", original.exists)
    assert original.read_bytes() == whole
    assert record["picture"]["sha256"] == files.sha256_of(original)
    assert "was written to after it was claimed" in service.log
