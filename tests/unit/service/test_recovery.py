"""What the next start does about what a service has left."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.job import Draft, State
from daemon.ledger.store import Ledger
from daemon.service.recovery import LostCopies, recover_jobs, sweep_spool
from daemon.settings.config import Config
from daemon.state.spool import Spool
from daemon.status.health import Health


@pytest.fixture
def ledger(config: Config) -> Iterator[Ledger]:
    """One with a picture and its job."""
    made = Ledger(config.ledger_path)
    made.add_picture("p1", Path("starry/photo.jpg"))
    draft = Draft("j1", "starry", Path("photo.jpg"), {"seed": 0}, ())
    made.admit("p1", sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft])
    yield made
    made.close()


def test_job_that_ran_goes_back_into_the_line_until_its_third_fruitless_start(
    ledger: Ledger,
) -> None:
    states = []
    for number in range(3):
        assert ledger.claim_job(f"service {number}") is not None
        recover_jobs(ledger, f"service {number + 1}")
        states.append(ledger.job("j1").state)
    assert states == [State.READY, State.READY, State.PUBLISHING]
    assert ledger.job("j1").verdict is State.FAILED


def test_nothing_is_painted_before_copies_that_are_gone_are_there_and_why_is_told(
    config: Config, ledger: Ledger
) -> None:
    health = Health()
    copies = LostCopies(config, ledger, Spool(config.state), health)
    assert copies.awaited(restored=False)
    assert "what 1 pictures wait for is gone" in health.essential["copies"]
    assert not copies.awaited(restored=True) and health.troubles == {}
    assert not copies.awaited(restored=False)


def test_leftovers_that_cannot_be_removed_keep_nothing_from_starting(
    config: Config, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def refuse(self: Spool, jobs: object, pictures: object) -> None:
        asked.append(jobs)
        raise OSError(30, "Read-only file system", "spool")

    monkeypatch.setattr(Spool, "sweep", refuse)
    sweep_spool(Spool(config.state), ledger)
    assert len(asked) == 1
