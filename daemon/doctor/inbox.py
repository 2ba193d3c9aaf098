"""The inbox's inside: what does not get on, what others have claimed, and mounts within it."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake.content import kind_of_file
from daemon.intake.others import Life
from daemon.intake.reports import MOST_NAMED
from daemon.intake.scan import mount_points, scan
from daemon.intake.strays import Holding, known_holdings
from daemon.ledger.store import Ledger
from daemon.pictures.ignored import is_ignored
from daemon.settings.config import Config
from daemon.state.lock import is_held
from daemon.state.spool import Spool
from daemon.status.live import read_live
from daemon.status.report import Finding


def check_inbox(config: Config, mounts: str) -> Iterator[Finding]:
    """Everything about what lies in the inbox. mounts: the text of /proc/self/mountinfo."""
    live = read_live(config.state) if is_held(config.state) else None
    yield from check_waits(live or {})
    try:
        yield from check_holdings(others_claims(config))
    except (OSError, SurroundingsError) as error:
        yield Finding("claims", False, f"the claims in {config.inbox} cannot be read: {error}")
    yield from check_inner_mounts(config.inbox, mounts)
    yield from check_foreign(config.inbox)


def check_foreign(inbox: Path) -> Iterator[Finding]:
    """The files that are no pictures by name or content, by a look of its own."""
    try:
        seen = scan(inbox)
    except OSError:  # of which the checks of the folders tell
        return
    unnamed = sorted(one.path for one in seen.foreign)
    foreign = [path for path in unnamed if not kind_of_file(inbox / path)]
    if foreign:
        names = ", ".join(files.printable(path) for path in foreign[:MOST_NAMED])
        more = f" and {len(foreign) - MOST_NAMED} more" if len(foreign) > MOST_NAMED else ""
        yield Finding("foreign", True, f"no pictures, and left in the inbox: {names}{more}")


def check_waits(live: Mapping[str, Any]) -> Iterator[Finding]:
    """What lies in the inbox and does not get on, as the running service tells it."""
    for wait in live.get("waits", ()):
        detail = f"{wait['path']} {wait['why']} (since {wait['since']})"
        yield Finding("waits", not wait["mend"], detail)
    if more := live.get("waits_more", 0):
        yield Finding("waits", True, f"and {more} more")


def others_claims(config: Config) -> list[Holding]:
    """What other services have claimed in the inbox, by a first look; nothing is made."""
    mark = Spool(config.state).known_mark() or ""
    if not config.ledger_path.exists():
        return known_holdings(config.inbox, mark, lambda _: None)
    with contextlib.closing(Ledger(config.ledger_path, read_only=True)) as ledger:
        return known_holdings(config.inbox, mark, ledger.find_picture)


def check_holdings(holdings: Sequence[Holding]) -> Iterator[Finding]:
    """Whose they are; what a service that is gone has claimed is taken over by one that runs."""
    for holding in holdings:
        remedy = {
            Life.ALIVE: "",
            Life.GONE: ": a service on this inbox takes them over when it starts",
            Life.UNKNOWN: ": a service on this inbox takes them over if it hears nothing of it",
        }[holding.life]
        yield Finding("claims", True, f"{holding.words}{remedy}")


def check_inner_mounts(inbox: Path, mounts: str) -> Iterator[Finding]:
    """Folders of the inbox that are file systems of their own: whether pictures leave them."""
    inside = f"{inbox.resolve()}{os.sep}"
    for point in sorted(point for point in mount_points(mounts) if point.startswith(inside)):
        name = files.printable(point.removeprefix(inside))
        if any(is_ignored(part) for part in Path(name).parts):
            continue
        if os.access(point, os.W_OK | os.X_OK):
            told = "a mount of its own: what is dropped there is copied out, not renamed"
            yield Finding("inbox mounts", True, f"{name} is {told}")
        else:
            lack = "a mount that the service may not write in, so that it takes nothing from there"
            yield Finding(
                "inbox mounts", False, f"{name} is {lack}: mount it writable, or elsewhere"
            )
