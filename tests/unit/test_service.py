"""What the service tells of itself: to its manager about a reload, and of shares that hang."""

import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.config import Config
from daemon.errors import SurroundingsError
from daemon.service import HANGING_S, Service


class Ear:
    """What the service manager heard, the first word of each message."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def words(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self._socket.recv(999).decode().partition("=")[0])
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def ear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "ear"))
    found = Ear(tmp_path / "ear")
    yield found
    found.close()


@pytest.fixture
def service(config: Config, ear: Ear, monkeypatch: pytest.MonkeyPatch) -> Service:
    """One that has been asked to read its configuration anew; its rooms only note what changes."""
    monkeypatch.setattr("daemon.logs.start_logging", lambda config: None)
    monkeypatch.setattr("daemon.logs.keep_job_logs", lambda spool: None)
    fresh = config.model_copy(update={"settle_s": 7.0})
    made = Service(
        config, ["cpu"], once=False, until=None, reread=lambda: (fresh, ["cpu"]),
        on_change=lambda live: None,
    )  # fmt: skip
    changed: list[Config] = []
    room = SimpleNamespace(
        changed=changed, change=lambda config, *_: changed.append(config), obey=lambda hooks: None,
        stop=lambda: None, pids=dict,
    )  # fmt: skip
    made._runs = made._delivery = made._intake = made._telling = made._neighbours = room
    made._reload_asked = True
    return made


def spoil_the_inbox(config: Config) -> None:
    """From now on its folders cannot be made."""
    config.inbox.rmdir()
    config.inbox.write_text("no folder")


def test_reload_that_cannot_make_a_folder_ends_for_the_manager_too(
    service: Service, config: Config, ear: Ear
) -> None:
    service._ready = True
    spoil_the_inbox(config)
    with pytest.raises(SurroundingsError, match="cannot be made"):
        service._obey()
    assert ear.words() == ["RELOADING", "READY"]


def test_reload_that_cannot_make_a_folder_has_the_rest_in_force(
    service: Service, config: Config
) -> None:
    spoil_the_inbox(config)
    with pytest.raises(SurroundingsError, match="cannot be made"):
        service._obey()
    told = service._intake.changed
    assert [one.settle_s for one in told] == [7.0, 7.0, 7.0]  # runs, delivery, intake


def test_reload_during_the_start_does_not_say_that_it_is_over(service: Service, ear: Ear) -> None:
    service._obey()
    assert ear.words() == []
    service._reload_asked = service._ready = True
    service._obey()
    assert ear.words() == ["RELOADING", "READY"]


@pytest.mark.parametrize(("hanging", "part"), [("_intake", "inbox"), ("_delivery", "outbox")])
def test_share_that_does_not_answer_is_told(service: Service, hanging: str, part: str) -> None:
    for room, seconds in (("_intake", 0.0), ("_delivery", 0.0), (hanging, HANGING_S + 1)):
        answer = SimpleNamespace(alive=True, at="a.jpg", hangs_s=lambda seconds=seconds: seconds)
        setattr(service, room, answer)
    service._revive()
    assert list(service._health.troubles) == [part]
    assert "does its disk or share answer?" in service._health.troubles[part]
    assert service._health.troubles[part].startswith("a.jpg takes over 2 min")
