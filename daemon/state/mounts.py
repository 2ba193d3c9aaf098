"""Whether a folder still lies on the file system it lay on before.

Under the mount point of a share that is not mounted lies an empty folder that looks like any
other: a service that took it for its inbox or outbox would work where nobody looks.
"""

import json
import os
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import refusals

MOUNTS_FILE = "mounts.json"


class Mounts:
    """The mount points that folders lay below, kept in the state folder.

    Any of its methods may raise SurroundingsError, in words for the user.
    """

    def __init__(self, state: Path) -> None:
        self._file = state / MOUNTS_FILE

    def check(self, folder: Path) -> None:
        """Raises SurroundingsError if what was mounted where `folder` lies is mounted no more."""
        point = self._known().get(os.fspath(folder))
        if point is not None and not os.path.ismount(point):
            raise SurroundingsError(
                f"{files.printable(folder)} is unavailable: nothing is mounted at {point}; mount "
                f"it again, or delete {self._file} if the folder is not to be looked for there"
            )

    def remember(self, folder: Path) -> None:
        """Keeps what `folder`, which must be there, lies on; the root needs no keeping."""
        known, point = self._known(), mount_point(folder)
        kept = {name: at for name, at in known.items() if name != os.fspath(folder)}
        if point != Path("/"):
            kept[os.fspath(folder)] = os.fspath(point)
        if kept == known:
            return
        with refusals(f"{self._file} cannot be written"):
            files.write_bytes(self._file, json.dumps(kept, indent=2).encode(), replace=True)

    def _known(self) -> dict[str, str]:
        try:
            known = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SurroundingsError(
                f"{self._file} cannot be read ({error}); delete it while all folders are mounted"
            ) from error
        return known if isinstance(known, dict) else {}


def mount_point(folder: Path) -> Path:
    """The mount point that a folder lies below, or is."""
    point = folder.resolve()
    while not os.path.ismount(point):
        point = point.parent
    return point
