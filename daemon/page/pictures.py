"""Pictures as answers, each by its job's id: previews, small versions, tiles, whole files."""

import contextlib
import hashlib
from functools import partial
from pathlib import Path

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from daemon.host import files
from daemon.job import State
from daemon.outbox.gallery import places
from daemon.page.jobs import FoundJob, find, painting_of, photograph_of
from daemon.page.scaling import SMALL_PX, VIEW_PX, ZoomTile
from daemon.page.sending import DAY, send_file
from daemon.page.site import Site, site_of
from daemon.state.spool import Spool

LONGEST = {"small": SMALL_PX, "view": VIEW_PX}
PHOTOGRAPH, PAINTING = BOTH = ("photograph", "painting")
BESIDE = ("record", "log", "timelapse")
MOST_LEVEL, MOST_TILE = 12, 4096


async def preview(request: Request) -> Response:
    """What a running painting looks like."""
    site, found = await asked(request)
    path = Spool(site.config.state).preview(found.job.id)
    return await send_file(request, site.state_readers, path)


async def smaller(request: Request) -> Response:
    """A small version of a job's photograph or painting, 480 or 1600 px long."""
    site, found = await asked(request)
    which, longest_px = request.path_params["which"], LONGEST.get(request.path_params["size"])
    if longest_px is None:
        raise HTTPException(404, "there is no such size")
    made_before = gallery_version(site, found, which, request.path_params["size"])
    if made_before is not None:
        with contextlib.suppress(FileNotFoundError):
            return await send_file(request, site.readers, made_before, cache=DAY)
    source = await source_of(site, found, which)
    key = f"{which}-{key_of(found, which)}"
    made = await to_thread.run_sync(
        partial(site.scaler.small, source, key, longest_px), limiter=site.makers
    )
    return await send_file(request, site.state_readers, made, cache=DAY)


def gallery_version(site: Site, found: FoundJob, which: str, size: str) -> Path | None:
    """The small version that the gallery keeps, whether it is there or not; None for what has none.

    A proof has none, and its job's id would name the full picture's.
    """
    if found.job.state is not State.DONE or which not in BOTH:
        return None
    key = found.job.id if which == PAINTING else found.picture.sha256
    below = places.thumbnail(key) if size == "small" else places.screen_size(key)
    return site.config.outbox / below if key else None


async def tile(request: Request) -> Response:
    """A tile of a job's photograph or painting."""
    site, found = await asked(request)
    which, place = request.path_params["which"], request.path_params
    wanted = ZoomTile(place["level"], place["x"], place["y"])
    if wanted.level > MOST_LEVEL or max(wanted.x, wanted.y) > MOST_TILE:
        raise HTTPException(404, "there is no such tile")
    source = await source_of(site, found, which)
    key = f"{which}-{key_of(found, which)}"
    made = await to_thread.run_sync(
        partial(site.scaler.tile, source, key, wanted), limiter=site.makers
    )
    return await send_file(request, site.state_readers, made, cache=DAY)


async def result(request: Request) -> Response:
    """The painting as it lies in the outbox: shown if a browser can."""
    site, found = await asked(request)
    path = painting_of(site, found)
    if path is None:
        raise HTTPException(404, "nothing was painted")
    return await send_file(request, site.readers, path)


async def original(request: Request) -> Response:
    """The photograph as it was dropped: saved, whatever it is."""
    site, found = await asked(request)
    path = await to_thread.run_sync(photograph_of, site, found)
    name = found.picture.path.name
    return await send_file(request, site.readers, path, name=name)


async def beside(request: Request) -> Response:
    """What lies beside a job's result: its record, its log, its time-lapse."""
    site, found = await asked(request)
    outputs = found.job.outputs
    kind = request.path_params["kind"]
    path = getattr(outputs, kind) if kind in BESIDE else ""
    if not path:
        raise HTTPException(404, "there is none of that")
    place = site.config.outbox / path
    name = "" if kind == "timelapse" else Path(path).name
    return await send_file(request, site.readers, place, name=name)


async def style(request: Request) -> Response:
    """A small version of a preset's style image."""
    site, place = site_of(request), request.path_params
    presets = await to_thread.run_sync(site.shelves.good)
    found = presets.get(place["preset"])
    if found is None or place["number"] >= len(found.styles):
        raise HTTPException(404, "there is no such style image")
    image = found.styles[place["number"]].path
    source = await site.readers.run(image.resolve, image)
    status = await site.readers.run(source.stat, image)
    told = f"{source}:{status.st_mtime_ns}:{status.st_size}".encode("utf-8", "surrogateescape")
    key = f"style-{hashlib.sha256(told).hexdigest()[:32]}"
    make = partial(site.scaler.small, source, key, SMALL_PX)
    made = await to_thread.run_sync(make, limiter=site.makers)
    return await send_file(request, site.state_readers, made)


async def asked(request: Request) -> tuple[Site, FoundJob]:
    """The site, and the job that the address names."""
    return site_of(request), await to_thread.run_sync(find, request)


async def source_of(site: Site, found: FoundJob, which: str) -> Path:
    """The file to make a small version of; 404 if there is none, and only if it answers."""
    if which not in BOTH:
        raise HTTPException(404, "there is no such picture")
    path = (
        await to_thread.run_sync(photograph_of, site, found)
        if which == PHOTOGRAPH
        else painting_of(site, found)
    )
    if path is None:
        raise HTTPException(404, "nothing was painted")
    if not await site.readers.run(partial(files.is_ordinary, path), path):
        raise FileNotFoundError(path)
    return path


def key_of(found: FoundJob, which: str) -> str:
    """What tells a picture from all others: several jobs have one photograph."""
    if which == PHOTOGRAPH:
        return found.picture.id
    # A proof is another picture than the result of the same job.
    done = found.job.outcome
    return f"{found.job.id}-{(done.result_sha256 if done else '')[:12]}"
