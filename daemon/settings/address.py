"""Where something of ours listens, as config.yaml says it."""

import ipaddress
import re
from dataclasses import dataclass

from daemon.settings import yamlfile

ADDRESS = re.compile(r"(\[(?P<six>[\w:.%]+)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>\d{1,5})", re.ASCII)


@dataclass(frozen=True)
class Address:
    """Where something listens; the host as a name or an IP address, without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine's own programs can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def to_address(value: object) -> Address | None:
    """An address from HOST:PORT, [IPv6]:PORT or :PORT, which is localhost's; null is None."""
    if value is None:
        return None
    match = ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise ValueError(
            f"must be HOST:PORT such as 127.0.0.1:9470, '[::1]:9470' in quotes, or :9470 for "
            f"localhost, with a port from 1 to 65535, not {yamlfile.shortened(value)}"
        )
    return Address(match["six"] or match["host"] or "localhost", int(match["port"]))
