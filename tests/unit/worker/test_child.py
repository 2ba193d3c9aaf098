"""What the worker says of runs that fail."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.errors import DivergedError, OutOfMemoryError, TooLargeError, WeightsError
from daemon.engine.paint import Moment
from daemon.engine.vgg.arithmetic import PLAIN, Arithmetic, describe_arithmetic
from daemon.messages import Blob, OrderedStyle, RunOrder, WorkerSettings
from daemon.worker import child
from daemon.worker.child import SPENT, Worker


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


class FailingEngine:
    """An engine that paints nothing and raises `failure`."""

    device, dtype = torch.device("cpu"), torch.float32
    arithmetic = SimpleNamespace(method="direct")
    weights_name = "classic"

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    def paint(self, *_: object, **__: object) -> Iterator[Moment]:
        raise self.failure
        yield


@pytest.fixture
def worker(tmp_path: Path, out: io.StringIO) -> Worker:
    """A worker whose network is never asked for anything."""
    found = Worker(WorkerSettings("cpu", "", tmp_path, "float32"), out)
    found._engine = FailingEngine(AssertionError("it is not asked"))  # type: ignore[assignment]
    return found


@pytest.fixture
def order(tmp_path: Path) -> RunOrder:
    """A picture to be painted after another."""
    for name in ("picture", "style"):
        Image.new("RGB", (64, 64), "navy").save(tmp_path / name, "JPEG")
    return RunOrder(
        name="sea.jpg",
        picture=Blob("", tmp_path / "picture"),
        max_pixels=10_000,
        recipe={"size": 64, "steps": 2},
        styles=(OrderedStyle("wave.jpg", Blob("ab", tmp_path / "style"), 1.0),),
        result=tmp_path / "result",
        checkpoint=None,
        preview=None,
        memory_bytes=None,
        note={"id": "x"},
    )


class ProcessEnded(Exception):
    """The process would have ended, with this exit code."""


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends itself says so instead."""

    def end(code: int) -> None:
        raise ProcessEnded(code)

    monkeypatch.setattr("os._exit", end)


def said(out: io.StringIO) -> dict[str, Any]:
    """The last message."""
    return messages(out)[-1]


def messages(out: io.StringIO) -> list[dict[str, Any]]:
    """All messages so far."""
    return [json.loads(line) for line in out.getvalue().splitlines()]


def after(worker: Worker, failure: Exception, order: RunOrder) -> None:
    """A run whose painting raises `failure`."""
    worker._engine = FailingEngine(failure)  # type: ignore[assignment]
    worker.run("j1", order)


def test_reason_can_be_kept_whatever_the_pictures_name_is(
    worker: Worker, out: io.StringIO, order: RunOrder
) -> None:
    worker.run("j1", replace(order, name="\udcff.jpg", max_pixels=100))
    reason = said(out)["result"]["reason"]
    assert reason.startswith(r"\udcff.jpg claims to be 64x64 px")
    reason.encode()  # the ledger could keep nothing else


def test_picture_that_is_gone_is_to_be_dropped_again(
    tmp_path: Path, worker: Worker, out: io.StringIO, order: RunOrder
) -> None:
    (tmp_path / "picture").unlink()
    worker.run("j1", order)
    result = said(out)["result"]
    assert (result["ok"], result["kind"]) == (False, "input")
    assert "picture is gone from the state folder. Drop the picture again" in result["reason"]


@pytest.mark.parametrize(
    ("failure", "kind", "words"),
    [
        (DivergedError("the loss is not a number"), "input", "the loss is not a number"),
        (TooLargeError("it needs 9 GB"), "input", "it needs 9 GB"),
        (WeightsError("the weights are missing"), "surroundings", "the weights are missing"),
        (OSError(28, "No space left on device", "/s/result"), "surroundings", "No space left"),
    ],
)
def test_failure_is_blamed_on_the_picture_or_on_the_surroundings(
    worker: Worker,
    out: io.StringIO,
    order: RunOrder,
    failure: Exception,
    kind: str,
    words: str,
) -> None:
    after(worker, failure, order)
    last = said(out)
    assert (last["event"], last["run"], last["spent"]) == ("ended", "j1", False)
    assert (last["result"]["ok"], last["result"]["kind"]) == (False, kind)
    assert words in last["result"]["reason"]


def test_fault_of_ours_is_a_bug_with_its_trace_in_the_jobs_log(
    worker: Worker, out: io.StringIO, order: RunOrder
) -> None:
    after(worker, KeyError("layer"), order)
    assert said(out)["result"]["kind"] == "bug"
    assert "KeyError: 'layer'. This is a fault of atelierd" in said(out)["result"]["reason"]
    (trace,) = [one for one in messages(out) if one.get("level") == "ERROR"]
    assert trace["run"] == "j1" and "Traceback" in trace["text"] and "KeyError" in trace["text"]


def test_device_that_is_lost_is_told_and_ends_the_worker(
    worker: Worker, out: io.StringIO, order: RunOrder, ending: None
) -> None:
    with pytest.raises(ProcessEnded, match=str(SPENT)):
        after(worker, torch.AcceleratorError("CUDA error: unspecified launch failure"), order)
    last = said(out)
    assert (last["event"], last["spent"], last["result"]["kind"]) == ("ended", True, "device")
    assert "the device failed: CUDA error" in last["result"]["reason"]


