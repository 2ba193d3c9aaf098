"""The gallery's process as others see it: started when there is something to write, and let go."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host.access import refusals
from daemon.host.process import Child, Message, limited_to
from daemon.outbox.gallery.reconciled import Reconciled

PIECE_S = 120.0
"""What one picture, or one look at a folder, may take."""

GRACE_S = 1.0


class GalleryError(SurroundingsError):
    """The gallery cannot be written now. lost: with the process that was to do it."""

    def __init__(self, text: str, *, lost: bool = False) -> None:
        super().__init__(text)
        self.lost = lost


@dataclass(frozen=True)
class GalleryPlace:
    """Where a gallery is written. handed: where small versions wait.  zone: a time zone's name."""

    outbox: Path
    handed: Path
    zone: str | None


class GalleryWriter:
    """Has the gallery written by a process of its own. For one thread.

    Every method raises GalleryError; repeating it later is harmless.
    on_piece: called as it gets further.  niceness: of the process, added to our own.
    """

    def __init__(
        self,
        place: GalleryPlace,
        on_piece: Callable[[], object] = lambda: None,
        *,
        niceness: int = 0,
    ) -> None:
        self._place = place
        self._on_piece = on_piece
        self._niceness = niceness
        self._child: Child | None = None

    def add(self, record: str) -> bool:
        """Adds the record at that path below the outbox; whether it lacks small versions."""
        return bool(self._ask({"do": "add", "record": record})["unseen"])

    def add_sheet(self, listing: str) -> None:
        """Adds the sheet that the listing at that path below the outbox tells of."""
        self._ask({"do": "add_sheet", "listing": listing})

    def reconcile(self, *, anew: bool = False) -> Reconciled:
        """Adds what is new and removes what is gone; with `anew` every page is written again."""
        told = self._ask({"do": "reconcile", "anew": anew})
        return Reconciled(told["pictures"], told["added"], told["removed"], told["unseen"])

    def shrink(self, record: str) -> bool:
        """Makes the small versions of a result and its photograph; whether there are some now."""
        return bool(self._ask({"do": "shrink", "record": record})["shown"])

    def close(self) -> None:
        """Lets the process go."""
        if self._child is not None:
            self._child.close(GRACE_S)
            self._child = None

    def _ask(self, request: Message) -> Message:
        """The last answer to a request; a process that says nothing for long is ended."""
        child = self._living_child()
        child.send(request)
        while True:
            answer = child.receive_within(PIECE_S)
            if answer is None:
                slow = " after it got no further for 2 min" if child.killed_here else ""
                ending = child.ending()
                self.close()
                raise GalleryError(f"the process that writes the gallery {ending}{slow}", lost=True)
            self._on_piece()
            if "fault" in answer:
                raise GalleryError(f"the gallery cannot be written: {answer['fault']}")
            if answer.get("ended"):
                return answer

    def _living_child(self) -> Child:
        if self._child is None or not self._child.alive:
            self.close()
            settings = {
                "outbox": str(self._place.outbox),
                "handed": str(self._place.handed),
                "zone": self._place.zone,
                "niceness": self._niceness,
            }
            with refusals("the process that writes the gallery cannot be started"):
                self._child = Child(
                    "daemon.outbox.gallery.child",
                    [json.dumps(settings)],
                    on_stderr=lambda _: None,
                    environment=limited_to(1),
                )
        return self._child
