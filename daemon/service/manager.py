"""Tells the service manager, such as systemd: READY, WATCHDOG, STATUS, RELOADING and STOPPING.

The protocol is sd_notify(3): datagrams to the socket that `$NOTIFY_SOCKET` names. Without one
nothing is told.
"""

import os
import socket
import time
from collections.abc import MutableMapping

MOST_STATUS_CHARACTERS = 240


class Manager:
    """Sends messages to the service manager, if there is one.

    Takes its variables out of the environment, so that no child takes them for its own.
    """

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        address = environment.pop("NOTIFY_SOCKET", "")
        usec, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        mine = not pid or pid == str(os.getpid())
        self._every_s = int(usec) / 2e6 if usec.isdigit() and mine else None
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._pinged_s = -float("inf")
        self._status = ""

    @property
    def listens(self) -> bool:
        """Whether anybody wants to know."""
        return bool(self._address)

    def ready(self) -> None:
        """Tells it that start-up, or reloading, is over."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Tells it that the configuration is read anew; `ready` ends that."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tells it that the service is on its way down."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """Tells it the line that `systemctl status` shows, when that changes."""
        line = " ".join(text.split())[:MOST_STATUS_CHARACTERS]
        if line != self._status:
            self._status = line
            self._tell(f"STATUS={line}")

    def ping_due(self) -> bool:
        """Whether the watchdog waits for a sign of life: twice in the time it allows."""
        return self._every_s is not None and time.monotonic() - self._pinged_s >= self._every_s

    def ping(self) -> None:
        """Gives the watchdog a sign of life."""
        self._pinged_s = time.monotonic()
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)  # a manager that does not read must not hold up the service
                out.sendto("\n".join(lines).encode(), self._address)
        # It is gone, its queue is full, no more files may be open: the next word may reach it.
        # ValueError: an address that is none.
        except (OSError, ValueError):
            self._pinged_s, self._status = -float("inf"), ""
