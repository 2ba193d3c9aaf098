"""A worker without torch: process and wire of the real one, and it plays what an order asks for.

The order's note says what, as `play`; `pools` has the words.
"""

import os
import signal
import threading
from typing import TextIO

from daemon.engine.schedule import Pass
from daemon.host.files import sha256_of
from daemon.host.process import claim_stdout, say
from daemon.messages import (
    Cancelled,
    Done,
    Ended,
    Event,
    Failed,
    Hello,
    LogLine,
    OutOfMemory,
    PassPlan,
    Preview,
    Progress,
    RunOrder,
    event_data,
    to_order,
)
from daemon.worker.requests import serve

PLAN = PassPlan("4x3 px", "one tile", 3, 2, 9)
STEP = Progress(1, (Pass(4, 3, 1),), 1, 3.0, {"content": 1.0, "edges": 0.25}, 0.5)


class Actor:
    """Plays one run after the other. `cancel` comes from the thread that listens."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._cancelled: set[str] = set()
        self._change = threading.Condition()

    def cancel(self, run_id: str) -> None:
        """Ends a run that waits, or is going to."""
        with self._change:
            self._cancelled.add(run_id)
            self._change.notify_all()

    def run(self, run_id: str, order: RunOrder) -> None:
        """Plays a run; one that is spent ends the process."""
        self._say(run_id, PLAN)
        self._say(run_id, STEP)
        ended = self._play(run_id, order)
        self._say(run_id, ended)
        if ended.spent:
            os._exit(3)

    def _play(self, run_id: str, order: RunOrder) -> Ended:
        match order.note["play"]:
            case "fail":
                return Ended(Failed("input", "no picture"))
            case "out of memory":
                return Ended(OutOfMemory("not enough memory"), spent=True)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "wait":
                with self._change:
                    self._change.wait_for(lambda: run_id in self._cancelled)
                return Ended(Cancelled())
            case "deaf":
                threading.Event().wait()
            case "newer":
                say(self._out, {"event": "sings", "run": run_id, "song": "old"})
                say(self._out, event_data(run_id, LogLine("INFO", "la")) | {"mood": "good"})
        if order.preview:
            order.preview.write_bytes(b"small")
            self._say(run_id, Preview(order.preview))
        order.result.write_bytes(b"painted")
        return Ended(Done(result_sha256=sha256_of(order.result), result_bytes=7))

    def _say(self, run_id: str, event: Event) -> None:
        say(self._out, event_data(run_id, event))


def main() -> None:
    """Runs until the input is closed."""
    out = claim_stdout()
    actor = Actor(out)
    say(out, event_data("", Hello()))
    serve(lambda run_id, order: actor.run(run_id, to_order(order)), actor.cancel)


if __name__ == "__main__":
    main()
