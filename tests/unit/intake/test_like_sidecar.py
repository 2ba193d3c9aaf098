"""A sidecar that names a result: its job, and what becomes of it while the outbox is away."""

import errno
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from daemon import __version__
from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake.decode import Verdict, judge
from daemon.intake.round import Intake
from daemon.job import Job, State
from daemon.ledger.store import Ledger
from daemon.pictures.form import JobRecipe
from daemon.pictures.picture import Picture
from daemon.pictures.write import write_picture
from daemon.settings.config import Config
from daemon.state.spool import Spool
from tests.support.atelier import draw_style

SETTLE_S = 5.0


class Decoder:
    """Decodes here, where the service would ask a child."""

    def decode(self, path: Path, name: str) -> Verdict:
        return judge(str(path), name, 1_000_000)


@pytest.fixture
def ledger(config: Config) -> Iterator[Ledger]:
    found = Ledger(config.ledger_path)
    yield found
    found.close()


@pytest.fixture
def intake(config: Config, ledger: Ledger, photo_file: Callable[..., Path]) -> Intake:
    """An inbox with a picture whose sidecar names a result of a preset that is gone by now."""
    draw_style(config.presets / "ocean.png")
    note = {
        "preset": "wave",
        "recipe": JobRecipe(beta=80.0).model_dump(),
        "styles": [{"name": "wave.png", "weight": 2.0}],
        "version": __version__,
    }
    note["styles"][0]["sha256"] = files.sha256_of(config.presets / "ocean.png")
    pixels = np.zeros((32, 32, 3), np.uint8)
    (config.outbox / "wave").mkdir()
    with (config.outbox / "wave/night.jpg").open("wb+") as file:
        write_picture(file, pixels, name="a.jpg", like=Picture(pixels, format="PNG"), note=note)
    photo_file(config.inbox / "ocean/photo.jpg")
    (config.inbox / "ocean/photo.yaml").write_text("like: night.jpg\nsize: 64\n")
    return Intake(config, ledger, Decoder(), settle_s=SETTLE_S, give_up_s=60.0)  # type: ignore[arg-type]


def only_job(ledger: Ledger, state: State = State.READY) -> Job:
    (job,) = ledger.jobs_in(state)
    return job


def test_picture_is_queued_with_what_the_result_was_painted_with(
    config: Config, ledger: Ledger, intake: Intake
) -> None:
    intake.round(0.0)
    assert intake.round(SETTLE_S) == 1
    job = only_job(ledger)
    assert (job.preset, job.below) == ("wave", Path("photo.jpg"))
    assert job.recipe == JobRecipe(beta=80.0, size=64).model_dump()
    ((style),) = job.styles
    assert (style.name, style.weight) == ("wave.png", 2.0)
    assert Spool(config.state).style(style.sha256).is_file()


def test_result_that_is_not_there_fails_the_picture_with_what_to_write(
    config: Config, ledger: Ledger, intake: Intake
) -> None:
    (config.outbox / "wave/night.jpg").unlink()
    intake.round(0.0)
    intake.round(SETTLE_S)
    reason = only_job(ledger, State.PUBLISHING).reason
    assert "there is no night.jpg in the outbox; write PRESET/photo.jpg" in reason


def test_picture_waits_while_the_outbox_is_away(
    config: Config, ledger: Ledger, intake: Intake
) -> None:
    away = config.outbox.rename(config.outbox.with_name("away"))
    intake.round(0.0)
    with pytest.raises(SurroundingsError, match="outbox cannot be used"):
        intake.round(SETTLE_S)
    assert not ledger.jobs_in(State.READY) and not ledger.jobs_in(State.PUBLISHING)
    away.rename(config.outbox)
    assert intake.round(2 * SETTLE_S) == 1
    assert only_job(ledger).preset == "wave"


@pytest.mark.parametrize("name", ["night.jpg", "night.jpg.json"])
def test_picture_waits_while_the_outbox_answers_with_errors(
    config: Config, ledger: Ledger, intake: Intake, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    opened = files.open_ordinary

    def refuse(path: Path, flags: int = 0) -> io.BufferedReader:
        if path.name == name:
            raise OSError(errno.ESTALE, "Stale file handle", str(path))
        return opened(path, flags)

    intake.round(0.0)
    with monkeypatch.context() as stale:
        stale.setattr(files, "open_ordinary", refuse)
        with pytest.raises(SurroundingsError, match=f"{name} cannot be used: Stale file handle"):
            intake.round(SETTLE_S)
    assert not ledger.jobs_in(State.PUBLISHING)
    assert intake.round(2 * SETTLE_S) == 1
    assert only_job(ledger).preset == "wave"
