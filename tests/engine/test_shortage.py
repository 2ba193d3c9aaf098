"""What needs far more memory than it may take is refused first, with what would help."""

from pathlib import Path

import pytest

from daemon.engine import shortage as shortage_module
from daemon.engine.engine import Engine, Style
from daemon.engine.errors import TooLargeError
from daemon.engine.fit import memory
from daemon.engine.paint import Painted, finish
from daemon.engine.pixels import Pixels
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass
from daemon.engine.shortage import largest_that, shortage

GB = 10**9
LARGE = Pass(8660, 5774, 1)
SHALLOW = {"content_layers": {"relu1_1": 1.0}}


@pytest.fixture
def large_engine(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that may take 3 GiB of 64 GB, of which the process holds 0.9 GB."""
    monkeypatch.setattr(engine, "memory_bytes", 3 << 30)
    monkeypatch.setattr(memory, "held_bytes", lambda device: 900_000_000)
    monkeypatch.setattr(memory, "free_host_bytes", lambda: 64 * GB)
    return engine


def free_disk(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """So many bytes are free on the disk of the engine's folder."""
    aside = size // memory.PART_OF_DISK
    monkeypatch.setattr(memory, "aside_bytes", lambda device, folder: aside)


def test_picture_far_over_its_memory_is_refused_before_anything_is_painted(
    engine: Engine, photo: Pixels, starry: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "memory_bytes", 1)
    moments = engine.paint(photo, [starry], Recipe(size=200, steps=1))
    with pytest.raises(TooLargeError, match=r"200x200 px need about .* Nothing was painted"):
        next(moments)


def test_picture_a_little_over_its_memory_is_tried_with_a_warning(
    engine: Engine, photo: Pixels, starry: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(size=200, steps=1)
    needed = engine.plan(recipe, Pass(200, 200, 1), 1).predicted_bytes
    monkeypatch.setattr(engine, "memory_bytes", int(needed / 1.1))
    painting = finish(engine.paint(photo, [starry], recipe))
    assert "needs about" in painting.warnings[-1]


def test_painting_that_was_begun_goes_on_where_there_is_far_less_memory_now(
    engine: Engine, photo: Pixels, starry: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(size=64, steps=2)
    kept = next(
        moment.make_checkpoint()
        for moment in engine.paint(photo, [starry], recipe)
        if hasattr(moment, "make_checkpoint")
    )
    monkeypatch.setattr(engine, "memory_bytes", 1)
    assert isinstance(finish(engine.paint(photo, [starry], recipe, resumed=kept)), Painted)


def test_what_fits_needs_nothing(large_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    free_disk(monkeypatch, 1000 * GB)
    assert shortage(large_engine, Recipe(), LARGE, 0) == ""
    assert shortage(large_engine, Recipe(**SHALLOW), LARGE, 0) == ""  # its targets lie aside


def test_shallow_layers_that_have_no_room_aside_are_refused_with_all_that_helps(
    large_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_disk(monkeypatch, 30 * GB)
    why = shortage(large_engine, Recipe(**SHALLOW), LARGE, 0)
    assert "8660x5774 px need about" in why and "may take 3.3 GB" in why
    assert f"GB more free on the disk of {large_engine.folder};" in why
    assert "`content_layers` deeper than relu1_1, such as relu4_2;" in why
    assert "`size: " in why and "GiB` in config.yaml." in why


@pytest.mark.parametrize("disk", [4 * GB, 20 * GB])
def test_room_that_is_asked_for_is_enough(
    large_engine: Engine, monkeypatch: pytest.MonkeyPatch, disk: int
) -> None:
    free_disk(monkeypatch, disk)
    (first, *_) = helps(shortage(large_engine, Recipe(**SHALLOW), LARGE, 0))
    asked = float(first.split(" GB")[0])
    free_disk(monkeypatch, disk + int(asked * GB))
    assert shortage(large_engine, Recipe(**SHALLOW), LARGE, 0) == ""
    free_disk(monkeypatch, disk + int(0.95 * asked * GB))
    assert shortage(large_engine, Recipe(**SHALLOW), LARGE, 0) != ""


def test_deeper_layers_that_do_not_help_alone_are_told_with_the_room_that_they_need(
    large_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_disk(monkeypatch, 4 * GB)
    room, deeper, *_ = helps(shortage(large_engine, Recipe(**SHALLOW), LARGE, 0))
    assert room.endswith(f"GB more free on the disk of {large_engine.folder}")
    assert deeper.startswith("`content_layers` deeper than relu1_1, such as relu4_2 with ")
    assert float(deeper.split(" with ")[1].split()[0]) < float(room.split()[0])


def test_match_is_named_where_leaving_it_out_helps(
    large_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_disk(monkeypatch, 30 * GB)
    assert "`match: 0`;" in shortage(large_engine, Recipe(match=1.0), LARGE, 0)


def test_size_that_is_named_fits(large_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    free_disk(monkeypatch, 4 * GB)
    recipe = Recipe(**SHALLOW)
    told = shortage(large_engine, recipe, LARGE, 0).split("`size: ")[1]
    side = int(told.split("`")[0])
    assert 500 < side < 8660
    at = Pass(side, round(side * 5774 / 8660), 1)
    assert large_engine.plan(recipe, at).fits


def test_memory_that_the_machine_has_not_is_not_to_be_configured(
    large_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_disk(monkeypatch, 4 * GB)
    monkeypatch.setattr(memory, "free_host_bytes", lambda: 4 * GB)
    told = helps(shortage(large_engine, Recipe(**SHALLOW), LARGE, 0))[-1]
    assert "more free memory" in told and "GiB" not in told
    assert "as much allowed by `memory`" in told
    monkeypatch.setattr(large_engine, "memory_bytes", None)
    told = helps(shortage(large_engine, Recipe(**SHALLOW), LARGE, 0))[-1]
    assert "more free memory" in told and "`memory`" not in told


def helps(why: str) -> list[str]:
    """What a refusal says would help, one by one."""
    return why.split("Any of these helps: ")[1].removesuffix(".").split("; ")


@pytest.mark.parametrize("limit", [0, 10, 470, 999])
def test_largest_size_is_sought_from_below_in_round_numbers(limit: int) -> None:
    asked: list[int] = []

    def fits(number: int) -> bool:
        asked.append(number)
        return number <= limit

    largest = largest_that(fits, 1000)
    assert largest <= limit and largest % 10 == 0
    assert limit - largest <= 1000 // shortage_module.EXACTNESS + 10
    assert len(asked) <= 8


def test_room_to_be_freed_is_none_where_there_is_enough(tmp_path: Path, engine: Engine) -> None:
    assert memory.to_be_freed_bytes(engine.device, tmp_path, 1000) == 0
    there = memory.aside_bytes(engine.device, tmp_path)
    missing = memory.to_be_freed_bytes(engine.device, tmp_path, there + GB)
    assert missing == pytest.approx(4 * GB, rel=0.1)
