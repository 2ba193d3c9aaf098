"""Where a preset's or picture's jobs may be painted: the field `runs_on`."""

import re
from typing import Annotated

from pydantic import AfterValidator

from daemon.settings.yamlfile import shortened

RUNS_ON = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,62}(:[0-9]{1,3})?", re.ASCII)
"""A node's name, a tag, `cpu`, `cuda`, `local`, or a device of this machine such as `cuda:1`."""


def check_runs_on(value: str | None) -> str | None:
    """Raises ValueError unless a seat could offer it; None asks for nothing."""
    if value is not None and not RUNS_ON.fullmatch(value):
        raise ValueError(
            "must be one word: a node's name, a tag, cpu, cuda or local; or null for anywhere, not "
            f"{shortened(value)}"
        )
    return value


RunsOn = Annotated[str | None, AfterValidator(check_runs_on)]
