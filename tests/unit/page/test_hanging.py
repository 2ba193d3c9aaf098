"""An outbox that hangs: views are shown, say what hangs, and leave few threads behind."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.commands.jobs import Answer
from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.bounded import within
from daemon.page import changes, results, sending, shelf
from daemon.page.sending import Readers
from daemon.settings.presets import Shelf, ShelfReader
from daemon.state.lock import hold
from daemon.state.spool import Spool
from daemon.status.live import Live, write_live
from tests.support import mounts
from tests.support.atelier import PATIENCE_S, encoded, photograph, wait_for
from tests.unit.page.conftest import Desk

VIEWS = ("/", "/queue", "/drop", "/try", "/proofs", "/presets", "/done", "/failed")


@pytest.fixture
def hang(desk: Desk, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Has the outbox, which is a file system of its own, hang from now on."""
    if reason := mounts.why_no_fuse():
        pytest.skip(reason)
    source = tmp_path / "behind"
    marker = source.with_name("behind.hangs")
    with mounts.odd_mount(source, desk.config.outbox, ["hangs"]):
        yield marker.touch
        marker.unlink(missing_ok=True)


def got(desk: Desk, path: str) -> Any:
    """The answer to a request, which must come."""
    answers: list[Any] = []
    within(PATIENCE_S, lambda: answers.append(desk.client.get(path)))
    return answers[0]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not answer is given up at once."""
    monkeypatch.setattr(sending, "ANSWER_S", 0.3)
    monkeypatch.setattr(results, "ANSWER_S", 0.1)


@pytest.mark.usefixtures("impatient")
def test_outbox_that_hangs_keeps_no_view_away_and_is_told(
    desk: Desk, hang: Callable[[], None]
) -> None:
    job, waiting = desk.add("cat.jpg"), desk.add("dog.jpg")
    desk.end(job, original="originals/cat.jpg")
    files.write_bytes(desk.config.outbox / "quick/cat.jpg", encoded(photograph()))
    files.write_bytes(Spool(desk.config.state).preview(waiting), encoded(photograph()))
    lock = hold(desk.config.state)
    write_live(desk.config.state, Live(1, "", health={"outbox": "cat.jpg takes 121 s"}))
    hang()
    for view in (*VIEWS, f"/job/{job}", f"/job/{job}/zoom"):
        assert got(desk, view).status_code == 200, view
    refused = got(desk, f"/job/{job}/result")
    assert refused.status_code == 503 and "does not answer" in refused.text
    told = f"The outbox {desk.config.outbox} does not answer"
    for view in ("/", "/queue", "/drop", "/done", "/done?part", f"/job/{job}"):
        assert told in got(desk, view).text, view
    assert "cat.jpg takes 121 s" in got(desk, "/").text
    assert got(desk, f"/job/{waiting}/preview").status_code == 200
    lock.release()


@pytest.mark.usefixtures("impatient")
def test_outbox_that_answers_again_is_told_of_no_more(
    desk: Desk, hang: Callable[[], None], tmp_path: Path
) -> None:
    job = desk.add("cat.jpg")
    desk.end(job)
    files.write_bytes(desk.config.outbox / "quick/cat.jpg", encoded(photograph()))
    hang()
    assert got(desk, f"/job/{job}/result").status_code == 503
    told = f"The outbox {desk.config.outbox} does not answer"
    assert told in got(desk, "/done").text
    (tmp_path / "behind.hangs").unlink()
    wait_for("the thread to end", lambda: not desk.site.readers.hanging)
    assert told not in got(desk, "/done").text
    assert got(desk, f"/job/{job}/result").status_code == 200


def test_threads_that_hang_are_bounded_however_often_it_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "ANSWER_S", 0.01)
    readers, release, begun = Readers(most=3), threading.Event(), []

    def hangs() -> None:
        begun.append(threading.current_thread())
        release.wait(PATIENCE_S)

    async def ask(times: int) -> None:
        for _ in range(times):
            with contextlib.suppress(SurroundingsError):
                await readers.run(hangs, Path("/outbox/cat.jpg"))
        release.set()
        while readers.hanging:
            await asyncio.sleep(0)
        assert await readers.run(lambda: 5, Path("/outbox/cat.jpg")) == 5

    asyncio.run(ask(20))
    assert len(begun) == 3


def test_records_that_hang_are_bounded_and_the_picture_is_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "ANSWER_S", 0.01)
    release, begun = threading.Event(), []

    def hangs(path: Path) -> None:
        begun.append(path)
        release.wait(PATIENCE_S)

    monkeypatch.setattr(results, "read_json", hangs)
    job = desk.add("cat.jpg")
    desk.end(job)
    for _ in range(10):
        assert desk.client.get(f"/job/{job}").status_code == 200
    assert 1 <= len(begun) <= 4
    release.set()


def test_presets_that_hang_are_told_and_keep_one_thread_until_they_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "ANSWER_S", 0.05)
    release, begun = threading.Event(), []
    read = ShelfReader.read

    def hangs(reader: ShelfReader) -> Shelf:
        begun.append(reader)
        release.wait(PATIENCE_S)
        return read(reader)

    monkeypatch.setattr(ShelfReader, "read", hangs)
    for view in ("/drop", "/try", "/presets", "/", "/done"):
        answer = desk.client.get(view)
        assert answer.status_code == 200
        told = f"{desk.config.presets} does not answer" in answer.text
        assert told is (view in ("/drop", "/try", "/presets"))
    assert len(begun) == 1
    release.set()
    wait_for("the presets", lambda: "quick" in desk.client.get("/drop").text)


def test_change_that_hangs_in_a_share_is_told_and_keeps_few_threads(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "ANSWER_S", 0.01)
    release, begun = threading.Event(), []

    def hangs(config: object, job: str, form: object) -> list[Answer]:
        begun.append(job)
        release.wait(PATIENCE_S)
        return []

    monkeypatch.setitem(changes.CHANGES, "retry", hangs)  # type: ignore[arg-type]
    answers = [desk.post("/job/a/do/retry") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {409}
    assert "It goes on" in answers[0].text and "nothing was done" in answers[-1].text
    wait_for("all threads to have begun", lambda: len(begun) == 16)
    release.set()
