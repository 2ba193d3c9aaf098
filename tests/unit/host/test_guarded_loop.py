"""Rounds that no fault ends, and a thread that is told when it hangs, to stop and to begin anew."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from daemon.host.loop import Loop, Round
from tests.support.atelier import PATIENCE_S, wait_for


class Bench:
    """A loop whose set-up and rounds are told what to do; `log` is what happened, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.now_s = 100.0
        self.set_up_faults: list[Exception] = []
        self.round_faults: list[BaseException] = []
        self.loop = Loop(
            "bench",
            self._set_up,
            lambda error: self.log.append(repr(error)),
            retry_s=0.0,
            on_end=lambda: self.log.append("end"),
            clock=lambda: self.now_s,
        )

    def _set_up(self, opened: contextlib.ExitStack) -> Round:
        self.log.append("set up")
        opened.callback(self.log.append, "closed")
        if self.set_up_faults:
            raise self.set_up_faults.pop()
        return self._round

    def _round(self) -> None:
        self.log.append("round")
        if self.round_faults:
            raise self.round_faults.pop()
        self.loop.rest()

    def rounds(self, count: int) -> None:
        wait_for(f"{count} rounds", lambda: self.log.count("round") == count)

    def end(self) -> None:
        self.loop.stop()
        self.loop.join(PATIENCE_S)
        assert not self.loop.alive


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.end()


def test_loop_sets_up_once_and_goes_round_whenever_it_is_woken(bench: Bench) -> None:
    bench.loop.start()
    for count in (1, 2, 3):
        bench.rounds(count)
        bench.loop.wake()
    bench.rounds(4)
    bench.end()
    assert bench.log == ["set up", *["round"] * 4, "closed", "end"]


@pytest.mark.parametrize("where", ["set_up_faults", "round_faults"])
def test_fault_is_told_and_all_is_closed_and_set_up_anew(bench: Bench, where: str) -> None:
    getattr(bench, where).append(ValueError("a bug"))
    bench.loop.start()
    wait_for("a new start", lambda: bench.log.count("set up") == 2)
    bench.end()
    before = bench.log[: bench.log.index("ValueError('a bug')")]
    assert before == ["set up", *(["round"] if where == "round_faults" else []), "closed"]
    assert bench.log[-1] == "end"


def test_loop_that_is_to_begin_anew_does_so_after_the_round_at_hand(bench: Bench) -> None:
    bench.loop.start()
    bench.rounds(1)
    bench.loop.renew()
    bench.rounds(2)
    bench.end()
    assert bench.log == ["set up", "round", "closed", "set up", "round", "closed", "end"]


def test_thread_that_has_ended_otherwise_can_be_started_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda hook: None)
    bench.round_faults.append(SystemExit())
    bench.loop.start()
    wait_for("its end", lambda: not bench.loop.alive)
    bench.loop.start()
    bench.rounds(2)
    assert bench.loop.alive


def test_loop_that_was_stopped_can_be_started_again(bench: Bench) -> None:
    bench.loop.start()
    bench.rounds(1)
    bench.end()
    bench.loop.start()
    bench.rounds(2)
    assert not bench.loop.stopping


def test_loop_that_no_thread_can_be_had_for_says_so_and_is_not_alive(no_threads: None) -> None:
    made = Bench()
    with pytest.raises(RuntimeError, match="can't start new thread"):
        made.loop.start()
    assert not made.loop.alive
    made.end()


def hold(bench: Bench) -> Callable[[], None]:
    """Lets the next round begin something and hang; what lets it end."""
    asked, answer = threading.Event(), threading.Event()

    def hang() -> None:
        bench.loop.begin("a.jpg")
        asked.set()
        answer.wait(PATIENCE_S)

    bench._round = hang  # type: ignore[method-assign]
    bench.loop.start()
    assert asked.wait(PATIENCE_S)
    return answer.set


def test_what_hangs_is_known_by_name_and_for_how_long_until_the_round_ends(bench: Bench) -> None:
    let_go = hold(bench)
    bench.now_s += 130.0
    assert (bench.loop.at, bench.loop.hangs_s()) == ("a.jpg", 130.0)
    bench.loop.stop()
    let_go()
    bench.end()
    assert bench.loop.hangs_s() == 0.0


def test_what_gets_further_does_not_hang_and_counts_once_however_often_it_is_begun() -> None:
    bench = Bench()
    for _ in range(2):
        bench.loop.begin("a.jpg")
        bench.now_s += 100.0
        bench.loop.step("a.jpg")
    assert bench.loop.hangs_s() == 0.0 and bench.loop.reached == 1
    bench.loop.step("a.jpg")
    assert bench.loop.reached == 2


def test_fault_while_something_is_at_hand_leaves_nothing_hanging(bench: Bench) -> None:
    def stumble() -> None:
        bench.log.append("round")
        bench.loop.begin("a.jpg")
        bench.loop.stop()
        raise ValueError("a bug")

    bench._round = stumble  # type: ignore[method-assign]
    bench.loop.start()
    bench.loop.join(PATIENCE_S)
    assert bench.log[-2:] == ["ValueError('a bug')", "end"] and bench.loop.hangs_s() == 0.0
