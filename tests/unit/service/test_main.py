"""What the service tells of itself: to its manager about a reload, and of shares that hang."""

import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.errors import ExitCode, SurroundingsError
from daemon.host.standstill import ONCE_GIVE_UP_S, Standstill
from daemon.job import Draft
from daemon.ledger.store import Ledger
from daemon.service.main import HANGING_S, Service, begin
from daemon.service.preparation import prepare_folders
from daemon.settings.config import Config
from daemon.status.live import Live, read_live


class Ear:
    """What the service manager heard, the first word of each message."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def words(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self._socket.recv(999).decode().partition("=")[0])
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "ear"))
    found = Ear(tmp_path / "ear")
    yield found
    found.close()


@pytest.fixture
def service(config: Config, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> Service:
    """One that has been asked to read its configuration anew; its rooms only note what changes."""
    monkeypatch.setattr("daemon.status.logs.start_logging", lambda config: None)
    monkeypatch.setattr("daemon.status.logs.keep_job_logs", lambda spool: None)
    fresh = config.model_copy(update={"settle_s": 7.0})
    made = Service(
        config,
        ["cpu"],
        once=False,
        until=None,
        reread=lambda: (fresh, ["cpu"]),
        on_change=lambda live: None,
    )
    changed: list[Config] = []
    room = SimpleNamespace(
        changed=changed,
        change=lambda config, *_: changed.append(config),
        obey=lambda hooks: None,
        stop=lambda: None,
        pids=dict,
        waits=(),
        holdings=(),
    )
    made._runs = made._delivery = made._intake = made._telling = made._neighbours = room
    made._server = SimpleNamespace(change=lambda config: None)  # type: ignore[assignment]
    made._reload_asked = True
    return made


def spoil_the_inbox(config: Config) -> None:
    """From now on its folders cannot be made."""
    config.inbox.rmdir()
    config.inbox.write_text("no folder")


def test_reload_that_cannot_make_a_folder_ends_for_the_manager_too(
    service: Service, config: Config, ear: Ear
) -> None:
    service._ready = True
    spoil_the_inbox(config)
    with pytest.raises(SurroundingsError, match="cannot be made"):
        service._obey()
    assert ear.words() == ["RELOADING", "READY"]


def test_reload_that_cannot_make_a_folder_has_the_rest_in_force(
    service: Service, config: Config
) -> None:
    spoil_the_inbox(config)
    with pytest.raises(SurroundingsError, match="cannot be made"):
        service._obey()
    told = service._intake.changed
    assert [one.settle_s for one in told] == [7.0, 7.0, 7.0]  # runs, delivery, intake


def test_reload_during_the_start_does_not_say_that_it_is_over(service: Service, ear: Ear) -> None:
    service._obey()
    assert ear.words() == []
    service._reload_asked = service._ready = True
    service._obey()
    assert ear.words() == ["RELOADING", "READY"]


@pytest.mark.parametrize(("hanging", "part"), [("_intake", "inbox"), ("_delivery", "outbox")])
def test_share_that_does_not_answer_is_told(service: Service, hanging: str, part: str) -> None:
    for room, seconds in (("_intake", 0.0), ("_delivery", 0.0), (hanging, HANGING_S + 1)):
        answer = SimpleNamespace(alive=True, at="a.jpg", hangs_s=lambda seconds=seconds: seconds)
        setattr(service, room, answer)
    service._revive()
    assert list(service._health.troubles) == [part]
    assert "does its disk or share answer?" in service._health.troubles[part]
    assert service._health.troubles[part].startswith("a.jpg takes over 2 min")


def test_nothing_is_painted_before_copies_that_are_gone_were_made_again(service: Service) -> None:
    service._neighbours.left = set  # type: ignore[attr-defined]
    service._intake.restored = False  # type: ignore[misc]
    service._lacking = 2
    assert service._permit().line is None
    assert "what 2 pictures wait for is gone" in service._health.essential["copies"]
    service._intake.restored = True  # type: ignore[misc]
    assert service._permit().line is not None and service._health.troubles == {}


class Rooms:
    """Runs, delivery, intake and hooks as a standstill sees them."""

    def __init__(self) -> None:
        self.running = self.reached = 0
        self.busy = False
        self.patience_s, self.at, self.hanging_s = 0.0, "", 0.0
        self.failed, self.left = 0, [""][:0]

    def __len__(self) -> int:
        return self.running

    def hangs_s(self) -> float:
        return self.hanging_s


@pytest.fixture
def waiting(service: Service, config: Config) -> Iterator[tuple[Service, Rooms, list[float]]]:
    """A service with --once whose rooms do nothing; with them, and what its clock shows."""
    rooms, clock = Rooms(), [0.0]
    service._ledger = Ledger(config.ledger_path)
    service._runs = service._delivery = service._intake = service._telling = rooms  # type: ignore[assignment]
    service._standstill = Standstill(lambda: clock[0])
    service._is_stuck()
    yield service, rooms, clock
    service._ledger.close()


def test_once_gives_up_when_nothing_gets_further_and_says_why(waiting) -> None:
    service, _, clock = waiting
    service._health.bad("outbox", SurroundingsError("a.jpg: Read-only file system"))
    clock[0] = ONCE_GIVE_UP_S
    assert not service._is_stuck()
    clock[0] += 1
    assert service._is_stuck()
    assert "outbox: a.jpg: Read-only file system" in service._health.essential["once"]


def test_once_names_the_picture_that_hangs_when_it_gives_up(waiting) -> None:
    service, rooms, clock = waiting
    rooms.at, rooms.hanging_s = "a.jpg", HANGING_S + 1
    clock[0] = ONCE_GIVE_UP_S + 1
    assert service._is_stuck()
    assert "outbox: a.jpg takes 121 s" in service._health.essential["once"]


def test_once_waits_for_what_runs_and_for_what_may_rightly_wait(waiting) -> None:
    service, rooms, clock = waiting
    rooms.running = 1
    clock[0] = 10 * ONCE_GIVE_UP_S
    assert not service._is_stuck()
    rooms.running, rooms.patience_s = 0, 60.0
    clock[0] += ONCE_GIVE_UP_S + 1
    assert not service._is_stuck()
    clock[0] += 60.0
    assert service._is_stuck()


@pytest.mark.parametrize("room", ["_intake", "_delivery"])
def test_once_waits_for_what_is_at_hand_and_not_for_what_hangs(waiting, room: str) -> None:
    service, _, clock = waiting
    busy = Rooms()
    setattr(service, room, busy)
    busy.hanging_s = HANGING_S - 1
    clock[0] = HANGING_S - 1
    assert not service._is_stuck()
    busy.hanging_s = HANGING_S + ONCE_GIVE_UP_S
    clock[0] = HANGING_S + ONCE_GIVE_UP_S
    assert service._is_stuck()


def test_once_waits_as_long_as_decoding_may_take(waiting) -> None:
    service, _, clock = waiting
    limits = service._config.limits.model_copy(update={"decode_s": 600.0})
    service._config = service._config.model_copy(update={"limits": limits})
    service._intake = Rooms()
    service._intake.hanging_s = clock[0] = 1000.0
    assert not service._is_stuck()


def test_once_that_was_asked_to_stop_ends_well_whatever_lies_in_the_inbox(waiting) -> None:
    service, rooms, _ = waiting
    service._once, rooms.left = True, ["a.jpg (in the inbox: not looked at yet)"]
    assert service._exit_code() is ExitCode.JOB_FAILED
    service._stop_asked = True
    assert service._exit_code() is ExitCode.FINE
    rooms.failed = 1
    assert service._exit_code() is ExitCode.JOB_FAILED


def test_delivery_that_files_is_seen_whenever_the_ledgers_part_ends(waiting) -> None:
    service, _, _ = waiting
    filing = [False]

    def owed() -> bool:  # the last job is published right before it is asked for
        filing[0] = True
        return False

    class Delivers(Rooms):
        alive = True
        filing = property(lambda _: filing[0])

        def wake(self) -> None:
            pass

    service._reload_asked = False
    service._delivery = Delivers()
    service._ledger = SimpleNamespace(owed=owed, first_in=lambda _: None, close=lambda: None)
    service._intake.alive, service._intake.tick = True, lambda _: None
    service._intake.go_on = lambda ledger, busy: False
    service._intake.left = lambda: ()
    service._neighbours = service._intake
    assert service._tick()


@pytest.mark.parametrize("further", ["copied", "queued", "hook"])
def test_once_goes_on_while_anything_gets_further(waiting, further: str) -> None:
    service, rooms, clock = waiting
    for number in range(4):
        clock[0] += 0.9 * ONCE_GIVE_UP_S
        if further == "copied":
            rooms.reached += 1
        elif further == "hook":
            rooms.busy = True
        else:
            service._ledger.add_picture(f"p{number}", Path("a.jpg"), None)
            draft = Draft(f"j{number}", "wave", Path("a.jpg"), {}, ())
            service._ledger.admit(
                f"p{number}", sha256="", size=1, width_px=1, height_px=1, drafts=[draft]
            )
        assert not service._is_stuck()


@pytest.mark.parametrize("fruitless", ["claims begun again", "starts"])
def test_once_gives_up_on_what_only_goes_back_and_forth(waiting, fruitless: str) -> None:
    service, _, clock = waiting
    service._ledger.add_picture("p", Path("a.jpg"), None)
    if fruitless == "starts":
        draft = Draft("j", "wave", Path("a.jpg"), {}, ())
        service._ledger.admit("p", sha256="", size=1, width_px=1, height_px=1, drafts=[draft])
        there = partial(service._ledger.claim_job, "me")
        back = partial(service._ledger.release_job, "j", "me")
    else:
        service._ledger.forget_picture("p")
        there = partial(service._ledger.add_picture, "p", Path("a.jpg"), None)
        back = partial(service._ledger.forget_picture, "p")
    assert not service._is_stuck()
    for _ in range(7):
        there()
        service._is_stuck()
        back()
        clock[0] += 5.0
        stuck = service._is_stuck()
    assert stuck


def test_once_gives_up_while_the_ledger_is_away(waiting, monkeypatch) -> None:
    service, _, clock = waiting

    def away() -> None:
        raise SurroundingsError("the ledger cannot be used")

    monkeypatch.setattr(service._ledger, "reached", away)
    clock[0] = ONCE_GIVE_UP_S + 1
    assert service._is_stuck()


def test_terminal_that_is_gone_ends_the_progress_and_not_the_service(
    service: Service, config: Config
) -> None:
    shown = []

    def show(live: Live) -> None:
        shown.append(live)
        raise OSError(5, "Input/output error")

    service._runs.shown = list
    service._on_change = show
    service._show()
    service._show()
    assert len(shown) == 1
    assert read_live(config.state) is not None


def test_mounts_that_cannot_be_kept_do_not_keep_the_service_from_its_start(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.state.mounts.mount_point", lambda folder: folder)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("daemon.state.mounts.files.write_bytes", refuse)
    prepare_folders(config)
    assert config.inbox.is_dir()


def test_service_without_a_thread_says_what_to_raise(no_threads: None) -> None:
    with pytest.raises(SurroundingsError, match="ulimit -u"):
        begin(threading.Thread())  # type: ignore[arg-type]
