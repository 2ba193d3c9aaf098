"""Several jobs at once on a device: small ones side by side, large ones alone, none passed over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import SurroundingsError
from daemon.job import BULK, Draft, Job, State, StyleRef
from daemon.ledger.store import EVERY
from daemon.messages import Cancelled, Done, Failed, Lost, OutOfMemory
from daemon.pool.face import Seat, kind_of
from daemon.pool.seat_names import seat_name
from daemon.service.permit import Permit
from daemon.service.sharing import Sharing
from daemon.service.sharing_trial import JOBS
from tests.unit.service.test_runs import Bench

SMALL_PX, LARGE_PX = 512, 4000
GPU = frozenset({"cuda"})


def card(
    device: str, sharers: int, *, on_trial: bool = False, total: int | None = None
) -> list[Seat]:
    """The seats of a device."""
    offers = frozenset({kind_of(device)})
    return [
        Seat(seat_name(device, number), None, True, offers=offers, sharers=sharers,
             on_trial=on_trial, total_bytes=total)
        for number in range(1, sharers + 1)
    ]  # fmt: skip


class Studio(Bench):
    """Runs on one GPU that two jobs share, and no job yet."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.runs.change(self.config, [])
        self.ledger.request_cancel("j1")
        self.ledger.cancel_waiting("not this one")

    def drop(
        self, job_id: str, size: int = SMALL_PX, *, bulk: bool = False, runs_on: str = ""
    ) -> None:
        """A square picture of so many pixels a side, with one job."""
        picture_id = f"p-{job_id}"
        self.ledger.add_picture(picture_id, Path("starry/photo.jpg"))
        draft = Draft(
            job_id,
            "starry",
            Path("photo.jpg"),
            {"size": size, "seed": 0},
            (StyleRef("wave.png", "5a", 2.0),),
            priority=BULK if bulk else 0,
            runs_on=runs_on,
        )
        self.ledger.admit(
            picture_id, sha256="ab", size=1, width_px=4000, height_px=4000, drafts=[draft]
        )

    def where(self) -> dict[str, str]:
        """The open runs, and on which seats."""
        return {run_id: act.device for run_id, act in sorted(self.pool.open.items())}

    def painted(self, job_id: str, seconds: float = 1.0) -> None:
        """A job is painted, and the next ones begin."""
        self.pool.end(job_id, Done(seconds=seconds))
        self.tick()


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setattr("daemon.service.runs.DRAIN_LOOK_S", 0.0)
    found = Studio(tmp_path)
    yield found
    found.ledger.close()


def test_small_pictures_are_painted_side_by_side_each_held_to_its_share(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2))
    for job_id in ("a", "b", "c"):
        studio.drop(job_id)
    studio.tick()
    assert studio.where() == {"a": "cuda:0", "b": "cuda:0/2"}
    assert sharers(studio) == {"a": 2, "b": 2}
    studio.painted("a")
    assert studio.where() == {"b": "cuda:0/2", "c": "cuda:0"}


def test_large_picture_has_the_device_and_its_memory_to_itself(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2))
    studio.drop("large", LARGE_PX)
    studio.drop("small")
    studio.tick()
    assert studio.where() == {"large": "cuda:0"}
    assert sharers(studio) == {"large": 1}
    studio.painted("large")
    assert studio.where() == {"small": "cuda:0"}


def test_large_picture_is_not_passed_over_by_small_ones_behind_it(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2))
    studio.drop("first")
    studio.drop("large", LARGE_PX)
    studio.drop("last")
    studio.tick()
    assert studio.where() == {"first": "cuda:0"}
    studio.painted("first")
    assert studio.where() == {"large": "cuda:0"}


def test_large_picture_takes_another_gpu_that_is_free(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2), *card("cuda:1", 2))
    studio.drop("a")
    studio.drop("large", LARGE_PX)
    studio.drop("b")
    studio.tick()
    assert studio.where() == {"a": "cuda:0", "b": "cuda:0/2", "large": "cuda:1"}


def test_what_fits_beside_others_follows_from_the_memory_of_the_device() -> None:
    sharing = Sharing()
    sharing.look([*card("cuda:0", 2, total=8 << 30), *card("cuda:1", 2, total=80 << 30)])
    assert sharing.fits_beside("cuda:0", 600_000)
    assert not sharing.fits_beside("cuda:0", 800_000)
    assert sharing.fits_beside("cuda:1", 4_000_000)
    assert not sharing.fits_beside("cuda:1", 4_000_001)
    assert not sharing.fits_beside("cuda:1", 0)  # a size that is not known may be any


