"""Settings on the command line, and what a proof says."""

import pytest

from daemon.commands.stylize import describe_full, settings_document
from daemon.engine.recipe import Recipe
from daemon.errors import BadInputError
from daemon.settings.presets import override


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


def test_proof_says_how_long_the_full_picture_takes() -> None:
    full = {"width_px": 4000, "height_px": 3000, "seconds": 9610}
    said = describe_full(full, "cpu")
    assert said == "the full picture, 4000x3000 px: about 2 h 40 min on cpu"


def test_proof_that_is_the_full_picture_says_so() -> None:
    said = describe_full({"width_px": 400, "height_px": 300, "seconds": None}, "cpu")
    assert said == "the full picture is no larger: this is it, 400x300 px"
