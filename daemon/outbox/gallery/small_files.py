"""Small versions of files that lie in the outbox already. Decoding may end badly, so it is for a
child: it takes what memory and time a picture asks for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.engine.errors import EngineError
from daemon.host import files
from daemon.outbox.gallery import places
from daemon.outbox.gallery.entry import SHA256
from daemon.outbox.gallery.reading import mapping
from daemon.pictures.small import SCREEN, THUMBNAIL

if TYPE_CHECKING:
    from daemon.outbox.gallery.gallery import Gallery


def shrink_file(source: Path, targets: Mapping[str, Path]) -> tuple[int, int] | None:
    """Makes a picture file's small versions; its own width and height in px, None if it cannot be.

    targets: where each goes, by its ending.  Raises OSError where they cannot be written.
    """
    from daemon.pictures.read import read_picture
    from daemon.pictures.small import small_versions

    try:
        with files.open_ordinary(source) as file:
            picture = read_picture(file, files.printable(source.name))
    except (OSError, EngineError, MemoryError):
        return None
    for ending, content in small_versions(picture.pixels, picture.alpha):
        files.write_bytes(targets[ending], content, replace=True)
    return picture.size


def shrink_result(gallery: "Gallery", path: str) -> bool:
    """Makes the small versions of a record's result and photograph that are not there yet.

    Whether the result has some now.  Raises OSError where they cannot be written.
    """
    found = gallery.finder.find(path)
    if found is None:
        return False
    record, entry = found
    photograph = mapping(record.get("picture")).get("sha256")
    original = gallery.finder.original(record)
    if original and isinstance(photograph, str) and SHA256.fullmatch(photograph):
        shrink_for(gallery, original, photograph)
    return shrink_for(gallery, entry.file, entry.id) if entry.state == "done" else False


def shrink_for(gallery: "Gallery", file: str, key: str) -> bool:
    """Makes the small versions of a file under a key; there already is fine."""
    if gallery.finder.is_shown(key):
        return True
    return shrink_file(gallery.outbox / file, targets_of(gallery.outbox, key)) is not None


def targets_of(outbox: Path, key: str) -> dict[str, Path]:
    """Where small versions go, by their endings."""
    by_ending = {SCREEN: places.screen_size(key), THUMBNAIL: places.thumbnail(key)}
    return {ending: outbox / place for ending, place in by_ending.items()}
