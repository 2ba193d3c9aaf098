"""The fleet as config.yaml describes it, and a node of it as its node.yaml does.

Nothing of Dask is imported here: whether it is installed is looked up.
"""

import importlib.util
import os
import re
import socket
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, model_validator

from daemon.errors import ConfigError, Fault
from daemon.host import access
from daemon.host.files import printable
from daemon.settings import yamlfile
from daemon.settings.address import Address, to_address
from daemon.settings.hooks import to_file
from daemon.settings.machine import (
    Bytes,
    LogLevel,
    Memory,
    PerDevice,
    Threads,
    YieldRule,
    check_devices,
)
from daemon.settings.yamlfile import Section

EXTRA = ("distributed", "cryptography")
INSTALL = "pip install 'atelierd[fleet]'"
CERTIFY = "atelierd fleet certificates"
SYSTEM_NODE = Path("/etc/atelierd/node.yaml")
NODE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)
REACHED = re.compile(
    r"(\[(?P<six>[\w:.%]+)\]|(?P<host>[^\s:\[\]/]+))(:(?P<port>\d{1,5}))?"
    r"|(?P<bare>[\da-fA-F]*:[\da-fA-F:.]*:[\da-fA-F:.]*)",
    re.ASCII,
)
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,62}", re.ASCII)
KINDS = ("local", "cpu", "cuda")
"""What `runs_on` means otherwise: this machine, and kinds of devices."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""What listens everywhere, and where this machine itself reaches it."""


def to_listening(value: object) -> Address:
    """An address to listen at from text; raises ValueError for anything else, null too."""
    found = to_address(value)
    if found is None:
        raise ValueError("must be HOST:PORT such as 0.0.0.0:8786, not null")
    return found


def check_scheduler(value: str | None) -> str | None:
    """Raises ValueError unless it is tls://HOST:PORT; without TLS anybody could run programs."""
    if value is None:
        return None
    scheme, _, rest = value.rpartition("://")
    try:
        if scheme != "tls" or rest.startswith(":"):
            raise ValueError(scheme)
        return f"tls://{to_address(rest)}"
    except ValueError as error:
        raise ValueError(
            f"must be tls://HOST:PORT such as tls://studio:8786, not {yamlfile.shortened(value)}"
        ) from error


def check_files_url(value: str | None) -> str | None:
    """Raises ValueError unless it is https:// with a host, and no path."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        usable = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:  # brackets, or a port beyond the last
        usable = False
    if not usable or "@" in value or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            "must be https://HOST:PORT such as https://studio:8787, not "
            f"{yamlfile.shortened(value)}"
        )
    return value.rstrip("/")


def check_name(value: str) -> str:
    """Raises ValueError unless it can be a node's name, which stands in certificates and seats."""
    if not NODE_NAME.fullmatch(value):
        raise ValueError(
            "must have at most 63 letters, digits, dots, _ and -, and begin and end with a letter "
            f"or digit, not {yamlfile.shortened(value)}"
        )
    return free(value)


def check_tag(value: str) -> str:
    """Raises ValueError unless it can be a tag."""
    if not TAG.fullmatch(value):
        raise ValueError(
            "must have at most 63 letters, digits, dots, _ and -, and not begin with a dot or -, "
            f"not {yamlfile.shortened(value)}"
        )
    return free(value)


def free(word: str) -> str:
    """Raises ValueError for a word that presets mean something else by."""
    if word in KINDS:
        raise ValueError(f"must not be {word!r}: by `runs_on`, that is no node of its own")
    return word


def to_reached(text: str) -> tuple[str, int]:
    """Host and port of HOST or HOST:PORT, 0 where none is named; raises ValueError for neither."""
    match = REACHED.fullmatch(text)
    port = int(match["port"] or 0) if match else 0
    if match is None or port > 65_535 or (match["port"] and port == 0):
        raise ValueError(
            "must be the host, or HOST:PORT, at which the scheduler reaches this node, not "
            f"{yamlfile.shortened(text)}"
        )
    return match["six"] or match["host"] or match["bare"], port


def check_reached(value: str | None) -> str | None:
    """Raises ValueError unless it is a host, or HOST:PORT."""
    if value is not None:
        to_reached(value)
    return value


def to_some_file(value: object) -> Path:
    """The path of a file from text; raises ValueError for anything else, null too."""
    return yamlfile.to_path(value, "the path of a file")


