"""How a result was made, read from it, and painting like it wherever its files lie now."""

import errno
import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daemon import __version__
from daemon.errors import BadInputError
from daemon.host import files
from daemon.pictures import note as note_file
from daemon.pictures.form import JobRecipe
from daemon.pictures.note import HEAD, TAIL
from daemon.pictures.picture import Picture
from daemon.pictures.write import write_picture
from daemon.settings import like
from daemon.settings.config import Config
from daemon.settings.like import find_result, preset_like
from daemon.settings.presets import Preset
from daemon.settings.provenance import read_provenance
from daemon.state.spool import Spool
from tests.support.atelier import draw_style
from tests.support.profiles import cmyk_profile

Make = Callable[..., Path]


@pytest.fixture
def style(config: Config) -> Path:
    """The style image `wave.png` of the presets folder."""
    draw_style(config.presets / "wave.png")
    return config.presets / "wave.png"


@pytest.fixture
def note(style: Path) -> dict[str, Any]:
    """What a result after `wave` tells."""
    return {
        "id": "a1",
        "preset": "wave",
        "recipe": JobRecipe(beta=80.0, format="png").model_dump(),
        "styles": [{"name": "wave.png", "sha256": files.sha256_of(style), "weight": 2.0}],
        "weights": {"name": "classic", "sha256": "0" * 64},
        "version": __version__,
    }


@pytest.fixture
def make(config: Config, note: dict[str, Any]) -> Make:
    """Makes a result in the outbox with that note, some of it changed."""

    def result(name: str = "wave/photo.png", **changed: Any) -> Path:
        path = config.outbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((32, 32, 3), np.uint8)
        with path.open("wb+") as file:
            like = Picture(pixels, format="PNG")
            write_picture(file, pixels, name=name, like=like, note=note | changed)
        return path

    return result


def like_it(config: Config, result: Path) -> Preset:
    made = read_provenance(result)
    return preset_like(made, config.presets, Spool(config.state), "classic")


def record_of(result: Path, **content: Any) -> None:
    (result.parent / ".jobs").mkdir()
    (result.parent / ".jobs" / f"{result.name}.json").write_text(json.dumps(content))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif"])
def test_result_of_any_format_tells_its_recipe_and_its_style_images(
    config: Config, make: Make, style: Path, suffix: str
) -> None:
    found = like_it(config, make(f"wave/photo{suffix}"))
    assert (found.name, found.warning) == ("wave", "")
    assert found.recipe == JobRecipe(beta=80.0, format="png")
    assert [(one.path, one.weight) for one in found.styles] == [(style, 2.0)]


def test_result_without_a_note_is_told_by_its_record(
    config: Config, make: Make, note: dict[str, Any]
) -> None:
    result = make("wave/photo.bmp")  # which has no room for words
    with pytest.raises(BadInputError, match="does not tell how it was made"):
        read_provenance(result)
    record_of(result, **note, seconds=3.0)
    assert read_provenance(result).told_by == "record"
    assert like_it(config, result).recipe.beta == 80.0


def test_record_adds_to_the_note_of_its_own_job_alone(make: Make, note: dict[str, Any]) -> None:
    result = make()
    record_of(result, **note | {"preset": "x"}, seconds=3.0)
    assert read_provenance(result).facts["seconds"] == 3.0
    assert read_provenance(result).facts["preset"] == "wave"
    (result.parent / ".jobs/photo.png.json").write_text(json.dumps(note | {"id": "b2", "seed": 1}))
    assert "seed" not in read_provenance(result).facts


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff", b"words", b"\x89PNG\r\n\x1a\n" + b"x" * 99]
)
def test_file_that_tells_nothing_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "it.png").write_bytes(content)
    with pytest.raises(BadInputError, match=r"it\.png does not tell how it was made"):
        read_provenance(tmp_path / "it.png")
    with pytest.raises(BadInputError, match="there is no file"):
        read_provenance(tmp_path / "none.png")
    with pytest.raises(BadInputError, match="not an ordinary file"):
        read_provenance(tmp_path)


def test_file_full_of_beginnings_of_notes_is_read_once_and_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "it.jpg").write_bytes(HEAD * 100_000 + b'{"preset": "x"}' + TAIL)
    with pytest.raises(BadInputError, match="does not tell how it was made"):
        read_provenance(tmp_path / "it.jpg")


