"""What surrounds the judge: pairs, painting that can be cut off, tables, and sheets."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.judging import painting, sheets, verdict
from bench.judging.figures import Figures, Judge
from bench.judging.lengths import name_of, paint_all, passes_of, worst_lines
from bench.judging.pairs import (
    Album,
    Pair,
    Photograph,
    Series,
    all_contents,
    all_styles,
    choose_pairs,
    read_pixels,
    save_pixels,
)
from bench.judging.verdict import Judged
from daemon.engine.engine import Engine, Style
from daemon.engine.paint import finish
from daemon.engine.pixels import to_levels
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import StepLimits
from daemon.engine.vgg.network import Network

ROCKET_WAVE = Pair("rocket", "wave")
SERIES = Series(64, {"today": {"steps": 2}, "new": {"steps": 3}}, ("wave",), (ROCKET_WAVE,))
SOUND = Figures(E=0.1, C=0.8, noise=0.5, colour_noise=0.5, leak=0.0, change=0.2)


@pytest.fixture
def album(tmp_path: Path) -> Album:
    """An album that is laid out for one pair and two recipes."""
    made = Album(tmp_path / "album")
    made.extend(SERIES)
    made.lay_out(64, {"rocket": all_contents(None)["rocket"]}, {"wave": all_styles(None)["wave"]})
    return made


def painted(album: Album, engine: Engine) -> list[painting.PaintReport]:
    """Paints what is missing, in this process."""
    painter = painting.Painter(album, SERIES, engine)
    return [painter.paint(job) for job in painting.open_jobs(album, SERIES)]


def judged(recipe: str, pair: Pair, seconds: float = 1.0, **figures: float) -> Judged:
    """A picture with these figures, else sound ones."""
    return Judged(recipe, pair, replace(SOUND, **figures), seconds, ())


def test_own_pictures_make_sixty_four_pairs_that_can_all_be_read() -> None:
    contents, styles = all_contents(None), all_styles(None)
    assert len(choose_pairs("all", list(contents), list(styles), ())) == 64
    for path in [*(one.path for one in contents.values()), *styles.values()]:
        with Image.open(path) as image:
            assert min(image.size) >= 256


def test_pictures_of_a_folder_come_after_the_own(tmp_path: Path) -> None:
    save_pixels(tmp_path / "lady.png", np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "README.md").write_text("no picture")
    assert list(all_styles(tmp_path))[-2:] == ["woodcut", "lady"]
    assert all_contents(tmp_path)["lady"] == Photograph(tmp_path / "lady.png")


def test_pairs_are_chosen_by_figures_and_by_patterns() -> None:
    def chosen(wanted: str) -> list[str]:
        return [
            str(pair) for pair in choose_pairs(wanted, ["cat", "sky"], ["sea", "lady"], ["lady"])
        ]

    assert chosen("figures") == ["cat+lady", "sky+lady"]
    assert chosen("sky+*,cat+sea") == ["cat+sea", "sky+sea", "sky+lady"]
    with pytest.raises(ValueError, match="dog"):
        chosen("cat+sea,dog+*")


def test_album_grows_by_recipes_and_pairs_and_refuses_what_differs(album: Album) -> None:
    grown = album.extend(Series(64, {"third": {}}, (), (Pair("rocket", "starry"),)))
    assert list(grown.recipes) == ["today", "new", "third"]
    assert grown.pairs == (ROCKET_WAVE, Pair("rocket", "starry"))
    assert album.series() == grown
    with pytest.raises(ValueError, match="recipe new"):
        album.extend(Series(64, {"new": {"steps": 4}}, (), ()))
    with pytest.raises(ValueError, match="64 px"):
        album.extend(replace(SERIES, size_px=128))


def test_what_is_painted_is_not_painted_again(album: Album, engine: Engine) -> None:
    reports = painted(album, engine)
    assert [(report.job.recipe, report.error) for report in reports] == [
        ("today", None),
        ("new", None),
    ]
    assert painting.open_jobs(album, SERIES) == []
    album.painted("new", ROCKET_WAVE).unlink()
    assert painting.open_jobs(album, SERIES) == [painting.PaintJob("new", ROCKET_WAVE)]


def test_facts_of_a_painting_tell_losses_by_name_and_steps(album: Album, engine: Engine) -> None:
    painted(album, engine)
    facts = album.facts("new", ROCKET_WAVE)
    assert [(one["size"], one["steps"]) for one in facts["passes"]] == [([64, 43], 3)]
    assert set(facts["passes"][0]["losses"]) >= {"content", "style"}
    assert facts["warnings"] == []
    assert facts["seconds"] > 0


def test_picture_that_cannot_be_painted_is_reported_and_stays_open(
    album: Album, engine: Engine
) -> None:
    series = replace(SERIES, recipes={"today": {"steps": 2}})
    save_pixels(album.content("rocket"), np.zeros((12, 64, 3), np.uint8))  # too narrow to judge
    report = painting.Painter(album, series, engine).paint(painting.PaintJob("today", ROCKET_WAVE))
    assert report.error is not None
    assert "at least 16 px" in report.error
    assert len(painting.open_jobs(album, series)) == 1


def test_painted_album_is_judged_told_and_laid_out(
    album: Album, engine: Engine, network: Network
) -> None:
    painted(album, engine)
    found = list(verdict.judge_album(album, Judge(network)))
    assert [(one.recipe, one.pair) for one in found] == [
        ("today", ROCKET_WAVE),
        ("new", ROCKET_WAVE),
    ]
    verdict.keep(album, found)
    text = verdict.report(album, found)
    for expected in ("rocket+wave today", "all pairs: 1", "figures in the style: 1", "new / today"):
        assert expected in text
    labels = verdict.kept_labels(album)
    assert labels["new", ROCKET_WAVE].startswith(f"E {found[1].figures.E:.3f}")
    (sheet,) = sheets.make_sheets(album, ["today", "new"], labels, album.folder / "sheets")
    across = sum(size + sheets.GAP_PX for size in (64, 64, 64, 64))
    with Image.open(sheet) as image:
        assert image.size == (across, 48 + sheets.LABEL_PX + sheets.GAP_PX)


def test_only_pairs_that_every_recipe_has_are_compared() -> None:
    other = Pair("rocket", "starry")
    pictures = [judged("a", ROCKET_WAVE), judged("b", ROCKET_WAVE), judged("a", other, E=9.0)]
    assert verdict.comparable(pictures, ["a", "b"]) == pictures[:2]


def test_ratios_are_of_means_and_what_was_and_is_zero_stays_one() -> None:
    one = verdict.means([judged("a", ROCKET_WAVE, E=0.3), judged("a", ROCKET_WAVE, E=0.1)])
    other = verdict.means([judged("b", ROCKET_WAVE, E=0.8, leak=2.0)])
    ratios = verdict.ratios_of(one, other)
    assert ratios["E"] == pytest.approx(0.25)
    assert ratios["leak"] == 0.0
    assert verdict.ratios_of(other, one)["leak"] == float("inf")
    assert verdict.ratios_of(one, one)["leak"] == 1.0


def test_worse_is_more_of_noise_and_less_of_the_content() -> None:
    pairs = [Pair("rocket", name) for name in ("wave", "starry", "mosaic")]
    pictures = [judged("today", pair) for pair in pairs]
    pictures += [
        judged("new", pair, noise=level, C=kept)
        for pair, level, kept in zip(pairs, (0.6, 0.9, 0.4), (0.9, 0.7, 0.8), strict=True)
    ]
    assert verdict.worsened(pictures, "new", "today", "noise") == [
        "rocket+starry 0.500 → 0.900",
        "rocket+wave 0.500 → 0.600",
    ]
    assert verdict.worsened(pictures, "new", "today", "C") == ["rocket+starry 0.800 → 0.700"]


def test_report_without_the_recipe_to_compare_with_says_so(album: Album) -> None:
    with pytest.raises(ValueError, match="no pictures of recipe today"):
        verdict.report(album, [judged("new", ROCKET_WAVE)])


def test_kept_figures_are_lines_of_json(album: Album) -> None:
    verdict.keep(album, [judged("new", ROCKET_WAVE, leak=1.5)])
    (line,) = (album.folder / "judged.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["recipe"], row["content"], row["style"], row["leak"]) == (
        "new",
        "rocket",
        "wave",
        1.5,
    )


def test_sheet_of_hardly_compressible_pictures_stays_small(tmp_path: Path) -> None:
    random = np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8)
    sheets.save_small(Image.fromarray(random), tmp_path / "sheet.jpg")
    assert (tmp_path / "sheet.jpg").stat().st_size <= sheets.MOST_BYTES


def test_rows_are_split_into_sheets_without_losing_one() -> None:
    row = [("picture", Image.new("RGB", (1500, 1500)))] * 2
    parts = list(sheets.split_rows([row] * 5))
    assert [len(part) for part in parts] == [1, 1, 1, 1, 1]
    small = [("picture", Image.new("RGB", (100, 100)))]
    assert [len(part) for part in sheets.split_rows([small] * 5)] == [5]


def test_lengths_give_the_first_pass_those_between_and_the_last_their_steps() -> None:
    passes = passes_of(Recipe(size=1024), StepLimits(6, 3, 4), 800, 600)
    assert [one.steps for one in passes] == [6, 3, 3, 4]


def test_picture_seen_on_the_way_is_that_of_a_painting_that_ended_there(
    album: Album, engine: Engine
) -> None:
    names = [name_of("1/1/2"), name_of("1/1/6")]
    series = Series(64, {name: {"effort": "best"} for name in names}, (), (ROCKET_WAVE,))
    paint_all(engine, album, series)
    for name, steps in zip(names, (2, 6), strict=True):
        ended = finish(
            engine.paint(
                read_pixels(album.content("rocket")),
                [Style(read_pixels(album.style("wave")))],
                Recipe(size=64, steps=steps),
            )
        )
        seen = read_pixels(album.painted(name, ROCKET_WAVE))
        np.testing.assert_array_equal(seen, to_levels(ended.pixels))
        assert album.facts(name, ROCKET_WAVE)["seconds"] > 0


def test_lengths_are_told_with_the_pair_that_got_worst_by_them() -> None:
    other = Pair("chelsea", "wave")
    found = [
        judged("9-9-9", ROCKET_WAVE, E=0.1, C=0.8),
        judged("9-9-9", other, E=0.2, C=0.8),
        judged("1-1-1", ROCKET_WAVE, E=0.15, C=0.4),
        judged("1-1-1", other, E=0.2, C=0.8),
    ]
    (line,) = worst_lines(found, ["9-9-9", "1-1-1"], "9-9-9")
    assert line.startswith("1-1-1 worst: E 1.50 (rocket+wave), C 0.50 (rocket+wave), noise 1.00")
