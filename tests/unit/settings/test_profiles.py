"""Colour profiles that presets, sidecars and `--set` name."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from daemon.engine.errors import PictureError
from daemon.errors import PresetError
from daemon.pictures.form import JobRecipe
from daemon.pictures.profiles import srgb_profile
from daemon.settings.presets import Preset, ShelfReader, load_presets, profiles_of
from daemon.settings.profiles import ProfileSource, mode_of, mode_of_results, named_profiles
from daemon.settings.yamlfile import parse
from tests.support.profiles import cmyk_profile, grey_profile, profile_of, scanner_profile

GOOD = "styles: [{image: wave.png}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A presets folder with a style image, and profiles of a press and of a monitor."""
    Image.new("RGB", (32, 32), "navy").save(tmp_path / "wave.png")
    (tmp_path / "press.icc").write_bytes(cmyk_profile())
    (tmp_path / "monitor.icc").write_bytes(srgb_profile())
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Callable[[str], Preset | str]:
    """A preset with these lines; or what is wrong with it."""

    def read(lines: str) -> Preset | str:
        (folder / "it.yaml").write_text(GOOD + lines)
        shelf = load_presets(folder)
        if "it" in shelf.good:
            return shelf.good["it"]
        (fault,) = shelf.faulty["it"]
        return str(fault).removeprefix(f"{folder}/")

    return read


def test_preset_names_the_profiles_of_its_results_and_of_its_proof(read, folder: Path) -> None:
    preset = read("profile: monitor.icc\nproof_profile: press.icc\n")
    assert preset.profiles == (
        ProfileSource(folder / "monitor.icc", "monitor.icc", mode="rgb"),
        ProfileSource(folder / "press.icc", "press.icc", mode="cmyk"),
    )
    assert named_profiles(preset.recipe) == {
        "profile": "monitor.icc",
        "proof_profile": "press.icc",
    }


@pytest.mark.parametrize("said", ["", "profile: srgb\n", "profile: keep\n", "format: tiff\n"])
def test_words_of_the_house_are_no_files(read, said: str) -> None:
    assert read(said).profiles == ()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "is missing; put it there"),
        (b"", "is no colour profile"),
        (b"\x89PNG" * 60, "is no colour profile"),
        (cmyk_profile()[:-200], "copy the profile again"),
        (cmyk_profile().replace(b"mft2", b"mft9"), "copy the profile again"),
        (scanner_profile(), "describes a camera or scanner"),
        (profile_of(b"CMYK", b"prtr", {}), "only leads out of its colours"),
        (profile_of(b"6CLR", b"prtr", {}), "is no colour profile of RGB, grey or CMYK"),
    ],
)
def test_profile_that_no_picture_can_be_brought_into_is_a_fault_of_its_line(
    read, folder: Path, content: bytes | None, fault: str
) -> None:
    if content is not None:
        (folder / "odd.icc").write_bytes(content)
    for field in ("profile", "proof_profile"):
        told = read(f"beta: 3\n{field}: odd.icc\n")
        assert told.startswith(f"it.yaml:3: {field}: ") and fault in told


@pytest.mark.parametrize("name", ["../x.icc", "/etc/passwd", "''", "'.'", '"a\\0b"'])
def test_profile_outside_the_presets_folder_is_refused(read, name: str) -> None:
    assert "must lie in the presets folder" in read(f"profile: {name}\n")


def test_profile_that_may_not_be_read_is_told(read, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: ProfileSource, form: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(source.path))

    monkeypatch.setattr("daemon.settings.profiles.mode_of", refuse)
    assert "press.icc cannot be read: Permission denied" in read("profile: press.icc\n")


def test_profile_needs_a_format_that_has_its_colours(read) -> None:
    told = read("profile: press.icc\nformat: png\n")
    assert "press.icc is a profile of CMYK, which PNG cannot hold" in told
    assert read("proof_profile: press.icc\nformat: png\n").profiles[0].mode == "cmyk"
    for said in ("", "format: tiff\n", "format: jpeg\n"):
        preset = read(f"profile: press.icc\n{said}")
        assert mode_of_results(preset.recipe, preset.profiles) == "cmyk"
    preset = read("profile: monitor.icc\nproof_profile: press.icc\n")
    assert mode_of_results(preset.recipe, preset.profiles) == "rgb"
    assert mode_of_results(JobRecipe(), preset.profiles) == ""


def test_changed_profile_is_read_anew(folder: Path) -> None:
    (folder / "it.yaml").write_text(f"{GOOD}profile: press.icc\n")
    reader = ShelfReader(folder)
    assert "it" in reader.read().good
    (folder / "press.icc").write_bytes(b"no profile any more")
    assert "it" in reader.read().faulty


def test_sidecar_names_a_profile_of_the_presets_folder(read, folder: Path) -> None:
    preset = read("")
    recipe = JobRecipe(profile="press.icc")
    document = parse(b"profile: press.icc\n", "photo.jpg.yaml")
    (found,) = profiles_of(recipe, preset, folder, document)
    assert (found.path, found.mode) == (folder / "press.icc", "cmyk")
    document = parse(b"beta: 2\nprofile: gone.icc\n", "photo.jpg.yaml")
    with pytest.raises(PresetError, match=r"photo\.jpg\.yaml:2: profile: .*gone\.icc is missing"):
        profiles_of(JobRecipe(profile="gone.icc"), preset, folder, document)


def test_profile_that_the_preset_names_is_taken_from_where_it_was_kept(
    read, folder: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "elsewhere"
    kept.write_bytes(grey_profile())
    known = ProfileSource(kept, "press.icc", "5a")
    preset = Preset("it", folder / "it.yaml", JobRecipe(profile="press.icc"), (), profiles=(known,))
    (found,) = profiles_of(preset.recipe, preset, folder, parse(b"beta: 2\n", "photo.jpg.yaml"))
    assert (found.path, found.sha256, found.mode) == (kept, "5a", "grey")


def test_profile_is_looked_at_for_the_format_at_hand(folder: Path) -> None:
    source = ProfileSource(folder / "press.icc", "press.icc")
    assert mode_of(source, "TIFF") == "cmyk"
    with pytest.raises(PictureError, match="which WEBP cannot hold"):
        mode_of(source, "WEBP")
