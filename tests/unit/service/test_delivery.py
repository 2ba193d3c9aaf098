"""A round of the delivery, in this thread."""

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake.strays import take_over
from daemon.job import Draft, Job, State
from daemon.ledger.store import Ledger
from daemon.messages import Done
from daemon.outbox.finishers import FinishedPicture, Finishers
from daemon.service import delivery
from daemon.service.delivery import FINISHERS, Delivery
from daemon.settings.config import Config
from daemon.state.claimed import claims
from daemon.state.mounts import Mounts
from daemon.state.spool import Spool
from daemon.status.health import Health
from daemon.status.metrics import Metrics


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
        self.woken = self.returned = 0
        self.shown: list[str] = []
        Mounts(self.config.state).remember(self.config.outbox)
        metrics = Metrics(self.config.ledger_path, [], self.health, lambda: [])
        self.delivery = Delivery(
            self.config,
            Spool(self.config.state),
            self.health,
            metrics,
            lambda verdict: False,
            self._wake,
            returned=self._return,
            gallery=self,
        )
        self.delivery._ledger = self.ledger

    def add(self, record: str) -> None:
        """What the gallery is told."""
        self.shown.append(record)

    def add_sheet(self, listing: Path) -> None:
        self.shown.append(str(listing))

    def _wake(self) -> None:
        self.woken += 1

    def _return(self) -> None:
        self.returned += 1

    def fail_one(self, number: int = 1, name: str = "photo.jpg") -> None:
        """A job that waits to be published as failed."""
        picture = f"p{number}"
        self.ledger.add_picture(picture, Path("starry", name))
        draft = Draft(f"j{number}", "starry", Path(name), {}, (), "Broken.")
        self.ledger.admit(picture, sha256="ab", size=9, width_px=4, height_px=3, drafts=[draft])
        (self.config.state / "spool/pictures" / picture).write_bytes(b"the picture")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.ledger.close()


def test_what_was_published_is_shown_and_its_small_versions_wait_outside_the_spool(
    bench: Bench,
) -> None:
    bench.fail_one()
    spool = Spool(bench.config.state)
    spool.small("j1").mkdir(parents=True)
    (spool.small("j1") / "photograph.jpg").write_bytes(b"small")
    bench.delivery._round()
    assert bench.shown == ["failed/starry/photo.jpg.json"]
    assert (spool.handed / "j1" / "photograph.jpg").read_bytes() == b"small"
    assert not spool.job("j1").exists()


def test_small_versions_that_cannot_be_handed_on_hold_no_result_up(bench: Bench) -> None:
    bench.fail_one()
    spool = Spool(bench.config.state)
    spool.small("j1").mkdir(parents=True)
    spool.handed.write_text("a file in its place")
    bench.delivery._round()
    assert bench.ledger.counts()[State.FAILED] == 1 and bench.health.troubles == {}
    assert bench.shown == ["failed/starry/photo.jpg.json"]


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


def test_outbox_that_is_not_mounted_is_told_in_its_own_words(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Mounts, folder: Path) -> None:
        raise SurroundingsError(f"nothing is mounted at {folder}")

    monkeypatch.setattr(Mounts, "check", refuse)
    bench.fail_one()
    bench.delivery._round()
    assert "nothing is mounted at" in bench.health.troubles["outbox"]


def test_cancelled_while_it_waited_is_published_in_the_same_round(bench: Bench) -> None:
    bench.ledger.add_picture("p1", Path("starry/photo.jpg"))
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

    monkeypatch.setattr("daemon.service.delivery.publish", stumbling)
    bench.delivery._round()
    assert bench.ledger.counts()[State.FAILED] == 1
    assert "a bug" in bench.health.troubles["outbox"]
    monkeypatch.undo()
    bench.delivery._round()
    assert bench.ledger.counts()[State.FAILED] == 2 and bench.health.troubles == {}


PHOTO = Path("starry/photo.jpg")