def test_picture_that_pillow_takes_for_a_bomb_is_a_sentence(tmp_path: Path) -> None:
    header = struct.pack(">4sIIBBBBB", b"IHDR", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "it.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(BadInputError, match="does not tell how it was made"):
        read_provenance(tmp_path / "it.png")


@pytest.mark.parametrize("piece_bytes", [1, 16, 100, 1000])
def test_note_is_found_wherever_the_pieces_of_a_file_end(
    make: Make, monkeypatch: pytest.MonkeyPatch, piece_bytes: int
) -> None:
    result = make("wave/photo.jpg")
    monkeypatch.setattr(note_file, "PIECE_BYTES", piece_bytes)
    assert read_provenance(result).told_by == "note"


def test_style_image_is_found_under_any_name_and_never_by_its_name_alone(
    config: Config, make: Make, style: Path
) -> None:
    result = make()
    (config.presets / "old").mkdir()
    style.rename(config.presets / "old" / "ocean.png")
    style.write_bytes(b"another picture")
    assert like_it(config, result).styles[0].path == config.presets / "old" / "ocean.png"
    (config.presets / "old" / "ocean.png").unlink()
    with pytest.raises(BadInputError, match=r"wave\.png, of sha256 \w{64}, which is not in .*any"):
        like_it(config, result)


def test_style_image_that_the_service_kept_does_when_it_is_gone_from_the_presets(
    config: Config, make: Make, style: Path
) -> None:
    sha256 = Spool(config.state).keep_style(style)
    style.unlink()
    assert like_it(config, make(styles=[{"name": "wave.png", "sha256": sha256, "weight": 1}]))


def test_presets_are_hashed_again_only_when_they_have_changed(
    config: Config, make: Make, style: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(
        files,
        "sha256_of",
        lambda path, real=files.sha256_of: hashed.append(path.name) or real(path),
    )
    result = make()
    style.rename(config.presets / "b.png")
    draw_style(config.presets / "a.png")
    (config.presets / "a.png").write_bytes((config.presets / "a.png").read_bytes() + b"!")
    like_it(config, result)
    like_it(config, result)
    assert hashed == ["a.png", "b.png"]
    like.hash_of.cache_clear()


def test_profile_of_a_result_is_found_by_its_hash(config: Config, make: Make) -> None:
    press = config.presets / "moved.icc"
    press.write_bytes(cmyk_profile())
    recipe = JobRecipe(profile="inks/press.icc").model_dump()
    profiles = [{"name": "inks/press.icc", "sha256": files.sha256_of(press)}]
    (found,) = like_it(config, make(recipe=recipe, profiles=profiles)).profiles
    assert (found.name, found.path) == ("inks/press.icc", press)


def test_regions_and_the_presets_mask_are_those_of_the_result(
    config: Config, make: Make, note: dict[str, Any]
) -> None:
    mask = config.presets / "moved.png"
    Image.new("RGB", (8, 8), "red").save(mask)
    styles = [note["styles"][0] | {"region": region} for region in ("#ff0000", "#0000ff")]
    told = {"name": "halves.png", "sha256": files.sha256_of(mask), "own": False}
    recipe = JobRecipe(mask="halves.png").model_dump()
    found = like_it(config, make(styles=styles, recipe=recipe, regions=told))
    assert [style.region for style in found.styles] == ["#ff0000", "#0000ff"]
    assert found.mask is not None and (found.mask.path, found.mask.name) == (mask, "halves.png")
    own = make("wave/own.png", styles=styles, regions=told | {"own": True})
    assert like_it(config, own).mask is None
    mask.unlink()
    with pytest.raises(BadInputError, match=r"halves\.png, of sha256 .* under any name"):
        like_it(config, make(styles=styles, recipe=recipe, regions=told))


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"preset": "../outside"}, "names '../outside' as its preset"),
        ({"preset": "originals"}, "names 'originals' as its preset"),
        ({"styles": []}, "does not tell its style images"),
        ({"styles": [{"name": "a", "sha256": "../../etc/passwd"}]}, "what cannot be understood"),
        ({"styles": [{"name": "a", "sha256": "0" * 64, "weight": -1}]}, "cannot be understood"),
        ({"styles": "wave.png"}, "cannot be understood"),
        ({"styles": [{"name": "a", "sha256": "0" * 64, "region": "red;"}]}, "cannot be understood"),
        ({"regions": {"name": "a", "sha256": "../a"}}, "mask what cannot be understood"),
        ({"recipe": {"beta": 1.0, "shine": 2}, "version": "9.9"}, r"by atelierd 9\.9.*\(shine"),
        ({"recipe": {}}, "does not tell how it was made"),
        ({"preset": "a" * 300}, "as its preset"),
        ({"styles": [{"name": "a" * 5000, "sha256": "0" * 64}]}, "cannot be understood"),
        ({"styles": [{"name": "a", "sha256": "0" * 64}] * 17}, "cannot be understood"),
        ({"recipe": {"shine": 2}, "version": "9" * 99}, r"by atelierd 9{40}, and"),
    ],
)
def test_note_is_checked_before_it_is_believed(
    config: Config, make: Make, changed: dict[str, Any], fault: str
) -> None:
    with pytest.raises(BadInputError, match=fault):
        like_it(config, make(**changed))


