"""Exit codes, and the errors of the service classed by consequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

MOST_TOLD = 20


class ExitCode(IntEnum):
    """What the command answers to the shell."""

    FINE = 0
    JOB_FAILED = 1
    USAGE = 2
    ALREADY_RUNNING = 75
    CONFIG = 78
    INTERRUPTED = 130


class AtelierError(Exception):
    """Anything reported on purpose; the message says what, which file, and what to do."""


class BadInputError(AtelierError):
    """What was dropped cannot be painted as it is: the job fails, and is never retried."""


class SurroundingsError(AtelierError):
    """Disk, folders or devices are broken: the queue waits, and no job is charged for it."""


class SeveralError(SurroundingsError):
    """Several troubles that one round met with; carries each."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        self.errors = tuple(errors)
        super().__init__(in_short([str(error) for error in self.errors], "; "))


class AlreadyRunningError(AtelierError):
    """Another service holds this state folder."""


class StoppedError(AtelierError):
    """Whoever started it has stopped it."""


class StaleJobError(AtelierError):
    """A transition did not apply: the job is no longer in the state, or owned by whom it says."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a YAML file: where (line from 1, dotted key path), what, and the cure."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class FaultsError(AtelierError):
    """A YAML file is wrong; carries every fault found, in order of lines, and tells the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.file, fault.line)))
        told = [str(fault) for fault in self.faults[:MOST_TOLD]]
        if len(self.faults) > len(told):
            told.append(f"and {len(self.faults) - len(told)} more faults; mend these first")
        super().__init__("\n".join(told))


class ConfigError(FaultsError):
    """The configuration is wrong: nothing starts."""


class PresetError(FaultsError, BadInputError):
    """A preset or a sidecar is wrong: the jobs that name it fail, the others go on."""


def in_short(texts: Sequence[str], between: str) -> str:
    """Many texts in one: the first of them, and how many more there are."""
    told = list(texts[:MOST_TOLD])
    if len(texts) > len(told):
        told.append(f"and {len(texts) - len(told)} more")
    return between.join(told)
