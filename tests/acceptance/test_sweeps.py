"""Sweeps and sheets, as a person who drops pictures finds them."""

import pytest
from PIL import Image

from daemon.job import State
from tests.support.atelier import Studio, wait_for

SWEEP = {"beta": [5, 20], "steps": [2, 3]}
SHEET = "swept/photo.sweep.jpg"
RESULTS = {
    f"swept/photo.sweep/photo.beta={beta} steps={steps}.jpg" for beta in (5, 20) for steps in (2, 3)
}


@pytest.fixture
def studio(studio: Studio) -> Studio:
    studio.add_preset("swept", sweep=SWEEP)
    return studio


def cells(studio: Studio) -> dict[str, str]:
    """The states on the sheet of the sweep, by label."""
    listing = studio.record("swept/.jobs/photo.sweep.sheet.json")
    return {label: cell["state"] for label, cell in listing["cells"].items()}


def test_sweep_and_picture_of_all_presets_that_are_killed_in_the_middle_end_with_their_sheets(
    studio: Studio,
) -> None:
    studio.drop("swept/photo.jpg")
    (studio.inbox / "all").mkdir()
    (studio.inbox / "all/b.jpg.yaml").write_text("steps: 4\n")
    studio.drop("all/b.jpg")
    with studio.service() as service:
        wait_for("a cell", lambda: studio.jobs(State.DONE), seen=studio.seen)
        service.kill()
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr
    assert studio.files(studio.outbox) == {
        *RESULTS,
        *(
            f"swept/photo.sweep/.jobs/{name[18:]}.{end}"
            for name in RESULTS
            for end in ("json", "log")
        ),
        SHEET,
        "swept/.jobs/photo.sweep.sheet.json",
        "originals/swept/photo.jpg",
        "all/b.presets.jpg",
        "all/.jobs/b.presets.sheet.json",
        *(f"{name}/b.jpg" for name in ("quick", "swept", "originals/quick", "originals/swept")),
        *(f"originals/{name}/b.jpg.yaml" for name in ("quick", "swept")),
        *(f"{name}/.jobs/b.jpg.{end}" for name in ("quick", "swept") for end in ("json", "log")),
    }
    assert {job.recipe["steps"] for job in studio.jobs() if job.below.name == "b.jpg"} == {4}
    assert set(cells(studio).values()) == {"done"} and len(cells(studio)) == 4
    with Image.open(studio.outbox / SHEET) as sheet:
        assert sheet.width == 1600
    record = studio.record("swept/photo.sweep/.jobs/photo.beta=20 steps=3.jpg.json")
    assert record["label"] == "beta 20, steps 3"
    assert (record["recipe"]["beta"], record["recipe"]["steps"]) == (20, 3)
    assert "sweep" not in record["recipe"]


def test_cell_that_was_cancelled_is_shown_so_and_painted_again_onto_the_sheet(
    studio: Studio,
) -> None:
    studio.run("pause")
    studio.drop("swept/photo.jpg")
    with studio.service():
        waiting = wait_for("the cells", lambda: studio.jobs(State.READY), seen=studio.seen)
        (cell,) = [job for job in waiting if job.label == "beta 5, steps 3"]
        assert studio.run("cancel", cell.id).returncode == 0
        wait_for("it to be cancelled", lambda: studio.jobs(State.CANCELLED), seen=studio.seen)
        assert studio.run("resume").returncode == 0
        wait_for("the sheet", (studio.outbox / SHEET).exists, seen=studio.seen)
        wait_for("all to be filed", lambda: not studio.unfiled(), seen=studio.seen)
    assert cells(studio)["beta 5, steps 3"] == "cancelled"
    first = (studio.outbox / SHEET).read_bytes()
    assert "(beta 5, steps 3): back in the inbox" in studio.run("retry", cell.id[:8]).stdout
    assert studio.run("run", "--once").returncode == 0
    assert set(cells(studio).values()) == {"done"}
    assert (studio.outbox / SHEET).read_bytes() != first
    assert len(studio.jobs(State.DONE)) == 4
    assert {name for name in studio.files(studio.outbox) if name.endswith(".jpg")} == {
        *RESULTS,
        SHEET,
        "originals/swept/photo.jpg",
    }
