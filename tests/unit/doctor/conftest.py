"""A configuration whose surroundings are sound."""

from pathlib import Path

import pytest
from PIL import Image

from daemon.settings.config import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folders = {name: tmp_path / name for name in ("inbox", "outbox", "presets", "state")}
    folders["presets"].mkdir()
    Image.new("RGB", (32, 32)).save(folders["presets"] / "wave.png")
    return Config().model_copy(update={**folders, "devices": "cpu"})
