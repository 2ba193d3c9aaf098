"""Masks that presets name: pictures of their folder that say where which style goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.engine.errors import PictureError
from daemon.host import files
from daemon.pictures.read import read_header
from daemon.pictures.regions import LOSSLESS
from daemon.settings.sources import Stamp, StyleSource, lies_in, stamp
from daemon.settings.yamlfile import Document

WHERE = ("mask",)


@dataclass(frozen=True)
class MaskSource:
    """A mask on disk.

    name: as presets call it, relative to their folder.  sha256: of its bytes, None unless the spool
    has them.
    """

    path: Path
    name: str
    sha256: str | None = None


def check_mask(
    name: object,
    folder: Path,
    document: Document,
    stamps: dict[Path, Stamp] | None = None,
    known: MaskSource | None = None,
) -> MaskSource | None:
    """The mask that a recipe names, None for none; a fault of the document if it cannot be used.

    known: what was found before, and where it is kept.  stamps: gets what the file was like before
    it was looked at.
    """
    if not isinstance(name, str) or not name:
        return None  # what is no text is a fault of the model's
    if known is not None and known.name == name:
        return known
    source = MaskSource(folder / name, name)
    if stamps is not None:
        stamps[source.path] = stamp(source.path)
    if not lies_in(folder, source.path):
        document.fault("must lie in the presets folder", WHERE)
        return None
    try:
        with files.open_ordinary(source.path) as file:
            form = read_header(file, source.path.name).format
    except FileNotFoundError:
        document.fault(f"the mask {source.path} is missing; put it there", WHERE)
    except OSError as error:
        document.fault(f"the mask {source.path} cannot be read: {error.strerror}", WHERE)
    except PictureError as error:
        document.fault(str(error), WHERE)
    else:
        if form in LOSSLESS:
            return source
        document.fault(f"the mask {name} is a {form}; save it anew as PNG", WHERE)
    return None


def regions_of(styles: Sequence[StyleSource]) -> list[str]:
    """The regions that styles are for, in their order; none if they name none."""
    return list(dict.fromkeys(style.region for style in styles if style.region))
