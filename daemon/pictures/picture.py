"""A decoded picture, as reading gives it and writing takes it. Loads no numpy: types only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Metadata:
    """What a file said of itself beside its pixels, as the bytes it had.

    exif: from its TIFF header (`II` or `MM`) on, without a leading `Exif`.  xmp: the packet.
    iptc: the IIM records, without Photoshop's frame.  text: PNG's text chunks by keyword, and a
    JPEG's or GIF's comment as `Comment`.  density_ppi: pixels an inch, across and down, upright;
    None where the file does not tell.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    text: Mapping[str, str] = field(default_factory=dict)
    density_ppi: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: upright RGB in the encoding of sRGB (IEC 61966-2-1), straight alpha.

    pixels: (H, W, 3).  uint8 and uint16 hold 0..1 in their full range.  float32 is of pictures
    whose profile has colours that sRGB has not: they lie below 0 and above 1, where the curve goes
    on with the sign of the linear value (`color(srgb ...)` of CSS Color 4).  Under what is wholly
    transparent lie the colours of its edge.
    alpha: (H, W), uint8 or uint16; None if everything is opaque.
    format: as Pillow calls it (JPEG, PNG, TIFF, HEIF, ...; RAW for all cameras').
    bits: of a channel in the file, 8 or 16; what has more than 8 counts as 16.
    profile: the ICC profile of an RGB file that is not sRGB, so that a result can have it too.
    lossless: whether the file kept its pixels as they were, where its format leaves that open.
    warnings: what was left out or guessed, for the record: further pages, a broken profile.
    """

    pixels: "NDArray[Any]"
    alpha: "NDArray[Any] | None" = None
    format: str = ""
    bits: int = 8
    profile: bytes | None = None
    lossless: bool = False
    metadata: Metadata = Metadata()
    warnings: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px, as they are seen."""
        height, width, _ = self.pixels.shape
        return width, height
