"""Seconds, bytes and memory of writing a painted texture, each form in a fresh process.

Run as `python bench/writing.py [--megapixels N]`. Seconds are the processor's; memory is the peak
above what the process held with the painting in it, as the kernel counts it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from surroundings import ROOT

from daemon.pictures.picture import Picture
from daemon.pictures.profiles import DISPLAY_P3, rgb_profile
from daemon.pictures.write import write_picture

FORMS = {
    "JPEG": ("a.jpg", {}),
    "JPEG, Display P3": ("a.jpg", {"profile": rgb_profile(DISPLAY_P3)}),
    "PNG": ("a.png", {}),
    "PNG, 16 bits": ("a.png", {"bits": 16}),
    "TIFF": ("a.tif", {}),
    "TIFF, 16 bits": ("a.tif", {"bits": 16}),
    "TIFF, 16 bits, Display P3": ("a.tif", {"bits": 16, "profile": rgb_profile(DISPLAY_P3)}),
    "WebP": ("a.webp", {}),
    "WebP, lossless": ("a.webp", {"lossless": True}),
}


def texture(megapixels: float) -> NDArray[np.float32]:
    """A photograph under strokes and grain, (H, W, 3) in 0..1, made band by band."""
    width = int((megapixels * 1e6 * 4 / 3) ** 0.5)
    size = width, width * 3 // 4
    with Image.open(ROOT / "docs/images/rocket.jpg") as opened:
        photograph = np.asarray(opened.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    result = np.empty(photograph.shape, np.float32)
    chance = np.random.default_rng(0)
    np.divide(photograph, np.float32(255), out=result)
    for cell_px, share in ((2, 1 / 24), (16, 1 / 3)):
        shape = size[1] // cell_px + 1, size[0] // cell_px + 1, 3
        cells = Image.fromarray(chance.integers(0, 256, shape, np.uint8))
        noise = np.asarray(cells.resize(size, Image.Resampling.BICUBIC))
        for top in range(0, size[1], 256):
            band = slice(top, top + 256)
            result[band] += (noise[band] / np.float32(255) - np.float32(0.5)) * np.float32(share)
    return result


def status_bytes(key: str) -> int:
    """What the kernel says of this process's memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(key))


def one(form: str, megapixels: float) -> None:
    """Writes one form and prints what it took."""
    name, said = FORMS[form]
    pixels = texture(megapixels)
    like = Picture(pixels[:, :, :], **said)  # type: ignore[arg-type]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    held, began = status_bytes("VmRSS"), time.process_time()
    with tempfile.TemporaryFile() as file:
        write_picture(file, pixels, name=name, like=like, note={})
        seconds, written = time.process_time() - began, file.seek(0, 2)
    above = status_bytes("VmHWM") - held
    print(
        f"{form:28}{seconds:8.1f} s{written / 1e6:9.1f} MB{above / 1e6:9.0f} MB above", flush=True
    )


def main() -> None:
    """One form, or each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=24.0)
    parser.add_argument("--form", choices=FORMS)
    options = parser.parse_args()
    if options.form:
        one(options.form, options.megapixels)
        return
    for form in FORMS:
        argument = f"--megapixels={options.megapixels}"
        subprocess.run([sys.executable, __file__, argument, "--form", form], check=True)


if __name__ == "__main__":
    main()
