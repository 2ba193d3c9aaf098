"""Whose an inbox's claims are; the clocks are numbers, the locks are real."""

import dataclasses
import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.intake import owner
from daemon.intake.others import Life, Others, is_locked
from daemon.intake.owner import BEAT_S, SILENCE_S, Owner, Ownership, encode, read_owner
from daemon.state.claimed import owner_file
from daemon.state.spool import Spool

MARK = "0badcafe"
THERE = Owner("nas-box", 7, "/srv/state", kernel="another", process="another:1", beat=1)
HERE = dataclasses.replace(THERE, kernel="this", process="this:1")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox/.claimed").mkdir(parents=True)
    return tmp_path / "inbox"


@pytest.fixture
def others(inbox: Path) -> Others:
    """A look from a machine whose kernel is `this`, at an inbox on a local disk."""
    return Others(inbox, lambda _: False, lambda: "this")


def service(inbox: Path, state: Path, name: str, clock: Callable[[], float] = float) -> Ownership:
    """The mark of a service that is a process of its own."""
    state.mkdir(exist_ok=True)
    me = dataclasses.replace(HERE, state=str(state), process=f"this:{name}")
    return Ownership(inbox, Spool(state), clock=clock, me=lambda _: me)


def test_running_service_holds_its_mark_and_says_who_it_is(
    inbox: Path, others: Others, tmp_path: Path
) -> None:
    held = service(inbox, tmp_path / "state", "a")
    mark = held.hold()
    assert mark == Spool(tmp_path / "state").known_mark()
    life, owner = others.look(mark, 0.0)
    assert life is Life.ALIVE and owner is not None and owner.state == str(tmp_path / "state")
    held.release()
    assert Others(inbox, lambda _: False, lambda: "this").look(mark, 0.0)[0] is Life.GONE


def test_copy_of_a_state_folder_takes_a_mark_of_its_own_while_the_other_runs(
    inbox: Path, tmp_path: Path
) -> None:
    first = service(inbox, tmp_path / "state", "a")
    mark = first.hold()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/identity").write_bytes((tmp_path / "state/identity").read_bytes())
    second = service(inbox, tmp_path / "copy", "b")
    other = second.hold()
    assert other != mark and second.renewed and Spool(tmp_path / "copy").known_mark() == other
    assert first.hold() == mark and not first.renewed


def test_moved_state_folder_keeps_its_mark(inbox: Path, tmp_path: Path) -> None:
    before = service(inbox, tmp_path / "state", "a")
    mark = before.hold()
    before.release()
    (tmp_path / "state").rename(tmp_path / "moved")
    assert service(inbox, tmp_path / "moved", "b").hold() == mark


