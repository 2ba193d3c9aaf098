"""The files of a service as text, from those in `systemd/`, with the paths of this installation."""

import importlib.resources
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from daemon.errors import SurroundingsError
from daemon.host.files import printable
from daemon.host.process import python
from daemon.install.unitfile import quoted, with_values, without
from daemon.settings.config import Config

HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What ProtectHome= hides."""

TEMPORARY = Path("/tmp")
SHARED = Path("/srv/atelierd")
LOGS = Path("/var/log/atelierd")

ACCOUNT = "atelierd"
PAGE = "atelierd-page.service"
SERVICE, NIGHTLY, TIMER = "atelierd.service", "atelierd-nightly.service", "atelierd-nightly.timer"

CUT_OFF = ("PrivateNetwork", "IPAddressDeny", "IPAddressAllow")
"""What keeps the machines of a fleet out."""

FAMILIES = "AF_UNIX AF_INET AF_INET6"

NOT_FOR_USERS = tuple(
    """
    After User Group ExecStartPre StateDirectory StateDirectoryMode CacheDirectory
    CacheDirectoryMode LogsDirectory LogsDirectoryMode Environment ProtectSystem
    ReadWritePaths ReadOnlyPaths ProtectHome PrivateMounts PrivateTmp ProtectProc
    ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups
    DevicePolicy DeviceAllow PrivateNetwork IPAddressDeny IPAddressAllow
    CapabilityBoundingSet AmbientCapabilities PrivateUsers ProtectClock ProtectHostname
    RemoveIPC KeyringMode
    """.split()
)
"""What takes rights that a user's own service manager (252) does not have, or hides his keys for
shares from him."""


class Scope(StrEnum):
    """Whose service manager."""

    SYSTEM = "system"
    USER = "user"


@dataclass(frozen=True)
class Program:
    """The installation that runs: its command, and all the folders it is read from."""

    command: tuple[Path | str, ...]
    folders: tuple[Path, ...]

    @property
    def bin(self) -> Path:
        """Where its commands lie."""
        return Path(str(self.command[0])).parent


@dataclass(frozen=True)
class File:
    """A file to be written."""

    path: Path
    content: str


class Installation(Protocol):
    """What is installed: its units, and what they need.

    account: whom it runs as.  options: what `install-service` is told for it.  starts: the units
    to enable.  written, read_only: what it writes in, and what it only reads.  keys: files that
    must be closed to others, and not to its account.
    """

    @property
    def scope(self) -> Scope: ...
    @property
    def config_file(self) -> Path: ...
    @property
    def program(self) -> Program: ...
    @property
    def account(self) -> str: ...
    @property
    def options(self) -> tuple[str, ...]: ...
    @property
    def starts(self) -> tuple[str, ...]: ...
    @property
    def written(self) -> tuple[Path, ...]: ...
    @property
    def read_only(self) -> tuple[Path, ...]: ...
    @property
    def keys(self) -> tuple[Path, ...]: ...

    def files(self, folder: Path) -> list[File]:
        """Every unit, in `folder`."""

    def accounts(self) -> list[File]:
        """The user and the folders of a system service."""

    def remarks(self) -> Iterator[str]:
        """What a person should know before starting it, of this kind alone."""


@dataclass(frozen=True)
class Order:
    """The service itself, to be installed."""

    scope: Scope
    nightly: bool
    config: Config
    config_file: Path
    program: Program

    @property
    def account(self) -> str:
        return ACCOUNT

    @property
    def options(self) -> tuple[str, ...]:
        return (f"--{self.scope}", *(["--nightly"] if self.nightly else []))

    @property
    def starts(self) -> tuple[str, ...]:
        return (names(self)[-1], *page_units(self))

    @property
    def written(self) -> tuple[Path, ...]:
        """The folders the service writes in, but for those that systemd makes for it."""
        config = self.config
        own = config.log.file
        log = own.parent if isinstance(own, Path) and not own.is_relative_to(LOGS) else None
        return (config.inbox, config.outbox, config.state, *([log] if log else []))

    @property
    def read_only(self) -> tuple[Path, ...]:
        config = self.config
        fleet = config.fleet.place(config.state) if config.fleet else None
        pair = [fleet.ca, fleet.cert, fleet.key] if fleet else []
        apart = [path for path in pair if not path.is_relative_to(config.state)]
        return outermost([self.config_file, config.presets, *apart, *self.program.folders])

    @property
    def keys(self) -> tuple[Path, ...]:
        fleet = self.config.fleet
        return (fleet.place(self.config.state).key,) if fleet else ()

    def files(self, folder: Path) -> list[File]:
        return render(self, folder)

    def accounts(self) -> list[File]:
        return accounts(self)

    def remarks(self) -> Iterator[str]:
        if self.nightly:
            yield f"{NIGHTLY} ends in the morning; one uses either it or {SERVICE}"
        if self.config.fleet is not None and self.scope is Scope.SYSTEM:
            yield (
                "nodes of the fleet reach the service over the network, so that it may speak with "
                "any address; docs/fleet.md has the drop-in that lets in your own network alone"
            )


def running_program() -> Program:
    """The installation this process belongs to."""
    command = Path(sys.prefix, "bin", "atelierd")
    words = (command,) if command.exists() else tuple(python("daemon"))
    here = Path(__file__).parents[2]
    paths = {Path(entry) for entry in sys.path if entry}
    read = paths | {here, Path(sys.prefix), Path(sys.base_prefix)}
    read |= {folder.resolve() for folder in read}
    return Program(words, outermost(folder for folder in read if folder.is_dir()))


def outermost(folders: Iterable[Path]) -> tuple[Path, ...]:
    """The folders that lie in none of the others, in order."""
    found = sorted(set(folders))
    return tuple(one for one in found if not any(one.is_relative_to(o) for o in found if o != one))


def template(name: str) -> str:
    """A file of `systemd/`: of the package where it is installed, else of the source tree."""
    packaged = importlib.resources.files("daemon") / "install" / "templates"
    beside = Path(__file__).parents[2] / "systemd"
    for folder in (packaged, beside):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise SurroundingsError(
        f"the template {name} is neither in {packaged} nor in {beside}; install atelierd anew"
    )


def render(order: Order, folder: Path) -> list[File]:
    """Every unit of the order, in `folder`."""
    texts = {name: template(name) for name in (*names(order), *page_units(order))}
    head = header(order.scope, names(order)[0])
    return [
        File(folder / name, head + (text if name == TIMER else unit(order, text)))
        for name, text in texts.items()
    ]


def header(scope: Scope, name: str) -> str:
    """What stands above every unit."""
    return (
        "# Written by `atelierd install-service`, which keeps what it replaces as .old. Settings\n"
        f"# of your own go into a drop-in: systemctl {flag(scope)}edit {name}\n"
    )


def names(order: Order) -> tuple[str, ...]:
    """The units of the order; the one to enable comes last."""
    return (NIGHTLY, TIMER) if order.nightly else (SERVICE,)


def page_units(order: Order) -> tuple[str, ...]:
    """The unit of the page, where config.yaml has one."""
    return (PAGE,) if order.config.page is not None else ()


def is_page(text: str) -> bool:
    """Whether a unit is the page's."""
    return "config.yaml page\n" in text


