"""One look at the service for all who watch: what is new is told, and nothing else."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.page import watch
from daemon.page.watch import LedgerClock, LossCourse, Watcher
from daemon.settings.config import Config
from daemon.state.lock import hold
from daemon.status.live import Live, RunningJob, write_live
from tests.unit.page.conftest import Desk


def painted(step: int, job: str = "a1") -> Live:
    """What a service tells while it paints."""
    losses = {"content": 1.0, "style": 2.0}
    run = RunningJob(job, "x.jpg", "quick", "cpu", 1, 1, step, 100, 3.0, losses)
    return Live(1, "", written_at=f"{step}", running=[run])


@pytest.fixture
def watcher(config: Config) -> Iterator[Watcher]:
    """A watcher of folders in which nothing runs."""
    watcher = Watcher(config)
    yield watcher
    watcher._clock.close()


def test_nothing_is_new_while_nothing_changes_but_the_time(
    watcher: Watcher, config: Config
) -> None:
    async def looks() -> list[int]:
        seen = []
        for written_at in ("1", "2", "3"):
            write_live(config.state, Live(1, "", written_at=written_at))
            await watcher.look()
            seen.append(watcher.seen.now)
        return seen

    first, *others = asyncio.run(looks())
    assert others == [first, first]


def test_step_pause_and_end_of_the_service_are_new(watcher: Watcher, config: Config) -> None:
    async def looks() -> None:
        write_live(config.state, painted(1))
        await watcher.look()
        before = watcher.seen
        write_live(config.state, painted(2))
        await watcher.look()
        assert watcher.seen.now == before.now + 1
        (config.state / "paused").touch()
        await watcher.look()
        assert watcher.seen.now == before.now + 2
        lock = hold(config.state)
        await watcher.look()
        assert watcher.seen.running
        lock.release()
        await watcher.look()
        assert not watcher.seen.running

    asyncio.run(looks())


def test_losses_are_kept_for_who_comes_later_and_no_longer_than_the_job(
    watcher: Watcher, config: Config
) -> None:
    async def looks() -> None:
        for step in (1, 2, 2, 5):
            write_live(config.state, painted(step))
            await watcher.look()
        columns = watcher.courses["a1"].columns
        assert columns["step"] == [1, 2, 5] and columns["total"] == [3.0, 3.0, 3.0]
        write_live(config.state, painted(1, "b2"))
        await watcher.look()
        assert list(watcher.courses) == ["b2"]

    asyncio.run(looks())


def test_course_of_many_steps_stays_small_and_keeps_its_beginning() -> None:
    course = LossCourse()
    for step in range(1, 5000):
        course.add(1, step, {"total": 1.0 / step})
    lengths = {len(values) for values in course.columns.values()}
    assert len(lengths) == 1 and watch.MOST_POINTS / 2 <= lengths.pop() <= watch.MOST_POINTS + 1
    assert course.columns["step"][0] == 1
    assert course.columns["step"] == sorted(set(course.columns["step"]))


def test_change_of_the_ledger_is_noticed_whoever_made_it(desk: Desk) -> None:
    clock = LedgerClock(desk.config.ledger_path)
    nothing = clock.look()
    desk.add()
    made = clock.look()
    assert made > nothing and clock.look() == made
    desk.add()
    assert clock.look() == made + 1
    desk.config.ledger_path.rename(desk.config.state / "aside")
    for ending in ("-wal", "-shm"):
        Path(f"{desk.config.ledger_path}{ending}").unlink(missing_ok=True)
    desk.add()
    assert clock.look() > made + 1
    clock.close()


def test_watcher_is_told_how_things_are_and_then_what_is_new(
    watcher: Watcher, config: Config
) -> None:
    async def listens() -> None:
        events = watcher.events()
        first = json.loads((await anext(events)).removeprefix("data: "))
        assert first == {"running": False, "now": 0, "ledger": 0}
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        write_live(config.state, painted(1))
        await watcher.look()
        news = json.loads((await waiting).removeprefix("data: "))
        assert news["now"] == 1
        assert watcher._watchers == 1
        await events.aclose()
        assert watcher._watchers == 0

    asyncio.run(listens())
