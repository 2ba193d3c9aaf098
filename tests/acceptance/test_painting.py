"""A photograph that is dropped comes out painted, by the real network and with its whole story."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from daemon.job import State
from daemon.pictures.note import read_note
from daemon.worker.timelapse import MOST_BYTES
from tests.support.atelier import (
    ENDLESS_STEPS,
    Service,
    Studio,
    decoded,
    encoded,
    photograph,
    wait_for,
)
from tests.support.record import RECORD_FIELDS
from tests.support.style import why_not_painted

PHOTOGRAPH_PX = (256, 192)
SIZE_PX, STEPS = (96, 72), 30
DROPPED = encoded(photograph(PHOTOGRAPH_PX), quality=92)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    studio = Studio(tmp_path_factory.mktemp("shop"))
    studio.add_preset("stripes", size=SIZE_PX[0], steps=STEPS)
    # Raw losses fall for a long time; relative ones have hardly fallen any more after seconds.
    studio.add_preset("endless", steps=ENDLESS_STEPS, size=128, normalise="raw")
    return studio


@pytest.fixture(scope="module")
def service(shop: Studio) -> Iterator[Service]:
    """One service for every test here; it must still be up when the last one is done."""
    with shop.service() as running:
        yield running
        assert "stumbled" not in running.log
        assert running.stop() == 0


@pytest.fixture(scope="module")
def painted(shop: Studio, service: Service) -> Path:
    """The result of a photograph that was dropped as a file of its own."""
    shop.drop("stripes/astronaut.jpg", DROPPED)
    return shop.published("stripes", "astronaut.jpg")


@pytest.fixture(scope="module")
def style(shop: Studio) -> Image.Image:
    return decoded((shop.presets / "stripes.png").read_bytes())


def test_dropped_photograph_appears_painted(painted: Path, style: Image.Image) -> None:
    with Image.open(painted) as result:
        assert (result.format, result.size) == ("JPEG", SIZE_PX)
        assert not why_not_painted(result, photograph(PHOTOGRAPH_PX), style)


@pytest.mark.parametrize("quality", [95, 50, 10])
def test_copy_that_was_only_encoded_anew_does_not_pass_for_painted(
    style: Image.Image, quality: int
) -> None:
    copy = decoded(encoded(photograph(SIZE_PX), quality=quality))
    assert "its style is" in why_not_painted(copy, photograph(PHOTOGRAPH_PX), style)


def test_photograph_under_its_style_image_does_not_pass_for_painted(style: Image.Image) -> None:
    under = Image.blend(photograph(SIZE_PX), style.resize(SIZE_PX), 0.5)
    assert "its style is" in why_not_painted(under, photograph(PHOTOGRAPH_PX), style)


def test_record_tells_the_whole_story(shop: Studio, painted: Path) -> None:
    record = shop.record("stripes/.jobs/astronaut.jpg.json")
    filed = shop.outbox / record["outputs"]["original"]
    wait_for("the original", filed.exists)  # it comes after the result
    original = filed.read_bytes()
    assert set(record) == RECORD_FIELDS | {"judge", "course", "threads"}
    assert record["judge"]["change"] > 0.01 and record["judge"]["finite"]
    assert (record["schema"], record["state"], record["starts"]) == (1, "done", 1)
    assert record["picture"]["name"] == "astronaut.jpg"
    assert record["picture"]["sha256"] == hashlib.sha256(original).hexdigest()
    assert record["picture"]["bytes"] == len(original)
    assert (record["picture"]["width_px"], record["picture"]["height_px"]) == PHOTOGRAPH_PX
    assert record["recipe"]["steps"] == STEPS
    assert [style["name"] for style in record["styles"]] == ["stripes.png"]
    assert record["device"] == "cpu" and record["dtype"] in ("float32", "bfloat16")
    (only,) = record["passes"]
    assert (only["width_px"], only["height_px"], only["steps"]) == (*SIZE_PX, STEPS)
    assert set(only["loss"]) == {"total", "content", "style"}
    assert record["last_loss"]["total"] < record["first_loss"]["total"]
    assert record["queued_at"] <= record["started_at"] <= record["finished_at"]
    assert record["finished_at"].endswith("Z")
    assert record["peak_memory_bytes"] > 0 and record["seconds"] > 0
    assert (record["warnings"], record["reason"]) == ([], None)


def test_picture_is_painted_like_a_result_and_filmed_meanwhile(shop: Studio, painted: Path) -> None:
    wait_for("it to be filed", lambda: not shop.unfiled(), seen=shop.seen)
    sidecar = "like: stripes/astronaut.jpg\nsteps: 6\ntimelapse: true\n"
    (shop.inbox / "endless").mkdir(exist_ok=True)
    (shop.inbox / "endless/again.yaml").write_text(sidecar)
    shop.drop("endless/again.jpg", DROPPED)
    result = shop.published("stripes", "again.jpg")
    first, record = (
        shop.record(f"stripes/.jobs/{name}.jpg.json") for name in ("astronaut", "again")
    )
    assert record["recipe"] == first["recipe"] | {"steps": 6, "timelapse": True}
    assert record["styles"] == first["styles"] and decoded(result.read_bytes()).size == SIZE_PX
    film = shop.outbox / record["outputs"]["timelapse"]
    assert film == shop.outbox / "stripes/.jobs/again.jpg.webp"
    assert film.stat().st_size <= MOST_BYTES
    with Image.open(film) as frames:
        assert (frames.format, frames.size) == ("WEBP", SIZE_PX)
        assert 3 <= frames.n_frames <= 7  # six steps, those that are alike joined, and the result


def test_every_output_of_the_record_exists(shop: Studio, painted: Path) -> None:
    outputs = shop.record("stripes/.jobs/astronaut.jpg.json")["outputs"]
    assert set(outputs) == {"result", "record", "log", "original"}
    wait_for("all outputs", lambda: all((shop.outbox / path).exists() for path in outputs.values()))


def test_log_of_the_job_lies_beside_its_record(shop: Studio, painted: Path) -> None:
    log = (shop.outbox / "stripes/.jobs/astronaut.jpg.log").read_text()
    for promised in ("queued for stripes", "start 1", f"step 1/{STEPS}", "total", "painted in"):
        assert promised in log


def test_original_is_filed_unchanged(shop: Studio, painted: Path) -> None:
    original = shop.outbox / "originals/stripes/astronaut.jpg"
    wait_for("the original", original.exists)
    assert original.read_bytes() == DROPPED
    assert not (shop.inbox / "stripes/astronaut.jpg").exists()


def test_result_carries_a_note_that_leads_back_to_its_job(shop: Studio, painted: Path) -> None:
    record = shop.record("stripes/.jobs/astronaut.jpg.json")
    note = read_note(painted)
    assert note is not None
    assert (note["id"], note["preset"]) == (record["id"], "stripes")
    assert note["recipe"] == record["recipe"]
    assert note["weights"] == record["weights"]


def test_nothing_half_written_stays_in_the_outbox(shop: Studio, painted: Path) -> None:
    assert not [path for path in shop.files(shop.outbox) if path.endswith(".tmp")]


def test_too_narrow_for_its_size_fails_before_any_step(shop: Studio, service: Service) -> None:
    shop.drop("stripes/strip.png", encoded(Image.new("RGB", (900, 20), "red"), "PNG"))
    assert "both sides must be at least 16 px" in shop.failure("stripes", "strip.png")


# Meanwhile


@pytest.fixture
def endless(shop: Studio, service: Service) -> Iterator[str]:
    """The id of a job that runs until somebody stops it, in the middle of its steps."""
    shop.drop("endless/long.jpg", encoded(photograph((160, 120))))
    job = wait_for("the job to start", lambda: shop.job_of("long.jpg", State.RUNNING))
    wait_for("its steps", lambda: service.step(job.id))
    yield job.id
    shop.run("cancel", job.id)
    wait_for("its picture to be filed", lambda: not shop.unfiled("long.jpg"))


def test_running_job_can_be_followed_and_looked_at_until_it_is_cancelled(
    shop: Studio, service: Service, endless: str
) -> None:
    def preview() -> str | None:
        return next((one["preview"] for one in service.live()["running"]), None)

    shown = wait_for("a preview", preview)
    with Image.open(shown) as image:
        image.load()
        assert (image.format, max(image.size)) == ("JPEG", 128)
    (row,) = shop.status()["running"]
    assert (row["id"], row["picture"], row["preset"]) == (endless, "endless/long.jpg", "endless")
    assert row["preview"] == shown
    assert 0 < row["step"] < row["steps"] == ENDLESS_STEPS
    assert row["total"] > 0 and row["content"] >= 0 and row["style"] > 0
    assert row["eta_s"] > 1
    text = shop.run("status").stdout
    assert endless[:8] in text and f"/{ENDLESS_STEPS}" in text and "loss" in text
    assert shop.run("cancel", endless).returncode == 0
    wait_for("its end", lambda: not Path(shown).exists())
