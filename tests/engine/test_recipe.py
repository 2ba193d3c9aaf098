"""Recipes: defaults, what is refused, and that none of it needs torch."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from daemon.engine.losses.terms import layers_of
from daemon.engine.recipe import Recipe
from daemon.engine.vgg.layers import LAYERS, deepest


def test_defaults_are_those_of_the_documented_recipe() -> None:
    assert Recipe().model_dump() == {
        "content_layers": {"relu4_2": 1.0},
        "style_layers": {
            "relu1_1": 16.0,
            "relu2_1": 8.0,
            "relu3_1": 4.0,
            "relu4_1": 2.0,
            "relu5_1": 0.1,
        },
        "statistics": "gaussian",
        "pooling": "max",
        "alpha": 1.0,
        "beta": 30.0,
        "normalise": "relative",
        "match": 0.0,
        "tv": 0.0,
        "edges": 0.0,
        "colors": "style",
        "faces": 0.0,
        "size": 512,
        "style_scale": 1.0,
        "init": "content",
        "optimizer": "lbfgs",
        "preconditioner": "opponent",
        "effort": "good",
        "steps": None,
        "seed": 0,
    }


def test_layers_run_from_conv1_1_to_relu5_4() -> None:
    assert len(LAYERS) == 2 * 16
    assert LAYERS[:4] == ("conv1_1", "relu1_1", "conv1_2", "relu1_2")
    assert LAYERS[-1] == "relu5_4"


def test_recipe_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().beta = 5.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [
        {"content_layers": {}},
        {"content_layers": {"relu6_1": 1.0}},
        {"style_layers": {"pool1": 1.0}},
        {"style_layers": {"relu1_1": 0.0}},
        {"style_layers": {"relu1_1": float("inf")}},
        {"statistics": "histogram"},
        {"pooling": "median"},
        {"alpha": -1.0},
        {"beta": float("nan")},
        {"size": 63},
        {"size": "huge"},
        {"size": 512.5},
        {"steps": 0},
        {"effort": "great"},
        {"effort": None},
        {"seed": -1},
        {"seed": 2**63},
        {"style_scale": 0.0},
        {"style_scale": []},
        {"faces": 1.5},
        {"faces": True},
        {"style_scale": [1.0, 0.0]},
        {"style_scale": [1.0] * 9},
        {"optimizer": "sgd"},
        {"normalise": True},
        {"colour": "keep"},
    ],
    ids=repr,
)
def test_what_cannot_be_painted_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe(**wrong)  # type: ignore[arg-type]


def test_unknown_layers_are_all_named() -> None:
    with pytest.raises(ValidationError, match="no layer relu9_1, pool3; use convB_I or reluB_I"):
        Recipe(style_layers={"relu9_1": 1.0, "relu1_1": 1.0, "pool3": 1.0})


def test_deepest_layer_is_found_among_content_and_style() -> None:
    assert deepest(layers_of(Recipe())) == "relu5_1"
    assert deepest(layers_of(Recipe(style_layers={"relu1_1": 1.0}))) == "relu4_2"
    both = Recipe(content_layers={"conv5_4": 1.0}, style_layers={"relu5_4": 1.0})
    assert deepest(layers_of(both)) == "relu5_4"


@pytest.mark.parametrize("module", ["recipe", "vgg.weights", "errors", "pixels"])
def test_module_never_loads_torch(module: str) -> None:
    script = f"import sys, daemon.engine.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
