"""What becomes of presets that are away, half saved or wrong for a while; the clock is a number."""

import errno
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from PIL import Image

from daemon.errors import SurroundingsError
from daemon.intake.shelf import PATIENCE_S, PresetWatch
from daemon.settings.config import Config
from daemon.settings.last_good import LAST_GOOD_FILE, faulty_presets, read_last_good
from daemon.settings.presets import shelf_in_use
from daemon.state.mounts import MOUNTS_FILE
from tests.support.profiles import cmyk_profile

SETTLE_S = 5.0
GOOD = "styles: [{image: p.png}]\nsteps: 7\n"
SINCE = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def folder(config: Config) -> Path:
    """A presets folder with a preset `p` of a YAML file and an image, and another one."""
    Image.new("RGB", (32, 32), "navy").save(config.presets / "p.png")
    Image.new("RGB", (32, 32), "red").save(config.presets / "other.png")
    (config.presets / "p.yaml").write_text(GOOD)
    return config.presets


@pytest.fixture
def start(config: Config) -> Callable[..., PresetWatch]:
    """A watch as a service that starts makes it."""

    def start(judge: Callable[[Path, str], str] = lambda path, name: "") -> PresetWatch:
        return PresetWatch(config, judge, settle_s=SETTLE_S, now=lambda: SINCE)

    return start


@pytest.fixture
def watch(folder: Path, start) -> PresetWatch:
    """A watch that has seen its presets in order."""
    made: PresetWatch = start()
    assert sorted(made.look(0.0).good) == ["other", "p"]
    return made


def steps_of(preset) -> int | None:
    found: int | None = preset.recipe.steps
    return found


def test_presets_are_good_at_the_first_look_with_their_images_in_the_spool(watch, config) -> None:
    preset = watch.look(1.0).good["p"]
    (style,) = preset.styles
    assert (config.state / "styles" / style.sha256).read_bytes() == style.path.read_bytes()
    assert preset.warning == ""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "p.yaml").write_text(""),
        lambda folder: (folder / "p.yaml").write_text("styles: [{image: p.png"),
        lambda folder: (folder / "p.yaml").write_text(f"{GOOD}beta: much\n"),
        lambda folder: (folder / "p.png").unlink(),
        lambda folder: (folder / "p.png").write_bytes(b""),
        lambda folder: (folder / "P.yml").write_text(GOOD),
    ],
)
def test_faulty_preset_is_used_as_it_was_when_it_was_right(
    watch: PresetWatch, folder: Path, config: Config, start, spoil
) -> None:
    spoil(folder)
    watch.look(10.0)
    for found in (watch.look(15.0), start().look(0.0)):  # and by a service that starts anew
        assert "p" in found.faulty and "p" not in found.good and not found.waiting
        preset = found.get("p")
        assert steps_of(preset) == 7 and preset.styles[0].path.is_file()
        assert f"preset p is faulty since {SINCE}" in preset.warning
        assert "its last good version is used" in preset.warning
        assert "other" in found.good
    assert faulty_presets(config.state, folder) == {"p": preset.warning}
    shown = shelf_in_use(folder, "bulk", config.state)
    assert shown.last_good["p"].warning == preset.warning


def test_mended_preset_is_used_and_no_longer_told_of(watch, folder: Path, config: Config) -> None:
    (folder / "p.yaml").write_text("")
    watch.look(10.0)
    watch.look(15.0)
    (folder / "p.yaml").write_text(GOOD.replace("7", "9"))
    watch.look(20.0)
    assert steps_of(watch.look(25.0).good["p"]) == 9
    assert faulty_presets(config.state, folder) == {}
    assert read_last_good(config.state, folder)["p"].recipe["steps"] == 9


def test_preset_that_never_was_good_is_faulty(watch, folder: Path) -> None:
    (folder / "new.yaml").write_text("styles: []\n")
    assert "new" in watch.look(10.0).waiting
    found = watch.look(15.0)
    assert "new" in found.faulty and not found.last_good


def test_style_image_that_does_not_decode_to_its_end_is_a_fault(folder: Path, start) -> None:
    judged: list[str] = []

    def judge(path: Path, name: str) -> str:
        judged.append(name)
        return "cut is cut" if name == "p.png" and len(judged) > 2 else ""

    watch = start(judge)
    watch.look(0.0)
    Image.new("RGB", (40, 40)).save(folder / "p.png")
    watch.look(10.0)
    found = watch.look(15.0)
    watch.look(16.0)
    assert judged == ["other.png", "p.png", "p.png"]
    assert "cut is cut" in str(found.faulty["p"][0]) and "p" in found.last_good
    assert start(judge).look(0.0).good.keys() == {"other"}
    assert judged[3:] == ["p.png"]  # the other one's bytes are known to be whole


def test_preset_that_is_being_written_is_waited_for(watch, folder: Path) -> None:
    (folder / "p.yaml").write_text("styles: [{image: p.png}]\n")  # the rest is to come
    found = watch.look(10.0)
    assert found.waiting == {"p": ""} and "p" not in found.good and "p" in found.names
    assert watch.next_look_s(11.0) == 4.0
    (folder / "p.yaml").write_text(GOOD.replace("7", "17"))
    assert "p" in watch.look(14.0).waiting
    assert steps_of(watch.look(19.0).good["p"]) == 17
    assert watch.next_look_s(19.0) is None


