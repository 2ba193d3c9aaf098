"""How Dask is set up in our processes: encrypted, quiet, bounded, and quick to see what is gone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask

if TYPE_CHECKING:
    from distributed.security import Security

SILENT_S = 25
"""A node that nothing is heard of for so long is given up, as is an unanswered connection."""

SETTINGS: dict[str, Any] = {
    "logging.distributed": "error",  # what matters of it we say ourselves
    "distributed.scheduler.allowed-failures": 0,  # what was lost is the ledger's to try again
    "distributed.scheduler.worker-ttl": f"{SILENT_S}s",
    "distributed.scheduler.work-stealing": False,  # every run has its seat
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.events-cleanup-delay": "1m",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.comm.timeouts.tcp": f"{SILENT_S}s",
    "distributed.comm.require-encryption": True,
    "distributed.comm.retry.count": 0,
    "distributed.client.heartbeat": "5s",
    "distributed.worker.daemon": False,
    "distributed.worker.profile.enabled": False,  # looks at every thread a hundred times a second
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.tick.limit": "30s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.low-level-log-length": 100,
}


def set_up_dask() -> None:
    """Sets what we want otherwise than Dask's defaults; before `distributed` is loaded."""
    dask.config.set(SETTINGS)


def make_security(ca: Path, cert: Path, key: Path) -> "Security":
    """What a process shows and asks for: TLS alone, with one pair for whatever it is."""
    from distributed.security import Security

    pair = {
        f"tls_{role}_{what}": str(path)
        for role in ("client", "scheduler", "worker")
        for what, path in (("cert", cert), ("key", key))
    }
    return Security(tls_ca_file=str(ca), require_encryption=True, **pair)
