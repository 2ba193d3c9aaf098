"""The engine as docs/engine.md shows it."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daemon.engine import engine
from daemon.engine.vgg.arithmetic import PLAIN
from daemon.engine.vgg.kernels import Kernels

DOCUMENT = Path(__file__).parents[2] / "docs" / "engine.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def test_document_paints_stops_and_resumes_as_it_says(
    photograph: Image.Image,
    thin_kernels: Kernels,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its code blocks run one after the other, as they stand, in a folder with two pictures."""
    photograph.crop((100, 0, 400, 300)).save(tmp_path / "photo.jpg")
    Image.open(DOCUMENT.parents[1] / "presets" / "starry.jpg").save(tmp_path / "painting.jpg")
    # Every machine's arithmetic: the trial of it takes longer than this painting.
    monkeypatch.setattr(engine, "choose_arithmetic", lambda *asked: PLAIN)
    monkeypatch.setattr(engine, "load_kernels", lambda *asked: thin_kernels)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in BLOCKS:
        exec(compile(block, str(DOCUMENT), "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20 and lines[0].startswith("1 1 ")
    first, last = (float(line.split()[2]) for line in (lines[0], lines[-1]))
    assert last < 0.5 * first
    painted = np.asarray(Image.open("painted.png")).astype(int)
    photo = np.asarray(Image.open("photo.jpg").convert("RGB").resize((64, 64))).astype(int)
    # Starry is another picture: 40 grey levels away; the codec and the filter are 5 away.
    assert painted.shape == photo.shape and np.abs(painted - photo).mean() > 20
