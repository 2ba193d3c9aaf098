"""What a service manager hears: READY, WATCHDOG, STATUS, RELOADING and STOPPING, and when."""

import contextlib
import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.atelier import (
    ENDLESS_STEPS,
    SETTINGS,
    STOP_S,
    Service,
    Studio,
    is_alive,
    wait_for,
)
from tests.support.puppet_worker import NO_START

PATIENT_WATCHDOG = {"WATCHDOG_USEC": "600000"}


class Listener:
    """The other end of `$NOTIFY_SOCKET`."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while word := self._socket.recv(4096):
                self.heard.append(word.decode())

    def count(self, word: str) -> int:
        return sum(line == word for said in self.heard for line in said.splitlines())

    def hear_all(self) -> None:
        """Returns when all that was said before has been heard."""
        word, before = "heard=so far", self.count("heard=so far")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.connect(self._socket.getsockname())
            own.send(word.encode())
        wait_for("an own word", lambda: self.count(word) > before)

    def status(self) -> str:
        """The last STATUS."""
        told = [said for said in self.heard if said.startswith("STATUS=")]
        return told[-1].removeprefix("STATUS=") if told else ""

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    found = Listener(tmp_path / "notify")
    yield found
    found.close()


@pytest.fixture
def notify(tmp_path: Path) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def test_ready_comes_when_a_worker_has_answered_and_not_before(
    studio: Studio, faults: Path, listener: Listener, notify: dict[str, str]
) -> None:
    """A worker that ends at once stands for a driver that is not there yet."""
    (faults / NO_START).touch()
    with studio.service(**notify) as service:
        wait_for("a first worker", service.workers)
        wait_for("its end", lambda: not service.workers())
        wait_for("a second one", service.workers)
        assert listener.count("READY=1") == 0
        wait_for("the status", lambda: listener.status().startswith("starting; 0 waiting"))
        (faults / NO_START).unlink()
        wait_for("READY", lambda: listener.count("READY=1"))
        assert service.workers()


def test_paused_service_is_ready_too_and_keeps_no_worker(
    studio: Studio, listener: Listener, notify: dict[str, str]
) -> None:
    studio.run("pause")
    with studio.service(**notify) as service:
        wait_for("READY", lambda: listener.count("READY=1"))
        wait_for("the worker's end", lambda: not service.workers())
        wait_for("the pause in the status", lambda: "paused since 2" in listener.status())


def test_inbox_that_is_away_does_not_keep_the_service_from_being_ready(
    studio: Studio, listener: Listener, notify: dict[str, str]
) -> None:
    with studio.service(**notify) as service:
        wait_for("READY", lambda: listener.count("READY=1"))
        studio.inbox.rename(studio.root / "away")
        wait_for("the trouble", lambda: "trouble: inbox" in listener.status())
        assert not service.ended


def test_status_tells_queue_and_running_job_and_stopping_comes_first_of_the_end(
    studio: Studio, listener: Listener, notify: dict[str, str]
) -> None:
    studio.add_preset("endless", steps=ENDLESS_STEPS)
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        studio.drop(f"endless/{name}")
    with studio.service(**notify) as service:
        wait_for(
            "a job in the status", lambda: "2 waiting; endless/a.jpg step" in listener.status()
        )
        assert service.stop() == 0
    wait_for("STOPPING", lambda: listener.count("STOPPING=1"))
    assert listener.heard[-1] == "STOPPING=1"


def test_watchdog_is_fed_while_the_ledger_is_writable_and_else_is_not(
    studio: Studio, listener: Listener, notify: dict[str, str]
) -> None:
    with studio.service(**notify, **PATIENT_WATCHDOG) as service:
        wait_for("READY", lambda: listener.count("READY=1"))
        wait_for("some signs of life", lambda: listener.count("WATCHDOG=1") > 4)
        with contextlib.closing(sqlite3.connect(studio.config.ledger_path)) as other:
            other.isolation_level = None
            other.execute("BEGIN IMMEDIATE")
            a_round(service)  # whose sign of life may have been on its way
            listener.hear_all()
            before = listener.count("WATCHDOG=1")
            a_round(service)
            listener.hear_all()
            assert listener.count("WATCHDOG=1") == before
            other.execute("ROLLBACK")
        wait_for("life", lambda: listener.count("WATCHDOG=1") > before + 2)


def a_round(service: Service) -> None:
    """Returns when the main loop has come round: it shows itself before it tells that it lives."""
    before = service.live()["written_at"]
    wait_for("another round", lambda: service.live()["written_at"] != before)


def test_share_that_hangs_does_not_starve_the_watchdog(
    studio: Studio, listener: Listener, notify: dict[str, str]
) -> None:
    """A FIFO that both the intake and the delivery read stands for it: opening waits for ever."""
    studio.drop("quick/a.jpg")
    hanging = studio.state / "mounts.json"
    with studio.service(**notify, **PATIENT_WATCHDOG):
        wait_for("READY", lambda: listener.count("READY=1"))
        studio.published("quick", "a.jpg")
        hanging.unlink(missing_ok=True)
        os.mkfifo(hanging)
        studio.drop("quick/b.jpg")
        silent = wait_for("somebody who reads and waits", lambda: opened_for_writing(hanging))
        before = listener.count("WATCHDOG=1")
        wait_for("more signs of life", lambda: listener.count("WATCHDOG=1") > before + 5)
        os.close(silent)


def opened_for_writing(fifo: Path) -> int | None:
    """The writing end of a FIFO that somebody opens for reading; None while nobody does."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def test_reload_is_announced_and_over_when_ready_comes_again(
    studio: Studio, listener: Listener, notify: dict[str, str]
) -> None:
    with studio.service(**notify) as service:
        wait_for("READY", lambda: listener.count("READY=1"))
        service.reload(scan_s=0.5)
        wait_for("READY again", lambda: listener.count("READY=1") == 2)
        said = "\n".join(listener.heard)
        assert said.index("RELOADING=1\nMONOTONIC_USEC=") < said.rindex("READY=1")


