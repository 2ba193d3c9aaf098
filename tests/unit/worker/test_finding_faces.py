"""Faces are found in photographs, nothing else is taken for one, and a proof shows them."""

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from daemon.engine.errors import PictureError
from daemon.engine.faces import Face
from daemon.worker.faces import find_faces
from daemon.worker.frames import draw_frames

FACE = (224, 115)
"""The middle of the astronaut's, in px of 512."""


def portrait(side_px: int = 256, degrees: float = 0.0) -> Image.Image:
    image = Image.fromarray(skimage.data.astronaut()).resize((side_px, side_px))
    return image.rotate(degrees, Image.Resampling.BICUBIC)


def middle_of(face: Face) -> tuple[float, float]:
    return face.left_px + face.width_px / 2, face.top_px + face.height_px / 2


def test_face_is_found_where_it_is_and_as_large_as_it_is() -> None:
    (face,) = find_faces(np.asarray(portrait()))
    assert middle_of(face) == pytest.approx((FACE[0] / 2, FACE[1] / 2), abs=6)
    assert face.width_px == face.height_px == pytest.approx(50, abs=8)


def test_head_that_is_tilted_is_found() -> None:
    (face,) = find_faces(np.asarray(portrait(degrees=25)))
    down, across = FACE[1] / 2 - 128, FACE[0] / 2 - 128
    cosine, sine = np.cos(np.radians(25)), np.sin(np.radians(25))
    expected = (128 + cosine * across + sine * down, 128 - sine * across + cosine * down)
    assert middle_of(face) == pytest.approx(expected, abs=8)


@pytest.mark.parametrize("kind", ["16 bits", "floats", "a large picture"])
def test_same_face_is_found_in_every_kind_of_pixels(kind: str) -> None:
    levels = np.asarray(portrait())
    pixels: NDArray[Any] = {
        "16 bits": levels.astype(np.uint16) * 257,
        "floats": levels.astype(np.float32) / 255,
        "a large picture": np.asarray(portrait(1200)),
    }[kind]
    (face,) = find_faces(pixels)
    scale = pixels.shape[0] / 512
    assert middle_of(face) == pytest.approx((FACE[0] * scale, FACE[1] * scale), abs=12 * scale)


def test_nothing_is_found_in_pictures_without_a_face() -> None:
    moon = Image.fromarray(skimage.data.moon()).convert("RGB").crop((0, 0, 307, 307))
    for image in (moon, Image.new("RGB", (64, 64), "grey")):
        assert find_faces(np.asarray(image)) == ()


@pytest.mark.parametrize("size", [(3000, 20), (16, 900), (17, 17)])
def test_picture_of_any_shape_can_be_looked_at(size: tuple[int, int]) -> None:
    assert find_faces(np.asarray(portrait().resize(size))) == ()


def test_the_same_picture_gives_the_same_faces() -> None:
    pixels = np.asarray(portrait().crop((40, 0, 190, 150)))
    assert find_faces(pixels) == find_faces(pixels) != ()


def test_missing_opencv_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'cv2'", name=name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(PictureError, match=r"No module named 'cv2'.*install atelierd\[faces\]"):
        find_faces(np.zeros((64, 64, 3), np.uint8))


def test_opencv_that_has_no_cascades_any_more_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        importlib, "import_module", lambda name: SimpleNamespace(__version__="5.0.0")
    )
    with pytest.raises(PictureError, match=r"OpenCV 5\.0\.0 has no cascades"):
        find_faces(np.zeros((64, 64, 3), np.uint8))


def test_frame_is_thin_and_where_the_face_is_at_the_proofs_size() -> None:
    proof = np.full((100, 200, 3), 0.5, np.float32)
    draw_frames(proof, [Face(100, 40, 80, 60)], (400, 200))
    white = np.argwhere((proof == 1).all(axis=2))
    assert white.min(axis=0).tolist() == [21, 51] and white.max(axis=0).tolist() == [48, 88]
    assert (proof[20, 50:90] == 0).all() and (proof[22:48, 52:88] == 0.5).all()
    untouched = proof.copy()
    untouched[20:50, 50:90] = 0.5
    assert (untouched == 0.5).all()


def test_frame_of_a_face_at_the_border_or_of_a_few_pixels_harms_nothing() -> None:
    proof = np.full((20, 20, 3), 0.5, np.float32)
    draw_frames(proof, [Face(0, 0, 400, 400), Face(390, 390, 10, 10)], (400, 400))
    assert np.isfinite(proof).all() and proof.shape == (20, 20, 3)
