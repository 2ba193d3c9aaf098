"""The job that an address names, and the files that belong to it: found by the ledger alone."""

import re
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request

from daemon.job import ClaimedPicture, Job, State
from daemon.page.site import Site, site_of
from daemon.state.spool import Spool

JOB_ID = re.compile(r"[0-9a-z-]{8,64}", re.ASCII)


@dataclass(frozen=True)
class FoundJob:
    """A job of the ledger and its picture."""

    job: Job
    picture: ClaimedPicture


def find(request: Request) -> FoundJob:
    """The job that a request's address names, by its whole id; 404 if there is none."""
    asked = request.path_params["job"]
    if not JOB_ID.fullmatch(asked):
        raise HTTPException(404, "there is no such job")
    with site_of(request).ledger() as ledger:
        matches = [job for job in ledger.jobs_by_prefix(asked) if job.id == asked]
        if not matches:
            raise HTTPException(404, "there is no such job")
        return FoundJob(matches[0], ledger.picture(matches[0].picture_id))


def photograph_of(site: Site, found: FoundJob) -> Path:
    """The photograph: the service's own copy while there is one, else where it was filed."""
    copy = Spool(site.config.state).picture(found.picture.id)
    if copy.exists() or not found.job.outputs.original:
        return copy
    return site.config.outbox / found.job.outputs.original


def painting_of(site: Site, found: FoundJob) -> Path | None:
    """The painting, or the proof of one that waits for approval; None while there is none."""
    job = found.job
    if job.state is State.AWAITING:
        return Spool(site.config.state).proof(job.id)
    return site.config.outbox / job.outputs.result if job.outputs.result else None
