"""Pictures an hour: `atelierd run --once` on a full inbox against a shell loop over the peer.

Run as `python bench/bulk.py [PICTURES] [--size PX] [--peer-steps N] [--steps N]`. The peer's
command line reloads its network for each picture; it is run for two of them and its seconds are
multiplied, which the output says. Take the numbers of steps that reach the same loss from
`bench/equal_loss.py`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from surroundings import ROOT
from table import print_row

PEER_PICTURES = 2


def make_pictures(folder: Path, count: int) -> list[Path]:
    """`count` different pictures, cut from the photographs of the repository."""
    folder.mkdir(parents=True)
    made = []
    for number in range(count):
        name = "rocket.jpg" if number % 2 else "chelsea.jpg"
        image = Image.open(ROOT / "docs/images" / name)
        shift = 4 * (number // 2)
        target = folder / f"picture-{number}.jpg"
        image.crop((shift, shift, image.width, image.height)).save(target, quality=95)
        made.append(target)
    return made


def ours_s(root: Path, pictures: list[Path], size: int, steps: int) -> float:
    """Seconds of `run --once` for all the pictures, from start to exit."""
    presets = root / "presets"
    presets.mkdir()
    (presets / "starry.jpg").write_bytes((ROOT / "presets/starry.jpg").read_bytes())
    (presets / "starry.yaml").write_text(
        f"styles: [{{image: starry.jpg}}]\nsize: {size}\nsteps: {steps}\n"
    )
    (root / "config.yaml").write_text("settle_s: 0.5\n")
    inbox = root / "inbox" / "starry"
    inbox.mkdir(parents=True)
    for picture in pictures:
        (inbox / picture.name).write_bytes(picture.read_bytes())
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "daemon",
        "--config",
        str(root / "config.yaml"),
        "run",
        "--once",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def peer_s(root: Path, pictures: list[Path], size: int, steps: int) -> float:
    """Seconds of the peer's command line for each picture, on average."""
    began = time.perf_counter()
    for picture in pictures[:PEER_PICTURES]:
        command = [
            sys.executable,
            "-m",
            "pastiche",
            "--num-steps",
            str(steps),
            "--size",
            str(size),
            "--device",
            "cpu",
            "-o",
            str(root / f"{picture.stem}.png"),
            "--content",
            str(picture),
            "--styles",
            str(ROOT / "presets/starry.jpg"),
        ]
        subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - began) / PEER_PICTURES


def main() -> None:
    """Prints both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", nargs="?", type=int, default=8)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--peer-steps", type=int, default=300)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pictures = make_pictures(root / "pictures", options.pictures)
        ours = ours_s(root, pictures, options.size, options.steps) / len(pictures)
        peer = peer_s(root, pictures, options.size, options.peer_steps)
    print(f"{options.size} px, {options.pictures} pictures with one preset")
    for who, steps, seconds in (("ours", options.steps, ours), ("peer", options.peer_steps, peer)):
        print(f"{who} {steps:5d} steps {seconds:7.1f} s a picture {3600 / seconds:7.0f} an hour")
    print(f"(the peer's from {PEER_PICTURES} pictures)")
    print(f"ratio {peer / ours:.1f}")
    print_row(
        f"pictures an hour at {options.size} px, {options.steps} steps a size",
        f"{3600 / ours:.0f}",
        f"peer {3600 / peer:.0f} at {options.peer_steps} steps: {peer / ours:.1f} times",
    )


if __name__ == "__main__":
    main()
