"""Names that are never a person's pictures: half-written files, and what other programs keep.

Recycle bins and snapshots hold what people deleted or replaced: to paint that, or to move it away,
would be the opposite of what they wanted. A name counts at any depth, whatever its case.
"""

import fnmatch
import re

HALF_WRITTEN = (
    "~$*",
    "*~",
    "~tmp*",
    "*.tmp",
    "*.temp",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.crdownload",
    "*.opdownload",
    "*.download",
    "*.downloading",
    "*.fdmdownload",
    "*.dwnldng",
    "*.aria2",
    "*.!ut",
    "*.ut!",
    "*.!qb",
    "*.!bt",
    "*.bc!",
    "*.!sync",
    "*.bts",
    "*.jc!",
    "*.td",
    "*.xltd",
    "*.lftp-pget-status",
    "*.ocTransferId*",
    "~syncthing~*",
    "*.unison.tmp",
)
"""What browsers, copiers and file sharers call a file that is on its way."""

OF_SYSTEMS = (
    # Windows, and what it leaves on every disk it sees
    "$RECYCLE.BIN",
    "RECYCLER",
    "RECYCLED",
    "Recycle Bin*",
    "System Volume Information",
    "FOUND.[0-9][0-9][0-9]",
    "$WinREAgent",
    "$Extend",
    "$SysReset",
    "WPSystem",
    "MSOCache",
    "Thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    # NAS makers: Synology, QNAP, Asustor, Buffalo, NetApp
    "#recycle",
    "#snapshot",
    "#tmp",
    "@Recycle*",
    "@Recently-Snapshot",
    "@tmp",
    "@eaDir",
    "@Syno*",
    "*@SynoEAStream",
    "*@SynoResource",
    "@sharebin",
    "@sharesnap",
    "@snapshot",
    "@database",
    "@upload_tmp",
    "@Trash",
    "@__thumb",
    "trashbox",
    "~snapshot",
    "Network Recycle Bin*",
    # Samba, Nextcloud
    "@GMT-*",
    "_recycle",
    "files_trashbin",
    # macOS on other people's disks
    "Network Trash Folder",
    "Temporary Items",
    "TheVolumeSettingsFolder",
    "TheFindByContentFolder",
    "Desktop DB",
    "Desktop DF",
    "Icon\r",
    "__MACOSX",
    # Linux
    "lost+found",
)
"""Names without a leading dot. With one: .Trash-1000, .snapshot, .zfs, .stversions, rsync's …"""

HIDDEN = ".*"

IGNORED = re.compile(
    "|".join(fnmatch.translate(name.casefold()) for name in (HIDDEN, *HALF_WRITTEN, *OF_SYSTEMS))
)
"""One expression: every name of a large inbox is looked at in every scan."""


def is_ignored(name: str) -> bool:
    """Whether a name of a file or folder is a half-written file's or some program's own."""
    return IGNORED.match(name.casefold()) is not None
