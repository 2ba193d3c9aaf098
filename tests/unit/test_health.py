"""Troubles are said once when they begin and once when they end."""

from collections.abc import Iterator

import pytest
from loguru import logger

from daemon.health import Health


@pytest.fixture
def said() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message}")
    yield lines
    logger.remove(sink)


def test_trouble_is_said_once_while_it_lasts(said: list[str]) -> None:
    health = Health()
    for _ in range(3):
        health.bad("outbox", OSError("full"))
    assert [str(line) for line in said] == ["ERROR outbox: full\n"]
    assert health.troubles == {"outbox": "full"}


def test_trouble_that_changes_is_said_anew(said: list[str]) -> None:
    health = Health()
    health.bad("outbox", OSError("full"))
    health.bad("outbox", OSError("gone"))
    assert len(said) == 2 and health.troubles == {"outbox": "gone"}


def test_end_of_a_trouble_is_said_once(said: list[str]) -> None:
    health = Health()
    health.good("outbox")
    health.bad("outbox", OSError("full"))
    health.bad("inbox", OSError("gone"))
    health.good("outbox")
    health.good("outbox")
    assert [str(line) for line in said][2:] == ["INFO outbox: works again\n"]
    assert health.troubles == {"inbox": "gone"}
