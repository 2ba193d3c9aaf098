"""The command `atelierd`, before anything of it is loaded: whoever stops it then gets no trace."""

import os
import signal
import sys


def main() -> None:
    """Loads the commands and obeys one of them.

    `run` or `node` that is stopped meanwhile ends with 0, as it does afterwards, and any other
    command as shells expect it.
    """
    is_daemon = sys.argv[1:2] in (["run"], ["node"])
    handler = (lambda *_: os._exit(0)) if is_daemon else signal.SIG_DFL
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not a background job's
        signal.signal(signal.SIGINT, handler)
    if is_daemon:
        signal.signal(signal.SIGTERM, handler)
    from daemon import cli

    cli.main()
