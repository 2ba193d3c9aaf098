"""Clock, memory, limits and graphics cards."""

import errno
from functools import partial
from pathlib import Path

import pytest

from daemon.doctor import machine
from daemon.doctor.finding import found
from daemon.engine.fit.cgroups import MemoryGroup
from daemon.settings.config import Config
from daemon.settings.machine import PerDevice

tried = partial(found, "what")

MEMINFO = "MemTotal: {} kB\nMemAvailable: 1000000 kB\nSwapTotal: {} kB\n"
CTL, UVM = "/dev/nvidiactl", "/dev/nvidia-uvm"


def test_clock_before_the_installation_is_wrong() -> None:
    assert tried(machine.check_clock, 1_000_000_000, 999_990_000).ok
    assert tried(machine.check_clock, 1_000_000_000, 1_000_080_000).ok  # made elsewhere, later
    assert "set the clock" in tried(machine.check_clock, 1_000_000_000, 1_000_090_000).detail


def test_time_zone_that_is_not_known_is_told() -> None:
    assert not tried(machine.check_zone, {"TZ": "Europe/Atlantis"}).ok
    assert not tried(machine.check_zone, {"TZ": ":../../etc/passwd"}).ok
    assert tried(machine.check_zone, {"TZ": "Europe/Berlin"}).ok
    assert tried(machine.check_zone, {"TZ": ":Europe/Berlin"}).ok
    assert tried(machine.check_zone, {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}).ok


def test_memory_too_small_for_a_worker_is_told(config: Config) -> None:
    assert not tried(machine.check_memory, config, MEMINFO.format(1_000_000, 0)).ok
    assert tried(machine.check_memory, config, MEMINFO.format(1_000_000, 1_000_000)).ok
    assert tried(machine.check_memory, config, "").ok


def test_memory_of_a_container_is_told_instead_of_the_hosts(config: Config) -> None:
    host = MEMINFO.format(64 << 20, 0)
    small = MemoryGroup(Path("/sys/fs/cgroup/box"), 1 << 30, 1 << 29)
    found = tried(machine.check_memory, config, host, [small])
    assert not found.ok and "0.5 of 1.1 GB left to this container" in found.detail
    assert not tried(machine.check_memory, config, "", [small]).ok
    large = MemoryGroup(Path("/"), 1 << 40, 1 << 40)
    assert "of 68.7 GB free" in tried(machine.check_memory, config, host, [large]).detail


def test_threads_that_would_wait_for_one_another_are_told() -> None:
    assert tried(machine.check_processors, None, {}).ok
    assert tried(machine.check_processors, 1, {}).ok
    assert "`threads` asks for 1024" in tried(machine.check_processors, 1024, {}).detail
    assert tried(machine.check_processors, None, {"OMP_NUM_THREADS": "999"}).ok  # it is not obeyed


def test_memory_granted_but_not_there_is_told(config: Config) -> None:
    granted = config.model_copy(update={"memory": 8 << 30})
    assert not tried(machine.check_memory, granted, MEMINFO.format(4 << 20, 0)).ok
    assert tried(machine.check_memory, granted, MEMINFO.format(16 << 20, 0)).ok


def test_more_folders_than_can_be_watched_are_told(tmp_path: Path) -> None:
    for name in ("a", "b", ".claimed/1", ".claimed/2"):
        (tmp_path / name).mkdir(parents=True)
    assert (
        tried(machine.check_watches, tmp_path, "6\n").detail
        == "3 folders in the inbox, 6 may be watched"
    )
    found = tried(machine.check_watches, tmp_path, "5\n")
    assert not found.ok
    assert "fs.inotify.max_user_watches=524288" in found.detail
    assert tried(machine.check_watches, tmp_path, "").ok


def test_inbox_is_really_watched_for_a_moment(tmp_path: Path) -> None:
    assert machine.try_to_watch(tmp_path) == ("watch", 0)
    assert machine.try_to_watch(tmp_path / "away") == ("watch", errno.ENOENT)
    assert tried(machine.check_watching, tmp_path).ok


