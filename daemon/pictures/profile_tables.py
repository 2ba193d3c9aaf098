"""Whether a colour profile holds the tables it claims: littlecms makes room before it looks.

Source: ICC.1:2022 sections 7.3 (tag table), 10.10 to 10.12 (lut16Type, lut8Type, lutAToBType).
"""

import functools
import math
import struct

MOST_PROFILE_BYTES = 32 << 20
MOST_TAGS = 100
OLD_TABLES = {b"mft1": 1, b"mft2": 2}
NEW_TABLES = (b"mAB ", b"mBA ")


@functools.lru_cache(maxsize=16)
def is_whole(profile: bytes) -> bool:
    """Whether a profile's header, tags and tables lie within its bytes."""
    if not 132 <= len(profile) <= MOST_PROFILE_BYTES or profile[36:40] != b"acsp":
        return False
    count = int.from_bytes(profile[128:132])
    if count > MOST_TAGS or 132 + 12 * count > len(profile):
        return False
    for _, at, length in struct.iter_unpack(">4sII", profile[132 : 132 + 12 * count]):
        if at + length > len(profile) or not holds_its_table(profile[at : at + length]):
            return False
    return True


def holds_its_table(tag: bytes) -> bool:
    """Whether a tag is as long as the table or curve in it says."""
    kind = tag[:4]
    if kind == b"curv":
        return len(tag) >= 12 and 12 + 2 * int.from_bytes(tag[8:12]) <= len(tag)
    if kind in OLD_TABLES:
        if len(tag) < 48:
            return False
        inputs, outputs, grid = tag[8:11]
        return outputs * math.prod([grid] * inputs) * OLD_TABLES[kind] <= len(tag)
    if kind in NEW_TABLES:
        if len(tag) < 32:
            return False
        inputs, outputs = tag[8:10]
        grid_at = int.from_bytes(tag[24:28])
        if not grid_at:
            return True
        if inputs > 16 or grid_at + 20 > len(tag):
            return False
        size = outputs * math.prod(tag[grid_at : grid_at + inputs]) * max(1, tag[grid_at + 16])
        return grid_at + 20 + size <= len(tag)
    return True
