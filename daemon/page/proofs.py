"""Proofs that wait for somebody to decide: paint the full picture, another proof, or neither."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.job import Job, State
from daemon.ledger.store import Ledger
from daemon.outbox.gallery.amounts import size_in_words, time_in_words
from daemon.outbox.gallery.view import ShownPicture
from daemon.page.cards import name_of, result_px
from daemon.page.frame import show, zone_of
from daemon.page.paging import paging_of
from daemon.page.results import view_picture
from daemon.page.site import site_of
from daemon.status.report import in_words

PAGE = 20


@dataclass(frozen=True)
class ProofCard:
    """A proof that waits. full: what the full picture will be, in words."""

    job: str
    name: str
    preset: str
    label: str
    painted: str
    full: str
    beta: str
    photograph: ShownPicture | None
    proof: ShownPicture | None


def proofs(request: Request) -> Response:
    """The view of proofs."""
    site = site_of(request)
    cards: list[ProofCard] = []
    paging, trouble = paging_of(request, 0, PAGE), ""
    try:
        with site.ledger() as ledger:
            waiting = ledger.counts()[State.AWAITING]
            paging = paging_of(request, waiting, PAGE)
            jobs = ledger.views.awaiting(PAGE, paging.offset)
            cards = [proof_card(ledger, job, time_of(request, job)) for job in jobs]
    except SurroundingsError as error:
        trouble = str(error)
    return show(
        request,
        "proofs.html",
        "Proofs",
        cards=cards,
        paging=paging,
        trouble=trouble,
        folder=f"{files.printable(site.config.inbox)}/{site.config.inbox_folders.proof}",
    )


def time_of(request: Request, job: Job) -> str:
    """When a proof was painted, in words."""
    return time_in_words(job.finished_at or "", zone_of(site_of(request)))


def proof_card(ledger: Ledger, job: Job, painted: str) -> ProofCard:
    """One proof as the view shows it."""
    picture = ledger.find_picture(job.picture_id)
    size = (picture.width_px, picture.height_px) if picture else (0, 0)
    return ProofCard(
        job=job.id,
        name=name_of(job),
        preset=job.preset,
        label=files.printable(job.label),
        painted=painted,
        full=full_in_words(job),
        beta=f"{job.recipe.get('beta', 0):g}",
        photograph=view_picture(job, "photograph", size),
        proof=view_picture(job, "painting", result_px(job)),
    )


def full_in_words(job: Job) -> str:
    """What a proof foretells of its full picture."""
    full = job.outcome.full if job.outcome else None
    if full is None:
        return ""
    size = size_in_words(full.width_px, full.height_px)
    return f"{size}, about {in_words(full.seconds)}" if full.seconds is not None else size
