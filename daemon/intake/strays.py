"""Claims that are not, or no longer, in the ledger of whoever they belong to.

Nothing that was dropped may lie in the claimed folder for ever, and nothing be painted by two. What
lies there under a mark of our own and is not in our ledger is dropped again: the ledger was lost.
So is what belongs to a service that does not live any more. Should that one come back, a tombstone
that was laid first, and durably, tells it what is no longer its own.
"""

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.host import files
from daemon.intake import claim
from daemon.intake.others import Life, Others, is_locked
from daemon.intake.owner import Owner, Ownership, read_owner
from daemon.job import ClaimedPicture, PictureState
from daemon.ledger.store import Ledger
from daemon.state.claimed import (
    CLAIMED_FOLDER,
    claimed_folder,
    claims,
    owner_file,
    owner_files,
    tombstone,
    tombstones,
)
from daemon.state.spool import MARK_LENGTH, Spool

LOOK_S = 60.0
HURRIED_LOOK_S = 5.0
"""While it cannot be told yet whether an owner lives."""

Find = Callable[[str], ClaimedPicture | None]
"""A ledger's `find_picture`."""


@dataclass(frozen=True)
class Holding:
    """Claims of another service. owner: None if nothing tells who it was."""

    mark: str
    owner: Owner | None
    life: Life
    count: int

    @property
    def words(self) -> str:
        """Whose they are and how many, for a person."""
        who = self.owner.words if self.owner else f"a service that called itself {self.mark}"
        running = {Life.ALIVE: "running", Life.GONE: "gone", Life.UNKNOWN: "perhaps running"}
        return f"{self.count} claimed by {who} ({running[self.life]})"


