"""What every view works with: the configuration, the templates, and what is shared by all."""

import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files as resources
from pathlib import Path
from threading import BoundedSemaphore

from anyio import CapacityLimiter
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from starlette.requests import Request

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import is_there
from daemon.ledger.store import Ledger
from daemon.outbox.gallery.amounts import bytes_in_words
from daemon.page.scaling import Scaler
from daemon.page.sending import Readers
from daemon.page.sessions import Sessions
from daemon.page.shelf import Shelves
from daemon.page.uploads import UploadLimits
from daemon.page.watch import Watcher
from daemon.settings.config import Config
from daemon.settings.page import PageSettings
from daemon.status.report import in_words

TEMPLATES = ("daemon.page", "daemon.outbox.gallery")
MOST_SAID = 64
MAKERS = 6
"""Threads that wait for small pictures."""

CHANGERS = 16
"""Threads that do what people ask for, which may hang in a share."""

LOOKERS = 4
"""Threads that may hang at a record; without it a picture is shown all the same."""


class NoLedgerError(SurroundingsError):
    """There are no jobs to show: no service has begun yet, or one of another version has."""


@dataclass
class Answers:
    """What became of what people asked for, until their browsers come for it."""

    _said: "OrderedDict[str, list[tuple[str, str]]]" = field(default_factory=OrderedDict)

    def keep(self, said: list[tuple[str, str]]) -> str:
        """Keeps what is to be shown once; returns what to ask for it by."""
        key = secrets.token_urlsafe(9)
        self._said[key] = said
        while len(self._said) > MOST_SAID:
            self._said.popitem(last=False)
        return key

    def take(self, key: str) -> list[tuple[str, str]]:
        """What was kept; nothing a second time."""
        return self._said.pop(key, [])


@dataclass(frozen=True)
class Site:
    """What every view works with.

    readers: of what may lie on a share; what lies in the state folder has its own, so that it is
    shown while a share hangs.  lookers, changers: who may look into a record at a time, and who may
    do what was asked for.
    """

    config: Config
    page: PageSettings
    sessions: Sessions
    pages: Environment
    watcher: Watcher
    scaler: Scaler
    shelves: Shelves
    uploads: UploadLimits
    readers: Readers = field(default_factory=Readers)
    state_readers: Readers = field(default_factory=Readers)
    lookers: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(LOOKERS))
    changers: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(CHANGERS))
    answers: Answers = field(default_factory=Answers)
    makers: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(MAKERS))

    def hanging(self) -> list[str]:
        """Which folders do not answer at the moment, in sentences."""
        waited_for = self.readers.hanging
        folders = {"outbox": self.config.outbox, "presets folder": self.config.presets}
        return [
            f"The {name} {files.printable(folder)} does not answer: its disk or share hangs. What "
            "lies there is shown once it answers."
            for name, folder in folders.items()
            if any(path.is_relative_to(folder) for path in waited_for)
        ]

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """The ledger to read from; raises SurroundingsError, or NoLedgerError if there is none."""
        path = self.config.ledger_path
        if not is_there(self.config.state) or not path.exists():
            raise NoLedgerError("no service has run here yet: start it with `atelierd run`")
        ledger = Ledger(path, read_only=True)
        try:
            if not ledger.database.is_current:
                raise NoLedgerError(
                    "another version of atelierd wrote the ledger; start the service anew, and this"
                    " page with it"
                )
            yield ledger
        finally:
            ledger.close()


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    site: Site = request.app.state.site
    return site


def make_templates() -> Environment:
    """The templates of the page and, under the same names, those it shares with the gallery."""
    own, shared = (FileSystemLoader(str(resources(room) / "templates")) for room in TEMPLATES)
    pages = Environment(
        # The gallery's own frame keeps a name, since the page's stands around it.
        loader=ChoiceLoader([own, shared, PrefixLoader({"gallery": shared})]),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
    )
    pages.filters["printable"] = files.printable
    pages.filters["duration"] = in_words
    pages.filters["bytes"] = bytes_in_words
    return pages


def static_files() -> Mapping[str, Path]:
    """The files of styles and scripts by name: those, and no others, are served."""
    found: dict[str, Path] = {}
    for room in TEMPLATES:
        folder = Path(str(resources(room) / "static"))
        found |= {path.name: path for path in folder.iterdir() if path.is_file()}
    return found
