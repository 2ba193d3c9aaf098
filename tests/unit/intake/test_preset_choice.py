"""Which presets a picture is painted with: first match wins."""

import dataclasses
from pathlib import Path

import pytest

from daemon.errors import BadInputError, Fault
from daemon.intake.preset_choice import (
    Choice,
    DropPlace,
    below_preset,
    choose,
    folder_preset,
    place_of,
)
from daemon.job import BULK, INBOX_FOLDERS, ORDINARY, InboxFolders
from daemon.pictures.form import JobRecipe
from daemon.settings.presets import Preset, Shelf

PHOTO = Path("starry/2024/photo.jpg")


def preset(name: str) -> Preset:
    return Preset(name, Path(f"{name}.yaml"), JobRecipe(beta=5.0), ())


SHELF = Shelf(
    Path("presets"),
    {"starry": preset("starry"), "wave": preset("wave")},
    {"broken": (Fault("broken.yaml", 3, "beta", "is wrong"),)},
)


def chosen(
    picture: Path = PHOTO, sidecar: str | None = None, default: str | None = None
) -> list[Choice]:
    content = None if sidecar is None else sidecar.encode()
    return choose(picture, content, "photo.yaml", SHELF, default)


def names(choices: list[Choice]) -> list[str]:
    assert all(choice.recipe is not None and not choice.fault for choice in choices)
    return [choice.preset for choice in choices]


def test_top_folder_names_the_preset() -> None:
    assert folder_preset(PHOTO, SHELF.names) == "starry"
    assert folder_preset(Path("starry/photo.jpg"), SHELF.names) == "starry"
    assert folder_preset(Path("holiday/starry/photo.jpg"), SHELF.names) is None
    assert folder_preset(Path("starry"), SHELF.names) is None  # a picture of that name


@pytest.mark.parametrize("folder", ["Starry", "STARRY", "starry ", " starry"])
def test_folder_that_is_nearly_called_like_one_preset_is_its_folder(folder: str) -> None:
    picture = Path(folder, "2024/photo.jpg")
    assert folder_preset(picture, SHELF.names) == "starry"
    assert below_preset(picture, SHELF.names) == Path("2024/photo.jpg")
    assert folder_preset(picture, ["starry", "wave"]) == "starry"
    assert folder_preset(Path("sTARRY/a.jpg"), ["starry", "Starry"]) is None


def test_sub_folders_below_the_preset_are_kept() -> None:
    assert below_preset(PHOTO, SHELF.names) == Path("2024/photo.jpg")
    assert below_preset(Path("holiday/photo.jpg"), SHELF.names) == Path("holiday/photo.jpg")


def test_sidecar_wins_over_folder_and_folder_over_default() -> None:
    assert names(chosen(sidecar="preset: wave", default="starry")) == ["wave"]
    assert names(chosen(default="wave")) == ["starry"]
    assert names(chosen(Path("photo.jpg"), default="wave")) == ["wave"]


def test_sidecar_without_a_preset_overrides_the_folders() -> None:
    (choice,) = chosen(sidecar="steps: 7")
    assert choice.preset == "starry"
    assert choice.recipe == JobRecipe(beta=5.0, steps=7)


def test_several_presets_make_one_job_each() -> None:
    choices = chosen(sidecar="presets: [wave, starry, wave]\nsteps: 9\n")
    assert names(choices) == ["wave", "starry"]
    assert {choice.recipe.steps for choice in choices if choice.recipe} == {9}


def test_one_wrong_preset_does_not_disturb_the_others() -> None:
    good, missing, broken = chosen(sidecar="presets: [wave, monet, broken]")
    assert good.recipe is not None and good.source is SHELF.get("wave")
    assert missing.recipe is None and "no preset 'monet'" in missing.fault
    assert broken.recipe is None and "broken.yaml:3: beta: is wrong" in broken.fault


def test_job_of_an_unknown_preset_is_filed_under_its_folder() -> None:
    (choice,) = chosen(sidecar="preset: ../../etc")
    assert choice.preset == "starry" and choice.fault


def test_picture_that_nothing_names_a_preset_for_says_where_to_drop_it() -> None:
    (choice,) = chosen(Path("photo.jpg"))
    assert choice.recipe is None and choice.preset == ""
    assert choice.fault.startswith("Nothing says how to paint this: ")
    assert "Drop it into one of these folders: starry, wave." in choice.fault


def test_where_no_preset_is_good_a_picture_is_told_so() -> None:
    (choice,) = choose(Path("photo.jpg"), None, "", Shelf(Path("presets"), {}, {}), None)
    assert choice.fault.endswith("these folders: none.")