def test_finisher_that_fails_for_a_picture_is_told_and_repeated_and_holds_up_no_other(
    bench: Bench,
) -> None:
    drawn: list[str] = []
    broken = {"p1"}

    def draw(finished: FinishedPicture) -> None:
        if finished.picture.id in broken:
            raise SurroundingsError(f"no sheet of {finished.picture.id}")
        drawn.append(finished.picture.id)

    bench.delivery._finishers = Finishers([*FINISHERS, draw])
    bench.fail_one(1, "first.jpg")
    bench.fail_one(2, "second.jpg")
    bench.delivery._round()
    assert drawn == ["p2"] and "no sheet of p1" in bench.health.troubles["outbox"]
    assert [picture.id for picture in bench.ledger.unfiled()] == ["p1"] and bench.delivery.filing
    filed = bench.config.outbox / "failed/starry/first.jpg"
    assert filed.read_bytes() == b"the picture"
    filed.unlink()  # somebody has taken it away
    broken.clear()
    bench.delivery._round()
    assert drawn == ["p2", "p1"] and bench.health.troubles == {}
    assert bench.ledger.unfiled() == [] and not filed.exists()


def paint(bench: Bench, *jobs: str, content: bytes = b"the picture") -> Path:
    """A claimed picture whose jobs are painted; where it lies."""
    original = bench.config.inbox / ".claimed/p1" / PHOTO
    files.write_bytes(original, content)
    sha256 = files.sha256_of(original)
    drafts = [Draft(job, f"preset-{job}", Path("photo.jpg"), {}, ()) for job in jobs]
    bench.ledger.add_picture("p1", PHOTO)
    bench.ledger.admit(
        "p1", sha256=sha256, size=len(content), width_px=4, height_px=3, drafts=drafts
    )
    files.write_bytes(bench.config.state / "spool/pictures/p1", content)
    for _ in jobs:
        job = bench.ledger.claim_job("me")
        assert job is not None
        files.write_bytes(bench.config.state / f"spool/jobs/{job.id}/result", b"painted")
    return original


def finish(bench: Bench, job: str) -> None:
    bench.ledger.finish_job(job, "me", State.DONE)


def published(bench: Bench) -> set[str]:
    return {path.name for path in bench.config.outbox.rglob("*") if path.is_file()}


def test_finishers_that_a_killed_service_did_not_come_to_are_called_by_the_next(
    bench: Bench,
) -> None:
    """It was killed between two: the first is called once more, and does no harm."""
    drawn: list[str] = []

    def die(finished: FinishedPicture) -> None:
        raise KeyboardInterrupt

    paint(bench, "j1")
    finish(bench, "j1")
    bench.delivery._finishers = Finishers([*FINISHERS, die])
    with pytest.raises(KeyboardInterrupt):
        bench.delivery._round()
    finishers = [*FINISHERS, lambda finished: drawn.append(finished.picture.id)]
    bench.delivery._finishers = Finishers(finishers)
    bench.delivery._round()
    assert drawn == ["p1"] and bench.ledger.unfiled() == []
    originals = list((bench.config.outbox / "originals").rglob("*.jpg"))
    assert [path.read_bytes() for path in originals] == [b"the picture"]


@pytest.mark.parametrize("now", [b"the PICTURE", b"the picture and its rest"])
def test_picture_that_was_written_to_after_its_claim_is_painted_again_and_not_published(
    bench: Bench, now: bytes
) -> None:
    original = paint(bench, "j1")
    original.write_bytes(now)
    finish(bench, "j1")
    bench.delivery._round()
    assert published(bench) == set()
    assert bench.ledger.counts()[State.RETRIED] == 1 and bench.ledger.unfiled() == []
    assert (bench.config.inbox / PHOTO).read_bytes() == now
    assert claims(bench.config.inbox) == [] and bench.returned == 1
    assert not (bench.config.state / "spool/pictures/p1").exists()


