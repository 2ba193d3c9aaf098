"""What a check comes to: it returns what is well, and raises what is to be mended."""

from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec

from daemon.engine.errors import WeightsError
from daemon.errors import AtelierError
from daemon.host.access import explain
from daemon.status.report import Finding

Given = ParamSpec("Given")


class LackError(AtelierError):
    """What a check found wanting, and what to do about it."""


def found(
    what: str, check: Callable[Given, str], *given: Given.args, **named: Given.kwargs
) -> Finding:
    """Makes a finding of a check: what it returns, or what is wrong by what it raises."""
    try:
        return Finding(what, True, check(*given, **named))
    except (AtelierError, WeightsError, OSError) as error:
        return Finding(what, False, explain(error))


def tried(what: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds, and what keeps it from looking further, which is a finding too."""
    try:
        yield from check()
    except (AtelierError, OSError) as error:
        yield Finding(what, False, explain(error))
