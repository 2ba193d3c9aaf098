"""GPUs that others need are left to them, and taken up again when it has been calm for a while."""

import pytest
from loguru import logger

from daemon.pool.memory import DeviceMemory
from daemon.service import neighbours as module
from daemon.service.neighbours import CALM_S, Neighbours
from daemon.settings.config import Config
from tests.support.atelier import PATIENCE_S, wait_for

GIB = 1 << 30


def yielding(limit_bytes: int) -> Config:
    return Config.model_validate({"yield_gpu_when": {"memory_used_by_others_over": limit_bytes}})


class Street:
    """The neighbours of two GPUs, with what others use of each, and the time."""

    def __init__(self) -> None:
        self.used: dict[str, int | None] = {"cuda:0": 0, "cuda:1": 0}
        self.now_s = 1000.0
        self.neighbours = Neighbours(
            yielding(2 * GIB),
            ["cuda:0", "cuda:1", "cpu"],
            self._memory,
            clock=lambda: self.now_s,
        )

    def _memory(self) -> list[DeviceMemory]:
        """What others use, beside what our own worker does, and the processor's memory."""
        told = [DeviceMemory(name, 9 * GIB, 9 * GIB, 9, used) for name, used in self.used.items()]
        return [*told, DeviceMemory("cpu", 9 * GIB, 0, 9, 9 * GIB)]

    def left(self, *, after_s: float = 5.0, **used: int | None) -> set[str]:
        self.used |= {name.replace("cuda", "cuda:"): amount for name, amount in used.items()}
        self.now_s += after_s
        self.neighbours.look()
        return set(self.neighbours.left())


@pytest.fixture
def street() -> Street:
    return Street()


def test_device_is_left_while_others_use_more_than_they_may(street: Street) -> None:
    assert street.left() == set()
    assert street.left(cuda1=2 * GIB) == set()
    assert street.left(cuda1=2 * GIB + 1) == {"cuda:1"}
    assert street.left(after_s=1e4) == {"cuda:1"}


def test_device_is_taken_up_again_when_it_was_calm_for_a_while(street: Street) -> None:
    street.left(cuda0=3 * GIB)
    assert street.left(cuda0=0, after_s=CALM_S - 1) == {"cuda:0"}
    assert street.left(cuda0=3 * GIB, after_s=0.5) == {"cuda:0"}
    assert street.left(cuda0=0, after_s=CALM_S - 1) == {"cuda:0"}
    assert street.left(after_s=2.0) == set()


def test_our_own_worker_is_no_neighbour_and_the_processor_none_of_theirs(street: Street) -> None:
    assert street.left() == set()


def test_what_cannot_be_told_is_said_once_and_leaves_nothing(street: Street) -> None:
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")  # type: ignore[arg-type]
    assert street.left(cuda0=None) == street.left(cuda0=None) == set()
    logger.remove(sink)
    assert [line for line in said if "cannot be told" in line] == [
        "who uses cuda:0 cannot be told here, so it is never left to others (yield_gpu_when)\n"
    ]


def test_driver_that_raises_whatever_is_said_once_and_leaves_nothing_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    number = logger.add(lines.append, format="{level}")
    looks: list[bool] = []

    def memory() -> list[DeviceMemory]:
        looks.append(True)
        raise AttributeError("the library does not fit its driver")

    monkeypatch.setattr(module, "LOOK_S", 0.0)
    neighbours = Neighbours(yielding(2 * GIB), ["cuda:0"], memory)
    neighbours.start()
    wait_for("three looks", lambda: len(looks) >= 3)
    neighbours.stop()
    neighbours.join(PATIENCE_S)
    logger.remove(number)
    assert len(lines) == 1
    assert neighbours.left() == frozenset()


def test_other_limit_or_none_is_looked_at_as_if_for_the_first_time(street: Street) -> None:
    street.left(cuda0=3 * GIB)
    street.neighbours.change(yielding(4 * GIB), ["cuda:0"])
    street.neighbours.stop()
    street.neighbours.join(PATIENCE_S)
    assert street.left() == set()
    assert street.left(cuda0=4 * GIB + 1) == {"cuda:0"}
    street.neighbours.change(Config(), ["cuda:0"])
    assert street.neighbours.left() == frozenset()


def test_processors_are_looked_at_by_no_thread() -> None:
    def memory() -> list[DeviceMemory]:
        raise AssertionError("it was looked at")

    neighbours = Neighbours(yielding(1), ["cpu"], memory)
    neighbours.start()
    assert not neighbours._loop.alive


def test_neighbours_that_no_thread_can_be_had_for_harm_nothing(no_threads: None) -> None:
    neighbours = Neighbours(yielding(1), ["cuda:0"], list)
    neighbours.start()
    assert neighbours.left() == frozenset()
