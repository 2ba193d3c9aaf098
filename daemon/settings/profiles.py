"""Colour profiles that presets name: ICC files of their folder."""

import dataclasses
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageCms

from daemon.engine.errors import PictureError
from daemon.host import files
from daemon.pictures.form import OWN_PROFILES, ResultForm
from daemon.pictures.limits import check_profile
from daemon.pictures.profile_tables import MOST_PROFILE_BYTES, is_whole
from daemon.settings.sources import Stamp, lies_in, stamp
from daemon.settings.yamlfile import Document

OWN_WORDS = {"profile": OWN_PROFILES, "proof_profile": ("",)}
"""What these fields say that is no file."""

ANY_FORMAT = "TIFF"
"""A format that holds every profile that there are results in."""

PILLOW_MODES = {"rgb": "RGB", "cmyk": "CMYK", "grey": "L"}


@dataclass(frozen=True)
class ProfileSource:
    """A colour profile on disk.

    name: as presets call it, relative to their folder.  sha256: of its bytes, None unless the spool
    has them.  mode: the colours it is of, `rgb`, `cmyk` or `grey`; empty until it was looked at.
    """

    path: Path
    name: str
    sha256: str | None = None
    mode: str = ""


def named_profiles(form: ResultForm) -> dict[str, str]:
    """The profile files that a recipe names, by the fields that do."""
    said = {field: getattr(form, field) for field in OWN_WORDS}
    return {field: name for field, name in said.items() if name not in OWN_WORDS[field]}


def check_profiles(
    form: ResultForm,
    folder: Path,
    document: Document,
    stamps: dict[Path, Stamp] | None = None,
    known: Sequence[ProfileSource] = (),
) -> tuple[ProfileSource, ...]:
    """The profiles that a recipe names; faults of the document for those that cannot be used.

    known: those that were found before, and where they are kept.  stamps: gets what each file
    was like before it was looked at.
    """
    of_name = {source.name: source for source in known}
    sources: dict[str, ProfileSource] = {}
    for field, name in named_profiles(form).items():
        source = of_name.get(name, ProfileSource(folder / name, name))
        if stamps is not None:
            stamps[source.path] = stamp(source.path)
        if source.sha256 is None and not lies_in(folder, source.path):
            document.fault("must lie in the presets folder", (field,))
            continue
        try:
            wanted = form.format if field == "profile" else "same"
            mode = mode_of(source, ANY_FORMAT if wanted == "same" else wanted.upper())
            sources[name] = dataclasses.replace(source, mode=mode)
        except FileNotFoundError:
            document.fault(f"the profile {source.path} is missing; put it there", (field,))
        except OSError as error:
            document.fault(f"the profile {source.path} cannot be read: {error.strerror}", (field,))
        except PictureError as error:
            document.fault(str(error), (field,))
    return tuple(sources.values())


def mode_of(source: ProfileSource, form: str) -> str:
    """What a profile's colours are; raises PictureError if results of a format cannot have it.

    Also raises OSError.
    """
    name = files.printable(source.name)
    with files.open_ordinary(source.path) as file:
        content = file.read(MOST_PROFILE_BYTES + 1)
    mode = check_profile(form, content, name)
    if not (is_whole(content) and is_understood(content, mode)):
        raise PictureError(
            f"{name} is damaged: copy the profile again, or take another; {len(content)} bytes "
            "came of it"
        )
    return mode


@functools.lru_cache(maxsize=16)  # a trial takes longer than a small picture's whole intake
def is_understood(profile: bytes, mode: str) -> bool:
    """Whether pictures can be brought into a profile's colours, by a trial of the tables."""
    try:
        device = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        ImageCms.buildTransform(ImageCms.createProfile("sRGB"), device, "RGB", PILLOW_MODES[mode])
    except (ImageCms.PyCMSError, OSError):
        return False
    return True


def mode_of_results(form: ResultForm, sources: Sequence[ProfileSource]) -> str:
    """The colours of results whose profile a recipe names, `rgb`, `cmyk` or `grey`; else empty."""
    return next((source.mode for source in sources if source.name == form.profile), "")
