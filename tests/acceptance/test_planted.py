"""Files dropped under the names of modules: none is run by any process of ours."""

import subprocess
from pathlib import Path

import pytest

from tests.support.atelier import COMMAND, Studio, environment, lend_timings
from tests.support.planted import plant, was_run


def run_in(studio: Studio, folder: Path, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    """A command typed in a folder."""
    lend_timings(studio.state / "engine")
    return subprocess.run(
        [COMMAND, "--config", studio.config_file, *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120.0,
        check=False,
    )


def test_file_that_is_dropped_is_never_run_though_one_stands_in_the_inbox(studio: Studio) -> None:
    studio.drop("quick/photo.jpg")
    for folder in (studio.inbox, studio.inbox / "quick"):
        plant(folder)
    done = run_in(studio, studio.inbox, "run", "--once")
    assert done.returncode == 0, done.stderr
    assert (studio.outbox / "quick" / "photo.jpg").exists()
    assert not was_run(studio.inbox) and not was_run(studio.inbox / "quick")


@pytest.mark.parametrize("words", [("stylize", "../photo.png", "--preset", "quick"), ("doctor",)])
def test_command_runs_nothing_of_the_folder_it_is_typed_in(
    studio: Studio, words: tuple[str, ...]
) -> None:
    here = studio.root / "here"
    plant(here)
    (studio.presets / "quick.png").rename(studio.root / "photo.png")
    (studio.presets / "quick.png").write_bytes((studio.root / "photo.png").read_bytes())
    run_in(studio, here, *words)
    assert not was_run(here)
    assert words[0] != "stylize" or (here / "photo-quick.png").exists()
