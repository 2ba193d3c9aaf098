"""Whether claimed pictures are still what their jobs were made for.

Somebody who had a file open when it was claimed can go on writing into it. What was painted then is
not the picture, and its record would name a file that nobody has.
"""

from pathlib import Path

from loguru import logger

from daemon.host import files
from daemon.intake.scan import Signature, signature_of
from daemon.job import ClaimedPicture
from daemon.state.claimed import claimed_folder


class Originals:
    """Compares claimed files with what was copied of them; each state of a file is read once."""

    def __init__(self, inbox: Path) -> None:
        self._inbox = inbox
        self._known: dict[str, tuple[Signature, bool]] = {}

    def is_rewritten(self, picture: ClaimedPicture) -> bool:
        """Whether a claimed file holds something else by now than its jobs were made for.

        False while it is out of sight, or cannot be read: what was copied is all there is.
        """
        source = claimed_folder(self._inbox, picture.id) / picture.path
        try:
            if not files.is_ordinary(source):
                return False
            signature = signature_of(source.stat())
            known = self._known.get(picture.id)
            if known is None or known[0] != signature:
                other = signature.size != picture.bytes or files.sha256_of(source) != picture.sha256
                known = self._known[picture.id] = (signature, other)
            return known[1]
        except FileNotFoundError:
            return False
        except OSError as error:
            logger.warning(
                "{} cannot be compared with what was painted: {}",
                files.printable(source),
                error.strerror,
            )
            return False

    def forget(self, picture_id: str) -> None:
        """A picture has left the claimed folder."""
        self._known.pop(picture_id, None)