def test_twin_of_another_label_is_answered_under_its_own(bench: Bench) -> None:
    """The same recipe may be a cell of two sweeps, or of one and of none."""
    paint(bench, "j1")
    result = bench.config.state / "spool/jobs/j1/result"
    outcome = Done(result_sha256=files.sha256_of(result))
    result.with_name("timelapse.webp").write_bytes(b"the film")
    bench.ledger.finish_job("j1", "me", State.DONE, outcome=outcome)
    bench.delivery._round()
    like = Draft("j2", "preset-j1", Path("other.jpg"), {}, (), label="beta=5", fingerprint="f")
    with bench.ledger.together():
        bench.ledger.add_picture("p2", Path("starry/other.jpg"))
        bench.ledger.admit("p2", sha256="ab", size=9, width_px=4, height_px=3, drafts=[like])
    bench.ledger.database.connection.execute("UPDATE job SET twin = 'j1' WHERE id = 'j2'")
    bench.delivery._round()
    answered = bench.config.outbox / "preset-j1/other.sweep/other.beta=5.jpg"
    assert answered.read_bytes() == b"painted"
    film = answered.parent / ".jobs" / f"{answered.name}.webp"
    assert film.read_bytes() == b"the film", "of the job that was painted"


def test_picture_that_was_written_to_goes_back_once_its_last_job_does_not_run(
    bench: Bench,
) -> None:
    original = paint(bench, "j1", "j2")
    original.write_bytes(b"the whole picture")
    finish(bench, "j1")
    for _ in range(2):
        bench.delivery._round()
    assert published(bench) == set() and not (bench.config.inbox / PHOTO).exists()
    finish(bench, "j2")
    bench.delivery._round()
    assert bench.ledger.counts()[State.RETRIED] == 2 and (bench.config.inbox / PHOTO).exists()


def test_record_of_what_was_published_too_early_says_so(bench: Bench) -> None:
    original = paint(bench, "j1", "j2")
    finish(bench, "j1")
    bench.delivery._round()
    original.write_bytes(b"the whole picture")
    finish(bench, "j2")
    bench.delivery._round()
    record = json.loads((bench.config.outbox / "preset-j1/.jobs/photo.jpg.json").read_bytes())
    assert "earlier state of the file" in record["warnings"][0]
    assert not (bench.config.outbox / "preset-j2").exists()
    assert not (bench.config.outbox / "originals").exists()
    assert (bench.config.inbox / PHOTO).read_bytes() == b"the whole picture"


def test_inbox_that_does_not_take_a_picture_back_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    paint(bench, "j1").write_bytes(b"the whole picture")
    finish(bench, "j1")
    with monkeypatch.context() as closed:
        closed.setattr("daemon.service.delivery.give_back_all", refused)
        bench.delivery._round()
    assert "cannot be given back" in bench.health.troubles["outbox"]
    bench.delivery._round()
    assert (bench.config.inbox / PHOTO).exists()


def test_picture_that_goes_back_is_being_filed_until_the_intake_knows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bool, int]] = []
    give_back_all = delivery.give_back_all

    def look(inbox: Path, picture_id: str) -> None:
        seen.append((bench.ledger.owed(), bench.delivery.filing, bench.returned))
        give_back_all(inbox, picture_id)

    bench.delivery._round()
    assert not bench.delivery.filing
    paint(bench, "j1").write_bytes(b"the whole picture")
    finish(bench, "j1")
    monkeypatch.setattr("daemon.service.delivery.give_back_all", look)
    bench.delivery._round()
    assert seen == [(False, True, 0)] and bench.returned == 1 and not bench.delivery.filing


def test_picture_that_the_inbox_does_not_take_back_counts_as_being_filed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    paint(bench, "j1").write_bytes(b"the whole picture")
    finish(bench, "j1")
    monkeypatch.setattr("daemon.service.delivery.give_back_all", refused)
    for _ in range(2):
        bench.delivery._round()
        assert bench.delivery.filing


def test_original_is_read_once_however_often_the_outbox_refuses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = paint(bench, "j1")
    finish(bench, "j1")
    read: list[Path] = []
    sha256_of = files.sha256_of
    monkeypatch.setattr(files, "sha256_of", lambda path: (read.append(path), sha256_of(path))[1])
    bench.config.outbox.rename(bench.config.outbox.with_name("away"))
    bench.config.outbox.write_text("no folder")
    for _ in range(3):
        bench.delivery._round()
    assert read.count(original) <= 1 and "outbox" in bench.health.troubles


def test_picture_that_another_service_has_taken_over_is_not_published(bench: Bench) -> None:
    paint(bench, "j1")
    take_over(bench.config.inbox, "p1", "0badcafe")
    finish(bench, "j1")
    bench.delivery._round()
    assert published(bench) == set() and bench.ledger.counts()[State.RETRIED] == 1
    assert (bench.config.inbox / PHOTO).exists()


