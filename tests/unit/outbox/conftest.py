"""Finished jobs and their pictures, made by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.job import ClaimedPicture, Job, Outputs, PictureState, State, StyleRef
from daemon.outbox.finishers import FinishedPicture
from daemon.outbox.publish import publish
from daemon.state.spool import Spool


@pytest.fixture
def make_job() -> Callable[..., Job]:
    def make(**changes: Any) -> Job:
        known: dict[str, Any] = {
            "id": "0123456789abcdef",
            "picture_id": "p1",
            "preset": "starry",
            "below": Path("2024/photo.jpg"),
            "recipe": {"seed": 7, "size": 512},
            "priority": 0,
            "styles": (StyleRef("wave.png", "5a", 2.0),),
            "state": State.PUBLISHING,
            "verdict": State.DONE,
            "starts": 1,
            "cancel_requested": False,
            "queued_at": "2024-05-01T10:00:00.000Z",
            "started_at": "2024-05-01T10:00:01.500Z",
            "finished_at": "2024-05-01T10:01:00.000Z",
            "outcome": None,
            "outputs": Outputs(),
            "reason": "",
            "warnings": (),
        }
        return Job(**(known | changes))

    return make


@pytest.fixture
def picture() -> ClaimedPicture:
    return ClaimedPicture(
        "p1", Path("starry/2024/photo.jpg"), (), PictureState.CLAIMED, "ab12", 9, 400, 300
    )


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool with the job's result and log."""
    spool = Spool(tmp_path / "state")
    spool.job("0123456789abcdef").mkdir(parents=True)
    spool.result("0123456789abcdef").write_bytes(b"painted")
    spool.log("0123456789abcdef").write_bytes(b"the log")
    return spool


@pytest.fixture
def published(outbox: Path, spool: Spool, picture: ClaimedPicture) -> Callable[[Job], Outputs]:
    return lambda job: publish(outbox, spool, job, picture, lambda _: None)


@pytest.fixture
def finished(tmp_path: Path) -> Callable[[ClaimedPicture, Sequence[Job]], FinishedPicture]:
    """A picture whose jobs are over, of `tmp_path / "inbox"`; the service's copy is `copy`."""

    def make(picture: ClaimedPicture, jobs: Sequence[Job]) -> FinishedPicture:
        inbox, outbox = tmp_path / "inbox", tmp_path / "outbox"
        return FinishedPicture(picture, jobs, inbox, outbox, tmp_path / "copy")

    return make
