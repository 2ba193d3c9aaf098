"""Runs end in the ledger, whatever it or the machine refuses at that moment."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.job import Draft, State
from daemon.ledger.store import EVERY, Ledger
from daemon.service.permit import Permit
from daemon.service.runs import Runs
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health
from daemon.status.metrics import Metrics
from tests.support.puppet import Puppet

ANYTHING = Permit(EVERY)


class Bench:
    """The runs of one device, one waiting job, and a ledger that can be told to refuse."""

    def __init__(self, root: Path) -> None:
        limits = Config().limits.model_copy(update={"free_bytes": 0})
        self.config = Config().model_copy(update={"state": root, "limits": limits})
        self.ledger = Ledger(self.config.ledger_path)
        self.health = Health()
        metrics = Metrics(self.config.ledger_path, ["cpu"], self.health, lambda: [])
        self.runs = Runs(
            self.config,
            ["cpu"],
            self.ledger,
            "me",
            Spool(root),
            self.health,
            metrics,
            lambda: None,
        )
        self.runs.start()
        self.ledger.add_picture("p1", Path("starry/photo.jpg"))
        draft = Draft("j1", "starry", Path("photo.jpg"), {"size": 64, "seed": 0}, ())
        self.ledger.admit("p1", sha256="", size=1, width_px=64, height_px=64, drafts=[draft])

    def refuse(self, method: str, times: int) -> None:
        """The ledger's method cannot be done so many times."""
        done: Callable[..., object] = getattr(self.ledger, method)
        left = [True] * times

        def call(*arguments: object, **more: object) -> object:
            if left:
                left.pop()
                raise SurroundingsError("the disk is full")
            return done(*arguments, **more)

        setattr(self.ledger, method, call)

    def state(self) -> State:
        return self.ledger.job("j1").state


@pytest.fixture
def bench(
    tmp_path: Path, children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    monkeypatch.setattr("daemon.service.runs.DRAIN_LOOK_S", 0.0)
    found = Bench(tmp_path)
    yield found
    found.ledger.close()


def test_end_that_the_ledger_could_not_be_told_at_once_is_told_while_draining(
    bench: Bench, children: list[Puppet]
) -> None:
    bench.runs.tick(ANYTHING)
    assert bench.state() is State.RUNNING
    bench.runs.stop_all("the service stops", 60.0)
    children[0].say(event="cancelled", run="j1")
    bench.refuse("release_job", times=2)
    bench.runs.drain(30.0)
    assert bench.state() is State.READY
    assert len(bench.runs) == 0


@pytest.mark.parametrize("method", ["picture", "memory_of"])
def test_job_that_the_ledger_could_not_tell_of_is_started_later(
    bench: Bench, children: list[Puppet], method: str
) -> None:
    bench.refuse(method, times=1)
    with pytest.raises(SurroundingsError):
        bench.runs.tick(ANYTHING)
    bench.runs._resting_until_s = 0.0
    bench.runs.tick(ANYTHING)
    bench.runs.tick(ANYTHING)
    assert children[0].heard[0]["do"] == "run"
    assert bench.state() is State.RUNNING and len(bench.runs) == 1


def test_worker_that_cannot_be_started_gives_its_job_back_once_the_ledger_takes_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    bench.refuse("release_job", times=1)
    with monkeypatch.context() as poor:
        poor.setattr("daemon.pool.local.Child", refuse)
        for _ in range(3):  # the start, its end refused, its end
            with contextlib.suppress(SurroundingsError):
                bench.runs.tick(ANYTHING)
    assert bench.state() is State.READY
    assert len(bench.runs) == 0


def test_worker_that_cannot_be_started_early_is_a_trouble_and_tried_again(
    bench: Bench, children: list[Puppet], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    with monkeypatch.context() as poor:
        poor.setattr("daemon.pool.local.Child", refuse)
        assert not bench.runs.warm()
    assert "no memory" in bench.health.troubles["worker"]
    bench.runs._warm_again_s = 0.0
    bench.runs.warm()
    assert len(children) == 1 and bench.health.troubles == {}