def flag(scope: Scope) -> str:
    """What `systemctl` needs to mean this service manager."""
    return "--user " if scope is Scope.USER else ""


def unit(order: Order, text: str) -> str:
    """A template with the order's paths, and without what its service manager cannot apply."""
    config, program = order.config, order.program
    text = with_values(text, {"ExecStart": [configured_line(order, text)]})
    needed = [config.state, config.presets, order.config_file, *program.folders]
    text = with_values(text, {"RequiresMountsFor": [words(outermost(needed))]})
    if order.scope is Scope.USER:
        return without_rights(text)
    makes_presets = is_page(text) and config.page is not None and config.page.presets
    made = [config.presets] if makes_presets else []
    read = [order.config_file, *([] if makes_presets else [config.presets])]
    values = {
        "Environment": [environment(program)],
        "ReadWritePaths": [words([*writable(order), *made], "-")],
        "ReadOnlyPaths": [words(read, "-")],
        "ProtectHome": [home(order)],
    }
    if config.state != Path("/var/lib/atelierd"):
        text = without(text, ("StateDirectory", "StateDirectoryMode"))
    if config.fleet is not None and not is_page(text):
        text = with_values(without(text, CUT_OFF), {"RestrictAddressFamilies": [FAMILIES]})
    return with_values(text, values)


def without_rights(text: str) -> str:
    """A unit as a user's own service manager can run it."""
    text = text.replace("WantedBy=multi-user.target", "WantedBy=default.target")
    return without(text, NOT_FOR_USERS)


