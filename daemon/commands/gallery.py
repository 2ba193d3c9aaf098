"""Writing the gallery anew from what lies in the outbox, with a running service and without."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.outbox.gallery.writer import GalleryError, GalleryPlace, GalleryWriter
from daemon.settings.config import Config
from daemon.state.mounts import Mounts
from daemon.state.spool import Spool


@dataclass(frozen=True)
class Rebuilt:
    """What became of the gallery. unshown: results that no small version can be made of."""

    pictures: int
    made: int
    unshown: tuple[str, ...]


def rebuild_gallery(
    config: Config,
    on_picture: Callable[[int, int], object] = lambda done, all_: None,
    on_piece: Callable[[], object] = lambda: None,
) -> Rebuilt:
    """Makes the small versions that are missing, and writes every page anew.

    on_picture: called with how many small versions are made, of how many.  on_piece: called as the
    pages get written.  Raises SurroundingsError where there is no outbox to be seen, or no gallery
    can be written.
    """
    Mounts(config.state).check(config.outbox)
    if not config.outbox.is_dir():
        where = files.printable(config.outbox)
        raise SurroundingsError(f"the outbox {where} is unavailable: there is no such folder")
    place = GalleryPlace(config.outbox, Spool(config.state).handed, config.schedule.time_zone)
    writer = GalleryWriter(place, on_piece)
    try:
        unseen = writer.reconcile(anew=True).unseen
        unshown = tuple(shrink_all(writer, unseen, on_picture))
        pictures = writer.reconcile().pictures
    finally:
        writer.close()
    return Rebuilt(pictures, len(unseen) - len(unshown), unshown)


def shrink_all(
    writer: GalleryWriter, records: Sequence[str], on_picture: Callable[[int, int], object]
) -> Iterator[str]:
    """Makes small versions of results; yields those of which none could be made."""
    for number, record in enumerate(records, start=1):
        try:
            made = writer.shrink(record)
        except GalleryError as error:
            if not error.lost:  # the picture was too much for its process, and not the disk
                raise
            made = False
        if not made:
            yield record
        on_picture(number, len(records))
