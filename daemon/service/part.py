"""What the service is made of: parts that are started, changed, stopped and joined alike."""

from typing import Protocol

from daemon.errors import SurroundingsError
from daemon.settings.config import Config


class Part(Protocol):
    """A part of the service with threads or processes of its own."""

    def start(self) -> None:
        """Begins; raises RuntimeError if there is no thread for what the service cannot lack."""

    def change(self, config: Config, devices: list[str]) -> None:
        """Goes on with other settings, from the round at hand on."""

    def stop(self) -> None:
        """Begins nothing more; what would go on for hours is ended, and its end waited for."""

    def join(self, timeout_s: float) -> None:
        """Waits so long for the end; what hangs is left behind, or killed where that is safe."""


def start(part: Part) -> None:
    """Starts a part; raises SurroundingsError where no thread can be had for it."""
    try:
        part.start()
    except RuntimeError as error:
        raise SurroundingsError(
            f"no thread can be started ({error}): let this user have more (ulimit -u, TasksMax= "
            "of the unit, pids of the container)"
        ) from error