def test_result_is_held_back_while_another_service_may_have_taken_its_picture_over(
    bench: Bench,
) -> None:
    paint(bench, "j1")
    files.write_bytes(Spool(bench.config.state).shares_inbox, b"")
    finish(bench, "j1")
    bench.config.inbox.rename(bench.config.inbox.with_name("away"))
    bench.delivery._round()
    assert published(bench) == set()
    told = bench.health.troubles["outbox"]
    assert "photo.jpg is held back" in told and "mount the inbox" in told
    take_over(bench.config.inbox.with_name("away"), "p1", "0badcafe")
    bench.config.inbox.with_name("away").rename(bench.config.inbox)
    bench.delivery._round()
    assert published(bench) == set() and bench.ledger.counts()[State.RETRIED] == 1
    assert bench.health.troubles == {}


def test_result_of_a_service_that_was_always_alone_is_published_while_the_inbox_is_away(
    bench: Bench,
) -> None:
    paint(bench, "j1")
    finish(bench, "j1")
    bench.config.inbox.rename(bench.config.inbox.with_name("away"))
    bench.delivery._round()
    assert bench.ledger.counts()[State.DONE] == 1


def test_rewritten_picture_whose_painting_was_cancelled_is_not_painted_again(bench: Bench) -> None:
    original = paint(bench, "j1", "j2")
    original.write_bytes(b"the whole picture")
    for job in ("j1", "j2"):
        bench.ledger.release_job(job, "me")
        bench.ledger.request_cancel(job)
    bench.delivery._round()
    assert bench.ledger.counts()[State.CANCELLED] == 2 and bench.returned == 0
    assert not (bench.config.inbox / PHOTO).exists()
    filed = bench.config.outbox / "failed/preset-j1/photo.jpg"
    assert filed.read_bytes() == b"the whole picture"


def test_run_that_paints_what_is_not_the_whole_picture_is_stopped(bench: Bench) -> None:
    original = paint(bench, "j1", "j2")
    original.write_bytes(b"the whole picture")
    finish(bench, "j1")
    bench.delivery._round()
    assert bench.ledger.cancel_requests() == ["j2"] and published(bench) == set()
    bench.ledger.finish_job("j2", "me", State.CANCELLED)
    bench.delivery._round()
    assert bench.ledger.counts()[State.RETRIED] == 2 and bench.returned == 1
    assert (bench.config.inbox / PHOTO).read_bytes() == b"the whole picture"


def test_run_beside_a_cancelled_job_of_a_rewritten_picture_is_not_stopped(bench: Bench) -> None:
    original = paint(bench, "j1", "j2")
    original.write_bytes(b"the whole picture")
    bench.ledger.finish_job("j1", "me", State.CANCELLED, reason="Cancelled.")
    bench.delivery._round()
    assert bench.ledger.cancel_requests() == [] and bench.ledger.counts()[State.CANCELLED] == 1
    finish(bench, "j2")
    bench.delivery._round()
    assert (bench.config.inbox / PHOTO).exists() and bench.returned == 1


def test_record_that_was_laid_already_is_withdrawn_when_the_picture_goes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    original = paint(bench, "j1")
    finish(bench, "j1")
    with monkeypatch.context() as short:
        short.setattr("daemon.outbox.publish.place", full)
        bench.delivery._round()
    assert published(bench) == {"photo.jpg.json", "photo.jpg.log"}
    original.write_bytes(b"the whole picture")
    bench.delivery._round()
    assert published(bench) == set() and bench.ledger.counts()[State.RETRIED] == 1


def test_record_that_somebody_has_rewritten_keeps_no_picture_from_going_back(bench: Bench) -> None:
    original = paint(bench, "j1", "j2")
    finish(bench, "j1")
    bench.delivery._round()
    record = bench.config.outbox / "preset-j1/.jobs/photo.jpg.json"
    record.write_text('{"id": "j1"}')
    original.write_bytes(b"the whole picture")
    finish(bench, "j2")
    bench.delivery._round()
    assert bench.health.troubles == {} and (bench.config.inbox / PHOTO).exists()
    assert len(json.loads(record.read_bytes())["warnings"]) == 1
