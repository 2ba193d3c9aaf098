"""What a node keeps of files that travelled, and for whom."""

import errno
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.fleet.cache import BlobCache, Fetch
from daemon.fleet.carrier import CarriageError
from daemon.host import files

ONE, TWO, THREE = (letter * 100 for letter in (b"1", b"2", b"3"))


def name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Source:
    """Brings files, and counts how often."""

    def __init__(self) -> None:
        self.fetched = 0

    def of(self, content: bytes) -> Fetch:
        def fetch(to: Path) -> str:
            self.fetched += 1
            to.write_bytes(content)
            return name_of(content)

        return fetch


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


Use = Callable[..., Path]


@pytest.fixture
def use(source: Source) -> Use:
    """Holds a file of a cache for a moment."""

    def use(cache: BlobCache, content: bytes) -> Path:
        path = cache.hold(name_of(content), source.of(content))
        assert path.read_bytes() == content
        cache.let_go(name_of(content))
        return path

    return use


def kept(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_file_travels_once_also_over_a_restart(folder: Path, source: Source, use: Use) -> None:
    cache = BlobCache(folder, 1000)
    use(cache, ONE)
    use(cache, ONE)
    use(BlobCache(folder, 1000), ONE)
    assert source.fetched == 1


def test_least_recently_used_goes_where_all_take_too_much(folder: Path, use: Use) -> None:
    cache = BlobCache(folder, 250)
    for content in (ONE, TWO, ONE):
        os.utime(use(cache, content), ns=(0, len(kept(folder))))
    use(cache, ONE)
    use(cache, THREE)
    assert kept(folder) == {name_of(ONE), name_of(THREE)}


def test_what_is_held_stays_whatever_it_takes_and_goes_afterwards(
    folder: Path, source: Source, use: Use
) -> None:
    cache = BlobCache(folder, 150)
    contents = {name_of(content): source.of(content) for content in (ONE, TWO)}
    with cache.held(contents) as paths:
        use(cache, THREE)
        assert {paths[name_of(content)].read_bytes() for content in (ONE, TWO)} == {ONE, TWO}
    assert len(kept(folder)) == 1


def test_file_held_twice_is_held_until_it_was_let_go_of_twice(folder: Path, source: Source) -> None:
    cache = BlobCache(folder, 0)
    for _ in range(2):
        cache.hold(name_of(ONE), source.of(ONE))
    cache.let_go(name_of(ONE))
    assert kept(folder) == {name_of(ONE)}
    cache.let_go(name_of(ONE))
    assert kept(folder) == set()


def test_what_another_process_holds_stays_until_that_one_ends(folder: Path, use: Use) -> None:
    mine = BlobCache(folder, 0)
    script = (
        "import pathlib, sys\n"
        "from daemon.fleet.cache import BlobCache\n"
        f"BlobCache(pathlib.Path({str(folder)!r}), 0).hold(\n"
        f"    {name_of(ONE)!r}, lambda to: to.write_bytes({ONE!r}) and {name_of(ONE)!r}\n"
        ")\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None and other.stdout.readline()
        use(mine, TWO)
        assert kept(folder) == {name_of(ONE)}
        other.kill()
    use(mine, TWO)
    assert kept(folder) == set()


def test_two_that_want_the_same_file_fetch_it_once(folder: Path, source: Source) -> None:
    began, go_on = threading.Event(), threading.Event()
    brought = source.of(ONE)

    def slowly(to: Path) -> str:
        began.set()
        assert go_on.wait(20)
        return brought(to)

    def want(cache: BlobCache) -> None:
        with cache.held({name_of(ONE): slowly}) as paths:
            assert paths[name_of(ONE)].read_bytes() == ONE

    # Made first: as a process begins, its cache sweeps away what that process's id has left.
    caches = [BlobCache(folder, 1000) for _ in range(2)]
    threads = [threading.Thread(target=want, args=(cache,)) for cache in caches]
    for thread in threads:
        thread.start()
    assert began.wait(20)
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert source.fetched == 1


@pytest.mark.parametrize("content", [b"", ONE[:50], b"\0" * 100], ids=["empty", "half", "zeros"])
def test_file_that_a_power_cut_left_damaged_is_fetched_anew(
    content: bytes, folder: Path, source: Source, use: Use
) -> None:
    path = use(BlobCache(folder, 1000), ONE)
    path.write_bytes(content)
    use(BlobCache(folder, 1000), ONE)
    assert source.fetched == 2


def test_another_file_than_was_asked_for_is_not_kept(folder: Path, source: Source) -> None:
    cache = BlobCache(folder, 1000)
    with pytest.raises(CarriageError, match="should have been"):
        cache.hold(name_of(ONE), source.of(TWO))
    assert kept(folder) == set()
    assert cache.hold(name_of(ONE), source.of(ONE)).read_bytes() == ONE


def test_fetching_that_fails_leaves_nothing_and_lets_go_of_what_was_held_with_it(
    folder: Path, source: Source
) -> None:
    def fail(to: Path) -> str:
        to.write_bytes(b"half")
        raise CarriageError("the link is broken")

    cache = BlobCache(folder, 0)
    with pytest.raises(CarriageError, match="broken"):
        with cache.held({name_of(ONE): source.of(ONE), name_of(TWO): fail}):
            raise AssertionError("it was not fetched")
    assert not [path for path in folder.iterdir() if files.is_temporary(path.name)]
    assert kept(folder) == set()


def test_full_disk_takes_the_room_of_what_nobody_holds(
    folder: Path, source: Source, use: Use
) -> None:
    cache = BlobCache(folder, 1000)
    use(cache, ONE)
    cache.hold(name_of(TWO), source.of(TWO))
    bring = source.of(THREE)

    def fetch(to: Path) -> str:
        if name_of(ONE) in kept(folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(to))
        return bring(to)

    cache.hold(name_of(THREE), fetch)
    assert kept(folder) == {name_of(TWO), name_of(THREE)}


def test_what_a_process_left_half_fetched_is_swept_away(folder: Path, source: Source) -> None:
    cache = BlobCache(folder, 1000)
    left = files.temporary_beside(folder / name_of(ONE))
    left.write_bytes(b"half")
    BlobCache(folder, 1000)
    assert not left.exists()
    assert cache.hold(name_of(ONE), source.of(ONE)).read_bytes() == ONE


@pytest.mark.parametrize("name", ["", "abc", "../" + "a" * 61, "A" * 64])
def test_what_is_no_hash_is_no_name_of_a_file(name: str, folder: Path, source: Source) -> None:
    with pytest.raises(ValueError, match="is no sha256"):
        BlobCache(folder, 1000).hold(name, source.of(ONE))
