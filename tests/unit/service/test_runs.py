"""Runs end in the ledger, whatever it or the machine refuses at that moment."""

import contextlib
import errno
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.job import BULK, Approval, Draft, ProfileRef, State, StyleRef
from daemon.ledger.store import EVERY, Ledger
from daemon.messages import (
    Blob,
    CheckpointWritten,
    Done,
    Failed,
    FailureKind,
    Lost,
    OrderedStyle,
    Outcome,
    OutOfMemory,
    PassPlan,
    Preview,
    RunOrder,
)
from daemon.pool.face import OnEvent
from daemon.service.permit import Permit
from daemon.service.run import make_order, make_run, result_size
from daemon.service.runs import Runs
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health
from daemon.status.metrics import Metrics
from tests.support.actor import STEP
from tests.support.pools import PuppetPool

ANYTHING = Permit(EVERY)
RECIPE = {"size": 64, "seed": 0}


class PoorPool(PuppetPool):
    """A pool that can be told to start no worker."""

    is_poor = False

    def submit(self, device: str, run_id: str, order: RunOrder) -> Future[Outcome]:
        self._check()
        return super().submit(device, run_id, order)

    def warm(self, device: str) -> None:
        self._check()
        super().warm(device)

    def _check(self) -> None:
        if self.is_poor:
            raise OSError(errno.ENOMEM, "no memory")


class Bench:
    """The runs of one device, one waiting job, and a ledger that can be told to refuse."""

    def __init__(self, root: Path) -> None:
        limits = Config().limits.model_copy(update={"free_bytes": 0})
        self.config = Config().model_copy(update={"state": root, "limits": limits})
        self.ledger = Ledger(self.config.ledger_path)
        self.health = Health()
        self.spool = Spool(root)
        self.pools: list[PoorPool] = []
        self.metrics = Metrics(self.config.ledger_path, ["cpu"], self.health, lambda: [])
        self.runs = Runs(
            self.config,
            ["cpu"],
            self.ledger,
            "me",
            self.spool,
            self.health,
            self.metrics,
            lambda: None,
            self._make_pool,
        )
        self.runs.start()
        self.queue("j1")

    def _make_pool(self, config: Config, devices: Sequence[str], hear: OnEvent) -> PoorPool:
        self.pools.append(PoorPool([config.worker(device) for device in devices], hear))
        return self.pools[-1]

    @property
    def pool(self) -> PoorPool:
        return self.pools[-1]

    def queue(self, job_id: str, priority: int = 0, runs_on: str = "") -> None:
        """A picture with one job."""
        picture_id = f"p-{job_id}"
        self.ledger.add_picture(picture_id, Path("starry/photo.jpg"))
        styles = (StyleRef("wave.png", "5a", 2.0),)
        photo = Path("photo.jpg")
        draft = Draft(job_id, "starry", photo, RECIPE, styles, priority=priority, runs_on=runs_on)
        self.ledger.admit(
            picture_id, sha256="ab", size=1, width_px=64, height_px=64, drafts=[draft]
        )

    def tick(self) -> None:
        """A tick of the service, whose devices have rested long enough."""
        self.runs._seating._resting_until_s.clear()
        self.runs.tick(ANYTHING)

    def end(self, outcome: Outcome, job_id: str = "j1") -> None:
        """The job starts, ends so, and the service hears of it."""
        self.tick()
        self.pool.end(job_id, outcome)
        self.runs.tick(Permit(None))

    def refuse(self, method: str, times: int) -> None:
        """The ledger's method cannot be done so many times."""
        done: Callable[..., object] = getattr(self.ledger, method)
        left = [True] * times

        def call(*arguments: object, **more: object) -> object:
            if left:
                left.pop()
                raise SurroundingsError("the disk is full")
            return done(*arguments, **more)

        setattr(self.ledger, method, call)

    def state(self, job_id: str = "j1") -> State:
        return self.ledger.job(job_id).state


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("daemon.service.runs.DRAIN_LOOK_S", 0.0)
    found = Bench(tmp_path)
    yield found
    found.ledger.close()


def test_worker_is_told_all_that_was_decided_about_a_job(bench: Bench) -> None:
    bench.tick()
    spool = bench.spool
    assert bench.pool.open["j1"].order == RunOrder(
        name="photo.jpg",
        picture=Blob("ab", spool.picture("p-j1")),
        max_pixels=bench.config.limits.picture_pixels,
        recipe=RECIPE,
        styles=(OrderedStyle("wave.png", Blob("5a", spool.style("5a")), 2.0),),
        result=spool.result("j1"),
        checkpoint=spool.checkpoint("j1"),
        preview=spool.preview("j1"),
        memory_bytes=None,
        note={"id": "j1", "preset": "starry", "seed": 0},
        course=spool.course("j1"),
        small=spool.small("j1"),
    )


