"""The part that has the gallery written, with a writer that only notes what is asked of it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.outbox.gallery.reconciled import Reconciled
from daemon.outbox.gallery.writer import GalleryError
from daemon.service import gallery as part
from daemon.service.gallery import GalleryKeeper
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health
from tests.support.atelier import wait_for


class NotingWriter:
    """In the place of `GalleryWriter`: notes what it is asked, and fails where it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.unseen: tuple[str, ...] = ()
        self.closed = 0

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.faults:
            raise self.faults.pop(what)

    def add(self, record: str) -> bool:
        self._note(f"add {record}")
        return record in self.unseen

    def add_sheet(self, listing: str) -> None:
        self._note(f"sheet {listing}")

    def reconcile(self, *, anew: bool = False) -> Reconciled:
        self._note("reconcile")
        unseen, self.unseen = self.unseen, ()
        return Reconciled(0, 0, 0, unseen)

    def shrink(self, record: str) -> bool:
        self._note(f"shrink {record}")
        return True

    def close(self) -> None:
        self.closed += 1


class Bench:
    """A part of the service, its writer, and its health."""

    def __init__(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(part, "RETRY_S", 0.0)
        config.outbox.mkdir(parents=True, exist_ok=True)
        self.config, self.writer, self.health = config, NotingWriter(), Health()
        self.keeper = GalleryKeeper(
            config,
            Spool(config.state),
            self.health,
            lambda *_: self.writer,  # type: ignore[arg-type, return-value]
        )

    def round(self) -> None:
        """One round, as its thread does it, with no rest after it."""
        self.keeper.loop.stop()
        with contextlib.ExitStack() as opened:
            self.keeper._set_up(opened)()


@pytest.fixture
def bench(config: Config, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(config.model_copy(update={"gallery": True}), monkeypatch)


@pytest.fixture
def running(bench: Bench) -> Iterator[Bench]:
    bench.keeper.start()
    yield bench
    bench.keeper.stop()
    bench.keeper.join(10.0)


def idle(bench: Bench) -> Callable[[], bool]:
    return lambda: not bench.keeper.busy


def test_start_brings_the_gallery_in_line_before_what_comes_is_added(running: Bench) -> None:
    assert running.keeper.busy or running.writer.asked
    wait_for("the first look", idle(running))
    running.keeper.add("a.json")
    running.keeper.add_sheet(Path("b.sheet.json"))
    wait_for("both", lambda: len(running.writer.asked) == 3)
    assert running.writer.asked == ["reconcile", "add a.json", "sheet b.sheet.json"]


def test_gallery_that_cannot_be_written_is_told_and_tried_again(running: Bench) -> None:
    wait_for("the first look", idle(running))
    running.writer.faults["add a.json"] = GalleryError("the gallery cannot be written: no room")
    running.keeper.add("a.json")
    wait_for("another look", lambda: running.writer.asked[1:] == ["add a.json", "reconcile"])
    wait_for("its end", idle(running))
    assert running.health.troubles == {}


def test_gallery_that_fails_keeps_no_run_once_waiting_and_its_exit_code_well(
    bench: Bench,
) -> None:
    bench.writer.faults["reconcile"] = SurroundingsError("Read-only file system")
    bench.round()
    assert not bench.keeper.busy
    assert "Read-only" in bench.health.troubles["gallery"] and not bench.health.essential


def test_gallery_that_is_switched_off_writes_nothing_and_waits_for_nothing(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(config.model_copy(update={"gallery": False}), monkeypatch)
    bench.keeper.add("a.json")
    bench.keeper.start()
    wait_for("its forgetting", lambda: bench.keeper._coming.empty())
    bench.keeper.stop()
    bench.keeper.join(10.0)
    assert not bench.keeper.busy and bench.writer.asked == []


def test_results_without_small_versions_get_them_newest_first_and_are_shown_then(
    running: Bench,
) -> None:
    running.writer.unseen = ("new.json", "old.json")
    running.keeper.change(running.config.model_copy(update={"gallery": False}))
    running.keeper.change(running.config)
    wait_for(
        "all", lambda: running.writer.asked[-1:] == ["reconcile"] and len(running.writer.asked) > 3
    )
    assert running.writer.asked[-4:] == [
        "reconcile",
        "shrink new.json",
        "shrink old.json",
        "reconcile",
    ]


def test_result_that_came_without_small_versions_gets_them(running: Bench) -> None:
    wait_for("the first look", idle(running))
    running.writer.unseen = ("a.json",)
    running.keeper.add("a.json")
    wait_for(
        "its being shown",
        lambda: running.writer.asked[-1] == "reconcile" and len(running.writer.asked) > 1,
    )
    assert running.writer.asked == ["reconcile", "add a.json", "shrink a.json", "reconcile"]


def test_result_that_its_process_does_not_survive_is_left_and_the_next_one_made(
    bench: Bench,
) -> None:
    bench.writer.unseen = ("new.json", "old.json")
    bench.writer.faults["shrink new.json"] = GalleryError("was ended by SIGKILL", lost=True)
    bench.keeper._writer = bench.writer  # type: ignore[assignment]
    for _ in range(2):
        bench.keeper._round()
    assert bench.writer.asked == ["reconcile", "shrink new.json", "shrink old.json", "reconcile"]


def test_outbox_that_is_mounted_no_more_is_not_looked_through(bench: Bench) -> None:
    bench.config.state.mkdir(parents=True, exist_ok=True)
    known = f'{{"{bench.config.outbox}": "{bench.config.outbox}"}}'
    (bench.config.state / "mounts.json").write_text(known)
    bench.round()
    assert bench.writer.asked == []
    assert "nothing is mounted" in bench.health.troubles["gallery"]
