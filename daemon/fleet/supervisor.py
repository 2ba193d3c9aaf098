"""A node: one process for each seat of its devices, started again when it ends, drained when asked.

Loads neither Dask nor torch.
"""

import json
import signal
import threading
from dataclasses import asdict, replace
from pathlib import Path

from loguru import logger

from daemon.engine.fit.cgroups import may_adapt
from daemon.errors import ExitCode
from daemon.fleet.seat_settings import SeatSettings
from daemon.host.kept import KeptChild
from daemon.messages import plain
from daemon.pool.devices import resolve_devices, shares_of, threads_among
from daemon.settings.fleet import NodeSettings

NODE = "daemon.fleet.node"
DRAIN_S = 90.0
"""How long the runs at hand may take to their next step, and their way back."""


def seats_of(settings: NodeSettings, devices: list[str]) -> list[SeatSettings]:
    """What the process of each seat is started with."""
    rule = settings.yield_gpu_when
    threads = None if settings.threads == "auto" else settings.threads
    common = SeatSettings(
        settings.name,
        "",
        settings.scheduler,
        settings.ca,
        settings.cert,
        settings.key,
        settings.folder,
        int(settings.cache),
        tags=tuple(settings.tags),
        memory_bytes=None if settings.memory == "auto" else int(settings.memory),
        adaptive_threads=may_adapt(threads),
        yield_over_bytes=int(rule.memory_used_by_others_over) if rule else None,
    )
    shares = [*shares_of(devices, settings)]
    places = [settings.reached_at(number) for number in range(len(shares))]
    threads = threads or threads_among(shares)
    return [
        replace(common, **asdict(share), host=host, port=port, threads=threads)
        for share, (host, port) in zip(shares, places, strict=True)
    ]


def run_node(settings: NodeSettings, node_file: Path) -> ExitCode:
    """Works until SIGTERM or SIGINT; then hands back the runs at hand, and ends.

    Raises ConfigError for a device that is not there, and OSError.
    """
    devices = resolve_devices(settings.devices, str(node_file))
    settings.folder.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    kept = [keep(seat) for seat in seats_of(settings, devices)]
    logger.info("node {} works for {} on {}", settings.name, settings.scheduler, ", ".join(devices))
    while not stop.wait(1.0):  # signals are heard between waits
        pass
    logger.info("the node leaves: what is painted goes back as it stands")
    for child in kept:
        child.retire()
        child.send({"do": "drain"})
    for child in kept:
        child.join(DRAIN_S)
        child.close(1.0)
    logger.info("stopped")
    return ExitCode.FINE


def keep(seat: SeatSettings) -> KeptChild:
    """Starts the process of a seat, and keeps it."""
    kept = KeptChild(
        NODE,
        [json.dumps(plain(seat))],
        name=seat.seat_here,
        on_message=lambda message: None,
        on_line=lambda line: logger.info("{}: {}", seat.seat_here, line),
    )
    kept.start()
    return kept
