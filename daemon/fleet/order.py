"""An order's files by name: what a node takes, what it gives back, and the order with its paths."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from daemon.messages import Blob, OrderedMask, RunOrder, frames_of

CHECKPOINT, COURSE, SMALL, FRAMES = "checkpoint", "course", "small/", "frames/"
FILM = "film/"
"""Before the names of frames that are taken: the time-lapse lies beside their folder."""

Numbered = TypeVar("Numbered")


def takes(order: RunOrder) -> dict[str, Blob]:
    """Every file that an order reads, by the name a node asks for it under.

    `picture`, `style.0` and so on, `mask`, `profile.0` and so on; and where a run before has left
    them, `checkpoint`, `course`, and `film/frames/NAME` for each frame. Those without a sha256 are
    of this run alone, and not to be kept. An order that came over the wire has none for its
    picture (`messages.order_data`).
    """
    files = {"picture": order.picture}
    files |= {name: style.file for name, style in numbered("style", order.styles)}
    if order.mask:
        files["mask"] = order.mask.file
    files |= {name: Blob("", path) for name, path in numbered("profile", order.profiles.values())}
    begun = {CHECKPOINT: order.checkpoint, COURSE: order.course}
    files |= {name: Blob("", path) for name, path in begun.items() if path and path.exists()}
    return files | (frames(order.timelapse) if CHECKPOINT in files and order.timelapse else {})


def frames(timelapse: Path) -> dict[str, Blob]:
    """The frames that a run before has left for a time-lapse."""
    folder = frames_of(timelapse)
    paths = sorted(folder.iterdir()) if folder.is_dir() else ()
    kept = (path for path in paths if not path.name.startswith("."))
    return {f"{FILM}{FRAMES}{path.name}": Blob("", path) for path in kept}


def gives(order: RunOrder) -> dict[str, Path]:
    """Where what an order asks for goes, by the name a node gives it under.

    A name that ends in `/` is a folder.
    """
    wanted = {
        "result": order.result,
        "preview": order.preview,
        CHECKPOINT: order.checkpoint,
        "timelapse": order.timelapse,
        COURSE: order.course,
        FRAMES: frames_of(order.timelapse) if order.timelapse else None,
        SMALL: order.small,
    }
    return {name: path for name, path in wanted.items() if path}


def moved(order: RunOrder, taken: Mapping[str, Path], folder: Path) -> RunOrder:
    """The same order with a node's paths: what it reads where it was `taken`, the rest in `folder`.

    What is both read and written, the checkpoint and the course, is where it was taken, which is to
    be a place of this run alone; a time-lapse is beside the folder of its frames.
    Raises KeyError for a file of `takes` that was not taken.
    """
    places = {name: taken.get(name, folder / path.name) for name, path in gives(order).items()}
    frame = next((path for name, path in taken.items() if name.startswith(FILM)), None)
    if frame and order.timelapse:
        places["timelapse"] = frame.parents[1] / order.timelapse.name
    return replace(
        order,
        picture=Blob(order.picture.sha256, taken["picture"]),
        styles=tuple(
            replace(style, file=Blob(style.file.sha256, taken[name]))
            for name, style in numbered("style", order.styles)
        ),
        mask=moved_mask(order.mask, taken),
        profiles={profile: taken[name] for name, profile in numbered("profile", order.profiles)},
        result=places["result"],
        preview=places.get("preview"),
        checkpoint=places.get(CHECKPOINT),
        timelapse=places.get("timelapse"),
        course=places.get(COURSE),
        small=places.get(SMALL),
    )


def moved_mask(mask: OrderedMask | None, taken: Mapping[str, Path]) -> OrderedMask | None:
    """The mask of an order where it was taken."""
    return replace(mask, file=Blob(mask.file.sha256, taken["mask"])) if mask else None


def numbered(kind: str, many: Iterable[Numbered]) -> Iterator[tuple[str, Numbered]]:
    """Each of many with its name: KIND.0, KIND.1 and so on."""
    return ((f"{kind}.{number}", one) for number, one in enumerate(many))
