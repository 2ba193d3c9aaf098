"""atelierd: a folder that paints. Drop a photograph in, find the picture in the outbox."""

import os
import sys

__version__ = "0.1.0"


def leave_working_directory(path: list[str], given: str) -> None:
    """Takes out of a search path what only PYTHONPATH's empty and relative entries put there.

    They mean the folder where one stands, and nobody's ./random.py is to be run. path: changed in
    place.  given: PYTHONPATH.
    """
    for entry in given.split(os.pathsep) if given else ():
        if not os.path.isabs(entry):  # noqa: PTH117  # nothing more is imported yet
            try:
                path.remove(os.path.abspath(entry))  # noqa: PTH100
            except (ValueError, OSError):  # it is not there, or the folder is gone
                continue


if not sys.flags.ignore_environment:  # before anything else of the package is imported
    leave_working_directory(sys.path, os.environ.get("PYTHONPATH", ""))
