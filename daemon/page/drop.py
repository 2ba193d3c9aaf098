"""The view where pictures are dropped on presets, and the address that takes them."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from daemon.errors import BadInputError, SurroundingsError
from daemon.host import files
from daemon.outbox.gallery.view import ShownPicture
from daemon.page.dropping import DropWish, land, plan_landing
from daemon.page.frame import show
from daemon.page.scaling import SMALL_PX
from daemon.page.site import Site, site_of
from daemon.page.uploads import checked_name, received
from daemon.settings.presets import Preset

MOST_PRESETS = 64
UPLOADS = "uploads"


def drop(request: Request) -> Response:
    """The view where pictures are dropped."""
    site = site_of(request)
    presets, trouble = preset_choices(site)
    most = int(site.config.limits.picture_bytes)
    return show(
        request,
        "drop.html",
        "Drop",
        presets=presets,
        chosen=request.query_params.getlist("preset"),
        trouble=trouble,
        most_bytes=most,
        has_night=bool(site.config.schedule.bulk),
    )


def preset_choices(site: Site) -> tuple[list[dict[str, Any]], str]:
    """The presets as they can be chosen, by name; without them, why they cannot be seen."""
    try:
        return [preset_choice(one) for _, one in sorted(site.shelves.good().items())], ""
    except SurroundingsError as error:
        return [], str(error)


def preset_choice(preset: Preset) -> dict[str, Any]:
    """A preset as it can be chosen: its name, its style image, its size and beta."""
    return {
        "name": preset.name,
        "image": ShownPicture(f"/preset/{preset.name}/style/0", SMALL_PX, SMALL_PX),
        "size": preset.recipe.size,
        "beta": f"{preset.recipe.beta:g}",
    }


async def take_drop(request: Request) -> Response:
    """Takes one picture: its bytes are the body, and what is asked for stands in the address."""
    site = site_of(request)
    wish = await to_thread.run_sync(wish_of, request)
    shelf = await to_thread.run_sync(site.shelves.read)
    landing = plan_landing(wish, site.config, shelf)
    return await take_into(request, site, wish, partial(land, site.config, landing))


async def take_into(request: Request, site: Site, wish: DropWish, put: Any) -> Response:
    """Receives a picture and puts it where it belongs."""
    folder = uploads_folder(site)
    async with received(request, folder, site.uploads, wish.name) as upload:
        # In time or not: a large file takes long to a share. Uploads are bounded in their number.
        name = await to_thread.run_sync(partial(put, wish.name, upload))
    shown = files.printable(name)
    return JSONResponse({"done": [f"{shown} lies in the inbox"], "faults": [], "name": shown})


def uploads_folder(site: Site) -> Path:
    """Where files lie while they are on their way."""
    return site.config.state / "page" / UPLOADS


def wish_of(request: Request) -> DropWish:
    """What is asked for with a picture; raises BadInputError for what is not understood."""
    query = request.query_params
    presets = list(dict.fromkeys(query.getlist("preset")))[:MOST_PRESETS]
    return DropWish(
        name=checked_name(query.get("name", "")),
        presets=presets,
        fields=fields_of(query),
        bulk=query.get("queue") == "bulk",
        proof=query.get("queue") == "proof",
    )


def fields_of(query: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the recipe that are asked for, as YAML has them; empty ones are left out."""
    found: dict[str, Any] = {}
    if size := query.get("size", "").strip():
        found["size"] = size if size == "original" else whole_number("size", size)
    if beta := query.get("beta", "").strip():
        found["beta"] = decimal_number("beta", beta)
    return found


def whole_number(what: str, text: str) -> int:
    """A whole number; raises BadInputError."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadInputError(f"{what} must be a whole number, not {files.printable(text[:20])}")
    return int(text)


def decimal_number(what: str, text: str) -> float:
    """A number; raises BadInputError."""
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        shown = files.printable(text[:20])
        raise BadInputError(f"{what} must be a number, not {shown}") from error