def test_worker_is_told_the_results_format_and_where_the_profiles_lie(bench: Bench) -> None:
    job = replace(bench.ledger.job("j1"), suffix=".png", profiles=(ProfileRef("press.icc", "9c"),))
    picture = bench.ledger.picture("p-j1")
    order = make_order(bench.config, bench.spool, job, picture, None)
    assert order.result_name == "photo.png"
    assert order.profiles == {"press.icc": bench.spool.profile("9c")}


def test_proof_is_a_run_of_its_own_whose_files_the_full_picture_never_meets(bench: Bench) -> None:
    spool, picture = bench.spool, bench.ledger.picture("p-j1")
    recipe = RECIPE | {"size": 4096, "timelapse": True}
    asked = replace(bench.ledger.job("j1"), recipe=recipe, approval=Approval.ASKED)
    proof = make_order(bench.config, spool, asked, picture, None)
    assert proof.proof and proof.recipe == recipe and proof.note["proof"] is True
    assert (proof.result, proof.timelapse) == (spool.proof("j1"), None)
    approved = replace(asked, approval=Approval.GIVEN)
    full = make_order(bench.config, spool, approved, picture, None)
    assert not full.proof and full.recipe == recipe and "proof" not in full.note
    assert (full.result, full.timelapse) == (spool.result("j1"), spool.timelapse("j1"))
    assert full.checkpoint != proof.checkpoint
    assert make_run(bench.config, "cpu", asked, picture, 0.0).shown.proof
    assert result_size(asked, picture) == (512, 512)
    assert result_size(approved, picture) == (4096, 4096)


def test_proof_that_went_well_waits_to_be_published_as_such(bench: Bench) -> None:
    bench.ledger.database.connection.execute("UPDATE job SET approval = 'asked'")
    bench.end(Done(seconds=1.0))
    assert (bench.state(), bench.ledger.job("j1").verdict) == (State.PUBLISHING, State.AWAITING)


@pytest.mark.parametrize(
    ("label", "shared"),
    [
        ("", ""),
        ("beta 5, style_scale 2", ""),
        ("quality 40", "p-j1 starry "),
        ("quality 40, beta 5", "p-j1 starry beta 5"),
        ("beta 5, format png", "p-j1 starry beta 5"),
    ],
)
def test_cells_that_differ_in_the_results_form_alone_share_their_painting(
    bench: Bench, label: str, shared: str
) -> None:
    job = replace(bench.ledger.job("j1"), label=label)
    order = make_order(bench.config, bench.spool, job, bench.ledger.picture("p-j1"), None)
    assert order.shared == shared


def test_cells_with_a_timelapse_are_each_painted(bench: Bench) -> None:
    plain = bench.ledger.job("j1")
    job = replace(plain, label="quality 40", recipe={**plain.recipe, "timelapse": True})
    order = make_order(bench.config, bench.spool, job, bench.ledger.picture("p-j1"), None)
    assert order.shared == "" and order.timelapse == bench.spool.timelapse("j1")


def test_job_whose_result_would_find_no_room_waits_before_it_is_painted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.ledger.request_cancel("j1")
    bench.ledger.cancel_waiting("not this one")
    bench.ledger.add_picture("p2", Path("starry/wide.tif"))
    large = Draft("j2", "starry", Path("wide.tif"), RECIPE | {"size": 10_000}, (), suffix=".tif")
    bench.ledger.admit(
        "p2", sha256="ab", size=1, width_px=50, height_px=20, drafts=[large], form="TIFF", bits=16
    )
    room = 10_000 * 4_000 * 3 * 2  # 240 MB, and noise does not pack
    monkeypatch.setattr("daemon.host.files.free_bytes", lambda folder: room)
    bench.tick()
    assert bench.state("j2") == State.READY
    assert "0.3 GB are to come" in bench.health.troubles["disk"]
    monkeypatch.setattr("daemon.host.files.free_bytes", lambda folder: 2 * room)
    bench.tick()
    assert bench.state("j2") == State.RUNNING and "disk" not in bench.health.troubles


def test_run_that_went_well_waits_to_be_published_with_what_was_reported(bench: Bench) -> None:
    done = Done(device="cpu", seconds=2.5, warnings=("late",))
    bench.end(done)
    job = bench.ledger.job("j1")
    assert (job.state, job.verdict, job.outcome) == (State.PUBLISHING, State.DONE, done)
    assert job.warnings == ("late",) and len(bench.runs) == 0


def test_run_that_failed_fails_its_job_and_says_why(bench: Bench) -> None:
    bench.end(Failed("input", "no picture"))
    job = bench.ledger.job("j1")
    assert (job.state, job.verdict, job.reason) == (State.PUBLISHING, State.FAILED, "no picture")


def test_painting_that_was_refused_fails_its_job_with_what_it_came_to(bench: Bench) -> None:
    painted = Done(device="cpu", seconds=2.5, warnings=("late",), judge={"noise": 9.0})
    bench.end(Failed("input", "it is far too noisy", painted))
    job = bench.ledger.job("j1")
    assert (job.verdict, job.reason) == (State.FAILED, "it is far too noisy")
    assert (job.outcome, job.warnings) == (painted, ("late",))


