"""Troubles are said when they begin and when they end, and not at every turn."""

from collections.abc import Iterator

import pytest
from loguru import logger

from daemon.errors import SeveralError
from daemon.status.health import QUIET_S, Health


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(line.rstrip("\n")), format="{level} {message}")
    yield lines
    logger.remove(sink)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


FULL, GONE = OSError("full"), OSError("gone")


def test_trouble_is_said_once_while_it_lasts(said: list[str]) -> None:
    clock = Clock()
    health = Health(clock)
    for _ in range(3):
        health.bad("outbox", FULL)
        clock.now_s += QUIET_S
    assert said == ["ERROR outbox: full"]
    assert health.troubles == {"outbox": "full"}


def test_trouble_that_changes_is_said_anew(said: list[str]) -> None:
    health = Health(Clock())
    health.bad("outbox", FULL)
    health.bad("outbox", GONE)
    assert len(said) == 2 and health.troubles == {"outbox": "gone"}


def test_end_of_a_trouble_is_said_once(said: list[str]) -> None:
    health = Health(Clock())
    health.good("outbox")
    health.bad("outbox", FULL)
    health.bad("inbox", GONE)
    health.good("outbox")
    health.good("outbox")
    assert said[2:] == ["INFO outbox: works again"]
    assert health.troubles == {"inbox": "gone"}


def test_troubles_of_one_part_stand_side_by_side(said: list[str]) -> None:
    health = Health(Clock())
    health.bad("inbox", SeveralError([FULL, GONE]))
    assert health.troubles == {"inbox": "full; gone"}
    assert said == ["ERROR inbox: full", "ERROR inbox: gone"]


def test_two_troubles_by_turns_are_said_once_each_and_not_for_days(said: list[str]) -> None:
    clock = Clock()
    health = Health(clock)
    for _ in range(10_000):
        health.bad("inbox", FULL)
        clock.now_s += 5.0
        health.bad("inbox", GONE)
        clock.now_s += 5.0
    assert said == ["ERROR inbox: full", "ERROR inbox: gone"]


def test_trouble_that_comes_and_goes_is_said_once_with_its_end(said: list[str]) -> None:
    clock = Clock()
    health = Health(clock)
    for _ in range(100):
        health.bad("outbox", FULL)
        clock.now_s += 5.0
        health.good("outbox")
        clock.now_s += 5.0
    # The end is said again where the last word on it is older than the quiet time.
    assert said[:2] == ["ERROR outbox: full", "INFO outbox: works again"]
    assert said[2:] == []


def test_log_ends_with_how_it_is_where_that_lasts(said: list[str]) -> None:
    clock = Clock()
    health = Health(clock)
    health.bad("outbox", FULL)
    health.good("outbox")
    health.bad("outbox", FULL)
    assert len(said) == 2
    clock.now_s += QUIET_S
    health.bad("outbox", FULL)
    assert said[2:] == ["ERROR outbox: full"]


def test_end_that_lasts_is_said_however_often_it_came_before(said: list[str]) -> None:
    clock = Clock()
    health = Health(clock)
    health.bad("outbox", FULL)
    health.good("outbox")
    health.bad("outbox", GONE)
    health.good("outbox")
    assert said[2:] == ["ERROR outbox: gone"]
    clock.now_s += QUIET_S
    health.good("outbox")
    assert said[3:] == ["INFO outbox: works again"]


def test_trouble_after_a_quiet_time_is_news(said: list[str]) -> None:
    clock = Clock()
    health = Health(clock)
    for _ in range(2):
        health.bad("outbox", FULL)
        health.good("outbox")
        clock.now_s += QUIET_S
    assert said == ["ERROR outbox: full", "INFO outbox: works again"] * 2


def test_many_troubles_at_once_are_the_first_by_name_and_how_many_more(said: list[str]) -> None:
    health = Health(Clock())
    health.bad("inbox", *(OSError(f"{number}.jpg is closed") for number in range(25)))
    assert len(said) == 21
    assert (
        said[0] == "ERROR inbox: 0.jpg is closed" and said[-1] == "ERROR inbox: and 5 more troubles"
    )
    told = health.troubles["inbox"]
    assert told.startswith("0.jpg is closed; 1.jpg is closed; ") and told.endswith("; and 5 more")


def test_part_that_is_only_an_extra_is_no_essential_trouble() -> None:
    health = Health(Clock())
    health.bad("metrics", FULL)
    assert health.troubles and not health.essential
    health.bad("inbox", GONE)
    assert health.essential == {"inbox": "gone"}


def test_bug_is_told_once_with_its_trace(said: list[str]) -> None:
    health = Health(Clock())
    for _ in range(3):
        health.bad("service", ValueError("no such thing"))
    assert health.troubles == {
        "service": "stumbled over a bug and goes on: ValueError('no such thing')"
    }
    assert len(said) == 1 and "ValueError: no such thing" in said[0].splitlines()[-1]