class Strays:
    """Keeps our mark in the inbox, and looks after claims that nobody's ledger may know."""

    def __init__(
        self, inbox: Path, ledger: Ledger, spool: Spool, ownership: Ownership, others: Others
    ) -> None:
        self._inbox = inbox
        self._ledger = ledger
        self._spool = spool
        self._ownership = ownership
        self._others = others
        self._again_s: float | None = None
        self._released: set[str] = set()
        self._all_left = False
        self.mark = ""
        self.holdings: tuple[Holding, ...] = ()
        self.stuck: dict[str, str] = {}

    @property
    def undecided(self) -> bool:
        """Whether it is still to be seen if the owner of some claims lives."""
        return any(holding.life is Life.UNKNOWN for holding in self.holdings)

    def look_again(self) -> None:
        """The inbox was not to be had: what comes back may hold other claims.

        Our mark is held through that: who looks while it is free takes what is ours.
        """
        self._again_s = None

    def forget(self) -> None:
        """Nothing is mounted where the inbox was: nothing of ours is held there any more."""
        self.look_again()
        self._ownership.release()

    def check(self, now_s: float) -> None:
        """Makes sure of our mark, and now and then looks at all claims.

        Raises OSError if the inbox cannot be used, SurroundingsError if the state cannot.
        """
        self.mark = self._ownership.hold()
        if self._ownership.renewed and not self._all_left:
            self._leave_all_to_the_other()
        if self._again_s is not None and now_s < self._again_s:
            return
        if not self._ownership.renewed:
            self._ownership.hold_older(self._older_marks())
        stuck, self.stuck = self.stuck, {}
        self._note_others()
        self._heed_tombstones()
        if self._again_s is None or stuck:
            self._return_our_own()
        self._take_over(now_s)
        hurried = self.undecided or self.stuck
        self._again_s = now_s + (HURRIED_LOOK_S if hurried else LOOK_S)

    def beat(self) -> None:
        """A sign of life, in the midst of work that takes long; trouble shows at the next check."""
        with contextlib.suppress(OSError):
            self._ownership.beat()

    def close(self) -> None:
        """Lets go of our mark; where nothing is claimed under it, nothing tells of it any more."""
        with contextlib.suppress(OSError):  # the inbox is away
            self._ownership.hold_older({id_[:MARK_LENGTH] for id_ in self._held_older()})
            if self.mark and not any(
                picture_id.startswith(self.mark) for picture_id in claims(self._inbox)
            ):
                self._ownership.erase()
        self._ownership.release()

    def _held_older(self) -> list[str]:
        """The claims of our ledger under older marks of ours."""
        if self._ownership.renewed:
            return []
        older = self._older_marks()
        return [id_ for id_ in claims(self._inbox) if id_[:MARK_LENGTH] in older]

    def _older_marks(self) -> set[str]:
        """The marks besides ours under which our ledger has pictures open."""
        marks = {picture_id[:MARK_LENGTH] for picture_id in self._ledger.open_pictures()}
        return marks - {self.mark}

    def _leave_all_to_the_other(self) -> None:
        """Our ledger is a copy too: whatever it has under other marks than ours is the other's."""
        copied = [id_ for id_ in self._ledger.open_pictures() if not id_.startswith(self.mark)]
        gone = [self._let_go(self._ledger.picture(picture_id)) for picture_id in copied]
        self._all_left = all(gone)

    def _note_others(self) -> None:
        """Remembers that this inbox is shared, for when it cannot be seen; tried at each look."""
        if not self._spool.shares_inbox.exists() and is_shared(self._inbox, self.mark):
            with contextlib.suppress(OSError):
                files.write_bytes(self._spool.shares_inbox, b"", replace=True)

    def _heed_tombstones(self) -> None:
        """What another service has taken over while we were not there is no longer ours."""
        for picture_id in tombstones(self._inbox):
            picture = self._ledger.find_picture(picture_id)
            if picture is None or self._was_let_go(picture):
                continue  # it is laid for another, also where our ledger is a copy of its
            if self._let_go(picture):
                claim.give_back_all(self._inbox, picture_id)  # cut off before it was done there
                tombstone(self._inbox, picture_id).unlink(missing_ok=True)

    def _was_let_go(self, picture: ClaimedPicture) -> bool:
        """Whether a picture of another mark than ours is no longer open here."""
        return picture.state is PictureState.FILED and not picture.id.startswith(self.mark)

    def _let_go(self, picture: ClaimedPicture) -> bool:
        """Forgets an open picture that somebody else paints; False while a job of it runs here."""
        gone = let_go(self._ledger, self._spool, picture)
        if gone or picture.id not in self._released:
            logger.warning(
                "{} was claimed by this service and is painted by another now{}",
                files.printable(picture.path),
                "" if gone else "; a job of it still runs here",
            )
        self._released.add(picture.id)
        return gone

    def _return_our_own(self) -> None:
        """Our claims that the ledger knows nothing of, or has filed already, are dropped again.

        Their ledger was lost, or thrown away; painting a picture twice is better than never.
        What was filed while the inbox was away, by its copy, has no more use here.
        """
        for picture_id in claims(self._inbox):
            if not picture_id.startswith(self.mark):
                continue
            picture = self._ledger.find_picture(picture_id)
            if picture is None:
                with self._one_of_many(picture_id):
                    claim.give_back_all(self._inbox, picture_id)
                    logger.warning(
                        "claim {} is unknown to the ledger; back into the inbox", picture_id
                    )
            elif picture.state is PictureState.FILED:
                with self._one_of_many(picture_id):
                    claim.drop_filed(self._inbox, picture)

    def _take_over(self, now_s: float) -> None:
        """Drops again what services have claimed that do not live any more."""
        found = foreign_claims(self._inbox, self.mark, self._ledger.find_picture)
        holdings = []
        for mark, ids in found.items():
            life, owner = self._others.look(mark, now_s)
            if life is Life.GONE:
                self._drop_again(ids, owner)
            else:
                holdings.append(Holding(mark, owner, life, len(ids)))
        self.holdings = tuple(holdings)

    def _drop_again(self, ids: list[str], owner: Owner | None) -> None:
        """Drops the claims of an owner that is gone."""
        who = owner.words if owner else "another, or an older atelierd"
        for picture_id in ids:
            picture = self._ledger.find_picture(picture_id)
            if picture is not None and picture.sha256:  # filed, under a mark that was ours once
                with self._one_of_many(picture_id):
                    claim.drop_filed(self._inbox, picture)
            else:
                with self._one_of_many(picture_id):
                    take_over(self._inbox, picture_id, self.mark)
                    logger.warning(
                        "claim {} of a service that is gone ({}) goes back into the inbox",
                        picture_id,
                        who,
                    )

    @contextlib.contextmanager
    def _one_of_many(self, picture_id: str) -> Iterator[None]:
        """One claim that cannot be given back holds no other up; it is tried again, and told of."""
        try:
            yield
        except OSError as error:
            self.stuck[picture_id] = (
                f"cannot be given back to the inbox: {error.strerror}; it is tried again"
            )


