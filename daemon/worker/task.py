"""The task of a run: what an order asks for, read and checked, before anything is painted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.engine.faces import Face
from daemon.engine.fit.plan import count_maps
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass, plan_passes, plan_proof
from daemon.host import files
from daemon.messages import Event, LogLine, RunOrder
from daemon.pictures.form import JobRecipe
from daemon.pictures.masks import RegionMasks
from daemon.pictures.picture import Picture
from daemon.pictures.read import read_picture
from daemon.worker.account import describe_faces
from daemon.worker.faces import find_faces
from daemon.worker.proof import ProofProfile, read_proof_profile
from daemon.worker.regions import read_regions
from daemon.worker.result import check_writable, painting_recipe


@dataclass(frozen=True, eq=False)
class Task:
    """All that an order asks for, but the style images.

    painting: what of the recipe is the engine's.  faces: None where they are not asked for.
    """

    recipe: JobRecipe
    painting: Recipe
    proof: ProofProfile | None
    picture: Picture
    passes: tuple[Pass, ...]
    masks: RegionMasks
    faces: tuple[Face, ...] | None

    @property
    def maps(self) -> int:
        """How many maps of weights it is painted with."""
        return count_maps(len(self.masks.levels), len(self.faces or ()))


def read_task(order: RunOrder, tell: Callable[[Event], None]) -> Task:
    """What an order asks for. Raises PictureError, and OSError."""
    recipe = JobRecipe(**order.recipe)
    painting = painting_recipe(recipe)
    proof = read_proof_profile(order, recipe)
    picture = read_file(order.picture.path, order.name, order.max_pixels)
    passes = tuple((plan_proof if order.proof else plan_passes)(painting, *picture.size))
    check_writable(order, recipe, passes[-1])
    masks = read_regions(order, picture.size)
    faces = look_for_faces(painting, picture, tell)
    return Task(recipe, painting, proof, picture, passes, masks, faces)


def look_for_faces(
    recipe: Recipe, picture: Picture, tell: Callable[[Event], None]
) -> tuple[Face, ...] | None:
    """The faces of a picture whose recipe asks for them; None where it does not."""
    if not recipe.faces:
        return None
    faces = find_faces(picture.pixels)
    tell(LogLine("INFO", describe_faces(faces)))
    return faces


def read_file(path: Path, name: str, max_pixels: int) -> Picture:
    """A picture, under a name that goes into messages, and these into JSON."""
    with path.open("rb") as file:
        return read_picture(file, files.printable(name), max_pixels)