def test_children_do_not_speak_for_the_service(
    studio: Studio, listener: Listener, notify: dict[str, str]
) -> None:
    with studio.service(**notify) as service:
        wait_for("READY", lambda: listener.count("READY=1"))
        seen = Path(f"/proc/{service.worker()}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in seen
        assert b"PATH=" in seen


def test_worker_that_hangs_is_ended_and_its_job_goes_on_in_the_same_service(
    studio: Studio,
) -> None:
    """The worker is warm before, and the next one has time again: a start may take long."""
    studio.configure(checkpoint_every=0)
    studio.add_preset("slow", steps=30, size=128)
    with studio.service() as service:
        studio.drop("quick/warm.jpg")
        studio.published("quick", "warm.jpg")
        service.reload(checkpoint_every=0, limits=SETTINGS["limits"] | {"stall_s": 5.0})
        studio.drop("slow/photo.jpg")
        service.wait_for_step()
        os.kill(service.worker(), signal.SIGSTOP)
        service.reload(checkpoint_every=0)
        wait_for("the worker's end", lambda: "has said nothing for 5 s" in service.log)
        studio.published("slow", "photo.jpg")
        assert not service.ended
    assert "(limits: stall_s)" in (studio.outbox / "slow/.jobs/photo.jpg.log").read_text()
    assert studio.record("slow/.jobs/photo.jpg.json")["starts"] >= 2


def test_second_sigterm_ends_at_once_and_the_next_start_goes_on(
    studio: Studio, listener: Listener, notify: dict[str, str]
) -> None:
    studio.add_preset("slow", steps=30)
    studio.drop("slow/photo.jpg")
    with studio.service(**notify) as service:
        service.wait_for_step()
        worker = service.worker()
        os.kill(worker, signal.SIGSTOP)  # so that there is something to wait for
        service.process.send_signal(signal.SIGTERM)
        wait_for("the way down to begin", lambda: listener.count("STOPPING=1"))
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(STOP_S) == -signal.SIGTERM
        os.kill(worker, signal.SIGCONT)
        wait_for("the worker's end", lambda: not is_alive(worker))
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert (studio.outbox / "slow/photo.jpg").exists()
