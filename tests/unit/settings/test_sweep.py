"""Sweeps: which are refused, and what their cells are."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from daemon.errors import PresetError
from daemon.pictures.form import JobRecipe
from daemon.settings.presets import Preset, Shelf, load_presets, override, override_swept
from daemon.settings.sweep import SWEEPABLE, cells_of, label_of, values_of
from daemon.settings.yamlfile import parse

Load = Callable[[str], Shelf]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """The presets of a folder whose `it` has a style image and these further lines."""
    Image.new("RGB", (32, 32)).save(tmp_path / "wave.png")

    def make(text: str) -> Shelf:
        (tmp_path / "it.yaml").write_text(f"styles: [{{image: wave.png}}]\n{text}")
        return load_presets(tmp_path)

    return make


def preset(**sweep: tuple[int | float | str, ...]) -> Preset:
    return Preset("it", Path("it.yaml"), JobRecipe(steps=7), (), sweep=sweep)


def sidecar(text: str, swept: Preset | None = None) -> list[str]:
    """The labels of the cells that a sidecar makes of a preset."""
    recipe, sweep = override_swept(swept or preset(), parse(text.encode(), "photo.yaml"))
    return [cell.label for cell in cells_of(sweep, recipe)]


def refusal(text: str) -> list[str]:
    with pytest.raises(PresetError) as caught:
        sidecar(text)
    return str(caught.value).split("\n")


def test_two_fields_of_a_preset_make_a_cell_of_each_pair_of_values(load: Load) -> None:
    found = load("steps: 9\nsweep: {beta: [5, 20.5], init: [content, noise]}\n").good["it"]
    cells = cells_of(found.sweep, found.recipe)
    assert [cell.label for cell in cells] == [
        "beta 5, init content",
        "beta 5, init noise",
        "beta 20.5, init content",
        "beta 20.5, init noise",
    ]
    assert cells[3].recipe == JobRecipe(steps=9, beta=20.5, init="noise")


def test_preset_without_a_sweep_is_one_cell_without_a_label(load: Load) -> None:
    found = load("steps: 9\n").good["it"]
    assert [(one.label, one.recipe) for one in cells_of(found.sweep, found.recipe)] == [
        ("", JobRecipe(steps=9))
    ]


def test_labels_tell_values_apart_and_can_be_read_again() -> None:
    values = {"tv": 1e-06, "size": "original"}
    assert label_of(values) == "tv 1e-06, size original"
    assert values_of("tv 1e-06, size original") == {"tv": "1e-06", "size": "original"}
    assert label_of({"beta": 1234567.0}) == "beta 1234567" != label_of({"beta": 1234568.0})


def test_only_numbers_and_choices_can_be_swept() -> None:
    assert {"beta", "style_scale", "size", "tv", "init", "seed", "quality"} <= set(SWEEPABLE)
    assert not {"content_layers", "style_layers", "profile", "proof_profile"} & set(SWEEPABLE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sweep: {btea: [5]}", "photo.yaml:1: sweep.btea: unknown key; did you mean `beta`?"),
        ("sweep:\n  beta: [5, -1]", "photo.yaml:2: sweep.beta[1]: must be"),
        ("sweep: {beta: [5, 5.0]}", "photo.yaml:1: sweep.beta: has 5 2 times; keep one"),
        ("sweep: {beta: []}", "photo.yaml:1: sweep.beta: must have at least 1 of them"),
        ("sweep: {}", "photo.yaml:1: sweep: must have at least 1 of them"),
        ("sweep: {beta: [1], tv: [1], edges: [1]}", "sweep: must have at most 2 of them"),
        ("sweep: {beta: 5}", "photo.yaml:1: sweep.beta: must be a list such as [a, b], not 5"),
        ("sweep: {beta: [true]}", "photo.yaml:1: sweep.beta[0]: must be"),
        ("sweep: {profile: [srgb]}", "photo.yaml:1: sweep.profile: cannot be swept; "),
        ("sweep: {init: [contents]}", "sweep.init[0]: must be 'content', 'noise' or 'style', not"),
        (
            f"sweep: {{beta: {list(range(1, 14))}, seed: [1, 2, 3, 4, 5]}}",
            "photo.yaml:1: sweep: makes 65 pictures of one; at most 64 may be",
        ),
    ],
)
def test_sweep_that_cannot_be_painted_is_refused_with_its_line(text: str, told: str) -> None:
    faults = refusal(text)
    assert any(told in fault for fault in faults), faults


def test_faulty_sweep_of_a_preset_is_a_fault_of_the_preset(load: Load) -> None:
    (fault,) = load("sweep: {beta: [5, soon]}\n").faulty["it"]
    assert str(fault).endswith("it.yaml:2: sweep.beta[1]: must be a number, not 'soon'")


def test_sixty_four_cells_are_allowed() -> None:
    seeds = list(range(8))
    assert len(sidecar(f"sweep: {{seed: {seeds}, beta: [1, 2, 3, 4, 5, 6, 7, 8]}}")) == 64


def test_sidecars_sweep_takes_the_place_of_the_presets() -> None:
    swept = preset(beta=(5.0, 20.0))
    assert sidecar("sweep: {tv: [0, 1]}", swept) == ["tv 0", "tv 1"]
    assert sidecar("sweep: null", swept) == [""]


def test_value_beside_its_own_sweep_is_for_where_nothing_is_swept(load: Load) -> None:
    found = load("beta: 7\nsweep: {beta: [5, 20]}\n").good["it"]
    assert found.recipe.beta == 7.0 and found.sweep == {"beta": (5.0, 20.0)}
    assert sidecar("beta: 7\nsweep: {beta: [5, 20]}") == ["beta 5", "beta 20"]


def test_field_that_a_sidecar_gives_is_swept_no_more() -> None:
    swept = preset(beta=(5.0, 20.0), style_scale=(1.0, 2.0))
    assert sidecar("beta: 7", swept) == ["style_scale 1", "style_scale 2"]
    assert sidecar("steps: 9", preset(beta=(5.0, 20.0))) == ["beta 5", "beta 20"]


def test_sidecar_that_says_how_far_ends_a_sweep_of_that() -> None:
    assert sidecar("effort: draft", preset(steps=(30, 60))) == [""]
    assert sidecar("steps: 9", preset(effort=("draft", "best"))) == [""]


def test_swept_effort_takes_the_place_of_the_presets_steps(load: Load) -> None:
    found = load("steps: 9\nsweep: {effort: [draft, best]}\n").good["it"]
    recipes = [cell.recipe for cell in cells_of(found.sweep, found.recipe)]
    assert recipes == [JobRecipe(effort="draft"), JobRecipe(effort="best")]


def test_sweep_of_both_effort_and_steps_is_refused() -> None:
    (told,) = refusal("sweep: {effort: [draft, best], steps: [9, 60]}")
    assert "effort and steps, which say the same; keep one" in told


def test_what_paints_one_picture_takes_no_sweep() -> None:
    with pytest.raises(PresetError, match="sweep: is for presets and for sidecars"):
        override(JobRecipe(), parse(b"sweep: {beta: [1, 2]}", "--set"))


def test_cells_that_share_a_painting_follow_one_another() -> None:
    swept = {"quality": (40, 95), "beta": (5.0, 20.0)}
    assert [cell.label for cell in cells_of(swept, JobRecipe())] == [
        "quality 40, beta 5",
        "quality 95, beta 5",
        "quality 40, beta 20",
        "quality 95, beta 20",
    ]
