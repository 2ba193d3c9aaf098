"""Draw the built-in style images from scratch: `python presets/draw.py [NAME ...]`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from drawing.brushes import Picture, save
from drawing.fields import Rng, dice
from drawing.impasto import impasto
from drawing.ink_wash import ink_wash
from drawing.mosaic import mosaic
from drawing.pointillism import pointillism
from drawing.stained_glass import stained_glass
from drawing.starry import starry
from drawing.wave import wave
from drawing.woodcut import woodcut

PICTURES: dict[str, Callable[[Rng], Picture]] = {
    "starry": starry,
    "stained-glass": stained_glass,
    "woodcut": woodcut,
    "pointillism": pointillism,
    "ink-wash": ink_wash,
    "mosaic": mosaic,
    "impasto": impasto,
    "wave": wave,
}


def main() -> None:
    """Draw the named pictures, or all of them, into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(PICTURES)}")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(PICTURES))
    if unknown:
        parser.error(f"no such picture: {', '.join(unknown)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or PICTURES:
        save(PICTURES[name](dice(name)), options.out / f"{name}.jpg")


if __name__ == "__main__":
    main()
