"""The machine: clock, memory, limits of the kernel, temporary room, graphics cards."""

import ctypes
import errno
import os
import re
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from daemon.doctor.finding import LackError, found
from daemon.engine.fit.cgroups import MemoryGroup, memory_groups, processors, threads_of_each
from daemon.host import files
from daemon.host.files import printable
from daemon.host.zone import UNKNOWN_ZONE, unknown_zone
from daemon.pool.devices import DRIVER_FILES, resolve_devices, sharers_of
from daemon.settings.config import NO_DEVICES, Config
from daemon.settings.fleet import NodeSettings
from daemon.settings.machine import Granted
from daemon.state.claimed import CLAIMED_FOLDER
from daemon.status.report import Finding

Settings = Config | NodeSettings
NETWORK_BYTES = 1_600_000_000
"""What a worker needs to do anything: 1.0 GB with its network, and the rest for small tiles."""

TEMPORARY_BYTES = 100_000_000
LEAST_FILES = 256
IN_CREATE = 0x100
USED_ELSEWHERE = 0.5
"""Of the watches a user may have, how many are left to other programs. A guess."""

NVIDIA = "0x10de"


def check_machine(config: Config, config_path: Path) -> Iterator[Finding]:
    """Everything about the machine."""
    watches = read_text("/proc/sys/fs/inotify/max_user_watches")
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield found("clock", check_clock, time.time(), Path(__file__).stat().st_mtime)
    yield found("time zone", check_zone, os.environ)
    yield found("processors", check_processors, config.worker_threads, os.environ)
    yield found("memory", check_memory, config, read_text("/proc/meminfo"), memory_groups())
    yield found("watches", check_watches, config.inbox, watches)
    yield found("watching", check_watching, config.inbox)
    yield found("open files", check_open_files, open_files)
    yield found("temporary", check_temporary, os.environ.get("TMPDIR"), tempfile.gettempdir)
    yield from check_devices(config, config_path)


def read_text(path: str) -> str:
    """A file of the kernel; empty where there is none."""
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


def check_clock(now_s: float, installed_s: float) -> str:
    """A clock that is before the program's own files is wrong: records would be misdated."""
    told = datetime.fromtimestamp(now_s).astimezone().isoformat(" ", "seconds")
    if now_s < installed_s - 86_400:
        raise LackError(
            f"{told} is before atelierd was installed: set the clock (timedatectl set-ntp true)"
        )
    return told


def check_zone(environment: Mapping[str, str]) -> str:
    """The time zone: one that is not known counts as UTC in silence."""
    local = Path("/etc/localtime")
    if name := unknown_zone(environment):
        raise LackError(UNKNOWN_ZONE.format(printable(name)))
    if "TZ" not in environment and local.is_symlink() and not local.exists():
        raise LackError(
            f"{local} leads to {local.readlink()}, which is not there: timedatectl set-timezone"
        )
    return f"{time.strftime('%Z')} ({time.strftime('%z')})"


def check_processors(threads: int | None, environment: Mapping[str, str]) -> str:
    """How many threads the workers compute with, and why; more than are granted only wait."""
    granted, there = processors(), os.cpu_count() or 1
    told = f"{granted} of {there} may be used here (affinity, quota of a container or unit)"
    wanted = threads or threads_of_each(1, environment)
    if wanted > granted:
        lack = f"`threads` asks for {wanted} threads, which wait for one another"
        raise LackError(f"{told}, but {lack}; use {granted} at most, or auto")
    return f"{told}, {wanted} threads, shared by the workers"


def check_memory(config: Settings, meminfo: str, groups: Sequence[MemoryGroup] = ()) -> str:
    """Whether a worker finds what it needs. groups: those that limit this process."""
    total, free, swap = (kilobytes(meminfo, n) for n in ("MemTotal", "MemAvailable", "SwapTotal"))
    if not total and not groups:
        return "the kernel does not tell"
    told = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free, {swap / 1e9:.1f} GB of swap"
    tight = min(groups, key=lambda group: group.limit_bytes, default=None)
    if tight is not None and not 0 < total <= tight.limit_bytes:
        total, swap = tight.limit_bytes, 0
        told = (
            f"{tight.left_bytes / 1e9:.1f} of {total / 1e9:.1f} GB left to this container or unit "
            f"({tight.folder})"
        )
    if total + swap < NETWORK_BYTES:
        raise LackError(f"{told}; a worker needs {NETWORK_BYTES / 1e9:.1f} GB")
    on_host = config.devices != "cuda"
    if config.memory != "auto" and on_host and config.memory > total:
        raise LackError(f"{told}, less than `memory` grants; lower it, or use auto")
    return told


