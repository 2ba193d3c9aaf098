"""Whether a settled picture is to be claimed: sidecar, presets and content are ready too."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import refusals
from daemon.intake import claim, preset_choice, settle
from daemon.intake.admission import Claim
from daemon.intake.content import kind_of_file
from daemon.intake.decode import Decoder, Verdict
from daemon.intake.doubts import Doubts
from daemon.intake.drafts import sidecar_content, too_large
from daemon.intake.observation import Observation
from daemon.intake.settle import Proof
from daemon.intake.shelf import PATIENCE_S
from daemon.intake.strays import Strays
from daemon.pictures.companions import MASK, SIDECAR, word_for
from daemon.pictures.formats import suffix_format
from daemon.pictures.kinds import why_unpainted
from daemon.settings.config import Config
from daemon.settings.presets import Shelf

NO_SIDECAR = "lies in no preset's folder and waits for its sidecar (sidecar_wait_s)"
NO_MASK = "is to be painted by regions and waits for its mask (sidecar_wait_s)"
PRESET_IS_WRITTEN = "waits for its preset, which is just being written"


class Patience:
    """How long a picture may rightly lie here until it is claimed, by what was met so far.

    One thread's; `total_s` may be read by others.
    """

    def __init__(self) -> None:
        self._allowed_s: dict[str, float] = {}

    def allow(self, cause: str, longest_s: float) -> None:
        """Something was met that may take so long."""
        self._allowed_s[cause] = longest_s

    @property
    def total_s(self) -> float:
        return sum(self._allowed_s.values())


@dataclass(frozen=True)
class Postponed:
    """A picture is not to be claimed yet, and why."""

    why: str


@dataclass(frozen=True)
class Readiness:
    """Looks whether pictures are ready. The clock comes in.

    on_picture: told the picture that is about to be looked at.  on_piece: one that was decoded.
    """

    config: Config
    decoder: Decoder
    observation: Observation
    doubts: Doubts
    patience: Patience
    strays: Strays
    settle_s: float
    give_up_s: float
    on_picture: Callable[[Path], object]
    on_piece: Callable[[Path], object]

    def consider(self, path: Path, proof: Proof, shelf: Shelf, now_s: float) -> Claim | Postponed:
        """A settled picture's claim, or why it has to wait.

        Raises SurroundingsError where somebody may have to act.
        """
        self.on_picture(path)
        self.strays.beat()
        companions = self.observation.pairs.companions_of.get(path, ())
        if postponed := self._companion_wait(path, companions, shelf, now_s):
            return postponed
        if self.waits_for_presets(self.config.inbox, path, companions, shelf):
            return Postponed(PRESET_IS_WRITTEN)
        if doubt := self.doubts.resting(path, proof, now_s):
            return Postponed(doubt.fault)
        for one in (path, *companions):
            claim.check_claimable(self.config.inbox / one)
        return self._judged(path, proof, companions, now_s)

    def _judged(
        self, path: Path, proof: Proof, companions: tuple[Path, ...], now_s: float
    ) -> Claim | Postponed:
        """The claim of a picture that was decoded, unless its rest may still come."""
        size = self.observation.watch(path).signature.size
        verdict = self._judge(path, size)
        self.on_piece(path)
        if verdict.doubtful and self.doubts.waits(path, proof, verdict, now_s):
            self.patience.allow("rest comes", self.give_up_s)
            return Postponed(verdict.fault or verdict.doubt)
        mark, warnings = self.strays.mark, self.observation.pairs.warnings.get(path, ())
        picture_id = mark + uuid.uuid4().hex[len(mark) :]
        return Claim(picture_id, path, companions, verdict, proof, size, warnings)

    def _companion_wait(
        self, path: Path, companions: Sequence[Path], shelf: Shelf, now_s: float
    ) -> Postponed | None:
        """Whether a picture waits for a companion to be written, or for one to come."""
        for companion in companions:
            if not self._is_written(companion, now_s):
                self.patience.allow("companion is written", self.give_up_s)
                name = f"{word_for(companion)} {files.printable(companion.name)}"
                return Postponed(f"waits for its {name}, which is unfinished")
        settled_s = now_s - settle.still_since_s(self.observation.watch(path))
        if settled_s >= self.config.sidecar_wait_s:
            return None
        if self._wants_sidecar(path, companions, shelf):
            self.patience.allow("sidecar comes", self.config.sidecar_wait_s)
            return Postponed(NO_SIDECAR)
        if self._wants_mask(path, companions, shelf):
            self.patience.allow("mask comes", self.config.sidecar_wait_s)
            return Postponed(NO_MASK)
        return None

    def _is_written(self, companion: Path, now_s: float) -> bool:
        """Whether a companion has settled; one that stays empty has as long as a cut picture."""
        watch = self.observation.watch(companion)
        longest_s = max(self.settle_s, self.give_up_s)
        settled = settle.is_settled(watch, now_s, self.settle_s)
        return settled or now_s - watch.size_since_s >= longest_s

    def _wants_sidecar(self, path: Path, companions: Sequence[Path], shelf: Shelf) -> bool:
        """Only where the folder names no preset: elsewhere a sidecar is the exception, and
        waiting for it would slow every picture down.
        """
        inner = preset_choice.place_of(path, self.config.inbox_folders).inner
        named = preset_choice.folder_presets(inner, shelf, self.config.all_presets)
        return not named and SIDECAR.among(companions) is None

    def _wants_mask(self, path: Path, companions: Sequence[Path], shelf: Shelf) -> bool:
        """Only where its presets paint by regions, and none says where those are."""
        if MASK.among(companions) is not None:
            return False
        inner = preset_choice.place_of(path, self.config.inbox_folders).inner
        note = self._note(self.config.inbox, path, companions)
        default, all_presets = self.config.default_preset, self.config.all_presets
        return preset_choice.lacks_mask(inner, note, shelf, default, all_presets)

    def _note(self, folder: Path, path: Path, companions: Sequence[Path]) -> bytes | None:
        """What a picture's sidecar says, if it has one; raises SurroundingsError."""
        sidecar = SIDECAR.among(companions)
        unread = f"{files.printable(sidecar or path)} cannot be read"
        with refusals(unread, "; let the service's user read it"):
            return sidecar_content(folder, sidecar)

    def waits_for_presets(
        self, folder: Path, path: Path, companions: Sequence[Path], shelf: Shelf
    ) -> bool:
        """Whether presets of a picture are just being written; folder: what all lie below.

        Raises SurroundingsError where one is gone: it may be about to come back.
        """
        if not shelf.waiting:
            return False
        inner = preset_choice.place_of(path, self.config.inbox_folders).inner
        note = self._note(folder, path, companions)
        default, all_presets = self.config.default_preset, self.config.all_presets
        awaited = preset_choice.awaited(inner, note, shelf, default, all_presets)
        if awaited:
            self.patience.allow("preset is back", PATIENCE_S)
        if told := [shelf.waiting[name] for name in awaited if shelf.waiting[name]]:
            raise SurroundingsError(told[0])
        return bool(awaited)

    def jobs(self, picture: Claim, shelf: Shelf) -> int:
        """How many jobs a picture will become: one for each preset, and cell of a sweep."""
        inner = preset_choice.place_of(picture.path, self.config.inbox_folders).inner
        default, all_presets = self.config.default_preset, self.config.all_presets
        try:
            note = sidecar_content(self.config.inbox, SIDECAR.among(picture.companions))
        except OSError:  # which is told when it is claimed
            return 1
        return len(preset_choice.choose(inner, note, "", shelf, default, all_presets=all_presets))

    def _judge(self, path: Path, size: int) -> Verdict:
        """Whether a picture can be decoded; the limit of its bytes first, then its format."""
        limit = self.config.limits.picture_bytes
        name = files.printable(path.name)
        if size > limit:
            return Verdict(fault=too_large(name, size, limit))
        kind = kind_of_file(self.config.inbox / path) or suffix_format(path.name)
        if fault := why_unpainted(name, kind):
            return Verdict(fault=fault)
        return self.decoder.decode(self.config.inbox / path, name)
