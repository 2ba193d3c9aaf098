"""Which GPUs other programs need now, so that they are left to them.

A thread of its own: a driver that hangs must not hold up the service.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from loguru import logger

LOOK_S = 5.0
CALM_S = 60.0
"""How long a GPU must have been free of others, so that work is not begun between two of theirs."""

UsedByOthers = Callable[[str, Sequence[int]], int | None]


class Neighbours:
    """Watches the devices. limit_bytes: what others may take of a device's memory.

    own: the processes of ours on each device.  used: what others use of one, None if that cannot be
    told; it is left to nobody then.
    """

    def __init__(
        self,
        devices: Sequence[str],
        limit_bytes: int,
        own: Callable[[], Mapping[str, int]],
        used: UsedByOthers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._devices = [device for device in devices if device != "cpu"]
        self._limit_bytes = limit_bytes
        self._own = own
        self._used = used
        self._clock = clock
        self._crowded_s: dict[str, float] = {}
        self._unknown: set[str] = set()
        self._stumbled: set[str] = set()
        self._stop = threading.Event()

    def start(self) -> None:
        """Looks from now on."""
        if not self._devices:
            return
        try:
            threading.Thread(target=self._run, name="neighbours", daemon=True).start()
        except RuntimeError as error:
            logger.error("nobody looks who uses the GPUs (yield_gpu_when): {}", error)

    def stop(self) -> None:
        self._stop.set()

    def left(self) -> frozenset[str]:
        """The devices that others need, or needed a moment ago."""
        now_s = self._clock()
        crowded = dict(self._crowded_s)
        return frozenset(device for device, then_s in crowded.items() if now_s - then_s < CALM_S)

    def look(self) -> None:
        """One look at every device."""
        before = self.left()
        for device in self._devices:
            own = self._own().get(device)
            used = self._used(device, [own] if own is not None else [])
            if used is None:
                self._say_unknown(device)
            elif used > self._limit_bytes:
                self._crowded_s[device] = self._clock()
                if device not in before:
                    logger.info(
                        "{} is left to others, who use {:.1f} GB of it (yield_gpu_when)",
                        device,
                        used / 1e9,
                    )
        for device in before - self.left():
            logger.info("{} is free of others again", device)

    def _say_unknown(self, device: str) -> None:
        if device not in self._unknown:
            self._unknown.add(device)
            logger.warning(
                "who uses {} cannot be told here, so it is never left to others (yield_gpu_when)",
                device,
            )

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look_safely()
            self._stop.wait(LOOK_S)

    def look_safely(self) -> None:
        """One look; whatever a driver's library raises is said once, and no device is left."""
        try:
            self.look()
        except Exception as error:
            if repr(error) not in self._stumbled:  # it would be said every five seconds
                self._stumbled.add(repr(error))
                logger.exception("looking for others on the GPUs stumbled; it goes on")
