"""The kinds of companion, by the names of files."""

from pathlib import Path

import pytest

from daemon.host import files
from daemon.pictures.companions import SIDECAR, CompanionKind, by_kind, kind_of, own_of, word_for

PHOTO = Path("a/photo.jpg")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo.jpg.yaml", "sidecar"),
        ("photo.yml", "sidecar"),
        ("photo.mask.png", "mask"),
        ("photo.jpg", None),
        ("mask.png", None),
        (".mask.png.txt", None),
        ("PHOTO.MASK.PNG", "mask"),
        ("photo.mask.png.png", "mask"),
        ("photo.mask.jpg", "mask"),
        ("photo.mask.png.yaml", "sidecar"),
        ("photo.mask.2020.jpg", None),
        ("photo.mask.txt", None),
        ("photo.masked.png", None),
    ],
)
def test_kind_of_a_companion_is_told_by_its_name(
    masks: CompanionKind, name: str, expected: str | None
) -> None:
    kind = kind_of(name)
    assert (kind.name if kind else None) == expected
    assert word_for(Path(name)) == (expected or "companion")


def test_companion_that_is_one_pictures_alone_has_its_whole_name(masks: CompanionKind) -> None:
    assert own_of(PHOTO) == {
        SIDECAR: Path("a/photo.jpg.yaml"),
        masks: Path("a/photo.jpg.mask.png"),
    }


def test_own_companion_of_a_longest_name_still_fits(masks: CompanionKind) -> None:
    for kind, own in own_of(Path("é" * 125 + ".jpg")).items():
        assert len(own.name.encode()) <= files.NAME_MAX_BYTES and kind_of(own.name) is kind


def test_companions_are_told_apart_whatever_their_order(masks: CompanionKind) -> None:
    mask, sidecar, second = Path("photo.mask.png"), Path("photo.yaml"), Path("photo.yml")
    assert by_kind([mask, sidecar, second]) == {SIDECAR: sidecar, masks: mask}
    assert by_kind([mask]) == {masks: mask} and SIDECAR.among([mask]) is None
