"""A fleet on this machine: its own certificates, a scheduler, and nodes whose workers play."""

import atexit
import json
import shutil
import socket
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from daemon.fleet.authority import CertificateOrder, make_certificates
from daemon.fleet.seat_settings import SeatSettings
from daemon.fleet.supervisor import NODE
from daemon.host.kept import KeptChild
from daemon.messages import plain
from daemon.pool.dask import SCHEDULER
from daemon.settings.fleet import FleetPlace

DEVICES = ("cpu", "cuda:0")


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Fleet:
    """Certificates and addresses in a folder, and the node processes that were started.

    lines: what the nodes have said.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.files_port = free_port(), free_port()
        order = CertificateOrder(
            folder / "fleet",
            ("localhost",),
            ("desk",),
            f"tls://127.0.0.1:{self.port}",
            f"https://127.0.0.1:{self.files_port}",
            30,
        )
        for _ in make_certificates(order):
            pass
        self.lines: list[str] = []
        self._children: list[KeptChild] = []

    def start_scheduler(self) -> KeptChild:
        """Starts a scheduler that no service has started."""
        fleet = self.folder / "fleet"
        files = {"ca": "ca.pem", "cert": "scheduler.pem", "key": "scheduler.key"}
        settings = {name: str(fleet / file) for name, file in files.items()}
        settings["listen"] = f"127.0.0.1:{self.port}"
        child = KeptChild(
            SCHEDULER,
            [json.dumps(settings)],
            name="scheduler",
            on_message=lambda message: None,
            on_line=self.lines.append,
        )
        child.start()
        self._children.append(child)
        return child

    def place(self, *, embedded: bool = True) -> FleetPlace:
        """Where a service finds the fleet. embedded: whether the scheduler is the service's."""
        fleet = self.folder / "fleet"
        return FleetPlace(
            scheduler=f"tls://127.0.0.1:{self.port}",
            ca=fleet / "ca.pem",
            cert=fleet / "service.pem",
            key=fleet / "service.key",
            files=f"127.0.0.1:{self.files_port}",
            files_url=f"https://127.0.0.1:{self.files_port}",
            listen=f"127.0.0.1:{self.port}" if embedded else "",
            scheduler_cert=fleet / "scheduler.pem",
            scheduler_key=fleet / "scheduler.key",
        )

    def seat(self, device: str, node: str = "desk") -> SeatSettings:
        """What a node's process is started with; all nodes have the same certificate."""
        pair = self.folder / "fleet" / "nodes" / "desk"
        return SeatSettings(
            node,
            device,
            f"tls://127.0.0.1:{self.port}",
            pair / "ca.pem",
            pair / "node.pem",
            pair / "node.key",
            self.folder / node,
            1 << 30,
            threads=1,
            worker="tests.support.actor",
        )

    def start_node(
        self, device: str, node: str = "desk", *, module: str = NODE, **changes: object
    ) -> KeptChild:
        """Starts the process of a node's device, which is started again when it ends."""
        settings = replace(self.seat(device, node), **changes)  # type: ignore[arg-type]
        child = KeptChild(
            module,
            [json.dumps(plain(settings))],
            name=settings.seat,
            on_message=lambda message: None,
            on_line=self.lines.append,
        )
        child.start()
        self._children.append(child)
        return child

    def close(self) -> None:
        """Ends what was started."""
        for child in self._children:
            child.retire()
        for child in self._children:
            child.close(1.0)


@cache
def shared_fleet() -> Fleet:
    """Two devices of a node, for every test of this process."""
    folder = tempfile.mkdtemp()
    fleet = Fleet(Path(folder))
    fleet.start_scheduler()
    for device in DEVICES:
        fleet.start_node(device)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(fleet.close)
    return fleet