@pytest.mark.parametrize("failure", [OutOfMemoryError("not enough for it"), MemoryError()])
def test_memory_that_runs_out_is_no_failure_and_ends_the_worker(
    worker: Worker,
    out: io.StringIO,
    order: RunOrder,
    ending: None,
    failure: Exception,
) -> None:
    with pytest.raises(ProcessEnded, match=str(SPENT)):
        after(worker, failure, order)
    last = said(out)
    assert (last["event"], last["spent"]) == ("short", True)
    assert last["reason"] == (str(failure) or type(failure).__name__)


def test_cancel_that_comes_before_its_run_is_over_with_it(
    worker: Worker, out: io.StringIO, order: RunOrder
) -> None:
    worker.cancel("j1")
    after(worker, DivergedError("not a number"), order)
    assert "j1" not in worker._cancelled


def test_run_that_goes_on_is_computed_as_it_was_begun_and_others_as_a_trial_chose(
    tmp_path: Path, out: io.StringIO, order: RunOrder, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, winograd = PLAIN, Arithmetic(torch.float32, (256, 512))
    bfloat16 = Arithmetic(torch.bfloat16)
    made: list[Arithmetic | None] = []

    def make_engine(settings: WorkerSettings, arithmetic: Arithmetic | None, tell: object) -> Any:
        made.append(arithmetic)
        engine = FailingEngine(DivergedError("not a number"))
        engine.arithmetic = arithmetic  # type: ignore[assignment]
        return engine

    def run(begun_in: Arithmetic | None) -> None:
        told = describe_arithmetic(torch.device("cpu"), begun_in) if begun_in else None
        kept = Checkpoint({}, {"identity": {"arithmetic": told}}) if begun_in else None
        monkeypatch.setattr(child, "read_checkpoint", lambda path: kept)
        worker.run("j1", replace(order, checkpoint=tmp_path / "checkpoint"))
        assert said(out)["result"]["kind"] == "input"

    monkeypatch.setattr(child, "choose", lambda settings, tell: winograd)
    monkeypatch.setattr(child, "make_engine", make_engine)
    worker = Worker(WorkerSettings("cpu", "", tmp_path, "float32"), out)
    for begun_in, expected in (
        (plain, [plain]),
        (plain, []),
        (None, [winograd]),
        (None, []),
        (bfloat16, []),  # which this worker may not compute in any more
    ):
        made.clear()
        run(begun_in)
        assert made == expected


def bytes_held_to(worker: Worker, order: RunOrder, device: str) -> int | None:
    """What a run of that order may take of a device."""
    engine = FailingEngine(AssertionError("it is not asked"))
    engine.device = torch.device(device)
    return worker._held_to(order, engine)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sharers", "at_once", "ordered", "held_to"),
    [
        (1, 0, None, None),
        (1, 0, 7, 7),
        (2, 0, None, 32),
        (4, 0, None, 16),
        (4, 0, 7, 7),
        (4, 0, 20, 16),
        (4, 2, None, 32),
        (4, 1, None, None),
        (4, 1, 20, 20),
    ],
)
def test_run_takes_its_share_of_a_device_and_all_of_it_where_it_is_alone(
    order: RunOrder,
    tmp_path: Path,
    out: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    sharers: int,
    at_once: int,
    ordered: int | None,
    held_to: int | None,
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1, 80))
    worker = Worker(WorkerSettings("cuda:0", "", tmp_path, sharers=sharers), out)
    asked = replace(order, sharers=at_once, memory_bytes=ordered)
    assert bytes_held_to(worker, asked, "cuda:0") == held_to


@pytest.mark.parametrize(
    ("sharers", "at_once", "allowed", "held_to"),
    [
        (1, 0, None, None),
        (1, 0, 30, None),  # which the engine keeps to by itself
        (2, 0, None, 100 + 40),
        (2, 0, 30, 15),
        (4, 2, None, 100 + 40),
        (4, 2, 30, 15),
        (2, 1, None, None),
        (2, 1, 30, None),
    ],
)
def test_run_that_shares_the_cpu_takes_its_part_of_what_is_free_or_of_what_all_may_take(
    order: RunOrder,
    tmp_path: Path,
    out: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    sharers: int,
    at_once: int,
    allowed: int | None,
    held_to: int | None,
) -> None:
    monkeypatch.setattr(child.memory, "held_bytes", lambda device: 100)
    monkeypatch.setattr(child.memory, "free_host_bytes", lambda: 100)
    settings = WorkerSettings("cpu", "", tmp_path, memory_bytes=allowed, sharers=sharers)
    asked = replace(order, sharers=at_once)
    assert bytes_held_to(Worker(settings, out), asked, "cpu") == held_to


def test_worker_that_shares_its_device_gives_back_what_it_has_kept(
    order: RunOrder, tmp_path: Path, out: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[torch.device] = []
    monkeypatch.setattr(child.memory, "give_back_device", given.append)
    for sharers in (1, 2):
        worker = Worker(WorkerSettings("cpu", "", tmp_path, "float32", sharers=sharers), out)
        worker._engine = FailingEngine(DivergedError("it fails"))  # type: ignore[assignment]
        worker.run("j1", order)
    assert given == [torch.device("cpu")]