@pytest.mark.parametrize(
    "outcome", [Lost("was ended by SIGKILL"), OutOfMemory("none left"), Failed("bug", "a bug")]
)
def test_worker_that_ends_is_no_matter_of_its_neighbours(
    studio: Studio, outcome: Lost | OutOfMemory | Failed
) -> None:
    studio.pool.add(*card("cuda:0", 2))
    studio.drop("a")
    studio.drop("b")
    studio.tick()
    studio.pool.end("a", outcome)
    studio.runs.tick(Permit(EVERY))
    assert studio.where()["b"] == "cuda:0/2"
    assert studio.state("b") is State.RUNNING
    assert studio.ledger.fruitless_starts("b") == 1  # its own, that is under way
    studio.painted("b")
    assert studio.state("b") is State.PUBLISHING


def test_seats_of_a_gpu_that_others_need_are_all_left(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2))
    studio.drop("a")
    studio.drop("b")
    studio.tick()
    studio.runs.tick(Permit(EVERY, left=frozenset({"cuda:0"})))
    assert studio.where() == {}
    studio.runs.tick(Permit(EVERY, left=frozenset({"cuda:0"})))
    assert {studio.state("a"), studio.state("b")} == {State.READY}


def test_bulk_picture_that_has_a_shared_device_to_itself_makes_way(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2))
    studio.drop("bulk", LARGE_PX, bulk=True)
    studio.tick()
    studio.drop("ordinary")
    studio.tick()
    studio.tick()
    assert studio.where() == {"ordinary": "cuda:0"}


def test_bulk_pictures_make_way_for_a_large_one_until_it_has_the_device(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2))
    studio.drop("b1", bulk=True)
    studio.drop("b2", bulk=True)
    studio.tick()
    studio.drop("large", LARGE_PX)
    for _ in range(3):
        studio.tick()
    assert studio.where() == {"large": "cuda:0"}


def test_auto_begins_with_one_job_and_keeps_two_where_they_give_more(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2, on_trial=True))
    for number in range(4 * JOBS):
        studio.drop(f"j{number:02}")
    studio.tick()
    assert [seat.device for seat in studio.runs.seats] == ["cuda:0"]
    for number in range(JOBS):
        assert len(studio.where()) == 1
        studio.painted(f"j{number:02}", 10.0)
    assert [seat.device for seat in studio.runs.seats] == ["cuda:0", "cuda:0/2"]
    while studio.where():
        assert len(studio.where()) in (1, 2)
        studio.painted(min(studio.where()), 12.0)
    assert studio.runs._sharing._trials["cuda:0"].level == 2
    assert studio.runs._sharing._trials["cuda:0"].settled


def test_worker_that_does_not_pay_is_ended_and_its_seat_no_longer_shown(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2, on_trial=True))
    for number in range(4 * JOBS):
        studio.drop(f"j{number:02}")
    studio.tick()
    while studio.where():
        slow = len(studio.where()) == 2
        studio.painted(min(studio.where()), 25.0 if slow else 10.0)
    assert [seat.device for seat in studio.runs.seats] == ["cuda:0"]
    assert studio.pool._living == {"cuda:0"}


def test_workers_on_trial_are_not_started_before_they_have_a_job(studio: Studio) -> None:
    studio.pool.add(
        *(Seat(one.device, offers=GPU, sharers=2, on_trial=True) for one in card("cuda:0", 2))
    )
    studio.runs.warm()
    assert studio.pool._living == {"cuda:0"}


def test_run_that_was_stopped_is_forgotten_by_its_neighbours(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 2))
    studio.drop("a", LARGE_PX)
    studio.tick()
    studio.pool.end("a", Cancelled())
    studio.runs.tick(Permit(None))
    assert studio.runs._sharing._guests["cuda:0"] == {}


def sharers(studio: Studio) -> dict[str, int]:
    """Among how many each open run was told that the memory of its device is divided."""
    return {run_id: act.order.sharers for run_id, act in sorted(studio.pool.open.items())}


def beside(studio: Studio) -> dict[str, int]:
    """How many others each open run was told to divide its device with."""
    return {run_id: act.order.beside for run_id, act in sorted(studio.pool.open.items())}


def test_jobs_that_begin_together_are_told_of_each_other_and_one_by_itself_of_none(
    studio: Studio,
) -> None:
    studio.pool.add(*card("cpu", 2))
    studio.drop("a")
    studio.tick()
    assert beside(studio) == {"a": 0}
    studio.painted("a")
    for job_id in ("b", "c", "d"):
        studio.drop(job_id)
    studio.tick()
    assert beside(studio) == {"b": 1, "c": 1}
    studio.painted("b")
    assert beside(studio) == {"c": 1, "d": 1}
    studio.painted("c")
    studio.painted("d")
    studio.drop("e")
    studio.tick()
    assert beside(studio) == {"e": 0}


