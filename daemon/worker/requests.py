"""What a worker is asked for, on its standard input: runs, one after the other, and their ends."""

import queue
from collections.abc import Callable
from typing import NoReturn

from daemon.host.process import Message, heed_input


def serve(run: Callable[[str, Message], object], cancel: Callable[[str], object]) -> NoReturn:
    """Runs each order that is read; `cancel` is called at once, from a thread of its own.

    The end of the input ends the process, even in the middle of a step.
    """
    runs: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def heed(request: Message) -> None:
        if request["do"] == "cancel":
            cancel(request["run"])
        else:
            runs.put(request)

    heed_input(heed)
    while True:
        request = runs.get()
        run(request["run"], request["payload"])
