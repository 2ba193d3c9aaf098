"""What a record becomes on its page, in words and curves."""

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.outbox.gallery.amounts import bytes_in_words, seconds_in_words
from daemon.outbox.gallery.curves import HEIGHT, WIDTH, chart_of
from daemon.outbox.gallery.entry import entry_of
from daemon.outbox.gallery.picture_view import view_of
from daemon.outbox.gallery.recipe_words import recipe_in_words
from daemon.outbox.gallery.render import render
from daemon.outbox.gallery.view import PictureLinks, shape_of
from tests.support.shown import make_record

NO_LINKS = PictureLinks()


def words(**recipe: object) -> str:
    told = {"size": 1024, "alpha": 1.0, "beta": 30.0, **recipe}
    return " ".join(recipe_in_words(make_record(1, recipe=told)))


def test_recipe_is_told_in_sentences() -> None:
    assert words() == (
        "Painted after starry.jpg, with the style 30 times as strong as the photograph; what is "
        "matched is the mean and covariance of its features. 1024 px on its longest side, from the "
        "photograph, in 4 steps of L-BFGS."
    )


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ({"statistics": "gram"}, "what is matched is Gram matrices"),
        ({"alpha": 2.0}, "at alpha 2 and beta 30"),
        ({"style_scale": 2.0}, "Larger strokes: the style at 2 times its size."),
        ({"style_scale": [0.5, 1.0]}, "Strokes of several sizes: 0.5 and 1.0."),
        ({"match": 1.0}, "(match 1)"),
        ({"faces": 0.5}, "Faces keep more of the photograph (faces 0.5)."),
        ({"tv": "auto"}, "Smoothed where it varied"),
        ({"colors": "luminance"}, "Only light and dark were painted"),
        ({"init": "noise", "optimizer": "adam"}, "from noise, in 4 steps of Adam"),
        ({"size": "original"}, "At the photograph's own size"),
        ({"format": "tiff", "depth": 16}, "Written as TIFF and in 16 bits."),
    ],
)
def test_each_wish_is_told(field: dict[str, object], sentence: str) -> None:
    assert sentence in words(**field)


def test_several_styles_are_told_with_weight_and_region() -> None:
    styles = [
        {"name": "a.jpg", "weight": 1.0, "region": "#ff0000"},
        {"name": "b.jpg", "weight": 0.5},
    ]
    (sentence, *_) = recipe_in_words(make_record(1, styles=styles))
    assert "after a.jpg (weight 1, region #ff0000) and b.jpg (weight 0.5)" in sentence


def test_times_are_those_of_the_zone_asked_for() -> None:
    record = make_record(0, finished_at="2026-11-01T23:30:00Z")
    assert view_of(record, NO_LINKS, UTC).finished == "1 November 2026, 23:30"
    east = timezone(timedelta(hours=1))
    assert view_of(record, NO_LINKS, east).finished == "2 November 2026, 00:30"


def test_node_that_painted_is_told_beside_the_device() -> None:
    facts = view_of(make_record(1, node="desk2", device="cuda:0"), NO_LINKS, UTC).facts
    told = {fact.name: fact.text for fact in facts}
    assert told["node"] == "desk2" and told["device"].startswith("cuda:0")
    assert "node" not in {fact.name for fact in view_of(make_record(1), NO_LINKS, UTC).facts}


def test_passes_are_told_with_their_losses_by_name() -> None:
    view = view_of(make_record(1), NO_LINKS, UTC)
    assert view.loss_names == ["total", "content", "style"]
    (row,) = view.passes
    assert (row.size, row.steps, row.seconds) == ("64 × 48", 4, "1.5 s")
    assert list(row.losses) == ["3", "1", "0.1"]


def test_curves_run_over_the_width_and_lie_by_the_logarithm() -> None:
    course = {"pass": [1, 1, 2], "step": [1, 2, 1], "total": [100.0, 10.0, 1.0]}
    chart = chart_of(course, ["128 × 96", "256 × 192"])
    assert chart is not None
    (curve,) = chart.curves
    xs = [float(one.split()[0].lstrip("ML")) for one in curve.path.replace("L", "|L").split("|")]
    ys = [float(one.split()[1]) for one in curve.path.replace("L", "|L").split("|")]
    assert xs[0] < xs[1] < xs[2] <= WIDTH
    assert ys[1] - ys[0] == pytest.approx(ys[2] - ys[1], abs=0.2) and ys[2] < HEIGHT
    assert [mark.text for mark in chart.passes] == ["128 × 96", "256 × 192"]
    assert "total from 100 to 1" in chart.summary


@pytest.mark.parametrize(
    "course", [{}, {"pass": [1], "total": [1.0]}, {"pass": [1, 1], "total": [0.0, None]},
               {"pass": [1, 1], "total": [1.0]}],
)  # fmt: skip
def test_too_few_points_make_no_chart(course: dict[str, object]) -> None:
    assert chart_of(course) is None


def test_loss_that_never_changes_is_a_line() -> None:
    chart = chart_of({"pass": [1, 1], "step": [1, 2], "total": [2.0, 2.0]})
    assert chart is not None and len(chart.curves) == 1


def test_amounts_are_told_as_people_tell_them() -> None:
    assert [seconds_in_words(one) for one in (0.42, 42, 200, 7500)] == [
        "0.4 s", "42 s", "3 min 20 s", "2 h 5 min",
    ]  # fmt: skip
    assert [bytes_in_words(one) for one in (9, 2_400, 310_000, 2.4e6, 1.2e9)] == [
        "9 bytes", "2.4 kB", "310 kB", "2.4 MB", "1.2 GB",
    ]  # fmt: skip


def test_shape_is_the_nearest_class_of_the_stylesheet() -> None:
    assert [shape_of(3000, 2000), shape_of(10, 1000), shape_of(0, 0)] == ["w15", "w4", "w10"]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = (*make_record(1), "label", "course", "regions", "faces", "same_as", "start", "weights")
RECIPE = (
    "size",
    "beta",
    "match",
    "tv",
    "style_scale",
    "colors",
    "init",
    "format",
    "depth",
    "profile",
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=6),
       st.dictionaries(st.sampled_from(RECIPE), ANYTHING))  # fmt: skip
def test_no_record_whatever_it_tells_keeps_a_page_from_being_written(
    told: dict[str, object], recipe: dict[str, object]
) -> None:
    record = make_record(1, recipe=recipe) | told
    view = view_of(record, NO_LINKS, UTC)
    frame = {"assets": "", "home": "", "nav": [], "nav_script": ""}
    assert render("picture.html", **frame, view=view).endswith(b"</html>")
    entry_of(record, "a.json", "a.jpg")
