"""Presets: what a folder of YAML files and pictures comes to."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from PIL import Image

from daemon.errors import PresetError, SurroundingsError
from daemon.host import files
from daemon.pictures.form import JobRecipe
from daemon.settings import extras
from daemon.settings.presets import Shelf, ShelfReader, load_presets, override, read_preset
from daemon.settings.yamlfile import parse

GOOD = "styles: [{image: wave.png}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A presets folder with one style image."""
    Image.new("RGB", (32, 32), "navy").save(tmp_path / "wave.png")
    return tmp_path


@pytest.fixture
def load(folder: Path) -> Callable[..., Shelf]:
    def load(**texts: str) -> Shelf:
        for name, text in texts.items():
            (folder / f"{name}.yaml").write_text(text)
        return load_presets(folder)

    return load


def fault_of(shelf: Shelf, name: str = "it") -> str:
    (fault,) = shelf.faulty[name]
    return str(fault).removeprefix(f"{shelf.folder}/")


def test_preset_is_named_after_its_file(load, folder: Path) -> None:
    preset = load(it="styles: [{image: wave.png, weight: 2}]\nbeta: 5\nsize: original\n").good["it"]
    assert preset.name == "it" and preset.file == folder / "it.yaml"
    assert preset.recipe == JobRecipe(beta=5.0, size="original")
    ((path, weight),) = [(style.path, style.weight) for style in preset.styles]
    assert (path, weight) == (folder / "wave.png", 2.0)


def test_every_shipped_preset_is_right() -> None:
    shelf = load_presets(Path(__file__).parents[3] / "presets")
    assert shelf.faulty == {}
    assert {"starry", "gatys", "tutorial"} <= set(shelf.good)


def test_picture_without_yaml_is_a_preset_with_the_default_recipe(load, folder: Path) -> None:
    preset = load().good["wave"]
    assert preset.recipe == JobRecipe()
    assert [style.path for style in preset.styles] == [folder / "wave.png"]


def test_picture_that_a_preset_uses_is_no_preset_of_its_own(load) -> None:
    assert load(it=GOOD).names == ["it"]


def test_picture_with_a_broken_yaml_of_its_name_stays_that_broken_preset(load) -> None:
    shelf = load(wave="styles: []\n")
    assert shelf.names == ["wave"] and "wave" in shelf.faulty


def test_broken_preset_does_not_disturb_the_others(load) -> None:
    shelf = load(good=GOOD, broken="styles: [", worse="colour: red\n")
    assert set(shelf.good) == {"good"}
    assert set(shelf.faulty) == {"broken", "worse"}


def test_every_fault_of_a_preset_is_told_with_its_line(load) -> None:
    shelf = load(it="styles:\n- image: gone.png\n- {imag: wave.png}\nbeta: much\nstep: 5\n")
    told = [(fault.line, fault.key) for fault in shelf.faulty["it"]]
    assert sorted(told) == [
        (2, "styles[0].image"),
        (3, "styles[1].imag"),
        (3, "styles[1].image"),
        (4, "beta"),
        (5, "step"),
    ]