@pytest.mark.parametrize("kind", ["surroundings", "device"])
def test_broken_surroundings_charge_no_job_and_are_a_trouble_of_the_worker(
    bench: Bench, kind: FailureKind
) -> None:
    bench.end(Failed(kind, "the device is lost"))
    assert (bench.state(), bench.ledger.fruitless_starts("j1")) == (State.READY, 0)
    assert "cpu: the device is lost" in bench.health.troubles["worker"]


def test_third_lost_worker_in_a_row_fails_the_job(bench: Bench) -> None:
    for _ in range(2):
        bench.end(Lost("was ended by SIGKILL"))
        assert bench.state() is State.READY
    bench.end(Lost("was ended by SIGKILL"))
    job = bench.ledger.job("j1")
    assert job.verdict is State.FAILED and "lost 3 times in a row" in job.reason


def test_start_that_left_a_checkpoint_is_not_charged(bench: Bench) -> None:
    bench.tick()
    bench.runs._hear("j1", CheckpointWritten())
    bench.end(Lost("was ended by SIGKILL"))
    assert bench.ledger.fruitless_starts("j1") == 0


def test_run_without_memory_goes_on_with_half_of_its_plan(bench: Bench) -> None:
    plan = PassPlan("64x64 px", "one tile", 800, 0, 900)
    bench.end(OutOfMemory("not enough memory", plan))
    assert (bench.state(), bench.ledger.memory_of("j1")) == (State.READY, (1, 400))
    bench.tick()
    assert bench.pool.open["j1"].order.memory_bytes == 400


def test_what_a_worker_says_is_shown(bench: Bench) -> None:
    bench.tick()
    bench.runs._hear("j1", Preview(Path("/spool/preview.jpg")))
    (shown,) = bench.runs.shown()
    assert (shown.total, shown.losses) == (STEP.total, STEP.losses)
    assert shown.preview == "/spool/preview.jpg" and bench.runs.reached == 1


def test_cancelled_job_is_stopped_and_ends_as_such(bench: Bench) -> None:
    bench.tick()
    bench.ledger.request_cancel("j1")
    bench.tick()
    bench.tick()
    assert bench.ledger.job("j1").verdict is State.CANCELLED


def test_bulk_job_goes_back_into_the_line_where_an_ordinary_one_waits(bench: Bench) -> None:
    bench.end(Failed("input", "no picture"))
    bench.queue("b1", BULK)
    bench.tick()
    assert bench.state("b1") is State.RUNNING
    bench.queue("j2")
    bench.tick()
    bench.tick()
    assert (bench.state("b1"), bench.state("j2")) == (State.READY, State.RUNNING)


def test_other_settings_of_the_workers_mean_other_workers(bench: Bench) -> None:
    bench.tick()
    bench.runs.change(bench.config.model_copy(update={"dedupe": False}), ["cpu"])
    assert len(bench.pools) == 1 and bench.state() is State.RUNNING
    bench.runs.change(bench.config.model_copy(update={"checkpoint_every": 5.0}), ["cpu"])
    assert len(bench.pools) == 2 and bench.state() is State.READY


def test_end_that_the_ledger_could_not_be_told_at_once_is_told_while_draining(
    bench: Bench,
) -> None:
    bench.tick()
    assert bench.state() is State.RUNNING
    bench.refuse("release_job", times=2)
    bench.runs.stop_all("the service stops", 60.0)
    bench.runs.drain(30.0)
    assert bench.state() is State.READY
    assert len(bench.runs) == 0


@pytest.mark.parametrize("method", ["picture", "memory_of"])
def test_job_that_the_ledger_could_not_tell_of_is_started_later(bench: Bench, method: str) -> None:
    bench.refuse(method, times=1)
    with pytest.raises(SurroundingsError):
        bench.tick()
    bench.tick()
    assert list(bench.pool.open) == ["j1"]
    assert bench.state() is State.RUNNING and len(bench.runs) == 1


def test_worker_that_cannot_be_started_gives_its_job_back_once_the_ledger_takes_it(
    bench: Bench,
) -> None:
    bench.refuse("release_job", times=1)
    bench.pool.is_poor = True
    for _ in range(3):  # the start, its end refused, its end
        with contextlib.suppress(SurroundingsError):
            bench.runs.tick(ANYTHING)
    assert bench.state() is State.READY
    assert len(bench.runs) == 0


def test_worker_that_cannot_be_started_early_is_a_trouble_and_tried_again(bench: Bench) -> None:
    bench.pool.is_poor = True
    assert not bench.runs.warm()
    assert "no memory" in bench.health.troubles["worker"]
    bench.pool.is_poor = False
    bench.runs._warm_again_s = 0.0
    bench.runs.warm()
    assert bench.runs.warm() and bench.health.troubles == {}
