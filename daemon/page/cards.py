"""Jobs as cards of a view, with addresses by job: no path of a file is ever part of one."""

from collections.abc import Sequence
from datetime import tzinfo

from daemon.host import files
from daemon.job import ClaimedPicture, Job, State
from daemon.outbox.gallery.amounts import day_in_words, moment, seconds_in_words
from daemon.outbox.gallery.view import Card, Day, ShownPicture, shape_of
from daemon.page.scaling import SMALL_PX
from daemon.pictures.small import size_within

MOST_REASON = 160


def result_px(job: Job) -> tuple[int, int]:
    """Width and height of what was painted; zeros where nothing was."""
    passes = job.outcome.passes if job.outcome else ()
    return (passes[-1].width_px, passes[-1].height_px) if passes else (0, 0)


def name_of(job: Job) -> str:
    """A picture's name, as it can be shown."""
    return files.printable(job.below.name)


def small_of(job: Job, which: str, size_px: tuple[int, int]) -> ShownPicture:
    """The small version of a job's painting or photograph."""
    width, height = size_within(*size_px, SMALL_PX) if all(size_px) else (SMALL_PX, SMALL_PX)
    return ShownPicture(f"/job/{job.id}/small/{which}", width, height)


def card_of(job: Job) -> Card:
    """A job that is over as a card that leads to its picture's view."""
    url = f"/job/{job.id}"
    sub = " · ".join(filter(None, (job.preset, job.label, took(job))))
    if job.state is State.DONE:
        size = result_px(job)
        small = small_of(job, "painting", size)
        return Card(url, name_of(job), sub, job.state, shape_of(*size), small)
    reason = files.printable(job.reason)[:MOST_REASON]
    return Card(url, name_of(job), sub, job.state, "w13", None, blank=reason or str(job.state))


def took(job: Job) -> str:
    """How long a painting took, in words; empty where nothing was painted."""
    seconds = job.outcome.seconds if job.outcome else None
    return seconds_in_words(seconds) if seconds else ""


def waiting_card(job: Job, picture: ClaimedPicture | None) -> Card:
    """A job that is not over, shown by its photograph."""
    size = (picture.width_px, picture.height_px) if picture else (0, 0)
    small = small_of(job, "photograph", size) if all(size) else None
    return Card(f"/job/{job.id}", name_of(job), job.preset, job.state, shape_of(*size), small)


def by_day(jobs: Sequence[Job], zone: tzinfo) -> list[Day]:
    """Jobs that are over, newest first, by the day they ended on."""
    days: list[Day] = []
    for job in jobs:
        at = moment(job.finished_at or "", zone)
        date = at.date().isoformat() if at else ""
        title = day_in_words(at) if at else "Some day"
        if not days or days[-1].date != date:
            days.append(Day(date, title, []))
        days[-1] = Day(date, title, [*days[-1].cards, card_of(job)])
    return days
