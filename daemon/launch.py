"""The command `atelierd`, before anything of it is loaded: whoever stops it then gets no trace."""

import os
import signal
import sys


def main() -> None:
    """Loads the commands and obeys one of them.

    `run` that is stopped meanwhile ends with 0, as it does afterwards, and any other command as
    shells expect it.
    """
    is_run = "run" in sys.argv[1:2]
    handler = (lambda *_: os._exit(0)) if is_run else signal.SIG_DFL
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not a background job's
        signal.signal(signal.SIGINT, handler)
    if is_run:
        signal.signal(signal.SIGTERM, handler)
    from daemon import cli

    cli.main()
