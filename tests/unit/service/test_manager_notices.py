"""The words to the service manager, and who may hear them."""

import os
import socket
from pathlib import Path

import pytest

from daemon.service.manager import MOST_STATUS_CHARACTERS, Manager


@pytest.fixture
def ear(tmp_path: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    found.bind(str(tmp_path / "ear"))
    found.setblocking(False)
    return found


def manager(tmp_path: Path, **more: str) -> Manager:
    return Manager({"NOTIFY_SOCKET": str(tmp_path / "ear")} | more)


def test_words_are_those_of_sd_notify(tmp_path: Path, ear: socket.socket) -> None:
    one = manager(tmp_path)
    one.ready()
    one.stopping()
    one.reloading()
    assert [ear.recv(99) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]
    word, _, stamp = ear.recv(99).decode().partition("\n")
    assert word == "RELOADING=1"
    assert stamp.startswith("MONOTONIC_USEC=")
    ear.close()


def test_status_is_one_line_and_told_when_it_changes(tmp_path: Path, ear: socket.socket) -> None:
    one = manager(tmp_path)
    one.status("3 waiting\nREADY=1")
    one.status("3 waiting READY=1")
    one.status("x" * 999)
    assert ear.recv(999) == b"STATUS=3 waiting READY=1"
    assert ear.recv(999) == b"STATUS=" + b"x" * MOST_STATUS_CHARACTERS
    with pytest.raises(BlockingIOError):
        ear.recv(99)
    ear.close()


def test_abstract_socket_is_found(tmp_path: Path) -> None:
    name = f"atelierd-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name)
        Manager({"NOTIFY_SOCKET": "@" + name}).ready()
        assert ear.recv(99) == b"READY=1"


def test_variables_are_taken_out_of_the_environment() -> None:
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "9", "WATCHDOG_PID": "1", "HOME": "/"}
    Manager(environment)
    assert environment == {"HOME": "/"}


@pytest.mark.parametrize(
    ("variables", "due"),
    [
        ({"WATCHDOG_USEC": "60000000"}, True),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, False),  # somebody else's dog
        ({"WATCHDOG_USEC": "soon"}, False),
        ({}, False),
    ],
)
def test_watchdog_is_fed_where_one_waits(
    tmp_path: Path, ear: socket.socket, variables: dict[str, str], due: bool
) -> None:
    one = manager(tmp_path, **variables)
    assert one.ping_due() is due
    one.ping()
    assert not one.ping_due()
    ear.close()


def test_manager_that_is_gone_or_absent_is_no_harm(tmp_path: Path) -> None:
    Manager({}).ready()
    assert not Manager({}).listens
    deaf = manager(tmp_path, WATCHDOG_USEC="60000000")
    deaf.status("3 waiting")
    deaf.ping()
    assert deaf.ping_due()  # it was not heard


@pytest.mark.parametrize("address", ["/" + "x" * 200, "/nowhere/ear", "@" + "x" * 200, "a\0b"])
def test_address_that_nobody_can_be_told_at_harms_nothing(address: str) -> None:
    Manager({"NOTIFY_SOCKET": address}).ready()