def kilobytes(meminfo: str, name: str) -> int:
    """A value of /proc/meminfo in bytes; 0 where there is none."""
    match = re.search(rf"^{name}:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0


def check_watches(inbox: Path, limit: str) -> str:
    """Whether every folder of the inbox can be watched; the scan finds files all the same, late."""
    if not limit.strip().isdigit():
        return "the kernel does not tell"
    count = sum(CLAIMED_FOLDER not in Path(folder).parts for folder, _, _ in os.walk(inbox))
    told = f"{count} folders in the inbox, {limit.strip()} may be watched"
    if count > int(limit) * USED_ELSEWHERE:
        more = max(524_288, 4 * count)
        raise LackError(
            f"{told}: pictures are found by the scan only. sysctl fs.inotify.max_user_watches="
            f"{more}, and keep that in /etc/sysctl.d"
        )
    return told


def check_watching(inbox: Path) -> str:
    """Whether the kernel lets this user watch the inbox, by trying."""
    return judge_watching(*try_to_watch(inbox))


def try_to_watch(folder: Path) -> tuple[str, int]:
    """The step that failed and its error number, which is 0 if none did."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        handle = library.inotify_init1(os.O_CLOEXEC)
        if handle < 0:
            return "instance", ctypes.get_errno()
        try:
            watch = library.inotify_add_watch(handle, os.fsencode(folder), IN_CREATE)
            return "watch", ctypes.get_errno() if watch < 0 else 0
        finally:
            os.close(handle)
    except (AttributeError, OSError):  # another system, or a C library without it
        return "instance", errno.ENOSYS


def judge_watching(step: str, error: int) -> str:
    """What the outcome of a try means: scans find pictures all the same."""
    if error == 0:
        return "changes in the inbox are noticed at once"
    scans = f"{os.strerror(error)}: pictures are found by looking there every few seconds only"
    if (step, error) == ("instance", errno.EMFILE):
        raise LackError(
            f"{scans}. Other programs of this user hold all his inotify instances: sysctl "
            "fs.inotify.max_user_instances=1024, and keep that in /etc/sysctl.d"
        )
    if (step, error) == ("watch", errno.ENOSPC):
        raise LackError(
            f"{scans}. Other programs hold all watches: sysctl fs.inotify.max_user_watches=524288, "
            "and keep that in /etc/sysctl.d"
        )
    return scans


def check_open_files(limit: int) -> str:
    """How many files the service may have open at once; workers and pipes count."""
    if 0 <= limit < LEAST_FILES:
        raise LackError(f"{limit} at most: ulimit -n 1024, or LimitNOFILE= in the unit")
    return "not limited" if limit < 0 else f"{limit} at most"


def check_temporary(wanted: str | None, find: Callable[[], str]) -> str:
    """Room where libraries write what they need for a moment.

    wanted: $TMPDIR.  find: what is used in fact; raises OSError if there is none.
    """
    try:
        folder = Path(find())
        free = files.free_bytes(folder)
    except OSError as error:
        raise LackError(f"{error.strerror}; let TMPDIR name one") from error
    if free is None:
        return f"the file system of {folder} does not tell its room"
    told = f"{free / 1e9:.1f} GB free in {folder}"
    if wanted and Path(wanted).absolute() != folder:
        raise LackError(f"TMPDIR={wanted} cannot be written, {folder} is used: mend or unset it")
    if free < TEMPORARY_BYTES:
        raise LackError(f"{told}; make room, or set TMPDIR")
    return told


def check_devices(config: Settings, config_path: Path) -> Iterator[Finding]:
    """Whether the configured devices are there, and none lies idle for want of software."""
    devices: list[str] = []

    def resolved() -> str:
        devices.extend(resolve_devices(config.devices, str(config_path)))
        told = [device_in_words(device, config) for device in devices]
        return ", ".join(told) or "none: what is dropped here is painted by the fleet"

    yield found("devices", resolved)
    if config.devices not in ("cpu", NO_DEVICES):
        yield found("graphics", judge_graphics, nodes(), nvidia_cards(), devices)


def device_in_words(
    device: str, granted: Granted, sharers: Callable[[str, Granted], int] = sharers_of
) -> str:
    """A device, and how many jobs at once it is to have where that is not one."""
    count = sharers(device, granted)
    if count == 1:
        return device
    if granted.per_device == "auto":
        return f"{device} (up to {count} jobs at once, as its trial will find)"
    return f"{device} ({count} jobs at once)"


def nodes() -> list[str]:
    """The device nodes that drivers have made."""
    names = (*DRIVER_FILES, "/dev/nvidia-uvm")
    return [name for name in names if Path(name).exists()]


def nvidia_cards(bus: Path = Path("/sys/bus/pci/devices")) -> int:
    """How many NVIDIA cards the machine has, driver or not."""
    displays = [one for one in bus.glob("*/class") if read_text(str(one)).startswith("0x03")]
    return sum(read_text(str(one.with_name("vendor"))).strip() == NVIDIA for one in displays)


def judge_graphics(there: list[str], cards: int, devices: list[str]) -> str:
    """What device nodes, cards and the devices in use mean together."""
    if "/dev/nvidiactl" in there and "/dev/nvidia-uvm" not in there:
        raise LackError(
            "/dev/nvidia-uvm is missing, CUDA cannot start: sudo nvidia-modprobe -c 0 -u"
        )
    if there and not any(device.startswith("cuda") for device in devices):
        raise LackError(
            f"there is a driver ({', '.join(there)}), but torch sees no device: its build may have "
            "no CUDA (python -c 'import torch; print(torch.version.cuda)'), the driver be too old "
            "for it (nvidia-smi), or the user not be in the groups video and render"
        )
    if cards and not there:
        raise LackError(
            f"{cards} NVIDIA card(s) without a driver: install it (on Debian: nvidia-driver), or "
            "say `devices: cpu`"
        )
    return ", ".join(there) or "no graphics card that computes"
