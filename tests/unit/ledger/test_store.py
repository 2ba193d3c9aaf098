"""The ledger: every transition from the right state and by its owner, and from no other."""

import contextlib
import dataclasses
import json
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from loguru import logger

from daemon.errors import StaleJobError, SurroundingsError
from daemon.job import (
    BULK,
    ORDINARY,
    Draft,
    Job,
    MaskRef,
    Outputs,
    PictureState,
    ProfileRef,
    State,
    StyleRef,
)
from daemon.ledger.database import SCHEMA_VERSION, DamagedLedgerError
from daemon.ledger.opening import open_sound
from daemon.ledger.rows import Backlog, Waiting
from daemon.ledger.store import EVERY, Ledger, utc_now
from daemon.messages import Done

STYLES = (StyleRef("wave.png", "5a", 2.0),)
PLANNED = Outputs(record="failed/a.json")
RECIPE = {"size": 512, "style_layers": {"relu1_1": 1.0}}
SRGB_IN_8_BITS = {"profile": "srgb", "depth": 8}
"""What the results of jobs were until ledgers of version 7."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    found = Ledger(path)
    yield found
    found.close()


def drop_columns_since_9(ledger: sqlite3.Connection) -> None:
    """Makes a ledger what it was before version 10, but for its number."""
    ledger.execute("DROP INDEX job_asking")
    ledger.execute("ALTER TABLE job DROP COLUMN runs_on")


def drop_columns_since_6(ledger: sqlite3.Connection) -> None:
    """Makes a ledger what it was before version 7, but for its number."""
    drop_columns_since_9(ledger)
    for table, column in (
        ("job", "suffix"),
        ("job", "profiles"),
        ("job", "mask"),
        ("picture", "format"),
        ("picture", "bits"),
    ):
        ledger.execute(f"ALTER TABLE {table} DROP COLUMN {column}")


def draft(job_id: str, reason: str = "", fingerprint: str | None = None) -> Draft:
    return Draft(job_id, "starry", Path("photo.jpg"), RECIPE, STYLES, reason, fingerprint)


def admit(ledger: Ledger, *drafts: Draft, picture: str = "p1") -> None:
    """A picture with its jobs, all waiting unless they have a reason."""
    ledger.add_picture(picture, Path("starry/photo.jpg"))
    ledger.admit(picture, sha256="ab", size=9, width_px=4, height_px=3, drafts=drafts)


def job(ledger: Ledger, job_id: str = "j1") -> Job:
    (found,) = ledger.jobs_by_prefix(job_id)
    return found


def run_it(ledger: Ledger, owner: str = "me") -> None:
    assert ledger.claim_job(owner) is not None


def finish(
    ledger: Ledger, verdict: State = State.DONE, owner: str = "me", job_id: str = "j1"
) -> None:
    ledger.finish_job(job_id, owner, verdict, outcome=Done(seconds=2.5), reason="why")


def publish(ledger: Ledger, verdict: State = State.DONE, job_id: str = "j1") -> None:
    """The first in line is run to its end."""
    run_it(ledger)
    finish(ledger, verdict, job_id=job_id)
    ledger.publish_job(job_id)


def rows(ledger: Ledger) -> dict[str, tuple[object, ...]]:
    """Every job and picture by its id, with all its columns."""
    return {
        row["id"]: tuple(row)
        for table in ("job", "picture")
        for row in ledger.database.connection.execute(f"SELECT * FROM {table}")
    }


REACH: dict[State, Callable[[Ledger], None]] = {
    State.READY: lambda ledger: None,
    State.RUNNING: run_it,
    State.PUBLISHING: lambda ledger: (run_it(ledger), finish(ledger)),  # type: ignore[func-returns-value]
    State.AWAITING: lambda ledger: publish(ledger, State.AWAITING),
    State.DONE: publish,
    State.FAILED: lambda ledger: publish(ledger, State.FAILED),
    State.CANCELLED: lambda ledger: publish(ledger, State.CANCELLED),
    State.RETRIED: lambda ledger: (publish(ledger, State.FAILED), ledger.retry_job("j1")),  # type: ignore[func-returns-value]
}
"""How a job comes into each state."""

TRANSITIONS: dict[str, tuple[Callable[[Ledger], None], dict[State, State]]] = {
    "release": (lambda ledger: ledger.release_job("j1", "me"), {State.RUNNING: State.READY}),
    "return": (lambda ledger: ledger.return_job("j1", "me"), {State.RUNNING: State.READY}),
    "return short": (
        lambda ledger: ledger.return_out_of_memory("j1", "me", memory_bytes=9, warning="short"),
        {State.RUNNING: State.READY},
    ),
    "finish": (finish, {State.RUNNING: State.PUBLISHING}),
    "plan outputs": (
        lambda ledger: ledger.plan_outputs("j1", Outputs(result="a")),
        {State.PUBLISHING: State.PUBLISHING},
    ),
    "publish": (lambda ledger: ledger.publish_job("j1", tell=True), {State.PUBLISHING: State.DONE}),
    "paint after a proof": (
        lambda ledger: ledger.proofs.repaint("j1", draft("another"), []),
        {State.AWAITING: State.READY},
    ),
    "reject": (lambda ledger: ledger.proofs.reject("j1", "no"), {State.AWAITING: State.PUBLISHING}),
    "retry": (
        lambda ledger: ledger.retry_job("j1"),
        {State.FAILED: State.RETRIED, State.CANCELLED: State.RETRIED},
    ),
    "note progress": (
        lambda ledger: ledger.note_progress("j1", "me"),
        {State.RUNNING: State.RUNNING},
    ),
    "request cancel": (
        lambda ledger: ledger.request_cancel("j1"),
        {state: state for state in (State.READY, State.RUNNING, State.AWAITING)},
    ),
    "put first": (lambda ledger: ledger.places.put_first("j1"), {State.READY: State.READY}),
    "put last": (lambda ledger: ledger.places.put_last("j1"), {State.READY: State.READY}),
}
"""Each guarded transition of a job, and from which state to which it leads."""


@pytest.mark.parametrize("state", REACH)
@pytest.mark.parametrize("name", TRANSITIONS)
def test_transition_applies_in_its_states_and_in_no_other(
    ledger: Ledger, name: str, state: State
) -> None:
    admit(ledger, draft("j1"))
    REACH[state](ledger)
    before = job(ledger)
    assert before.state is state
    transition, leads = TRANSITIONS[name]
    if state in leads:
        transition(ledger)
        assert job(ledger).state is leads[state]
    else:
        with pytest.raises(StaleJobError):
            transition(ledger)
        assert job(ledger) == before


@pytest.mark.parametrize("name", TRANSITIONS)
def test_transition_leaves_every_other_job_as_it_was(ledger: Ledger, name: str) -> None:
    transition, leads = TRANSITIONS[name]
    admit(ledger, draft("running"), draft("publishing"), draft("done"), draft("failed"))
    run_it(ledger)
    run_it(ledger)
    finish(ledger, job_id="publishing")
    publish(ledger, State.DONE, "done")
    publish(ledger, State.FAILED, "failed")
    admit(ledger, draft("j1"), picture="p2")
    REACH[next(iter(leads))](ledger)
    admit(ledger, draft("ready"), picture="p3")
    before = rows(ledger)
    transition(ledger)
    after = rows(ledger)
    assert {one for one in after if after[one] != before[one]} <= {"j1"}


@pytest.mark.parametrize(
    "transition",
    [
        lambda ledger: ledger.release_job("j1", "another"),
        lambda ledger: ledger.return_job("j1", "another"),
        lambda ledger: ledger.return_out_of_memory(
            "j1", "another", memory_bytes=9, warning="short"
        ),
        lambda ledger: finish(ledger, owner="another"),
    ],
    ids=["release", "return", "return short", "finish"],
)
def test_running_job_is_its_owners_alone(
    ledger: Ledger, transition: Callable[[Ledger], None]
) -> None:
    admit(ledger, draft("j1"))
    run_it(ledger, "me")
    before = job(ledger)
    with pytest.raises(StaleJobError):
        transition(ledger)
    assert job(ledger) == before


def test_transition_of_an_unknown_job_is_an_error(ledger: Ledger) -> None:
    with pytest.raises(StaleJobError, match="nobody"):
        ledger.publish_job("nobody")


def test_job_keeps_everything_it_was_queued_with(ledger: Ledger) -> None:
    odd = Path(b"k\xff\n'\"/photo.jpg".decode("utf-8", "surrogateescape"))
    ledger.add_picture("p1", odd, [odd.with_suffix(".yaml"), odd.with_suffix(".png")])
    ledger.admit(
        "p1",
        sha256="ab",
        size=9,
        width_px=4,
        height_px=3,
        drafts=[Draft("j1", "starry", odd, RECIPE, STYLES)],
    )
    found = job(ledger)
    assert (found.below, found.recipe, found.styles) == (odd, RECIPE, STYLES)
    assert (found.picture_id, found.preset) == ("p1", "starry")
    assert (found.state, found.verdict, found.starts) == (State.READY, None, 0)
    assert (found.started_at, found.finished_at, found.cancel_requested) == (None, None, False)
    assert (found.outputs, found.outcome, found.warnings) == (Outputs(), None, ())
    picture = ledger.picture("p1")
    assert picture.path == odd
    assert picture.companions == (odd.with_suffix(".yaml"), odd.with_suffix(".png"))
    assert (picture.sha256, picture.bytes) == ("ab", 9)
    assert (picture.width_px, picture.height_px) == (4, 3)


def test_finished_job_keeps_what_the_worker_reported(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    run_it(ledger)
    ledger.finish_job("j1", "me", State.DONE, outcome=Done(seconds=2.5), warnings=["late"])
    found = job(ledger)
    assert (found.verdict, found.outcome) == (State.DONE, Done(seconds=2.5))
    assert (found.warnings, found.reason) == (("late",), "")
    assert found.started_at and found.finished_at
    assert found.queued_at <= found.started_at <= found.finished_at


def test_failed_job_keeps_why_and_a_published_one_its_files(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    run_it(ledger)
    finish(ledger, State.FAILED)
    ledger.plan_outputs("j1", PLANNED)
    ledger.publish_job("j1")
    assert (job(ledger).reason, job(ledger).outputs) == ("why", PLANNED)


def test_times_are_in_utc_to_the_millisecond() -> None:
    now = utc_now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", now)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(now)).total_seconds()) < 60


def test_line_is_first_in_first_out(ledger: Ledger) -> None:
    admit(ledger, draft("b"), draft("a"))
    admit(ledger, draft("c"), picture="p2")
    claimed = [ledger.claim_job("me") for _ in range(4)]
    assert [one.id if one else None for one in claimed] == ["b", "a", "c", None]


def test_job_that_came_back_keeps_its_place_in_the_line(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"))
    run_it(ledger)
    ledger.return_job("j1", "me")
    assert ledger.claim_job("me").id == "j1"  # type: ignore[union-attr]


def test_lost_start_is_charged_and_a_released_one_is_not(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    for expected in (1, 2):
        run_it(ledger)
        assert ledger.fruitless_starts("j1") == expected
        ledger.return_job("j1", "me")
    run_it(ledger)
    ledger.release_job("j1", "me")
    assert ledger.fruitless_starts("j1") == 0
    assert job(ledger).starts == 3


def test_start_that_got_further_is_not_charged(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    run_it(ledger)
    ledger.return_job("j1", "me")
    run_it(ledger)
    ledger.note_progress("j1", "me")
    assert ledger.fruitless_starts("j1") == 0
    with pytest.raises(StaleJobError):
        ledger.note_progress("j1", "somebody else")


def test_start_that_had_too_little_memory_is_counted_apart_and_survives_a_restart(
    ledger: Ledger, path: Path
) -> None:
    admit(ledger, draft("j1"))
    assert ledger.memory_of("j1") == (0, None)
    run_it(ledger)
    ledger.return_job("j1", "me")
    for count, memory_bytes in ((1, 4000), (2, 2000)):
        run_it(ledger)
        warning = f"shortage {count}"
        ledger.return_out_of_memory("j1", "me", memory_bytes=memory_bytes, warning=warning)
        assert ledger.memory_of("j1") == (count, memory_bytes)
        assert ledger.fruitless_starts("j1") == 1  # the one that was lost
    run_it(ledger)
    ledger.release_job("j1", "me")
    again = Ledger(path)
    assert again.memory_of("j1") == (2, 2000)
    again.close()


def test_want_of_memory_is_a_warning_whatever_becomes_of_the_job(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    run_it(ledger)
    ledger.return_out_of_memory("j1", "me", memory_bytes=None, warning="it's short")
    assert job(ledger).warnings == ("it's short",)
    run_it(ledger)
    ledger.finish_job("j1", "me", State.DONE, warnings=["a", "b"])
    assert job(ledger).warnings == ("it's short", "a", "b")


def test_want_of_memory_every_time_is_a_warning_every_time(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    for warning in ("first", "second"):
        run_it(ledger)
        ledger.return_out_of_memory("j1", "me", memory_bytes=9, warning=warning)
    assert job(ledger).warnings == ("first", "second")


def test_want_of_memory_after_a_checkpoint_gives_no_start_for_nothing(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    run_it(ledger)
    ledger.note_progress("j1", "me")
    ledger.return_out_of_memory("j1", "me", memory_bytes=9, warning="short")
    assert ledger.fruitless_starts("j1") == 0


def test_time_of_the_first_start_is_kept(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    run_it(ledger)
    first = job(ledger).started_at
    ledger.return_job("j1", "me")
    run_it(ledger)
    assert job(ledger).started_at == first


def test_draft_that_failed_only_waits_to_be_published(ledger: Ledger) -> None:
    admit(ledger, draft("j1", "No preset."))
    found = job(ledger)
    assert (found.state, found.verdict, found.reason) == (
        State.PUBLISHING,
        State.FAILED,
        "No preset.",
    )
    assert found.finished_at == found.queued_at
    assert ledger.claim_job("me") is None


def test_what_was_worth_a_warning_before_a_job_began_stays_with_it(ledger: Ledger) -> None:
    admit(ledger, dataclasses.replace(draft("j1"), warnings=("the tail is empty",)))
    run_it(ledger)
    ledger.finish_job("j1", "me", State.DONE, warnings=["a"])
    assert job(ledger).warnings == ("the tail is empty", "a")


def test_waiting_job_that_was_cancelled_never_runs(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"))
    ledger.request_cancel("j1")
    (cancelled,) = ledger.cancel_waiting("on request")
    assert (cancelled.id, cancelled.state) == ("j1", State.PUBLISHING)
    assert (cancelled.verdict, cancelled.reason) == (State.CANCELLED, "on request")
    assert cancelled.cancel_requested and cancelled.finished_at
    assert ledger.cancel_waiting("on request") == []
    assert ledger.claim_job("me").id == "j2"  # type: ignore[union-attr]


def test_running_job_that_is_to_be_cancelled_is_listed(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("waits"))
    run_it(ledger)
    assert ledger.cancel_requests() == []
    ledger.request_cancel("j1")
    assert ledger.cancel_waiting("on request") == []
    ledger.request_cancel("waits")
    assert ledger.cancel_requests() == ["j1"]  # the other needs no stopping


def test_picture_is_claimed_with_all_its_jobs_or_with_none(ledger: Ledger) -> None:
    ledger.add_picture("p1", Path("photo.jpg"))
    with pytest.raises(sqlite3.IntegrityError):
        ledger.admit(
            "p1", sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft("j1"), draft("j1")]
        )
    assert ledger.picture("p1").state is PictureState.CLAIMING
    assert ledger.jobs_of_picture("p1") == []


def test_pictures_go_from_claiming_to_claimed_to_filed(ledger: Ledger) -> None:
    ledger.add_picture("p1", Path("photo.jpg"))
    assert [one.id for one in ledger.claiming()] == ["p1"]
    with pytest.raises(StaleJobError):
        ledger.file_picture("p1")
    ledger.admit("p1", sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft("j1")])
    assert ledger.claiming() == []
    with pytest.raises(StaleJobError):
        ledger.forget_picture("p1")
    with pytest.raises(StaleJobError):
        ledger.admit("p1", sha256="ab", size=9, width_px=4, height_px=3, drafts=[])
    ledger.file_picture("p1")
    assert ledger.picture("p1").state is PictureState.FILED


def test_pictures_are_told_apart(ledger: Ledger) -> None:
    for name in ("p1", "p2", "p3"):
        ledger.add_picture(name, Path(f"{name}.jpg"))
    assert [one.id for one in ledger.claiming()] == ["p1", "p2", "p3"]
    ledger.forget_picture("p3")
    assert ledger.find_picture("p1") == ledger.picture("p1")
    assert ledger.find_picture("p3") is None
    for name in ("p1", "p2"):
        ledger.admit(
            name,
            sha256=name,
            size=9,
            width_px=4,
            height_px=3,
            drafts=[draft(f"{name}-job", "failed")],
        )
    assert [ledger.picture(name).sha256 for name in ("p1", "p2")] == ["p1", "p2"]
    assert [one.id for one in ledger.jobs_of_picture("p2")] == ["p2-job"]
    ledger.publish_job("p2-job")
    assert [one.id for one in ledger.unfiled()] == ["p2"]  # whatever the jobs of the other do
    ledger.publish_job("p1-job")
    assert [one.id for one in ledger.unfiled()] == ["p1", "p2"]
    ledger.file_picture("p1")
    assert [one.id for one in ledger.unfiled()] == ["p2"]
    assert ledger.find_picture("p1") is not None


def test_forgotten_picture_is_gone(ledger: Ledger) -> None:
    ledger.add_picture("p1", Path("photo.jpg"))
    ledger.forget_picture("p1")
    with pytest.raises(StaleJobError, match="p1"):
        ledger.picture("p1")


def test_picture_is_filed_only_when_all_its_jobs_are_over(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2", "failed"))
    ledger.publish_job("j2")
    assert ledger.unfiled() == []
    run_it(ledger)
    assert ledger.unfiled() == []
    finish(ledger)
    assert ledger.unfiled() == []
    ledger.publish_job("j1")
    assert [one.id for one in ledger.unfiled()] == ["p1"]
    ledger.file_picture("p1")
    assert ledger.unfiled() == []


def test_counts_know_every_state(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"), draft("j3"))
    run_it(ledger)
    assert ledger.counts() == dict.fromkeys(State, 0) | {State.READY: 2, State.RUNNING: 1}


def test_recent_jobs_are_those_that_ended_last(ledger: Ledger) -> None:
    admit(ledger, draft("j1", "failed"), draft("j2"), draft("j3", "failed"))
    ledger.publish_job("j1")
    assert [one.id for one in ledger.views.recent(5)] == ["j1"]
    ledger.publish_job("j3")
    assert len(ledger.views.recent(1)) == 1 and len(ledger.views.recent(5)) == 2


def test_jobs_that_ended_are_listed_whatever_their_end_newest_first(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(ledger, draft("j1"), draft("j2"), draft("j3"), draft("j4"))
    verdicts = {"j1": State.DONE, "j2": State.FAILED, "j3": State.CANCELLED}
    for _ in verdicts:
        run_it(ledger)
    for second, (name, verdict) in enumerate(reversed(verdicts.items())):
        monkeypatch.setattr("daemon.ledger.store.utc_now", lambda second=second: f"2026-0{second}")
        finish(ledger, verdict, job_id=name)
        ledger.publish_job(name)
    assert [one.id for one in ledger.views.recent(9)] == ["j1", "j2", "j3"]
    assert [one.id for one in ledger.views.recent(1)] == ["j1"]


def test_jobs_in_a_state_come_in_the_order_of_the_line(ledger: Ledger) -> None:
    admit(ledger, *(draft(f"j{number}") for number in range(4)))
    run_it(ledger)
    assert [one.id for one in ledger.jobs_in(State.READY)] == ["j1", "j2", "j3"]
    assert [one.id for one in ledger.jobs_in(State.READY, 2)] == ["j1", "j2"]


def test_unknown_job_has_no_starts_and_is_named_when_asked_for(ledger: Ledger) -> None:
    assert ledger.fruitless_starts("nobody") == 0
    with pytest.raises(StaleJobError, match="nobody"):
        ledger.job("nobody")


def test_job_is_found_by_the_beginning_of_its_id(ledger: Ledger) -> None:
    admit(ledger, draft("abc1"), draft("abd2"), draft("abe3"))
    assert [one.id for one in ledger.jobs_by_prefix("abd")] == ["abd2"]
    assert len(ledger.jobs_by_prefix("ab")) == 2  # enough to know that it is ambiguous
    assert ledger.jobs_by_prefix("%") == []


def test_jobs_of_a_service_that_is_gone_are_taken_over(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"), draft("j3"))
    run_it(ledger, "gone")
    run_it(ledger, "me")
    assert [(one.id, fruitless) for one, fruitless in ledger.recover("me")] == [("j1", 1)]
    ledger.return_job("j1", "me")
    assert ledger.recover("me") == []


def test_jobs_of_several_services_are_taken_over_in_the_order_of_the_line(ledger: Ledger) -> None:
    admit(ledger, *(draft(f"j{number}") for number in range(1, 5)))
    for owner in ("gone", "gone", "long gone", "gone"):
        run_it(ledger, owner)
    ledger.finish_job("j4", "gone", State.DONE)  # only waits to be published
    assert [one.id for one, _ in ledger.recover("me")] == ["j1", "j2", "j3"]
    for name in ("j1", "j2", "j3"):
        ledger.release_job(name, "me")


def test_two_connections_never_claim_the_same_job(path: Path) -> None:
    first = Ledger(path)
    admit(first, *(draft(f"j{number}") for number in range(40)))
    first.close()
    claimed: list[str] = []
    together = threading.Barrier(4)

    def take(owner: str) -> None:
        ledger = Ledger(path)
        together.wait()
        while found := ledger.claim_job(owner):
            claimed.append(found.id)
        ledger.close()

    threads = [threading.Thread(target=take, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(claimed) == Counter(f"j{number}" for number in range(40))


def test_change_waits_for_another_that_is_under_way(ledger: Ledger, path: Path) -> None:
    another = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    another.execute("BEGIN IMMEDIATE")
    ending = threading.Timer(0.2, another.execute, ["COMMIT"])
    ending.start()
    ledger.add_picture("p1", Path("photo.jpg"))
    ending.join()
    another.close()
    assert ledger.find_picture("p1") is not None


def test_ledger_that_stays_locked_is_trouble_of_the_surroundings_and_no_damage(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.ledger.database.BUSY_TIMEOUT_S", 0.0)
    impatient = Ledger(path)
    ledger.database.connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(SurroundingsError, match="locked"):
        impatient.add_picture("p1", Path("photo.jpg"))
    with pytest.raises(SurroundingsError, match="locked"):
        open_sound(path)
    ledger.database.connection.execute("ROLLBACK")
    impatient.close()
    assert list(path.parent.glob("*.damaged-*")) == []


def test_schema_is_made_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(
            "daemon.ledger.database.scripts_since",
            lambda _: ["CREATE TABLE half (a);\nnonsense;\n"],
        )
        with pytest.raises(SurroundingsError):
            Ledger(path)
    opened = Ledger(path)
    tables = {
        row["name"] for row in opened.database.connection.execute("SELECT name FROM sqlite_schema")
    }
    opened.close()
    assert "half" not in tables and "job" in tables


def test_job_is_done_and_its_result_shared_or_neither(ledger: Ledger) -> None:
    admit(ledger, draft("j1", fingerprint="same"), draft("j2", fingerprint="same"))
    run_it(ledger)
    finish(ledger)
    ledger.database.queries["share_result"] = "nonsense"
    with pytest.raises(SurroundingsError):
        ledger.publish_job("j1")
    assert job(ledger).state is State.PUBLISHING


def test_reopened_ledger_has_everything(path: Path) -> None:
    before = Ledger(path)
    admit(before, draft("j1"), draft("j2"))
    publish(before)
    known = before.jobs_of_picture("p1")
    before.close()
    after = Ledger(path)
    assert after.jobs_of_picture("p1") == known
    assert [one.state for one in known] == [State.DONE, State.READY]
    after.close()


def test_committed_transition_survives_a_power_cut(ledger: Ledger) -> None:
    mode = ledger.database.connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = ledger.database.connection.execute("PRAGMA synchronous").fetchone()[0]
    assert (mode, synchronous) == ("wal", 2)  # 2 is FULL


def test_readers_see_the_ledger_and_cannot_change_it(ledger: Ledger, path: Path) -> None:
    admit(ledger, draft("j1"))
    reader = Ledger(path, read_only=True)
    assert reader.counts()[State.READY] == 1
    with pytest.raises(SurroundingsError, match="readonly"):
        reader.claim_job("me")
    reader.close()


def test_ledger_of_version_1_is_brought_up_with_its_jobs(ledger: Ledger, path: Path) -> None:
    """Version 2 is on the way."""
    admit(ledger, draft("j1"), draft("j2"))
    run_it(ledger)
    ledger.close()
    old = sqlite3.connect(path)
    new_columns = [row[1:3] for row in old.execute("PRAGMA table_info(job)")]
    new_indexes = old.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index'").fetchall()
    for index in (
        "job_alike",
        "job_twinned",
        "job_by_state",
        "job_ended",
        "job_work",
        "job_untold",
        "job_cancelled",
    ):
        old.execute(f"DROP INDEX {index}")
    old.execute("CREATE INDEX job_active ON job (state) WHERE state IN ('running', 'publishing')")
    for column in ("shortages", "memory_bytes", "fingerprint", "twin", "work", "untold", "label"):
        old.execute(f"ALTER TABLE job DROP COLUMN {column}")
    drop_columns_since_6(old)
    old.execute("PRAGMA user_version = 1")
    old.commit()
    reader = Ledger(path, read_only=True)  # `status` before the service has started
    assert reader.counts()[State.READY] == 1
    assert [one.id for one in reader.jobs_in(State.RUNNING)] == ["j1"]
    reader.close()
    after = Ledger(path)
    after.return_out_of_memory("j1", "me", memory_bytes=9, warning="short")
    assert (after.memory_of("j1"), after.memory_of("j2")) == ((1, 9), (0, None))
    after.close()
    assert sorted(row[1:3] for row in old.execute("PRAGMA table_info(job)")) == sorted(new_columns)
    indexes = old.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index'").fetchall()
    assert sorted(map(str, indexes)) == sorted(map(str, new_indexes))
    assert old.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    old.close()
    kept = Ledger(path.with_name("ledger.sqlite3.version-1"), read_only=True)
    assert [one.id for one in kept.jobs_in(State.RUNNING)] == ["j1"]
    assert kept.database.connection.execute("PRAGMA user_version").fetchone()[0] == 1
    kept.close()
    assert not list(path.parent.glob(".*"))


def test_jobs_of_a_ledger_of_version_4_have_no_label_before_and_after_it_is_brought_up(
    ledger: Ledger, path: Path
) -> None:
    admit(ledger, draft("j1"))
    ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("ALTER TABLE job DROP COLUMN label")
        drop_columns_since_6(old)
        old.execute("PRAGMA user_version = 4")
        old.commit()
    for opened in (Ledger(path, read_only=True), Ledger(path)):
        assert job(opened).label == ""
        opened.close()
    assert path.with_name("ledger.sqlite3.version-4").exists()


def test_jobs_of_a_ledger_of_version_5_keep_the_method_they_were_queued_with(
    ledger: Ledger, path: Path
) -> None:
    admit(ledger, draft("j1"), replace(draft("j2"), recipe=RECIPE | {"statistics": "gaussian"}))
    ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        drop_columns_since_6(old)
        old.execute("PRAGMA user_version = 5")
        old.commit()
    before = {"statistics": "gram", "preconditioner": "fourier"} | SRGB_IN_8_BITS
    for opened in (Ledger(path, read_only=True), Ledger(path)):
        assert job(opened, "j1").recipe == RECIPE | before
        assert job(opened, "j2").recipe == RECIPE | {"statistics": "gaussian"} | SRGB_IN_8_BITS
        opened.close()


def test_jobs_and_pictures_of_a_ledger_of_version_6_tell_no_more_than_is_known(
    ledger: Ledger, path: Path
) -> None:
    failed = replace(draft("j2", "no preset"), recipe={})
    admit(ledger, draft("j1"), failed, replace(draft("j3"), recipe=RECIPE | {"profile": "keep"}))
    ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        drop_columns_since_6(old)
        old.execute("PRAGMA user_version = 6")
        old.commit()
    with contextlib.closing(Ledger(path, read_only=True)) as reader:
        assert job(reader, "j1").recipe == RECIPE
        assert (job(reader, "j1").suffix, job(reader, "j1").profiles) == ("", ())
    with contextlib.closing(Ledger(path)) as after:
        assert job(after, "j1").recipe == RECIPE | SRGB_IN_8_BITS
        assert (job(after, "j1").suffix, job(after, "j1").profiles) == ("", ())
        assert job(after, "j2").recipe == {}
        assert job(after, "j3").recipe == RECIPE | {"profile": "keep"}
        assert (after.picture("p1").format, after.picture("p1").bits) == ("", 0)


def test_jobs_of_a_ledger_of_version_7_have_no_mask_before_and_after_it_is_brought_up(
    ledger: Ledger, path: Path
) -> None:
    admit(ledger, draft("j1"))
    ledger.close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        styles = json.dumps([{"name": "wave.png", "sha256": "5a", "weight": 2.0}])
        old.execute("UPDATE job SET styles = ?", [styles])
        old.execute("ALTER TABLE job DROP COLUMN mask")
        drop_columns_since_9(old)
        old.execute("PRAGMA user_version = 7")
        old.commit()
    for opened in (Ledger(path, read_only=True), Ledger(path)):
        assert job(opened).mask is None and job(opened).styles == STYLES
        opened.close()


def test_mask_of_a_job_and_the_regions_of_its_styles_stay_with_it(ledger: Ledger) -> None:
    styles = (StyleRef("wave.png", "5a", 2.0, "#ff0000"),)
    mask = MaskRef("photo.mask.png", "7e", own=True)
    admit(ledger, replace(draft("j1"), mask=mask, styles=styles))
    assert (job(ledger).mask, job(ledger).styles) == (mask, styles)


def test_form_of_a_result_and_what_the_picture_is_stay_with_them(ledger: Ledger) -> None:
    profiles = (ProfileRef("press.icc", "9c"),)
    ledger.add_picture("p1", Path("starry/photo.tif"))
    ledger.admit(
        "p1",
        sha256="ab",
        size=9,
        width_px=4,
        height_px=3,
        drafts=[replace(draft("j1"), suffix=".tif", profiles=profiles)],
        form="TIFF",
        bits=16,
    )
    assert (job(ledger).suffix, job(ledger).profiles) == (".tif", profiles)
    assert (ledger.picture("p1").format, ledger.picture("p1").bits) == ("TIFF", 16)
    run_it(ledger)
    finish(ledger)
    ledger.publish_job("j1")
    assert (job(ledger).suffix, job(ledger).profiles) == (".tif", profiles)


def test_picture_of_an_older_ledger_has_the_one_sidecar_that_it_tells_of(ledger: Ledger) -> None:
    ledger.add_picture("p1", Path("photo.jpg"))
    ledger.add_picture("p2", Path("photo.jpg"), [Path("photo.yaml")])
    rows = ledger.database.connection.execute("SELECT sidecar FROM picture ORDER BY seq")
    assert [row["sidecar"] for row in rows] == [None, b"photo.yaml"]  # as it always was
    assert [one.companions for one in ledger.claiming()] == [(), (Path("photo.yaml"),)]


def test_label_of_a_job_stays_with_it(ledger: Ledger) -> None:
    admit(ledger, replace(draft("j1"), label="beta=5"), draft("j2"))
    assert (job(ledger, "j1").label, job(ledger, "j2").label) == ("beta=5", "")
    run_it(ledger)
    finish(ledger)
    ledger.publish_job("j1")
    assert job(ledger).label == "beta=5"


def test_new_ledger_leaves_no_copy_of_an_older_one(path: Path) -> None:
    Ledger(path).close()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_damage_that_a_check_finds_is_told_with_the_file(ledger: Ledger, path: Path) -> None:
    for number in range(40):
        admit(ledger, *(draft(f"{number}-{n}") for n in range(5)), picture=f"p{number}")
    ledger.database.connection.execute("PRAGMA writable_schema = ON")
    ledger.database.connection.execute(
        "DELETE FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    )
    ledger.close()
    opened = Ledger(path)
    with pytest.raises(DamagedLedgerError, match=re.escape(f"{path} is damaged: ")):
        opened.database.check()
    opened.close()


def test_ledger_of_a_newer_version_is_refused_untouched(path: Path) -> None:
    Ledger(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    newer.close()
    with pytest.raises(SurroundingsError, match="install the newer atelierd"):
        Ledger(path)
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION + 1,)
    check.close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0garbage" * 99])
def test_damaged_file_is_trouble_of_the_surroundings(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SurroundingsError, match=r"ledger\.sqlite3"):
        Ledger(path)


def test_missing_ledger_is_not_made_by_a_reader(path: Path) -> None:
    with pytest.raises(SurroundingsError):
        Ledger(path, read_only=True)
    assert not path.exists()


def test_opening_a_ledger_that_is_up_to_date_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger(path).close()
    before = path.read_bytes()
    opened = Ledger(path)
    wal = path.with_name(path.name + "-wal")
    assert not wal.exists() or wal.stat().st_size == 0
    opened.close()
    assert path.read_bytes() == before


# The same again


def test_job_like_one_that_is_done_has_its_result(ledger: Ledger) -> None:
    admit(ledger, draft("j1", fingerprint="same"))
    publish(ledger)
    admit(ledger, draft("j2", fingerprint="same"), draft("j3", fingerprint="other"), picture="p2")
    assert [(one.id, twin.id) for one, twin in ledger.twinned(limit=9)] == [("j2", "j1")]
    assert ledger.claim_job("me").id == "j3"
    assert ledger.claim_job("me") is None
    ledger.answer_job("j2", Done(same_as="j1"), "2026-01-01T00:00:00.000Z")
    answered = job(ledger, "j2")
    assert (answered.state, answered.verdict) == (State.PUBLISHING, State.DONE)
    assert (answered.starts, answered.outcome) == (0, Done(same_as="j1"))
    assert answered.started_at == "2026-01-01T00:00:00.000Z"
    assert answered.finished_at and answered.finished_at >= answered.queued_at
    assert ledger.twinned(limit=9) == []


def test_job_like_one_that_runs_waits_for_its_result_and_others_go_first(ledger: Ledger) -> None:
    same = [draft(name, fingerprint="same") for name in ("j1", "j2", "j3")]
    admit(ledger, *same, draft("j4"), draft("j5"))
    assert [ledger.claim_job("me").id for _ in range(3)] == ["j1", "j4", "j5"]
    assert ledger.claim_job("me") is None
    finish(ledger)
    assert ledger.claim_job("me") is None  # it is not in the outbox yet
    ledger.publish_job("j1")
    assert [one.id for one, _ in ledger.twinned(limit=9)] == ["j2", "j3"]
    assert [one.id for one, _ in ledger.twinned(limit=1)] == ["j2"]


@pytest.mark.parametrize("verdict", [State.FAILED, State.CANCELLED])
def test_job_like_one_that_failed_is_painted(ledger: Ledger, verdict: State) -> None:
    admit(ledger, draft("j1", fingerprint="same"), draft("j2", fingerprint="same"))
    publish(ledger, verdict)
    assert ledger.twinned(limit=9) == []
    assert ledger.claim_job("me").id == "j2"


def test_job_that_failed_keeps_nothing_waiting_while_it_is_published(ledger: Ledger) -> None:
    admit(ledger, draft("j1", fingerprint="same"), draft("j2", fingerprint="same"))
    run_it(ledger)
    finish(ledger, State.FAILED)
    assert ledger.claim_job("me").id == "j2"


@pytest.mark.parametrize(
    "take",
    [
        lambda ledger, name: ledger.answer_job(name, Done(), utc_now()),
        lambda ledger, name: ledger.forget_twin(name),
    ],
    ids=["answer", "forget"],
)
def test_twins_result_is_for_the_one_job_that_waits_for_it(
    ledger: Ledger, take: Callable[[Ledger, str], None]
) -> None:
    alike = [draft(name, fingerprint="same") for name in ("j1", "j2", "j3")]
    admit(ledger, *alike, draft("alone"))
    publish(ledger)
    with pytest.raises(StaleJobError):
        take(ledger, "alone")
    before = rows(ledger)
    take(ledger, "j2")
    after = rows(ledger)
    assert {one for one in after if after[one] != before[one]} == {"j2"}
    ledger.answer_job("j3", Done(), utc_now())
    with pytest.raises(StaleJobError):
        take(ledger, "j3")


def test_result_goes_to_those_that_are_like_it_and_wait(ledger: Ledger) -> None:
    admit(
        ledger,
        draft("failed", fingerprint="b"),
        draft("j1", fingerprint="a"),
        draft("j2", fingerprint="b"),
        draft("like j1", fingerprint="a"),
        draft("like j2", fingerprint="b"),
    )
    publish(ledger, State.FAILED, "failed")
    before = rows(ledger)
    publish(ledger, job_id="j1")
    publish(ledger, job_id="j2")
    shared = [(one.id, twin.id) for one, twin in ledger.twinned(limit=9)]
    assert shared == [("like j1", "j1"), ("like j2", "j2")]
    assert rows(ledger)["failed"] == before["failed"]


def test_job_has_the_newest_of_the_results_that_are_its_own_too(ledger: Ledger) -> None:
    admit(ledger, draft("j1", fingerprint="same"), draft("j2", fingerprint="same"))
    publish(ledger)
    ledger.forget_twin("j2")  # the older result may be gone
    publish(ledger, job_id="j2")
    admit(ledger, draft("j3", fingerprint="same"), picture="p2")
    assert [(one.id, twin.id) for one, twin in ledger.twinned(limit=9)] == [("j3", "j2")]


def test_job_whose_twins_result_is_gone_is_painted(ledger: Ledger) -> None:
    admit(ledger, draft("j1", fingerprint="same"), draft("j2", fingerprint="same"))
    publish(ledger)
    ledger.forget_twin("j2")
    assert ledger.twinned(limit=9) == []
    assert ledger.claim_job("me").id == "j2"
    with pytest.raises(StaleJobError):
        ledger.forget_twin("j2")


def test_jobs_without_a_fingerprint_have_nothing_to_do_with_each_other(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"))
    run_it(ledger)
    assert ledger.claim_job("me").id == "j2"


def test_open_ids_are_those_of_what_is_not_over(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"), draft("j3", reason="Broken."))
    assert ledger.open_jobs() == {"j1", "j2", "j3"} and ledger.open_pictures() == {"p1"}
    publish(ledger)
    assert ledger.open_jobs() == {"j2", "j3"}
    assert ledger.waiting() == 1
    run_it(ledger)
    assert ledger.waiting() == 0
    assert ledger.open_jobs() == {"j2", "j3"}
    ledger.finish_job("j2", "me", State.DONE)
    ledger.publish_job("j2")
    ledger.publish_job("j3")
    assert ledger.open_jobs() == set()
    ledger.file_picture("p1")
    assert ledger.open_pictures() == set()


# Telling


def tell(ledger: Ledger, job_id: str, verdict: State = State.DONE) -> None:
    """A job of its own picture is over, and is to be told."""
    admit(ledger, draft(job_id), picture=f"picture of {job_id}")
    run_it(ledger)
    finish(ledger, verdict, job_id=job_id)
    ledger.publish_job(job_id, tell=True)
    ledger.file_picture(f"picture of {job_id}")


def told(ledger: Ledger, limit: int = 9) -> list[str]:
    return [one.id for one in ledger.untold(limit)]


def test_job_is_untold_from_the_moment_it_is_over_until_it_was_told(
    ledger: Ledger, path: Path
) -> None:
    tell(ledger, "j1")
    tell(ledger, "j2", State.FAILED)
    again = Ledger(path)  # another start
    assert [(one.id, one.verdict) for one in again.untold(9)] == [
        ("j1", State.DONE),
        ("j2", State.FAILED),
    ]
    assert told(again, limit=1) == ["j1"]
    before = rows(ledger)
    ledger.mark_told("j1")
    after = rows(ledger)
    assert {one for one in after if after[one] != before[one]} == {"j1"}
    assert told(again) == ["j2"]
    again.close()


def test_job_that_nobody_wants_to_hear_of_is_never_untold(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    publish(ledger)
    assert told(ledger) == []


def test_job_that_is_not_over_is_not_told_whatever_its_row_says(ledger: Ledger) -> None:
    admit(ledger, draft("j1"))
    ledger.database.connection.execute("UPDATE job SET untold = 1")
    with pytest.raises(StaleJobError):
        ledger.mark_told("j1")


def test_job_is_told_once(ledger: Ledger) -> None:
    tell(ledger, "j1")
    ledger.mark_told("j1")
    with pytest.raises(StaleJobError):
        ledger.mark_told("j1")


def test_job_put_back_before_it_was_told_is_told_all_the_same(ledger: Ledger) -> None:
    tell(ledger, "j1", State.FAILED)
    ledger.retry_job("j1")
    assert [(one.state, one.verdict) for one in ledger.untold(9)] == [(State.RETRIED, State.FAILED)]
    ledger.mark_told("j1")
    assert told(ledger) == [] and job(ledger).state is State.RETRIED


def test_untold_jobs_are_found_without_reading_the_others(ledger: Ledger) -> None:
    plan = ledger.database.connection.execute(
        f"EXPLAIN QUERY PLAN {ledger.database.queries['untold']}", {"limit": 1}
    )
    steps = [row["detail"] for row in plan]
    assert steps[0] == "SCAN over USING INDEX job_untold"
    assert not [step for step in steps[1:] if step.startswith("SCAN")]


def test_job_is_told_of_when_its_original_lies_in_its_place_or_waits_for_others(
    ledger: Ledger,
) -> None:
    admit(ledger, draft("j1"), draft("j2"))
    run_it(ledger)
    finish(ledger)
    ledger.publish_job("j1", tell=True)
    assert told(ledger) == ["j1"]  # the other may take hours
    run_it(ledger)
    finish(ledger, job_id="j2")
    ledger.publish_job("j2", tell=True)
    assert told(ledger) == []
    ledger.file_picture("p1")
    assert told(ledger) == ["j1", "j2"]


# Damage


def test_sound_ledger_is_opened_as_it_is(ledger: Ledger, path: Path) -> None:
    admit(ledger, draft("j1"))
    ledger.close()
    opened = open_sound(path)
    assert job(opened).state is State.READY
    opened.close()
    assert list(path.parent.glob("*.damaged-*")) == []


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
def test_damaged_ledger_is_put_aside_for_an_empty_one(
    ledger: Ledger, path: Path, damage: str
) -> None:
    admit(ledger, *(draft(f"j{number}") for number in range(200)))
    ledger.close()
    content = bytearray(path.read_bytes())
    match damage:
        case "header":
            content[:64] = bytes(64)
        case "middle":
            content[8192:-4096] = b"\xa5" * (len(content) - 12288)
        case "text":
            content = bytearray(b"<html>no database</html>" * 500)
    for number in (1, 2):
        path.write_bytes(content)
        opened = open_sound(path)
        assert opened.counts()[State.READY] == 0
        admit(opened, draft("j1"))
        opened.close()
        assert path.with_name(f"ledger.sqlite3.damaged-{number}").read_bytes() == content


def test_what_lies_beside_a_damaged_ledger_goes_aside_with_it_and_the_log_says_where(
    path: Path,
) -> None:
    content = b"no database at all" * 100
    beside = {"": content, "-wal": b"a log", "-shm": b"an index"}
    for ending, kept in beside.items():
        Path(f"{path}{ending}").write_bytes(kept)
    lines: list[str] = []
    number = logger.add(lambda message: lines.append(message.record["message"]), level="ERROR")
    open_sound(path).close()
    logger.remove(number)
    aside = path.with_name("ledger.sqlite3.damaged-1")
    assert Path(f"{aside}-wal").exists() and Path(f"{aside}-shm").exists()
    assert aside.read_bytes() == content
    (line,) = lines
    assert f"the ledger {path} is damaged" in line and f"put aside as {aside}" in line


def test_damage_found_later_says_what_the_next_start_does(ledger: Ledger, path: Path) -> None:
    admit(ledger, *(draft(f"j{number}") for number in range(200)))
    ledger.close()
    content = bytearray(path.read_bytes())
    content[81920:] = b"\xa5" * (len(content) - 81920)  # what is before holds the schema
    path.write_bytes(content)
    opened = Ledger(path)
    with pytest.raises(DamagedLedgerError, match="next start"):
        opened.jobs_in(State.READY)
    opened.close()


def test_what_is_done_together_is_done_as_a_whole_or_not_at_all(ledger: Ledger) -> None:
    with ledger.together():
        admit(ledger, draft("j1"), picture="p1")
        admit(ledger, draft("j2"), picture="p2")
    with pytest.raises(StaleJobError), ledger.together():
        admit(ledger, draft("j3"), picture="p3")
        ledger.forget_picture("nobody")
    assert ledger.open_jobs() == {"j1", "j2"} and ledger.open_pictures() == {"p1", "p2"}
    run_it(ledger)


def line(job_id: str, priority: int, work: int = 0, preset: str = "starry") -> Draft:
    return Draft(job_id, preset, Path("photo.jpg"), RECIPE, STYLES, priority=priority, work=work)


def test_ordinary_jobs_go_before_bulk_ones_and_lines_can_be_closed(ledger: Ledger) -> None:
    admit(ledger, line("b1", BULK), line("o1", ORDINARY), line("b2", BULK), line("o2", ORDINARY))
    assert ledger.first_in(EVERY) == "o1"
    assert ledger.first_in((BULK, BULK)) == "b1"
    claimed = [ledger.claim_job("me", (ORDINARY, ORDINARY)) for _ in range(3)]
    assert [one.id if one else None for one in claimed] == ["o1", "o2", None]
    assert [one.id for _ in range(2) if (one := ledger.claim_job("me"))] == ["b1", "b2"]
    assert ledger.first_in(EVERY) is None


def test_work_that_waits_is_summed_by_queue_and_preset(ledger: Ledger) -> None:
    admit(
        ledger,
        line("j1", ORDINARY, 5),
        line("j2", ORDINARY, 7),
        line("j3", BULK, 11),
        line("j4", BULK, 13, "wave"),
        line("j5", ORDINARY, 17, "wave"),
    )
    run_it(ledger)
    assert sorted(ledger.views.waiting_work(), key=lambda part: part.work) == [
        Backlog(ORDINARY, "starry", 1, 7),
        Backlog(BULK, "starry", 1, 11),
        Backlog(BULK, "wave", 1, 13),
        Backlog(ORDINARY, "wave", 1, 17),
    ]


def test_pace_is_that_of_jobs_that_were_really_painted(ledger: Ledger) -> None:
    admit(ledger, *(line(f"j{number}", ORDINARY, number) for number in range(5)))
    for number, outcome in enumerate(
        (Done(seconds=1.5), Done(seconds=9.0), Done(seconds=0.1, same_as="j1"), Done(seconds=2.5))
    ):
        verdict = State.FAILED if number == 3 else State.DONE
        run_it(ledger)
        ledger.finish_job(f"j{number}", "me", verdict, outcome=outcome)
        ledger.publish_job(f"j{number}")
    assert ledger.views.pace() == [("starry", 1, 9.0)]  # j0 was no work that could be told


def test_what_is_owed_is_publishing_answering_and_cancelling(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"))
    assert not ledger.owed()
    run_it(ledger)
    assert not ledger.owed()
    finish(ledger)
    assert ledger.owed()
    ledger.publish_job("j1")
    assert not ledger.owed()
    ledger.request_cancel("j2")
    assert ledger.owed()
    ledger.cancel_waiting("why")
    ledger.publish_job("j2")
    assert not ledger.owed()


def test_twin_that_is_at_hand_is_owed(ledger: Ledger) -> None:
    admit(ledger, draft("j1", fingerprint="f"))
    publish(ledger)
    admit(ledger, draft("j2", fingerprint="f"), picture="p2")
    assert ledger.owed()


def test_ledger_that_another_holds_is_not_writable(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ledger.writable()
    ledger.database.connection.execute("PRAGMA busy_timeout = 10")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert not ledger.writable()
        other.execute("ROLLBACK")
    assert ledger.writable()


def test_copy_of_an_older_ledger_is_made_once_and_whole(path: Path) -> None:
    Ledger(path).close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA user_version = 3")
        for column in ("work", "untold", "label"):
            old.execute("DROP INDEX IF EXISTS job_" + column)
            old.execute(f"ALTER TABLE job DROP COLUMN {column}")
        old.execute("DROP INDEX job_cancelled")
        drop_columns_since_6(old)
        old.commit()
    reader = Ledger(path, read_only=True)
    assert not reader.database.is_current
    reader.close()
    kept = path.with_name("ledger.sqlite3.version-3")
    kept.write_text("of an upgrade before")
    fresh = Ledger(path)
    assert fresh.database.is_current
    fresh.close()
    assert kept.read_text() == "of an upgrade before"


def test_what_waits_is_summed_by_queue(ledger: Ledger) -> None:
    """A picture with two jobs is read twice; what runs or is over waits no more."""
    bulk = [Draft("b1", "starry", Path("b.jpg"), {}, (), priority=BULK, work=7)]
    more = [Draft(f"j{n}", "starry", Path("a.jpg"), RECIPE, STYLES, work=n) for n in (1, 2, 3)]
    admit(ledger, *more, picture="p1")
    admit(ledger, *bulk, picture="p2")
    run_it(ledger)
    oldest = job(ledger, "j2").queued_at
    assert ledger.views.waiting_by_queue() == {
        "ordinary": Waiting(jobs=2, work=5, bytes=18, oldest=oldest),
        "bulk": Waiting(jobs=1, work=7, bytes=9, oldest=job(ledger, "b1").queued_at),
    }


def test_queue_in_which_nothing_waits_is_told_too(ledger: Ledger) -> None:
    assert ledger.views.waiting_by_queue() == {"ordinary": Waiting(), "bulk": Waiting()}


def test_commit_that_was_refused_leaves_nothing_open(ledger: Ledger, path: Path) -> None:
    # Where the file system has no shared memory SQLite keeps no WAL, and readers hold up a commit.
    ledger.database.connection.execute("PRAGMA journal_mode = DELETE")
    ledger.database.connection.execute("PRAGMA busy_timeout = 0")
    for name in ("p0", "p1"):
        ledger.add_picture(name, Path("a.jpg"))
    reader = sqlite3.connect(path)
    reading = reader.execute("SELECT * FROM picture, picture AS other")
    assert reading.fetchone() is not None
    with pytest.raises(SurroundingsError):
        ledger.forget_picture("p0")
    reading.close()
    ledger.forget_picture("p1")
    assert reader.execute("SELECT id FROM picture").fetchall() == [("p0",)]
    reader.close()


def test_first_in_line_is_found_in_one_look_among_thousands_of_the_same_picture(
    ledger: Ledger,
) -> None:
    # Every one of them waits for the one that runs, which was dropped last.
    alike = [draft(f"j{number}", fingerprint="f") for number in range(1_000)]
    bulk = [replace(one, priority=BULK) for one in alike[:-1]]
    admit(ledger, *bulk, alike[-1])
    run_it(ledger)
    steps: list[int] = []
    ledger.database.connection.set_progress_handler(lambda: steps.append(1), 1_000)
    assert ledger.first_in(EVERY) is None
    ledger.database.connection.set_progress_handler(None, 0)
    assert len(steps) < 100  # thousands of SQLite's steps; a look for each at each is a million


def test_picture_that_is_painted_elsewhere_takes_its_open_jobs_along(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"), draft("j3", reason="Broken."))
    ledger.publish_job("j3")
    released = ledger.release_picture("p1")
    assert released is not None and [one.id for one in released] == ["j1", "j2"]
    states = [one.state for one in ledger.jobs_of_picture("p1")]
    assert states == [State.RETRIED, State.RETRIED, State.FAILED]
    picture = ledger.picture("p1")
    assert (picture.state, picture.sha256) == (PictureState.FILED, "")
    assert ledger.release_picture("p1") == [] and ledger.open_pictures() == set()


def test_picture_with_a_running_job_stays_as_it_is(ledger: Ledger) -> None:
    admit(ledger, draft("j1"), draft("j2"))
    run_it(ledger)
    assert ledger.release_picture("p1") is None
    assert [one.state for one in ledger.jobs_of_picture("p1")] == [State.RUNNING, State.READY]
    assert ledger.picture("p1").state is PictureState.CLAIMED


def test_like_of_a_picture_that_is_painted_elsewhere_is_painted(ledger: Ledger) -> None:
    admit(ledger, draft("j1", fingerprint="f"))
    admit(ledger, draft("j2", fingerprint="f"), picture="p2")
    run_it(ledger)
    finish(ledger)
    assert ledger.claim_job("me") is None  # it waits for the result of the first
    ledger.release_picture("p1")
    found = ledger.claim_job("me")
    assert found is not None and found.id == "j2"
