"""What is told of the full picture when its proof is painted."""

import numpy as np

from daemon.engine.engine import Engine, Style
from daemon.engine.paint import finish
from daemon.engine.pixels import Pixels, resize
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import plan_proof
from daemon.pictures.picture import Picture
from daemon.worker.account import foretell


def test_full_picture_of_a_proof_is_foretold_with_its_size_and_seconds(
    engine: Engine, photo: Pixels, starry: Style
) -> None:
    wide, recipe = resize(photo, 1000, 500), Recipe(size="original", steps=1)
    passes = plan_proof(recipe, 1000, 500)
    proof = finish(engine.paint(wide, [starry], recipe, passes=passes))
    assert proof.pixels.shape == (256, 512, 3)
    full = foretell(engine, Picture(np.zeros((500, 1000, 3), np.uint8)), recipe, proof, [30.0])
    assert (full.width_px, full.height_px) == (1000, 500)
    assert full.seconds is not None and full.seconds > 4 * 30  # four times the last pass's pixels
