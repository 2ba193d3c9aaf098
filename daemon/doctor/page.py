"""Whether the page can be served as config.yaml has it, and to whom."""

import socket
from collections.abc import Iterator

from daemon.errors import ConfigError
from daemon.settings.config import Config
from daemon.settings.page import read_secrets
from daemon.status.report import Finding

CONNECT_S = 2.0


def examine_page(config: Config) -> Iterator[Finding]:
    """Whether the files of its secrets are such, and whether anything answers at its address."""
    if (page := config.page) is None:
        return
    try:
        kind = " or ".join(key.removesuffix("_file") for key in read_secrets(page))
    except ConfigError as error:
        yield from (Finding("page", False, str(fault)) for fault in error.faults)
        return
    who = f"to who knows the {kind}" if kind else "to everybody on this machine"
    address = page.address
    try:
        with socket.create_connection((address.host, address.port), timeout=CONNECT_S):
            answers = "served"
    except OSError:
        answers = "nothing listens: start it with `atelierd page`, or its unit"
    yield Finding("page", True, f"{address}, {who}; {answers}")
