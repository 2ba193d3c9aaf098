"""What others see of the service: a terminal, the live file, the service manager."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import SurroundingsError
from daemon.ledger.store import Ledger
from daemon.service.announce import LIVE_S, STATUS_S, UNCHANGED_S, Announcer
from daemon.status.health import Health
from daemon.status.live import LIVE_FILE, Live, RunningJob, read_live


class Manager:
    """A service manager: the messages that it got."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def messages(self) -> list[str]:
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(999).decode())
            except BlockingIOError:
                return messages

    def words(self) -> list[str]:
        """The first word of each."""
        return [message.partition("=")[0] for message in self.messages()]

    def close(self) -> None:
        self._socket.close()


class Bench:
    """An announcer, its clock, and what a service has to announce."""

    waits: tuple[Any, ...] = ()
    foreign: tuple[Path, ...] = ()
    holdings: tuple[Any, ...] = ()

    def __init__(self, root: Path) -> None:
        self.now_s = 1000.0
        self.health = Health()
        self.shown: list[str] = []
        self.ledger = Ledger(root / "ledger.sqlite3")
        self.announcer = Announcer(root, ["cpu"], self.health, self._show, lambda: self.now_s)

    def _show(self, live: Live) -> None:
        self.shown.append(live.written_at)

    def show(self, *running: RunningJob) -> None:
        self.announcer.show(list(running), self)  # type: ignore[arg-type]

    def tell(self, *, looked: bool = True, warm: Callable[[], bool] = lambda: True) -> None:
        self.announcer.tell_manager(self.ledger, looked=looked, warm=warm)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "ear"))
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    made = Manager(tmp_path / "ear")
    yield made
    made.close()


@pytest.fixture
def bench(tmp_path: Path, manager: Manager) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.ledger.close()


def test_terminal_that_is_gone_ends_the_progress_and_not_the_service(
    bench: Bench, tmp_path: Path
) -> None:
    shown = []

    def show(live: Live) -> None:
        shown.append(live)
        raise OSError(5, "Input/output error")

    bench.announcer._on_change = show
    bench.show()
    bench.show()
    assert len(shown) == 1
    assert read_live(tmp_path) is not None


def test_news_are_written_once_a_second_and_a_terminal_shown_every_tick(
    bench: Bench, tmp_path: Path
) -> None:
    bench.show()
    bench.health.bad("outbox", SurroundingsError("away"))
    bench.now_s += 0.9 * LIVE_S
    bench.show()
    before = read_live(tmp_path)
    bench.now_s += 0.2 * LIVE_S
    bench.show()
    after = read_live(tmp_path)
    assert before is not None and before["health"] == {}
    assert after is not None and after["health"] == {"outbox": "away"}
    assert len(bench.shown) == 3


def test_live_file_without_news_is_written_now_and_then_to_show_that_the_service_lives(
    bench: Bench, tmp_path: Path
) -> None:
    written = []
    for _ in range(4):
        bench.show()
        live = read_live(tmp_path)
        written.append(live and live["written_at"])
        (tmp_path / LIVE_FILE).unlink(missing_ok=True)
        bench.now_s += UNCHANGED_S / 2
    assert [bool(one) for one in written] == [True, False, True, False]


def test_step_of_a_job_is_news(bench: Bench, tmp_path: Path) -> None:
    for step in (1, 2):
        bench.show(RunningJob("j1", "a.jpg", "starry", "cpu", step=step))
        bench.now_s += LIVE_S
    live = read_live(tmp_path)
    assert live is not None and live["running"][0]["step"] == 2


def test_live_file_counts_what_is_no_picture(bench: Bench, tmp_path: Path) -> None:
    bench.foreign = (Path("a.txt"), Path("b.mov"))
    bench.show()
    live = read_live(tmp_path)
    assert live is not None and live["foreign"] == 2


def test_state_folder_that_takes_no_live_file_is_a_trouble_until_it_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(state: Path, live: Live) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr("daemon.service.announce.write_live", refuse)
        bench.show()
    assert "No space left" in bench.health.troubles["state folder"]
    bench.now_s += LIVE_S
    bench.show()
    assert bench.health.troubles == {}


def test_live_file_is_gone_with_the_service(bench: Bench, tmp_path: Path) -> None:
    bench.show()
    bench.announcer.close()
    assert read_live(tmp_path) is None


def test_manager_hears_of_readiness_once_after_the_first_look_and_with_warm_workers(
    bench: Bench, manager: Manager
) -> None:
    warmed: list[str] = []

    def warm() -> bool:
        warmed.append("asked")
        return len(warmed) == 2

    bench.tell(looked=False, warm=warm)
    assert warmed == [] and "READY" not in manager.words()
    bench.tell(warm=warm)
    assert "READY" not in manager.words()
    bench.tell(warm=warm)
    bench.tell(warm=warm)
    assert manager.words().count("READY") == 1 and len(warmed) == 2


def test_manager_hears_queue_runs_and_troubles_in_a_line(bench: Bench, manager: Manager) -> None:
    job = RunningJob("j1", "a.jpg", "starry", "cpu", step=3, steps=9, eta_s=60.0)
    bench.health.bad("outbox", SurroundingsError("away"))
    bench.show(job)
    bench.tell(looked=False)
    bench.now_s += STATUS_S
    bench.tell()
    bench.now_s += STATUS_S
    bench.tell()
    lines = [text for text in manager.messages() if text.startswith("STATUS=")]
    status = "0 waiting; a.jpg step 3/9, ETA 1 min 00 s; trouble: outbox: away"
    assert lines == [f"STATUS=starting; {status}", f"STATUS={status}"]


def test_watchdog_is_not_fed_while_the_ledger_cannot_be_written(
    bench: Bench, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.ledger, "writable", lambda: False)
    bench.tell()
    assert "WATCHDOG" not in manager.words()
    monkeypatch.undo()
    bench.tell()
    assert "WATCHDOG" in manager.words()


def test_reload_is_told_to_the_manager_and_its_end_too_however_it_ends(
    bench: Bench, manager: Manager
) -> None:
    bench.tell()
    manager.words()
    with pytest.raises(SurroundingsError), bench.announcer.reloading():
        raise SurroundingsError("a folder cannot be made")
    assert manager.words() == ["RELOADING", "READY"]


def test_reload_during_the_start_does_not_say_that_it_is_over(
    bench: Bench, manager: Manager
) -> None:
    with bench.announcer.reloading():
        pass
    assert manager.words() == []
    bench.tell()
    with bench.announcer.reloading():
        pass
    assert manager.words()[-2:] == ["RELOADING", "READY"]
