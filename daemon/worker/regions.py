"""The regions of a run: the masks its mask file draws, and what each comes to."""

from daemon.host import files
from daemon.messages import RunOrder
from daemon.pictures.masks import RegionMasks, read_masks
from daemon.pictures.regions import WHOLE


def read_regions(order: RunOrder, picture_px: tuple[int, int]) -> RegionMasks:
    """What an order's mask says of a picture of that width and height; nothing if it has none.

    Raises PictureError if the mask cannot be what is meant, and OSError.
    """
    if order.mask is None:
        return RegionMasks({})
    regions = list(dict.fromkeys(style.region for style in order.styles)) or [WHOLE]
    name = files.printable(order.mask.name)
    proportions = picture_px if order.mask.own else None
    with order.mask.file.path.open("rb") as file:
        return read_masks(file, name, regions, order.max_pixels, proportions)


def shares_of(masks: RegionMasks) -> dict[str, float]:
    """What share of the picture each region has, 0 to 1."""
    return {region: round(float(levels.mean()) / 255, 4) for region, levels in masks.levels.items()}
