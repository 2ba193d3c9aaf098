"""The pool and its real children."""

import itertools
import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daemon.engine.checkpoint import Checkpoint
from daemon.engine.fit.cgroups import threads_of_each
from daemon.fleet.light import cut_light
from daemon.host.files import sha256_of
from daemon.job import State
from daemon.messages import (
    Blob,
    Cancelled,
    CheckpointWritten,
    Done,
    Event,
    Failed,
    LogLine,
    Lost,
    OrderedMask,
    OrderedStyle,
    Outcome,
    OutOfMemory,
    Progress,
    RunOrder,
    ThreadCount,
)
from daemon.pictures.small import LONGEST_PX, PAINTING, PHOTOGRAPH
from daemon.pool.local import LocalPool
from daemon.worker.checkpoint import write_checkpoint
from tests.support.atelier import (
    ENDLESS_STEPS,
    PATIENCE_S,
    Service,
    Studio,
    draw_style,
    encoded,
    give_no_more_memory,
    is_alive,
    keep_timings,
    lend_timings,
    photograph,
    wait_for,
)

ENDLESS = {"steps": ENDLESS_STEPS, "normalise": "raw"}
"""Raw losses fall for a long time; relative ones do not, and a run ends when they do no more."""
STEPS = 10
"""Of each pass of a painting that is killed meanwhile."""
SHALLOW = {"style_layers": {"relu1_1": 1.0, "relu2_1": 1.0}, "content_layers": {"relu2_1": 1.0}}
"""A sixth of the network's work, for what is about checkpoints and memory."""


THREADS = threads_of_each(1)
"""Set, since bytes are compared: what is beside the tests would change the number else."""


class Bench:
    """A pool of one CPU child, and what it was heard to say."""

    def __init__(self, root: Path, **config: Any) -> None:
        self.root = root
        self.orders = itertools.count()
        self.heard: list[tuple[str, Event]] = []
        self.on_event: Callable[[str, Event], object] = lambda run, event: None
        studio = Studio(root / "studio")
        studio.configure(threads=THREADS, **config)
        lend_timings(studio.state / "engine")
        self.pool = LocalPool([studio.config.worker("cpu")], self._hear)
        draw_style(root / "style.png")
        (root / "photo.jpg").write_bytes(encoded(photograph()))

    def _hear(self, run: str, event: Event) -> None:
        self.heard.append((run, event))
        self.on_event(run, event)

    def order(self, **changes: Any) -> RunOrder:
        style = self.root / "style.png"
        known = RunOrder(
            name="photo.jpg",
            picture=Blob("", self.root / "photo.jpg"),
            max_pixels=1_000_000,
            recipe={"size": 64, "steps": 2} | changes.pop("recipe", {}),
            styles=(OrderedStyle(style.name, Blob(sha256_of(style), style), 1.0),),
            result=self.root / "result",
            checkpoint=self.root / f"checkpoint-{next(self.orders)}",
            preview=None,
            memory_bytes=None,
            note={"id": "x"},
        )
        return replace(known, **changes)

    def submit(self, run_id: str, order: RunOrder | None = None) -> Future[Outcome]:
        return self.pool.submit("cpu", run_id, order or self.order())

    def done(self, run_id: str, order: RunOrder | None = None) -> Done:
        """The outcome of a run that goes well."""
        outcome = ended(self.submit(run_id, order))
        assert isinstance(outcome, Done), outcome
        return outcome

    def steps(self, run_id: str) -> list[Progress]:
        return [said for run, said in self.heard if run == run_id and isinstance(said, Progress)]

    def log(self) -> list[str]:
        return [said.text for _, said in self.heard if isinstance(said, LogLine)]

    @property
    def is_free(self) -> bool:
        return self.pool.seats()[0].run_id is None

    @property
    def pid(self) -> int:
        return self.pool.pids()["cpu"]


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[Bench]:
    """A pool whose child has not been started."""
    bench = Bench(tmp_path)
    yield bench
    bench.pool.close(grace_s=2.0)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("bench"), checkpoint_every=0)
    bench.done("warm-up")
    keep_timings(bench.root / "studio" / "state" / "engine")
    yield bench
    bench.pool.close(grace_s=2.0)


