"""What jobs a picture becomes: one for each preset that is chosen for it, or cell of a sweep."""

import dataclasses
import errno
import hashlib
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon import __version__
from daemon.engine.errors import PictureError
from daemon.engine.schedule import plan_passes, plan_proof
from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake import preset_choice
from daemon.intake.decode import Verdict
from daemon.intake.preset_choice import Choice
from daemon.job import ORDINARY, Approval, Draft, MaskRef, ProfileRef, StyleRef
from daemon.pictures.companions import MASK, SIDECAR
from daemon.pictures.form import JobRecipe
from daemon.pictures.formats import output_format, result_suffix
from daemon.pictures.limits import check_result
from daemon.pictures.regions import described
from daemon.settings.config import Config
from daemon.settings.like import find_result, preset_like
from daemon.settings.masks import MaskSource, regions_of
from daemon.settings.presets import Preset, Shelf
from daemon.settings.profiles import ProfileSource, mode_of_results
from daemon.settings.provenance import read_provenance
from daemon.settings.sources import StyleSource
from daemon.settings.yamlfile import MAX_BYTES
from daemon.state.mounts import Mounts
from daemon.state.spool import Spool


@dataclass(frozen=True)
class Drafting:
    """What every picture's jobs are made with."""

    config: Config
    spool: Spool
    shelf: Shelf

    def drafts(
        self,
        picture_id: str,
        folder: Path,
        path: Path,
        companions: Collection[Path],
        verdict: Verdict,
        sha256: str,
    ) -> list[Draft]:
        """One job per preset that a picture's sidecar or folder names, or per cell of its sweep.

        path, companions: below the inbox, and now below its claimed folder.  sha256: the picture's.
        Raises OSError if a sidecar cannot be read, a style image or mask not be kept, or the outbox
        is away that holds a result to paint like.
        """
        sidecar = SIDECAR.among(companions)
        note = sidecar_content(folder, sidecar)
        place = preset_choice.place_of(path, self.config.inbox_folders)
        inner = place.inner
        all_presets, default = self.config.all_presets, self.config.default_preset
        below = preset_choice.below_preset(inner, self.shelf.names, all_presets)
        if fault := verdict.fault or self._fault_of_mask(folder, MASK.among(companions)):
            preset = preset_choice.folder_preset(inner, self.shelf.names) or ""
            return [failed_draft(preset, below, fault)]
        name = files.printable(sidecar.name) if sidecar else "sidecar"
        choices = preset_choice.choose(
            inner,
            note,
            name,
            self.shelf,
            default,
            self._liken,
            all_presets,
            approve=place.approve,
        )
        own, drafts = self._own_mask(picture_id, folder, MASK.among(companions)), []
        for choice in choices:
            mask = own if is_drawn_for(choice, choices) else None
            draft = self.draft(choice, below, sha256, place.priority, verdict, mask)
            drafts.append(draft if mask is own else told_of_mask(draft, own))
        return drafts

    def _liken(self, name: str, preset: str | None) -> Preset:
        """What a result of the outbox was painted with; see `Liken`."""
        outbox = self.config.outbox
        try:
            Mounts(self.config.state).check(outbox)
        except SurroundingsError as error:
            raise OSError(errno.ENODEV, str(error), str(outbox)) from error
        made = read_provenance(find_result(outbox, name, preset))
        return preset_like(made, self.config.presets, self.spool, self.config.weights)

    def draft(
        self,
        choice: Choice,
        below: Path,
        sha256: str,
        priority: int,
        verdict: Verdict,
        own: MaskRef | None,
    ) -> Draft:
        """A job from a choice, its style images and profiles kept by hash.

        One that is to be approved paints its proof first, in the queue that the schedule says.
        """
        if choice.recipe is None or choice.source is None:
            return failed_draft(choice.preset, below, choice.fault, choice.label)
        suffix = suffix_of(choice.recipe, choice.profiles, below.name, verdict)
        try:
            passes = plan_passes(choice.recipe, verdict.width_px, verdict.height_px)
            check_result(output_format(f"a{suffix}"), passes[-1].width_px, passes[-1].height_px)
        except PictureError as error:
            told = f"{files.printable(below.name)}: {error}"
            return failed_draft(choice.preset, below, told, choice.label)
        mask = own or self._kept_mask(choice.mask)
        if mask is None and (regions := regions_of(choice.source.styles)):
            fault = no_mask(choice.preset, regions, below)
            return failed_draft(choice.preset, below, fault, choice.label)
        styles = tuple(
            StyleRef(source.name, self._kept(source), source.weight, source.region)
            for source in choice.source.styles
        )
        recipe: Mapping[str, object] = choice.recipe.model_dump()
        if choice.approve:
            passes = plan_proof(choice.recipe, verdict.width_px, verdict.height_px)
            priority = ORDINARY if self.config.schedule.proofs == "ordinary" else priority
        draft = Draft(
            uuid.uuid4().hex,
            choice.preset,
            below,
            recipe,
            styles,
            priority=priority,
            work=sum(one.width_px * one.height_px * one.steps for one in passes),
            warnings=(choice.source.warning,) if choice.source.warning else (),
            label=choice.label,
            suffix=suffix,
            profiles=tuple(
                ProfileRef(source.name, self._kept_profile(source)) for source in choice.profiles
            ),
            mask=mask,
            approval=Approval.ASKED if choice.approve else Approval.NONE,
            runs_on=choice.runs_on,
        )
        if not self.config.dedupe or choice.approve:
            return draft
        way = (self.config.weights, self.config.precision)
        return dataclasses.replace(draft, fingerprint=fingerprint(draft, sha256, way))

    def _kept(self, source: StyleSource) -> str:
        """The hash of a style image whose bytes lie in the spool."""
        if source.sha256 is not None and self.spool.style(source.sha256).exists():
            return source.sha256
        return self.spool.keep_style(source.path)

    def _kept_profile(self, source: ProfileSource) -> str:
        """The hash of a profile whose bytes lie in the spool."""
        if source.sha256 is not None and self.spool.profile(source.sha256).exists():
            return source.sha256
        return self.spool.keep_profile(source.path)

    def _kept_mask(self, source: MaskSource | None) -> MaskRef | None:
        """A preset's mask whose bytes lie in the spool."""
        if source is None:
            return None
        if source.sha256 is not None and self.spool.mask(source.sha256).exists():
            return MaskRef(source.name, source.sha256)
        return MaskRef(source.name, self.spool.keep_mask(source.path))

    def _fault_of_mask(self, folder: Path, mask: Path | None) -> str:
        """Why the mask beside a picture is not to be copied; empty if it is."""
        if mask is None or not files.is_ordinary(folder / mask):
            return ""
        size, limit = (folder / mask).stat().st_size, self.config.limits.picture_bytes
        return too_large(f"the mask {files.printable(mask.name)}", size, limit) * (size > limit)

    def _own_mask(self, picture_id: str, folder: Path, mask: Path | None) -> MaskRef | None:
        """The mask beside a picture, kept with its copy; one that is no ordinary file is none."""
        if mask is None or not files.is_ordinary(folder / mask):
            return None
        sha256 = self.spool.keep_picture_mask(folder / mask, picture_id)
        return MaskRef(files.printable(mask.name), sha256, own=True)


