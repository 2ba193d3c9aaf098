"""Which GPUs other programs need now, so that they are left to them.

A thread of its own: a driver that hangs must not hold up the service.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from loguru import logger

from daemon.host.loop import Loop
from daemon.pool.crowding import Crowding
from daemon.pool.memory import DeviceMemory
from daemon.settings.config import Config

LOOK_S = 5.0
CALM_S = 60.0
"""How long a GPU must have been free of others, so that work is not begun between two of theirs."""

HANG_UP_S = 1.0
"""How long the service waits for a look at other devices; a driver that hangs is left to it."""


class Neighbours:
    """Watches the GPUs for other programs, where `yield_gpu_when` asks for it.

    memory: what is known of the devices'. One whose users cannot be told is left to nobody.
    """

    def __init__(
        self,
        config: Config,
        devices: Sequence[str],
        memory: Callable[[], Iterable[DeviceMemory]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._loop = Loop(
            "neighbours", lambda _: self._look_and_rest, self._note_fault, retry_s=LOOK_S
        )
        self.stop, self.join = self._loop.stop, self._loop.join
        self._take_up(config, devices)

    def _take_up(self, config: Config, devices: Sequence[str]) -> None:
        rule = config.yield_gpu_when
        limit_bytes = rule.memory_used_by_others_over if rule is not None else None
        self._crowding = Crowding(limit_bytes, CALM_S, self._clock)
        self._devices = [device for device in devices if device != "cpu" and rule is not None]
        self._unknown: set[str] = set()
        self._stumbled: set[str] = set()

    def start(self) -> None:
        """Looks from now on, if there is anything to look at."""
        if not self._devices:
            return
        try:
            self._loop.start()
        except RuntimeError as error:
            logger.error("nobody looks who uses the GPUs (yield_gpu_when): {}", error)

    def change(self, config: Config, devices: Sequence[str]) -> None:
        """Looks at other devices, or with another limit, as if for the first time."""
        self.stop()
        self.join(HANG_UP_S)
        self._take_up(config, devices)
        self.start()

    def left(self) -> frozenset[str]:
        """The devices that others need, or needed a moment ago."""
        return self._crowding.left()

    def look(self) -> None:
        """One look at every device."""
        before = self.left()
        others = {memory.device: memory.others_bytes for memory in self._memory()}
        for device in self._devices:
            used = others.get(device)
            if used is None:
                self._say_unknown(device)
            elif self._crowding.look(device, used) and device not in before:
                logger.info(
                    "{} is left to others, who use {:.1f} GB of it (yield_gpu_when)",
                    device,
                    used / 1e9,
                )
        for device in before - self.left():
            logger.info("{} is free of others again", device)

    def _look_and_rest(self) -> None:
        self.look()
        self._loop.pause(LOOK_S)

    def _say_unknown(self, device: str) -> None:
        if device not in self._unknown:
            self._unknown.add(device)
            logger.warning(
                "who uses {} cannot be told here, so it is never left to others (yield_gpu_when)",
                device,
            )

    def _note_fault(self, error: Exception) -> None:
        """Says once what a driver's library raises: it may do so every five seconds."""
        if repr(error) not in self._stumbled:
            self._stumbled.add(repr(error))
            logger.opt(exception=error).error("looking for others on the GPUs stumbled; it goes on")
