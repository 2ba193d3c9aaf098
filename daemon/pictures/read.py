"""Picture files in: whatever comes, an upright picture in the encoding of sRGB, or why not.

The format is told by the content. What decodes pixels is loaded when a picture is decoded: the
service itself reads headers only.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from PIL import UnidentifiedImageError

from daemon.engine.errors import OutOfMemoryError, PictureError, UnfinishedPictureError
from daemon.pictures.faults import CutFileError, UnsupportedKindError
from daemon.pictures.formats import MAX_PIXELS
from daemon.pictures.header import Header, UnknownContentError, check_size, header_of
from daemon.pictures.picture import Picture

if TYPE_CHECKING:
    from daemon.pictures.raster import Raster

Read = TypeVar("Read")

__all__ = ["Header", "Picture", "read_header", "read_picture"]

HUNGRY, HUNGRY_PIXELS = ("JPEG2000", "JXL", "AVIF", "HEIF"), 50_000_000
"""Formats whose decoders need 20 bytes a pixel and more, and do not say when they get none."""
TOO_MUCH_TEXT = ("MAX_TEXT_CHUNK", "Too much memory used in text chunks")
"""How Pillow says that it reads no further; a few bytes may hold gigabytes of text."""
READ = "JPEG, PNG, WebP, TIFF, HEIC, AVIF, JPEG XL, JPEG 2000, PSD, BMP or GIF"


def read_header(source: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Header:
    """Format and size from the header alone; raises PictureError if the picture is refused."""
    with refusals(name):
        try:
            header = header_of(source)
        except (MemoryError, UnsupportedKindError, UnknownContentError):
            raise
        except Exception as error:  # whatever the readers of headers stumble over
            check_texts(error)
            raise UnfinishedPictureError(
                f"{name} has a damaged header; copy or export it again ({words(error)})"
            ) from error
    check_size(header, name, max_pixels)
    return header


def read_picture(source: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decodes a whole picture; `name` is what messages call it.

    Raises UnfinishedPictureError if the bytes do not decode to the end, OutOfMemoryError, else
    PictureError.
    """
    from daemon.pictures.raster import to_picture

    return read_as(to_picture, source, name, max_pixels)


def read_as(
    made_of: Callable[["Raster"], Read], source: BinaryIO, name: str, max_pixels: int
) -> Read:
    """What is made of a whole file's pixels; raises as `read_picture` does."""
    header = read_header(source, name, max_pixels)
    with refusals(name):
        try:
            return made_of(decoded(source, header))
        except (MemoryError, UnsupportedKindError):
            raise
        except Exception as error:  # whatever the decoders stumble over
            check_texts(error)
            large = header.format in HUNGRY and header.width_px * header.height_px > HUNGRY_PIXELS
            cause = (
                "damaged, incomplete or too large to decode" if large else "damaged or incomplete"
            )
            raise UnfinishedPictureError(
                f"{name} could not be decoded to the end: it is {cause}; copy or export it again "
                f"({words(error)})"
            ) from error


def check_texts(error: Exception) -> None:
    """Raises UnsupportedKindError if a PNG was given up for its texts, which are not damaged."""
    if any(words in str(error) for words in TOO_MUCH_TEXT):
        raise UnsupportedKindError("a PNG with megabytes of text beside its pixels") from error


@contextlib.contextmanager
def refusals(name: str) -> Iterator[None]:
    """What readers say among themselves, as errors that name the file and the remedy."""
    try:
        yield
    except UnsupportedKindError as error:
        raise PictureError(
            f"{name} is {error.what}; atelierd does not paint those: {error.remedy} and drop that"
        ) from error
    except UnknownContentError as error:
        raise UnfinishedPictureError(
            f"{name} is not a picture that can be read ({READ}); "
            "open it in a viewer and export it again"
        ) from error
    except MemoryError as error:
        raise OutOfMemoryError(f"{name} needs more memory to decode than there is") from error


def decoded(source: BinaryIO, header: Header) -> "Raster":
    """The pixels of a file by the decoder of its format."""
    from daemon.pictures.decoders import DECODERS, read_by_pillow

    decode = DECODERS.get(header.format)
    return read_by_pillow(source, header.format) if decode is None else decode(source)


def words(error: Exception) -> str:
    """What a decoder said, in one line; it follows a sentence of ours."""
    said = error.args[0] if error.args else type(error).__name__
    if isinstance(error, UnidentifiedImageError):  # whose words name our open file
        said = "it does not go on as it begins"
    said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    told = said if isinstance(error, CutFileError) else f"the decoder says: {said}"
    return " ".join(told.split())