@pytest.fixture
def bench(warm: Bench) -> Iterator[Bench]:
    """A pool that has heard nothing; its child is warm, and may write a checkpoint at every step.

    Where a test ended the child, the next run begins with a fresh one.
    """
    warm.heard.clear()
    yield warm
    warm.on_event = lambda run, event: None


def ended(future: Future[Outcome]) -> Outcome:
    return future.result(PATIENCE_S)


def test_run_reports_every_step_and_its_account(bench: Bench) -> None:
    done = bench.done("steps", bench.order(recipe={"steps": 4}))
    assert [said.number for said in bench.steps("steps")] == [1, 2, 3, 4]
    assert done.last_loss and done.last_loss["total"] == bench.steps("steps")[-1].total
    assert done.result_sha256 == sha256_of(bench.root / "result")
    assert done.threads == (ThreadCount(THREADS, from_pass=1, from_step=1),)


def test_painting_that_is_hardly_changed_fails_with_what_it_came_to(bench: Bench) -> None:
    recipe = {"steps": 6, "normalise": "raw", "beta": 1e-9}
    order = bench.order(recipe=recipe, result=bench.root / "refused")
    outcome = ended(bench.submit("refused", order))
    assert isinstance(outcome, Failed) and "`gate: off`" in outcome.reason
    assert outcome.painted and outcome.painted.judge and outcome.painted.judge["change"] < 0.002
    assert len(outcome.painted.passes) == 1 and not order.result.exists()
    assert bench.done("let through", replace(order, recipe=recipe | {"size": 64, "gate": False}))


def test_mask_is_painted_by_and_a_wrong_one_is_the_inputs_fault(bench: Bench) -> None:
    mask = Image.new("RGB", (48, 36), "black")
    mask.paste("red", (0, 0, 24, 36))
    mask.save(bench.root / "mask.png")
    (style,) = bench.order().styles
    by_mask = bench.order(
        name="photo.png",
        result=bench.root / "by-mask",
        mask=OrderedMask("photo.mask.png", Blob("", bench.root / "mask.png"), own=True),
        styles=(replace(style, region="#ff0000"),),
        recipe={"steps": 6, "gate": True},
    )
    assert bench.done("by mask", by_mask).regions == {"#ff0000": 0.5}
    with Image.open(by_mask.result) as result, photograph() as photo:
        change = np.abs(np.asarray(result, float) - np.asarray(photo.resize(result.size), float))
    assert change[:, 40:].mean() < 6 < change[:, :24].mean()  # what differs is JPEG and resizing
    outcome = ended(
        bench.submit("wrong", replace(by_mask, styles=(replace(style, region="#00ff00"),)))
    )
    assert isinstance(outcome, Failed) and outcome.kind == "input"
    assert "#ff0000 on 50.0%" in outcome.reason and "lime (#00ff00)" in outcome.reason


def test_same_run_twice_gives_the_same_picture(bench: Bench) -> None:
    pixels, losses = [], []
    for run in ("one", "two"):
        target = bench.root / run
        done = bench.done(run, bench.order(result=target))
        losses.append(done.last_loss)
        with Image.open(target) as result:
            pixels.append(result.tobytes())
    assert losses[0] == losses[1]
    assert pixels[0] == pixels[1]


