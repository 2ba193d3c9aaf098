"""Settings on the command line, and the name of a result without a queue."""

from pathlib import Path

import pytest

from daemon.engine.recipe import Recipe
from daemon.errors import BadInputError
from daemon.presets import override
from daemon.single import describe_full, free_name, settings_document


def test_settings_are_read_as_yaml_values() -> None:
    document = settings_document(
        ["size=1024", "tv=1e-3", "style_layers={relu1_1: 1}", "init=noise"]
    )
    assert override(Recipe(), document) == Recipe(
        size=1024, tv=1e-3, style_layers={"relu1_1": 1.0}, init="noise"
    )


def test_value_may_hold_an_equals_sign() -> None:
    assert settings_document(["init=a=b"]).data == {"init": "a=b"}


@pytest.mark.parametrize(
    "setting", ["size", "size=[", "size=!!python/name:os.system x", "size=!!int ''", "size=&a [*a]"]
)
def test_setting_that_cannot_be_read_is_named(setting: str) -> None:
    with pytest.raises(BadInputError, match="--set size"):
        settings_document([setting])


@pytest.mark.parametrize("value", ["0144", "0x90", "!!int 0144"])
def test_setting_is_never_another_number_than_was_typed(value: str) -> None:
    with pytest.raises(BadInputError, match="write 144"):
        override(Recipe(), settings_document([f"size={value}"]))


def test_wrong_field_names_the_nearest_one() -> None:
    with pytest.raises(BadInputError, match="stesp: unknown key; did you mean `steps`"):
        override(Recipe(), settings_document(["stesp=5"]))


def test_result_never_takes_a_name_that_is_there(tmp_path: Path) -> None:
    picture = Path("elsewhere/photo.png")
    for expected in ("photo-wave.png", "photo-wave-2.png", "photo-wave-3.png"):
        found = free_name(tmp_path, picture, "wave")
        assert found == tmp_path / expected
        found.touch()


def test_result_of_a_phone_picture_is_a_jpeg(tmp_path: Path) -> None:
    assert free_name(tmp_path, Path("IMG_1.HEIC"), "wave").name == "IMG_1-wave.jpg"


def test_proof_says_how_long_the_full_picture_takes() -> None:
    full = {"width_px": 4000, "height_px": 3000, "seconds": 9610}
    said = describe_full(full, "cpu")
    assert said == "the full picture, 4000x3000 px: about 2 h 40 min on cpu"


def test_proof_that_is_the_full_picture_says_so() -> None:
    said = describe_full({"width_px": 400, "height_px": 300, "seconds": None}, "cpu")
    assert said == "the full picture is no larger: this is it, 400x300 px"
