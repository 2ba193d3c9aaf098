"""Outboxes with results as a service leaves them, for tests of what shows them."""

import json
import os
from pathlib import Path
from typing import Any

from daemon.pictures.small import LONGEST_PX, PAINTING, PHOTOGRAPH
from tests.support.atelier import encoded, photograph

START_MIN = 10 * 60


def make_record(number: int, name: str = "photo.jpg", **changed: Any) -> dict[str, Any]:
    """The record of job `number`, which was finished in its minute of 2026-11-01."""
    hour, minute = divmod(START_MIN + number, 60)
    at = f"2026-11-{1 + hour // 24:02}T{hour % 24:02}:{minute:02}:00.000Z"
    loss = {"total": 3.0, "content": 1.0, "style": 0.1}
    return {
        "schema": 1,
        "id": f"{number:032x}",
        "state": "done",
        "picture": {
            "name": name, "sha256": f"{number:064x}", "bytes": 9, "width_px": 96, "height_px": 72,
        },
        "preset": "starry",
        "recipe": {"size": 64, "seed": 7, "alpha": 1.0, "beta": 30.0},
        "styles": [{"name": "starry.jpg", "sha256": "ab", "weight": 1.0}],
        "passes": [{"width_px": 64, "height_px": 48, "steps": 4, "seconds": 1.5, "loss": loss}],
        "queued_at": at, "started_at": at, "finished_at": at, "seconds": 1.5,
        "outputs": {}, "warnings": [], "reason": None,
    } | changed  # fmt: skip


def publish_result(
    outbox: Path, number: int, name: str = "photo.jpg", *, preset: str = "starry", **changed: Any
) -> str:
    """Puts a result, its original and its record into an outbox; the record's path below it."""
    from daemon.host.files import printable

    result, original = Path(preset, name), Path("originals", preset, name)
    outputs = {"result": printable(result), "original": printable(original)}
    printed = printable(name)
    record = make_record(number, printed, preset=preset, outputs=outputs, **changed)
    path = result.parent / ".jobs" / f"{name}.json"
    write_json(outbox / path, record)
    for place in (result, original):
        (outbox / place).parent.mkdir(parents=True, exist_ok=True)
        (outbox / place).write_bytes(encoded(photograph((64, 48))))
    return os.fspath(path)


def publish_failure(outbox: Path, number: int, name: str = "broken.jpg", **changed: Any) -> str:
    """Puts what tells of a failed picture into an outbox; the record's path below it."""
    path = Path("failed", "starry", f"{name}.json")
    told = {"state": "failed", "reason": "It is no picture.", "passes": []} | changed
    write_json(outbox / path, make_record(number, name, **told))
    return os.fspath(path)


def hand_over(handed: Path, number: int) -> None:
    """Lets the small versions of a job wait, as its worker leaves them."""
    folder = handed / f"{number:032x}"
    folder.mkdir(parents=True)
    for name in (PAINTING, PHOTOGRAPH):
        for ending in LONGEST_PX:
            (folder / (name + ending)).write_bytes(encoded(photograph((64, 48))))


def write_json(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
