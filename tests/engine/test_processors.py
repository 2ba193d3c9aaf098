"""What other programs compute beside a trial, by the kernel's own word."""

from pathlib import Path

import pytest

from daemon.engine.vgg import processors
from daemon.engine.vgg.processors import ProcessorTimes, processor_times, share_of_others

STAT = "cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n"


def between(own_s: float, all_s: float | None, threads: int = 2, clock_s: float = 10.0) -> float:
    """The share of others over so much time."""
    after = ProcessorTimes(100.0 + clock_s, 5.0 + own_s, None if all_s is None else 70.0 + all_s)
    return share_of_others(ProcessorTimes(100.0, 5.0, 70.0), after, threads)


def test_others_are_all_that_this_process_did_not_compute_itself() -> None:
    assert between(own_s=20.0, all_s=20.0) == 0.0
    assert between(own_s=12.0, all_s=20.0) == pytest.approx(0.4)
    assert between(own_s=10.0, all_s=20.0, threads=1) == pytest.approx(1.0)  # a core beside it


def test_counts_that_lag_behind_are_no_others() -> None:
    assert between(own_s=20.0, all_s=19.9) == 0.0
    assert between(own_s=0.0, all_s=0.0, clock_s=0.0) == 0.0


def test_where_the_kernel_does_not_tell_it_is_what_the_process_went_without() -> None:
    assert between(own_s=20.0, all_s=None) == 0.0
    assert between(own_s=13.0, all_s=None) == pytest.approx(0.35)


def test_time_of_waiting_and_of_guests_is_nobodys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stat = tmp_path / "stat"
    stat.write_text(STAT)
    monkeypatch.setattr(processors, "STAT", stat)
    assert processor_times().all_s == pytest.approx(1.71)  # guests are in `user` already


@pytest.mark.parametrize(
    "content", [None, "", "cpu\n", "cpu  0 0 0 0 0 0 0 0\n", "cpu x\n", "a 1\n"]
)
def test_kernel_that_tells_nothing_of_use_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    stat = tmp_path / "stat"
    if content is not None:
        stat.write_text(content)
    monkeypatch.setattr(processors, "STAT", stat)
    assert processor_times().all_s is None
