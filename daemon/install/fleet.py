"""The units of a fleet: a node's, and that of a scheduler that runs by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.install.render import (
    ACCOUNT,
    File,
    Program,
    Scope,
    command_line,
    configured_line,
    environment,
    header,
    home,
    line,
    outermost,
    search_path,
    template,
    user,
    without_rights,
    words,
)
from daemon.install.unitfile import quoted, with_values, without
from daemon.settings.address import Address
from daemon.settings.config import Config
from daemon.settings.fleet import NodeSettings

NODE, SCHEDULER = "atelierd-node.service", "atelierd-scheduler.service"
FLEET_UNITS = (NODE, SCHEDULER)
NODE_FOLDER = Path("/var/lib/atelierd-node")


@dataclass(frozen=True)
class NodeOrder:
    """A node, to be installed."""

    scope: Scope
    settings: NodeSettings
    config_file: Path
    program: Program

    @property
    def account(self) -> str:
        return ACCOUNT

    @property
    def options(self) -> tuple[str, ...]:
        return ("--node", f"--{self.scope}")

    @property
    def starts(self) -> tuple[str, ...]:
        return (NODE,)

    @property
    def written(self) -> tuple[Path, ...]:
        return (self.settings.folder,)

    @property
    def read_only(self) -> tuple[Path, ...]:
        pair = (self.settings.ca, self.settings.cert, self.settings.key)
        return outermost([self.config_file, *pair, *self.program.folders])

    @property
    def keys(self) -> tuple[Path, ...]:
        return (self.settings.key,)

    def files(self, folder: Path) -> list[File]:
        return [File(folder / NODE, header(self.scope, NODE) + node_unit(self))]

    def accounts(self) -> list[File]:
        row = line(self.settings.folder, ":0700")
        return [user(), File(Path("/etc/tmpfiles.d/atelierd-node.conf"), f"{row}\n")]

    def remarks(self) -> Iterator[str]:
        yield from ()


def node_unit(order: NodeOrder) -> str:
    """The unit of a node with the order's paths."""
    text = with_values(template(NODE), {"ExecStart": [configured_line(order, template(NODE))]})
    needed = outermost([order.settings.folder, *order.read_only])
    text = with_values(text, {"RequiresMountsFor": [words(needed)]})
    if order.scope is Scope.USER:
        return without_rights(text)
    if order.settings.folder != NODE_FOLDER:
        text = without(text, ("StateDirectory", "StateDirectoryMode"))
    values = {
        "Environment": [environment(order.program)],
        "ReadWritePaths": [words(order.written, "-")],
        "ReadOnlyPaths": [words([order.config_file, *order.keys], "-")],
        "ProtectHome": [home(order)],
    }
    return with_values(text, values)


@dataclass(frozen=True)
class SchedulerOrder:
    """A scheduler that runs by itself on the service's host, to be installed.

    config: of the service, in whose state folder the certificates are.
    """

    config: Config
    config_file: Path
    program: Program
    listen: Address

    @property
    def scope(self) -> Scope:
        return Scope.SYSTEM

    @property
    def account(self) -> str:
        return "of the scheduler (DynamicUser)"

    @property
    def options(self) -> tuple[str, ...]:
        return ("--scheduler", "--system")

    @property
    def starts(self) -> tuple[str, ...]:
        return (SCHEDULER,)

    @property
    def written(self) -> tuple[Path, ...]:
        return ()

    @property
    def read_only(self) -> tuple[Path, ...]:
        return self.program.folders

    @property
    def keys(self) -> tuple[Path, ...]:
        return ()  # systemd reads them as root, and hands them in

    def files(self, folder: Path) -> list[File]:
        return [File(folder / SCHEDULER, header(self.scope, SCHEDULER) + scheduler_unit(self))]

    def accounts(self) -> list[File]:
        return []

    def remarks(self) -> Iterator[str]:
        if self.config.fleet is None or self.config.fleet.embedded:
            yield (
                f"the service runs no scheduler of its own beside this one: write `fleet: "
                f"{{scheduler: 'tls://127.0.0.1:{self.listen.port}'}}` into {self.config_file}"
            )


def scheduler_unit(order: SchedulerOrder) -> str:
    """The unit of a scheduler with the order's paths."""
    config, folder = order.config, order.config.state / "fleet"
    files = ("ca.pem", "scheduler.pem", "scheduler.key")
    arguments = f"fleet scheduler --folder %d --listen {order.listen}"
    hidden = [config.inbox, config.outbox, config.state, config.presets, order.config_file]
    return with_values(
        template(SCHEDULER),
        {
            "RequiresMountsFor": [words(outermost([config.state, *order.program.folders]))],
            "LoadCredential": [credential(name, folder / name) for name in files],
            "Environment": [search_path(order.program)],
            "ExecStart": [command_line(order.program, arguments)],
            "InaccessiblePaths": [words(outermost(hidden), "-")],
            "ReadOnlyPaths": [words(order.program.folders, "-")],
            "ProtectHome": [home(order)],
        },
    )


def credential(name: str, path: Path) -> str:
    """A file as LoadCredential= has it: nothing behind the colon is unquoted."""
    quoted(path)  # refuses what no unit can hold
    return f"{name}:{path}".replace("%", "%%")


def scheduler_listens(config: Config) -> Address:
    """Where a scheduler of its own is to listen, for what config.yaml says of it."""
    fleet = config.fleet
    if fleet is None or fleet.scheduler is None:
        return fleet.listen if fleet else Address("0.0.0.0", 8786)
    return Address("0.0.0.0", int(fleet.scheduler.rpartition(":")[2]))
