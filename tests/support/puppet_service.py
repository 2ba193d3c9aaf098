"""The command `atelierd` whose workers are puppets: the same service, processes and wire, no torch.

A program, to be run in the place of `atelierd`: the real one, but that a child which is to paint
is started from `puppet_worker.py`, and that it is less patient with what is broken: what a test
has broken is mended at once. `$PUPPET_GIVE_UP_S`: after how long `--once` gives up.
"""

import os
import sys
from pathlib import Path

from daemon import launch
from daemon.host import process

PAINTER = "daemon.worker.child"
PUPPET = Path(__file__).with_name("puppet_worker.py")

real_python = process.python


def python(module: str, *arguments: str) -> list[str]:
    """The command of a child; its module is named in it, whoever plays that part."""
    interpreter, safely, beginning, *named = real_python(module, *arguments)
    return [interpreter, safely, str(PUPPET) if module == PAINTER else beginning, *named]


def hurry() -> None:
    """Shortens the waits of the service, wherever they are kept."""
    import daemon.service.main  # noqa: F401  # and with it all that waits
    from daemon.host.loop import Loop
    from daemon.pool import retry

    retry.LONGEST_BACKOFF_S = 1.0
    Loop.__init__.__kwdefaults__["retry_s"] = 1.0
    waits = {"BROKEN_WAIT_S": 1.0, "BUSY_TIMEOUT_S": 2.0, "STATUS_S": 1.0}
    waits |= {"LIVE_S": 0.2, "UNCHANGED_S": 0.5}
    if give_up_s := os.environ.get("PUPPET_GIVE_UP_S"):
        waits["ONCE_GIVE_UP_S"] = float(give_up_s)
    for name, module in sys.modules.items():
        if name.startswith("daemon."):
            vars(module).update({wait: waits[wait] for wait in waits.keys() & vars(module).keys()})


if __name__ == "__main__":
    process.python = python
    if "run" in sys.argv:
        hurry()
    launch.main()
