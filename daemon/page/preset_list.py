"""The presets: each with its style images, a sample, its fields and faults; and a new one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from daemon.errors import BadInputError, SurroundingsError
from daemon.host import files
from daemon.host.access import refusals
from daemon.job import Job, State
from daemon.outbox.gallery.recipe_words import fields_of, recipe_in_words
from daemon.outbox.gallery.view import Card, Fact
from daemon.page.cards import card_of
from daemon.page.drop import take_into
from daemon.page.dropping import DropWish
from daemon.page.frame import show
from daemon.page.site import Site, site_of
from daemon.page.uploads import checked_name
from daemon.settings.presets import NAME, Preset, Shelf, check_name
from daemon.settings.yamlfile import Document


@dataclass(frozen=True)
class PresetCard:
    """A preset as the view shows it. images: addresses of its style images, with their names."""

    name: str
    images: Sequence[tuple[str, str]]
    sentences: Sequence[str]
    fields: Sequence[Fact]
    sample: Card | None


def presets(request: Request) -> Response:
    """The view of the presets."""
    site = site_of(request)
    cards: list[PresetCard] = []
    faulty: list[tuple[str, list[str]]] = []
    trouble = ""
    try:
        shelf = site.shelves.read()
        samples = samples_of(site, shelf)
        cards = [preset_card(one, samples) for _, one in sorted(shelf.good.items())]
        faulty = [
            (files.printable(name), [str(fault) for fault in faults])
            for name, faults in sorted(shelf.faulty.items())
        ]
    except SurroundingsError as error:
        trouble = str(error)
    return show(
        request,
        "presets.html",
        "Presets",
        cards=cards,
        faulty=faulty,
        trouble=trouble,
        folder=files.printable(site.config.presets),
        may_add=site.page.presets,
        most_bytes=int(site.config.limits.picture_bytes),
    )


def samples_of(site: Site, shelf: Shelf) -> dict[str, Job]:
    """The newest painting of each preset; none where there is no ledger."""
    found: dict[str, Job] = {}
    try:
        with site.ledger() as ledger:
            for name in shelf.good:
                for job in ledger.views.ended(State.DONE, 1, 0, name):
                    found[name] = job
    except SurroundingsError:
        pass
    return found


def preset_card(preset: Preset, samples: dict[str, Job]) -> PresetCard:
    """One preset as the view shows it."""
    styles = [
        {"name": style.path.name, "weight": style.weight, "region": style.region}
        for style in preset.styles
    ]
    recipe = preset.recipe.model_dump()
    record = {"preset": preset.name, "recipe": recipe, "styles": styles}
    sample = samples.get(preset.name)
    return PresetCard(
        name=preset.name,
        images=[
            (f"/preset/{preset.name}/style/{number}", files.printable(style.path.name))
            for number, style in enumerate(preset.styles)
        ],
        sentences=recipe_in_words(record),
        fields=fields_of(recipe),
        sample=card_of(sample) if sample else None,
    )


async def add_preset(request: Request) -> Response:
    """Makes a preset of one picture, with the default recipe: its bytes are the body."""
    site = site_of(request)
    if not site.page.presets:
        raise HTTPException(403, "presets may not be made here (page: presets in config.yaml)")
    name = request.query_params.get("preset", "").strip()
    image = checked_name(request.query_params.get("name", ""))
    folders = site.config.inbox_folders
    target = site.config.presets / f"{name}{Path(image).suffix.lower()}"
    document = Document(name)
    if NAME.fullmatch(name):
        check_name(target, folders, document)
    if not NAME.fullmatch(name) or document.faults:
        why = document.faults[0].message if document.faults else "letters, digits, dots, _ and -"
        raise BadInputError(f"a preset cannot be called '{files.printable(name)}': {why}")
    shelf = await to_thread.run_sync(site.shelves.read)
    if shelf.known(name) is not None:
        raise BadInputError(f"there is a preset {name} already; choose another name")
    return await take_into(request, site, DropWish(name=image), partial(put_preset, target))


def put_preset(target: Path, name: str, upload: Path) -> str:
    """Moves a received picture into the presets folder; the name it has there."""
    with refusals(f"{target.name} could not be put into the presets folder"):
        try:
            files.move(upload, target)
        except FileExistsError as error:
            raise BadInputError(f"{target.name} is there already; choose another name") from error
    return target.name
