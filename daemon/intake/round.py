"""A round of the intake: from what lies in the inbox to jobs in the ledger."""

import errno
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake import reports, scan
from daemon.intake.admission import Admission, Claim
from daemon.intake.content import ContentLooks
from daemon.intake.copies import Copies
from daemon.intake.decode import Decoder
from daemon.intake.doubts import Doubts
from daemon.intake.observation import READS, Observation
from daemon.intake.others import Others
from daemon.intake.owner import SILENCE_S, Ownership
from daemon.intake.preset_folders import PresetFolders
from daemon.intake.readiness import PRESET_IS_WRITTEN, Patience, Postponed, Readiness
from daemon.intake.reports import Reports, Wait
from daemon.intake.scan import Scan
from daemon.intake.settle import Proof
from daemon.intake.shelf import PresetWatch
from daemon.intake.strays import HURRIED_LOOK_S, Strays
from daemon.intake.taking import Taking
from daemon.ledger.store import Ledger, utc_now
from daemon.settings.config import Config
from daemon.settings.presets import Shelf
from daemon.state.claimed import claimed_folder
from daemon.state.mounts import Mounts
from daemon.state.spool import Spool

BATCH, BATCH_BYTES = 64, 64 << 20
LONGEST_READS = 5.0
"""How many times `settle_s` a file takes that only its content can show to be settled."""


class QueueFullError(SurroundingsError):
    """As many jobs wait as may; there is room again when some of them have run."""