def test_two_copies_that_do_not_see_each_others_lock_notice_by_the_words(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Over a network a lock may reach nobody: whoever finds other words in its file twice gives way.
    held = service(inbox, tmp_path / "state", "a")
    mark = held.hold()
    for _ in range(2):
        owner_file(inbox, mark).write_bytes(encode(THERE))
        last = held.hold()
    assert last != mark and held.renewed


def test_mark_is_made_again_in_an_inbox_put_in_the_place_of_the_first(
    inbox: Path, tmp_path: Path
) -> None:
    held = service(inbox, tmp_path / "state", "a")
    mark = held.hold()
    inbox.rename(tmp_path / "away")
    inbox.mkdir()
    assert held.hold() == mark
    owner, _ = read_owner(owner_file(inbox, mark))
    assert owner is not None and owner.process == "this:a"


def test_inbox_that_is_gone_is_not_made_for_a_mark(inbox: Path, tmp_path: Path) -> None:
    (inbox / ".claimed").rmdir()
    inbox.rmdir()
    with pytest.raises(FileNotFoundError):
        service(inbox, tmp_path / "state", "a").hold()
    assert not inbox.exists()


def test_intake_that_begins_anew_in_the_same_process_keeps_its_mark(
    inbox: Path, tmp_path: Path
) -> None:
    first, second = (service(inbox, tmp_path / "state", "a") for _ in range(2))
    assert first.hold() == second.hold() and not second.renewed


def test_owner_gives_a_sign_of_life_once_a_minute(inbox: Path, tmp_path: Path) -> None:
    now = [100.0]
    held = service(inbox, tmp_path / "state", "a", lambda: now[0])
    file = owner_file(inbox, held.hold())
    words = []
    for now[0] in (110.0, 100.0 + BEAT_S, 101.0 + BEAT_S, 100.0 + 2 * BEAT_S):
        held.beat()
        words.append(file.read_bytes())
    assert words[0] != words[1] == words[2] != words[3]


def test_lock_alone_decides_among_processes_of_one_kernel_on_a_local_disk(
    inbox: Path, others: Others
) -> None:
    owner_file(inbox, MARK).write_bytes(encode(HERE))
    with owner_file(inbox, MARK).open("rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        assert others.look(MARK, 0.0)[0] is Life.ALIVE
    assert Others(inbox, lambda _: False, lambda: "this").look(MARK, 0.0) == (Life.GONE, HERE)


@pytest.mark.parametrize(
    ("owner", "network"), [(THERE, False), (HERE, True)], ids=["another machine's", "on a share"]
)
def test_owner_whose_lock_may_not_be_seen_is_gone_only_after_long_silence(
    inbox: Path, owner: Owner, network: bool
) -> None:
    others = Others(inbox, lambda _: network, lambda: "this")
    owner_file(inbox, MARK).write_bytes(encode(owner))
    looks = [others.look(MARK, now_s)[0] for now_s in (0.0, SILENCE_S - 1, SILENCE_S)]
    assert looks == [Life.UNKNOWN, Life.UNKNOWN, Life.GONE]


def test_owner_whose_file_goes_on_changing_lives(inbox: Path, others: Others) -> None:
    owner_file(inbox, MARK).write_bytes(encode(THERE))
    assert others.look(MARK, 0.0)[0] is Life.UNKNOWN
    for beat in range(2, 20):
        owner_file(inbox, MARK).write_bytes(encode(dataclasses.replace(THERE, beat=beat)))
        assert others.look(MARK, beat * BEAT_S)[0] is Life.ALIVE
    assert others.look(MARK, 19 * BEAT_S + SILENCE_S)[0] is Life.GONE


def test_owner_that_was_seen_alive_may_start_again_in_peace(inbox: Path, others: Others) -> None:
    owner_file(inbox, MARK).write_bytes(encode(HERE))
    with owner_file(inbox, MARK).open("rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        others.look(MARK, 0.0)
    assert others.look(MARK, SILENCE_S - 1)[0] is Life.ALIVE
    assert others.look(MARK, SILENCE_S)[0] is Life.GONE


def test_owner_without_a_file_may_live_and_is_gone_only_after_long_silence(others: Others) -> None:
    # Services of older versions have none.
    looks = [others.look(MARK, now_s) for now_s in (0.0, SILENCE_S - 1, SILENCE_S)]
    assert looks == [(Life.UNKNOWN, None), (Life.UNKNOWN, None), (Life.GONE, None)]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENOLCK, errno.ENOSYS])
def test_file_system_that_refuses_locks_keeps_no_service_from_its_mark(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refused)
    held = service(inbox, tmp_path / "state", "a")
    assert held.hold() == Spool(tmp_path / "state").known_mark() and not held.renewed


def test_mark_is_renewed_no_more_than_once_where_every_lock_seems_to_be_held(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "held")

    monkeypatch.setattr("fcntl.flock", refused)
    held = service(inbox, tmp_path / "state", "a")
    mark = held.hold()
    assert held.renewed and held.hold() == mark
    assert len(list((inbox / ".claimed").iterdir())) == 2


def test_mark_that_cannot_be_written_is_held_until_it_can(
    inbox: Path, others: Others, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    held = service(inbox, tmp_path / "state", "a", lambda: now[0])
    mark = held.hold()
    with monkeypatch.context() as broken:

        def refused(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        broken.setattr("os.pwrite", refused)
        now[0] += BEAT_S
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                held.hold()
            assert is_locked(owner_file(inbox, mark))
    assert held.hold() == mark and others.look(mark, 0.0)[0] is Life.ALIVE


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "x"}'])
def test_words_that_say_nothing_do_not_count_as_anybodys(
    inbox: Path, tmp_path: Path, content: bytes
) -> None:
    # A full disk leaves an empty file: the lock holds all the same.
    held = service(inbox, tmp_path / "state", "a")
    mark = held.hold()
    owner_file(inbox, mark).write_bytes(content)
    assert held.hold() == mark and not held.renewed


def test_process_without_proc_is_still_told_from_all_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError(2, "No such file or directory", "/proc/self/stat")

    owner.process_id.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", missing)
        found = owner.process_id()
        assert found and owner.process_id() == found
    owner.process_id.cache_clear()
    assert owner.process_id() != found
