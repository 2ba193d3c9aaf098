"""Painting is paused: a file in the state folder says so, which outlives service and machine."""

from pathlib import Path

from daemon.host import files
from daemon.host.access import refusals, with_advice

PAUSE_FILE = "paused"
MOST_CHARACTERS = 80


def pause(state: Path, since: str) -> None:
    """Lets nothing run until `resume`; running jobs go on from their checkpoints then.

    Raises SurroundingsError if the state folder cannot be written.
    """
    with refusals(f"{state / PAUSE_FILE} cannot be written", words=with_advice):
        files.write_bytes(state / PAUSE_FILE, since.encode(), replace=True)


def resume(state: Path) -> bool:
    """Lets jobs run again; False if they were not kept from it. Raises SurroundingsError."""
    with refusals(f"{state / PAUSE_FILE} cannot be removed", words=with_advice):
        try:
            (state / PAUSE_FILE).unlink()
        except FileNotFoundError:
            return False
    return True


def paused_since(state: Path) -> str | None:
    """When painting was paused, None if it was not; what cannot be read is a pause all the same."""
    try:
        with (state / PAUSE_FILE).open(encoding="utf-8", errors="replace") as file:
            said = file.read(MOST_CHARACTERS).strip()
        return files.printable(said) or "unknown"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return "unknown"
