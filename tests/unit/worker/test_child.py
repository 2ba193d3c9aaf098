"""What the worker says of runs that fail."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from daemon.worker.child import Worker


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def worker(tmp_path: Path, out: io.StringIO) -> Worker:
    """A worker whose network is never asked for anything."""
    found = Worker("cpu", "", tmp_path, "float32", None, 60.0, out)
    found._engine = SimpleNamespace(device=torch.device("cpu"))  # type: ignore[assignment]
    return found


def said(out: io.StringIO) -> dict[str, Any]:
    """The last message."""
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def test_reason_can_be_kept_whatever_the_pictures_name_is(
    tmp_path: Path, worker: Worker, out: io.StringIO
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "picture", "JPEG")
    payload = {
        "name": "\udcff.jpg",
        "picture": str(tmp_path / "picture"),
        "max_pixels": 100,
        "recipe": {},
        "styles": [],
    }
    worker.run("j1", payload)
    reason = said(out)["result"]["reason"]
    assert reason.startswith(r"\udcff.jpg claims to be 64x64 px")
    reason.encode()  # the ledger could keep nothing else
