"""What is done once all jobs of a picture are over, one finisher after the other.

A finisher that fails, or is cut off, is called again, by another process too: what it has done
already must be no harm to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.job import INBOX_FOLDERS, ClaimedPicture, InboxFolders, Job
from daemon.state.claimed import claimed_folder


@dataclass(frozen=True)
class FinishedPicture:
    """A claimed picture whose jobs are all over, and where its files are.

    copy: the service's own of the picture.  on_piece: to be called with each piece that is copied.
    style: where a style image lies, by its hash.  inbox_folders: what those are called that are no
    preset's.  keep_bytes: room to leave on the outbox's disk.  on_sheet: called with
    the listing of each sheet that was laid, below the outbox.
    """

    picture: ClaimedPicture
    jobs: Sequence[Job]
    inbox: Path
    outbox: Path
    copy: Path
    on_piece: Callable[[], object] = lambda: None
    style: Callable[[str], Path] = Path
    inbox_folders: InboxFolders = INBOX_FOLDERS
    keep_bytes: int = 0
    on_sheet: Callable[[Path], object] = lambda listing: None

    @property
    def folder(self) -> Path:
        """The picture's claimed folder."""
        return claimed_folder(self.inbox, self.picture.id)


Finisher = Callable[[FinishedPicture], None]


class Finishers:
    """Calls every finisher in order, for one picture after the other.

    One that has failed is where the next call begins: what others moved away since stays away.
    """

    def __init__(self, finishers: Sequence[Finisher]) -> None:
        self._finishers = finishers
        self._done: dict[str, int] = {}

    def finish(self, finished: FinishedPicture) -> None:
        """Does all that is to be done of a picture; raises what the first finisher raises."""
        picture_id = finished.picture.id
        for number in range(self._done.get(picture_id, 0), len(self._finishers)):
            self._finishers[number](finished)
            self._done[picture_id] = number + 1
        self._done.pop(picture_id, None)
