"""An order's files by name, and the order that a node makes of them."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from daemon.fleet.order import gives, moved, takes
from daemon.messages import (
    Blob,
    OrderedMask,
    OrderedStyle,
    RunOrder,
    frames_of,
    order_data,
    to_order,
)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


@pytest.fixture
def order(here: Path) -> RunOrder:
    """An order that asks for everything there is."""
    return RunOrder(
        name="a 'b\".jpg",
        picture=Blob("p" * 64, here / "photo"),
        max_pixels=1000,
        recipe={"size": 64},
        styles=(
            OrderedStyle("one.jpg", Blob("a" * 64, here / "one"), 1.0),
            OrderedStyle("two.jpg", Blob("b" * 64, here / "two"), 0.5, "sky"),
        ),
        result=here / "result",
        checkpoint=here / "checkpoint.safetensors",
        preview=here / "preview.jpg",
        memory_bytes=None,
        note={"id": "1"},
        profiles={"press.icc": here / "c.icc", "paper.icc": here / "d.icc"},
        mask=OrderedMask("mask.png", Blob("c" * 64, here / "mask"), True),
        timelapse=here / "timelapse.webp",
        course=here / "course.json",
        small=here / "small",
    )


@pytest.fixture
def smallest(here: Path) -> RunOrder:
    """One that asks for nothing but a result."""
    picture = Blob("", here / "photo")
    return RunOrder("a.jpg", picture, 1000, {}, (), here / "result", None, None, None, {})


def test_every_file_that_is_read_is_taken_by_its_hash_or_by_name_alone(
    order: RunOrder, here: Path
) -> None:
    assert takes(order) == {
        "picture": Blob("p" * 64, here / "photo"),
        "style.0": Blob("a" * 64, here / "one"),
        "style.1": Blob("b" * 64, here / "two"),
        "mask": Blob("c" * 64, here / "mask"),
        "profile.0": Blob("", here / "c.icc"),
        "profile.1": Blob("", here / "d.icc"),
    }


def test_run_that_goes_on_takes_what_the_one_before_has_left(order: RunOrder, here: Path) -> None:
    (here / "checkpoint.safetensors").touch()
    (here / "course.json").touch()
    before = {name: blob.path for name, blob in takes(order).items() if "." not in name}
    assert before["checkpoint"] == here / "checkpoint.safetensors"
    assert before["course"] == here / "course.json"


def test_everything_that_is_written_is_given(order: RunOrder, here: Path) -> None:
    assert gives(order) == {
        "result": here / "result",
        "preview": here / "preview.jpg",
        "checkpoint": here / "checkpoint.safetensors",
        "timelapse": here / "timelapse.webp",
        "course": here / "course.json",
        "frames/": here / "frames",
        "small/": here / "small",
    }


def test_film_of_a_run_that_goes_on_elsewhere_has_the_frames_of_the_one_before(
    order: RunOrder, here: Path, there: Path
) -> None:
    frames = here / "frames"
    frames.mkdir()
    for name in ("01-000001.jpg", "01-000002.jpg", ".atelierd-half.tmp"):
        (frames / name).touch()
    assert not [name for name in takes(order) if "frames" in name]  # it begins anew
    (here / "checkpoint.safetensors").touch()
    taken = {name: there / f"taken.{name}" for name in takes(order)}
    on_node = moved(order, taken, there)
    assert on_node.timelapse is not None
    mine = frames_of(on_node.timelapse)
    brought = {path for name, path in taken.items() if "frames" in name}
    assert brought == {mine / "01-000001.jpg", mine / "01-000002.jpg"}
    assert gives(on_node)["frames/"] == mine


NO_FILES = {"memory_bytes", "result_name", "proof", "shared", "sharers", "beside"}


def test_order_on_a_node_names_none_of_the_services_paths(
    order: RunOrder, here: Path, there: Path
) -> None:
    every = {field.name for field in fields(RunOrder)} - NO_FILES
    assert all(getattr(order, name) for name in every)  # a new field is to be tried too
    for name, path in gives(order).items():
        path.mkdir() if name.endswith("/") else path.touch()
    (here / "frames" / "01-000001.jpg").touch()
    taken = {name: there / name for name in takes(order)}
    on_node = moved(order, taken, there)
    assert str(here) not in json.dumps(order_data(on_node))
    assert {blob.path for blob in takes(on_node).values()} <= set(taken.values())
    assert gives(on_node) == {
        "result": there / "result",
        "preview": there / "preview.jpg",
        "checkpoint": there / "checkpoint",  # it goes on where it was taken to
        "timelapse": there / "film" / "timelapse.webp",
        "course": there / "course",
        "frames/": there / "film" / "frames",
        "small/": there / "small",
    }


def test_order_on_a_node_is_the_same_but_for_its_paths(order: RunOrder, there: Path) -> None:
    on_node = moved(order, {name: there / name for name in takes(order)}, there)
    paths = {"picture", "styles", "result", "checkpoint", "preview", "profiles", "mask"}
    paths |= {"timelapse", "course", "small"}
    for field in fields(RunOrder):
        if field.name not in paths:
            assert getattr(on_node, field.name) == getattr(order, field.name)
    assert [one.name for one in on_node.styles] == ["one.jpg", "two.jpg"]
    assert list(on_node.profiles) == ["press.icc", "paper.icc"]
    assert {name: blob.sha256 for name, blob in takes(on_node).items()} == {
        name: blob.sha256 for name, blob in takes(order).items()
    }


def test_order_goes_over_the_wire_to_a_node_and_is_the_same(order: RunOrder, there: Path) -> None:
    taken = {name: there / name for name in takes(order)}
    by_wire = to_order(json.loads(json.dumps(order_data(order))))
    no_hash = replace(order, picture=Blob("", order.picture.path))  # the wire has none for it
    assert moved(by_wire, taken, there) == moved(no_hash, taken, there)


def test_what_is_not_asked_for_is_neither_taken_nor_given(
    smallest: RunOrder, here: Path, there: Path
) -> None:
    assert list(takes(smallest)) == ["picture"] and list(gives(smallest)) == ["result"]
    on_node = moved(smallest, {"picture": there / "picture"}, there)
    assert on_node.result == there / "result"
    assert on_node.checkpoint is on_node.preview is on_node.small is on_node.mask is None


def test_file_that_was_not_taken_is_missed_before_anything_is_painted(
    order: RunOrder, there: Path
) -> None:
    taken = {name: there / name for name in takes(order)}
    for name in taken:
        with pytest.raises(KeyError, match=name):
            moved(order, {other: path for other, path in taken.items() if other != name}, there)
