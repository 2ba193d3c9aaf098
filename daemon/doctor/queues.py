"""What keeps jobs from running though nothing is broken, and who is told how they run."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from daemon.errors import ConfigError, SurroundingsError
from daemon.job import QUEUES, State
from daemon.ledger.store import Ledger
from daemon.pool.devices import resolve_devices
from daemon.pool.local import offers_here
from daemon.pool.memory import DeviceMemory, cuda_memory
from daemon.settings.config import Config
from daemon.state.lock import is_held
from daemon.state.pause import paused_since
from daemon.status.live import read_live
from daemon.status.report import Finding, lacking, lacking_text

CONNECT_S = 2.0
LONG_DAYS = 14
"""A proof that waits for longer has been forgotten."""


def examine_queues(config: Config) -> Iterator[Finding]:
    """Everything about the queues and their monitors."""
    yield from check_queues(config, datetime.now(UTC))
    yield from check_proofs(config, datetime.now(UTC))
    yield from check_metrics(config, running=is_held(config.state))
    try:
        devices = resolve_devices(config.devices, "config.yaml")
    except ConfigError:  # told where the devices are looked at
        return
    yield from check_neighbours(config, devices, cuda_memory)
    yield from check_asking(config, devices)


def check_metrics(config: Config, *, running: bool) -> Iterator[Finding]:
    """Whether the metrics' address can be had, or a running service has it."""
    if (address := config.metrics) is None:
        return
    try:
        with socket.create_connection((address.host, address.port), timeout=CONNECT_S):
            taken = True
    except OSError:
        taken = False
    if taken and not running:
        lack = f"{address} is taken by another program; change `metrics` in config.yaml, or end it"
        yield Finding("metrics", False, lack)
    elif running and not taken:
        lack = f"nobody answers at {address}; `atelierd status` says why, or send it SIGHUP"
        yield Finding("metrics", False, lack)
    else:
        yield Finding("metrics", True, f"{address}, {'served' if taken else 'free'}")


def check_queues(config: Config, now: datetime) -> Iterator[Finding]:
    """When the queues may run; that nothing runs now is no fault, but explains much."""
    if since := paused_since(config.state):
        yield Finding("pause", True, f"painting is paused since {since}: atelierd resume")
    for name, priority in QUEUES.items():
        hours = config.schedule.hours(priority)
        change = hours.next_change(now)
        until = f" until {change.astimezone(hours.zone):%a %H:%M}" if change else ""
        state = "open" if hours.is_open(now) else "closed"
        yield Finding(f"{name} jobs", True, f"{state}{until}")


def check_proofs(config: Config, now: datetime) -> Iterator[Finding]:
    """Whether proofs wait for approval, and since when: nobody is told again that they do."""
    if not config.ledger_path.exists():
        return
    try:
        with contextlib.closing(Ledger(config.ledger_path, read_only=True)) as ledger:
            count = ledger.counts()[State.AWAITING]
            oldest = ledger.views.awaiting(limit=1)
    except SurroundingsError:  # told where the ledger is looked at
        return
    if not oldest:
        return
    job = oldest[0]
    since = datetime.fromisoformat(job.finished_at or job.queued_at)
    days = (now - since).days
    told = f"{count} wait for approval, the oldest, {job.id[:8]}, for {days} days"
    patient = days < LONG_DAYS
    advice = "" if patient else ": atelierd approve or reject; until then their pictures are kept"
    yield Finding("proofs", patient, told + advice)


def check_asking(config: Config, devices: Sequence[str]) -> Iterator[Finding]:
    """Whether jobs wait for what no device offers; of nodes only a running service knows."""
    live = read_live(config.state) if is_held(config.state) else None
    if not config.ledger_path.exists() or (live is None and config.fleet is not None):
        return
    here = {"", *(name for device in devices for name in offers_here(device))}
    try:
        with contextlib.closing(Ledger(config.ledger_path, read_only=True)) as ledger:
            if ledger.database.is_current:
                names = live["lacking"] if live else {*ledger.asked_for()} - here
                rows = lacking(ledger, names)
            else:  # no service of this version has brought it up yet
                rows = []
    except SurroundingsError:  # told where the ledger is looked at
        return
    advice = "start such a node (runs_on), or cancel them and drop their pictures for another"
    for row in rows:
        yield Finding("runs_on", False, f"{lacking_text(row)}: {advice}")


def check_neighbours(
    config: Config,
    devices: Sequence[str],
    look: Callable[[str, Sequence[int]], DeviceMemory | None],
) -> Iterator[Finding]:
    """Whether it can be told who else uses the GPUs, where they are to be left to others."""
    if config.yield_gpu_when is None:
        return
    for device in devices:
        memory = look(device, []) if device != "cpu" else None
        if device != "cpu" and (memory is None or memory.others_bytes is None):
            lack = f"who uses {device} cannot be told; it is never left to others (nvidia-smi?)"
            yield Finding("yield_gpu_when", False, lack)
