"""Out of the inbox into the claimed folder: what is ready, and what a crash left half taken."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import refusals
from daemon.intake import claim
from daemon.intake.admission import WRITTEN_TO, Admission, Claim
from daemon.intake.decode import Decoder, Verdict
from daemon.intake.reports import Reports
from daemon.job import ClaimedPicture
from daemon.ledger.store import Ledger
from daemon.pictures.companions import word_for
from daemon.settings.config import Config
from daemon.settings.presets import Shelf
from daemon.state.claimed import claimed_folder

COMPANION_IS_GONE = "has lost its {} while it was claimed; it is looked at anew"


def unjudged(picture: ClaimedPicture) -> Claim:
    """A half done claim, of which nothing is known but what the ledger has."""
    return Claim(picture.id, picture.path, picture.companions, Verdict(), None, 0)


@dataclass(frozen=True)
class Taking:
    """Takes pictures in one look at the inbox.

    wanted: how many pictures still wait for each companion, which is counted down here.
    """

    config: Config
    ledger: Ledger
    decoder: Decoder
    reports: Reports
    admission: Admission
    wanted: Counter[Path]

    def with_room(self, batch: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
        """The pictures whose copies find room, together if all of them do, else one by one.

        Looked for when it is asked for: each takes its room before the next is looked at.
        """
        coming = sum(picture.bytes for picture in batch)
        try:
            files.ensure_room(self.config.state, coming, self.config.limits.free_bytes)
        except SurroundingsError as error:
            if len(batch) == 1:
                self.reports.trouble(error, batch[0].path)
                return
            for picture in batch:  # only the large ones may find no room
                yield from self.with_room([picture])
        else:
            yield batch

    def claim(self, batch: Sequence[Claim], shelf: Shelf) -> list[Claim]:
        """Claims pictures: those that have become jobs, without what changed or vanished.

        Several at once, since their rows and copies then reach the disk together.
        """
        with self.ledger.together():
            for picture in batch:
                self.ledger.add_picture(picture.id, picture.path, picture.companions)
        taken = []
        for picture in batch:
            try:
                if self._take(picture):
                    taken.append(picture)
            except SurroundingsError as error:
                self.reports.trouble(error, picture.path)
        return self.admission.admit(taken, shelf)

    def _take(self, picture: Claim) -> bool:
        """Renames a picture, and its companions, into the claimed folder; False if it is gone."""
        keep = self.config.limits.free_bytes
        if not claim.take(self.config.inbox, picture.id, picture.path, keep_bytes=keep):
            self._forget(picture.id)
            self.wanted.subtract(picture.companions)
            return False
        gone = [path for path in picture.companions if not self._take_companion(picture.id, path)]
        if gone:
            self._give_back(picture, COMPANION_IS_GONE.format(word_for(gone[0])))
        return not gone

    def _take_companion(self, picture_id: str, companion: Path) -> bool:
        """The same for a companion, which stays for others that wait for it, if there are any."""
        taken = claim.take(
            self.config.inbox,
            picture_id,
            companion,
            copy=self.wanted[companion] > 1,
            keep_bytes=self.config.limits.free_bytes,
        )
        self.wanted[companion] -= 1
        return taken

    def _give_back(self, picture: Claim, why: str = WRITTEN_TO) -> None:
        """Puts a picture back where it was dropped; raises SurroundingsError if that fails."""
        what = f"{files.printable(picture.path)} cannot be given back to the inbox"
        with refusals(what, "; let the service write there, and make room"):
            self.admission.give_back(picture, why)

    def _forget(self, picture_id: str) -> None:
        """Undoes a claim whose picture was never renamed."""
        self.ledger.forget_picture(picture_id)
        claim.drop_claim(self.config.inbox, picture_id)

    def halves(self) -> list[ClaimedPicture]:
        """The claims that a crash or a full disk left half done, whose companions are wanted too.

        What was never renamed is forgotten: the scan will find it.
        """
        halves: list[ClaimedPicture] = []
        for picture in self.ledger.claiming():
            if os.path.lexists(self._folder(picture) / picture.path):
                halves.append(picture)
            else:
                self._forget(picture.id)
        self.wanted.update(path for picture in halves for path in self._missing(picture))
        return halves

    def resume(self, picture: ClaimedPicture) -> Claim | None:
        """Goes on with a claim whose picture is in the claimed folder; None if it was given back.

        How long a file that may not be whole has been waited for is not known any more.
        """
        if claim.drop_source(self.config.inbox, picture.id, picture.path):
            self.wanted.subtract(picture.companions)
        gone = [path for path in picture.companions if not self._has_companion(picture, path)]
        if gone:
            self._give_back(unjudged(picture), COMPANION_IS_GONE.format(word_for(gone[0])))
            return None
        name = files.printable(picture.path.name)
        self.admission.on_picture(picture.path)
        verdict = self.decoder.decode(self._folder(picture) / picture.path, name)
        self.admission.on_piece(picture.path)
        resumed = dataclasses.replace(unjudged(picture), verdict=verdict)
        if verdict.doubtful:
            self._give_back(resumed)
            return None
        return resumed

    def _has_companion(self, picture: ClaimedPicture, companion: Path) -> bool:
        """Sees to it that a half done claim has a companion; False if that is gone."""
        if companion in self._missing(picture):
            return self._take_companion(picture.id, companion)
        if self.wanted[companion] <= 0:
            claim.drop_source(self.config.inbox, picture.id, companion)
        return True

    def _folder(self, picture: ClaimedPicture) -> Path:
        return claimed_folder(self.config.inbox, picture.id)

    def _missing(self, picture: ClaimedPicture) -> list[Path]:
        """The companions of a half done claim that are not in its claimed folder."""
        folder = self._folder(picture)
        return [path for path in picture.companions if not os.path.lexists(folder / path)]
