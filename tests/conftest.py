"""Photographs for every test; what else a test needs is made beside it."""

import gc
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


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was loaded and collected stays to the end: nothing is to look through it for garbage."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets every process of a run begin with its share of the long tests, module by module.

    They start processes, paint or browse: in every folder but `unit`. One that begins last would
    keep a processor waiting for a minute.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    modules: dict[Path, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    unit = Path(__file__).parent / "unit"
    short = [item for item in items if item.path.is_relative_to(unit)]
    long = [found for path, found in modules.items() if not path.is_relative_to(unit)]
    share, ordered = -(-len(items) // count), list[pytest.Item]()
    for number in range(count):
        mine = [item for module in long[number::count] for item in module]
        left = max(0, share - len(mine))
        ordered += [*mine, *short[:left]]
        short = short[left:]
    items[:] = [*ordered, *short]
