"""A fleet's certificates, and a link that breaks, for tests of how files travel."""

import contextlib
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

from daemon.fleet.authority import CertificateOrder, make_certificates

Trio = tuple[Path, Path, Path]


@dataclass(frozen=True)
class Papers:
    """The files of a fleet's certificates: the authority's, and a pair for each role."""

    folder: Path

    @property
    def service(self) -> Trio:
        return self._pair(self.folder / "service")

    @property
    def scheduler(self) -> Trio:
        return self._pair(self.folder / "scheduler")

    @property
    def node(self) -> Trio:
        return self._pair(self.folder / "nodes" / "desk2" / "node")

    def _pair(self, stem: Path) -> Trio:
        ca = self.folder / "ca.pem"
        return ca, stem.with_name(f"{stem.name}.pem"), stem.with_name(f"{stem.name}.key")


def make_papers(folder: Path) -> Papers:
    """Makes the certificates of a fleet of its own."""
    order = CertificateOrder(
        folder, ("studio",), ("desk2",), scheduler="tls://studio:1", files_url="https://x:1", days=1
    )
    for _ in make_certificates(order):
        pass
    return Papers(folder)


class BreakingLink:
    """Passes on what goes between callers and a port, and cuts its first connections.

    cuts: after how many bytes of the answers each is cut; later ones hold.
    """

    def __init__(self, port: int, cuts: list[int]) -> None:
        self._to = port
        self._cuts = cuts
        self.passed_bytes = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                called = socket.create_connection(("127.0.0.1", self._to))
                most = self._cuts.pop(0) if self._cuts else None
                for source, target, left in ((caller, called, None), (called, caller, most)):
                    threading.Thread(
                        target=self._pass, args=(source, target, left), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        """Passes on bytes until one end closes, or none are left."""
        with contextlib.suppress(OSError), source, target:
            while left is None or left > 0:
                piece = source.recv(16384 if left is None else min(16384, left))
                if not piece:
                    break
                target.sendall(piece)
                self.passed_bytes += len(piece)
                left = None if left is None else left - len(piece)
            for end in (source, target):
                end.shutdown(socket.SHUT_RDWR)