def sidecar_content(folder: Path, sidecar: Path | None) -> bytes | None:
    """The content of a sidecar below a folder; one that is not an ordinary file counts as none.

    No more of it than shows that it is too large.
    """
    if sidecar is None or not files.is_ordinary(folder / sidecar):
        return None
    with files.open_ordinary(folder / sidecar) as file:
        return file.read(MAX_BYTES + 1)


def too_large(name: str, size: int, limit: int) -> str:
    """Why a file of so many bytes is not painted from."""
    return f"{name} has {size} bytes; the limit is {limit} (limits: picture_bytes)"


def fingerprint(draft: Draft, sha256: str, way: Sequence[str]) -> str:
    """The same for jobs whose results are the same: a hash of all that makes a result.

    sha256: of the picture's bytes.  way: the settings of the service that change results.
    """
    made_of: dict[str, object] = {
        "version": __version__,
        "way": list(way),
        "picture": sha256,
        "format": draft.suffix.lower(),
        "preset": draft.preset,  # a result's note names it
        "recipe": draft.recipe,
        "styles": [[style.sha256, style.weight] for style in draft.styles],
        "profiles": [[profile.name, profile.sha256] for profile in draft.profiles],
    }
    if any(style.region for style in draft.styles):
        made_of["regions"] = [style.region for style in draft.styles]
    if draft.mask is not None:
        made_of["mask"] = [draft.mask.sha256, draft.mask.own]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def suffix_of(
    recipe: JobRecipe, profiles: Sequence[ProfileSource], name: str, verdict: Verdict
) -> str:
    """How the name of a result ends, by the picture's name and content and what the recipe says."""
    mode = mode_of_results(recipe, profiles)
    return result_suffix(name, recipe.format, form=verdict.format, alpha=verdict.alpha, mode=mode)


def is_drawn_for(choice: Choice, choices: Sequence[Choice]) -> bool:
    """Whether the mask beside a picture is for a preset: one that draws regions is for those only.

    choices: all presets that the picture is painted in.
    """
    by_regions = [bool(one.source and regions_of(one.source.styles)) for one in choices]
    return not any(by_regions) or by_regions[choices.index(choice)]


def told_of_mask(draft: Draft, own: MaskRef | None) -> Draft:
    """The draft with a word of the picture's mask, which is for other presets."""
    if own is None or draft.reason:
        return draft
    word = (
        f"The mask {own.name} is for presets with regions, and {draft.preset} has none: not used."
    )
    return dataclasses.replace(draft, warnings=(*draft.warnings, word))


def no_mask(preset: str, regions: Sequence[str], below: Path) -> str:
    """Why a picture cannot be painted by regions, and what to do."""
    name = files.printable(MASK.own(below).name)
    return (
        f"The preset {preset} paints by regions, and nothing says where they are: put a mask "
        f"beside the picture, called as it is there with {MASK.ending} after that ({name}), drawn "
        f"in {described(regions)}, and retry it; or name one in the preset (mask)."
    )


def failed_draft(preset: str, below: Path, reason: str, label: str = "") -> Draft:
    """A job that has failed before it began."""
    return Draft(uuid.uuid4().hex, preset, below, {}, (), reason, label=label)
