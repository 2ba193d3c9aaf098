"""What jobs a picture becomes: one for each preset that is chosen for it."""

import dataclasses
import hashlib
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon import __version__
from daemon.engine.errors import PictureError
from daemon.engine.schedule import plan_passes
from daemon.host import files
from daemon.intake import preset_choice
from daemon.intake.decode import Verdict
from daemon.intake.preset_choice import Choice
from daemon.job import Draft, ProfileRef, StyleRef
from daemon.pictures.companions import SIDECAR
from daemon.pictures.formats import result_suffix
from daemon.settings.config import Config
from daemon.settings.presets import Shelf
from daemon.settings.profiles import ProfileSource, has_press_colours
from daemon.settings.sources import StyleSource
from daemon.state.spool import Spool


@dataclass(frozen=True)
class Drafting:
    """What every picture's jobs are made with."""

    config: Config
    spool: Spool
    shelf: Shelf

    def drafts(
        self, folder: Path, path: Path, companions: Collection[Path], verdict: Verdict, sha256: str
    ) -> list[Draft]:
        """One job per preset that a picture's sidecar or folder names.

        path, companions: below the inbox, and now below its claimed folder.  sha256: the picture's.
        Raises OSError if a sidecar cannot be read, or a style image not be kept.
        """
        sidecar = SIDECAR.among(companions)
        note = sidecar_content(folder, sidecar)
        priority, inner = preset_choice.queue_of(path, self.config.schedule.bulk_folder)
        below = preset_choice.below_preset(inner, self.shelf.names)
        if verdict.fault:
            preset = preset_choice.folder_preset(inner, self.shelf.names) or ""
            return [failed_draft(preset, below, verdict.fault)]
        name = files.printable(sidecar.name) if sidecar else "sidecar"
        choices = preset_choice.choose(inner, note, name, self.shelf, self.config.default_preset)
        return [self._draft(choice, below, sha256, priority, verdict) for choice in choices]

    def _draft(
        self, choice: Choice, below: Path, sha256: str, priority: int, verdict: Verdict
    ) -> Draft:
        """A job from a choice, its style images and profiles kept by hash."""
        if choice.recipe is None or choice.source is None:
            return failed_draft(choice.preset, below, choice.fault)
        try:
            passes = plan_passes(choice.recipe, verdict.width_px, verdict.height_px)
        except PictureError as error:
            return failed_draft(choice.preset, below, f"{files.printable(below.name)}: {error}")
        styles = tuple(
            StyleRef(source.name, self._kept(source), source.weight)
            for source in choice.source.styles
        )
        recipe: Mapping[str, object] = choice.recipe.model_dump()
        draft = Draft(
            uuid.uuid4().hex,
            choice.preset,
            below,
            recipe,
            styles,
            priority=priority,
            work=sum(one.width_px * one.height_px * one.steps for one in passes),
            warnings=(choice.source.warning,) if choice.source.warning else (),
            suffix=suffix_of(choice, below.name, verdict),
            profiles=tuple(
                ProfileRef(source.name, self._kept_profile(source)) for source in choice.profiles
            ),
        )
        if not self.config.dedupe:
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


def sidecar_content(folder: Path, sidecar: Path | None) -> bytes | None:
    """The content of a sidecar below a folder; one that is not an ordinary file counts as none."""
    if sidecar is None or not files.is_ordinary(folder / sidecar):
        return None
    return (folder / sidecar).read_bytes()


def fingerprint(draft: Draft, sha256: str, way: Sequence[str]) -> str:
    """The same for jobs whose results are the same: a hash of all that makes a result.

    sha256: of the picture's bytes.  way: the settings of the service that change results.
    """
    made_of = {
        "version": __version__,
        "way": list(way),
        "picture": sha256,
        "format": draft.suffix.lower(),
        "preset": draft.preset,  # a result's note names it
        "recipe": draft.recipe,
        "styles": [[style.sha256, style.weight] for style in draft.styles],
        "profiles": [[profile.name, profile.sha256] for profile in draft.profiles],
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def suffix_of(choice: Choice, name: str, verdict: Verdict) -> str:
    """How the name of a result ends, by the picture's name and content and what the recipe says."""
    if choice.recipe is None:
        return ""
    return result_suffix(
        name,
        choice.recipe.format,
        form=verdict.format,
        alpha=verdict.alpha,
        cmyk=has_press_colours(choice.recipe, choice.profiles),
    )


def failed_draft(preset: str, below: Path, reason: str) -> Draft:
    """A job that has failed before it began."""
    return Draft(uuid.uuid4().hex, preset, below, {}, (), reason)