class Intake:
    """Sees, settles, pairs and claims. One thread's; the clock comes in with every round.

    on_picture: told the picture that is about to be looked at or copied, from several threads.
    on_piece: likewise, with each piece that was copied, and when it was decoded.
    ownership: our mark in the inbox, where it is held already.
    awaits_presets: whether some were away or being written at the last look.
    restored: whether the copies that the state folder had lost were made again.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        decoder: Decoder,
        *,
        settle_s: float,
        give_up_s: float,
        on_picture: Callable[[Path], object] = lambda _: None,
        on_piece: Callable[[Path], object] = lambda _: None,
        ownership: Ownership | None = None,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._decoder = decoder
        self._settle_s = settle_s
        self._on_picture = on_picture
        self._mounts = Mounts(config.state)
        spool = Spool(config.state)
        held = ownership or Ownership(config.inbox, spool)
        self.strays = Strays(config.inbox, ledger, spool, held, Others(config.inbox))
        self.reports = Reports(settle_s=settle_s, give_up_s=give_up_s)
        self._observation = Observation(
            config.inbox, settle_s=settle_s, sidecar_wait_s=config.sidecar_wait_s
        )
        self._contents = ContentLooks(config.inbox, settle_s=settle_s, on_file=on_picture)
        self._doubts = Doubts(settle_s=settle_s, give_up_s=give_up_s)
        self._patience = Patience()
        self._presets = PresetWatch(
            config,
            lambda path, name: decoder.decode(path, name).fault,
            settle_s=settle_s,
            now=utc_now,
        )
        self._preset_folders = PresetFolders(config.inbox, config.inbox_folders)
        self._readiness = Readiness(
            config,
            decoder,
            self._observation,
            self._doubts,
            self._patience,
            self.strays,
            settle_s=settle_s,
            give_up_s=give_up_s,
            on_picture=on_picture,
            on_piece=on_piece,
        )
        self._admission = Admission(config, ledger, spool, self.reports, on_picture, on_piece)
        self._copies = Copies(config, ledger, spool, on_picture, on_piece)
        self._looked_s = 0.0
        self.awaits_presets = False
        self.restored = False

    @property
    def patience_s(self) -> float:
        """How long a picture may rightly lie here until it is claimed, by what was met so far."""
        undecided_s = SILENCE_S if self.strays.undecided else 0.0
        return self._settle_s + self._patience.total_s + undecided_s

    @property
    def left(self) -> list[str]:
        """What lies here unclaimed, each with why."""
        return [
            f"{files.printable(path)} (in the inbox: "
            f"{reports.why_left(watch, self._looked_s, self._settle_s)})"
            for path, watch in (*self._observation.pictures(), *self._contents.undecided)
        ]

    @property
    def pending(self) -> bool:
        """Whether pictures lie in the inbox that are not claimed yet and have content.

        Also while it is to be seen whether what another service has claimed comes back, and what a
        file is whose name does not tell.
        """
        if self.strays.undecided or self._contents.undecided:
            return True
        return any(watch.signature.size > 0 for _, watch in self._observation.pictures())

    def next_look_s(self, now_s: float) -> float | None:
        """Seconds until something in the inbox may be ready, or None."""
        looks = self._doubts.next_looks_s(now_s)
        settling = self._observation.next_look_s(now_s)
        writing = self._presets.next_look_s(now_s)
        looks += [look for look in (settling, writing) if look is not None]
        looks += self._contents.next_looks_s(now_s)
        looks += [HURRIED_LOOK_S] if self.strays.undecided or self.strays.stuck else []
        waiting = self.pending and not looks
        return max(0.05, min(looks)) if looks else (1.0 if waiting else None)

    def round(self, now_s: float) -> int:
        """One look at the inbox; claims what is ready and returns how many pictures it claimed.

        Raises SurroundingsError if inbox, disk or ledger cannot be used, SeveralError with all that
        stood in the way; nothing is lost then, and the next round goes on where this one stopped.
        """
        self._looked_s = now_s
        self.reports.begin_look(now_s)
        try:
            seen = self._scan(now_s)
            taking = self._taking()
            shelf = self._look_at_presets(now_s)
            claimed = self._resume_claims(taking, shelf)
        except OSError as error:
            self.strays.look_again()
            self.restored = False
            raise unavailable(self._config.inbox, error) from error
        self._observe(seen, now_s)
        self._tell_what_lies(seen)
        settled = self._settled(seen, now_s)
        if settled and isinstance(shelf, Shelf):
            claimed += self._claim_settled(settled, taking, shelf, now_s)
        elif settled and isinstance(shelf, SurroundingsError):
            self._turn_away([path for path, _ in settled], shelf, mend=True)
        self.reports.end_look()
        return claimed

    def _scan(self, now_s: float) -> Scan:
        """What lies in the inbox, once it is sure that it is ours to look at."""
        try:
            self._mounts.check(self._config.inbox)
        except SurroundingsError:  # what comes back is looked at as at the start
            self.strays.forget()
            self.restored = False
            raise
        self.strays.check(now_s)
        if not self.restored:  # once for each start and return of it: all that waits is looked at
            troubles = self._copies.restore()
            for error in troubles:
                self.reports.trouble(error)
            self.restored = not troubles
        seen = self._contents.sort(scan.scan(self._config.inbox), now_s)
        self._observation.pair(seen)
        return seen

    def _taking(self) -> Taking:
        """What takes pictures in this look."""
        wanted = Counter(chain.from_iterable(self._observation.pairs.companions_of.values()))
        return Taking(
            self._config, self._ledger, self._decoder, self.reports, self._admission, wanted
        )

    def _look_at_presets(self, now_s: float) -> Shelf | SurroundingsError:
        """The presets, or why they are away; that is no trouble until a picture needs them."""
        self._on_picture(self._config.presets)
        self.awaits_presets = True
        try:
            shelf = self._presets.look(now_s)
        except SurroundingsError as error:
            return error
        self.awaits_presets = bool(shelf.waiting)
        self._preset_folders.keep_up(shelf)
        return shelf

    def _resume_claims(self, taking: Taking, shelf: Shelf | SurroundingsError) -> int:
        """Ends the claims that a crash or a full disk left half done; returns how many."""
        halves = taking.halves()
        if isinstance(shelf, SurroundingsError):
            if halves:
                self.reports.trouble(shelf)
            return 0
        waiting: list[Claim] = []
        for picture in halves:
            folder = claimed_folder(self._config.inbox, picture.id)
            try:
                taken = taking.resume(picture)
                if taken is None:
                    continue
                if self._readiness.waits_for_presets(folder, taken.path, taken.companions, shelf):
                    self.reports.note(Wait(taken.path, PRESET_IS_WRITTEN))
                else:
                    waiting.append(taken)
            except SurroundingsError as error:  # one bad claim must not hold up the others
                self.reports.trouble(error, picture.path)
        return len(self._admission.admit(waiting, shelf))

    def _observe(self, seen: Scan, now_s: float) -> None:
        """Remembers the look, and reads the files that only their content can show settled."""
        self._observation.observe(seen, now_s, self._contents.watched)
        restless = self._observation.restless(now_s)
        if restless:
            longest = LONGEST_READS + len(restless) / READS
            self._patience.allow("content is read", longest * self._settle_s)
        for path in self._observation.readable_in_a_look(restless):
            self._on_picture(path)
            self.strays.beat()
            self._observation.read(path, now_s)
        self._doubts.keep(self._observation)

    def _tell_what_lies(self, seen: Scan) -> None:
        """Says what is left lying, and why."""
        alone, stale = self._observation.pairs.alone, self._observation.stale(seen)
        unpainted, lone = reports.unpainted(seen), reports.lone_companions(alone, stale)
        claims = reports.held_claims(self.strays.stuck, self.strays.holdings)
        self.reports.tell([*unpainted, *lone, *claims])

    def _settled(self, seen: Scan, now_s: float) -> list[tuple[Path, Proof]]:
        """The pictures that have settled, with what shows it; of the others it is told."""
        settled: list[tuple[Path, Proof]] = []
        for sighting in seen.pictures:
            proof = self._observation.proof(sighting.path, now_s)
            if proof is not None:
                settled.append((sighting.path, proof))
            else:
                why = reports.restlessness(sighting.signature)
                self.reports.note(Wait(sighting.path, why))
        return settled

    def _claim_settled(
        self, settled: Sequence[tuple[Path, Proof]], taking: Taking, shelf: Shelf, now_s: float
    ) -> int:
        """Claims what is ready, in batches, while more jobs may wait; returns how many."""
        try:  # before each is decoded, which a full disk would make vain at every look
            files.ensure_room(self._config.state, 0, self._config.limits.free_bytes)
        except SurroundingsError as error:
            self._turn_away([path for path, _ in settled], error, mend=True)
            return 0
        claimed = coming = 0
        room = self._config.limits.waiting - self._ledger.waiting()
        batch: list[Claim] = []
        for number, (path, proof) in enumerate(settled):
            if coming >= room:
                full = QueueFullError(
                    f"{self._config.limits.waiting} jobs wait (limits: waiting); more "
                    "pictures stay in the inbox until there are fewer"
                )
                self._turn_away([path for path, _ in settled[number:]], full, mend=False)
                break
            ready = self._consider(path, proof, shelf, now_s)
            if ready is not None:
                batch.append(ready)
                coming += self._readiness.jobs(ready, shelf)
            if len(batch) == BATCH or sum(one.bytes for one in batch) > BATCH_BYTES:
                claimed += self._claim(batch, taking, shelf)
                batch = []
        return claimed + (self._claim(batch, taking, shelf) if batch else 0)

    def _turn_away(self, paths: Sequence[Path], why: SurroundingsError, *, mend: bool) -> None:
        """Tells of what keeps several pictures from getting on; if not to mend, it is at rest."""
        self.reports.trouble(why)
        for path in paths:
            self.reports.note(Wait(path, str(why), mend, at_rest=not mend))

    def _consider(self, path: Path, proof: Proof, shelf: Shelf, now_s: float) -> Claim | None:
        """A settled picture's claim; None if it is not ready, which is told."""
        try:
            considered = self._readiness.consider(path, proof, shelf, now_s)
        except SurroundingsError as error:  # one picture must not hold up the others
            self.reports.trouble(error, path)
            return None
        if isinstance(considered, Postponed):
            self.reports.note(Wait(path, considered.why))
            return None
        return considered

    def _claim(self, batch: Sequence[Claim], taking: Taking, shelf: Shelf) -> int:
        """Claims pictures; returns how many."""
        claimed = 0
        for part in taking.with_room(batch):
            admitted = taking.claim(part, shelf)
            for one in part:
                if one in admitted or isinstance(one.expected, str):  # whose content may differ now
                    self._observation.forget(one.path)
            claimed += len(admitted)
        return claimed


def unavailable(inbox: Path, error: OSError) -> SurroundingsError:
    """What to do about an inbox that cannot be looked at."""
    remedy = "; mount it writable" if error.errno == errno.EROFS else ""
    return SurroundingsError(f"the inbox {inbox} is unavailable: {error.strerror}{remedy}")
