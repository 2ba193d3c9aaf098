"""Trying: one picture in every preset, or a sweep of it, small, seen as it fills."""

import re
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.errors import BadInputError, SurroundingsError
from daemon.host import files
from daemon.job import OVER, ClaimedPicture, Job, State
from daemon.outbox.gallery.view import Card, ShownPicture, shape_of
from daemon.page.cards import card_of, waiting_card
from daemon.page.drop import preset_choices, uploads_folder
from daemon.page.dropping import DropWish, land, plan_landing
from daemon.page.frame import show
from daemon.page.site import site_of
from daemon.page.uploads import checked_name, received
from daemon.pictures.small import size_within
from daemon.settings.sweep import SweptRecipe
from daemon.status.live import read_live

TRY_PX = 256
MARK = re.compile(r"[0-9a-f]{12}")
FIELDS = (
    "beta",
    "style_scale",
    "match",
    "tv",
    "edges",
    "colors",
    "pooling",
    "statistics",
    "effort",
)
"""What people mostly sweep; all of them are fields of a recipe."""


def trial(request: Request) -> Response:
    """The view where a picture to try with is chosen."""
    site = site_of(request)
    presets, trouble = preset_choices(site)
    most = int(site.config.limits.picture_bytes)
    return show(
        request,
        "try.html",
        "Try",
        presets=presets,
        fields=FIELDS,
        trouble=trouble,
        most_bytes=most,
        size=TRY_PX,
    )


async def take_trial(request: Request) -> Response:
    """Takes the picture: its bytes are the body, and what to try stands in the address."""
    site = site_of(request)
    mark = secrets.token_hex(6)
    wish = await to_thread.run_sync(wish_of, request.query_params, mark)
    shelf = await to_thread.run_sync(site.shelves.read)
    landing = plan_landing(wish, site.config, shelf)
    put = partial(land, site.config, landing, wish.name)
    async with received(request, uploads_folder(site), site.uploads, wish.name) as upload:
        await to_thread.run_sync(put, upload)
    told = {"done": ["on its way"], "faults": [], "next": f"/try/{mark}"}
    return JSONResponse(told)


def wish_of(query: Mapping[str, str], mark: str) -> DropWish:
    """What is to be tried; the picture's name is marked, so that it is found again."""
    name = Path(checked_name(query.get("name", "")))
    stem = files.cut(name.stem, files.NAME_MAX_BYTES // 2)
    marked = f"{stem}-try-{mark}{name.suffix}"
    size = {"size": TRY_PX}
    if query.get("what") != "sweep":
        return DropWish(marked, every=True, fields=size)
    preset = query.get("sweep_preset", "")
    return DropWish(marked, (preset,), fields=size | {"sweep": sweep_of(query)})


def sweep_of(query: Mapping[str, str]) -> dict[str, list[Any]]:
    """The values of one field or two, as YAML has them; raises BadInputError."""
    found: dict[str, list[Any]] = {}
    for number in "12":
        name, text = query.get(f"field{number}", ""), query.get(f"values{number}", "").strip()
        if not name or not text:
            continue
        if name not in SweptRecipe.model_fields or name in found:
            raise BadInputError(f"{files.printable(name)} cannot be swept; choose another field")
        found[name] = [value_of(one) for one in text.split(",") if one.strip()][:64]
    if not found:
        raise BadInputError("give a field and its values, such as beta: 10, 30, 90")
    return found


def value_of(text: str) -> Any:
    """A number or a word, as YAML has it; everything else is the text itself."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text.strip()
    return value if isinstance(value, int | float | str) else text.strip()


def trial_result(request: Request) -> Response:
    """What a trial has come to so far."""
    site, mark = site_of(request), request.path_params["mark"]
    if not MARK.fullmatch(mark):
        raise HTTPException(404, "there is no such trial")
    picture, cards, left, trouble = None, [], 0, ""
    live = read_live(site.config.state) or {}
    running = {job["id"]: job for job in live.get("running", [])}
    try:
        with site.ledger() as ledger:
            found = ledger.views.named_pictures(f"-try-{mark}.", 1)
            if found:
                picture = found[0]
                jobs = ledger.jobs_of_picture(picture.id)
                left = sum(not is_over(job) for job in jobs)
                cards = [trial_card(job, picture, running.get(job.id)) for job in in_order(jobs)]
    except SurroundingsError as error:
        trouble = str(error)
    name = files.printable(picture.path.name).replace(f"-try-{mark}", "") if picture else ""
    return show(
        request, "try_result.html", "Try", name=name, cards=cards, left=left, trouble=trouble
    )


def is_over(job: Job) -> bool:
    """Whether nothing more comes of a job."""
    return job.state in (*OVER, State.RETRIED)


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """Jobs of a trial as they stand in it: a sweep's cells by their order, presets by name."""
    return sorted(jobs, key=lambda job: (job.preset, bool(job.label)))


def trial_card(job: Job, picture: ClaimedPicture, live: Mapping[str, Any] | None) -> Card:
    """One preset or cell of a trial: its painting, its preview, or that it waits."""
    name, url = job.label or job.preset, f"/job/{job.id}"
    if job.state is State.DONE:
        made = card_of(job)
        return Card(url, name, job.preset if job.label else "", made.state, made.shape, made.small)
    size = (picture.width_px, picture.height_px)
    if is_over(job):
        return Card(url, name, str(job.state), job.state, shape_of(*size), blank=str(job.state))
    if live is not None and live["preview"]:
        address = f"{url}/preview?step={live['step']}"
        shown = ShownPicture(address, *size_within(*size, TRY_PX))
        sub = f"step {live['step']} of {live['steps']}"
        return Card(url, name, sub, job.state, shape_of(*size), shown, badge="is painted")
    word = "is painted" if job.state is State.RUNNING else "waits"
    blank = waiting_card(job, picture)
    return Card(url, name, word, job.state, blank.shape, None, blank=word)
