"""Which jobs are told, when, and what happens to that in a crash."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import SurroundingsError
from daemon.hooks.runner import MOST_IN_FLIGHT
from daemon.job import Approval, Draft, Outputs, State
from daemon.ledger.store import Ledger
from daemon.messages import Done
from daemon.outbox.record import make_record
from daemon.service.notify import Notifier, environment_of
from daemon.settings.config import Config
from daemon.settings.hooks import Event, Hooks
from tests.support.atelier import wait_for

Tell = Callable[..., Notifier]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(tmp_path / "ledger.sqlite3")
    yield found
    found.close()


@pytest.fixture
def tell(ledger: Ledger, tmp_path: Path) -> Iterator[Tell]:
    """A new start of the notifier, whose hooks write the event and job to `said`."""
    said = f"echo $ATELIERD_EVENT $ATELIERD_JOB >> {tmp_path}/said"
    started: list[Notifier] = []

    def start(*events: str, text: str = said) -> Notifier:
        command = {"command": ["/bin/sh", "-c", text]}
        hooks = Hooks.model_validate({f"on_{event}": command for event in events})
        config = Config().model_copy(update={"hooks": hooks, "outbox": tmp_path / "outbox"})
        started.append(Notifier(config, ledger))
        started[-1].start()
        return started[-1]

    yield start
    for notifier in started:
        notifier.stop()
        notifier.join(0.0)


@pytest.fixture
def said(tmp_path: Path) -> Callable[[], list[str]]:
    """What the hooks have written so far."""
    path = tmp_path / "said"
    return lambda: path.read_text().splitlines() if path.exists() else []


def end(notifier: Notifier, ledger: Ledger, job_id: str, verdict: State = State.DONE) -> None:
    """A job is over, as the service does it."""
    picture = f"picture of {job_id}"
    ledger.add_picture(picture, Path("starry/photo.jpg"))
    drafts = [Draft(job_id, "starry", Path("photo.jpg"), {"seed": 0}, ())]
    ledger.admit(picture, sha256="ab", size=9, width_px=4, height_px=3, drafts=drafts)
    assert ledger.claim_job("me") is not None
    ledger.finish_job(job_id, "me", verdict, outcome=Done(seconds=2.5), reason="why")
    ledger.plan_outputs(job_id, Outputs(record=f"{job_id}.json"))
    ledger.publish_job(job_id, tell=notifier.note_end(verdict))
    ledger.file_picture(picture)


def all_told(notifier: Notifier, ledger: Ledger) -> None:
    """Ticks until nothing is left to be told."""
    wait_for("all to be told", lambda: not notifier.tick(busy=False))
    assert ledger.untold(9) == []


def test_proof_that_waits_is_told_to_those_who_asked_for_it(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]]
) -> None:
    notifier = tell("done", "proof")
    ledger.add_picture("p", Path("proof/starry/photo.jpg"))
    draft = Draft("j1", "starry", Path("photo.jpg"), {"seed": 0}, (), approval=Approval.ASKED)
    ledger.admit("p", sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft])
    ledger.claim_job("me")
    ledger.finish_job("j1", "me", State.AWAITING, outcome=Done(seconds=2.5))
    ledger.publish_job("j1", tell=notifier.note_end(State.AWAITING))
    all_told(notifier, ledger)
    assert said() == ["proof j1"]


def test_each_job_is_told_once_to_those_who_asked_for_its_verdict(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]]
) -> None:
    notifier = tell("done", "failed")
    end(notifier, ledger, "j1")
    end(notifier, ledger, "j2", State.FAILED)
    end(notifier, ledger, "j3", State.CANCELLED)
    all_told(notifier, ledger)
    assert said() == ["done j1", "failed j2"]
    all_told(notifier, ledger)
    assert len(said()) == 2


def test_verdict_nobody_asked_for_is_not_even_noted(tell: Tell, ledger: Ledger) -> None:
    notifier = tell("failed", "idle")
    end(notifier, ledger, "j1")
    assert ledger.untold(9) == []


def test_command_gets_the_record_as_it_was_published(
    tell: Tell, ledger: Ledger, tmp_path: Path
) -> None:
    notifier = tell("done", text=f"cat > {tmp_path}/record")
    end(notifier, ledger, "j1")
    all_told(notifier, ledger)
    job = ledger.job("j1")
    expected: dict[str, Any] = make_record(job, ledger.picture(job.picture_id), job.outputs)
    assert json.loads((tmp_path / "record").read_text()) == json.loads(json.dumps(expected))


def test_variables_name_the_jobs_files_to_the_byte(tell: Tell, ledger: Ledger) -> None:
    notifier = tell("failed")
    end(notifier, ledger, "j1", State.FAILED)
    job = ledger.job("j1")
    odd = os.fsdecode(b"failed/starry/k\xff.jpg")
    outputs = Outputs(original=odd, reason="r", record="a", log="b")
    job = type(job)(**{**vars(job), "outputs": outputs})
    unfiled = environment_of(Event.FAILED, job, Path("/out"), filed=False)
    found = environment_of(Event.FAILED, job, Path("/out"), filed=True)
    assert found.keys() - unfiled.keys() == {"ATELIERD_ORIGINAL"}
    assert found == {
        "ATELIERD_EVENT": "failed",
        "ATELIERD_JOB": "j1",
        "ATELIERD_STATE": "failed",
        "ATELIERD_PRESET": "starry",
        "ATELIERD_ORIGINAL": Path("/out") / odd,
        "ATELIERD_REASON": Path("/out/r"),
        "ATELIERD_RECORD": Path("/out/a"),
        "ATELIERD_LOG": Path("/out/b"),
    }


def test_what_was_not_told_before_a_crash_is_told_by_the_next_start(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]]
) -> None:
    end(tell("done"), ledger, "j1")  # and never a tick after it
    all_told(tell("done"), ledger)
    assert said() == ["done j1"]


def test_job_whose_hook_is_gone_from_the_configuration_is_told_to_nobody(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]]
) -> None:
    end(tell("done"), ledger, "j1")
    assert not tell("failed").tick(busy=False)
    assert ledger.untold(9) == [] and said() == []


def test_job_that_was_put_back_meanwhile_is_told_and_marked(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]]
) -> None:
    notifier = tell("failed")
    end(notifier, ledger, "j1", State.FAILED)
    notifier.tick(busy=False)
    ledger.retry_job("j1")
    all_told(notifier, ledger)
    assert said() == ["failed j1"] and ledger.job("j1").state is State.RETRIED


@pytest.mark.parametrize("count", [MOST_IN_FLIGHT, 2 * MOST_IN_FLIGHT + 3])
def test_as_many_as_fit_at_once_or_more_are_all_told_once_and_idle_after_them(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]], count: int
) -> None:
    notifier = tell("done", "idle")
    names = [f"j{number:02}" for number in range(count)]
    for name in names:
        end(notifier, ledger, name)
    assert notifier.tick(busy=False)
    all_told(notifier, ledger)
    assert said() == [*(f"done {name}" for name in names), "idle"]


def test_idle_is_told_once_when_the_queue_runs_empty_after_work(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]]
) -> None:
    notifier = tell("idle")
    all_told(notifier, ledger)
    assert said() == []  # no work was done
    end(notifier, ledger, "j1", State.CANCELLED)
    assert not notifier.tick(busy=True)
    all_told(notifier, ledger)
    all_told(notifier, ledger)
    assert said() == ["idle"]
    end(notifier, ledger, "j2")
    all_told(notifier, ledger)
    assert said() == ["idle", "idle"]


def test_idle_counts_jobs_by_state(tell: Tell, ledger: Ledger, tmp_path: Path) -> None:
    notifier = tell("idle", text=f"cat > {tmp_path}/record")
    end(notifier, ledger, "j1")
    end(notifier, ledger, "j2", State.FAILED)
    all_told(notifier, ledger)
    counts = {str(state): 0 for state in State} | {"done": 1, "failed": 1}
    assert json.loads((tmp_path / "record").read_text()) == {"event": "idle", "jobs": counts}


def test_ledger_that_cannot_be_told_costs_no_second_run(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = tell("done")
    end(notifier, ledger, "j1")
    notifier.tick(busy=False)
    refused = 0

    def refuse(job_id: str) -> None:
        nonlocal refused
        refused += 1
        raise SurroundingsError(f"disk full, and {job_id} cannot be marked")

    def tick() -> int:
        try:
            notifier.tick(busy=False)
        except SurroundingsError:
            assert refused
        return refused

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "mark_told", refuse)
        wait_for("three refusals", lambda: tick() >= 3)
    all_told(notifier, ledger)
    assert said() == ["done j1"]


def test_stop_marks_what_ended_in_time_and_leaves_the_rest(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]], tmp_path: Path
) -> None:
    text = f"echo $ATELIERD_JOB >> {tmp_path}/said; test $ATELIERD_JOB = j1 || exec sleep 1000"
    notifier = tell("done", text=text)
    end(notifier, ledger, "j1")
    end(notifier, ledger, "j2")
    notifier.tick(busy=False)
    wait_for("both hooks", lambda: said() == ["j1", "j2"])
    notifier.stop()
    notifier.join(0.0)
    assert [job.id for job in ledger.untold(9)] == ["j2"]


def test_stop_survives_a_ledger_that_cannot_be_told(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = tell("done")
    end(notifier, ledger, "j1")
    notifier.tick(busy=False)
    wait_for("the hook", lambda: said() == ["done j1"])

    def refuse(job_id: str) -> None:
        raise SurroundingsError(f"{job_id}: disk full")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "mark_told", refuse)
        notifier.stop()
        notifier.join(60.0)
    assert [job.id for job in ledger.untold(9)] == ["j1"]


def test_changed_configuration_is_obeyed(
    tell: Tell, ledger: Ledger, said: Callable[[], list[str]]
) -> None:
    notifier = tell("done")
    notifier.change(Config())
    end(notifier, ledger, "j1")
    assert ledger.untold(9) == []
    all_told(notifier, ledger)
    assert said() == []
