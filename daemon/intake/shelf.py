"""The presets as the intake sees them over time: what is away, half saved or wrong for a while.

Absence is not emptiness: a folder that is away makes pictures wait, a preset that is gone or being
written does so for a minute, and one that is wrong is used as it was when it was right.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from loguru import logger

from daemon.errors import Fault, SurroundingsError
from daemon.host import files
from daemon.job import MaskRef, ProfileRef, StyleRef
from daemon.pictures.names import is_yaml
from daemon.settings.config import Config
from daemon.settings.last_good import LastGood, read_last_good, stand_in_text, write_last_good
from daemon.settings.masks import MaskSource
from daemon.settings.presets import Preset, Reading, Shelf, ShelfReader, ensure_there, recall
from daemon.state.mounts import Mounts
from daemon.state.spool import Spool

PATIENCE_S = 60.0
"""How long pictures wait for a preset that is gone or being written; then that is believed."""

RESTLESS = "its files have been changing for a minute without an end"


class PresetStanding(Enum):
    """What is to become of a preset's pictures."""

    GOOD = auto()
    LAST_GOOD = auto()
    FAULTY = auto()
    WAITING = auto()
    GONE = auto()


def stand(
    reading: Reading | None, known: LastGood | None, *, still: bool, patient: bool
) -> PresetStanding:
    """How a preset stands. Pure.

    still: whether its files have been the same for long enough.  patient: whether there is time
    left to wait for them.
    """
    if patient and not (still and is_whole(reading, known)):
        return PresetStanding.WAITING
    if reading is None:
        return PresetStanding.GONE
    if reading.preset is not None and (still or known is None):
        return PresetStanding.GOOD
    return PresetStanding.FAULTY if known is None else PresetStanding.LAST_GOOD


def is_whole(reading: Reading | None, known: LastGood | None) -> bool:
    """Whether a preset is there as it was: one that had a YAML file is more than its picture."""
    if reading is None:
        return False
    return known is None or not is_yaml(known.file) or is_yaml(reading.file.name)


@dataclass(frozen=True)
class Checked:
    """A preset that reads well, its style images in the spool; or what is wrong with those."""

    read: Preset
    kept: Preset
    faults: tuple[Fault, ...] = ()


