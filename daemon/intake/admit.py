"""A round of the intake: from what lies in the inbox to jobs in the ledger."""

import contextlib
import dataclasses
import errno
import os
import stat
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon import files, names
from daemon.config import Config
from daemon.errors import SeveralError, SurroundingsError
from daemon.intake import claim, pair, scan, settle, sidecars
from daemon.intake.decode import Decoder, Verdict
from daemon.intake.drafts import Drafting
from daemon.intake.owner import SILENCE_S, Life, Others, Ownership
from daemon.intake.scan import CLAIMED_FOLDER, Scan, Sighting, Signature
from daemon.intake.settle import Proof
from daemon.intake.shelf import PATIENCE_S, PresetWatch
from daemon.intake.strays import HURRIED_LOOK_S, Holding, Strays
from daemon.job import ClaimedPicture, Draft
from daemon.ledger.store import Ledger, utc_now
from daemon.mounts import Mounts
from daemon.presets import Shelf
from daemon.spool import Spool
from daemon.waits import Wait, Waits

LONGEST_BACKOFF_S = 60.0
BATCH, BATCH_BYTES = 64, 64 << 20
COPIERS = 8
LONGEST_READS = 5.0
"""How many times `settle_s` a file takes that only its content can show to be settled."""

UNDECIDED = "if nothing is heard of it within five minutes they are taken over"


class QueueFullError(SurroundingsError):
    """As many jobs wait as may; there is room again when some of them have run."""


@dataclass(frozen=True)
class Doubt:
    """A settled file that may not be whole: since when, how often tried, when to try again."""

    proof: Proof
    since_s: float
    tries: int
    again_s: float
    fault: str


@dataclass(frozen=True)
class Claim:
    """A picture on its way from the inbox to the ledger.

    expected: what it was like when it was looked at; None if that is not known any more.
    bytes: its size then, 0 if that is not known.
    warnings: of sidecars that lie beside it and were not obeyed.
    """

    id: str
    path: Path
    sidecar: Path | None
    verdict: Verdict
    expected: Proof | None
    bytes: int
    warnings: tuple[str, ...] = ()