def test_device_that_is_not_shared_has_no_job_beside_another(studio: Studio) -> None:
    studio.pool.add(*card("cpu", 1), *card("cuda:0", 2))
    for job_id in ("a", "b", "c"):
        studio.drop(job_id)
    studio.tick()
    where, told = studio.where(), beside(studio)
    assert {where[job_id]: told[job_id] for job_id in where} == {
        "cpu": 0, "cuda:0": 1, "cuda:0/2": 1,
    }  # fmt: skip


def test_small_pictures_alone_share_a_cpu() -> None:
    sharing = Sharing()
    sharing.look([*card("cpu", 2, total=24 << 30), *card("desk/cpu", 2, total=6 << 30)])
    assert sharing.fits_beside("cpu", 1_000_000)
    assert not sharing.fits_beside("cpu", 1_000_001)
    assert sharing.fits_beside("desk/cpu", 300_000)
    assert not sharing.fits_beside("desk/cpu", 500_000)


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        (OutOfMemory("none left"), 1),
        (Failed("device", "the device failed: busy or unavailable"), 1),
        (Failed("surroundings", "No space left on device: /s/result"), 2),
        (Failed("input", "the loss was no number"), 2),
        (Lost("was ended by SIGKILL"), 2),
    ],
)
def test_device_that_turns_out_to_have_no_room_for_another_job_goes_back_to_fewer(
    studio: Studio, outcome: Lost | OutOfMemory | Failed, level: int
) -> None:
    studio.pool.add(*card("cuda:0", 2, on_trial=True))
    for number in range(3 * JOBS):
        studio.drop(f"j{number:02}")
    studio.tick()
    for number in range(JOBS):
        studio.painted(f"j{number:02}", 10.0)
    assert len(studio.where()) == 2
    studio.pool.end(max(studio.where()), outcome)
    studio.tick()
    trial = studio.runs._sharing._trials["cuda:0"]
    assert (trial.level, trial.settled) == (level, level == 1)


def test_ledger_that_fails_once_a_job_is_claimed_leaves_no_run_that_nobody_paints(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.pool.add(*card("cpu", 2))
    studio.drop("a")
    studio.drop("b")
    claim = studio.ledger.claim_job

    def fails(*asked: object) -> None:
        raise SurroundingsError("the ledger: disk I/O error")

    def claim_once(*asked: Any) -> Job | None:
        job = claim(*asked)
        for name in ("claim_job", "asked_for", "first_in"):
            broken.setattr(studio.ledger, name, fails)
        return job

    with monkeypatch.context() as broken:
        broken.setattr(studio.ledger, "claim_job", claim_once)
        with pytest.raises(SurroundingsError):
            studio.tick()
    assert beside(studio) == {"a": 0}
    studio.painted("a")
    assert studio.state("a") is State.PUBLISHING
    assert beside(studio) == {"b": 0}


def test_picture_on_trial_of_one_at_a_time_has_all_of_the_memory(studio: Studio) -> None:
    studio.pool.add(*card("cpu", 2, on_trial=True))
    for number in range(2 * JOBS):
        studio.drop(f"j{number:02}")
    studio.tick()
    for number in range(JOBS):
        assert sharers(studio) == {f"j{number:02}": 1}
        studio.painted(f"j{number:02}", 10.0)
    assert set(sharers(studio).values()) == {2}


def test_memory_is_divided_among_those_that_are_painted_at_once_and_not_among_seats(
    studio: Studio,
) -> None:
    studio.pool.add(*card("cpu", 4, on_trial=True))
    for number in range(6 * JOBS):
        studio.drop(f"j{number:02}")
    studio.tick()
    while studio.where():
        assert set(sharers(studio).values()) <= {1, 2, 4}
        at_once = len(studio.where())
        slow = {1: 10.0, 2: 12.0, 3: 50.0}[at_once]
        studio.painted(min(studio.where()), slow)
    studio.drop("z")
    studio.tick()
    assert sharers(studio) == {"z": 2}


def test_one_waiting_job_is_the_neighbour_of_one_however_many_seats_are_open(
    studio: Studio,
) -> None:
    studio.pool.add(*card("cpu", 4))
    studio.drop("a")
    studio.drop("b")
    studio.tick()
    assert beside(studio) == {"a": 1, "b": 1}


def test_job_that_begins_elsewhere_is_nobodys_neighbour(studio: Studio) -> None:
    studio.pool.add(*card("cuda:0", 1), *card("cpu", 2))
    studio.drop("a", runs_on="cpu")
    studio.drop("b")
    studio.tick()
    assert studio.where() == {"a": "cpu", "b": "cuda:0"}
    assert beside(studio) == {"a": 0, "b": 0}
