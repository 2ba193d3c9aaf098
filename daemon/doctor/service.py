"""The service around the program: who runs, under which unit, as whom, and where it logs."""

import contextlib
import json
import os
import pwd
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from daemon.doctor.finding import LackError, found
from daemon.doctor.folders import nearest
from daemon.errors import AtelierError, SurroundingsError
from daemon.host.access import explain, is_there
from daemon.install.render import NIGHTLY, SERVICE, Order, Scope, running_program
from daemon.install.unitfile import quoted
from daemon.install.write import SYSTEM_UNITS, again, service_files, user_units
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.state.lock import LOCK_FILE, is_held
from daemon.status.live import read_live
from daemon.status.logs import is_journal, log_path
from daemon.status.report import Finding

SILENT_S = 120.0
JOURNAL = Path("/var/log/journal")


def check_service(config: Config, config_path: Path) -> Iterator[Finding]:
    """Everything about the service."""
    yield found("user", check_user, config.state, os.geteuid())
    yield found("ledger", check_ledger, config)
    yield found("holder", check_holder, config, datetime.now(UTC))
    yield from check_units(config, config_path, SYSTEM_UNITS, own_units(os.environ))
    yield found("log", check_log, config, os.environ, JOURNAL)


def check_user(state: Path, user: int) -> str:
    """Whether these checks are made by the user the service runs as."""
    try:
        owner = state.stat().st_uid
    except FileNotFoundError:
        return f"{user_name(user)}; {state} is not there yet"
    if owner != user:
        raise LackError(
            f"{state} belongs to {user_name(owner)}, but these checks are made by "
            f"{user_name(user)} and say little about the service: sudo -u {user_name(owner)} "
            "atelierd doctor"
        )
    return f"{user_name(user)}, who owns {state}"


def user_name(number: int) -> str:
    """A user's name; the number where there is none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


def check_ledger(config: Config) -> str:
    """Whether the ledger can be opened and read."""
    if not is_there(config.state) or not config.ledger_path.exists():
        return "not there yet"
    with contextlib.closing(Ledger(config.ledger_path, read_only=True)) as ledger:
        ledger.counts()  # opening alone reads nothing of the file
    return str(config.ledger_path)


def check_holder(config: Config, now: datetime) -> str:
    """Who works with the state folder, and whether it has been heard of lately."""
    if not is_held(config.state):
        return "no service is running"
    try:
        said = json.loads((config.state / LOCK_FILE).read_text("utf-8"))
        holder = f"pid {said['pid']} on {said['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        holder = "a service that has not said who it is"
    live = read_live(config.state)
    silent_s = (now - datetime.fromisoformat(live["written_at"])).total_seconds() if live else 0.0
    if silent_s > SILENT_S:
        raise LackError(
            f"{holder} has not been heard of for {silent_s:.0f} s: restart it "
            "(systemctl restart atelierd), and keep its log"
        )
    return f"{holder} is running"


def own_units(environment: Mapping[str, str]) -> Path | None:
    """Where this user's own units lie; None where it is not known where he lives."""
    try:
        return user_units(environment)
    except SurroundingsError:
        return None


def check_units(
    config: Config, config_path: Path, system: Path, user: Path | None
) -> Iterator[Finding]:
    """The units of this configuration that are installed, against what would be written now."""
    none = True
    for scope, folder in ((Scope.SYSTEM, system), (Scope.USER, user)):
        for nightly, name in ((False, SERVICE), (True, NIGHTLY)):
            if folder is not None and os.path.exists(folder / name):  # noqa: PTH110  # not closed
                none = False
                order = Order(scope, nightly, config, config_path, running_program())
                yield found("unit", check_unit, order, folder / name)
    if none:
        yield Finding("unit", True, "not installed as a service (atelierd install-service)")


def check_unit(order: Order, unit: Path) -> str:
    """One installed unit, with the other files of the same name that belong to it."""
    try:
        installed = unit.read_text("utf-8")
        if quoted(order.config_file) not in installed:
            return f"{unit} is for another configuration"
        wanted = service_files(order)
        stale = [file.path for file in wanted if not same(file.path, file.content)]
    except (OSError, AtelierError) as error:
        raise LackError(f"{unit} cannot be compared: {explain(error)}") from error
    if stale:
        differ = ", ".join(map(str, stale))
        raise LackError(
            f"not what this atelierd would install: {differ}; look with --dry-run, then: "
            f"{again(order)}"
        )
    return f"{unit}, as this atelierd would install it"


def same(path: Path, content: str) -> bool:
    """Whether a file has just this content."""
    return path.exists() and path.read_text("utf-8") == content


def check_log(config: Config, environment: Mapping[str, str], journal: Path) -> str:
    """Where the service's lines go, and whether they outlive a boot."""
    if is_journal(environment):
        return "to the journal"
    kept = "the journal is kept on disk"
    if not journal.is_dir():
        kept = f"a journal is lost at each boot until {journal} is made"
    told = f"of a unit: journalctl -u atelierd ({kept})"
    file = log_path(config, journal=False)
    if file is None:
        return f"standard error; {told}"
    place = file if os.path.lexists(file) else nearest(file.parent)
    if not os.access(place, os.W_OK if place == file else os.W_OK | os.X_OK):
        raise LackError(f"{file} cannot be written: let this user write to {place}")
    return f"standard error and {file}; {told}"