def test_faces_without_opencv_are_a_fault_of_their_line_that_says_what_to_install(
    load, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "styles: [{image: wave.png}]\nfaces: 0.5\n"
    assert "it" in load(it=text).good
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    fault = fault_of(load(it=text))
    assert fault.startswith("it.yaml:2: faces: needs OpenCV") and "atelierd[faces]" in fault
    with pytest.raises(PresetError, match=r"photo.jpg.yaml:1: faces: needs OpenCV"):
        override(JobRecipe(), parse(b"faces: 1", "photo.jpg.yaml"))
    assert override(JobRecipe(), parse(b"faces: 0", "photo.jpg.yaml")).faces == 0


def test_wrong_number_in_a_list_that_might_be_a_number_is_the_one_fault_told(load) -> None:
    shelf = load(it="styles: [{image: wave.png}]\nstyle_scale: [1, big]\n")
    assert [(one.key, one.message) for one in shelf.faulty["it"]] == [
        ("style_scale[1]", "must be a number, not 'big'")
    ]


def test_missing_style_image_names_its_line(load) -> None:
    fault = fault_of(load(it="beta: 3\nstyles:\n  - weight: 2\n    image: gone.png\n"))
    assert fault.startswith("it.yaml:4: styles[0].image: style image")
    assert "gone.png is missing" in fault


@pytest.mark.parametrize("image", ["../secret.png", "/etc/passwd", "sub/../../x.png", ".", ""])
def test_style_image_outside_the_folder_is_refused(load, image: str) -> None:
    assert "must lie in the presets folder" in fault_of(load(it=f"styles: [{{image: '{image}'}}]"))


def test_link_out_of_the_folder_is_refused(load, folder: Path, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.png"
    Image.new("RGB", (32, 32)).save(outside)
    (folder / "link.png").symlink_to(outside)
    assert "must lie in the presets folder" in fault_of(load(it="styles: [{image: link.png}]"))


def test_link_that_leads_to_itself_is_a_fault(load, folder: Path) -> None:
    (folder / "loop.png").symlink_to("loop.png")
    shelf = load(it="styles: [{image: loop.png}]", good=GOOD)
    assert "it" in shelf.faulty and "good" in shelf.good


def test_style_image_in_a_sub_folder_is_found(load, folder: Path) -> None:
    (folder / "images").mkdir()
    (folder / "wave.png").rename(folder / "images" / "wave.png")
    assert "it" in load(it="styles: [{image: images/wave.png}]").good


def test_style_image_that_is_no_picture_is_refused(load, folder: Path) -> None:
    (folder / "text.png").write_text("hello")
    assert "is not a picture" in fault_of(load(it="styles: [{image: text.png}]"))


@pytest.mark.parametrize("image", ["a\\0b.png", "\\ud800.png"])
def test_style_image_no_file_system_can_hold_is_a_fault(load, image: str) -> None:
    shelf = load(it=f'styles: [{{image: "{image}"}}]', good=GOOD)
    assert "it" in shelf.faulty and "good" in shelf.good


def test_name_that_cannot_be_a_folder_of_the_outbox_is_refused(load, folder: Path) -> None:
    (folder / "starry night.yaml").write_text(GOOD)
    shelf = load(good=GOOD)
    assert "letters, digits, dots, _ and -" in fault_of(shelf, "starry night")
    assert "good" in shelf.good


@pytest.mark.parametrize(
    "line",
    [
        "style_layers: {relu9_1: 1}",
        "content_layers: {}",
        "optimizer: sgd",
        "steps: 0",
        "size: 20",
        "alpha: -1",
        "styles: []",
    ],
)
def test_recipe_that_cannot_be_painted_is_a_fault_of_its_line(load, line: str) -> None:
    text = f"{GOOD}{line}\n" if not line.startswith("styles") else f"# none\n{line}\n"
    assert {fault.line for fault in load(it=text).faulty["it"]} == {2}


def test_hidden_and_foreign_files_are_no_presets(load, folder: Path) -> None:
    (folder / ".hidden.yaml").write_text(GOOD)
    (folder / ".hidden.png").touch()
    (folder / "draw.py").touch()
    (folder / "notes.txt").touch()
    assert load(it=GOOD).names == ["it"]


def test_folder_that_is_away_is_no_empty_shelf(tmp_path: Path) -> None:
    with pytest.raises(SurroundingsError, match=r"presets folder .*gone is unavailable: No such"):
        load_presets(tmp_path / "gone")
    (tmp_path / "file").touch()
    with pytest.raises(SurroundingsError, match="Not a directory"):
        load_presets(tmp_path / "file")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_folder_that_cannot_be_read_is_no_empty_shelf(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SurroundingsError, match=os.strerror(number)):
        load_presets(folder)


def test_unknown_preset_is_answered_with_the_known_ones(load) -> None:
    with pytest.raises(PresetError, match="there is no preset 'stary'; there are: it"):
        load(it=GOOD).get("stary")


def test_thousands_of_faults_are_told_in_a_few_lines(load) -> None:
    text = GOOD + "".join(f"k{index}: 1\n" for index in range(1000))
    with pytest.raises(PresetError) as caught:
        load(it=text).get("it")
    assert len(caught.value.faults) == 1000
    assert str(caught.value).splitlines()[-1] == "and 980 more faults; mend these first"
    assert len(str(caught.value).splitlines()) == 21


def test_faulty_preset_is_answered_with_its_faults(load) -> None:
    with pytest.raises(PresetError, match=r"it\.yaml:2: beta"):
        load(it=f"{GOOD}beta: much\n").get("it")


def test_sidecar_overrides_only_what_it_says() -> None:
    recipe = override(JobRecipe(beta=5.0), parse(b"steps: 10\nstyle_layers: {conv1_1: 2}\n", "s"))
    assert recipe == JobRecipe(beta=5.0, steps=10, style_layers={"conv1_1": 2.0})


@pytest.mark.parametrize(
    ("preset", "sidecar", "steps", "effort"),
    [
        ({"steps": 60}, b"effort: draft", None, "draft"),
        ({"steps": 60}, b"effort: good", None, "good"),
        ({"effort": "draft"}, b"steps: 60", 60, "draft"),
        ({"steps": 60, "effort": "best"}, b"beta: 5", 60, "best"),
        ({}, b"steps: 60\neffort: best", 60, "best"),
        ({"steps": 60}, b"steps: null", None, "good"),
    ],
)
def test_of_steps_and_effort_the_one_that_was_asked_for_last_counts(
    preset: dict[str, Any], sidecar: bytes, steps: int | None, effort: str
) -> None:
    recipe = override(JobRecipe(**preset), parse(sidecar, "photo.yaml"))
    assert (recipe.steps, recipe.effort) == (steps, effort)


def test_wrong_effort_is_told_with_those_there_are() -> None:
    with pytest.raises(PresetError, match=r"photo\.yaml:1: effort: .*draft.*good.*best"):
        override(JobRecipe(), parse(b"effort: great", "photo.yaml"))


def test_wrong_sidecar_names_its_line_and_the_nearest_field() -> None:
    with pytest.raises(PresetError) as caught:
        override(JobRecipe(), parse(b"beta: 3\nstesp: 10\n", "photo.yaml"))
    assert str(caught.value) == "photo.yaml:2: stesp: unknown key; did you mean `steps`?"


def test_sidecar_cannot_change_the_style_images() -> None:
    with pytest.raises(PresetError, match="styles: unknown key"):
        override(JobRecipe(), parse(b"styles: [{image: x.png}]", "photo.yaml"))


@pytest.mark.parametrize("name", ["originals", "failed", "Failed", "bulk", "Bulk", "proof"])
def test_name_of_a_folder_with_another_meaning_is_refused(load, name: str) -> None:
    assert "may not be called" in fault_of(load(**{name: GOOD}), name)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ["pipe.jpg", "pipe.yaml"])
def test_pipe_among_the_presets_is_a_fault_and_holds_nothing_up(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    Image.new("RGB", (32, 32)).save(tmp_path / "wave.png")
    shelf = load_presets(tmp_path)
    assert list(shelf.good) == ["wave"]
    assert "not an ordinary file" in str(shelf.faulty["pipe"][0])


@pytest.mark.parametrize("name", ["it.yml", "it.YAML", "it.Yml", "it.yaml.txt", "it.yaml "])
def test_preset_whose_suffix_is_nearly_right_is_read(load, folder: Path, name: str) -> None:
    (folder / name).write_text(GOOD)
    assert load().good["it"].file == folder / name


@pytest.mark.parametrize(
    ("first", "second", "names"),
    [
        ("it.yaml", "it.yml", ["it"]),
        ("it.yaml", "It.yaml", ["It", "it"]),
        ("it.yml", "IT.YAML", ["IT", "it"]),
    ],
)
def test_two_files_of_one_preset_are_a_fault_that_names_both(
    load, folder: Path, first: str, second: str, names: list[str]
) -> None:
    for name in (first, second):
        (folder / name).write_text(GOOD)
    shelf = load(other=GOOD)
    assert sorted(shelf.faulty) == names and set(shelf.good) == {"other"}
    for name in names:
        (fault,) = shelf.faulty[name]
        assert first in fault.message and second in fault.message


@pytest.mark.parametrize("second", ["starry.png", "Starry.jpg", "starry.PNG"])
def test_two_style_images_of_one_stem_are_a_fault_that_names_both(
    folder: Path, second: str
) -> None:
    for name in ("starry.jpg", second):
        Image.new("RGB", (32, 32)).save(folder / name)
    shelf = load_presets(folder)
    (fault,) = shelf.faulty["starry"]
    assert "starry.jpg" in fault.message and second in fault.message
    assert set(shelf.good) == {"wave"}


def test_yaml_that_names_another_image_than_that_of_its_stem_is_right(load, folder: Path) -> None:
    Image.new("RGB", (32, 32)).save(folder / "it.jpg")
    shelf = load(it=GOOD)
    assert shelf.names == ["it"] and shelf.good["it"].styles[0].name == "wave.png"


@pytest.mark.parametrize("name", ["foo.part", "foo.tmp", "__MACOSX", "Recycler"])
def test_name_of_a_folder_that_is_never_looked_into_is_refused(load, name: str) -> None:
    assert "nothing is taken from a folder of that name" in fault_of(load(**{name: GOOD}), name)


@pytest.mark.parametrize("name", ["Starry", "STARRY", " starry "])
def test_preset_is_found_by_a_name_that_is_nearly_its_own(load, name: str) -> None:
    shelf = load(starry=GOOD)
    assert shelf.get(name) is shelf.good["starry"]


def test_only_what_has_changed_of_a_folder_is_read_again(
    folder: Path, load, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def note(path: Path, bulk_folder: str) -> object:
        read.append(path.name)
        return read_preset(path, bulk_folder)

    load(one=GOOD, two=GOOD)
    monkeypatch.setattr("daemon.settings.presets.read_preset", note)
    reader = ShelfReader(folder)
    for _ in range(3):
        shelf = reader.read()
    assert sorted(read) == ["one.yaml", "two.yaml"] and sorted(shelf.good) == ["one", "two"]
    (folder / "one.yaml").write_text(f"{GOOD}steps: 7\n")
    assert reader.read().good["one"].recipe.steps == 7
    assert sorted(read) == ["one.yaml", "one.yaml", "two.yaml"]
    Image.new("RGB", (48, 48)).save(folder / "wave.png")
    reader.read()
    assert sorted(read)[2:] == ["one.yaml", "two.yaml", "two.yaml"]


def test_preset_that_could_not_be_read_is_tried_again(
    folder: Path, load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(it=GOOD)
    reader = ShelfReader(folder)
    with monkeypatch.context() as stale:
        refused = OSError(errno.ESTALE, "Stale file handle")
        stale.setattr(files, "open_ordinary", Mock(side_effect=refused))
        assert "Stale file handle" in str(reader.read().faulty["it"][0])
    assert "it" in reader.read().good


def test_style_image_that_leads_into_the_folder_again_is_seen(folder: Path, load) -> None:
    link = folder / "link.png"
    link.symlink_to("/etc/hostname")
    reader = ShelfReader(folder)
    load(it="styles: [{image: link.png}]")
    assert "it" in reader.read().faulty
    link.unlink()
    link.symlink_to(folder / "wave.png")
    assert "it" in reader.read().good


def test_preset_that_may_not_be_read_has_that_one_fault_and_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("styles: []\n")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "open_ordinary", refuse)
    (fault,) = read_preset(path).faults
    assert "cannot be read: Permission denied; let the service's user" in fault.message


HALVES = "styles: [{image: wave.png, region: red}, {image: wave.png, region: '#00F'}]\n"


def test_styles_name_regions_by_any_name_of_their_colour_and_a_mask_is_no_preset(
    load, folder: Path
) -> None:
    Image.new("RGB", (16, 16), "red").save(folder / "thirds.png")
    shelf = load(it=f"{HALVES}mask: thirds.png\n")
    preset = shelf.good["it"]
    assert [style.region for style in preset.styles] == ["#ff0000", "#0000ff"]
    assert preset.mask is not None and preset.mask.path == folder / "thirds.png"
    assert shelf.names == ["it"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HALVES.replace("red", "rde"), "it.yaml:1: styles[0].region: is no colour; use a name"),
        (HALVES.replace("red", "''"), "it.yaml:1: styles: give every style a region, or none"),
        (f"{HALVES}mask: away.png\n", "it.yaml:2: mask: the mask {}/away.png is missing"),
        (f"{HALVES}mask: ../a.png\n", "it.yaml:2: mask: must lie in the presets folder"),
        (f"{HALVES}mask: sea.jpg\n", "it.yaml:2: mask: the mask sea.jpg is a JPEG; save it anew"),
        (f"{HALVES}mask: 3\n", "it.yaml:2: mask: "),
    ],
)
def test_wrong_region_or_mask_is_a_fault_of_its_preset(
    load, folder: Path, text: str, fault: str
) -> None:
    Image.new("RGB", (32, 32)).save(folder / "sea.jpg")
    assert fault_of(load(it=text)).startswith(fault.format(folder))
