"""Painting like a result: its recipe, and its style images wherever they lie now."""

import contextlib
import errno
import functools
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from daemon import __version__
from daemon.errors import BadInputError
from daemon.host import files
from daemon.job import OUTBOX_FOLDERS
from daemon.pictures.formats import FORMAT_OF_SUFFIX
from daemon.pictures.ignored import is_ignored
from daemon.pictures.names import folded
from daemon.settings.masks import MaskSource
from daemon.settings.presets import NAME, Preset
from daemon.settings.profiles import ProfileSource
from daemon.settings.provenance import (
    Provenance,
    ToldFile,
    recipe_of,
    told_files,
    told_mask,
    told_styles,
    version_of,
)
from daemon.settings.sources import Stamp, StyleSource, lies_in, stamp
from daemon.state.spool import NOT_TO_BE_HAD, Spool

HASHES_KEPT = 16384


def preset_like(made: Provenance, folder: Path, spool: Spool, weights: str) -> Preset:
    """The preset that a result was painted with, its style images found by their hashes.

    folder: of the presets.  weights: what this configuration paints with.  Raises BadInputError
    if a style image is not there any more, or what is told cannot be right.
    """
    name = made.facts["preset"]
    if not NAME.fullmatch(name) or folded(name) in OUTBOX_FOLDERS or is_ignored(name):
        raise BadInputError(f"{made.name} names {files.printable(repr(name))} as its preset")
    recipe = recipe_of(made)
    styles = tuple(
        StyleSource(there(one, folder, spool, made), one.weight, one.name, one.sha256, one.region)
        for one in told_styles(made)
    )
    profiles = tuple(
        ProfileSource(there(one, folder, spool, made), one.name, one.sha256)
        for one in told_files(made, "profiles")
    )
    mask = told_mask(made)
    source = None
    if mask is not None:
        source = MaskSource(there(mask, folder, spool, made), recipe.mask, mask.sha256)
    warning = difference(made, weights)
    return Preset(name, made.path, recipe, styles, warning, profiles, source)


def there(one: ToldFile, folder: Path, spool: Spool, made: Provenance) -> Path:
    """Where a file lies by its hash; raises BadInputError if it is nowhere."""
    path = find_by_hash(one, folder, spool)
    if path is None:
        raise BadInputError(
            f"{made.name} was painted with {files.printable(one.name)}, of sha256 {one.sha256}, "
            f"which is not in {files.printable(folder)} under any name; put it there"
        )
    return path


def find_by_hash(one: ToldFile, folder: Path, spool: Spool) -> Path | None:
    """A file by its hash: in the presets folder, or among the service's own copies.

    What has its name is looked at first, and each file is hashed again only when it has changed.
    """
    if has_hash(folder, folder / one.name, one.sha256):
        return folder / one.name
    for place in (spool.style, spool.profile, spool.mask):
        kept = place(one.sha256)
        with contextlib.suppress(OSError):  # of a service that is somebody else's
            if files.is_ordinary(kept) and os.access(kept, os.R_OK):
                return kept
    kinds = {*FORMAT_OF_SUFFIX, Path(one.name).suffix.lower()}
    alike = (path for path in everything(folder) if path.suffix.lower() in kinds)
    return next((path for path in alike if has_hash(folder, path, one.sha256)), None)


def everything(folder: Path) -> Iterator[Path]:
    """All that lies in the presets folder at any depth, but for what is ignored."""
    for path in sorted(folder.rglob("*")):
        if not any(is_ignored(part) for part in path.relative_to(folder).parts):
            yield path


def has_hash(folder: Path, path: Path, sha256: str) -> bool:
    """Whether a file of a folder has that hash."""
    return lies_in(folder, path) and hash_of(path, stamp(path)) == sha256


@functools.lru_cache(maxsize=HASHES_KEPT)  # thousands of presets are not to be read at each drop
def hash_of(path: Path, _: Stamp) -> str:
    """The hash of a file that has not changed since; empty if it cannot be read."""
    try:
        return files.sha256_of(path) if files.is_ordinary(path) else ""
    except OSError:
        return ""


def difference(made: Provenance, weights: str) -> str:
    """Why a picture will not be painted quite as a result was; empty if it will."""
    used = made.facts.get("weights")
    told = used.get("name") if isinstance(used, dict) else None
    why = []
    if version_of(made) != __version__:
        why.append(f"by atelierd {version_of(made)}, and this is {__version__}")
    if told and told != weights:
        why.append(f"with the weights {told}, and these are {weights}")
    return f"{made.name} was painted {'; '.join(why)}: what comes may differ" if why else ""


def find_result(outbox: Path, name: str, preset: str | None) -> Path:
    """The result in the outbox that a sidecar names, by its path there or by its bare name.

    preset: the folder in which a bare name is sought first.  Raises BadInputError for a name that
    leads out of the outbox, of nothing, or of several results; OSError if the outbox is away.
    """
    shown, path = files.printable(name), PurePosixPath(name)
    if not name.strip() or "\0" in name or path.is_absolute() or ".." in path.parts:
        raise BadInputError(f"like: {shown} is no name in the outbox; write PRESET/photo.jpg")
    folders = sorted(entry.name for entry in outbox.iterdir())  # raises where it is away
    places = [outbox / path]
    if len(path.parts) == 1:
        inner = [one for one in folders if one not in OUTBOX_FOLDERS and not one.startswith(".")]
        places += [outbox / one / path for one in inner]
    found = [place for place in places if is_there(place)]
    own = [place for place in found if preset and place.parent == outbox / preset]
    if len(found) > 1 and len(own) != 1:
        names = ", ".join(files.printable(place.relative_to(outbox)) for place in found)
        raise BadInputError(f"like: {shown} may be one of several: {names}; write which")
    if not found:
        raise BadInputError(f"like: there is no {shown} in the outbox; write PRESET/photo.jpg")
    result = (own or found)[0]
    if result.is_symlink() or not lies_in(outbox, result):
        raise BadInputError(f"like: {shown} leads out of the outbox; name a result in it")
    return result


def is_there(place: Path) -> bool:
    """Whether a file lies there; a folder that is closed to us, as `lost+found` is, holds none.

    Raises OSError if the outbox is away.
    """
    try:
        return place.is_file()
    except OSError as error:
        if error.errno in (*NOT_TO_BE_HAD, errno.ENAMETOOLONG):
            return False
        raise
