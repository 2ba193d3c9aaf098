"""Amounts and times in words. Pure."""

from datetime import UTC, datetime, tzinfo

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def seconds_in_words(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def bytes_in_words(count: float) -> str:
    """`940 bytes`, `310 kB`, `2.4 MB`, `1.2 GB`."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000 or unit == "GB":
            break
    return f"{count:.1f} {unit}" if count < 10 else f"{count:.0f} {unit}"


def size_in_words(width_px: int, height_px: int) -> str:
    """`3000 × 2000 px`, with the megapixels of what is large."""
    if not width_px or not height_px:
        return ""
    megapixels = width_px * height_px / 1e6
    large = f" ({megapixels:.0f} megapixels)" if megapixels >= 2 else ""
    return f"{width_px} × {height_px} px{large}"


def moment(told: str, zone: tzinfo) -> datetime | None:
    """A time of a record on a zone's clock; None where it is none."""
    try:
        found = datetime.fromisoformat(told)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(zone)
    except (ValueError, OverflowError):
        return None


def day_in_words(day: datetime) -> str:
    """`Thursday, 26 November 2026`; the same in every locale."""
    return f"{WEEKDAYS[day.weekday()]}, {day.day} {MONTHS[day.month - 1]} {day.year}"


def time_in_words(told: str, zone: tzinfo) -> str:
    """`26 November 2026, 19:42`; empty where none is told."""
    at = moment(told, zone)
    return f"{at.day} {MONTHS[at.month - 1]} {at.year}, {at:%H:%M}" if at else ""