Folder = Annotated[Path, BeforeValidator(yamlfile.to_path)]
File = Annotated[Path, BeforeValidator(to_some_file)]
MaybeFile = Annotated[Path | None, BeforeValidator(to_file)]
Listening = Annotated[Address, BeforeValidator(to_listening)]


@dataclass(frozen=True)
class FleetPlace:
    """Where the fleet is and with what to enter it, in plain fields, every path absolute.

    scheduler: tls://HOST:PORT.  files: HOST:PORT where the depot listens; files_url: how nodes
    reach it.  listen: HOST:PORT where a scheduler of ours listens; empty where it is not ours, and
    then it has no pair.
    """

    scheduler: str
    ca: Path
    cert: Path
    key: Path
    files: str
    files_url: str
    listen: str
    scheduler_cert: Path | None
    scheduler_key: Path | None


class FleetSettings(Section):
    """Other machines that paint for this service: their scheduler, and how files reach them."""

    scheduler: Annotated[str | None, AfterValidator(check_scheduler)] = None  # of somebody else
    embedded: bool = False  # a scheduler of our own, beside the service
    listen: Listening = Address("0.0.0.0", 8786)  # of the embedded scheduler
    files: Listening = Address("0.0.0.0", 8787)  # where nodes fetch pictures and bring results
    files_url: Annotated[str | None, AfterValidator(check_files_url)] = None  # as nodes reach it
    ca: MaybeFile = None  # who signed all certificates of the fleet
    cert: MaybeFile = None  # the service's own
    key: MaybeFile = None  # to cert

    @model_validator(mode="after")
    def _check_one_scheduler(self) -> Self:
        if (self.scheduler is not None) == self.embedded:
            raise ValueError(
                "must have either `scheduler: tls://HOST:PORT` or `embedded: true`, one of them"
            )
        if self.scheduler is not None and "listen" in self.model_fields_set:
            raise ValueError("has a `scheduler` elsewhere; `listen` is for `embedded: true`")
        return self

    def below(self, base: Path) -> "FleetSettings":
        """The same with its files absolute, those that were not being below `base`."""
        files = {name: getattr(self, name) for name in ("ca", "cert", "key")}
        return self.model_copy(update={name: beside(base, path) for name, path in files.items()})

    def place(self, state: Path) -> FleetPlace:
        """Everything above in plain fields; `state` has the folder of certificates not named."""
        folder = state / "fleet"
        return FleetPlace(
            scheduler=self.scheduler or f"tls://{as_reached_here(self.listen)}",
            ca=self.ca or folder / "ca.pem",
            cert=self.cert or folder / "service.pem",
            key=self.key or folder / "service.key",
            files=str(self.files),
            files_url=self.files_url or f"https://{as_reached_elsewhere(self.files)}",
            listen=str(self.listen) if self.embedded else "",
            scheduler_cert=folder / "scheduler.pem" if self.embedded else None,
            scheduler_key=folder / "scheduler.key" if self.embedded else None,
        )


class NodeSettings(Section):
    """What a node is told by its node.yaml, as docs/reference.md describes it."""

    scheduler: Annotated[str, AfterValidator(check_scheduler)]  # tls://HOST:PORT
    ca: File = Path("ca.pem")  # who signed all certificates of the fleet
    cert: File = Path("node.pem")  # the node's own
    key: File = Path("node.key")  # to cert
    name: Annotated[str, AfterValidator(check_name)] = ""  # else the host's
    folder: Folder = Path("cache")  # of files by hash, the network, and runs under way
    cache: Annotated[Bytes, Field(ge=1_000_000)] = ByteSize(20 << 30)  # of files by hash
    devices: Annotated[str | list[str], BeforeValidator(check_devices)] = "auto"
    per_device: PerDevice = 1  # jobs at once on a device; each takes a process and a port
    memory: Memory = "auto"  # of a worker: four fifths of what is free
    threads: Threads = "auto"  # by quota, affinity
    tags: Annotated[
        tuple[Annotated[str, AfterValidator(check_tag)], ...], Field(strict=False)
    ] = ()  # that presets ask for by `runs_on`
    yield_gpu_when: YieldRule | None = None
    log_level: LogLevel = "INFO"
    address: Annotated[str | None, AfterValidator(check_reached)] = None  # behind a tunnel
    files_url: Annotated[str | None, AfterValidator(check_files_url)] = None  # that `doctor` tries

    def reached_at(self, number: int) -> tuple[str, int]:
        """Where the scheduler reaches a seat's process; number: the seat's among all, from 0.

        An empty host where it finds that out, port 0 for any. Seats have ports in a row.
        """
        host, port = to_reached(self.address) if self.address else ("", 0)
        return host, port + number if port else 0


