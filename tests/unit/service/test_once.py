"""When `run --once` gives up on what does not get further, and what it says."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.host.loop import Loop
from daemon.host.standstill import HANGING_S, ONCE_GIVE_UP_S, Standstill
from daemon.job import Draft
from daemon.ledger.store import Ledger
from daemon.service.main import Service
from daemon.settings.config import Config


class Stand:
    """In the place of runs, hooks and intake, as a standstill sees them."""

    def __init__(self) -> None:
        self.running = self.reached = 0
        self.busy = False
        self.patience_s = 0.0

    def __len__(self) -> int:
        return self.running


class Bench:
    """A service with --once that does nothing, and what its clock shows."""

    def __init__(self, config: Config) -> None:
        self.now_s = 0.0
        self.service = service = Service(config, ["cpu"], lambda: (config, ["cpu"]), once=True)
        self.health = service._health
        self.ledger = service._ledger = Ledger(config.ledger_path)
        self.stand = service._runs = service._notifier = service._intake = Stand()  # type: ignore[assignment]
        self.loops = {part: self._loop(part) for part in ("inbox", "outbox")}
        service._loops = self.loops
        service._standstill = Standstill(lambda: self.now_s)
        self.gives_up()

    def _loop(self, name: str) -> Loop:
        return Loop(
            name, lambda _: lambda: None, lambda _: None, retry_s=0.0, clock=lambda: self.now_s
        )

    def gives_up(self) -> bool:
        return self.service._gives_up()


@pytest.fixture
def bench(config: Config) -> Iterator[Bench]:
    made = Bench(config)
    yield made
    made.ledger.close()


def test_once_gives_up_when_nothing_gets_further_and_says_why(bench: Bench) -> None:
    bench.health.bad("outbox", SurroundingsError("a.jpg: Read-only file system"))
    bench.now_s = ONCE_GIVE_UP_S
    assert not bench.gives_up()
    bench.now_s += 1
    bench.service._announcer.live.left = ["cuda:0"]
    bench.service._announcer.live.lacking = ["desk9"]
    assert bench.gives_up()
    why = bench.health.essential["once"]
    assert "outbox: a.jpg: Read-only file system" in why and "cuda:0 is left to others" in why
    assert "jobs ask for desk9, which no device offers (runs_on)" in why


def test_once_names_the_picture_that_hangs_when_it_gives_up(bench: Bench) -> None:
    bench.loops["outbox"].begin("a.jpg")
    bench.gives_up()
    bench.now_s = HANGING_S + 1
    assert bench.gives_up()
    assert "outbox: a.jpg takes 121 s" in bench.health.essential["once"]


def test_once_waits_for_what_runs_and_for_what_may_rightly_wait(bench: Bench) -> None:
    bench.stand.running = 1
    bench.now_s = 10 * ONCE_GIVE_UP_S
    assert not bench.gives_up()
    bench.stand.running, bench.stand.patience_s = 0, 60.0
    bench.now_s += ONCE_GIVE_UP_S + 1
    assert not bench.gives_up()
    bench.now_s += 60.0
    assert bench.gives_up()


@pytest.mark.parametrize("part", ["inbox", "outbox"])
def test_once_waits_for_what_is_at_hand_and_not_for_what_hangs(bench: Bench, part: str) -> None:
    bench.loops[part].begin("a.jpg")
    bench.now_s = HANGING_S - 1
    assert not bench.gives_up()
    bench.now_s = HANGING_S + ONCE_GIVE_UP_S
    assert bench.gives_up()


def test_once_waits_as_long_as_decoding_may_take(bench: Bench) -> None:
    settings = bench.service._config
    limits = settings.limits.model_copy(update={"decode_s": 600.0})
    bench.service._config = settings.model_copy(update={"limits": limits})
    bench.loops["inbox"].begin("a.jpg")
    bench.now_s = 1000.0
    assert not bench.gives_up()


@pytest.mark.parametrize("further", ["copied", "painted", "queued", "hook"])
def test_once_goes_on_while_anything_gets_further(bench: Bench, further: str) -> None:
    for number in range(4):
        bench.now_s += 0.9 * ONCE_GIVE_UP_S
        if further == "copied":
            bench.loops["outbox"].step("a.jpg")
            bench.loops["outbox"].end()
        elif further == "painted":
            bench.stand.reached += 1
        elif further == "hook":
            bench.stand.busy = True
        else:
            bench.ledger.add_picture(f"p{number}", Path("a.jpg"))
            draft = Draft(f"j{number}", "wave", Path("a.jpg"), {}, ())
            bench.ledger.admit(
                f"p{number}", sha256="", size=1, width_px=1, height_px=1, drafts=[draft]
            )
        assert not bench.gives_up()


@pytest.mark.parametrize("fruitless", ["claims begun again", "starts"])
def test_once_gives_up_on_what_only_goes_back_and_forth(bench: Bench, fruitless: str) -> None:
    bench.ledger.add_picture("p", Path("a.jpg"))
    if fruitless == "starts":
        draft = Draft("j", "wave", Path("a.jpg"), {}, ())
        bench.ledger.admit("p", sha256="", size=1, width_px=1, height_px=1, drafts=[draft])
        there = partial(bench.ledger.claim_job, "me")
        back = partial(bench.ledger.release_job, "j", "me")
    else:
        bench.ledger.forget_picture("p")
        there = partial(bench.ledger.add_picture, "p", Path("a.jpg"))  # type: ignore[assignment]
        back = partial(bench.ledger.forget_picture, "p")
    assert not bench.gives_up()
    for _ in range(7):
        there()
        bench.gives_up()
        back()
        bench.now_s += 5.0
        stuck = bench.gives_up()
    assert stuck


def test_once_gives_up_while_the_ledger_is_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise SurroundingsError("the ledger cannot be used")

    monkeypatch.setattr(bench.ledger, "reached", away)
    bench.now_s = ONCE_GIVE_UP_S + 1
    assert bench.gives_up()
