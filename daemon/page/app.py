"""The page as an ASGI application: the table of its addresses, and what errors become."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from daemon.errors import AtelierError, BadInputError, StaleJobError
from daemon.page import changes, entry, pictures
from daemon.page.drop import drop, take_drop
from daemon.page.frame import show
from daemon.page.guard import Guard
from daemon.page.line import queue
from daemon.page.now import now
from daemon.page.preset_list import add_preset, presets
from daemon.page.proofs import proofs
from daemon.page.results import done, failed, picture, zoom
from daemon.page.scaling import Scaler
from daemon.page.sessions import Sessions, load_key
from daemon.page.shelf import Shelves
from daemon.page.site import Site, make_templates, static_files
from daemon.page.trial import take_trial, trial, trial_result
from daemon.page.uploads import UploadLimits
from daemon.page.watch import Watcher
from daemon.settings.config import Config
from daemon.settings.page import PageSettings, read_secrets

REST_S = 30.0
PAGE_FOLDER = "page"
GET, POST = ["GET"], ["POST"]

ROUTES = (
    Route("/", now, methods=GET),
    Route("/queue", queue, methods=GET),
    Route("/drop", drop, methods=GET),
    Route("/drop", take_drop, methods=POST),
    Route("/try", trial, methods=GET),
    Route("/try", take_trial, methods=POST),
    Route("/try/{mark}", trial_result, methods=GET),
    Route("/proofs", proofs, methods=GET),
    Route("/presets", presets, methods=GET),
    Route("/presets", add_preset, methods=POST),
    Route("/preset/{preset}/style/{number:int}", pictures.style, methods=GET),
    Route("/done", done, methods=GET),
    Route("/failed", failed, methods=GET),
    Route("/failed/retry", changes.retry_failed, methods=POST),
    Route("/pause", changes.pause_painting, methods=POST),
    Route("/resume", changes.resume_painting, methods=POST),
    Route("/job/{job}", picture, methods=GET),
    Route("/job/{job}/zoom", zoom, methods=GET),
    Route("/job/{job}/preview", pictures.preview, methods=GET),
    Route("/job/{job}/result", pictures.result, methods=GET),
    Route("/job/{job}/original", pictures.original, methods=GET),
    Route("/job/{job}/beside/{kind}", pictures.beside, methods=GET),
    Route("/job/{job}/tile/{which}/{level:int}/{x:int}/{y:int}", pictures.tile, methods=GET),
    Route("/job/{job}/{size}/{which}", pictures.smaller, methods=GET),
    Route("/job/{job}/do/{change}", changes.change_job, methods=POST),
    Route("/login", entry.login, methods=GET),
    Route("/login", entry.let_in, methods=POST),
    Route("/logout", entry.log_out, methods=POST),
    Route("/token", entry.token, methods=GET),
    Route("/news", entry.news, methods=GET),
    Route("/static/{name}", entry.static, methods=GET),
)


def make_site(config: Config, page: PageSettings) -> Site:
    """What the views work with; raises ConfigError for a secret that is none."""
    folder = config.state / PAGE_FOLDER
    return Site(
        config=config,
        page=page,
        sessions=Sessions(load_key(folder), read_secrets(page)),
        pages=make_templates(),
        watcher=Watcher(config),
        scaler=Scaler(
            folder / "cache",
            max_pixels=config.limits.picture_pixels,
            timeout_s=config.limits.decode_s,
            keep_bytes=int(config.limits.free_bytes),
        ),
        shelves=Shelves(config),
        uploads=UploadLimits(config.limits.picture_bytes, int(config.limits.free_bytes)),
    )


def make_app(site: Site) -> ASGIApp:
    """The application, behind its guard."""
    app = Starlette(
        routes=list(ROUTES),
        lifespan=living,
        exception_handlers={
            HTTPException: refused,
            AtelierError: troubled,
            FileNotFoundError: gone,
            Exception: stumbled,
        },
    )
    app.state.site = site
    app.state.static = static_files()
    return Guard(app, site.page, site.sessions)


@contextlib.asynccontextmanager
async def living(app: Starlette) -> AsyncIterator[None]:
    """Watches the service while the application is served."""
    site: Site = app.state.site
    tasks = [asyncio.create_task(site.watcher.run()), asyncio.create_task(resting(site.scaler))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        site.scaler.close()


async def resting(scaler: Scaler) -> None:
    """Lets the child that makes small pictures end when nobody needs it."""
    while True:
        await asyncio.sleep(REST_S)
        await asyncio.to_thread(scaler.rest)


def refused(request: Request, error: Exception) -> Response:
    """A view that is not there, or may not be had now."""
    assert isinstance(error, HTTPException)
    return fault(request, error.status_code, error.detail)


def troubled(request: Request, error: Exception) -> Response:
    """Surroundings that are broken, a picture that cannot be shown, a job that is gone."""
    status = 503
    if isinstance(error, BadInputError | StaleJobError):
        status = 422 if isinstance(error, BadInputError) else 404
    return fault(request, status, str(error))


def gone(request: Request, error: Exception) -> Response:
    """A file that was taken away."""
    return fault(request, 404, "the file is not there any more")


def stumbled(request: Request, error: Exception) -> Response:
    """A bug; its trace is in the log."""
    return fault(
        request, 500, "the page stumbled over a bug, which is in its log; the service goes on"
    )


def fault(request: Request, status: int, why: str) -> Response:
    """What is wrong: as a view for people, in a line for everything else."""
    if "text/html" in request.headers.get("accept", ""):
        return show(request, "fault.html", "", status, why=why)
    return PlainTextResponse(f"{why}\n", status)