def writable(order: Order) -> list[Path]:
    """The same, inbox and outbox as one folder where that holds both.

    Nothing is renamed from one writable path of a unit to another: originals are copied then.
    """
    inbox, outbox, *others = order.written
    both = inbox.is_relative_to(SHARED) and outbox.is_relative_to(SHARED)
    return [*([SHARED] if both else [inbox, outbox]), *others]


def environment(program: Program) -> str:
    """The template's variables with this installation's commands found first."""
    return f"{search_path(program)} CUDA_CACHE_PATH=%C/atelierd/cuda"


def search_path(program: Program) -> str:
    """The variable PATH with this installation's commands found first."""
    return quoted(Path(f"{program.bin}:/usr/local/bin:/usr/bin:/bin"), "PATH=")


def configured_line(order: Installation, text: str) -> str:
    """The template's command with this installation's paths."""
    _, _, arguments = text.partition("\nExecStart=")[2].partition(".yaml ")
    told = f"--config {quoted(order.config_file)} {arguments.splitlines()[0]}"
    return command_line(order.program, told)


def command_line(program: Program, arguments: str) -> str:
    """A program of this installation with arguments as units write them; `:` keeps `$` as it is."""
    first, *rest = program.command
    words = [quoted(Path(word)) for word in rest]
    start = [quoted(Path(first), ":"), *words]
    if re.search(r"[\"'\\]", str(first)):  # systemd refuses to start what is called so
        start = [":/bin/sh", "-c", """'exec "$@"'""", "sh", quoted(Path(first)), *words]
    return " ".join([*start, arguments])


def words(paths: Iterable[Path], prefix: str = "") -> str:
    """Paths as the words of one directive."""
    return " ".join(quoted(path, prefix) for path in paths)


def home(order: Installation) -> str:
    """How homes are hidden although something that is needed lies in one; see `adaptations`."""
    if below_homes(order.written):
        return "read-only"
    # Empty homes in which nothing but these folders is seen, whatever the rights on the way.
    shown = shown_alone(order)
    return f"tmpfs\nBindReadOnlyPaths={words(shown)}" if shown else "yes"


def shown_alone(order: Installation) -> list[Path]:
    """What the service sees of homes, where it sees nothing else of them."""
    return [] if below_homes(order.written) else below_homes(order.read_only)


def below_homes(paths: Iterable[Path]) -> list[Path]:
    """Those that ProtectHome=yes would hide."""
    return [path for path in paths if any(path.is_relative_to(home) for home in HOMES)]


def adaptations(order: Installation) -> Iterator[str]:
    """What differs from the usual units, in words."""
    if order.scope is Scope.USER:
        yield (
            "a user's service manager cannot hide files, devices and the network: that part of the "
            "sandbox is left out"
        )
        return
    for path in (*order.written, *order.read_only):
        if path.is_relative_to(TEMPORARY):
            yield f"{path} lies in {TEMPORARY}, which the service does not see; move it"
    if data := below_homes(order.written):
        yield (
            f"{told(data)} lies in a home: the service may read all homes as far as their rights "
            "let it (ProtectHome=read-only); move it to /srv to have them hidden"
        )
    elif read := shown_alone(order):
        yield (
            f"{told(read)} lies in a home: shown to the service read-only, and nothing else of the "
            "homes (ProtectHome=tmpfs)"
        )


def told(paths: Iterable[Path]) -> str:
    """Paths for people."""
    return ", ".join(map(printable, paths))


def accounts(order: Order) -> list[File]:
    """The user and the folders of a system service: sysusers.d and tmpfiles.d."""
    config = order.config
    rows = template("atelierd.tmpfiles.conf").splitlines()
    folders = [
        *(row for row in rows if row.startswith("#")),
        line(config.inbox, ":2770"),
        line(config.outbox, ":2770"),
        line(config.state, ":0750"),
    ]
    return [
        user(),
        File(Path("/etc/tmpfiles.d/atelierd.conf"), "\n".join(folders) + "\n"),
    ]


def user() -> File:
    """Whom service and nodes run as."""
    return File(Path("/etc/sysusers.d/atelierd.conf"), template("atelierd.sysusers.conf"))


def line(folder: Path, mode: str) -> str:
    """A folder in the words of tmpfiles.d."""
    return f"d {quoted(folder)} {mode} :atelierd :atelierd -"
