"""The service's parts in their order, what it does when one hangs or dies, and other settings."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.errors import ExitCode, SurroundingsError
from daemon.host.loop import Loop
from daemon.host.standstill import HANGING_S
from daemon.service.main import Service
from daemon.service.part import start
from daemon.service.preparation import prepare_folders
from daemon.settings.config import Config


class Stand:
    """In the place of any part: notes what is asked of it, and has nothing to do."""

    waits = holdings = foreign = seats = lacking = ()
    reached = failed = 0
    quiet, looked, restored, filing, busy = True, True, True, False, False
    patience_s = 0.0

    def __init__(self, name: str, log: list[str]) -> None:
        self.loop = Loop(name, lambda _: self._round, lambda _: None, retry_s=0.0)
        self._name = name
        self._log = log
        self.settings: list[float | None] = []
        self.left: Any = []
        self.busy = False

    def __len__(self) -> int:
        return 0

    def _round(self) -> None:
        self.loop.rest()

    def start(self) -> None:
        self._log.append(f"start {self._name}")
        self.loop.start()

    def change(self, config: Config, devices: list[str]) -> None:
        self.settings.append(config.settle_s)

    def stop(self) -> None:
        self._log.append(f"stop {self._name}")
        self.loop.stop()

    def join(self, timeout_s: float) -> None:
        self._log.append(f"join {self._name}")

    def tick(self, *_: object, **__: object) -> bool:
        return False

    def shown(self) -> list[object]:
        return []

    def warm(self) -> bool:
        return True


NAMES = ("intake", "delivery", "runs", "server", "neighbours", "notifier", "gallery")


class Bench:
    """A service whose parts only note what is asked of them."""

    def __init__(self, config: Config, *, once: bool) -> None:
        self.log: list[str] = []
        fresh = config.model_copy(update={"settle_s": 7.0})
        self.service = service = Service(config, ["cpu"], lambda: (fresh, ["cpu"]), once=once)
        self.parts = parts = {name: Stand(name, self.log) for name in NAMES}
        parts["neighbours"].left = frozenset

        def make_parts() -> None:
            service._parts = tuple(parts.values())  # type: ignore[assignment]
            for name in NAMES:
                setattr(service, f"_{name}", parts[name])
            service._loops = {"inbox": parts["intake"].loop, "outbox": parts["delivery"].loop}
            service._metrics = SimpleNamespace(  # type: ignore[assignment]
                show_paused=lambda _: None,
                show_queue=lambda *_, **__: None,
                show_seats=lambda _: None,
            )
            service._copies = SimpleNamespace(awaited=lambda restored: False)  # type: ignore[assignment]

        self.make_parts = service._make_parts = make_parts  # type: ignore[method-assign]
        service._signals.heed = lambda: None  # type: ignore[method-assign]


@pytest.fixture
def make(config: Config, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bench]:
    monkeypatch.setattr("daemon.status.logs.start_logging", lambda config: None)
    monkeypatch.setattr("daemon.status.logs.keep_job_logs", lambda spool: None)

    def make(*, once: bool = False) -> Bench:
        bench = Bench(config, once=once)
        bench.make_parts()
        return bench

    return make


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    return make()


def test_parts_are_started_stopped_and_then_waited_for_in_one_order(
    make: Callable[..., Bench],
) -> None:
    bench = make(once=True)
    assert bench.service.run() is ExitCode.FINE
    steps = [f"{step} {name}" for step in ("start", "stop", "join") for name in NAMES]
    assert bench.log == steps


def test_way_down_ends_pictures_before_runs_and_runs_before_children_and_hooks(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real parts in the order that `_shut_down` explains."""
    service = Service(config, ["cpu"], lambda: (config, ["cpu"]))
    service._ledger = SimpleNamespace()  # type: ignore[assignment]
    service._make_parts()
    kinds = [type(part).__name__ for part in service._parts]
    assert kinds == [
        "IntakeLoop",
        "Delivery",
        "Runs",
        "WebServer",
        "Neighbours",
        "Notifier",
        "GalleryKeeper",
    ]