def test_preset_that_never_comes_to_rest_is_used_as_it_was(watch, folder: Path) -> None:
    for now_s in range(10, 10 + int(PATIENCE_S)):
        (folder / "p.yaml").write_text(GOOD + "#" * now_s)
        assert "p" in watch.look(float(now_s)).waiting
    (folder / "p.yaml").write_text(GOOD + "# again")
    found = watch.look(10.0 + PATIENCE_S)
    assert steps_of(found.get("p")) == 7 and "changing" in found.get("p").warning


@pytest.mark.parametrize("gone", [["p.yaml", "p.png"], ["p.yaml"]])
def test_preset_that_vanishes_is_waited_for_a_minute_and_told(
    watch, folder: Path, gone: list[str]
) -> None:
    """Its image alone is not the preset: that would be painted with every default."""
    kept = {name: (folder / name).read_bytes() for name in gone}
    for name in gone:
        (folder / name).unlink()
    for now_s in (10.0, 9.9 + PATIENCE_S):
        found = watch.look(now_s)
        assert "p.yaml is not in" in found.waiting["p"] and "p" in found.names
        assert "p" not in found.good
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    watch.look(80.0)
    assert steps_of(watch.look(85.0).good["p"]) == 7


def test_preset_that_stays_away_counts_as_removed(watch, folder: Path, config: Config) -> None:
    for name in ("p.yaml", "p.png"):
        (folder / name).unlink()
    watch.look(10.0)
    assert "p" not in watch.look(10.0 + PATIENCE_S).names
    assert set(read_last_good(config.state, folder)) == {"other"}


def test_yaml_that_stays_away_leaves_its_image_a_preset(watch, folder: Path) -> None:
    (folder / "p.yaml").unlink()
    watch.look(10.0)
    assert steps_of(watch.look(10.0 + PATIENCE_S).good["p"]) is None


def test_preset_that_vanished_before_the_start_is_waited_for_too(
    watch, folder: Path, start
) -> None:
    (folder / "other.png").unlink()
    assert "other" in start().look(0.0).waiting


def test_new_preset_waits_until_it_is_written(watch, folder: Path) -> None:
    Image.new("RGB", (32, 32)).save(folder / "new.png")
    assert "new" in watch.look(10.0).waiting
    assert "new" in watch.look(15.0).good


def away(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def emptied(folder: Path) -> None:
    away(folder)
    folder.mkdir()


def replaced_by_a_file(folder: Path) -> None:
    away(folder)
    folder.touch()


@pytest.mark.parametrize("spoil", [away, emptied, replaced_by_a_file])
def test_presets_folder_that_is_away_is_told_and_nothing_is_forgotten(
    watch, folder: Path, start, spoil
) -> None:
    spoil(folder)
    for other in (watch, start()):
        for now_s in (10.0, 1000.0):
            with pytest.raises(SurroundingsError, match=f"the presets folder {folder} is"):
                other.look(now_s)
    if folder.is_dir():
        folder.rmdir()
    folder.unlink(missing_ok=True)
    folder.with_name("elsewhere").rename(folder)
    assert sorted(watch.look(1001.0).good) == ["other", "p"]


def test_presets_on_a_share_are_not_looked_for_below_its_mount_point(
    watch, folder: Path, config: Config
) -> None:
    (config.state / MOUNTS_FILE).write_text(f'{{"{folder}": "{folder}"}}')
    with pytest.raises(SurroundingsError, match="nothing is mounted"):
        watch.look(10.0)


def test_folder_that_never_had_a_preset_is_an_empty_shelf(config: Config, start) -> None:
    assert start().look(0.0).names == []


def test_presets_that_cannot_be_remembered_are_used_all_the_same(
    folder: Path, config: Config, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("daemon.intake.shelf.write_last_good", Mock(side_effect=full))
    watch = start()
    assert "p" in watch.look(0.0).good
    (folder / "p.yaml").write_text("")
    watch.look(10.0)
    assert "p" in watch.look(15.0).last_good
    assert not (config.state / LAST_GOOD_FILE).exists()


def test_presets_are_taken_into_the_spool_as_soon_as_there_is_room(
    folder: Path, config: Config, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = start()
    with monkeypatch.context() as full:
        full.setattr("daemon.host.files.ensure_room", refuse)
        assert watch.look(0.0).good["p"].styles[0].sha256 is None
        assert read_last_good(config.state, folder) == {}
    watch.look(1.0)
    assert set(read_last_good(config.state, folder)) == {"other", "p"}


def refuse(*_: object) -> None:
    raise SurroundingsError("the disk is nearly full")


def test_nothing_is_kept_or_hashed_while_nothing_changes(
    watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.state.spool.Spool.keep_style", refuse)
    monkeypatch.setattr("daemon.intake.shelf.write_last_good", refuse)
    assert watch.look(10.0).good["p"].styles[0].sha256 is not None


def test_profile_is_kept_and_used_as_it_was_while_its_preset_is_faulty(
    folder: Path, config: Config, start
) -> None:
    (folder / "press.icc").write_bytes(cmyk_profile())
    (folder / "p.yaml").write_text(f"{GOOD}profile: press.icc\n")
    (profile,) = start().look(0.0).good["p"].profiles
    assert profile.path == config.state / "profiles" / str(profile.sha256)
    (folder / "press.icc").write_bytes(b"no profile any more")
    for found in (start().look(0.0), shelf_in_use(folder, "bulk", config.state)):
        assert "press.icc is no colour profile" in str(found.faulty["p"][0])
        (kept,) = found.last_good["p"].profiles
        assert (kept.name, kept.path, kept.sha256) == ("press.icc", profile.path, profile.sha256)
    profile.path.unlink()
    assert not start().look(0.0).last_good