def test_name_in_a_note_leads_to_no_file_outside_the_presets(
    config: Config, make: Make, style: Path, tmp_path: Path
) -> None:
    outside = style.rename(tmp_path / "secret.png")
    styles = [{"name": "../secret.png", "sha256": files.sha256_of(outside), "weight": 1}]
    (config.presets / "link.png").symlink_to(outside)
    with pytest.raises(BadInputError, match=r"not in .* under any name"):
        like_it(config, make(styles=styles))


def test_what_would_come_out_differently_is_told(config: Config, make: Make) -> None:
    result = make(version="0.0.1", weights={"name": "torchvision"})
    told = like_it(config, result).warning
    assert f"by atelierd 0.0.1, and this is {__version__}" in told
    assert "with the weights torchvision, and these are classic" in told


# A name in the outbox


def test_sidecar_names_a_result_by_its_path_or_by_its_bare_name(config: Config, make: Make) -> None:
    inner = make("wave/2024/a.png")
    assert find_result(config.outbox, "wave/2024/a.png", None) == inner
    once = make("wave/b.png")
    assert find_result(config.outbox, "b.png", "ink") == once
    mine = make("ink/b.png")
    assert find_result(config.outbox, "b.png", "ink") == mine
    with pytest.raises(BadInputError, match=r"one of several: ink/b\.png, wave/b\.png"):
        find_result(config.outbox, "b.png", None)
    with pytest.raises(BadInputError, match=r"there is no c\.png in the outbox"):
        find_result(config.outbox, "c.png", None)


@pytest.mark.parametrize(
    "name",
    ["../secret.png", "wave/../../secret.png", "/etc/passwd", "", " ", "a\0b", "wave/link.png"],
)
def test_sidecar_names_nothing_outside_the_outbox(
    config: Config, make: Make, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    make()
    (config.outbox / "wave/link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(BadInputError, match="like: "):
        find_result(config.outbox, name, None)


@pytest.fixture
def shut(config: Config, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets a folder of the outbox, `lost+found`, answer with an error when it is looked into."""
    (config.outbox / "lost+found").mkdir()
    look = Path.is_file

    def answer(number: int) -> None:
        def is_file(path: Path) -> bool:
            if path.parent.name == "lost+found":
                raise OSError(number, os.strerror(number), str(path))
            return look(path)

        monkeypatch.setattr(Path, "is_file", is_file)

    return answer


def test_folder_of_the_outbox_that_is_closed_to_us_holds_no_result(
    config: Config, make: Make, shut: Callable[[int], None]
) -> None:
    shut(errno.EACCES)
    result = make("wave/a.png")
    assert find_result(config.outbox, "a.png", None) == result
    with pytest.raises(BadInputError, match=r"there is no lost\+found/a\.png in the outbox"):
        find_result(config.outbox, "lost+found/a.png", None)


def test_share_that_cannot_be_looked_into_now_is_no_fault_of_the_sidecar(
    config: Config, make: Make, shut: Callable[[int], None]
) -> None:
    make("wave/a.png")
    shut(errno.EIO)
    with pytest.raises(OSError, match="lost"):
        find_result(config.outbox, "a.png", None)


def test_name_that_no_file_system_holds_is_the_sidecars_fault(config: Config) -> None:
    with pytest.raises(BadInputError, match=r"there is no x+\.png in the outbox"):
        find_result(config.outbox, "x" * 300 + ".png", None)


def test_outbox_that_is_away_is_no_fault_of_the_sidecar(config: Config) -> None:
    config.outbox.rmdir()
    with pytest.raises(FileNotFoundError):
        find_result(config.outbox, "a.png", None)
