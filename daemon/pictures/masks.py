"""Masks: picture files whose colours say which style goes where, or whose greys how strongly.

The numbers of the file count, whatever profile it has: `red` is 255, 0, 0 in every program.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from daemon.engine.errors import PictureError
from daemon.pictures.read import read_as
from daemon.pictures.regions import LOSSLESS, WHOLE, described

if TYPE_CHECKING:
    from daemon.pictures.raster import Raster

Levels = NDArray[np.uint8]
Colours = NDArray[np.float32]

NOTHING = ("#000000", "#ffffff")
"""What stands for no region, as far as no style is for it."""

ALIKE = 6.0
"""How much nearer a mixture of more colours must be to be taken, in levels: so far apart are
colours that programs round in their own ways."""

FAR = 40.0
"""Distance from all mixtures of the expected colours, in levels, beyond which one is unknown."""

MOST_UNKNOWN = 0.005
"""The share of a mask that may have unknown colours: the odd pixel where three regions meet."""

LEAST_NOTHING = 1e-3
"""The share of a mask from which on black and white in it stand for no region. A soft edge between
opposite colours goes through grey, and that is no mixture of black and white then."""

MOST_SHOWN = 4
BAND_PIXELS = 1 << 20
CELL = 8
"""Levels of a channel that are counted as one when a mask's colours are looked over."""


@dataclass(frozen=True, eq=False)
class RegionMasks:
    """How much each place belongs to each region.

    levels: by region, (H, W) uint8, 255 for wholly.  warnings: what is worth knowing of the mask.
    """

    levels: Mapping[str, Levels]
    warnings: tuple[str, ...] = ()


def read_masks(
    source: BinaryIO,
    name: str,
    regions: Sequence[str],
    max_pixels: int,
    picture_px: tuple[int, int] | None = None,
) -> RegionMasks:
    """The regions that a mask file draws. name: what messages call it.

    regions: `#rrggbb` of those that there are styles for, or WHOLE alone: then the mask is grey and
    says how strongly each place is painted.  picture_px: width and height whose proportions it must
    have; None: it is stretched.  Raises PictureError saying what is wrong with it.
    """
    raster = read_as(lambda found: found, source, name, max_pixels)
    values = checked_values(raster, name)
    if picture_px is not None:
        check_proportions(values.shape, picture_px, name)
    if list(regions) == [WHOLE]:
        return RegionMasks({WHOLE: strength(values, name)})
    return by_colours(values, regions, name)


def checked_values(raster: "Raster", name: str) -> Levels:
    """A mask's values, upright, (H, W, 3) or (H, W); raises PictureError if they can be none's."""
    from daemon.pictures.raster import upright

    if raster.format not in LOSSLESS:
        raise PictureError(
            f"the mask {name} is a {raster.format}, which changes colours around every edge: save "
            "it anew as PNG from what it was drawn in"
        )
    if raster.bits != 8 or raster.values.dtype != np.uint8:
        raise PictureError(f"the mask {name} has 16 bits a channel: save it as PNG of 8 bits")
    if raster.kind not in ("grey", "rgb"):
        raise PictureError(f"the mask {name} is in {raster.kind.upper()}: save it as RGB PNG")
    if raster.alpha is not None and int(raster.alpha.min()) < 255:
        raise PictureError(
            f"the mask {name} has transparent parts: fill them with a colour, and save it without "
            "alpha"
        )
    return upright(raster.values, raster.orientation)


def check_proportions(shape: Sequence[int], picture_px: tuple[int, int], name: str) -> None:
    """Raises PictureError unless a mask, (H, W, ...), is the picture larger or smaller."""
    height, width = shape[:2]
    ratio = picture_px[0] / picture_px[1]
    if abs(width - height * ratio) > 1 + ratio:  # each side is rounded
        raise PictureError(
            f"the mask {name} is {width}x{height} px and its picture {picture_px[0]}x"
            f"{picture_px[1]} px: their proportions differ; save the mask at the picture's size"
        )


def strength(values: Levels, name: str) -> Levels:
    """The levels of a grey mask; raises PictureError if it has colours, or is black all over."""
    levels = values
    if values.ndim == 3:
        spread = values.max(axis=2) - values.min(axis=2)
        if (spread > CELL).mean() > MOST_UNKNOWN:
            raise PictureError(
                f"the mask {name} has colours ({shown(values)}), and the styles name no `region`: "
                "draw it in greys, white where the picture is painted and black where not, or give "
                "the preset's styles regions"
            )
        levels = values.max(axis=2)
    if not levels.any():
        raise PictureError(f"the mask {name} is black all over: nothing would be painted")
    return np.ascontiguousarray(levels)


def by_colours(values: Levels, regions: Sequence[str], name: str) -> RegionMasks:
    """What each region has of a mask whose colours are theirs; raises PictureError."""
    rgb = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    cells, counts = colour_counts(rgb)
    anchors = [*regions, *nothings(cells, counts, regions)]
    check_known(cells, counts, anchors, regions, name)
    levels = {region: np.empty(rgb.shape[:2], np.uint8) for region in regions}
    for band in bands(rgb):
        colours, inverse = np.unique(packed(rgb[band]), return_inverse=True)
        shares, _ = mixtures(unpacked(colours), points(anchors))
        for number, region in enumerate(regions):
            found = np.rint(shares[:, number] * 255).astype(np.uint8)
            levels[region][band] = found[inverse].reshape(levels[region][band].shape)
    absent = [region for region in regions if not levels[region].any()]
    if len(absent) == len(regions):
        raise PictureError(
            f"the mask {name} has nothing of {described(regions)} (its colours are {shown(rgb)}): "
            "nothing would be painted"
        )
    told = f"The mask {name} has no place for {described(absent)}; that style is not used."
    return RegionMasks(levels, (told,) if absent else ())


