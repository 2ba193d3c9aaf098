"""How long the gallery takes with so many pictures: the first time, and for one more result.

    python bench/gallery.py [PICTURES] [--keep FOLDER] [--lists-only]

Synthetic records, as large as real ones. With --lists-only the own pages of the pictures that are
there before are not written, which takes minutes and which one more result does not touch.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from table import print_row

from daemon.outbox.gallery import places
from daemon.outbox.gallery.gallery import Gallery
from daemon.outbox.gallery.reconcile import reconcile, write_shelves
from daemon.outbox.gallery.writer import GalleryPlace, GalleryWriter
from daemon.pictures.small import PAINTING, PHOTOGRAPH, SCREEN, THUMBNAIL

PRESETS = ("starry", "wave", "mosaic", "woodcut", "ink")
START = datetime(2026, 1, 1, tzinfo=UTC)
EVERY = timedelta(minutes=30)
UPDATES = 10


def record_of(number: int) -> dict[str, object]:
    """A record as a service writes it."""
    at = START + EVERY * number
    losses = {"total": 3.0 / (1 + number % 7), "content": 0.4, "style": 0.02}
    steps = list(range(1, 201))
    course = {"pass": [1] * 100 + [2] * 100, "step": steps} | {
        name: [round(value * 8 / step**0.5, 6) for step in steps] for name, value in losses.items()
    }
    one_pass = {"steps": 100, "seconds": 9.5, "converged": False, "plan": {}, "loss": losses}
    name, preset = f"IMG_{number:05}.jpg", PRESETS[number % len(PRESETS)]
    return {
        "schema": 1,
        "id": f"{number:032x}",
        "state": "done",
        "picture": {
            "name": name, "path": f"{preset}/{name}", "sha256": f"{number:064x}",
            "bytes": 3_100_000, "width_px": 4000, "height_px": 3000, "format": "JPEG", "bits": 8,
        },
        "preset": preset,
        "recipe": {"size": 1024, "alpha": 1.0, "beta": 30.0, "seed": 0, "optimizer": "lbfgs"},
        "styles": [{"name": f"{preset}.jpg", "sha256": "ab", "weight": 1.0}],
        "passes": [
            {"width_px": 512, "height_px": 384, **one_pass},
            {"width_px": 1024, "height_px": 768, **one_pass},
        ],
        "course": course,
        "queued_at": at.isoformat(), "started_at": at.isoformat(), "finished_at": at.isoformat(),
        "seconds": 21.0,
        "device": "cpu", "dtype": "float32", "version": "0", "starts": 1, "warnings": [],
        "outputs": {"result": f"{preset}/{name}", "original": f"originals/{preset}/{name}"},
    }  # fmt: skip


def put(outbox: Path, number: int) -> str:
    """Puts a result and its record there; the record's path below the outbox."""
    record = record_of(number)
    result = Path(str(record["preset"]), Path(str(record["outputs"]["result"])).name)  # type: ignore[index]
    path = result.parent / ".jobs" / f"{result.name}.json"
    (outbox / path).parent.mkdir(parents=True, exist_ok=True)
    (outbox / path).write_text(json.dumps(record, indent=2))
    (outbox / result).write_bytes(b"")
    return str(path)


def hand(handed: Path, number: int) -> None:
    """Lets small versions wait, as a worker leaves them."""
    folder = handed / f"{number:032x}"
    folder.mkdir(parents=True)
    for name in (PAINTING, PHOTOGRAPH):
        for ending, size in ((SCREEN, 300_000), (THUMBNAIL, 40_000)):
            (folder / (name + ending)).write_bytes(bytes(size))


def spread(spent: list[tuple[float, float]]) -> str:
    """Medians, and the worst."""
    walls, processors = (sorted(one) for one in zip(*spent, strict=True))
    middle = len(spent) // 2
    return f"{walls[middle]:.3f} s (worst {walls[-1]:.3f} s; {processors[middle]:.3f} s of a core)"


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of a core, children's not."""
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def come(outbox: Path, handed: Path) -> str:
    """One more result, as a service publishes it; its record's path."""
    number = sum(len(list((outbox / preset).glob("*.jpg"))) for preset in PRESETS)
    hand(handed, number)
    return put(outbox, number)


def write_lists(gallery: Gallery, pictures: int) -> None:
    """Writes the gallery's lists as if all pictures had come."""
    found = (gallery.finder.find(put(gallery.outbox, number)) for number in range(pictures))
    write_shelves(gallery, [one[1] for one in found if one], anew=True, on_piece=lambda: None)


def measure(base: Path, pictures: int, *, lists_only: bool) -> None:
    """Fills an outbox if there is none yet, and prints what the gallery takes."""
    outbox, handed = base / "outbox", base / "handed"
    gallery = Gallery(outbox, handed, UTC)
    outbox.mkdir(parents=True, exist_ok=True)
    if lists_only:
        print(f"the lists: {spread([timed(lambda: write_lists(gallery, pictures))])}")
    elif not gallery.is_current():
        for number in range(pictures):
            put(outbox, number)
        print(f"the first time: {spread([timed(lambda: reconcile(gallery))])}")
    if not lists_only:
        print(f"nothing new at a start: {spread([timed(lambda: reconcile(gallery))])}")
    spent = []
    for _ in range(UPDATES):
        path = come(outbox, handed)
        spent.append(timed(partial(gallery.add, path)))
    print(f"one more result: {spread(spent)}")
    print_row(f"one more picture in a gallery of {pictures}", spread(spent))
    spent = []
    for _ in range(UPDATES):
        path = come(outbox, handed)
        writer = GalleryWriter(GalleryPlace(outbox, handed, "UTC"))
        spent.append(timed(partial(writer.add, path)))
        writer.close()
    print(f"one more, a process started for it: {spread(spent)}")
    page = places.picture_page(f"{pictures:032x}")
    index_bytes, page_bytes = ((outbox / one).stat().st_size for one in (places.INDEX, page))
    static = sum(path.stat().st_size for path in (outbox / places.STATIC).iterdir())
    print(f"index.html {index_bytes / 1e3:.0f} kB, a picture's page {page_bytes / 1e3:.0f} kB")
    print(f"styles, script and icon {static / 1e3:.0f} kB")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pictures", type=int, nargs="?", default=10_000)
    parser.add_argument("--lists-only", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder that is filled, or was before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = options.keep or Path(temporary)
        measure(base, options.pictures, lists_only=options.lists_only)


if __name__ == "__main__":
    main()
