"""A worker that is no process: what it is told can be seen, and what it says is given."""

import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from daemon.host.process import Message


class Puppet:
    """In the place of `process.Child`: lives until it is killed or closed."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        **_: object,
    ) -> None:
        self.arguments, self.environment = list(arguments), dict(environment or {})
        self.pid = 1
        self.alive = True
        self.heard: list[Message] = []
        self.killer: signal.Signals | None = None
        self.killed_here = False
        self._said: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def say(self, **message: object) -> None:
        """Says something, which the pool's thread hears."""
        self._said.put(message)

    def listen(self, target: Callable[[], object], name: str) -> None:
        threading.Thread(target=target, name=name, daemon=True).start()

    def send(self, message: Message) -> None:
        self.heard.append(message)

    def messages(self) -> Iterator[Message]:
        while (message := self._said.get()) is not None:
            yield message

    def kill(self) -> None:
        self.killed_here = True
        self.be_killed()

    def be_killed(self) -> None:
        """Is ended by somebody else."""
        self.killer, self.alive = signal.SIGKILL, False
        self._said.put(None)

    def close(self, grace_s: float) -> None:
        self.alive = False
        self._said.put(None)

    def ending(self) -> str:
        return "was ended"
