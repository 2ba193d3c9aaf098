"""What is over: the done by day, the failed with their reasons, and a picture's own view."""

from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.host.bounded import NoAnswerError, within
from daemon.job import OVER, Job, State
from daemon.ledger.store import Ledger
from daemon.outbox.gallery.picture_view import view_of
from daemon.outbox.gallery.reading import read_json
from daemon.outbox.gallery.view import PictureLinks, ShownPicture
from daemon.outbox.record import make_record
from daemon.page.cards import by_day, card_of, name_of, result_px
from daemon.page.frame import show, zone_of
from daemon.page.jobs import FoundJob, find
from daemon.page.paging import paging_of
from daemon.page.scaling import TILE_PX, VIEW_PX
from daemon.page.site import Site, site_of
from daemon.pictures.small import size_within
from daemon.status.live import read_live

ANSWER_S = 3.0
DONE_PAGE, FAILED_PAGE = 120, 60


def done(request: Request) -> Response:
    """Every painting, the newest first."""
    site, preset = site_of(request), request.query_params.get("preset", "")
    days, presets, trouble = [], {}, ""
    paging = paging_of(request, 0, DONE_PAGE)
    try:
        with site.ledger() as ledger:
            presets = ledger.views.count_ended(State.DONE)
            total = presets.get(preset, 0) if preset else sum(presets.values())
            paging = paging_of(request, total, DONE_PAGE)
            jobs = ledger.views.ended(State.DONE, DONE_PAGE, paging.offset, preset)
            days = by_day(jobs, zone_of(site))
    except SurroundingsError as error:
        trouble = str(error)
    return show(
        request,
        "done.html",
        "Done",
        days=days,
        presets=presets,
        preset=preset,
        paging=paging,
        trouble=trouble,
        outbox=files.printable(site.config.outbox),
    )


def failed(request: Request) -> Response:
    """What failed or was cancelled, the newest first, with what to do."""
    site = site_of(request)
    rows: list[dict[str, Any]] = []
    paging, trouble = paging_of(request, 0, FAILED_PAGE), ""
    try:
        with site.ledger() as ledger:
            total = sum(ledger.views.count_ended(State.FAILED).values())
            paging = paging_of(request, total, FAILED_PAGE)
            jobs = ledger.views.ended(State.FAILED, FAILED_PAGE, paging.offset)
            rows = [failed_row(site, job) for job in jobs]
    except SurroundingsError as error:
        trouble = str(error)
    return show(request, "failed.html", "Failed", rows=rows, paging=paging, trouble=trouble)


def failed_row(site: Site, job: Job) -> dict[str, Any]:
    """A job that failed or was cancelled."""
    return {
        "job": job.id,
        "name": name_of(job),
        "preset": job.preset,
        "label": job.label,
        "state": str(job.state),
        "reason": files.printable(job.reason),
        "at": job.finished_at or "",
        "card": card_of(job),
    }


def picture(request: Request) -> Response:
    """A picture's own view, whatever has become of it so far."""
    site, found = site_of(request), find(request)
    if found.job.state not in OVER:
        return unfinished(request, site, found)
    with site.ledger() as ledger:
        newer, older = ledger.views.beside(found.job)
        sheet = other_cells(ledger, found.job)
    links = links_of(found, newer, older)
    tab = "Done" if found.job.state is State.DONE else "Failed"
    told = make_record(found.job, found.picture, found.job.outputs)
    record = {**told, "course": course_of(site, found.job)}
    view = view_of(record, links, zone_of(site))
    cells = [card_of(one) for one in sheet]
    return show(request, "picture_view.html", tab, view=view, cells=cells)


def course_of(site: Site, job: Job) -> Any:
    """The losses of a painting over its steps, which only its record in the outbox tells."""
    found: list[Any] = []

    def look() -> None:
        try:
            record = read_json(site.config.outbox / job.outputs.record)
        finally:
            site.lookers.release()
        found.append(record.get("course") if record else None)

    if job.outputs.record and site.lookers.acquire(blocking=False):
        with suppress(OSError, NoAnswerError):  # the outbox is away: all else is shown
            within(ANSWER_S, look)
    return found[0] if found else None


def unfinished(request: Request, site: Site, found: FoundJob) -> Response:
    """The view of a picture that waits, is painted now, or waits for approval."""
    job = found.job
    if job.state is State.AWAITING:
        return RedirectResponse(f"/proofs#job-{job.id}", 303)
    live = read_live(site.config.state) or {}
    at_work = next((one for one in live.get("running", []) if one["id"] == job.id), None)
    where = "/" if at_work is not None else "/queue"
    return RedirectResponse(f"{where}#job-{job.id}", 303)


def other_cells(ledger: Ledger, job: Job) -> list[Job]:
    """The other done jobs of a sweep, in their order."""
    if not job.label:
        return []
    jobs = ledger.jobs_of_picture(job.picture_id)
    return [
        one for one in jobs if one.label and one.preset == job.preset and one.state is State.DONE
    ]


def links_of(found: FoundJob, newer: Job | None, older: Job | None) -> PictureLinks:
    """The addresses of all that belongs to a picture."""
    job, outputs = found.job, found.job.outputs
    place = f"/job/{job.id}"
    photograph = (found.picture.width_px, found.picture.height_px)
    return PictureLinks(
        preset=f"/done?preset={job.preset}",
        result=f"{place}/result" if outputs.result else "",
        original=f"{place}/original",
        record=f"{place}/beside/record" if outputs.record else "",
        log=f"{place}/beside/log" if outputs.log else "",
        timelapse=f"{place}/beside/timelapse" if outputs.timelapse else "",
        newer=f"/job/{newer.id}" if newer else "",
        older=f"/job/{older.id}" if older else "",
        photograph=view_picture(job, "photograph", photograph),
        painting=view_picture(job, "painting", result_px(job)) if outputs.result else None,
    )


def view_picture(job: Job, which: str, size_px: tuple[int, int]) -> ShownPicture | None:
    """A picture in the size of a screen; None where it has no size."""
    if not all(size_px):
        return None
    return ShownPicture(f"/job/{job.id}/view/{which}", *size_within(*size_px, VIEW_PX))


def zoom(request: Request) -> Response:
    """The photograph and the painting side by side, pixel by pixel."""
    found = find(request)
    if found.job.state is not State.DONE:
        return RedirectResponse(f"/job/{found.job.id}", 303)
    width, height = result_px(found.job)
    before = found.picture.width_px, found.picture.height_px
    return show(
        request,
        "zoom.html",
        "Done",
        job=found.job.id,
        name=name_of(found.job),
        painting=(width, height),
        photograph=before,
        tile_px=TILE_PX,
    )
