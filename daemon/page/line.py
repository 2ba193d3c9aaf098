"""What waits, in the order in which it will be painted, and when each will be done."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from daemon.errors import SurroundingsError
from daemon.job import BULK, Job
from daemon.ledger.store import Ledger
from daemon.outbox.gallery.view import Card
from daemon.page.cards import waiting_card
from daemon.page.frame import show
from daemon.page.now import forecasts
from daemon.page.paging import Paging, paging_of
from daemon.page.site import site_of
from daemon.status.report import gather, in_words

PAGE = 60
Pace = Sequence[tuple[str, int, float]]


@dataclass(frozen=True)
class WaitingRow:
    """A waiting job. eta: until it is done, in words; empty where nothing tells.

    runs_on: what it asks of a device, empty for nothing; lacks: none offers that now.
    above, below: the jobs before which it would stand, moved one up or down; None at the ends.
    """

    job: str
    card: Card
    label: str
    queue: str
    eta: str
    runs_on: str
    lacks: bool
    cancelled: bool
    above: str | None
    below: str | None
    is_first: bool
    is_last: bool


def queue(request: Request) -> Response:
    """The view of the queue."""
    site = site_of(request)
    report = gather(site.config)
    rows: list[WaitingRow] = []
    total = report["jobs"].get("ready", 0)
    paging = paging_of(request, total, PAGE)
    trouble = ""
    try:
        with site.ledger() as ledger:
            rows = list(rows_of(ledger, paging, report))
    except SurroundingsError as error:
        trouble = str(error)
    return show(
        request,
        "queue.html",
        "Queue",
        rows=rows,
        paging=paging,
        trouble=trouble,
        forecasts=list(forecasts(report)),
        running=len(report["running"]),
        service=report["service"]["running"],
    )


def rows_of(ledger: Ledger, paging: Paging, report: dict[str, Any]) -> Iterator[WaitingRow]:
    """One page of the queue, each job with the time until it is done."""
    before = max(0, paging.offset - 1)
    jobs = ledger.views.line(paging.size + 3, before)
    shown = jobs[paging.offset - before :][: paging.size]
    pace = ledger.views.pace()
    seconds = sum(running["eta_s"] or 0.0 for running in report["running"])
    seconds += seconds_before(ledger, paging.offset, pace) if pace else 0.0
    devices = max(1, len(report["service"]["devices"]))
    lacking = {one["runs_on"] for one in report["lacking"]}
    for job in shown:
        place, lacks = jobs.index(job), job.runs_on in lacking
        if pace and not lacks:
            seconds += estimate(job.preset, ledger.views.work(job.id), pace)
        above = neighbour(jobs, place - 1, job)
        after = neighbour(jobs, place + 1, job)
        further = neighbour(jobs, place + 2, job)
        yield WaitingRow(
            job=job.id,
            card=waiting_card(job, ledger.find_picture(job.picture_id)),
            label=job.label,
            queue="bulk" if job.priority <= BULK else "",
            eta=in_words(seconds / devices) if pace and not lacks else "",
            runs_on=job.runs_on,
            lacks=lacks,
            cancelled=job.cancel_requested,
            above=above.id if above else None,
            below=further.id if further else None,
            is_first=above is None,
            is_last=after is None,
        )


def neighbour(jobs: Sequence[Job], place: int, job: Job) -> Job | None:
    """The job at a place of the same line as another; None where there is none."""
    found = jobs[place] if 0 <= place < len(jobs) else None
    return found if found is not None and found.priority == job.priority else None


def seconds_before(ledger: Ledger, count: int, pace: Pace) -> float:
    """How long the first `count` jobs of the line take one after the other."""
    work = ledger.views.work_before(count)
    return sum(estimate(preset, amount, pace) for preset, amount in work.items())


def estimate(preset: str, work: int, pace: Pace) -> float:
    """Seconds that some work of a preset takes, by what was painted of late. pace: not empty."""
    own = [seconds / amount for name, amount, seconds in pace if name == preset]
    usual = own or [seconds / amount for _, amount, seconds in pace]
    return work * statistics.median(usual)
