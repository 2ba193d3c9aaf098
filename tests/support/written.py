"""Results written for tests, and what other programs say of them."""

import atexit
import functools
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
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
ENDED = re.compile(r"\{ended (\d+)\}\n$")
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


class ExifTool:
    """An exiftool that stays for the tests to come: it loads its tables once. Ends with them."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["exiftool", "-stay_open", "True", "-@", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        atexit.register(self.close)

    def ask(self, arguments: Sequence[str]) -> str:
        """What it says. Raises CalledProcessError if it did not do what was asked."""
        assert self._process.stdin and self._process.stdout
        end = "-echo3", "{ended ${status}}", "-execute"
        self._process.stdin.write("".join(f"{word}\n" for word in (*arguments, *end)))
        self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            if found := ENDED.search(line):
                self._process.stdout.readline()  # {ready}
                said.append(line[: found.start()])
                if found[1] != "0":
                    raise subprocess.CalledProcessError(int(found[1]), arguments, "".join(said))
                return "".join(said)
            said.append(line)
        raise EOFError(f"exiftool has ended, when it was asked {arguments}")

    def close(self) -> None:
        """Ends it."""
        self._process.communicate("-stay_open\nFalse\n")


@functools.cache
def shared_exiftool() -> ExifTool:
    """The exiftool of this process."""
    return ExifTool()


def exiftool(*arguments: str | Path) -> str:
    """What exiftool says."""
    return shared_exiftool().ask([str(word) for word in arguments])


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
