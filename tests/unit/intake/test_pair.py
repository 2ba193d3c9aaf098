"""Which sidecar is whose, by names that people, cameras and other systems write."""

import unicodedata
from pathlib import Path

import pytest

from daemon.intake.pair import match
from daemon.pictures.companions import CompanionKind

PHOTO = Path("a/photo.jpg")
NFC, NFD = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))


def paired(picture: str, *there: str, others: tuple[str, ...] = ()) -> str | None:
    """The name of the sidecar that a picture gets."""
    pairs = match([Path(one) for one in (picture, *others)], [Path(one) for one in there])
    companions = pairs.companions_of.get(Path(picture), ())
    return companions[0].name if companions else None


def told(picture: str, *there: str, others: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What the picture's record tells of sidecars that were not obeyed."""
    pairs = match([Path(one) for one in (picture, *others)], [Path(one) for one in there])
    return pairs.warnings.get(Path(picture), ())


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["a/photo.jpg.yaml", "a/photo.yaml"], "photo.jpg.yaml"),
        (["a/photo.yaml"], "photo.yaml"),
        (["photo.yaml", "b/photo.yaml", "a/photo.png.yaml"], None),
        (["a/photo.yaml", "a/photo.jpg.yml"], "photo.yaml"),
        (["a/photo.yml", "a/Photo.yaml"], "photo.yml"),
        (["a/photo.jpg.yml", "a/photo.yml"], "photo.jpg.yml"),
        ([], None),
    ],
)
def test_sidecar_is_the_nearest_by_name(there: list[str], found: str | None) -> None:
    assert paired("a/photo.jpg", *there) == found


@pytest.mark.parametrize(
    ("picture", "sidecar"),
    [
        ("a/photo.jpg", "a/photo.yml"),
        ("a/photo.jpg", "a/photo.jpg.YAML"),
        ("a/photo.jpg", "a/photo.Yml"),
        ("C.JPG", "c.yaml"),
        ("c.jpg", "C.JPG.YAML"),
        ("photo.JPG", "photo.jpg.yaml"),
        (f"{NFD}.jpg", f"{NFC}.yaml"),
        (f"{NFC}.jpg", f"{NFD}.jpg.yml"),
        ("photo.jpg", "photo.jpg.yaml.txt"),
        ("photo.jpg", "photo.yaml.TXT"),
        ("photo.jpg", "photo.jpg.yaml.yaml"),
        ("photo.jpg", "photo.jpg.yaml "),
        ("photo.jpg", "photo.jpg .yaml"),
        ("photo.jpg", "photo .yaml"),
        ("photo .jpg", "photo.jpg.yaml"),
        ("photo.jpg", "photo.jpeg.yaml"),
        ("photo.jpeg", "photo.JPG.yml"),
        ("scan.tif", "scan.tiff.yaml"),
        ("scan.png.jpg", "scan.png.yml"),
        ("photo.jpg.jpg", "photo.yaml"),
        ("photo.jpg", "photo.jpg.yaml.txt.txt"),
        ("photo.jpg", "photo.jpg.YAML."),
    ],
)
def test_sidecar_whose_name_is_nearly_right_is_obeyed(picture: str, sidecar: str) -> None:
    assert paired(picture, sidecar) == Path(sidecar).name
    assert told(picture, sidecar) == ()


@pytest.mark.parametrize(
    "sidecar", ["photo2.yaml", "photo", "photo.txt", "photo.jpg.txt", "photo.v2.yaml", "hoto.yaml"]
)
def test_sidecar_of_another_name_is_another_pictures(sidecar: str) -> None:
    assert paired("photo.jpg", sidecar) is None
    assert told("photo.jpg", sidecar) == ()


def test_two_sidecars_that_could_both_be_meant_are_named_in_the_record() -> None:
    there = ("photo.yml", "photo.YAML")
    assert paired("photo.jpg", *there) is None
    first, second = told("photo.jpg", *there)
    assert "photo.YAML was not obeyed: photo.yml could be meant as well" in first
    assert "photo.yml was not obeyed: photo.YAML could be meant as well" in second
    assert "photo.jpg.yaml" in first


def test_sidecar_that_another_picture_is_called_like_is_only_that_ones() -> None:
    assert paired("c.jpg", "c.yaml", others=("C.JPG",)) == "c.yaml"
    assert paired("C.JPG", "c.yaml", others=("c.jpg",)) is None
    assert "fits another picture better" in told("C.JPG", "c.yaml", others=("c.jpg",))[0]
    assert paired("photo.jpg", "photo.jpeg.yaml", others=("photo.jpeg",)) is None


def test_sidecars_of_neighbours_in_other_formats_are_no_news() -> None:
    assert told("photo.jpg", "photo.png.yaml", others=("photo.png",)) == ()
    assert told("photo.jpg", "photo.jpeg.yaml", others=("photo.jpeg",)) == ()


def test_sidecar_named_after_another_format_is_told_and_not_obeyed() -> None:
    assert paired("photo.jpg", "photo.png.yaml") is None
    (text,) = told("photo.jpg", "photo.png.yaml")
    assert "photo.png.yaml was not obeyed" in text and "photo.jpg.yaml would be" in text


def test_sidecar_that_comes_second_is_told() -> None:
    (text,) = told("photo.jpg", "photo.yaml", "photo.jpg.yml")
    assert "photo.jpg.yml was not obeyed: photo.yaml comes first" in text


def test_sidecar_of_two_pictures_belongs_to_both_and_is_not_alone() -> None:
    for name in ("photo.yaml", "photo.yml"):
        pairs = match([Path("photo.jpg"), Path("photo.png")], [Path(name), Path("alone.yaml")])
        assert set(pairs.companions_of.values()) == {(Path(name),)}
        assert pairs.alone == {Path("alone.yaml")}


def test_sidecar_that_lay_there_long_before_is_told_and_not_obeyed() -> None:
    old = Path("a/photo.yaml")
    pairs = match([PHOTO], [old], stale={old})
    assert pairs.companions_of == {} and pairs.alone == {old}
    assert "sidecar_wait_s" in pairs.warnings[PHOTO][0]
    fresh = Path("a/photo.jpg.yaml")
    assert match([PHOTO], [old, fresh], stale={old}).companions_of == {PHOTO: (fresh,)}


def test_sidecar_whose_name_had_to_be_cut_is_still_its_pictures() -> None:
    name = "é" * 125 + ".jpg"
    cut = name.encode()[:250].decode(errors="ignore") + ".yaml"
    assert paired(name, cut) == cut


def test_picture_has_one_companion_of_each_kind(masks: CompanionKind) -> None:
    there = [Path("a", name) for name in ("photo.mask.png", "photo.yaml", "photo.jpg.mask.png")]
    pairs = match([PHOTO, Path("a/other.jpg")], there)
    assert set(pairs.companions_of) == {PHOTO}
    assert set(pairs.companions_of[PHOTO]) == {there[1], there[2]} and pairs.alone == {there[0]}
    (remark,) = pairs.warnings[PHOTO]
    assert remark.startswith("The mask photo.mask.png was not obeyed: photo.jpg.mask.png comes")


def test_kinds_take_no_companion_from_each_other(masks: CompanionKind) -> None:
    pairs = match([PHOTO], [Path("a/photo.mask.png.yaml"), Path("a/photo.yaml.mask.png")])
    assert pairs.companions_of == {} and len(pairs.alone) == 2