class Intake:
    """Sees, settles, pairs and claims. One thread's; the clock comes in with every round.

    on_picture: told the picture that is about to be looked at or copied, from several threads.
    on_piece: likewise, with each piece that was copied.
    awaits_presets: whether some were away or being written at the last look.
    """

    def __init__(
        self, config: Config, ledger: Ledger, decoder: Decoder, *, settle_s: float,
        give_up_s: float, on_picture: Callable[[Path], object] = lambda _: None,
        on_piece: Callable[[Path], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self._config = config
        self._ledger = ledger
        self._decoder = decoder
        self._spool = Spool(config.state)
        self._mounts = Mounts(config.state)
        ownership = Ownership(config.inbox, self._spool)
        others = Others(config.inbox)
        self._strays = Strays(config.inbox, ledger, self._spool, ownership, others)
        self._waits = Waits(settle_s, give_up_s)
        self._settle_s = settle_s
        self._give_up_s = give_up_s
        self._on_picture = on_picture
        self._on_piece = on_piece
        self._watched: dict[Path, settle.Watch] = {}
        self._doubts: dict[Path, Doubt] = {}
        self._reported: set[Path] = set()
        self._pairs = sidecars.match((), ())
        self._presets = PresetWatch(config, self._judge_style, settle_s=settle_s, now=utc_now)
        self._alone: dict[Path, settle.Watch] = {}
        self._seen_s = 0.0
        self._held_s: dict[str, float] = {}
        self._looked_s = 0.0
        self.awaits_presets = False

    def close(self) -> None:
        """Lets other services know that this one has ended."""
        self._strays.close()

    def beat(self) -> None:
        """Lets other services know that this one lives, where a look is far off."""
        self._strays.beat()

    def waits(self, now_s: float) -> tuple[Wait, ...]:
        """What a person is to be told of, since it does not get on."""
        return self._waits.due(now_s)

    @property
    def holdings(self) -> tuple[Holding, ...]:
        """What other services have claimed in this inbox."""
        return self._strays.holdings

    @property
    def patience_s(self) -> float:
        """How long a picture may rightly lie here until it is claimed, by what was met so far."""
        undecided_s = SILENCE_S if self._strays.undecided else 0.0
        return self._settle_s + sum(self._held_s.values()) + undecided_s

    @property
    def left(self) -> list[str]:
        """What lies here unclaimed, each with why."""
        return [
            f"{files.printable(path)} (in the inbox: {self._why_left(watch)})"
            for path, watch in list(self._watched.items())
            if not names.is_yaml(path.name)
        ]

    def _why_left(self, watch: settle.Watch) -> str:
        if watch.signature.size == 0:
            return "it is empty"
        settled = settle.is_settled(watch, self._looked_s, self._settle_s)
        return "it could not be taken" if settled else "it is still being written"

    @property
    def pending(self) -> bool:
        """Whether pictures lie in the inbox that are not claimed yet and have content.

        Also while it is to be seen whether what another service has claimed comes back.
        """
        return self._strays.undecided or any(
            watch.signature.size > 0
            for path, watch in self._watched.items()
            if not names.is_yaml(path.name)
        )

    def round(self, now_s: float) -> int:
        """One look at the inbox; claims what is ready and returns how many pictures it claimed.

        Raises SurroundingsError if inbox, disk or ledger cannot be used, SeveralError with all that
        stood in the way; nothing is lost then, and the next round goes on where this one stopped.
        """
        troubles: list[SurroundingsError] = []
        self._looked_s = now_s
        try:
            self._check_mount()
            self._strays.check(now_s)
            seen = scan.scan(self._config.inbox)
            self._pairs = sidecars.match(
                [sighting.path for sighting in seen.pictures],
                {sighting.path for sighting in seen.sidecars},
                self._stale_sidecars(seen),
            )
            wanted = Counter(self._pairs.sidecar_of.values())
            shelf = self._look_at_presets(now_s)
            claimed = self._resume_claims(wanted, shelf, troubles, now_s)
        except OSError as error:
            self._strays.forget()
            remedy = "; mount it writable" if error.errno == errno.EROFS else ""
            raise SurroundingsError(
                f"the inbox {self._config.inbox} is unavailable: {error.strerror}{remedy}"
            ) from error
        self._watched = settle.observe(self._watched, (*seen.pictures, *seen.sidecars), now_s)
        self._read_restless(now_s)
        self._doubts = {
            path: doubt for path, doubt in self._doubts.items() if path in self._watched
        }
        alone = [one for one in seen.sidecars if one.path in self._pairs.alone]
        self._alone = settle.observe(self._alone, alone, now_s)
        self._seen_s = now_s
        self._report(seen, now_s)
        settled = []
        for sighting in seen.pictures:
            if settle.is_settled(self._watched[sighting.path], now_s, self._settle_s):
                settled.append(sighting)
            else:
                self._waits.note(sighting.path, restlessness(sighting.signature), now_s)
        if settled and isinstance(shelf, Shelf):
            claimed += self._claim_settled(settled, wanted, shelf, now_s, troubles)
        elif settled and isinstance(shelf, SurroundingsError):
            troubles.append(shelf)
            for sighting in settled:
                self._waits.note(sighting.path, str(shelf), now_s, mend=True)
        self._waits.end_look()
        if troubles:
            raise SeveralError(troubles)
        return claimed

    def _claim_settled(
        self, settled: Sequence[Sighting], wanted: Counter[Path | None], shelf: Shelf,
        now_s: float, troubles: list[SurroundingsError],
    ) -> int:  # fmt: skip
        """Claims what is ready, in batches, while more jobs may wait; returns how many.

        wanted: how many pictures still wait for each sidecar.
        """
        claimed = 0
        room = self._config.limits.waiting - self._ledger.waiting()
        batch: list[Claim] = []
        for number, sighting in enumerate(settled):
            if claimed + len(batch) >= room:
                full = QueueFullError(
                    f"{self._config.limits.waiting} jobs wait (limits: waiting); more "
                    "pictures stay in the inbox until there are fewer"
                )
                troubles.append(full)
                for left in settled[number:]:
                    self._waits.note(left.path, str(full), now_s, at_rest=True)
                break
            try:
                ready = self._consider(sighting.path, shelf, now_s)
            except SurroundingsError as error:  # one picture must not hold up the others
                self._trouble(troubles, sighting.path, error, now_s)
                continue
            if ready is not None:
                batch.append(ready)
            if len(batch) == BATCH or sum(one.bytes for one in batch) > BATCH_BYTES:
                claimed += self._claim(batch, wanted, shelf, troubles, now_s)
                batch = []
        return claimed + (self._claim(batch, wanted, shelf, troubles, now_s) if batch else 0)

    def _trouble(
        self, troubles: list[SurroundingsError], path: Path, error: SurroundingsError, now_s: float
    ) -> None:
        """Notes what keeps one picture from getting on, for the round and for who asks."""
        troubles.append(error)
        self._waits.note(path, str(error), now_s, mend=True)

    def _read_restless(self, now_s: float) -> None:
        """Reads the files that only their content can show to be settled."""
        for path, watch in self._watched.items():
            if settle.wants_content(watch, now_s, self._settle_s):
                self._on_picture(path)
                self._held_s["content is read"] = LONGEST_READS * self._settle_s
                with contextlib.suppress(OSError):  # gone, or told of when it is to be claimed
                    sha256 = files.sha256_of(self._config.inbox / path)
                    self._watched[path] = settle.with_content(watch, sha256, now_s, self._settle_s)

    def _look_at_presets(self, now_s: float) -> Shelf | SurroundingsError:
        """The presets, or why they are away; that is no trouble until a picture needs them."""
        self._on_picture(self._config.presets)
        self.awaits_presets = True
        try:
            found = self._presets.look(now_s)
        except SurroundingsError as error:
            return error
        self.awaits_presets = bool(found.waiting)
        return found

    def next_look_s(self, now_s: float) -> float | None:
        """Seconds until something in the inbox may be ready, or None."""
        looks = [doubt.again_s - now_s for doubt in self._doubts.values()]
        settling = settle.next_look_s(self._watched, now_s, self._settle_s)
        writing = self._presets.next_look_s(now_s)
        looks += [look for look in (settling, writing) if look is not None]
        looks += [HURRIED_LOOK_S] if self._strays.undecided or self._strays.stuck else []
        waiting = self.pending and not looks
        return max(0.05, min(looks)) if looks else (1.0 if waiting else None)

    def _consider(self, path: Path, shelf: Shelf, now_s: float) -> Claim | None:
        """A settled picture that is to be claimed: its sidecar and its content are ready too."""
        self._on_picture(path)
        self._strays.beat()
        watch, sidecar = self._watched[path], self._pairs.sidecar_of[path]
        proof = settle.proof(watch, now_s, self._settle_s)
        if proof is None:
            return None
        if sidecar is not None:
            if not self._is_written(sidecar, now_s):
                self._held_s["sidecar is written"] = self._give_up_s
                why = f"waits for its sidecar {files.printable(sidecar.name)}, which is unfinished"
                self._waits.note(path, why, now_s)
                return None
        elif self._waits_for_sidecar(path, shelf, now_s - settle.still_since_s(watch)):
            self._held_s["sidecar comes"] = self._config.sidecar_wait_s
            why = "lies in no preset's folder and waits for its sidecar (sidecar_wait_s)"
            self._waits.note(path, why, now_s)
            return None
        if self._waits_for_presets(self._config.inbox, path, sidecar, shelf):
            self._waits.note(path, "waits for its preset, which is just being written", now_s)
            return None
        doubt = self._doubts.get(path)
        if doubt and doubt.proof == proof and now_s < doubt.again_s:
            self._waits.note(path, doubt.fault, now_s)
            return None
        claim.check_claimable(self._config.inbox / path)
        verdict = self._judge(path, watch.signature)
        doubtful = verdict.unfinished or verdict.doubt
        if doubtful and not self._give_up(path, proof, verdict, now_s):
            return None
        mark, told = self._strays.mark, self._pairs.warnings.get(path, ())
        picture_id = mark + uuid.uuid4().hex[len(mark) :]
        return Claim(picture_id, path, sidecar, verdict, proof, watch.signature.size, told)

    def _is_written(self, sidecar: Path, now_s: float) -> bool:
        """Whether a sidecar has settled; one that stays empty has as long as a cut picture."""
        watch = self._watched[sidecar]
        longest_s = max(self._settle_s, self._give_up_s)
        settled = settle.is_settled(watch, now_s, self._settle_s)
        return settled or now_s - watch.size_since_s >= longest_s

    def _waits_for_sidecar(self, path: Path, shelf: Shelf, settled_s: float) -> bool:
        """Only where the folder names no preset: elsewhere a sidecar is the exception, and
        waiting for it would slow every picture down.
        """
        _, inner = pair.queue_of(path, self._config.schedule.bulk_folder)
        if pair.folder_preset(inner, shelf.names) is not None:
            return False
        return settled_s < self._config.sidecar_wait_s

    def _waits_for_presets(
        self, folder: Path, path: Path, sidecar: Path | None, shelf: Shelf
    ) -> bool:
        """Whether presets of a picture are just being written; folder: what both lie below.

        Raises SurroundingsError where one is gone: it may be about to come back.
        """
        if not shelf.waiting:
            return False
        _, inner = pair.queue_of(path, self._config.schedule.bulk_folder)
        note = self._read_sidecar(folder, sidecar)
        awaited = pair.awaited(inner, note, shelf, self._config.default_preset)
        self._held_s |= {"preset is back": PATIENCE_S} if awaited else {}
        if told := [shelf.waiting[name] for name in awaited if shelf.waiting[name]]:
            raise SurroundingsError(told[0])
        return bool(awaited)

    def _judge(self, path: Path, signature: Signature) -> Verdict:
        """Whether a picture can be decoded; size limits first."""
        limit = self._config.limits.picture_bytes
        name = files.printable(path.name)
        if signature.size > limit:
            return Verdict(fault=f"{name} has {signature.size} bytes; the limit is {limit} "
                                 "(limits: picture_bytes)")  # fmt: skip
        return self._decoder.decode(self._config.inbox / path, name)

    def _judge_style(self, path: Path, name: str) -> str:
        """What is wrong with a style image; empty if nothing is."""
        return self._decoder.decode(path, name).fault

    def _give_up(self, path: Path, proof: Proof, verdict: Verdict, now_s: float) -> bool:
        """Whether a file that may not be whole has had its time; else when to look again."""
        doubt, fault = self._doubts.get(path), verdict.fault or verdict.doubt
        if doubt is None or doubt.proof != proof:
            doubt = Doubt(proof, now_s, 0, now_s, fault)
            what = "does not decode yet" if verdict.unfinished else "may not be whole yet"
            logger.info("{} {}; waiting for the rest: {}", files.printable(path), what, fault)
        if now_s - doubt.since_s >= self._give_up_s:
            return True
        self._held_s["rest comes"] = self._give_up_s
        backoff = min(LONGEST_BACKOFF_S, max(self._settle_s, 1.0) * 2**doubt.tries)
        again = min(now_s + backoff, doubt.since_s + self._give_up_s)
        self._doubts[path] = dataclasses.replace(doubt, tries=doubt.tries + 1, again_s=again)
        self._waits.note(path, fault, now_s)
        return False

    def _claim(
        self, batch: Sequence[Claim], wanted: Counter[Path | None], shelf: Shelf,
        troubles: list[SurroundingsError], now_s: float,
    ) -> int:  # fmt: skip
        """Claims pictures; returns how many, without those that changed or vanished on the way.

        Several at once, since their rows and copies then reach the disk together.
        """
        coming = sum(one.bytes for one in batch)
        try:
            files.ensure_room(self._config.state, coming, self._config.limits.free_bytes)
        except SurroundingsError as error:
            if len(batch) > 1:  # only the large ones may find no room
                return sum(self._claim([one], wanted, shelf, troubles, now_s) for one in batch)
            self._trouble(troubles, batch[0].path, error, now_s)
            return 0
        with self._ledger.together():
            for one in batch:
                self._ledger.add_picture(one.id, one.path, one.sidecar)
        taken = []
        for one in batch:
            try:
                if self._take(one, wanted):
                    taken.append(one)
            except SurroundingsError as error:
                self._trouble(troubles, one.path, error, now_s)
        admitted = self._copy_and_admit(taken, shelf, troubles, now_s)
        for one in admitted:
            del self._watched[one.path]
        return len(admitted)

    def _take(self, one: Claim, wanted: Counter[Path | None]) -> bool:
        """Renames a picture, and its sidecar, into the claimed folder; False if it is gone."""
        keep = self._config.limits.free_bytes
        if not claim.take(self._config.inbox, one.id, one.path, keep_bytes=keep):
            self._ledger.forget_picture(one.id)
            claim.drop_claim(self._config.inbox, one.id)
            wanted[one.sidecar] -= 1
            return False
        if one.sidecar is not None:
            self._take_sidecar(one.id, one.sidecar, wanted)
        return True

    def _take_sidecar(self, picture_id: str, sidecar: Path, wanted: Counter[Path | None]) -> None:
        """The same for a sidecar, which stays for the others that wait for it, if there are any."""
        claim.take(
            self._config.inbox, picture_id, sidecar, copy=wanted[sidecar] > 1,
            keep_bytes=self._config.limits.free_bytes,
        )  # fmt: skip
        wanted[sidecar] -= 1

    def _copy_and_admit(
        self, taken: Sequence[Claim], shelf: Shelf, troubles: list[SurroundingsError],
        now_s: float,
    ) -> list[Claim]:  # fmt: skip
        """The second half of a claim, which a restart repeats: those that have become jobs."""
        with ThreadPoolExecutor(COPIERS) as copiers:
            copies = list(copiers.map(self._copy, taken))
        admitted: list[tuple[Claim, Sequence[Draft]]] = []
        try:
            self._sync_renames(taken)
            with self._ledger.together():
                for one, copied in zip(taken, copies, strict=True):
                    if isinstance(copied, SurroundingsError):
                        self._trouble(troubles, one.path, copied, now_s)
                    elif copied is None:
                        self._give_back(one)
                    else:
                        admitted.append((one, self._admit(one, *copied, shelf)))
                self._log_jobs(admitted)  # before they are there: what has failed is published then
        except OSError as error:  # nothing of it is in the ledger; the next round does it again
            if len(taken) > 1:  # it may be the fault of one of them
                return [
                    done
                    for one in taken
                    for done in self._copy_and_admit([one], shelf, troubles, now_s)
                ]
            broken = SurroundingsError(f"{error.filename} cannot be used: {error.strerror}")
            self._trouble(troubles, taken[0].path, broken, now_s)
            return []
        return [one for one, _ in admitted]

    def _sync_renames(self, taken: Sequence[Claim]) -> None:
        """Makes it durable that pictures have left the inbox: a power cut brings none back."""
        for folder in {(self._config.inbox / one.path).parent for one in taken}:
            with contextlib.suppress(FileNotFoundError):  # it was removed since
                files.sync_folder(folder)

    def _log_jobs(self, admitted: Sequence[tuple[Claim, Sequence[Draft]]]) -> None:
        for one, drafts in admitted:
            for draft in drafts:
                log = logger.bind(job=draft.id, action="queue")
                if draft.reason:
                    log.error("{} failed: {}", files.printable(one.path), draft.reason)
                else:
                    log.info("{} queued for {}", files.printable(one.path), draft.preset)

    def _copy(self, one: Claim) -> tuple[str, int] | SurroundingsError | None:
        """Hash and size of a claimed picture's copy, None if it changed, or what went wrong."""
        self._on_picture(one.path)
        folder = claim.claimed_folder(self._config.inbox, one.id)
        source = folder / one.path
        try:
            if not is_expected(source, one.expected):
                return None
            copy = self._spool.picture(one.id)
            copied = claim.copy_hashing(source, copy, lambda: self._on_piece(one.path))
        except OSError as error:
            return SurroundingsError(
                f"{files.printable(one.path)} cannot be copied to {self._config.state}: "
                f"{error.strerror}; it waits in {files.printable(folder)}"
            )
        if copied is not None and isinstance(one.expected, str) and copied[0] != one.expected:
            self._spool.drop_picture(one.id)
            return None
        return copied

    def _give_back(self, one: Claim) -> None:
        """Puts a picture that changed while it was claimed where it was dropped."""
        logger.info("{} was written to while it was claimed; waiting for its end",
                    files.printable(one.path))  # fmt: skip
        claim.give_back_all(self._config.inbox, one.id)
        self._ledger.forget_picture(one.id)

    def _admit(self, one: Claim, sha256: str, size: int, shelf: Shelf) -> Sequence[Draft]:
        """The jobs of a picture whose copy is whole."""
        folder = claim.claimed_folder(self._config.inbox, one.id)
        note = self._read_sidecar(folder, one.sidecar)
        drafting = Drafting(self._config, self._spool, shelf)
        doubts = (one.verdict.doubt,) if one.verdict.doubt else ()
        drafts = [
            dataclasses.replace(draft, warnings=(*one.warnings, *doubts, *draft.warnings))
            for draft in drafting.drafts(one.path, one.sidecar, note, one.verdict, sha256)
        ]
        self._ledger.admit(
            one.id, sha256=sha256, size=size, width_px=one.verdict.width_px,
            height_px=one.verdict.height_px, drafts=drafts,
        )  # fmt: skip
        return drafts

    def _read_sidecar(self, folder: Path, sidecar: Path | None) -> bytes | None:
        """The content of a claimed sidecar; one that is not an ordinary file counts as empty."""
        if sidecar is None or not files.is_ordinary(folder / sidecar):
            return None
        return (folder / sidecar).read_bytes()

    def _check_mount(self) -> None:
        try:
            self._mounts.check(self._config.inbox)
        except SurroundingsError:
            self._strays.forget()
            raise

    def _resume_claims(
        self, wanted: Counter[Path | None], shelf: Shelf | SurroundingsError,
        troubles: list[SurroundingsError], now_s: float,
    ) -> int:  # fmt: skip
        """Ends the claims that a crash or a full disk left half done; returns how many.

        wanted: how many pictures in the inbox still wait for each sidecar.
        """
        halves: list[ClaimedPicture] = []
        for picture in self._ledger.claiming():
            if os.path.lexists(self._folder(picture) / picture.path):
                halves.append(picture)
            else:
                self._ledger.forget_picture(picture.id)  # never renamed: the scan will find it
                claim.drop_claim(self._config.inbox, picture.id)
        wanted.update(picture.sidecar for picture in halves if self._misses_sidecar(picture))
        if isinstance(shelf, SurroundingsError):
            troubles += [shelf] if halves else []
            return 0
        waiting: list[Claim] = []
        for picture in halves:
            try:
                for one in self._resume(picture, wanted):
                    folder = self._folder(picture)
                    if not self._waits_for_presets(folder, one.path, one.sidecar, shelf):
                        waiting.append(one)
            except SurroundingsError as error:  # one bad claim must not hold up the others
                self._trouble(troubles, picture.path, error, now_s)
        return len(self._copy_and_admit(waiting, shelf, troubles, now_s))

    def _folder(self, picture: ClaimedPicture) -> Path:
        return claim.claimed_folder(self._config.inbox, picture.id)

    def _misses_sidecar(self, picture: ClaimedPicture) -> bool:
        sidecar = picture.sidecar
        return sidecar is not None and not os.path.lexists(self._folder(picture) / sidecar)

    def _resume(self, picture: ClaimedPicture, wanted: Counter[Path | None]) -> list[Claim]:
        """A claim whose picture is in the claimed folder already; none if it was given back.

        How long a file that may not be whole has been waited for is not known any more.
        """
        inbox, sidecar = self._config.inbox, picture.sidecar
        if claim.drop_source(inbox, picture.id, picture.path):
            wanted[sidecar] -= 1
        if sidecar is not None and self._misses_sidecar(picture):
            self._take_sidecar(picture.id, sidecar, wanted)
        elif sidecar is not None and wanted[sidecar] <= 0:
            claim.drop_source(inbox, picture.id, sidecar)
        name = files.printable(picture.path.name)
        verdict = self._decoder.decode(self._folder(picture) / picture.path, name)
        one = Claim(picture.id, picture.path, sidecar, verdict, None, 0)
        if not (verdict.unfinished or verdict.doubt):
            return [one]
        self._give_back(one)
        return []

    def _stale_sidecars(self, seen: Scan) -> set[Path]:
        """Sidecars that lay alone for long when they were last looked at, and are still the same.

        A picture that comes now under a camera's recurring name is not the one they were for.
        What was before the start is not known, and counts as new.
        """
        longest_s = max(self._config.sidecar_wait_s, self._settle_s)
        return {
            one.path
            for one in seen.sidecars
            if (watch := self._alone.get(one.path)) is not None
            and watch.signature == one.signature
            and self._seen_s - watch.since_s >= longest_s
        }

    def _report(self, seen: Scan, now_s: float) -> None:
        """Says once what is left lying, and why."""
        for path in seen.strange:
            what = "is a link, pipe or device and is never opened; put a copy there"
            self._once(path, what, now_s, at_rest=True)
        for path in seen.foreign:
            what = "is no picture atelierd paints; it stays where it is"
            self._once(path, what, now_s, at_rest=True)
        for path in seen.closed:
            what = "cannot be looked into; give the service the right to (chmod g+rx)"
            self._once(path, what, now_s, mend=True)
        waited = self._stale_sidecars(seen)
        for path in self._pairs.alone:
            what = "is a sidecar without its picture; it stays where it is"
            if path not in waited:
                self._waits.note(path, what, now_s, at_rest=True)
                continue
            what = (
                f"{what}, and is not obeyed for one that comes now: save it anew then, or remove it"
            )
            self._once(path, what, now_s, at_rest=True)
        for picture_id, what in self._strays.stuck.items():
            self._once(Path(CLAIMED_FOLDER, picture_id), what, now_s, mend=True)
        for holding in self._strays.holdings:
            if holding.life is Life.UNKNOWN:
                path = Path(CLAIMED_FOLDER, holding.mark)
                self._waits.note(path, f"{holding.words}; {UNDECIDED}", now_s, at_rest=True)
        stuck = {Path(CLAIMED_FOLDER, picture_id) for picture_id in self._strays.stuck}
        gone = self._reported - {*stuck, *seen.strange, *seen.foreign, *seen.closed, *waited}
        self._reported -= gone

    def _once(
        self, path: Path, what: str, now_s: float, *, mend: bool = False, at_rest: bool = False
    ) -> None:
        self._waits.note(path, what, now_s, mend=mend, at_rest=at_rest)
        if path not in self._reported:
            self._reported.add(path)
            logger.bind(action="scan").warning("{} {}", files.printable(path), what)


def restlessness(signature: Signature) -> str:
    """Why a file is not taken yet that has not settled."""
    if signature.size == 0:
        return "is empty: its content has not come; copy it again, or remove it"
    return "is still changing: whoever writes it has not ended"


def is_expected(source: Path, expected: Proof | None) -> bool:
    """Whether a claimed file is what was looked at, as far as it tells without being read."""
    info = source.lstat()
    if not stat.S_ISREG(info.st_mode):
        return False
    if not isinstance(expected, Signature):
        return True
    return (info.st_size, info.st_mtime_ns) == (expected.size, expected.mtime_ns)


def make_folders(folder: Path, names: Collection[str]) -> None:
    """A folder with others in it, as in the inbox one for each preset, to drop pictures into."""
    for name in ("", *names):
        (folder / name).mkdir(parents=True, exist_ok=True)
