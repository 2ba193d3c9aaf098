"""The machine's own time zone, as the C library tells it: whatever `TZ` or /etc/localtime say."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

ZONES = Path("/usr/share/zoneinfo")
MAGIC = b"TZif"
NAME, OFFSET = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)", r"[+-]?\d{1,3}(?::\d{1,2}){0,2}"
DAY = rf",(?:M\d{{1,2}}\.\d\.\d|J?\d{{1,3}})(?:/{OFFSET})?"
RULE = re.compile(rf"{NAME}{OFFSET}(?:{NAME}(?:{OFFSET})?(?:{DAY}{DAY})?)?")
"""Source: POSIX.1-2017, section 8.3, and tzset(3) for names in angle brackets."""

UNKNOWN_ZONE = (
    "TZ={} is not known and means UTC; name one of tzdata's such as Europe/Berlin, or set "
    "schedule: time_zone"
)


class MachineZone(tzinfo):
    """The zone that C programs of this process's environment live in; UTC where they know none."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else local(moment).utcoffset()

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else local(moment).tzname()

    def dst(self, moment: datetime | None) -> None:
        """Not told: nothing here needs it."""

    def fromutc(self, moment: datetime) -> datetime:
        """The clock at a moment whose fields are UTC's; fold tells the second of two like times."""
        shown = moment.replace(tzinfo=UTC).astimezone()
        wall = shown.replace(tzinfo=self)
        return wall if wall.utcoffset() == shown.utcoffset() else wall.replace(fold=1)

    def __repr__(self) -> str:
        return "the machine's time zone"


def local(moment: datetime) -> datetime:
    """A time of the machine's clock, with the offset from UTC that it then had."""
    return moment.replace(tzinfo=None).astimezone()


def machine_zone(environment: Mapping[str, str] = os.environ) -> tzinfo:
    """The zone of `TZ`, or the machine's. Never raises: what nobody knows is UTC, as for C.

    A name is looked for among Python's zones first: many a container's C library has none.
    """
    return named_zone(zone_variable(environment) or "") or MachineZone()


def unknown_zone(environment: Mapping[str, str] = os.environ) -> str | None:
    """What `TZ` says if nobody knows it, so that it means UTC; else None."""
    name = zone_variable(environment)
    if not name or named_zone(name) or RULE.fullmatch(name):
        return None
    try:
        with Path(environment.get("TZDIR") or ZONES, name).open("rb") as file:
            return None if file.read(len(MAGIC)) == MAGIC else name
    except (OSError, ValueError):
        return name


def zone_variable(environment: Mapping[str, str]) -> str | None:
    """What `TZ` says, without the colon that may stand before it; None where it is not set."""
    value = environment.get("TZ")
    return None if value is None else value.removeprefix(":")


def named_zone(name: str) -> ZoneInfo | None:
    """A zone of tzdata's by its name, such as Europe/Berlin; None if there is none."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a zone not found is a KeyError
        return None
