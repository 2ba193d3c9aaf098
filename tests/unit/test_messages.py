"""What service and workers say to each other is on the wire what it always was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.engine.faces import Face
from daemon.engine.schedule import Pass
from daemon.messages import (
    Blob,
    Cancelled,
    CheckpointWritten,
    Done,
    Ended,
    Event,
    Failed,
    FullPicture,
    Hello,
    LogLine,
    OrderedStyle,
    OutOfMemory,
    PassAccount,
    PassPlan,
    Preview,
    Progress,
    RunOrder,
    ThreadCount,
    WorkerSettings,
    done_data,
    event_data,
    known,
    order_data,
    plain,
    to_done,
    to_event,
    to_order,
)

LOSSES = {"content": 1.0, "style": 0.1}
DONE = Done(
    width_px=8,
    height_px=6,
    weights={"name": "classic", "sha256": "c3"},
    device="cpu",
    dtype="float32",
    passes=(PassAccount(4, 3, 2, 1.5, True, {"tile_px": None}, {"total": 3.0, **LOSSES}),),
    first_loss={"total": 9.0, **LOSSES},
    last_loss={"total": 3.0, **LOSSES},
    seconds=58.25,
    peak_memory_bytes=123,
    warnings=("late",),
    result_sha256="ef",
    result_bytes=9,
)
DONE_LINE = (
    '{"ok": true, "width_px": 8, "height_px": 6, "weights": {"name": "classic", "sha256": "c3"}, '
    '"device": "cpu", "dtype": "float32", "passes": [{"width_px": 4, "height_px": 3, "steps": 2, '
    '"seconds": 1.5, "converged": true, "plan": {"tile_px": null}, "loss": {"total": 3.0, '
    '"content": 1.0, "style": 0.1}}], "first_loss": {"total": 9.0, "content": 1.0, "style": 0.1}, '
    '"last_loss": {"total": 3.0, "content": 1.0, "style": 0.1}, "seconds": 58.25, '
    '"peak_memory_bytes": 123, "warnings": ["late"], "result_sha256": "ef", "result_bytes": 9}'
)
EVENTS: list[tuple[Event, str]] = [
    (Hello(), '{"event": "hello"}'),
    (
        LogLine("INFO", "network ready"),
        '{"event": "log", "run": "r1", "level": "INFO", "text": "network ready"}',
    ),
    (
        PassPlan("64x43 px", "one tile", 3, 2, 9),
        '{"event": "plan", "run": "r1", "plan": {"size": "64x43 px", "tiles": "one tile", '
        '"predicted_bytes": 3, "held_bytes": 2, "budget_bytes": 9}}',
    ),
    (
        Progress(1, (Pass(4, 3, 2),), 2, 3.0, LOSSES, 0.5),
        '{"event": "progress", "run": "r1", "pass": 1, "passes": [{"width_px": 4, "height_px": 3, '
        '"steps": 2}], "number": 2, "total": 3.0, "content": 1.0, "style": 0.1, "seconds": 0.5}',
    ),
    (
        Preview(Path("/spool/preview.jpg")),
        '{"event": "preview", "run": "r1", "path": "/spool/preview.jpg"}',
    ),
    (CheckpointWritten(), '{"event": "checkpoint", "run": "r1"}'),
    (
        Ended(DONE),
        f'{{"run": "r1", "spent": false, "event": "ended", "result": {DONE_LINE}}}',
    ),
    (
        Ended(Failed("device", "the device is lost"), spent=True),
        '{"run": "r1", "spent": true, "event": "ended", "result": {"ok": false, '
        '"kind": "device", "reason": "the device is lost"}}',
    ),
    (
        Ended(Failed("input", "it is flat", replace(DONE, judge={"noise": 0.5}))),
        '{"run": "r1", "spent": false, "event": "ended", "result": {"ok": false, "kind": "input", '
        f'"reason": "it is flat", "painted": {DONE_LINE[:-1]}, "judge": {{"noise": 0.5}}}}}}}}',
    ),
    (Ended(Cancelled()), '{"run": "r1", "spent": false, "event": "cancelled"}'),
    (
        Ended(OutOfMemory("not enough memory"), spent=True),
        '{"run": "r1", "spent": true, "event": "short", "reason": "not enough memory"}',
    ),
]
ORDER = RunOrder(
    name="photo.jpg",
    picture=Blob("", Path("/spool/p1")),
    max_pixels=100,
    recipe={"size": 64},
    styles=(OrderedStyle("wave.png", Blob("5a", Path("/spool/5a")), 2.0),),
    result=Path("/spool/result"),
    checkpoint=Path("/spool/checkpoint"),
    preview=None,
    memory_bytes=None,
    note={"id": "j1"},
)
ORDER_LINE = (
    '{"name": "photo.jpg", "picture": "/spool/p1", "max_pixels": 100, "recipe": {"size": 64}, '
    '"styles": [{"name": "wave.png", "sha256": "5a", "weight": 2.0, "path": "/spool/5a"}], '
    '"result": "/spool/result", "checkpoint": "/spool/checkpoint", "preview": null, '
    '"memory_bytes": null, "note": {"id": "j1"}'
)


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_event_is_the_line_it_always_was_and_is_read_back(event: Event, line: str) -> None:
    assert json.dumps(event_data("r1", event)) == line
    assert to_event(json.loads(line)) == event


@pytest.mark.parametrize(
    ("order", "line"),
    [
        (ORDER, f"{ORDER_LINE}}}"),
        (
            replace(ORDER, result_name="out.png", proof=True),
            f'{ORDER_LINE}, "result_name": "out.png", "proof": true}}',
        ),
    ],
)
def test_order_is_the_line_it_always_was_and_is_read_back(order: RunOrder, line: str) -> None:
    assert json.dumps(order_data(order)) == line
    assert to_order(json.loads(line)) == order


@pytest.mark.parametrize(
    ("done", "line"),
    [
        (DONE, DONE_LINE),
        (replace(DONE, same_as="fedc"), f'{{"same_as": "fedc", {DONE_LINE[1:]}'),
        (
            replace(DONE, full=FullPicture(400, 300, None)),
            f'{DONE_LINE[:-1]}, "full": {{"width_px": 400, "height_px": 300, "seconds": null}}}}',
        ),
        (replace(DONE, node="desk2"), f'{DONE_LINE[:-1]}, "node": "desk2"}}'),
        (replace(DONE, faces=()), f'{DONE_LINE[:-1]}, "faces": []}}'),
        (
            replace(DONE, faces=(Face(1, 2, 30, 31),)),
            f'{DONE_LINE[:-1]}, "faces": [{{"left_px": 1, "top_px": 2, '
            '"width_px": 30, "height_px": 31}]}',
        ),
    ],
)
def test_outcome_is_kept_as_it_always_was_and_is_read_back(done: Done, line: str) -> None:
    assert json.dumps(done_data(done)) == line
    assert to_done(json.loads(line)) == done


def with_more(value: Any) -> Any:
    """Plain data as a newer version may tell it: with another field in every object."""
    match value:
        case dict():
            named = value.keys() & {"weights", "plan", "loss", "first_loss", "last_loss", "judge"}
            kept = {name: value[name] for name in named if name != "plan" or "size" not in value}
            return {name: with_more(one) for name, one in value.items()} | kept | {"mood": "good"}
        case list():
            return [with_more(one) for one in value]
    return value


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_what_a_newer_worker_says_beyond_it_is_passed_over(event: Event, line: str) -> None:
    read = to_event(with_more(json.loads(line)))
    assert type(read) is type(event) and "mood" not in repr(read)
    assert read == event


def test_event_of_a_newer_worker_that_nobody_knows_is_none() -> None:
    assert to_event({"event": "sings", "run": "r1"}) is None
    assert to_event({}) is None


def test_new_loss_is_a_loss_by_its_name() -> None:
    (line,) = (line for event, line in EVENTS if isinstance(event, Progress))
    told = to_event(json.loads(line) | {"edges": 0.25})
    assert isinstance(told, Progress) and told.losses == {**LOSSES, "edges": 0.25}


def test_outcome_of_an_earlier_version_has_nothing_where_it_told_nothing() -> None:
    done = to_done({"seconds": 2.5, "passes": [{"width_px": 4, "height_px": 3}]})
    assert done == Done(seconds=2.5, passes=(PassAccount(4, 3),))


def test_threads_of_the_steps_are_told_and_come_back() -> None:
    done = replace(DONE, threads=(ThreadCount(2, 1, 1), ThreadCount(1, 3, 12)))
    data = json.loads(json.dumps(done_data(done)))
    assert data["threads"][1] == {"threads": 1, "from_pass": 3, "from_step": 12}
    assert to_done(data) == done


def test_settings_of_a_worker_come_back_as_they_were_given() -> None:
    settings = WorkerSettings("cuda:0", "classic", Path("/state/engine"), "float32", 5, 1.5, 3)
    settings = replace(settings, adaptive_threads=True, number=2, sharers=4, on_trial=True)
    assert known(WorkerSettings, json.loads(json.dumps(plain(settings)))) == settings


def test_order_says_among_how_many_its_device_is_divided_where_they_are_not_its_workers() -> None:
    order = RunOrder("a.jpg", Blob("", Path("/p")), 9, {}, (), Path("/r"), None, None, None, {})
    assert "sharers" not in order_data(order)
    alone = replace(order, sharers=1)
    assert to_order(json.loads(json.dumps(order_data(alone)))) == alone


def test_profiles_of_an_order_are_told_and_absent_where_there_are_none() -> None:
    order = RunOrder("a.jpg", Blob("", Path("/p")), 9, {}, (), Path("/r"), None, None, None, {})
    assert "profiles" not in order_data(order)
    with_one = replace(order, profiles={"press.icc": Path("/state/profiles/9c")})
    told = json.loads(json.dumps(order_data(with_one)))
    assert told["profiles"] == {"press.icc": "/state/profiles/9c"}
    assert to_order(told) == with_one