def test_painting_whose_form_alone_differs_is_painted_once_to_the_same_bytes(bench: Bench) -> None:
    forms = {name: {"quality": quality} for name, quality in (("a", 95), ("b", 40))}
    targets = {}
    for run, shared in (("a", "k"), ("b", "k"), ("b alone", "")):
        targets[run] = bench.root / run
        order = bench.order(result=targets[run], recipe=forms[run[0]], shared=shared)
        done = bench.done(run, order)
        assert [one.steps for one in done.passes] == [2]
    assert [len(bench.steps(run)) for run in targets] == [2, 0, 2]
    assert targets["b"].read_bytes() == targets["b alone"].read_bytes()
    assert targets["a"].stat().st_size > targets["b"].stat().st_size
    bench.done("c", bench.order(recipe={"beta": 1.0}, shared="another"))
    assert len(bench.steps("c")) == 2


def test_cancelled_run_stops_at_its_next_step_and_the_child_stays(bench: Bench) -> None:
    before = bench.pid
    future = bench.submit("long", bench.order(recipe=ENDLESS))
    wait_for("a step", lambda: bench.steps("long"))
    assert not bench.is_free
    bench.pool.cancel("long", grace_s=PATIENCE_S)
    assert isinstance(ended(future), Cancelled)
    assert bench.is_free
    bench.done("after")
    assert bench.pid == before


def test_cancelling_an_unknown_run_disturbs_nobody(bench: Bench) -> None:
    bench.pool.cancel("nobody", grace_s=PATIENCE_S)
    bench.done("undisturbed")


def test_bad_picture_is_an_account_and_not_a_lost_worker(bench: Bench) -> None:
    (bench.root / "bad.jpg").write_bytes(b"no picture")
    before = bench.pid
    bad = bench.order(picture=Blob("", bench.root / "bad.jpg"))
    failed = ended(bench.submit("bad", bad))
    assert isinstance(failed, Failed) and failed.kind == "input"
    assert bench.pid == before


def test_unwritable_result_is_the_surroundings_fault(bench: Bench) -> None:
    (bench.root / "in the way").write_text("")
    target = bench.root / "in the way/result"
    failed = ended(bench.submit("nowhere", bench.order(result=target)))
    assert isinstance(failed, Failed) and failed.kind == "surroundings"


def test_killed_child_loses_the_run_and_says_how(cold: Bench) -> None:
    future = cold.submit("lost")
    os.kill(cold.pid, signal.SIGKILL)
    lost = ended(future)
    assert isinstance(lost, Lost) and "SIGKILL" in lost.how
    assert cold.is_free and not cold.pool.pids()


def test_killed_run_goes_on_from_its_checkpoint_to_the_same_bytes(bench: Bench) -> None:
    recipe = SHALLOW | {"size": 184, "steps": STEPS}  # two passes
    whole = bench.order(recipe=recipe)
    bench.done("whole", whole)
    undisturbed = (bench.root / "result").read_bytes()
    (bench.root / "result").unlink()

    course, small = bench.root / "killed/course.json", bench.root / "killed/small"
    order = bench.order(recipe=recipe, course=course, small=small)

    kept_after = [1]  # how many steps; there is no kill before the first checkpoint

    def kill(run: str, event: Event) -> None:
        """At once, since there are not many steps left."""
        if isinstance(event, CheckpointWritten):
            kept_after.append(total(bench, run))
        pid, is_kept = bench.pool.pids().get("cpu"), order.checkpoint and order.checkpoint.exists()
        if pid is not None and is_kept and total(bench, run) >= int(run):
            os.kill(pid, signal.SIGKILL)

    bench.on_event = kill
    for number in (1, 15):
        assert isinstance(ended(bench.submit(str(number), order)), Lost)
    bench.on_event = lambda run, event: None
    done = bench.done("resumed", order)
    assert not done.warnings
    assert (bench.root / "result").read_bytes() == undisturbed
    passes = [one.steps for one in done.passes]
    assert passes == [STEPS] * 2
    # Writing takes a twentieth of the time at most, so that not every step has its checkpoint.
    assert len(bench.steps("resumed")) <= 2 * STEPS - max(kept_after)
    told = json.loads(course.read_bytes())
    every = [(number, step) for number in (1, 2) for step in range(1, STEPS + 1)]
    assert list(zip(told["pass"], told["step"], strict=True)) == every
    kept = {path.name for path in small.iterdir()}
    assert kept == {name + end for name in (PAINTING, PHOTOGRAPH) for end in LONGEST_PX}


