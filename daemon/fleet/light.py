"""Light checkpoints: a painting on its way without the optimiser's vectors, which are most of it."""

from pathlib import Path


def cut_light(checkpoint: Path, to: Path) -> None:
    """Writes what of a checkpoint a painting can go on from elsewhere, durably, in place of `to`.

    Kept are the picture, the best one, its loss, and the facts, which say that it is light. Takes
    no memory to speak of, however large the picture.  Raises OSError, and CheckpointError for a
    file that is no checkpoint.
    """
    raise NotImplementedError
