"""The intake on real folders with its real decoder: what becomes a job, and what never does."""

import fcntl
import hashlib
import os
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from daemon.intake import claim, scan
from daemon.intake.decode import Decoder
from daemon.job import Job, State
from daemon.ledger.store import Ledger
from daemon.state.spool import Spool
from tests.support.atelier import (
    PATIENCE_S,
    Studio,
    children,
    encoded,
    photograph,
    stopped_process,
    wait_for,
)

# watchdog may warn when a folder it is about to watch is renamed; the scans go on regardless.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")

SLOW_WRITER = """
import pathlib, sys, time
content = pathlib.Path(sys.argv[1]).read_bytes()
with open(sys.argv[2], "wb") as target:
    for start in range(0, len(content), len(content) // 12 + 1):
        target.write(content[start : start + len(content) // 12 + 1])
        target.flush()
        time.sleep(0.1)
"""


@pytest.fixture
def warnings_logged() -> "pytest.FixtureRequest":
    lines: list[str] = []
    number = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    yield lines
    logger.remove(number)


def sha256_of_spooled(studio: Studio, picture_id: str) -> str:
    return hashlib.sha256(Spool(studio.state).picture(picture_id).read_bytes()).hexdigest()


def test_three_hundred_files_at_once_are_each_queued_exactly_once(studio: Studio) -> None:
    content = encoded(photograph((32, 24)))
    for number in range(300):
        studio.drop(f"quick/{number:03}.jpg", content)
    with studio.intake():
        wait_for("300 jobs", lambda: len(studio.jobs()) >= 300)
        assert not studio.files(studio.inbox / "quick")
    queued = [str(job.below) for job in studio.jobs(State.READY)]
    assert queued == [f"{number:03}.jpg" for number in range(300)]
    assert len(studio.jobs()) == 300


def test_file_written_slowly_is_claimed_only_when_it_is_whole(studio: Studio) -> None:
    whole = studio.root / "whole.jpg"
    whole.write_bytes(encoded(photograph((512, 512)), quality=95))
    (studio.inbox / "quick").mkdir(parents=True)
    with studio.intake(settle_s=0.3, give_up_s=600):
        writer = subprocess.Popen(
            [sys.executable, "-c", SLOW_WRITER, whole, studio.inbox / "quick/slow.jpg"]
        )
        job = wait_for("the job", lambda: studio.job_of("slow.jpg"))
        assert writer.wait(PATIENCE_S) == 0
    assert job.state is State.READY
    assert Spool(studio.state).picture(job.picture_id).read_bytes() == whole.read_bytes()


