"""A round of the delivery, in this thread."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon import delivery
from daemon.config import Config
from daemon.delivery import Delivery
from daemon.health import Health
from daemon.job import Draft, Job, State
from daemon.ledger.store import Ledger
from daemon.metrics import Metrics
from daemon.mounts import Mounts
from daemon.spool import Spool


class Bench:
    """A delivery with its ledger and folders; `woken` counts how often it woke the main loop."""

    def __init__(self, root: Path) -> None:
        folders = {name: root / name for name in ("inbox", "outbox", "presets", "state")}
        for folder in folders.values():
            folder.mkdir()
        (root / "state/spool/pictures").mkdir(parents=True)
        self.config = Config().model_copy(update=folders)
        self.ledger = Ledger(self.config.ledger_path)
        self.health = Health()
        self.woken = 0
        Mounts(self.config.state).remember(self.config.outbox)
        metrics = Metrics(self.config.ledger_path, [], self.health, lambda: [])
        self.delivery = Delivery(
            self.config, Spool(self.config.state), self.health, metrics, lambda verdict: False,
            self._wake,
        )  # fmt: skip
        self.delivery._ledger = self.ledger

    def _wake(self) -> None:
        self.woken += 1

    def fail_one(self, number: int = 1, name: str = "photo.jpg") -> None:
        """A job that waits to be published as failed."""
        picture = f"p{number}"
        self.ledger.add_picture(picture, Path("starry", name), None)
        draft = Draft(f"j{number}", "starry", Path(name), {}, (), "Broken.")
        self.ledger.admit(picture, sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft])
        (self.config.state / "spool/pictures" / picture).write_bytes(b"the picture")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.ledger.close()


def test_what_is_over_is_published_and_filed_and_the_main_loop_told(bench: Bench) -> None:
    bench.fail_one()
    bench.delivery._round()
    assert bench.ledger.counts()[State.FAILED] == 1
    assert bench.ledger.unfiled() == []
    assert not bench.delivery.filing
    assert (bench.config.outbox / "failed/starry/photo.jpg").read_bytes() == b"the picture"
    assert bench.woken == 2


def test_outbox_that_is_away_is_tried_when_asked_and_not_round_and_round(bench: Bench) -> None:
    bench.fail_one()
    bench.config.outbox.rename(bench.config.outbox.with_name("away"))
    bench.config.outbox.write_text("no folder")
    for _ in range(3):
        bench.delivery._round()
    assert bench.woken == 0
    assert "outbox" in bench.health.troubles
    bench.config.outbox.unlink()
    bench.config.outbox.with_name("away").rename(bench.config.outbox)
    bench.delivery._round()
    assert bench.woken == 2
    assert bench.health.troubles == {}


def test_cancelled_while_it_waited_is_published_in_the_same_round(bench: Bench) -> None:
    bench.ledger.add_picture("p1", Path("starry/photo.jpg"), None)
    draft = Draft("j1", "starry", Path("photo.jpg"), {"seed": 1}, ())
    bench.ledger.admit("p1", sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft])
    (bench.config.state / "spool/pictures/p1").write_bytes(b"the picture")
    bench.ledger.request_cancel("j1")
    bench.delivery._round()
    assert bench.ledger.counts()[State.CANCELLED] == 1
    assert "Cancelled" in (bench.config.outbox / "failed/starry/photo.jpg.reason.txt").read_text()


def test_each_picture_that_the_outbox_does_not_take_is_named(bench: Bench) -> None:
    bench.fail_one(1, "first.jpg")
    bench.fail_one(2, "second.jpg")
    bench.config.outbox.rename(bench.config.outbox.with_name("away"))
    bench.config.outbox.write_text("no folder")
    bench.delivery._round()
    told = bench.health.troubles["outbox"]
    assert "first.jpg" in told and "second.jpg" in told


def test_bug_about_one_job_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.fail_one(1, "first.jpg")
    bench.fail_one(2, "second.jpg")
    publish = delivery.publish

    def stumbling(outbox: Path, spool: Spool, job: Job, *rest: Any, **more: Any) -> dict[str, str]:
        if job.below.name == "first.jpg":
            raise ValueError("a bug")
        return publish(outbox, spool, job, *rest, **more)

    monkeypatch.setattr("daemon.delivery.publish", stumbling)
    bench.delivery._round()
    assert bench.ledger.counts()[State.FAILED] == 1
    assert "a bug" in bench.health.troubles["outbox"]
    monkeypatch.undo()
    bench.delivery._round()
    assert bench.ledger.counts()[State.FAILED] == 2 and bench.health.troubles == {}
