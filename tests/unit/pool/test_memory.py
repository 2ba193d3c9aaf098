"""Memory of the devices, from the system and for the workers alone."""

import mmap
import os
import subprocess
import sys

from daemon.pool.memory import device_memory, host_memory, resident_bytes


def test_own_memory_of_the_host_is_what_is_resident_of_the_workers() -> None:
    (told,) = device_memory(["cpu"], {"cpu": [os.getpid()]})
    assert told.device == "cpu"
    assert 10 << 20 < told.own_bytes < told.used_bytes < told.total_bytes


def test_host_without_a_worker_holds_nothing_of_ours() -> None:
    (told,) = device_memory(["cpu"], {})
    assert told.own_bytes == 0 < told.used_bytes


def test_worker_that_is_gone_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    assert resident_bytes(gone.pid) == 0
    told = host_memory("cpu", [gone.pid])
    assert told is not None and told.own_bytes == 0


def test_resident_bytes_follow_what_is_taken() -> None:
    before = resident_bytes(os.getpid())
    with mmap.mmap(-1, 64 << 20) as taken:  # of the heap there may be as much free already
        taken.write(b"\1" * len(taken))
        assert 60 << 20 < resident_bytes(os.getpid()) - before < 200 << 20