def nothings(cells: Colours, counts: NDArray[np.int64], regions: Sequence[str]) -> list[str]:
    """Black and white, as far as a mask has them and no region is called so."""
    found = []
    for colour in NOTHING:
        near = np.abs(cells - points([colour])).max(axis=1) <= CELL
        if colour not in regions and counts[near].sum() > LEAST_NOTHING * counts.sum():
            found.append(colour)
    return found


def check_known(
    cells: Colours,
    counts: NDArray[np.int64],
    anchors: Sequence[str],
    regions: Sequence[str],
    name: str,
) -> None:
    """Raises PictureError if a real share of a mask has colours that no mixture explains."""
    _, distances = mixtures(cells, points(anchors))
    unknown = distances > FAR
    share = counts[unknown].sum() / counts.sum()
    if share <= MOST_UNKNOWN:
        return
    most = np.argsort(-counts[unknown], kind="stable")[:MOST_SHOWN]
    found = ", ".join(
        f"{hexed(cells[unknown][one])} on {counts[unknown][one] / counts.sum():.1%}" for one in most
    )
    raise PictureError(
        f"the mask {name} has colours that no style is for, on {share:.1%} of it, among them about "
        f"{found}; expected are {described(regions)}, soft edges between them, and black or white "
        "where the photograph is to be kept: draw it in those, or mend `region` in the preset"
    )


def mixtures(colours: Colours, anchors: Colours) -> tuple[Colours, NDArray[np.float32]]:
    """What each colour is mixed from, and how far it is from that mixture.

    colours: (N, 3).  anchors: (K, 3), the first of equals comes first.  Returns shares (N, K) that
    sum to 1, and distances (N,), in levels. Of mixtures of one, two and three the simplest is taken
    that is about as near as any.
    """
    shares = np.zeros((len(colours), len(anchors)), np.float32)
    nearest = np.full(len(colours), np.inf, np.float32)
    for size in (1, 2, 3):
        for chosen in itertools.combinations(range(len(anchors)), size):
            parts = barycentric(colours, anchors[list(chosen)])
            distance = np.linalg.norm(parts @ anchors[list(chosen)] - colours, axis=1)
            better = (distance < nearest - ALIKE) & (parts >= 0).all(axis=1)
            nearest[better] = distance[better]
            shares[better] = 0
            shares[np.ix_(better, chosen)] = parts[better]
    return shares, nearest


def barycentric(colours: Colours, corners: Colours) -> Colours:
    """The weights of one to three corners whose mixture is nearest to each colour; they sum to 1.

    colours: (N, 3).  corners: (K, 3).  Returns (N, K); negative ones lie outside.
    """
    if len(corners) == 1:
        return np.ones((len(colours), 1), np.float32)
    edges = corners[1:] - corners[0]  # (K - 1, 3)
    rest = (colours - corners[0]) @ np.linalg.pinv(edges)  # (N, K - 1)
    return np.column_stack([1 - rest.sum(axis=1), rest]).astype(np.float32)


def colour_counts(rgb: Levels) -> tuple[Colours, NDArray[np.int64]]:
    """The colours of a mask in cells of CELL levels: the middles of those met, and how many each.

    Black and white are their own cells' middles.
    """
    side = 256 // CELL
    counts = np.zeros(side**3, np.int64)
    for band in bands(rgb):
        cell = (rgb[band] // CELL).astype(np.int32)
        index = (cell[..., 0] * side + cell[..., 1]) * side + cell[..., 2]
        counts += np.bincount(index.ravel(), minlength=side**3)
    met = np.flatnonzero(counts)
    cells = np.stack([met // side**2, met // side % side, met % side], axis=1)
    return (cells * (255 / (side - 1))).astype(np.float32), counts[met]


def bands(values: Levels) -> Iterator[slice]:
    """Rows of a picture, so many that their pixels are a moderate number."""
    at_once = max(1, BAND_PIXELS // values.shape[1])
    for first in range(0, len(values), at_once):
        yield slice(first, first + at_once)


def packed(rgb: Levels) -> NDArray[np.int32]:
    """Colours as one number each.  rgb: (h, W, 3).  Returns (h * W,)."""
    wide = rgb.reshape(-1, 3).astype(np.int32)
    return wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]


def unpacked(colours: NDArray[np.int32]) -> Colours:
    """The colours of `packed`, (N, 3)."""
    return np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.float32)


def points(colours: Sequence[str]) -> Colours:
    """Colours called `#rrggbb` as (N, 3), 0 to 255."""
    return np.array([ImageColor.getrgb(colour)[:3] for colour in colours], np.float32)


def hexed(colour: NDArray[Any]) -> str:
    """A colour, (3,), as `#rrggbb`."""
    return "#" + "".join(f"{round(float(channel)):02x}" for channel in colour)


def shown(values: Levels) -> str:
    """The most frequent colours of a mask, in words."""
    rgb = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    cells, counts = colour_counts(rgb)
    most = np.argsort(-counts, kind="stable")[:MOST_SHOWN]
    return ", ".join(f"{hexed(cells[one])} on {counts[one] / counts.sum():.1%}" for one in most)
