"""What a format can hold, so that it is known before anything is painted. Loads no numpy."""

from daemon.engine.errors import PictureError

MOST_SIDE_PX = {
    "JPEG": 65_500,  # libjpeg's; the standard has 65,535
    "WEBP": 16_383,
    "GIF": 65_535,
    "PNG": 2**31 - 1,
    "TIFF": 2**31 - 1,
    "BMP": 2**31 - 1,
}
ALPHA_KEPT = ("PNG", "WEBP", "TIFF", "GIF")
WITH_16_BITS = ("PNG", "TIFF")
MODES = {
    "JPEG": ("rgb", "grey", "cmyk"),
    "TIFF": ("rgb", "grey", "cmyk"),
    "PNG": ("rgb", "grey"),
    "WEBP": ("rgb",),
}
"""What a profile may be of; what no profile can be embedded in is not here."""
MOST_PROFILE_BYTES = {"JPEG": 255 * 65_500}
"""Its profile is in at most 255 parts."""
MODE_OF_SPACE = {b"RGB ": "rgb", b"GRAY": "grey", b"CMYK": "cmyk"}
PACKED = {"JPEG": 0.3, "PNG": 0.75, "WEBP": 0.75, "TIFF": 0.85, "BMP": 1.0, "GIF": 0.35}
PACKED_16 = {"PNG": 0.9, "TIFF": 1.15}
"""Bytes in the file for each byte of pixels: the upper end for paintings (docs/benchmarks.md). The
low bytes of 16 bits are noise, of which LZW makes more than there was."""
MODEST_BYTES = 1 << 20
"""What notes and profiles may take beside the pixels."""


def check_result(form: str, width_px: int, height_px: int) -> None:
    """Refuses a result that its format cannot hold; raises PictureError.

    form: as Pillow calls it.
    """
    most = MOST_SIDE_PX.get(form, 0)
    if max(width_px, height_px) > most:
        raise PictureError(
            f"a result of {width_px}x{height_px} px cannot be written as {form}, which holds "
            f"{most:,} px a side; choose a smaller `size`, or another `format`"
        )


def fits_profile(form: str, profile: bytes) -> bool:
    """Whether a format has room for a profile, or for any."""
    return form in MODES and len(profile) <= MOST_PROFILE_BYTES.get(form, 2**32 - 2**10)


def check_profile(form: str, profile: bytes, name: str) -> str:
    """Refuses a profile that a result of a format cannot have; returns its mode.

    name: what the profile is called in messages.  Raises PictureError.
    """
    is_profile = len(profile) >= 132 and profile[36:40] == b"acsp"
    mode = MODE_OF_SPACE.get(profile[16:20]) if is_profile else None
    if mode is None:
        raise PictureError(
            f"{name} is no colour profile of RGB, grey or CMYK; choose another `profile`"
        )
    if not can_be_output(profile):
        raise PictureError(
            f"{name} describes a camera or scanner: it only leads out of its colours, not into "
            "them; choose the profile of a screen, a working space or a press"
        )
    if mode not in MODES.get(form, ()):
        fitting = " or ".join(form for form, modes in MODES.items() if mode in modes)
        raise PictureError(
            f"{name} is a profile of {mode.upper() if mode != 'grey' else mode}, which {form} "
            f"cannot hold; choose `format: {fitting.lower()}`, or another `profile`"
        )
    if not fits_profile(form, profile):
        raise PictureError(f"{name} is larger than {form} has room for; choose `format: tiff`")
    return mode


def can_be_output(profile: bytes) -> bool:
    """Whether colours can be converted into a profile: by a table, or a matrix and curves.

    Source: ICC.1:2022 sections 7.3 and 8.
    """
    count = int.from_bytes(profile[128:132], "big")
    tags = {profile[at : at + 4] for at in range(132, min(132 + 12 * count, len(profile)), 12)}
    return b"B2A0" in tags or tags >= {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC"} or b"kTRC" in tags


def expected_bytes(
    form: str, width_px: int, height_px: int, *, channels: int = 3, bits: int = 8
) -> int:
    """How large a result's file will be at most, roughly; noise can need more."""
    is_deep = bits > 8 and form in WITH_16_BITS
    raw = width_px * height_px * channels * (2 if is_deep else 1)
    share = PACKED_16[form] if is_deep else PACKED.get(form, 1.0)
    return round(raw * share) + MODEST_BYTES
