"""What a node's process for one seat is started with."""

from dataclasses import dataclass
from pathlib import Path

from daemon.pool.local import WORKER
from daemon.pool.seat_names import seat_name


@dataclass(frozen=True)
class SeatSettings:
    """What a node's process for one seat is started with.

    cache_bytes: what brought files may take.  memory_bytes, threads, adaptive_threads, number,
    sharers, on_trial: as in `WorkerSettings`.
    host, port: where the scheduler reaches it; empty and 0: where it finds it to be, and any.
    yield_over_bytes: what others may take of the device before it is left to them; None: anything.
    worker: the module that paints.
    """

    node: str
    device: str
    scheduler: str
    ca: Path
    cert: Path
    key: Path
    folder: Path
    cache_bytes: int
    tags: tuple[str, ...] = ()
    memory_bytes: int | None = None
    threads: int | None = None
    host: str = ""
    port: int = 0
    yield_over_bytes: int | None = None
    worker: str = WORKER
    number: int = 1
    sharers: int = 1
    on_trial: bool = False
    adaptive_threads: bool = False

    @property
    def seat_here(self) -> str:
        """The name of the seat on its machine."""
        return seat_name(self.device, self.number)

    @property
    def seat(self) -> str:
        """The name under which the service knows the seat."""
        return f"{self.node}/{self.seat_here}"

    @property
    def own_folder(self) -> Path:
        """The files of the run at hand; nobody else's."""
        return self.folder / "runs" / self.seat_here.replace(":", "-").replace("/", "-")
