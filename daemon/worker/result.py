"""The result's file: refused before painting where it could not be written, and written after."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from daemon import __version__
from daemon.engine.pixels import Pixels
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass
from daemon.host import files
from daemon.messages import Event, LogLine, RunOrder
from daemon.pictures.form import OWN_PROFILES, JobRecipe, ResultForm
from daemon.pictures.formats import output_format
from daemon.pictures.limits import check_profile, check_result
from daemon.pictures.picture import Picture
from daemon.pictures.small import PAINTING, write_small
from daemon.pictures.write import write_picture


def painting_recipe(recipe: JobRecipe) -> Recipe:
    """What of a job's recipe is painted: a checkpoint does not depend on the result's form."""
    return Recipe(**{name: getattr(recipe, name) for name in Recipe.model_fields})


def result_name(order: RunOrder) -> str:
    """The name whose ending says the result's format."""
    return order.result_name or order.name


def check_writable(order: RunOrder, form: ResultForm, last: Pass) -> None:
    """Raises PictureError if a result of the last pass's size cannot be written as it is to be."""
    format_name = output_format(result_name(order))
    check_result(format_name, last.width_px, last.height_px)
    if form.profile not in OWN_PROFILES:
        check_profile(format_name, order.profiles[form.profile].read_bytes(), form.profile)


def write_result(
    order: RunOrder,
    pixels: NDArray[np.float32],
    picture: Picture,
    recipe: JobRecipe,
    account: Mapping[str, Any],
) -> tuple[str, ...]:
    """Writes the result, with what it was made of in it; returns what could not go along.

    account: what painting it told.  Nothing of the note differs when the same is painted again.
    """
    note: dict[str, Any] = {
        **order.note,
        "recipe": recipe.model_dump(),
        **made_with(order),
        **account,
        "version": __version__,
    }
    warnings: list[str] = []

    def fill(file: BinaryIO) -> None:
        name, form = result_name(order), located(recipe, order.profiles)
        warnings.extend(write_picture(file, pixels, name=name, like=picture, note=note, form=form))

    files.write_whole(order.result, fill, replace=True)
    return tuple(warnings)


def keep_small(
    order: RunOrder,
    name: str,
    pixels: Pixels,
    picture: Picture,
    tell: Callable[[Event], None],
) -> None:
    """Keeps small versions of photograph or painting, if they are asked for, for who looks at it.

    picture: whose transparency they have. Whatever goes wrong with them is told, and no more.
    A proof's painting has none: they would be there already when the full picture comes.
    """
    if order.small is None or (order.proof and name == PAINTING):
        return
    try:
        write_small(order.small, name, pixels, picture.alpha)
    except Exception as error:  # of drawing, too: the painting itself is well
        why = getattr(error, "strerror", None) or error
        tell(LogLine("WARNING", f"no small version of the {name}: {why}"))


def made_with(order: RunOrder) -> dict[str, Any]:
    """The files that a result was made with, by name and hash."""
    styles = [
        {"name": files.printable(one.name), "sha256": one.file.sha256, "weight": one.weight}
        | ({"region": one.region} if one.region else {})
        for one in order.styles
    ]
    profiles = [
        {"name": name, "sha256": files.sha256_of(path)} for name, path in order.profiles.items()
    ]
    made = {"styles": styles} | ({"profiles": profiles} if profiles else {})
    if (mask := order.mask) is None:
        return made
    sha256 = mask.file.sha256 or files.sha256_of(mask.file.path)
    name = files.printable(mask.name)
    return made | {"regions": {"name": name, "sha256": sha256, "own": mask.own}}


def located(form: JobRecipe, profiles: Mapping[str, Path]) -> JobRecipe:
    """The form with the path of its profile's file in the place of the file's name."""
    if form.profile in OWN_PROFILES:
        return form
    return form.model_copy(update={"profile": str(profiles[form.profile])})


def without_pixels(picture: Picture) -> Picture:
    """The picture with one value in the place of all: its size, alpha and notes are kept.

    What is painted takes hours and memory, and only writing asks for the rest.
    """
    nothing = np.broadcast_to(np.zeros((), picture.pixels.dtype), picture.pixels.shape)
    return dataclasses.replace(picture, pixels=nothing)
