"""Colour profiles that presets name: ICC files of their folder, looked at by their headers."""

import dataclasses
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.host import files
from daemon.pictures.form import ResultForm
from daemon.pictures.formats import WITH_CMYK
from daemon.settings.sources import Stamp, lies_in, stamp
from daemon.settings.yamlfile import Document

OWN_WORDS = {"profile": ("srgb", "keep"), "proof_profile": ("",)}
"""What these fields say that is no file."""

HEADER_BYTES, TAG_BYTES, MOST_TAGS = 132, 12, 100
CLASSES = {
    "scnr": "a camera or scanner",
    "link": "a link between devices",
    "abst": "an effect",
    "nmcl": "named colours",
}
"""What a profile may be of that no picture can be converted into (ICC.1:2022, 7.2.5)."""

SPACES = ("RGB", "CMYK")
BACK_TO_DEVICE = ("B2A0", "B2A1", "B2A2", "rTRC")
"""A profile has one of these tags if colours can be converted into it."""


@dataclass(frozen=True)
class ProfileSource:
    """A colour profile on disk.

    name: as presets call it, relative to their folder.  sha256: of its bytes, None unless the spool
    has them.  space: the colours it is of, RGB or CMYK; empty until it was looked at.
    """

    path: Path
    name: str
    sha256: str | None = None
    space: str = ""


@dataclass(frozen=True)
class ProfileHeader:
    """What the beginning of an ICC profile says. kind: its class.  tags: those it has."""

    kind: str
    space: str
    tags: Collection[str]


class ProfileError(ValueError):
    """A file is no ICC profile; says what it is instead."""


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

    known: those that were found before, which are taken as they are.  stamps: gets what each file
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
            header = read_profile_header(source.path)
            check_fits(header, form.format if field == "profile" else "same")
            sources[name] = dataclasses.replace(source, space=header.space)
        except FileNotFoundError:
            document.fault(f"the profile {source.path} is missing; put it there", (field,))
        except OSError as error:
            document.fault(f"the profile {source.path} cannot be read: {error.strerror}", (field,))
        except ProfileError as error:
            document.fault(f"{files.printable(name)} {error}", (field,))
    return tuple(sources.values())


def check_fits(header: ProfileHeader, wanted: str) -> None:
    """Raises ProfileError unless pictures can be brought into a profile's colours.

    wanted: the `format` of results that are to have it.
    """
    if header.kind in CLASSES:
        raise ProfileError(f"is of {CLASSES[header.kind]}; take a printer's or a monitor's profile")
    if header.space not in SPACES:
        raise ProfileError(f"is of {header.space} colours; take a profile of RGB or CMYK")
    if not set(BACK_TO_DEVICE) & set(header.tags):
        raise ProfileError(
            "only tells what a device's colours look like, not how they are made; take a "
            "printer's or a monitor's profile"
        )
    if header.space == "CMYK" and wanted not in ("same", *map(str.lower, WITH_CMYK)):
        raise ProfileError(f"is of CMYK colours, which {wanted} has not; say format: tiff or jpeg")


def read_profile_header(path: Path) -> ProfileHeader:
    """The header and first tags of an ICC profile; raises ProfileError if it is none, or OSError.

    Source: ICC.1:2022, 7.2 and 7.3.
    """
    with files.open_ordinary(path) as file:
        head = file.read(HEADER_BYTES + MOST_TAGS * TAG_BYTES)
        size_bytes = path.stat().st_size
    if len(head) < HEADER_BYTES or head[36:40] != b"acsp":
        raise ProfileError("is no ICC profile: take an .icc or .icm file")
    (claimed_bytes,), (count,) = struct.unpack_from(">I", head), struct.unpack_from(">I", head, 128)
    if claimed_bytes > size_bytes:
        raise ProfileError(f"is cut: it has {size_bytes} bytes of {claimed_bytes}; copy it again")
    names = [head[at : at + 4] for at in range(HEADER_BYTES, len(head), TAG_BYTES)]
    tags = {name.decode("latin-1") for name in names[:count]}
    return ProfileHeader(word(head[12:16]), word(head[16:20]), tags)


def word(code: bytes) -> str:
    """A signature of four characters as text."""
    return code.decode("latin-1").strip()


def has_press_colours(form: ResultForm, sources: Sequence[ProfileSource]) -> bool:
    """Whether results of a recipe have the four colours of a press, by the profiles it names."""
    return any(source.name == form.profile and source.space == "CMYK" for source in sources)