def beside(base: Path, path: Path | None) -> Path | None:
    """An absolute path, below `base` where it was relative; None stays None."""
    return None if path is None else Path(os.path.normpath(base / path))


def as_reached_here(address: Address) -> Address:
    """How this machine's own programs reach what listens at an address."""
    return Address(ANYWHERE.get(address.host, address.host), address.port)


def as_reached_elsewhere(address: Address) -> Address:
    """How others reach it: by this host's name where it listens everywhere."""
    host = socket.gethostname() if address.host in ANYWHERE else address.host
    return Address(host, address.port)


def load_node(path: Path) -> NodeSettings:
    """The settings of a node.yaml, paths relative to it; raises ConfigError naming every fault."""
    document = yamlfile.read(path)
    if "name" not in document.data:
        document.data["name"] = socket.gethostname()
    settings = yamlfile.check(NodeSettings, document)
    if settings is None:
        raise ConfigError(document.faults)
    files = {name: getattr(settings, name) for name in ("ca", "cert", "key", "folder")}
    absolute = {name: beside(path.absolute().parent, file) for name, file in files.items()}
    return settings.model_copy(update=absolute)


def check_fleet(place: FleetPlace, config_file: Path) -> None:
    """Raises ConfigError unless the extra is installed, and every certificate can be read."""
    secrets = [place.key, *filter(None, [place.scheduler_key])]
    others = [place.ca, place.cert, *filter(None, [place.scheduler_cert])]
    raise_any([*missing_extra(config_file), *certificate_faults(others, secrets, CERTIFY)])


def check_node(settings: NodeSettings, node_file: Path) -> None:
    """Raises ConfigError unless the extra is installed, and every certificate can be read."""
    remedy = f"{CERTIFY} {settings.name}, where the service is; then copy nodes/{settings.name}"
    faults = certificate_faults([settings.ca, settings.cert], [settings.key], remedy)
    obeyed = [node_file, settings.ca, settings.cert]
    raise_any([*missing_extra(node_file), *open_faults(obeyed), *faults])


def find_node(given: Path | None) -> Path:
    """The node.yaml in force; raises ConfigError if there is none."""
    candidates = [Path("node.yaml"), SYSTEM_NODE] if given is None else [given]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.absolute()
    looked = " and ".join(map(printable, candidates))
    told = f"no node.yaml: looked for {looked}; {CERTIFY} NODE makes one; use --config"
    raise ConfigError([Fault(str(candidates[0]), 1, "", told)])


def require_extra(file: Path) -> None:
    """Raises ConfigError unless what a fleet needs is installed."""
    raise_any(missing_extra(file))


def raise_any(faults: Iterable[Fault]) -> None:
    """Raises ConfigError if there is a fault."""
    found = list(faults)
    if found:
        raise ConfigError(found)


def missing_extra(file: Path) -> Iterator[Fault]:
    """A fault if what a fleet needs is not installed."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        told = f"needs {' and '.join(missing)}, which are not installed: {INSTALL}"
        yield Fault(str(file), 1, "fleet", told)


def certificate_faults(
    files: Iterable[Path], secrets: Iterable[Path], remedy: str
) -> Iterator[Fault]:
    """What is wrong with files that must be there, and with those nobody else may read."""
    secret = set(secrets)
    for path in (*files, *secret):
        told = unreadable(path)
        if told:
            yield Fault(str(path), 1, "", f"cannot be read: {told}; make it with: {remedy}")
        elif path in secret and path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield Fault(str(path), 1, "", "others may read this key; take that away (chmod o-rw)")


def open_faults(obeyed: Iterable[Path]) -> Iterator[Fault]:
    """A fault for each file that anybody could change, or put another in the place of."""
    paths = dict.fromkeys(one for path in obeyed for one in (path, path.parent))
    for path in filter(access.is_open_to_all, paths):
        told = "everybody may write here; take that right away (chmod o-w)"
        yield Fault(str(path), 1, "", told)


def unreadable(path: Path) -> str:
    """Why a file cannot be read; empty if it can."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return access.reason(error)
    return ""
