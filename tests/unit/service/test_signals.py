"""What signals ask for, and the second one that ends the service at once."""

import os
import signal
from collections.abc import Iterator

import pytest

from daemon.service.signals import Signals

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    made = Signals()
    made.heed()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "asked"),
    [
        (signal.SIGTERM, "stop"),
        (signal.SIGINT, "stop"),
        (signal.SIGHUP, "reload"),
        (signal.SIGUSR1, "report"),
    ],
)
def test_each_signal_asks_for_its_own(signals: Signals, number: int, asked: str) -> None:
    os.kill(os.getpid(), number)
    flags = {name: getattr(signals, name) for name in ("stop", "reload", "report")}
    assert flags == {name: name == asked for name in flags}


def test_second_signal_to_stop_ends_at_once(signals: Signals) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