class PresetWatch:
    """Looks at the presets folder again and again. One thread's; the clock comes in.

    judge: what is wrong with a picture of that name, decoded to its end; empty if nothing is.
    now: the time of the day, ISO 8601 in UTC.
    """

    def __init__(
        self,
        config: Config,
        judge: Callable[[Path, str], str],
        *,
        settle_s: float,
        now: Callable[[], str],
    ) -> None:
        self._config = config
        self._judge = judge
        self._spool = Spool(config.state)
        self._mounts = Mounts(config.state)
        self._settle_s = settle_s
        self._now = now
        self._reader = ShelfReader(config.presets, config.inbox_folders)
        self._known = read_last_good(config.state, config.presets)
        self._written = dict(self._known)
        self._checked: dict[str, Checked] = {}
        self._still_since_s: dict[str, tuple[object, float]] = {}
        self._waiting_since_s: dict[str, float] = {}
        self._looked = False

    def look(self, now_s: float) -> Shelf:
        """The presets as pictures are to be painted with now.

        Raises SurroundingsError while the folder is away.
        """
        there = self._read()
        self._observe(there, now_s)
        good: dict[str, Preset] = {}
        faulty: dict[str, tuple[Fault, ...]] = {}
        last_good: dict[str, Preset] = {}
        waiting: dict[str, str] = {}
        names = sorted({*there.names, *self._known})
        for name in names:
            reading = there.readings.get(name)
            standing = self._stand(name, reading, now_s)
            if standing is PresetStanding.WAITING:
                waiting[name] = self._absence(name, reading)
            elif reading is None:
                self._forget(name)
            elif faults := self._faults(name, reading, standing):
                faulty[name] = faults
                preset = self._stand_in(name, str(faults[0]))
                last_good |= {name: preset} if preset is not None else {}
            else:
                good[name] = self._checked[name].kept
        kept = self._waiting_since_s.items()
        self._waiting_since_s = {name: since_s for name, since_s in kept if name in names}
        self._write()
        return Shelf(there.folder, good, faulty, last_good, waiting, there.readings)

    def next_look_s(self, now_s: float) -> float | None:
        """Seconds until a preset that pictures may wait for could be ready, or None."""
        waits = [
            since_s + self._settle_s - now_s
            for name, (_, since_s) in self._still_since_s.items()
            if name in self._waiting_since_s
        ]
        coming = [wait_s for wait_s in waits if wait_s > 0]
        return min(coming) if coming else None

    def _read(self) -> Shelf:
        """What the folder holds; raises SurroundingsError while it is away or empty."""
        folder = self._config.presets
        self._mounts.check(folder)
        there = self._reader.read()
        ensure_there(there, self._known, self._config.state)
        if there.names and not self._looked:
            self._mounts.remember(folder)
        return there

    def _observe(self, there: Shelf, now_s: float) -> None:
        """Notes since when the files of each preset have been what they are.

        By size and time alone: some file systems make up inodes anew. What was before the first
        look is not known, and counts as long.
        """
        after: dict[str, tuple[object, float]] = {}
        for name, reading in there.readings.items():
            seen = [stamp and stamp[:2] for stamp in reading.stamps.values()]
            before = self._still_since_s.get(name)
            since_s = now_s if self._looked else -math.inf
            after[name] = before if before is not None and before[0] == seen else (seen, since_s)
        self._still_since_s = after
        self._looked = True

    def _stand(self, name: str, reading: Reading | None, now_s: float) -> PresetStanding:
        known = self._known.get(name)
        _, since_s = self._still_since_s.get(name, (None, now_s))
        still = now_s - since_s >= self._settle_s
        if still and is_whole(reading, known):
            self._waiting_since_s.pop(name, None)
            patient = True
        else:
            patient = now_s - self._waiting_since_s.setdefault(name, now_s) < PATIENCE_S
        return stand(reading, known, still=still, patient=patient)

    def _forget(self, name: str) -> None:
        """A preset that has been away for so long is taken to have been removed."""
        logger.warning("preset {} is gone from {}", name, files.printable(self._config.presets))
        del self._known[name], self._waiting_since_s[name]

    def _absence(self, name: str, reading: Reading | None) -> str:
        """What to tell of a preset that is not all there; empty of one that is being written."""
        known = self._known.get(name)
        if known is None or is_whole(reading, known):
            return ""
        folder = files.printable(self._config.presets)
        return (
            f"{known.file} is not in {folder} any more: put it back; pictures wait for it for "
            f"{PATIENCE_S:.0f} s, then the preset {name} counts as removed"
        )

    def _faults(self, name: str, reading: Reading, standing: PresetStanding) -> tuple[Fault, ...]:
        """What is wrong with a preset that is there; the style images of a good one are kept."""
        if reading.preset is None:
            return reading.faults
        if standing is not PresetStanding.GOOD:
            return (Fault(str(reading.file), 1, "", RESTLESS),)
        before = self._checked.get(name)
        if before is not None and before.read is reading.preset and before.kept is not before.read:
            return before.faults
        try:
            self._checked[name] = checked = self._check(reading.preset)
        except (OSError, SurroundingsError):  # its jobs need the same, and tell what is in the way
            self._checked[name] = Checked(reading.preset, reading.preset)
            return ()
        if not checked.faults:
            self._remember(checked.kept)
        return checked.faults

    def _check(self, preset: Preset) -> Checked:
        """Takes what a preset names into the spool and decodes what pictures are new there.

        Raises OSError or SurroundingsError if that cannot be done.
        """
        files.ensure_room(self._config.state, 0, self._config.limits.free_bytes)
        known = self._known.get(preset.name)
        decoded = {style.sha256 for style in known.styles} if known is not None else set()
        styles, faults = [], []
        for style in preset.styles:
            sha256 = self._spool.keep_style(style.path)
            fault = "" if sha256 in decoded else self._judge(self._spool.style(sha256), style.name)
            faults += [Fault(str(preset.file), 1, "", f"style image: {fault}")] if fault else []
            styles.append(dataclasses.replace(style, sha256=sha256))
        profiles = tuple(
            dataclasses.replace(profile, path=self._spool.profile(sha256), sha256=sha256)
            for profile in preset.profiles
            for sha256 in (self._spool.keep_profile(profile.path),)
        )
        mask, fault = self._kept_mask(preset, known)
        faults += [Fault(str(preset.file), 1, "mask", fault)] if fault else []
        kept = dataclasses.replace(preset, styles=tuple(styles), profiles=profiles, mask=mask)
        return Checked(preset, kept, tuple(faults))

    def _kept_mask(self, preset: Preset, known: LastGood | None) -> tuple[MaskSource | None, str]:
        """A preset's mask in the spool, None for none, and what is wrong with its pixels."""
        if preset.mask is None:
            return None, ""
        sha256 = self._spool.keep_mask(preset.mask.path)
        path = self._spool.mask(sha256)
        is_new = known is None or known.mask is None or known.mask.sha256 != sha256
        fault = self._judge(path, preset.mask.name) if is_new else ""
        return dataclasses.replace(preset.mask, path=path, sha256=sha256), fault

    def _remember(self, preset: Preset) -> None:
        before = self._known.get(preset.name)
        if before is not None and before.faulty_since is not None:
            logger.info("preset {} is in order again", preset.name)
        refs = tuple(
            StyleRef(style.name, style.sha256, style.weight, style.region)
            for style in preset.styles
            if style.sha256 is not None
        )
        profiles = tuple(
            ProfileRef(profile.name, profile.sha256)
            for profile in preset.profiles
            if profile.sha256 is not None
        )
        mask = None
        if preset.mask is not None and preset.mask.sha256 is not None:
            mask = MaskRef(preset.mask.name, preset.mask.sha256)
        recipe = preset.recipe.model_dump()
        self._known[preset.name] = LastGood(
            preset.file.name,
            recipe,
            refs,
            profiles=profiles,
            mask=mask,
            sweep=preset.sweep,
            approve=preset.approve,
            runs_on=preset.runs_on,
        )

    def _stand_in(self, name: str, fault: str) -> Preset | None:
        """The last good version of a faulty preset, if there is one; from now on it is told."""
        known = self._known.get(name)
        if known is None:
            return None
        if known.fault != fault:
            since = known.faulty_since or self._now()
            known = dataclasses.replace(known, faulty_since=since, fault=fault)
            self._known[name] = known
            logger.error("{}", stand_in_text(name, known))
        return recall(name, known, self._config.presets, self._spool)

    def _write(self) -> None:
        """Keeps what is known over a restart; where that fails it is known until then."""
        if self._known == self._written:
            return
        try:
            write_last_good(self._config.state, self._config.presets, self._known)
        except OSError as error:
            logger.warning("the presets cannot be remembered: {}", error)
        self._written = dict(self._known)
