"""ICC profiles that are made here, so that no test needs one of somebody else's."""

import struct

from PIL import ImageCms

PRESS_TAGS = ("A2B0", "B2A0")


def srgb() -> bytes:
    """A whole profile that every library reads."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def head_of_profile(
    space: str = "CMYK", kind: str = "prtr", tags: tuple[str, ...] = PRESS_TAGS
) -> bytes:
    """A profile's header and the table of its tags, with nothing in them."""
    size = 132 + 12 * len(tags)
    header = bytearray(128)
    struct.pack_into(">I", header, 0, size)
    header[8:12] = b"\x04\x30\0\0"
    header[12:16], header[16:20], header[20:24] = kind.encode(), space.ljust(4).encode(), b"Lab "
    header[36:40] = b"acsp"
    table = b"".join(tag.encode() + struct.pack(">II", size, 0) for tag in tags)
    return bytes(header) + struct.pack(">I", len(tags)) + table
