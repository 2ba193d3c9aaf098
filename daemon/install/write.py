"""Writes the files of a service, or says what to type by somebody who may."""

import os
import pwd
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.install import render
from daemon.install.fleet import FLEET_UNITS
from daemon.install.render import ACCOUNT, File, Installation, Scope

SYSTEM_UNITS = Path("/etc/systemd/system")
MODE = 0o644
READ, WRITE, ENTER = 0o4, 0o2, 0o1
MAKERS = {
    Path("/etc/sysusers.d"): "systemd-sysusers",
    Path("/etc/tmpfiles.d"): "systemd-tmpfiles --create",
}
"""What makes users and folders of files in these places."""

RIVALS = {render.SERVICE: render.TIMER, render.TIMER: render.SERVICE}
LASTING = {render.SERVICE, *FLEET_UNITS}
"""Units that run on as they were when their file has changed."""


@dataclass(frozen=True)
class Written:
    """What became of a file: `new`, `unchanged`, or `changed` with its old text in `kept`."""

    path: Path
    how: str
    kept: Path | None = None


def service_files(order: Installation, environment: Mapping[str, str] = os.environ) -> list[File]:
    """Everything that belongs to the service, and where it goes."""
    if order.scope is Scope.USER:
        return order.files(user_units(environment))
    return [*order.files(SYSTEM_UNITS), *order.accounts()]


def user_units(environment: Mapping[str, str]) -> Path:
    """Where a user's own units lie. Raises SurroundingsError if it is not known where he lives."""
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    if not base.is_absolute():  # as its specification has it
        try:
            base = Path.home() / ".config"
        except RuntimeError as error:
            raise SurroundingsError("your home folder is not known: set HOME") from error
    return base / "systemd" / "user"


def write_files(order: Installation, wanted: Sequence[File]) -> list[Written]:
    """Writes what is not there yet; what was there otherwise is kept as `.old`.

    Raises SurroundingsError before anything is written if not all of it can be.
    """
    refused = [file.path for file in wanted if not may_write(file.path)]
    if refused:
        raise SurroundingsError(
            f"{refused[0]} cannot be written by user {user_name()}; type: sudo {again(order)}"
        )
    try:
        return [write_file(file) for file in wanted]
    except OSError as error:
        raise SurroundingsError(f"{error.filename} cannot be written: {error.strerror}") from error


def write_file(file: File) -> Written:
    """One file."""
    content = file.content.encode()
    found = file.path.read_bytes() if file.path.exists() else None
    if found == content:
        return Written(file.path, "unchanged")
    kept = None
    if found is not None:
        kept = file.path.with_name(file.path.name + ".old")
        files.write_bytes(kept, found, replace=True)
    files.write_bytes(file.path, content, replace=True)
    file.path.chmod(MODE)  # whatever the umask: `doctor` is run by anybody
    return Written(file.path, "new" if kept is None else "changed", kept)


def may_write(path: Path) -> bool:
    """Whether this process may write a file, and make the folders it lies in."""
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK) and (not path.exists() or os.access(path, os.R_OK))


def again(order: Installation) -> str:
    """The same command, to be typed from anywhere."""
    given = ["--config", str(order.config_file), "install-service", *order.options]
    return shlex.join([*map(str, order.program.command), *given])


def next_steps(order: Installation, done: Sequence[Written]) -> list[str]:
    """What to type next, in order."""
    control = f"systemctl {render.flag(order.scope)}".strip()
    sudo = "sudo " if order.scope is Scope.SYSTEM and os.geteuid() != 0 else ""
    start = order.starts[0]
    steps = []
    if order.scope is Scope.SYSTEM:
        steps += [f"{MAKERS[file.path.parent]} {file.path}" for file in order.accounts()]
    steps += [f"{control} daemon-reload"]
    if other := rival(order, done):
        steps += [f"{control} disable --now {other}"]
    steps += [f"{control} enable --now {unit}" for unit in order.starts]
    running = {unit for unit in order.starts if unit in LASTING}
    changed = {file.path.name for file in done if file.how == "changed"}
    steps += [f"{control} try-restart {unit}" for unit in sorted(running & changed)]
    if order.scope is Scope.USER:
        steps += [f"loginctl enable-linger {shlex.quote(user_name())}"]
    steps += [f"{control} status {start}"]
    return [f"{sudo}{step}" for step in steps]


def rival(order: Installation, done: Sequence[Written]) -> str | None:
    """The unit of the other kind that lies beside ours: both would want the same state folder."""
    other = RIVALS.get(order.starts[0])
    return other if other and (done[0].path.parent / other).exists() else None


def notices(order: Installation) -> Iterator[str]:
    """What a person should know before starting it."""
    yield from render.adaptations(order)
    yield from order.remarks()
    if order.scope is Scope.USER:
        yield "it ends when you log out, unless lingering is enabled (loginctl, below)"
        return
    yield from obstacles(order)


def obstacles(order: Installation) -> Iterator[str]:
    """What rights keep the service's user from: tmpfiles.d leaves folders that are there alone."""
    account = order.account
    for folder in order.written:
        if lacks(folder, WRITE):  # it may be somebody's share
            yield (
                f"user {account} may not write in {folder}: chown {account}:{account} {folder}, "
                "or give its group the right"
            )
    for key in order.keys:
        if lacks(key, READ):
            yield f"user {account} may not read {key}: chown {account}:{account} {key}"
    shown = render.shown_alone(order)
    for path in [*order.written, *order.read_only]:
        closed = next((one for one in reversed(path.parents) if lacks(one, ENTER)), None)
        if closed is not None and path not in shown:
            yield (
                f"user {account} may not pass {closed} on the way to {path}: chmod o+x {closed}, "
                "or move what lies there"
            )


def lacks(folder: Path, right: int) -> bool:
    """Whether a folder is there, but does not give the service's user a right, by its mode."""
    try:
        return not granted(folder.stat(), right)
    except OSError:
        return False


def granted(status: os.stat_result, right: int) -> bool:
    """Whether the service's user has a right, by itself or its groups once it is there."""
    if status.st_mode & right:
        return True
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError:
        return False
    mine = status.st_uid == account.pw_uid and status.st_mode & right << 6
    groups = os.getgrouplist(ACCOUNT, account.pw_gid)
    return bool(mine or (status.st_gid in groups and status.st_mode & right << 3))


def user_name() -> str:
    """The user this process runs as; its number where it has no name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