@pytest.mark.parametrize(
    ("sidecar", "words"),
    [
        ("beta: much", "photo.yaml:1: beta: must be"),
        ("# hot\n\nbeta: much", "photo.yaml:3: beta: must be"),
        ("stesp: 5", "did you mean `steps`"),
        ("preset: wave\npresets: [starry]", "photo.yaml:2: presets: give `preset` or `presets`"),
        ("like: a.jpg\npreset: wave", "photo.yaml:1: like: give `preset` or `like`"),
        ("like: [a.jpg]", "photo.yaml:1: like: must be"),
        ("preset: [wave]", "photo.yaml:1: preset: must be"),
        ("- a", "photo.yaml:1: must be a list of"),
        ("a: [", "is not YAML"),
    ],
)
def test_wrong_sidecar_says_what_and_in_which_line(sidecar: str, words: str) -> None:
    (choice,) = chosen(sidecar=sidecar)
    assert choice.recipe is None and choice.preset == "starry"
    assert words in choice.fault


def liken(name: str, folder: str | None) -> Preset:
    """The results of an outbox that holds one."""
    if name != "night.jpg":
        raise BadInputError(f"there is no {name} in the outbox")
    recipe = JobRecipe(beta=9.0, steps=3)
    return Preset("ink", Path(name), recipe, (), warning=f"sought in {folder}")


def like_chosen(sidecar: str) -> Choice:
    (choice,) = choose(PHOTO, sidecar.encode(), "photo.yaml", SHELF, None, liken)
    return choice


def test_sidecar_that_names_a_result_has_its_recipe_with_its_own_settings_over_it() -> None:
    """Whether or not there is such a preset any more."""
    choice = like_chosen("like: night.jpg\nformat: png")
    assert choice.preset == "ink" and choice.recipe == JobRecipe(beta=9.0, steps=3, format="png")
    assert choice.source is not None and choice.source.warning == "sought in starry"


def test_result_that_cannot_be_painted_like_fails_the_job_with_the_reason() -> None:
    choice = like_chosen("like: day.jpg")
    assert choice.preset == "starry" and choice.recipe is None
    assert choice.fault.endswith("cannot be painted like. there is no day.jpg in the outbox")


def test_empty_sidecar_changes_nothing() -> None:
    assert names(chosen(sidecar="")) == ["starry"]


def test_bulk_folder_is_a_queue_and_no_part_of_the_path() -> None:
    deep, photo = Path("starry/2024/photo.jpg"), Path("photo.jpg")
    assert place_of("bulk" / deep, INBOX_FOLDERS) == DropPlace(BULK, deep)
    assert place_of("bulk" / photo, INBOX_FOLDERS) == DropPlace(BULK, photo)
    for path in (PHOTO, Path("bulk"), Path("starry/bulk/photo.jpg"), photo):
        assert place_of(path, INBOX_FOLDERS) == DropPlace(ORDINARY, path)
    assert place_of("nights" / photo, InboxFolders(bulk="nights")).priority == BULK
    assert place_of("Bulk" / photo, INBOX_FOLDERS) == DropPlace(BULK, photo)


def test_proof_folder_asks_for_approval_in_either_queue_and_is_no_part_of_the_path() -> None:
    assert place_of("proof" / PHOTO, INBOX_FOLDERS) == DropPlace(ORDINARY, PHOTO, approve=True)
    assert place_of("bulk/proof" / PHOTO, INBOX_FOLDERS) == DropPlace(BULK, PHOTO, approve=True)
    assert not place_of("starry/proof" / PHOTO, INBOX_FOLDERS).approve
    assert place_of("trial" / PHOTO, InboxFolders(proof="trial")).approve


APPROVING = dataclasses.replace(SHELF.good["starry"], approve=True)


@pytest.mark.parametrize(
    ("preset", "folder", "sidecar", "approve"),
    [
        (False, False, None, False),
        (True, False, None, True),
        (False, True, None, True),
        (False, False, "approve: true", True),
        (True, False, "approve: false", False),
        (False, True, "approve: false", False),  # the nearest to the picture is obeyed
    ],
)
def test_proof_is_asked_for_by_preset_folder_or_sidecar_which_comes_first(
    preset: bool, folder: bool, sidecar: str | None, approve: bool
) -> None:
    one = dataclasses.replace(APPROVING, approve=preset)
    shelf = Shelf(SHELF.folder, {"starry": one}, {})
    note = sidecar.encode() if sidecar else None
    (choice,) = choose(PHOTO, note, "photo.jpg.yaml", shelf, None, approve=folder)
    assert (choice.approve, choice.fault) == (approve, "")


@pytest.mark.parametrize(
    ("path", "sidecar"),
    [(PHOTO, "sweep: {beta: [5, 20]}"), (Path("all/photo.jpg"), None)],
)
def test_proof_that_waits_is_of_one_picture_and_what_asks_for_several_says_what_to_do(
    path: Path, sidecar: str | None
) -> None:
    shelf = Shelf(SHELF.folder, {"starry": APPROVING}, {})
    note = sidecar.encode() if sidecar else None
    (choice,) = choose(path, note, "photo.jpg.yaml", shelf, None)
    assert choice.recipe is None
    assert "is of one picture in one preset" in choice.fault and "approve: false" in choice.fault
    refused = b"approve: false\n" + (note or b"")
    assert all(one.recipe for one in choose(path, refused, "photo.jpg.yaml", shelf, None))


def test_picture_that_asks_for_approval_in_every_preset_fails_once() -> None:
    (choice,) = choose(Path("all/photo.jpg"), None, "", SHELF, None, approve=True)
    assert choice.preset == "" and choice.fault.startswith("all: a proof that waits for approval")