def test_picture_that_pauses_half_way_completes_when_the_rest_arrives(studio: Studio) -> None:
    whole = encoded(photograph((256, 256)), quality=95)
    dropped = studio.drop("quick/paused.jpg", whole[: len(whole) // 2])
    lines: list[str] = []
    number = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    try:
        with studio.intake(settle_s=0.1, give_up_s=600):
            wait_for("doubt", lambda: [line for line in lines if "does not decode yet" in line])
            assert not studio.jobs()
            with dropped.open("ab") as file:
                file.write(whole[len(whole) // 2 :])
            job = wait_for("the job", lambda: studio.job_of("paused.jpg"))
    finally:
        logger.remove(number)
    assert job.state is State.READY
    assert Spool(studio.state).picture(job.picture_id).read_bytes() == whole


def test_file_replaced_after_its_claim_is_a_new_job_and_the_old_keeps_its_copy(
    studio: Studio,
) -> None:
    first, second = encoded(photograph()), encoded(photograph((72, 96)))
    with studio.intake():
        studio.drop("quick/photo.jpg", first)
        wait_for("the first job", lambda: len(studio.jobs()) == 1)
        studio.drop("quick/photo.jpg", second)
        wait_for("the second job", lambda: len(studio.jobs()) == 2)
    copies = [Spool(studio.state).picture(job.picture_id).read_bytes() for job in studio.jobs()]
    assert copies == [first, second]


def test_jobs_copy_does_not_change_with_an_old_writers_file(studio: Studio) -> None:
    content = encoded(photograph())
    dropped = studio.drop("quick/photo.jpg", content)
    with dropped.open("ab") as old_writer, studio.intake():
        job = wait_for("the job", lambda: studio.job_of("photo.jpg"))
        old_writer.write(b"more")
    assert Spool(studio.state).picture(job.picture_id).read_bytes() == content


def test_claim_given_back_beside_a_newer_picture_loses_neither(studio: Studio) -> None:
    studio.drop("quick/photo.jpg", b"older")
    assert claim.take(studio.inbox, "0123456789abcdef", Path("quick/photo.jpg"))
    studio.drop("quick/photo.jpg", b"newer")
    claim.give_back(studio.inbox, "0123456789abcdef", Path("quick/photo.jpg"))
    seen = [sighting.path for sighting in scan.scan(studio.inbox).pictures]
    assert {(studio.inbox / path).read_bytes() for path in seen} == {b"older", b"newer"}


def test_links_pipes_sockets_and_devices_are_left_logged_and_never_opened(
    studio: Studio, warnings_logged: list[str]
) -> None:
    secret = studio.root / "secret.jpg"
    secret.write_bytes(encoded(photograph()))
    (studio.inbox / "quick").mkdir(parents=True)
    (studio.inbox / "quick/link.jpg").symlink_to(secret)
    (studio.inbox / "quick/linked").symlink_to(studio.root)
    os.mkfifo(studio.inbox / "quick/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(studio.inbox / "quick/socket.jpg"))
    expected = 4
    if os.getuid() == 0:
        os.mknod(studio.inbox / "quick/zero.jpg", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        expected = 5
    with studio.intake():
        studio.drop("quick/zebra.jpg")
        wait_for("the picture after them", lambda: studio.job_of("zebra.jpg"))
        wait_for(
            "a line for each",
            lambda: sum("never opened" in line for line in warnings_logged) >= expected,
        )
    assert sum("never opened" in line for line in warnings_logged) == expected
    assert [str(job.below) for job in studio.jobs()] == ["zebra.jpg"]
    assert (studio.inbox / "quick/link.jpg").is_symlink()
    assert (studio.inbox / "quick/pipe.jpg").exists()


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.jpg",
        "~$lock.jpg",
        "photo.jpg.part",
        "photo.tmp",
        "photo.jpg.crdownload",
        "photo.filepart",
        "._photo.jpg",
        ".stfolder/photo.jpg",
        "@eaDir/photo.jpg",
        "__MACOSX/photo.jpg",
        "~syncthing~photo.jpg.tmp",
    ],
)
def test_half_written_and_foreign_names_are_ignored(studio: Studio, name: str) -> None:
    studio.drop(f"quick/{name}")
    found = scan.scan(studio.inbox)
    assert (found.pictures, found.foreign, found.strange) == ((), (), ())


def test_other_files_are_left_and_reported_once(studio: Studio, warnings_logged: list[str]) -> None:
    studio.drop("quick/letter.txt", b"Dear painter")
    studio.drop("quick/orphan.yaml", b"steps: 3\n")
    with studio.intake():
        wait_for("both lines", lambda: len(warnings_logged) >= 2)
        studio.drop("quick/photo.jpg")
        wait_for("a later round", lambda: studio.job_of("photo.jpg"))
    assert sum("letter.txt" in line for line in warnings_logged) == 1
    assert sum("orphan.yaml" in line for line in warnings_logged) == 1
    assert studio.files(studio.inbox / "quick") == {"letter.txt", "orphan.yaml"}


def test_sidecar_may_arrive_after_its_picture(studio: Studio) -> None:
    studio.configure(sidecar_wait_s=3600)
    with studio.intake():
        studio.drop("photo.jpg")
        queued(studio, "later.jpg")  # in a preset's folder, so that it need not wait
        assert studio.job_of("photo.jpg") is None
        studio.drop("photo.yaml", b"{preset: quick, steps: 7}\n")
        job = wait_for("the job", lambda: studio.job_of("photo.jpg"))
    assert job.recipe["steps"] == 7


def test_inbox_renamed_away_and_made_again_is_watched_again(studio: Studio) -> None:
    with studio.intake():
        studio.drop("quick/before.jpg")
        wait_for("the first job", lambda: studio.job_of("before.jpg"))
        studio.inbox.rename(studio.root / "moved")
        studio.drop("quick/after.jpg")
        job = wait_for("the second job", lambda: studio.job_of("after.jpg"))
    assert job.state is State.READY


def test_inbox_that_is_gone_is_never_made_by_the_intake(studio: Studio) -> None:
    with studio.intake() as loop:
        studio.drop("quick/before.jpg")
        wait_for("the first job", lambda: studio.job_of("before.jpg"))
        studio.inbox.rename(studio.root / "moved")
        wait_for("the trouble", lambda: "inbox" in loop._health.troubles)
        assert not studio.inbox.exists()


# The decoder


def decoder() -> int:
    return wait_for("a decoder", lambda: children(os.getpid(), "daemon.intake.decode"))[0]


def queued(studio: Studio, name: str) -> Job:
    """The job of a photograph that is dropped now, once there is one."""
    studio.drop(f"quick/{name}")
    return wait_for(f"the job of {name}", lambda: studio.job_of(name))


def test_hung_decoder_is_ended_and_the_next_picture_gets_a_fresh_one(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoders: list[Decoder] = []

    def noted(*arguments: Any) -> Decoder:
        decoders.append(Decoder(*arguments))
        return decoders[-1]

    monkeypatch.setattr("daemon.intake.loop.Decoder", noted)
    with studio.intake():
        queued(studio, "first.jpg")
        hung = decoder()
        with stopped_process(hung):
            decoders[0]._timeout_s = 0.5  # only now: one that is alive may take its time
            studio.drop("quick/stuck.jpg")
            job = wait_for("the failed job", lambda: studio.job_of("stuck.jpg"))
        assert job.state is State.PUBLISHING and "limits: decode_s" in job.reason
        decoders[0]._timeout_s = PATIENCE_S
        following = queued(studio, "next.jpg")
        assert following.state is State.READY
        assert decoder() != hung


def test_idle_decoder_that_was_killed_costs_no_picture(studio: Studio) -> None:
    with studio.intake():
        queued(studio, "first.jpg")
        os.kill(decoder(), signal.SIGKILL)
        wait_for("its end", lambda: not children(os.getpid(), "daemon.intake.decode"))
        job = queued(studio, "second.jpg")
    assert job.state is State.READY


def test_decoder_that_was_killed_at_its_work_costs_no_picture(studio: Studio) -> None:
    with studio.intake():
        queued(studio, "first.jpg")
        hunted = decoder()
        with stopped_process(hunted):
            studio.drop("quick/second.jpg")
            wait_for("the request", lambda: unread_bytes(hunted))
            os.kill(hunted, signal.SIGKILL)
        job = wait_for("the second job", lambda: studio.job_of("second.jpg"))
        assert decoder() != hunted
    assert (job.state, job.reason) == (State.READY, "")


def unread_bytes(pid: int) -> int:
    """What lies in a process's standard input and was not read yet."""
    pipe = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
    finally:
        os.close(pipe)


def test_decoder_ends_with_its_parent(studio: Studio) -> None:
    with studio.intake():
        queued(studio, "first.jpg")
        assert decoder()
    assert not children(os.getpid(), "daemon.intake.decode")


def test_clock_of_the_file_system_decides_nothing(studio: Studio) -> None:
    dropped = studio.drop("quick/old.jpg")
    os.utime(dropped, (0, 0))
    future = studio.drop("quick/future.jpg")
    os.utime(future, (time.time() + 86_400, time.time() + 86_400))
    with studio.intake():
        wait_for("both", lambda: studio.job_of("old.jpg") and studio.job_of("future.jpg"))


def test_preset_edited_while_a_job_waits_changes_only_the_next_job(studio: Studio) -> None:
    with studio.intake():
        studio.drop("quick/before.jpg")
        before = wait_for("the first job", lambda: studio.job_of("before.jpg"))
        studio.add_preset("quick", steps=9)
        (studio.presets / "quick.png").write_bytes(encoded(photograph(), "PNG"))
        studio.drop("quick/after.jpg")
        after = wait_for("the second job", lambda: studio.job_of("after.jpg"))
    assert (before.recipe["steps"], after.recipe["steps"]) == (2, 9)
    assert before.styles[0].sha256 != after.styles[0].sha256
    spool = Spool(studio.state)
    for job in (before, after):
        kept = spool.style(job.styles[0].sha256).read_bytes()
        assert hashlib.sha256(kept).hexdigest() == job.styles[0].sha256


def test_ledger_keeps_the_hash_of_what_was_dropped(studio: Studio) -> None:
    content = encoded(photograph())
    with studio.intake():
        studio.drop("quick/photo.jpg", content)
        job = wait_for("the job", lambda: studio.job_of("photo.jpg"))
    ledger = Ledger(studio.config.ledger_path, read_only=True)
    picture = ledger.picture(job.picture_id)
    ledger.close()
    assert picture.sha256 == hashlib.sha256(content).hexdigest()
    assert sha256_of_spooled(studio, picture.id) == picture.sha256
    assert (picture.bytes, picture.width_px, picture.height_px) == (len(content), 96, 72)
