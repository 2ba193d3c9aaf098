"""A node of a fleet: whether it would be let in, and could paint what it is sent."""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from daemon.doctor.finding import LackError, found, tried
from daemon.doctor.fleet import REQUEST, check_validity
from daemon.doctor.folders import check_folder, nearest
from daemon.doctor.machine import (
    check_clock,
    check_devices,
    check_memory,
    check_processors,
    check_temporary,
    read_text,
)
from daemon.engine.fit.cgroups import memory_groups
from daemon.engine.vgg.weights import checked_sha256, locate
from daemon.errors import ConfigError
from daemon.fleet.certificates import Role, client_context
from daemon.fleet.peer import check_peer
from daemon.host import files
from daemon.settings.fleet import CERTIFY, NodeSettings, check_node
from daemon.status.report import Finding

LEAST_FREE_BYTES = 1 << 30


def examine_node(settings: NodeSettings, node_file: Path) -> list[Finding]:
    """Runs every check; nothing is made, and nothing left behind."""
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("certificates", lambda: check_certificates(settings, node_file)),
        ("scheduler", lambda: check_network(settings)),
        ("weights", lambda: [found("weights", check_weights)]),
        ("folder", lambda: check_room(settings)),
        ("machine", lambda: check_node_machine(settings, node_file)),
    ]
    findings = [Finding("node.yaml", True, f"{files.printable(node_file)}: {settings.name}")]
    for what, check in checks:
        findings += tried(what, check)
    return findings


def check_certificates(settings: NodeSettings, node_file: Path) -> Iterator[Finding]:
    """Whether the files are there, fit together, are a node's, and hold for a while."""
    try:
        check_node(settings, node_file)
    except ConfigError as error:
        yield from (Finding("certificates", False, str(fault)) for fault in error.faults)
        return
    now = datetime.now(UTC)
    yield found("authority", check_validity, settings.ca, Role.AUTHORITY, "", now)
    renew = f"{CERTIFY} --renew {settings.name}, where the service is"
    yield found("certificate", check_validity, settings.cert, Role.NODE, renew, now)
    yield found("key", check_key, settings)


def check_key(settings: NodeSettings) -> str:
    """Whether key and certificate belong together."""
    client_context(settings.ca, settings.cert, settings.key)
    return f"{settings.key}, and it is that of {settings.cert}"


def check_network(settings: NodeSettings) -> Iterator[Finding]:
    """Whether scheduler and files can be reached, are who they should be, and let us in."""
    context = client_context(settings.ca, settings.cert, settings.key)
    scheduler, url = urlsplit(settings.scheduler), urlsplit(settings.files_url or "")
    place = (scheduler.hostname or "", scheduler.port or 0)
    yield found("scheduler", check_peer, context, place, Role.SCHEDULER, b"")
    # The service tells each run where its files are; until then its usual place is all we know.
    files_at = (url.hostname or place[0], url.port or (443 if url.hostname else 8787))
    yield found("files", check_peer, context, files_at, Role.SERVICE, REQUEST)


def check_weights() -> str:
    """Whether the weights that come with atelierd are there and right."""
    return f"classic: {checked_sha256('classic', locate('classic', Path()))}"


def check_room(settings: NodeSettings) -> Iterator[Finding]:
    """Whether the node's folder can be written, and has room."""
    yield found("folder", check_folder, settings.folder)
    yield found("folder space", check_cache, settings.folder, int(settings.cache))


def check_cache(folder: Path, most_bytes: int) -> str:
    """Whether the disk has room for runs. most_bytes: what the cache may grow to."""
    free = files.free_bytes(nearest(folder))
    if free is None:
        return "the file system does not tell"
    told = f"{free / 1e9:.1f} GB free, the cache may take {most_bytes / 1e9:.1f} GB in all"
    if free < LEAST_FREE_BYTES:
        raise LackError(f"{told}; make room on the disk of {folder}")
    return told


def check_node_machine(settings: NodeSettings, node_file: Path) -> Iterator[Finding]:
    """Everything about the machine that painting needs."""
    threads = None if settings.threads == "auto" else settings.threads
    meminfo = read_text("/proc/meminfo")
    yield found("clock", check_clock, time.time(), Path(__file__).stat().st_mtime)
    yield found("processors", check_processors, threads, os.environ)
    yield found("memory", check_memory, settings, meminfo, memory_groups())
    yield found("temporary", check_temporary, os.environ.get("TMPDIR"), tempfile.gettempdir)
    yield from check_devices(settings, node_file)