def test_approval_that_is_neither_yes_nor_no_is_a_fault_of_the_sidecar() -> None:
    (choice,) = chosen(sidecar="approve: perhaps")
    assert choice.fault.startswith("The sidecar is wrong. ") and "approve" in choice.fault


@pytest.mark.parametrize(
    ("preset", "sidecar", "runs_on"),
    [
        ("", None, ""),
        ("desk2", None, "desk2"),
        ("", "runs_on: cuda", "cuda"),
        ("desk2", "runs_on: cuda", "cuda"),
        ("desk2", "runs_on: null", ""),
        ("desk2", "steps: 7", "desk2"),
        ("desk2", "sweep: {beta: [5, 20]}", "desk2"),
    ],
)
def test_where_jobs_are_painted_is_asked_by_preset_or_sidecar_which_comes_first(
    preset: str, sidecar: str | None, runs_on: str
) -> None:
    shelf = Shelf(
        SHELF.folder, {"starry": dataclasses.replace(SHELF.good["starry"], runs_on=preset)}, {}
    )
    note = sidecar.encode() if sidecar else None
    choices = choose(PHOTO, note, "photo.jpg.yaml", shelf, None)
    assert {(choice.runs_on, choice.fault) for choice in choices} == {(runs_on, "")}


@pytest.mark.parametrize("value", ["two words", "[desk1, desk2]", "-x", "''", "desk2/cpu", "7"])
def test_place_that_no_device_could_offer_is_a_fault_of_the_sidecar_with_its_line(
    value: str,
) -> None:
    (choice,) = chosen(sidecar=f"steps: 7\nruns_on: {value}")
    assert "photo.yaml:2: runs_on: must be" in choice.fault


def labels(choices: list[Choice]) -> list[tuple[str, str]]:
    return [(choice.preset, choice.label) for choice in choices]


def test_sweep_is_a_choice_for_each_cell_of_each_preset() -> None:
    found = chosen(sidecar="presets: [wave, starry]\nsweep: {beta: [5, 20]}\n")
    assert labels(found) == [
        ("wave", "beta 5"),
        ("wave", "beta 20"),
        ("starry", "beta 5"),
        ("starry", "beta 20"),
    ]
    assert [choice.recipe for choice in found[:2]] == [JobRecipe(beta=5.0), JobRecipe(beta=20.0)]


def test_only_the_cells_that_a_sidecar_names_are_painted() -> None:
    swept = "sweep: {beta: [5, 20], seed: [1, 2]}\n"
    found = chosen(sidecar=f"{swept}cells: ['beta 20, seed 1', 'beta 5, seed 2']")
    assert labels(found) == [("starry", "beta 20, seed 1"), ("starry", "beta 5, seed 2")]


def test_cell_that_is_not_of_the_sweep_is_refused_with_those_that_are() -> None:
    (choice,) = chosen(sidecar="sweep: {beta: [5, 20]}\ncells: [beta 6]")
    assert "cells: there is no cell 'beta 6'; there are: beta 5 · beta 20" in choice.fault
    (choice,) = chosen(sidecar="cells: [beta 6]")
    assert "there is no cell 'beta 6': nothing is swept" in choice.fault


def test_picture_of_the_folder_of_all_is_for_every_preset_that_can_be_used() -> None:
    photo = Path("all/2024/photo.jpg")
    assert names(chosen(photo, default="wave")) == ["starry", "wave"]
    assert below_preset(photo, SHELF.names) == Path("2024/photo.jpg")
    assert below_preset(Path("all.jpg"), SHELF.names) == Path("all.jpg")


def test_name_of_the_folder_of_all_is_that_of_the_configuration() -> None:
    every = choose(Path("Every/photo.jpg"), None, "", SHELF, None, all_presets="every")
    assert names(every) == ["starry", "wave"]
    assert (
        choose(Path("all/photo.jpg"), None, "", SHELF, None, all_presets="every")[0].recipe is None
    )


def test_sidecar_in_the_folder_of_all_changes_every_preset_or_names_one() -> None:
    photo = Path("all/photo.jpg")
    assert [choice.recipe for choice in chosen(photo, "steps: 9")] == [
        JobRecipe(beta=5.0, steps=9),
        JobRecipe(beta=5.0, steps=9),
    ]
    assert names(chosen(photo, "preset: wave")) == ["wave"]


def test_every_preset_paints_a_picture_of_all_once_though_it_is_swept() -> None:
    swept = Preset("wave", Path("wave.yaml"), JobRecipe(), (), sweep={"beta": (5.0, 20.0)})
    shelf = Shelf(Path("presets"), {"wave": swept}, {})
    assert labels(choose(Path("all/photo.jpg"), None, "", shelf, None)) == [("wave", "")]
    assert len(choose(Path("wave/photo.jpg"), None, "", shelf, None)) == 2
    (refused,) = choose(Path("all/photo.jpg"), b"sweep: {tv: [0, 1]}", "", shelf, None)
    assert "sweep: is for presets and for sidecars of one preset's pictures" in refused.fault
