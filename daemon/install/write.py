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
from daemon.install.render import File, Order, Scope

SYSTEM_UNITS = Path("/etc/systemd/system")
ACCOUNT = "atelierd"
MODE = 0o644
WRITE, ENTER = 0o2, 0o1


@dataclass(frozen=True)
class Written:
    """What became of a file: `new`, `unchanged`, or `changed` with its old text in `kept`."""

    path: Path
    how: str
    kept: Path | None = None


def service_files(order: Order, environment: Mapping[str, str] = os.environ) -> list[File]:
    """Everything that belongs to the service, and where it goes."""
    if order.scope is Scope.USER:
        return render.render(order, user_units(environment))
    return [*render.render(order, SYSTEM_UNITS), *render.accounts(order)]


def user_units(environment: Mapping[str, str]) -> Path:
    """Where a user's own units lie. Raises SurroundingsError if it is not known where he lives."""
    base = Path(environment.get("XDG_CONFIG_HOME", ""))
    if not base.is_absolute():  # as its specification has it
        try:
            base = Path.home() / ".config"
        except RuntimeError as error:
            raise SurroundingsError("your home folder is not known: set HOME") from error
    return base / "systemd" / "user"


def write_files(order: Order, wanted: Sequence[File]) -> list[Written]:
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


def again(order: Order) -> str:
    """The same command, to be typed from anywhere."""
    options = [f"--{order.scope}", *(["--nightly"] if order.nightly else [])]
    given = ["--config", str(order.config_file), "install-service", *options]
    return shlex.join([*map(str, order.program.command), *given])


def next_steps(order: Order, done: Sequence[Written]) -> list[str]:
    """What to type next, in order."""
    control = f"systemctl {render.flag(order.scope)}".strip()
    sudo = "sudo " if order.scope is Scope.SYSTEM and os.geteuid() != 0 else ""
    start = render.names(order)[-1]
    steps = []
    if order.scope is Scope.SYSTEM:
        steps += ["systemd-sysusers /etc/sysusers.d/atelierd.conf"]
        steps += ["systemd-tmpfiles --create /etc/tmpfiles.d/atelierd.conf"]
    steps += [f"{control} daemon-reload"]
    if other := rival(order, done):
        steps += [f"{control} disable --now {other}"]
    steps += [f"{control} enable --now {start}"]
    steps += [f"{control} enable --now {unit}" for unit in render.page_units(order)]
    if any(file.how == "changed" and file.path.name == render.SERVICE for file in done):
        steps += [f"{control} try-restart {render.SERVICE}"]
    if order.scope is Scope.USER:
        steps += [f"loginctl enable-linger {shlex.quote(user_name())}"]
    steps += [f"{control} status {start}"]
    return [f"{sudo}{step}" for step in steps]


def rival(order: Order, done: Sequence[Written]) -> str | None:
    """The unit of the other kind that lies beside ours: both would want the same state folder."""
    other = render.SERVICE if order.nightly else render.TIMER
    return other if (done[0].path.parent / other).exists() else None


def notices(order: Order) -> Iterator[str]:
    """What a person should know before starting it."""
    yield from render.adaptations(order)
    if order.nightly:
        yield f"{render.NIGHTLY} ends in the morning; one uses either it or {render.SERVICE}"
    if order.scope is Scope.USER:
        yield "it ends when you log out, unless lingering is enabled (loginctl, below)"
        return
    yield from obstacles(order)


def obstacles(order: Order) -> Iterator[str]:
    """What rights keep the service's user from: tmpfiles.d leaves folders that are there alone."""
    for folder in render.written(order):
        if lacks(folder, WRITE):  # it may be somebody's share
            yield (
                f"user {ACCOUNT} may not write in {folder}: chown {ACCOUNT}:{ACCOUNT} {folder}, "
                "or give its group the right"
            )
    shown = render.shown_alone(order)
    for path in [*render.written(order), *render.read_only(order)]:
        closed = next((one for one in reversed(path.parents) if lacks(one, ENTER)), None)
        if closed is not None and path not in shown:
            yield (
                f"user {ACCOUNT} may not pass {closed} on the way to {path}: chmod o+x {closed}, "
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
