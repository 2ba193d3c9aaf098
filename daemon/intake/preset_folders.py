"""The inbox's folders of the presets, which show people what can be dropped where."""

from collections.abc import Collection
from pathlib import Path

from loguru import logger

from daemon.host import files
from daemon.job import InboxFolders
from daemon.settings.presets import Shelf


def folders_of(names: Collection[str], folders: InboxFolders) -> list[str]:
    """The folders of presets below the inbox: for both queues, and for proofs."""
    proofs = (name for name in names if name != folders.every)
    bulk = (f"{folders.bulk}/{name}" for name in names)
    return [*names, *bulk, *(f"{folders.proof}/{name}" for name in proofs)]


def make_folders(folder: Path, names: Collection[str]) -> None:
    """Makes a folder with others in it; raises OSError."""
    for name in ("", *names):
        (folder / name).mkdir(parents=True, exist_ok=True)


class PresetFolders:
    """Makes the folder of each preset that has appeared; that of one that is gone stays.

    One that somebody has removed is not made again while its preset is there.
    """

    def __init__(self, inbox: Path, folders: InboxFolders) -> None:
        self._inbox = inbox
        self._folders = folders
        self._made: set[str] = set()
        self._told: set[str] = set()

    def keep_up(self, shelf: Shelf) -> None:
        """Makes the folders of what can be painted with now; what keeps it from that is logged."""
        self._made &= set(shelf.names)
        for name in shelf.usable:
            if name in self._made:
                continue
            try:
                make_folders(self._inbox, folders_of([name], self._folders))
            except OSError as error:
                self._tell(name, error)
            else:
                self._made.add(name)
                self._told.discard(name)

    def _tell(self, name: str, error: OSError) -> None:
        """Says once that a folder cannot be made; it is tried again at each look."""
        if name not in self._told:
            where = files.printable(error.filename or self._inbox)
            logger.warning("no folder for the preset {}: {}: {}", name, where, error.strerror)
            self._told.add(name)