@pytest.mark.parametrize(
    ("step", "error", "ok", "told"),
    [
        ("instance", errno.EMFILE, False, "sysctl fs.inotify.max_user_instances=1024"),
        ("watch", errno.ENOSPC, False, "sysctl fs.inotify.max_user_watches=524288"),
        ("instance", errno.ENOSYS, True, "found by looking"),
        ("watch", 0, True, "at once"),
    ],
)
def test_inbox_that_cannot_be_watched_is_told_with_the_remedy(
    step: str, error: int, ok: bool, told: str
) -> None:
    found = tried(machine.judge_watching, step, error)
    assert found.ok is ok
    assert told in found.detail


def test_few_open_files_are_told() -> None:
    assert not tried(machine.check_open_files, 255).ok
    assert tried(machine.check_open_files, 1024).ok
    assert tried(machine.check_open_files, -1).ok


def test_room_for_temporary_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(machine.check_temporary, None, lambda: str(tmp_path)).ok
    assert tried(machine.check_temporary, str(tmp_path), lambda: str(tmp_path)).ok
    monkeypatch.setattr(machine, "TEMPORARY_BYTES", 1 << 60)
    assert "TMPDIR" in tried(machine.check_temporary, None, lambda: str(tmp_path)).detail


def test_temporary_folder_that_is_not_the_one_asked_for_is_told(tmp_path: Path) -> None:
    found = tried(machine.check_temporary, "/gone", lambda: str(tmp_path))
    assert not found.ok and found.detail.startswith("TMPDIR=/gone cannot be written")


def test_machine_without_any_temporary_folder_is_told() -> None:
    def find() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    found = tried(machine.check_temporary, None, find)
    assert not found.ok and "let TMPDIR name one" in found.detail


@pytest.mark.parametrize(
    ("there", "cards", "devices", "ok", "told"),
    [
        ([], 0, ["cpu"], True, "no graphics card"),
        ([CTL, UVM], 1, ["cuda:0"], True, CTL),
        ([CTL], 1, ["cpu"], False, "nvidia-modprobe -c 0 -u"),
        ([CTL, UVM], 1, ["cpu"], False, "torch.version.cuda"),
        (["/dev/kfd"], 0, ["cpu"], False, "video and render"),
        ([], 2, ["cpu"], False, "2 NVIDIA card(s) without a driver"),
    ],
)
def test_idle_graphics_card_is_told_with_what_it_lacks(
    there: list[str], cards: int, devices: list[str], ok: bool, told: str
) -> None:
    found = tried(machine.judge_graphics, there, cards, devices)
    assert found.ok is ok
    assert told in found.detail


CARDS = [
    ("0x030000", "0x10de"),
    ("0x030200", "0x10de"),
    ("0x030000", "0x8086"),
    ("0x040300", "0x10de"),
]
"""Class and vendor: two cards of NVIDIA's, another's, and the sound of one."""


def test_cards_are_counted_by_the_bus(tmp_path: Path) -> None:
    for slot, (kind, vendor) in enumerate(CARDS):
        device = tmp_path / str(slot)
        device.mkdir()
        (device / "class").write_text(f"{kind}\n")
        (device / "vendor").write_text(f"{vendor}\n")
    assert machine.nvidia_cards(tmp_path) == 2


@pytest.mark.parametrize(
    ("per_device", "sharers", "told"),
    [
        (1, 1, "cuda:0"),
        ("auto", 1, "cuda:0"),
        (3, 3, "cuda:0 (3 jobs at once)"),
        ("auto", 4, "cuda:0 (up to 4 jobs at once, as its trial will find)"),
    ],
)
def test_jobs_at_once_are_told_of_a_device(per_device: PerDevice, sharers: int, told: str) -> None:
    granted = Config(per_device=per_device)
    assert machine.device_in_words("cuda:0", granted, lambda device, asked: sharers) == told
