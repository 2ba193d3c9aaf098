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
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import plan_passes
from daemon.host import files
from daemon.intake import preset_choice
from daemon.intake.decode import Verdict
from daemon.intake.preset_choice import Choice
from daemon.job import Draft, StyleRef
from daemon.pictures.companions import SIDECAR
from daemon.pictures.formats import output_name
from daemon.settings.config import Config
from daemon.settings.presets import Shelf
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
        size = (verdict.width_px, verdict.height_px)
        return [self._draft(choice, below, sha256, priority, size) for choice in choices]

    def _draft(
        self, choice: Choice, below: Path, sha256: str, priority: int, size: tuple[int, int]
    ) -> Draft:
        """A job from a choice, its style images kept by hash. size: the picture's, in pixels."""
        if choice.recipe is None or choice.source is None:
            return failed_draft(choice.preset, below, choice.fault)
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
            work=planned_work(choice.recipe, *size),
            warnings=(choice.source.warning,) if choice.source.warning else (),
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
        "format": Path(output_name(draft.below.name)).suffix.lower(),
        "preset": draft.preset,  # a result's note names it
        "recipe": draft.recipe,
        "styles": [[style.sha256, style.weight] for style in draft.styles],
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def planned_work(recipe: Recipe, width_px: int, height_px: int) -> int:
    """Pixels times steps of all passes; 0 for a picture that cannot be painted anyway."""
    try:
        passes = plan_passes(recipe, width_px, height_px)
    except PictureError:  # the worker says so
        return 0
    return sum(one.width_px * one.height_px * one.steps for one in passes)


def failed_draft(preset: str, below: Path, reason: str) -> Draft:
    """A job that has failed before it began."""
    return Draft(uuid.uuid4().hex, preset, below, {}, (), reason)