def total(bench: Bench, run_id: str) -> int:
    """The step a run is at, counted over both passes; 0 before its first."""
    taken = bench.steps(run_id)
    return STEPS * (taken[-1].pass_number - 1) + taken[-1].number if taken else 0


def test_cancelled_run_leaves_a_checkpoint_to_go_on_from(bench: Bench) -> None:
    order = bench.order(recipe=SHALLOW | ENDLESS)
    future = bench.submit("first", order)
    wait_for("steps", lambda: len(bench.steps("first")) >= 3)
    bench.pool.cancel("first", grace_s=PATIENCE_S)
    assert isinstance(ended(future), Cancelled)
    taken = bench.steps("first")[-1].number
    future = bench.submit("second", order)
    wait_for("a step", lambda: bench.steps("second"))
    assert bench.steps("second")[0].number == taken + 1
    bench.pool.cancel("second", grace_s=PATIENCE_S)
    assert isinstance(ended(future), Cancelled)


def test_run_that_goes_on_from_a_light_checkpoint_says_so_in_its_account(bench: Bench) -> None:
    order = bench.order(recipe=SHALLOW | {"steps": STEPS}, course=bench.root / "light/course.json")
    bench.on_event = lambda run, event: (
        bench.pool.cancel(run, grace_s=PATIENCE_S) if isinstance(event, Progress) else None
    )
    assert isinstance(ended(bench.submit("first", order)), Cancelled)
    bench.on_event = lambda run, event: None
    taken = bench.steps("first")[-1].number
    assert taken < STEPS and order.checkpoint and order.course
    cut_light(order.checkpoint, order.checkpoint)
    done = bench.done("second", order)
    assert [one.number for one in bench.steps("second")] == [*range(taken + 1, STEPS + 1)]
    (warning,) = done.warnings
    assert f"went on from a light checkpoint at step {taken} of pass 1" in warning
    assert json.loads(order.course.read_bytes())["step"] == [*range(1, STEPS + 1)]


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "later"])
def test_damaged_checkpoint_costs_a_warning_and_a_new_beginning(bench: Bench, damage: str) -> None:
    order = bench.order(recipe=SHALLOW | {"steps": 5})
    place = order.checkpoint
    assert place is not None
    bench.done("first", order)
    good = place.read_bytes()
    other = order
    if damage == "other":  # a checkpoint of a picture of another size
        other = replace(order, recipe=SHALLOW | {"size": 96, "steps": 5})
    elif damage == "later":  # of a format that this version does not know
        write_checkpoint(place, Checkpoint({}, {"identity": {"format": 99}}))
    else:
        place.write_bytes(good[: len(good) // 2] if damage == "cut" else b"")
    bench.done("again", other)
    assert [said.number for said in bench.steps("again")] == [1, 2, 3, 4, 5]
    assert any("begins anew" in text for text in bench.log())


def test_memory_that_runs_out_ends_run_and_child_and_a_fresh_one_goes_on_with_less(
    bench: Bench,
) -> None:
    order = bench.order(recipe=SHALLOW | {"size": 320, "steps": 3})
    spent: list[int] = []

    def exhaust(run: str, event: Event) -> None:
        """At once: the second pass has blocks that it cannot have at hand before."""
        if isinstance(event, CheckpointWritten) and not spent:
            spent.append(bench.pid)
            give_no_more_memory(spent[0])

    bench.on_event = exhaust
    short = ended(bench.submit("short", order))
    assert isinstance(short, OutOfMemory) and short.plan is not None
    assert short.plan.size in ("128x96 px", "320x240 px") and short.plan.tiles == "one tile"
    assert f"not enough memory for {short.plan.size}" in short.how
    half = short.plan.predicted_bytes // 2
    done = bench.done("again", replace(order, memory_bytes=half))
    assert bench.pid not in spent and not any(map(is_alive, spent))
    first = bench.steps("again")[0]
    assert (first.pass_number, first.number) > (1, 1)
    last = done.passes[-1]
    assert (last.plan["budget_bytes"], last.width_px) == (half, 320)
    with Image.open(bench.root / "result") as result:
        assert result.size == (320, 240)


def test_memory_that_runs_out_before_any_plan_is_told_without_one(bench: Bench) -> None:
    bench.done("a child")
    (bench.root / "large.jpg").write_bytes(encoded(Image.new("L", (9_000, 9_000))))
    give_no_more_memory(bench.pid)  # it keeps some room from before, but not for 243 MB
    large = bench.order(picture=Blob("", bench.root / "large.jpg"), max_pixels=100_000_000)
    short = ended(bench.submit("short", large))
    assert isinstance(short, OutOfMemory) and short.plan is None
    bench.done("after")


def test_full_disk_costs_no_more_than_the_checkpoint(bench: Bench) -> None:
    (bench.root / "in the way").write_text("")
    place = bench.root / "in the way/checkpoint"
    order = bench.order(recipe={"steps": 3}, checkpoint=place)
    bench.done("run", order)
    assert any("no checkpoint" in text for text in bench.log())


def test_child_that_does_not_stop_is_killed_after_the_grace_time(cold: Bench) -> None:
    future = cold.submit("stuck")
    pid = cold.pid
    os.kill(pid, signal.SIGSTOP)
    cold.pool.cancel("stuck", grace_s=0.4)
    assert isinstance(ended(future), Lost)
    assert not is_alive(pid)


def test_closed_pool_leaves_no_child_even_if_one_is_stuck(cold: Bench) -> None:
    future = cold.submit("stuck")
    pid = cold.pid
    os.kill(pid, signal.SIGSTOP)
    cold.pool.close(grace_s=0.3)
    assert isinstance(ended(future), Lost)
    assert not is_alive(pid)


def test_child_killed_while_idle_costs_the_next_run_nothing(bench: Bench) -> None:
    idle = bench.pid
    os.kill(idle, signal.SIGKILL)
    wait_for("its end", lambda: not bench.pool.pids())
    bench.done("following")
    assert bench.pid != idle


# A warm child, as the service uses it


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def service(shop: Studio) -> Iterator[Service]:
    with shop.service() as running:
        yield running


def test_second_job_finds_the_network_and_the_style_ready(shop: Studio, service: Service) -> None:
    shop.drop("quick/first.jpg")
    shop.published("quick", "first.jpg")
    worker = service.worker()
    grams = [*(shop.state / "engine" / "grams").iterdir()]
    assert grams
    for kept in grams:
        kept.unlink()
    shop.drop("quick/second.jpg")
    shop.published("quick", "second.jpg")
    assert service.worker() == worker
    assert service.log.count("network ready") == 1
    assert not any(kept.exists() for kept in grams)  # they were not computed again


def test_preset_edited_during_a_job_changes_only_the_next_record(
    shop: Studio, service: Service
) -> None:
    shop.add_preset("edited", steps=15)
    shop.drop("edited/before.jpg")
    wait_for("the job to run", lambda: shop.job_of("before.jpg", State.RUNNING))
    shop.add_preset("edited", steps=3)
    shop.drop("edited/after.jpg")
    shop.published("edited", "before.jpg")
    shop.published("edited", "after.jpg")
    assert shop.record("edited/.jobs/before.jpg.json")["recipe"]["steps"] == 15
    assert shop.record("edited/.jobs/after.jpg.json")["recipe"]["steps"] == 3