def let_go(ledger: Ledger, spool: Spool, picture: ClaimedPicture) -> bool:
    """Takes a picture, and its jobs that are not over, out of ledger and spool.

    False, and nothing is changed, while a job of it runs.
    """
    if picture.state is PictureState.CLAIMING:
        ledger.forget_picture(picture.id)
        return True
    jobs = ledger.release_picture(picture.id)
    if jobs is None:
        return False
    for job in jobs:
        spool.drop_job(job.id)
    spool.drop_picture(picture.id)
    return True


def is_anothers(inbox: Path, mark: str, picture_id: str) -> bool:
    """Whether another service paints a picture of our ledger: taken over, or copied to us."""
    if os.path.lexists(tombstone(inbox, picture_id)):
        return True
    its = owner_file(inbox, picture_id[:MARK_LENGTH])
    ours = owner_file(inbox, mark)
    with contextlib.suppress(FileNotFoundError):
        return its != ours and is_locked(its) is True and not is_one_owner(its, ours)
    return False


def is_one_owner(one: Path, other: Path) -> bool:
    """Whether two owner files tell of one process, which holds an older mark besides its own."""
    try:
        mine, its = read_owner(one)[0], read_owner(other)[0]
    except FileNotFoundError:
        return False
    return mine is not None and its is not None and mine.process == its.process


def foreign_claims(inbox: Path, mark: str, find: Find) -> dict[str, list[str]]:
    """The claims that are not ours, by the mark of their owner.

    Those under marks of older times that the ledger has open are ours.
    """
    foreign: dict[str, list[str]] = {}
    for picture_id in claims(inbox):
        if mark and picture_id.startswith(mark):
            continue
        picture = find(picture_id)
        if picture is None or picture.state is PictureState.FILED:
            foreign.setdefault(picture_id[:MARK_LENGTH], []).append(picture_id)
    return foreign


def is_shared(inbox: Path, mark: str) -> bool:
    """Whether anything tells that another service uses an inbox, or has."""
    ours = owner_file(inbox, mark)
    return bool(tombstones(inbox)) or any(owner != ours for owner in owner_files(inbox))


def take_over(inbox: Path, picture_id: str, mark: str) -> None:
    """Drops a claim of a service that is gone into the inbox again.

    The tombstone is laid first: whenever this is cut off, its owner cannot come back and paint it
    too. Then it becomes a claim of our own by one rename, so that of two services one wins, and
    what is cut off after that is given back at the next start.
    """
    if not tombstone(inbox, picture_id).exists():
        files.write_bytes(tombstone(inbox, picture_id), b"", replace=True)
    ours = mark + uuid.uuid4().hex[len(mark) :]
    try:
        os.rename(claimed_folder(inbox, picture_id), claimed_folder(inbox, ours))
    except FileNotFoundError:
        return  # another service was faster
    files.sync_folder(inbox / CLAIMED_FOLDER)
    claim.give_back_all(inbox, ours)


def known_holdings(inbox: Path, mark: str, find: Find) -> list[Holding]:
    """What others hold in an inbox, at a first look, for those who only ask."""
    others = Others(inbox)
    return [
        Holding(its, owner, life, len(ids))
        for its, ids in foreign_claims(inbox, mark, find).items()
        for life, owner in (others.look(its, 0.0),)
    ]
