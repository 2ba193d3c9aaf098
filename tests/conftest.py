"""Photographs for every test; what else a test needs is made beside it."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import skimage.data
from hypothesis import HealthCheck, settings
from PIL import Image

from tests.support import atelier
from tests.support.atelier import Studio

# Hypothesis fails an example that takes over 200 ms: on a busy machine any does once.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(scope="session")
def photograph() -> Image.Image:
    """A real photograph, 512x512 px, RGB."""
    return Image.fromarray(skimage.data.astronaut())


@pytest.fixture(scope="session", autouse=True)
def shared_timings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The trial of arithmetic is made once for all tests of a run, not in every state folder."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    atelier.TIMINGS = shared / "arithmetic.json"


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """Folders and a quick preset of the test's own, with puppets for workers; nothing runs yet."""
    return Studio(tmp_path / "atelier", paints=False)


@pytest.fixture
def painting_studio(tmp_path: Path) -> Studio:
    """The same, but its workers really paint."""
    return Studio(tmp_path / "atelier")


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files name what goes wrong with the workers that are puppets, meanwhile."""
    folder = tmp_path / "faults"
    folder.mkdir()
    monkeypatch.setenv("PUPPET_FAULTS", str(folder))
    return folder


@pytest.fixture
def port() -> Iterator[int]:
    """A port of 127.0.0.1 at which nobody listens and that is given to nobody else meanwhile.

    It is bound all the time; who asks for the address by name, as servers do, gets it all the same.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@pytest.fixture
def photo_file(photograph: Image.Image, tmp_path: Path) -> Callable[..., Path]:
    """Makes a file of the photograph, below the test's folder unless the path is absolute."""

    def make(path: str | Path = "photo.jpg", size_px: int = 64) -> Path:
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        photograph.resize((size_px, size_px)).save(target)
        return target

    return make
