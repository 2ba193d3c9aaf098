"""What a machine gives to painting, in config.yaml and node.yaml alike."""

import re
from typing import Annotated, Literal, Protocol

from pydantic import BeforeValidator, ByteSize, Field

from daemon.settings import yamlfile
from daemon.settings.yamlfile import Section

BYTES = re.compile(r"\s*\d*\.?\d+\s*[A-Za-z]*\s*", re.ASCII)
DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def check_devices(value: object) -> object:
    """Raises ValueError unless every device could exist."""
    if value == "auto":
        return value
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(DEVICE.fullmatch(str(n)) for n in names):
        raise ValueError(
            "must be auto, cpu, cuda or a list such as [cuda:0, cuda:1], not "
            f"{yamlfile.shortened(value)}"
        )
    if len(set(names)) != len(names):
        raise ValueError("names a device twice; `per_device` says how many jobs run on each")
    return value


def check_bytes(value: object) -> object:
    """Raises ValueError for a text of which only the beginning is a size, such as a date."""
    if isinstance(value, str) and not BYTES.fullmatch(value):
        raise ValueError(f"must be a size such as 4GiB or 500MB, not {value!r}")
    return value


Bytes = Annotated[ByteSize, BeforeValidator(check_bytes)]
Memory = Literal["auto"] | Bytes
Threads = Literal["auto"] | Annotated[int, Field(ge=1, le=1024)]
PerDevice = Literal["auto"] | Annotated[int, Field(ge=1, le=16)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Granted(Protocol):
    """What config.yaml, or node.yaml, grants to painting on its machine."""

    @property
    def per_device(self) -> PerDevice: ...

    @property
    def memory(self) -> Memory: ...

    @property
    def threads(self) -> Threads: ...


class YieldRule(Section):
    """When a GPU is left to others: what other programs may take of its memory before that."""

    memory_used_by_others_over: Bytes
