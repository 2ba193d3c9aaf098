"""SIGTERM whenever it comes."""

import random
from pathlib import Path

from tests.torture.terminations import terminate_often


def test_sigterm_at_random_moments_ends_in_time_and_loses_nothing(tmp_path: Path) -> None:
    """A few here; `python -m tests.torture.terminations` does fifty."""
    endings = terminate_often(tmp_path, 2, random.Random(5), longest_life_s=4.0, paints=False)
    assert [ending.code for ending in endings] == [0, 0], endings
