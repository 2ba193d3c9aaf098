"""What containers and units grant: quotas and memory of both versions, nested, seen or not."""

import os
from pathlib import Path

import pytest

from daemon.engine.fit import cgroups
from daemon.engine.fit.cgroups import memory_groups, processors, threads_of_each

HIERARCHIES = (
    "30 1 0:1 {root} {top}/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "31 1 0:2 {root} {top}/memory rw - cgroup cgroup rw,memory\n"
    "32 1 0:3 / {top}/systemd rw - cgroup cgroup rw,name=systemd\n"
)
UNIFIED = "40 1 0:4 {root} {top} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


class Machine:
    """Files of a kernel: /proc/self and the control groups."""

    def __init__(self, folder: Path) -> None:
        self.top = folder / "cgroup with blanks"
        self.proc = folder / "proc"
        self.proc.mkdir()

    def mounted(self, mounts: str, own: str, root: str = "/") -> None:
        """Groups are mounted from `root` on; `own` is the text of /proc/self/cgroup."""
        top = str(self.top).replace(" ", "\\040")
        (self.proc / "mountinfo").write_text(
            "22 1 0:9 / / rw - ext4 /dev/vda rw\n" + mounts.format(top=top, root=root)
        )
        (self.proc / "cgroup").write_text(own)

    def group(self, path: str, **files: str | int) -> None:
        folder = self.top / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(f"{content}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(cgroups, "PROC", made.proc)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    return made


@pytest.mark.parametrize(
    ("quota", "threads"),
    [
        ("max 100000", 8),
        ("100000 100000", 1),
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("9900000 100000", 8),
        ("", 8),
    ],
)
def test_quota_is_rounded_up_to_whole_processors(
    machine: Machine, quota: str, threads: int
) -> None:
    machine.mounted(UNIFIED, "0::/box\n")
    machine.group("box", cpu__max=quota)
    assert processors() == threads


def test_quota_of_version_1_counts(machine: Machine) -> None:
    machine.mounted(HIERARCHIES, "4:memory:/\n3:cpu,cpuacct:/box\n0::/\n")
    machine.group("cpu/box", cpu__cfs_quota_us=250000, cpu__cfs_period_us=100000)
    assert processors() == 3
    machine.group("cpu/box", cpu__cfs_quota_us=-1)
    assert processors() == 8
    machine.group("cpu", cpu__cfs_quota_us=100000, cpu__cfs_period_us=100000)
    assert processors() == 1  # of the group above


def test_tightest_of_all_groups_above_counts(machine: Machine) -> None:
    machine.mounted(UNIFIED, "0::/a/b/c\n")
    machine.group("a", cpu__max="200000 100000")
    machine.group("a/b", cpu__max="max 100000")
    machine.group("a/b/c", cpu__max="400000 100000")
    assert processors() == 2


def test_group_of_a_container_that_sees_its_own_alone_counts(machine: Machine) -> None:
    """Docker with version 1: the mount shows the container's group, paths are the machine's."""
    machine.mounted(HIERARCHIES, "3:cpu,cpuacct:/docker/abc\n", root="/docker/abc")
    machine.group("cpu", cpu__cfs_quota_us=100000, cpu__cfs_period_us=100000)
    assert processors() == 1


def test_path_that_is_not_mounted_here_leaves_the_group_that_is(machine: Machine) -> None:
    machine.mounted(UNIFIED, "0::/../../elsewhere\n")
    machine.group("", cpu__max="100000 100000")
    assert processors() == 1


def test_affinity_counts_and_nothing_known_means_affinity(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert processors() == 2


@pytest.mark.parametrize(
    ("wish", "sharers", "threads"),
    [
        (None, 1, 8),
        (None, 3, 2),
        (None, 20, 1),
        ("3", 4, 3),
        ("2,1", 1, 2),
        ("many", 1, 8),
        ("0", 1, 8),
        ("-4", 1, 8),
        ("", 1, 8),
        ("64", 1, 8),
        ("9" * 30, 2, 8),
        ("008", 1, 8),
    ],
)
def test_workers_share_what_is_granted_unless_the_environment_says_how_many_each(
    machine: Machine, wish: str | None, sharers: int, threads: int
) -> None:
    environment = {} if wish is None else {"OMP_NUM_THREADS": wish}
    assert threads_of_each(sharers, environment) == threads


def test_memory_of_version_2_counts_with_what_gives_way(machine: Machine) -> None:
    machine.mounted(UNIFIED, "0::/box\n")
    machine.group("", memory__max="max", memory__current=7, memory__stat="inactive_file 1")
    machine.group("box", memory__max=1005, memory__high="max", memory__current=105)
    machine.group("box", memory__stat="anon 1\ninactive_file 100\nactive_file 3")
    (found,) = memory_groups()
    assert (found.limit_bytes, found.left_bytes) == (1005, 1000)
    machine.group("box", memory__high=605)  # above it the kernel only slows down
    assert memory_groups()[0].left_bytes == 600


def test_memory_of_version_1_counts_and_that_of_groups_out_of_sight(machine: Machine) -> None:
    machine.mounted(HIERARCHIES, "4:memory:/box\n3:cpu,cpuacct:/\n", root="/box")
    stat = "inactive_file 5\nhierarchical_memory_limit {}\ntotal_inactive_file 50"
    unlimited = 0x7FFF_FFFF_FFFF_F000
    machine.group("memory", memory__limit_in_bytes=unlimited, memory__usage_in_bytes=450)
    machine.group("memory", memory__stat=stat.format(unlimited))
    assert memory_groups() == []
    machine.group("memory", memory__limit_in_bytes=1000)
    assert memory_groups()[0].left_bytes == 600
    machine.group("memory", memory__stat=stat.format(800))
    assert memory_groups()[0].left_bytes == 400


def test_more_taken_than_granted_leaves_nothing(machine: Machine) -> None:
    machine.mounted(UNIFIED, "0::/\n")
    machine.group("", memory__max=100, memory__current=300)
    assert memory_groups()[0].left_bytes == 0
