"""Results written for tests, and what other programs say of them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from daemon.pictures.form import ResultForm
from daemon.pictures.picture import Picture
from daemon.pictures.read import read_picture
from daemon.pictures.write import write_picture

NOTE: dict[str, Any] = {
    "id": "4f2a",
    "preset": "<starry> & \"co\" 'x' ]]> --",
    "text": "Пейзаж, 夜景, é",
    "recipe": {"size": 512, "steps": 200},
}
EXIFTOOL = shutil.which("exiftool")
needs_exiftool = pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")


def picture_like(size: tuple[int, int] = (96, 64), **more: Any) -> Picture:
    """The picture a result goes back to, black."""
    return Picture(np.zeros((size[1], size[0], 3), np.uint8), **more)


def write(
    path: Path,
    pixels: Any,
    source: Picture | None = None,
    *,
    warned: list[str] | None = None,
    **form: Any,
) -> Path:
    """Writes a result; what could not go along is added to `warned`, or there must be nothing."""
    with path.open("w+b") as file:
        warnings = write_picture(
            file,
            np.asarray(pixels),
            name=path.name,
            like=source or picture_like(),
            note=NOTE,
            form=ResultForm(**form),
        )
    if warned is None:
        assert warnings == ()
    else:
        warned += warnings
    return path


def levels_of(path: Path) -> NDArray[Any]:
    """The levels of a PNG or TIFF in all their bits, by other programs' readers."""
    if path.suffix == ".tif":
        found: NDArray[Any] = tifffile.imread(path)
        return found
    return imagecodecs.png_decode(path.read_bytes())


def exiftool(*arguments: str | Path) -> str:
    """What exiftool says."""
    return subprocess.run(
        ["exiftool", *map(str, arguments)], check=True, capture_output=True, text=True
    ).stdout


def tags_of(path: Path, *names: str) -> dict[str, Any]:
    """The tags of a file by group and name, as exiftool reads them."""
    found: list[dict[str, Any]] = json.loads(
        exiftool("-json", "-G1", "-n", "-struct", *(f"-{name}" for name in names), path)
    )
    return {key: value for key, value in found[0].items() if key != "SourceFile"}


def read(path: Path) -> Picture:
    """What the product reads of a file."""
    with path.open("rb") as file:
        return read_picture(file, path.name)
