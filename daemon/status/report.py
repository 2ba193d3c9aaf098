"""What `atelierd status` tells: from the ledger, which needs no service, and the live file."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.access import is_there
from daemon.job import Job, State
from daemon.ledger.store import Ledger
from daemon.messages import plain
from daemon.settings.config import Config
from daemon.settings.last_good import faulty_presets
from daemon.state.lock import is_held
from daemon.state.pause import paused_since
from daemon.status.forecast import forecast
from daemon.status.live import LIVE_FILE, read_live

RECENT = 8
PROOFS = 8
MOST_TOLD = 12
"""How many nodes, and devices of this machine, are told by name."""


@dataclass(frozen=True)
class Finding:
    """One check: what, whether it is well, what was found or what to do."""

    what: str
    ok: bool
    detail: str


def gather(config: Config) -> dict[str, Any]:
    """The state of service and queue as plain data.

    queues: each queue's `Forecast`.  lacking: what jobs ask for that no device offers.  foreign:
    how many files of the inbox are no pictures; None while no service looks.  proofs: the oldest of
    those that wait for approval.  Raises SurroundingsError where the state folder may not be looked
    into.
    """
    held = is_there(config.state) and is_held(config.state)
    live = read_live(config.state) if held else None
    unclear = held and live is None and (config.state / LIVE_FILE).exists()
    report: dict[str, Any] = {
        "service": {
            "running": live is not None or unclear,
            "pid": live["pid"] if live else None,
            "started_at": live["started_at"] if live else None,
            "devices": live["devices"] if live else [],
        },
        "health": dict(live["health"]) | preset_troubles(config) if live else {},
        "paused_since": paused_since(config.state),
        "left_to_others": live.get("left", []) if live else [],
        "lacking": [],
        "jobs": {str(state): 0 for state in State},
        "queues": {},
        "running": live["running"] if live else [],
        "waits": live.get("waits", []) if live else [],
        "waits_more": live.get("waits_more", 0) if live else 0,
        "others": live.get("others", []) if live else [],
        "foreign": live.get("foreign", 0) if live else None,
        "proofs": [],
        "recent": [],
        "inbox": files.printable(config.inbox),
        "outbox": files.printable(config.outbox),
    }
    if unclear:
        report["health"]["live"] = (
            f"{files.printable(config.state / LIVE_FILE)} cannot be read, or another version wrote "
            "it; the service writes it anew every ten seconds, and when there is news"
        )
    if not config.ledger_path.exists():
        return report
    try:
        ledger = Ledger(config.ledger_path, read_only=True)
        report["jobs"] = {str(state): count for state, count in ledger.counts().items()}
        names = {job.id: job for job in ledger.views.recent(RECENT)}
        report["recent"] = [recent_row(job) for job in names.values()]
        if ledger.database.is_current:  # else no service of this version has brought it up yet
            report["queues"] = queues(config, ledger, report)
            report["lacking"] = lacking(ledger, live["lacking"] if live else [])
            report["proofs"] = [proof_row(job) for job in ledger.views.awaiting(PROOFS)]
        ledger.close()
    except SurroundingsError as error:
        report["health"]["ledger"] = str(error)
    return report


def preset_troubles(config: Config) -> dict[str, str]:
    """The faulty presets in whose place the service uses their last good versions."""
    return {
        f"preset {name}": what.removeprefix(f"preset {name} ")
        for name, what in faulty_presets(config.state, config.presets).items()
    }


def queues(config: Config, ledger: Ledger, report: dict[str, Any]) -> dict[str, Any]:
    """What waits in each queue and how long it takes."""
    running_s = sum(job["eta_s"] or 0.0 for job in report["running"])
    forecasts = forecast(
        config.schedule,
        datetime.now(UTC),
        ledger.views.waiting_work(),
        ledger.views.pace(),
        running_s=running_s,
        devices=len(report["service"]["devices"]),
    )
    return {name: asdict(each) for name, each in forecasts.items()}


def lacking(ledger: Ledger, names: Collection[str]) -> list[dict[str, Any]]:
    """The jobs that wait for what no device offers, by that.  first: the one to begin next."""
    return [
        {"runs_on": asking.runs_on, "jobs": asking.count, "first": asking.first}
        for asking in (ledger.views.asking() if names else ())
        if asking.runs_on in names
    ]


def lacking_text(row: Mapping[str, Any]) -> str:
    """A row of `lacking` as a sentence."""
    count, name = row["jobs"], row["runs_on"]
    jobs = "1 job waits" if count == 1 else f"{count} jobs wait"
    return f"{jobs} for {name}, which no device offers now; the first is {row['first'][:8]}"


def devices_text(devices: Sequence[str]) -> str:
    """The seats there are, by node, the first of them by name.

    devices: such as `cpu`, or `desk2/cuda:0` of a node.
    """
    if not devices:
        return "no device"
    by_node: dict[str, list[str]] = {}
    for seat in devices:
        node, _, device = seat.rpartition("/")
        by_node.setdefault(node, []).append(device)
    told = by_node.pop("", []) + [f"{node} ({', '.join(own)})" for node, own in by_node.items()]
    more = len(told) - MOST_TOLD
    return ", ".join(told[:MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


def proof_row(job: Job) -> dict[str, Any]:
    """A proof that waits for approval in short. full: the picture that it foretells."""
    full = job.outcome.full if job.outcome else None
    return {
        "id": job.id,
        "preset": job.preset,
        "picture": files.printable(job.below),
        "finished_at": job.finished_at,
        "output": files.printable(job.outputs.result),
        "full": plain(full) if full else None,
    }


def recent_row(job: Job) -> dict[str, Any]:
    """A finished job in short."""
    return {
        "id": job.id,
        "state": str(job.state),
        "preset": job.preset,
        "label": job.label or None,
        "picture": files.printable(job.below),
        "finished_at": job.finished_at,
        "seconds": job.outcome.seconds if job.outcome else None,
        "output": files.printable(job.outputs.main) or None,
        "reason": job.reason or None,
    }


def in_words(seconds: float | None) -> str:
    """Seconds as people say them: 45 s, 3 min 20 s, 2 h 05 min."""
    if seconds is None:
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
