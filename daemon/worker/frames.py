"""Frames in a proof: what was found in the picture, shown to who is to judge it."""

from collections.abc import Sequence

from daemon.engine.faces import Face
from daemon.engine.pixels import FloatPixels, size_of

LINES_PX = 512
"""Longest side of a picture whose frames have lines of a pixel."""

BLACK, WHITE = 0.0, 1.0


def draw_frames(pixels: FloatPixels, faces: Sequence[Face], picture_px: tuple[int, int]) -> None:
    """Draws a thin frame around each face, white in black so that it is seen anywhere, in place.

    pixels: (H, W, 3) float.  faces: in a picture of `picture_px`, width and height.
    """
    width, height = size_of(pixels)
    line = max(1, round(max(width, height) / LINES_PX))
    for face in faces:
        left, right = (
            round(x * width / picture_px[0]) for x in (face.left_px, face.left_px + face.width_px)
        )
        top, bottom = (
            round(y * height / picture_px[1]) for y in (face.top_px, face.top_px + face.height_px)
        )
        for level, inset in ((BLACK, 0), (WHITE, line)):
            inside = pixels[top + inset : bottom - inset, left + inset : right - inset]
            inside[:line] = inside[-line:] = level
            inside[:, :line] = inside[:, -line:] = level