def spoil_the_inbox(config: Config) -> None:
    """From now on its folders cannot be made."""
    config.inbox.rmdir()
    config.inbox.write_text("no folder")


def test_reload_that_cannot_make_a_folder_has_the_rest_in_force(
    bench: Bench, config: Config
) -> None:
    spoil_the_inbox(config)
    bench.service._signals.reload = True
    with pytest.raises(SurroundingsError, match="cannot be made"):
        bench.service._obey()
    assert {name: part.settings for name, part in bench.parts.items()} == {
        name: [7.0] for name in NAMES
    }
    bench.service._obey()
    assert all(part.settings == [7.0] for part in bench.parts.values())  # it was asked once


@pytest.mark.parametrize(("hanging", "part"), [("intake", "inbox"), ("delivery", "outbox")])
def test_share_that_does_not_answer_is_told(bench: Bench, hanging: str, part: str) -> None:
    for name in ("intake", "delivery", "gallery"):
        bench.parts[name].loop.start()
    loop = bench.parts[hanging].loop
    loop._clock = lambda: 0.0
    loop.begin("a.jpg")
    loop._clock = lambda: HANGING_S + 1
    bench.service._look_after()
    assert list(bench.service._health.troubles) == [part]
    assert bench.service._health.troubles[part] == (
        "a.jpg takes over 2 min there; does its disk or share answer?"
    )
    for name in ("intake", "delivery", "gallery"):
        bench.parts[name].loop.stop()


def test_thread_that_a_bug_has_ended_is_started_again_and_what_has_failed_is_kept(
    bench: Bench,
) -> None:
    bench.parts["intake"].loop.start()
    bench.parts["gallery"].loop.start()
    bench.parts["delivery"].failed = 2
    bench.service._look_after()
    assert bench.log == ["start delivery"]
    assert bench.service._delivery.failed == 2
    for name in ("intake", "delivery", "gallery"):
        assert bench.parts[name].loop.alive
        bench.parts[name].loop.stop()


def test_once_that_was_asked_to_stop_ends_well_whatever_lies_in_the_inbox(
    make: Callable[..., Bench],
) -> None:
    bench = make(once=True)
    bench.parts["intake"].left = ["a.jpg (in the inbox: not looked at yet)"]
    assert bench.service._exit_code() is ExitCode.JOB_FAILED
    bench.service._signals.stop = True
    assert bench.service._exit_code() is ExitCode.FINE
    bench.parts["delivery"].failed = 1
    assert bench.service._exit_code() is ExitCode.JOB_FAILED


def test_delivery_that_files_is_seen_whenever_the_ledgers_part_ends(bench: Bench) -> None:
    def owed() -> bool:  # the last job is published right before it is asked for
        bench.parts["delivery"].filing = True
        return False

    bench.service._ledger = SimpleNamespace(owed=owed, first_in=lambda _: None)  # type: ignore[assignment]
    for name in ("intake", "delivery", "gallery"):
        bench.parts[name].loop.start()
    assert bench.service._tick()
    for name in ("intake", "delivery", "gallery"):
        bench.parts[name].loop.stop()


def test_nothing_is_painted_before_copies_that_are_gone_were_made_again(bench: Bench) -> None:
    asked: list[bool] = []

    def awaited(*, restored: bool) -> bool:
        asked.append(restored)
        return not restored

    bench.service._copies = SimpleNamespace(awaited=awaited)  # type: ignore[assignment]
    bench.parts["intake"].restored = False
    assert bench.service._permit().line is None
    bench.parts["intake"].restored = True
    assert bench.service._permit().line is not None
    assert asked == [False, True]


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
        start(threading.Thread())  # type: ignore[arg-type]
