"""Rounds of the intake, with the clock as a number and decoding in this process."""

import contextlib
import errno
import itertools
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from PIL import Image

from daemon.engine.recipe import Recipe
from daemon.engine.schedule import plan_passes
from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake import admission, claim, observation, scan
from daemon.intake.decode import Verdict, judge
from daemon.intake.others import is_locked
from daemon.intake.owner import Owner, encode
from daemon.intake.round import Intake
from daemon.intake.scan import Scan, Signature
from daemon.job import BULK, ORDINARY, Job, State
from daemon.ledger.store import Ledger
from daemon.pictures.formats import output_format
from daemon.settings.config import Config
from daemon.state.claimed import CLAIMED_FOLDER, claimed_folder, claims, owner_file
from daemon.state.mounts import MOUNTS_FILE
from daemon.state.spool import Spool
from tests.support.profiles import cmyk_profile, grey_profile

SETTLE_S, GIVE_UP_S = 5.0, 60.0


class Decoder:
    """Decodes here, where the service would ask a child."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def decode(self, path: Path, name: str) -> Verdict:
        self.asked.append(name)
        return judge(str(path), name, 1_000_000)


@pytest.fixture
def config(config: Config) -> Config:
    """Settings, the folders they name, and one preset."""
    Image.new("RGB", (32, 32), "navy").save(config.presets / "wave.png")
    return config.model_copy(update={"sidecar_wait_s": 20.0})


@pytest.fixture
def ledger(config: Config) -> Iterator[Ledger]:
    found = Ledger(config.ledger_path)
    yield found
    found.close()


@pytest.fixture
def decoder() -> Decoder:
    return Decoder()


@pytest.fixture
def intake(config: Config, ledger: Ledger, decoder: Decoder) -> Intake:
    return Intake(config, ledger, decoder, settle_s=SETTLE_S, give_up_s=GIVE_UP_S)  # type: ignore[arg-type]


@pytest.fixture
def drop(config: Config, photo_file: Callable[..., Path]) -> Callable[..., Path]:
    """Drops a photograph in the inbox."""
    return lambda name="wave/photo.jpg": photo_file(config.inbox / name)


def queued(ledger: Ledger) -> list[Job]:
    return ledger.jobs_in(State.READY)


def failed(ledger: Ledger) -> list[Job]:
    return ledger.jobs_in(State.PUBLISHING)


def test_settled_picture_becomes_a_job_with_its_copy_in_the_spool(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    content = drop().read_bytes()
    assert intake.round(0.0) == 0 and intake.round(4.9) == 0
    assert intake.round(5.0) == 1
    (job,) = queued(ledger)
    assert (job.preset, job.below) == ("wave", Path("photo.jpg"))
    assert job.recipe["seed"] == 0 and job.styles[0].name == "wave.png"
    picture = ledger.picture(job.picture_id)
    assert (picture.width_px, picture.height_px, picture.bytes) == (64, 64, len(content))
    assert Spool(config.state).picture(picture.id).read_bytes() == content
    assert not (config.inbox / "wave/photo.jpg").exists()
    assert not intake.pending


def test_picture_that_is_still_growing_waits(ledger: Ledger, intake: Intake, drop) -> None:
    path = drop()
    intake.round(0.0)
    with path.open("ab") as file:
        file.write(b"more")
    assert intake.round(5.0) == 0
    assert intake.round(10.0) == 1


def test_cut_picture_waits_for_its_rest(
    ledger: Ledger, intake: Intake, decoder: Decoder, drop
) -> None:
    path = drop()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    intake.round(0.0)
    assert intake.round(5.0) == 0 and intake.pending
    path.write_bytes(whole)
    intake.round(6.0)
    assert intake.round(11.0) == 1
    assert len(queued(ledger)) == 1


def test_cut_picture_is_tried_less_and_less_often_and_then_fails(
    ledger: Ledger, intake: Intake, decoder: Decoder, drop
) -> None:
    path = drop()
    path.write_bytes(path.read_bytes()[:-100])
    tried = []
    for now_s in range(80):
        before = decoder.asked.count("photo.jpg")
        intake.round(float(now_s))
        tried += [now_s] * (decoder.asked.count("photo.jpg") - before)
    assert tried == [5, 10, 20, 40, 65]  # waits of 5, 10, 20, 40 s, and 60 s after the first
    (job,) = failed(ledger)
    assert "decoded to the end" in job.reason and job.preset == "wave"


def test_picture_that_can_never_be_painted_fails_at_once(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    Image.new("RGB", (8, 8)).save(drop("wave/tiny.png"))
    intake.round(0.0)
    assert intake.round(5.0) == 1
    assert "at least 16 px" in failed(ledger)[0].reason


def test_picture_without_a_suffix_is_painted_as_soon_as_others_are(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop().rename(config.inbox / "wave/IMG_1.JPG_large")
    (config.inbox / "wave/IMG_1.JPG_large.yaml").write_text("steps: 7\n")
    assert intake.round(0.0) == 0 and intake.pending
    assert intake.next_look_s(1.0) == 4.0
    assert intake.left == ["wave/IMG_1.JPG_large (in the inbox: it is still being written)"]
    assert intake.round(5.0) == 1
    (job,) = queued(ledger)
    assert (job.below, job.suffix) == (Path("IMG_1.JPG_large"), ".jpg")
    assert job.recipe["steps"] == 7 and not intake.pending


@pytest.mark.parametrize("name", ["logo.svg", "logo", "logo.jpg"])
def test_picture_that_is_not_painted_fails_with_its_format_and_what_to_do(
    config: Config, ledger: Ledger, intake: Intake, decoder: Decoder, drop, name: str
) -> None:
    (config.inbox / "wave").mkdir()
    (config.inbox / "wave" / name).write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg"/>')
    intake.round(0.0)
    assert intake.round(5.0) == 1
    (job,) = failed(ledger)
    assert job.reason.startswith(f"{name} is an SVG drawing") and "export it as PNG" in job.reason
    assert name not in decoder.asked and not intake.pending


def test_picture_that_only_its_name_tells_fails_with_what_to_do(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop().with_name("old.tga").write_bytes(bytes(100) + b"\1")
    intake.round(0.0)
    assert intake.round(5.0) == 2
    assert [job.reason for job in failed(ledger)] == [
        "old.tga is a TGA picture, as its name says; atelierd does not paint those: export it as "
        "PNG or TIFF and drop that"
    ]


def test_what_is_no_picture_stays_is_counted_and_keeps_nobody_waiting(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    for name, content in {"notes.txt": b"text", "IMG_1.MOV": b"\0\0\0\x14ftypqt  "}.items():
        (config.inbox / name).write_bytes(content)
    intake.round(0.0)
    assert intake.pending and intake.reports.foreign == ()
    intake.round(5.0)
    assert not intake.pending and intake.next_look_s(5.0) is None
    assert sorted(map(str, intake.reports.foreign)) == ["IMG_1.MOV", "notes.txt"]
    assert intake.reports.due(10_000.0) == ()
    assert sorted(path.name for path in config.inbox.iterdir() if path.is_file()) == [
        "IMG_1.MOV",
        "notes.txt",
    ]


def test_film_of_a_live_photo_does_not_share_its_pictures_sidecar(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop("wave/IMG_1.jpg")
    (config.inbox / "wave/IMG_1.MOV").write_bytes(b"\0\0\0\x14ftypqt  ")
    (config.inbox / "wave/IMG_1.yaml").write_text("steps: 7\n")
    intake.round(0.0)
    assert intake.round(5.0) == 1
    assert queued(ledger)[0].recipe["steps"] == 7
    assert not (config.inbox / "wave/IMG_1.yaml").exists()


def test_picture_that_would_come_out_too_narrow_fails_before_it_waits_for_its_turn(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    Image.new("RGB", (900, 20)).save(drop("wave/strip.png"))
    (config.inbox / "wave/strip.yaml").write_text("size: 512\n")
    intake.round(0.0)
    assert intake.round(5.0) == 1
    (job,) = failed(ledger)
    assert job.reason.startswith("strip.png: the picture is 900x20 px")
    assert "choose `size: 720` or more" in job.reason


@pytest.mark.parametrize(
    ("name", "said", "form"),
    [("wide.webp", "", "WEBP"), ("wide.png", "format: webp\n", "WEBP"), ("wide.jpg", "", None)],
)
def test_result_that_its_format_cannot_hold_fails_before_it_waits_for_its_turn(
    config: Config, ledger: Ledger, intake: Intake, drop, name: str, said: str, form: str | None
) -> None:
    Image.new("RGB", (2048, 32), "teal").save(drop(f"wave/{name}"))
    (config.inbox / "wave/wide.yaml").write_text(f"size: 16384\n{said}")
    intake.round(0.0)
    assert intake.round(5.0) == 1
    reasons = [job.reason for job in failed(ledger)]
    if form is None:
        assert reasons == [] and len(queued(ledger)) == 1
    else:
        (reason,) = reasons
        assert reason.startswith(f"{name}: a result of 16384x256 px cannot be written as {form}")
        assert "another `format`" in reason


@pytest.mark.parametrize(
    ("name", "said", "suffix"),
    [
        ("photo.jpg", "steps: 2\n", ".jpg"),
        ("photo.jpg", "format: tiff\n", ".tif"),
        ("photo.gif", "steps: 2\n", ".png"),
        ("photo.bmp", "profile: press.icc\n", ".tif"),
    ],
)
def test_job_knows_how_its_result_is_called(
    config: Config, ledger: Ledger, intake: Intake, drop, name: str, said: str, suffix: str
) -> None:
    (config.presets / "press.icc").write_bytes(cmyk_profile())
    Image.new("RGB", (64, 64), "teal").save(drop(f"wave/{name}"))
    (config.inbox / f"wave/{name}.yaml").write_text(said)
    intake.round(0.0)
    assert intake.round(5.0) == 1
    (job,) = queued(ledger)
    picture = ledger.picture(job.picture_id)
    assert (job.suffix, picture.bits) == (suffix, 8)
    assert output_format(f"a{Path(name).suffix}") == picture.format
    for profile in job.profiles:
        assert Spool(config.state).profile(profile.sha256).read_bytes() == cmyk_profile()
    assert [profile.name for profile in job.profiles] == ["press.icc"] * ("press" in said)


def test_sidecar_whose_profile_is_none_fails_its_picture_with_the_line(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop()
    (config.inbox / "wave/photo.yaml").write_text("steps: 2\nprofile: gone.icc\n")
    intake.round(0.0)
    assert intake.round(5.0) == 1
    (job,) = failed(ledger)
    assert "photo.yaml:2: profile: the profile" in job.reason and "is missing" in job.reason


def test_same_picture_with_another_profile_of_the_same_name_is_another_job(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    prints = set()
    for number, profile in enumerate((cmyk_profile(), grey_profile(), grey_profile())):
        (config.presets / "press.icc").write_bytes(profile)
        drop(f"wave/{number}.jpg")
        (config.inbox / f"wave/{number}.jpg.yaml").write_text("proof_profile: press.icc\n")
        intake.round(10.0 * number)
        intake.round(10.0 * number + 5.0)
        rows = ledger.database.connection.execute("SELECT fingerprint FROM job").fetchall()
        prints |= {row["fingerprint"] for row in rows}
    assert len(queued(ledger)) == 3 and len(prints) == 2


def test_file_over_the_limit_fails_without_being_decoded(
    config: Config, ledger: Ledger, decoder: Decoder, drop
) -> None:
    limits = config.limits.model_copy(update={"picture_bytes": 10})
    strict = config.model_copy(update={"limits": limits})
    intake = Intake(strict, ledger, decoder, settle_s=0.0, give_up_s=0.0)  # type: ignore[arg-type]
    drop()
    assert intake.round(0.0) == 1
    assert "the limit is 10" in failed(ledger)[0].reason and "photo.jpg" not in decoder.asked


def test_empty_file_is_not_waited_for(config: Config, intake: Intake) -> None:
    (config.inbox / "photo.jpg").touch()
    assert intake.round(0.0) == intake.round(100.0) == 0
    assert not intake.pending


def test_what_is_left_in_the_inbox_is_named_with_why(config: Config, intake: Intake, drop) -> None:
    (config.inbox / "empty.jpg").touch()
    (config.inbox / "note.yaml").write_text("steps: 3\n")
    drop("growing.jpg")
    intake.round(0.0)
    assert sorted(intake.left) == [
        "empty.jpg (in the inbox: it is empty)",
        "growing.jpg (in the inbox: it is still being written)",
    ]


def test_picture_that_waits_for_its_sidecar_is_waited_for_so_much_longer(
    config: Config, intake: Intake, drop
) -> None:
    drop("photo.jpg")
    intake.round(0.0)
    assert intake.patience_s == SETTLE_S
    intake.round(SETTLE_S)
    assert intake.patience_s == SETTLE_S + config.sidecar_wait_s


def test_sidecar_is_claimed_with_its_picture(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop("photo.jpg")
    (config.inbox / "photo.yaml").write_text("preset: wave\nsteps: 7\n")
    intake.round(0.0)
    assert intake.round(5.0) == 1
    (job,) = queued(ledger)
    assert (job.preset, job.recipe["steps"]) == ("wave", 7)
    assert not (config.inbox / "photo.yaml").exists()


def test_picture_outside_every_presets_folder_waits_for_a_sidecar(
    ledger: Ledger, intake: Intake, drop
) -> None:
    drop("photo.jpg")
    assert [intake.round(now_s) for now_s in (0.0, 5.0, 19.9, 20.0)] == [0, 0, 0, 1]
    assert "Drop it into one of these folders: wave." in failed(ledger)[0].reason


REGIONS = "styles: [{image: wave.png, region: red}, {image: sand.png, region: blue}]\n"


@pytest.fixture
def regions(config: Config) -> Path:
    """A preset `coast` that paints by regions; where a picture's mask belongs."""
    Image.new("RGB", (32, 32), "tan").save(config.presets / "sand.png")
    (config.presets / "coast.yaml").write_text(REGIONS)
    (config.inbox / "coast").mkdir()
    return config.inbox / "coast/photo.mask.png"


def draw_mask(path: Path) -> bytes:
    Image.new("RGB", (64, 64), "red").save(path)
    return path.read_bytes()


@pytest.mark.parametrize("comes_s", [-15, 0, 18])
def test_mask_before_with_or_after_its_picture_goes_along(
    config: Config, ledger: Ledger, intake: Intake, drop, regions: Path, comes_s: int
) -> None:
    intake.round(-40.0)
    content = b""
    for now_s in range(-30, 30):
        if now_s == comes_s:
            content = draw_mask(regions)
        if now_s == 0:
            drop("coast/photo.jpg")
        intake.round(float(now_s))
    (job,) = queued(ledger)
    assert job.mask is not None and (job.mask.name, job.mask.own) == ("photo.mask.png", True)
    assert [style.region for style in job.styles] == ["#ff0000", "#0000ff"]
    assert Spool(config.state).picture_mask(job.picture_id).read_bytes() == content
    assert not regions.exists() and not intake.pending
    Spool(config.state).sweep([job.id], [job.picture_id])
    assert Spool(config.state).picture_mask(job.picture_id).exists()
    Spool(config.state).sweep([], [])
    assert not Spool(config.state).picture_mask(job.picture_id).exists()


def test_picture_of_regions_whose_mask_does_not_come_fails_with_what_to_do(
    ledger: Ledger, intake: Intake, drop, regions: Path
) -> None:
    drop("coast/photo.jpg")
    assert [intake.round(now_s) for now_s in (0.0, 5.0, 19.9, 20.0)] == [0, 0, 0, 1]
    (job,) = failed(ledger)
    after = "with .mask.png after that (photo.jpg.mask.png)"
    for words in (after, "red (#ff0000) and blue (#0000ff)", "retry it"):
        assert words in job.reason


def test_picture_of_all_presets_has_its_mask_in_those_that_paint_by_regions(
    config: Config, ledger: Ledger, intake: Intake, drop, regions: Path
) -> None:
    Image.new("RGB", (32, 32), "navy").save(config.presets / "sea.png")
    drop("all/photo.jpg")
    draw_mask(config.inbox / "all/photo.mask.png")
    intake.round(0.0)
    intake.round(5.0)
    jobs = {job.preset: job for job in queued(ledger)}
    mask = jobs["coast"].mask
    assert mask is not None and mask.own and not jobs["coast"].warnings
    assert jobs["sea"].mask is None
    assert "The mask photo.mask.png is for presets with regions" in jobs["sea"].warnings[0]


def test_picture_of_all_presets_without_a_mask_is_painted_in_those_that_need_none(
    config: Config, ledger: Ledger, intake: Intake, drop, regions: Path
) -> None:
    (config.presets / "shore.yaml").write_text(f"{REGIONS}mask: thirds.png\n")
    draw_mask(config.presets / "thirds.png")
    Image.new("RGB", (32, 32), "navy").save(config.presets / "sea.png")
    drop("all/photo.jpg")
    assert [intake.round(now_s) for now_s in (0.0, 5.0, 19.9, 20.0)] == [0, 0, 0, 1]
    assert [(job.preset, bool(job.mask)) for job in queued(ledger)] == [
        ("sea", False),
        ("shore", True),
    ]
    (job,) = failed(ledger)
    assert job.preset == "coast" and "put a mask beside the picture" in job.reason


def test_mask_of_a_picture_is_a_strength_for_all_presets_where_none_has_regions(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    Image.new("RGB", (32, 32), "navy").save(config.presets / "sea.png")
    drop("all/photo.jpg")
    draw_mask(config.inbox / "all/photo.mask.png")
    intake.round(0.0)
    intake.round(5.0)
    assert [bool(job.mask and job.mask.own) for job in queued(ledger)] == [True, True]


def test_presets_mask_is_kept_by_its_content_and_waited_for_by_nobody(
    config: Config, ledger: Ledger, intake: Intake, drop, regions: Path
) -> None:
    content = draw_mask(config.presets / "thirds.png")
    (config.presets / "coast.yaml").write_text(f"{REGIONS}mask: thirds.png\n")
    drop("coast/photo.jpg")
    intake.round(0.0)
    (config.presets / "coast.yaml").touch()
    intake.round(5.0)
    intake.round(10.0)
    (job,) = queued(ledger)
    assert job.mask is not None and not job.mask.own
    assert Spool(config.state).mask(job.mask.sha256).read_bytes() == content


def test_same_picture_with_another_mask_is_another_result(
    config: Config, ledger: Ledger, intake: Intake, drop, regions: Path
) -> None:
    for number, colour in enumerate(("red", "red", "blue")):
        drop(f"coast/{number}.jpg")
        Image.new("RGB", (64, 64), colour).save(config.inbox / f"coast/{number}.mask.png")
    intake.round(0.0)
    intake.round(5.0)
    rows = ledger.database.connection.execute("SELECT fingerprint FROM job ORDER BY below")
    prints = [row["fingerprint"] for row in rows]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("name", ["photo.yaml", "photo.mask.png"])
def test_companion_that_may_not_be_read_keeps_its_picture_in_the_inbox(
    config: Config, ledger: Ledger, intake: Intake, drop, monkeypatch, name: str
) -> None:
    """In its claim nobody would find it to let it be read."""
    drop()
    drop("wave/second.jpg")
    (config.inbox / "wave" / name).write_bytes(b"beta: 7")
    monkeypatch.setattr("os.access", lambda path, _: Path(path).name != name)
    intake.round(0.0)
    with pytest.raises(SurroundingsError, match=f"{re.escape(name)} may not be read"):
        intake.round(SETTLE_S)
    assert [job.below.name for job in queued(ledger)] == ["second.jpg"]
    assert (config.inbox / "wave/photo.jpg").exists() and (config.inbox / "wave" / name).exists()


def test_mask_over_the_limit_fails_its_picture_and_is_not_copied(
    config: Config, ledger: Ledger, decoder: Decoder, drop, regions: Path
) -> None:
    size = drop("coast/photo.jpg").stat().st_size
    regions.write_bytes(bytes(size + 1))
    limits = config.limits.model_copy(update={"picture_bytes": size})
    strict = config.model_copy(update={"limits": limits})
    intake = Intake(strict, ledger, decoder, settle_s=0.0, give_up_s=0.0)  # type: ignore[arg-type]
    intake.round(0.0)
    intake.round(1.0)
    (job,) = failed(ledger)
    assert f"the mask photo.mask.png has {size + 1} bytes; the limit is {size}" in job.reason
    assert job.preset == "coast" and not Spool(config.state).picture_mask(job.picture_id).exists()


def test_sidecar_of_any_size_is_read_no_further_than_shows_that(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop()
    with (config.inbox / "wave/photo.yaml").open("wb") as file:
        file.truncate(1 << 40)  # which takes no room, and could not be read whole
    intake.round(0.0)
    intake.round(GIVE_UP_S)
    (job,) = failed(ledger)
    assert "photo.yaml" in job.reason and "is larger than 65536 bytes" in job.reason


def test_sidecar_that_is_still_written_is_waited_for(config: Config, intake: Intake, drop) -> None:
    drop()
    intake.round(0.0)
    (config.inbox / "wave/photo.yaml").write_text("steps: 7\n")
    intake.round(4.0)
    assert intake.round(5.0) == 0
    assert intake.round(9.0) == 1


def test_claim_that_a_crash_cut_off_is_ended(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    path = drop()
    ledger.add_picture("p1", Path("wave/photo.jpg"))
    claimed = config.inbox / ".claimed" / "p1" / "wave" / "photo.jpg"
    claimed.parent.mkdir(parents=True)
    path.rename(claimed)
    assert intake.round(0.0) == 1
    assert [job.picture_id for job in queued(ledger)] == ["p1"]


def test_claim_that_never_moved_its_picture_is_forgotten(
    ledger: Ledger, intake: Intake, drop
) -> None:
    drop()
    ledger.add_picture("p1", Path("wave/photo.jpg"))
    assert intake.round(0.0) == 0
    assert ledger.claiming() == []
    assert intake.round(5.0) == 1


def test_inbox_that_is_gone_is_trouble_of_the_surroundings(config: Config, intake: Intake) -> None:
    config.inbox.rmdir()
    with pytest.raises(SurroundingsError, match="inbox"):
        intake.round(0.0)


def test_next_look_is_no_later_than_a_file_can_be_settled(intake: Intake, drop) -> None:
    assert intake.next_look_s(0.0) is None
    drop()
    intake.round(0.0)
    assert intake.next_look_s(1.0) == 4.0


def test_picture_that_may_not_be_read_holds_no_other_up(
    config: Config, ledger: Ledger, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may read everything, so the answer of the system is given here in its place.
    drop("wave/first.jpg")
    drop("wave/second.jpg")
    monkeypatch.setattr("os.access", lambda path, _: Path(path).name != "first.jpg")
    intake.round(0.0)
    with pytest.raises(SurroundingsError, match="may not be read"):
        intake.round(SETTLE_S)
    assert [job.below.name for job in queued(ledger)] == ["second.jpg"]
    assert (config.inbox / "wave/first.jpg").exists()


def test_sidecar_of_two_pictures_serves_both(ledger: Ledger, intake: Intake, config, drop) -> None:
    drop("wave/photo.jpg")
    drop("wave/photo.png")
    (config.inbox / "wave/photo.yaml").write_text("beta: 7\n")
    intake.round(0.0)
    intake.round(SETTLE_S)
    assert [job.recipe["beta"] for job in queued(ledger)] == [7.0, 7.0]
    assert not (config.inbox / "wave/photo.yaml").exists()


def test_picture_is_claimed_with_all_of_its_companions(
    ledger: Ledger, intake: Intake, config, drop, masks
) -> None:
    drop("wave/photo.jpg")
    drop("wave/photo.mask.png")
    (config.inbox / "wave/photo.yaml").write_text("beta: 7\n")
    intake.round(0.0)
    assert intake.round(SETTLE_S) == 1
    (job,) = queued(ledger)
    picture = ledger.picture(job.picture_id)
    assert set(picture.companions) == {Path("wave/photo.mask.png"), Path("wave/photo.yaml")}
    folder = claimed_folder(config.inbox, picture.id)
    assert all((folder / path).is_file() for path in picture.companions)
    assert list((config.inbox / "wave").iterdir()) == [] and job.recipe["beta"] == 7.0


def test_picture_waits_for_a_companion_that_is_being_written(
    ledger: Ledger, intake: Intake, drop, masks
) -> None:
    drop("wave/photo.jpg")
    intake.round(0.0)
    mask = drop("wave/photo.mask.png")
    assert intake.round(SETTLE_S) == 0
    mask.write_bytes(mask.read_bytes() + b"more")
    assert intake.round(2 * SETTLE_S) == 0
    (wait,) = intake.reports.due(1000.0)
    assert wait.why == "waits for its mask photo.mask.png, which is unfinished"
    assert intake.round(3 * SETTLE_S) == 1


def test_companion_of_two_pictures_serves_both(
    ledger: Ledger, intake: Intake, config, drop, masks
) -> None:
    for name in ("wave/photo.jpg", "wave/photo.png", "wave/photo.mask.png"):
        drop(name)
    intake.round(0.0)
    assert intake.round(SETTLE_S) == 2
    for job in queued(ledger):
        (mask,) = ledger.picture(job.picture_id).companions
        assert (claimed_folder(config.inbox, job.picture_id) / mask).is_file()
    assert not (config.inbox / "wave/photo.mask.png").exists()


def test_picture_that_loses_a_companion_while_it_is_claimed_goes_back_with_the_others(
    ledger: Ledger, intake: Intake, config, drop, masks, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop("wave/photo.jpg")
    drop("wave/photo.mask.png")
    sidecar = config.inbox / "wave/photo.yaml"
    sidecar.write_text("beta: 7\n")
    taken = claim.take

    def losing(inbox: Path, picture_id: str, path: Path, **more: Any) -> bool:
        if path.name == "photo.mask.png":
            (inbox / path).unlink()
        return taken(inbox, picture_id, path, **more)

    intake.round(0.0)
    with monkeypatch.context() as losses:
        losses.setattr(claim, "take", losing)
        assert intake.round(SETTLE_S) == 0
    assert sidecar.exists() and (config.inbox / "wave/photo.jpg").exists()
    assert claims(config.inbox) == [] and ledger.claiming() == []
    intake.round(20.0)
    assert intake.round(20.0 + SETTLE_S) == 1


def test_picture_of_the_bulk_folder_is_the_same_job_behind_all_others(
    ledger: Ledger, intake: Intake, drop
) -> None:
    drop("bulk/wave/2024/night.jpg")
    drop("wave/day.jpg")
    intake.round(0.0)
    assert intake.round(5.0) == 2
    day, night = queued(ledger)
    assert (night.preset, night.below, night.priority) == ("wave", Path("2024/night.jpg"), BULK)
    assert (day.preset, day.below, day.priority) == ("wave", Path("day.jpg"), ORDINARY)
    work = {part.priority: part.work for part in ledger.views.waiting_work()}
    passes = plan_passes(Recipe(), 64, 64)
    expected = sum(one.width_px * one.height_px * one.steps for one in passes)
    assert work == {BULK: expected, ORDINARY: expected}


def fail_for(name: str, done: Callable[..., object], error: OSError) -> Callable[..., object]:
    """`done`, but for paths that end in `name`, which raise `error`."""

    def call(path: Path, *arguments: object, **more: object) -> object:
        if Path(path).name == name:
            raise error
        return done(path, *arguments, **more)

    return call


def test_claimed_picture_that_cannot_be_read_holds_no_other_up(
    ledger: Ledger, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop("wave/bad.jpg")
    intake.round(0.0)
    broken = fail_for("bad.jpg", claim.copy_hashing, OSError(errno.EIO, "Input/output error"))
    monkeypatch.setattr(claim, "copy_hashing", broken)
    with pytest.raises(SurroundingsError, match=r"bad.jpg cannot be copied"):
        intake.round(SETTLE_S)
    drop("wave/good.jpg")
    for now_s in (10.0, 10.0 + SETTLE_S):
        with pytest.raises(SurroundingsError, match=r"bad.jpg cannot be copied"):
            intake.round(now_s)
    assert [job.below.name for job in queued(ledger)] == ["good.jpg"]


def test_style_image_that_cannot_be_read_holds_no_other_presets_pictures_up(
    config: Config, ledger: Ledger, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (32, 32), "red").save(config.presets / "bad.png")
    keep = Spool.keep_style
    monkeypatch.setattr(
        Spool,
        "keep_style",
        lambda spool, path: fail_for(
            "bad.png", lambda path: keep(spool, path), OSError(errno.EIO, "Input/output error", "x")
        )(path),
    )
    drop("bad/a.jpg")
    drop("wave/b.jpg")
    intake.round(0.0)
    with pytest.raises(SurroundingsError, match="Input/output error"):
        intake.round(SETTLE_S)
    assert [job.below.name for job in queued(ledger)] == ["b.jpg"]


def test_picture_that_finds_no_room_holds_no_smaller_one_up(
    config: Config, ledger: Ledger, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop("wave/a.jpg")
    large = drop("wave/b.jpg")
    room = config.limits.free_bytes + large.stat().st_size + 100
    with large.open("ab") as file:
        file.write(bytes(200))
    usage = shutil.disk_usage(config.state)._replace(free=room)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    intake.round(0.0)
    with pytest.raises(SurroundingsError, match="nearly full"):
        intake.round(SETTLE_S)
    assert [job.below.name for job in queued(ledger)] == ["a.jpg"]


def test_empty_sidecar_is_waited_for_no_longer_than_a_cut_picture(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop("wave/photo.jpg")
    (config.inbox / "wave/photo.yaml").touch()
    assert [intake.round(now_s) for now_s in (0.0, SETTLE_S, GIVE_UP_S - 1)] == [0, 0, 0]
    assert intake.round(GIVE_UP_S) == 1
    assert [job.preset for job in queued(ledger)] == ["wave"]


def test_picture_that_is_given_back_keeps_its_sidecar_whenever_the_service_is_killed(
    config: Config,
    ledger: Ledger,
    decoder: Decoder,
    intake: Intake,
    drop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Killed(BaseException):
        pass

    def give_back(*arguments: object) -> None:
        done(*arguments)  # type: ignore[arg-type]
        raise Killed

    drop("photo.jpg")
    (config.inbox / "photo.yaml").write_text("preset: wave\n")
    done = claim.give_back
    with monkeypatch.context() as crash:
        crash.setattr(claim, "copy_hashing", lambda *_: None)  # it is being written to
        crash.setattr(claim, "give_back", give_back)
        intake.round(0.0)
        with pytest.raises(Killed):
            intake.round(SETTLE_S)
    again = Intake(config, ledger, decoder, settle_s=0.0, give_up_s=0.0)  # type: ignore[arg-type]
    for now_s in (0.0, 1.0, 100.0):
        again.round(now_s)
    assert [job.preset for job in ledger.jobs_in(State.READY)] == ["wave"]


def test_what_is_logged_of_a_picture_that_fails_is_logged_before_its_job_is_there(
    config: Config, intake: Intake, drop
) -> None:
    Image.new("RGB", (8, 8)).save(drop("wave/tiny.png"))
    delivery = Ledger(config.ledger_path)  # it publishes the log as soon as the job is there
    jobs_then: list[int] = []
    sink = logger.add(
        lambda message: jobs_then.append(len(failed(delivery))),
        filter=lambda record: "job" in record["extra"],
    )
    intake.round(0.0)
    intake.round(SETTLE_S)
    logger.remove(sink)
    assert jobs_then == [0] and len(failed(delivery)) == 1
    delivery.close()


def test_ledger_may_be_written_while_it_is_found_out_what_a_picture_becomes(
    config: Config, ledger: Ledger, decoder: Decoder, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Presets, masks and results to paint like may lie on a share that hangs.

    Which picture is at hand then is told.
    """
    kept, at = [], []
    intake = Intake(
        config, ledger, decoder, settle_s=SETTLE_S, give_up_s=GIVE_UP_S, on_picture=at.append
    )

    def keep(spool: Spool, source: Path, picture_id: str, real=Spool.keep_picture_mask) -> str:
        with contextlib.closing(sqlite3.connect(config.ledger_path, timeout=0.0)) as other:
            other.execute("BEGIN IMMEDIATE")
        kept.append((source.name, at[-1].name))
        return real(spool, source, picture_id)

    monkeypatch.setattr(Spool, "keep_picture_mask", keep)
    draw_mask(drop().with_suffix(".mask.png"))
    drop("wave/second.jpg")
    intake.round(0.0)
    assert intake.round(SETTLE_S) == 2 and kept == [("photo.mask.png", "photo.jpg")]
    assert len(queued(ledger)) == 2


def test_claim_is_on_the_disk_before_its_job_is(
    config: Config, ledger: Ledger, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a power cut leaves the picture in the inbox with its job in the ledger: painted twice.
    drop("wave/a.jpg")
    jobs_then: list[int] = []

    def sync_folder(folder: Path) -> None:
        if folder == config.inbox / "wave":
            assert not (folder / "a.jpg").exists()
            jobs_then.append(len(queued(ledger)))

    monkeypatch.setattr(files, "sync_folder", sync_folder)
    intake.round(0.0)
    intake.round(SETTLE_S)
    assert jobs_then == [0] and len(queued(ledger)) == 1


def test_closed_folder_is_told_of_once(
    intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    sink = logger.add(lambda line: told.append(line.record["message"]), level="WARNING")
    monkeypatch.setattr(scan, "scan", lambda inbox: Scan((), (), (), (), (Path("wave/secret"),)))
    for now_s in (0.0, 1.0):
        intake.round(now_s)
    logger.remove(sink)
    assert [line.partition(";")[0] for line in told] == ["wave/secret cannot be looked into"]


def test_each_picture_that_is_looked_at_and_copied_is_a_sign_of_life(
    config: Config, ledger: Ledger, decoder: Decoder, drop
) -> None:
    signs: list[int] = []
    intake = Intake(
        config,
        ledger,
        decoder,
        settle_s=0.0,
        give_up_s=0.0,  # type: ignore[arg-type]
        on_picture=lambda _: signs.append(1),
    )
    drop("wave/a.jpg")
    drop("wave/b.jpg")
    assert intake.round(0.0) == 2
    assert len(signs) == 7  # looked at, copied, made jobs of; and the presets folder


def test_shared_sidecar_stays_for_the_picture_that_could_not_take_its_copy(
    config: Config, ledger: Ledger, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop("wave/photo.jpg")
    drop("wave/photo.png")
    (config.inbox / "wave/photo.yaml").write_text("beta: 7\n")
    intake.round(0.0)
    with monkeypatch.context() as full:
        broken = fail_for("photo.yaml", claim.copy_hashing, OSError(errno.ENOSPC, "full"))
        full.setattr(claim, "copy_hashing", broken)
        with pytest.raises(SurroundingsError, match=r"photo.yaml cannot be claimed"):
            intake.round(SETTLE_S)
    for now_s in (10.0, 20.0):
        intake.round(now_s)
    assert [job.recipe["beta"] for job in queued(ledger)] == [7.0, 7.0]


def test_picture_whose_sidecar_vanishes_while_it_is_claimed_is_looked_at_anew(
    config: Config, ledger: Ledger, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another service has claimed it for a picture of its own.
    drop("wave/photo.jpg")
    sidecar = config.inbox / "wave/photo.yaml"
    sidecar.write_text("beta: 7\n")
    intake.round(0.0)
    take = claim.take

    def taken_away(inbox: Path, picture_id: str, path: Path, **more) -> bool:
        if path.suffix == ".yaml":
            sidecar.unlink()
        return take(inbox, picture_id, path, **more)

    with monkeypatch.context() as other:
        other.setattr(claim, "take", taken_away)
        assert intake.round(SETTLE_S) == 0
    assert queued(ledger) == [] and ledger.claiming() == [] and claims(config.inbox) == []
    sidecar.write_text("beta: 8\n")
    for now_s in (6.0, 12.0):
        intake.round(now_s)
    assert [job.recipe["beta"] for job in queued(ledger)] == [8.0]


def test_half_done_claim_whose_sidecar_is_gone_is_given_back(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    path = drop("wave/photo.jpg")
    ledger.add_picture("p1", Path("wave/photo.jpg"), [Path("wave/photo.yaml")])
    claim.take(config.inbox, "p1", Path("wave/photo.jpg"))
    assert intake.round(0.0) == 0
    assert path.exists() and ledger.claiming() == []


def test_what_was_filed_while_the_inbox_was_unmounted_is_cleared_when_it_is_back(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop()
    intake.round(0.0)
    intake.round(SETTLE_S)
    (job,) = queued(ledger)
    mounts = config.state / MOUNTS_FILE
    mounts.write_text(json.dumps({str(config.inbox): str(config.inbox)}))
    with pytest.raises(SurroundingsError, match="nothing is mounted"):
        intake.round(10.0)
    ledger.request_cancel(job.id)  # its picture is filed by its copy meanwhile
    ledger.cancel_waiting("Cancelled.")
    ledger.publish_job(job.id)
    ledger.file_picture(job.picture_id)
    mounts.unlink()
    intake.round(20.0)
    assert claims(config.inbox) == []
    assert not (config.inbox / "wave/photo.jpg").exists()


def test_sidecar_that_is_nearly_called_right_is_obeyed_and_claimed(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop("wave/C.JPG")
    (config.inbox / "wave/c.yml").write_text("steps: 7\n")
    intake.round(0.0)
    assert intake.round(SETTLE_S) == 1
    (job,) = queued(ledger)
    assert (job.recipe["steps"], job.warnings) == (7, ())
    assert not (config.inbox / "wave/c.yml").exists()


def test_sidecar_left_over_is_not_the_next_pictures_of_its_name(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    left = config.inbox / "wave/IMG_0001.yaml"
    left.parent.mkdir()
    left.write_text("steps: 7\n")
    for now_s in (0.0, 20.0):  # alone for as long as a picture waits for its sidecar
        intake.round(now_s)
    drop("wave/IMG_0001.jpg")
    for now_s in (30.0, 30.0 + SETTLE_S):
        intake.round(now_s)
    (job,) = queued(ledger)
    assert job.recipe["steps"] != 7
    assert "IMG_0001.yaml was not obeyed" in job.warnings[0]
    assert left.exists() and not intake.pending


def test_sidecar_dropped_first_is_obeyed_if_its_picture_comes_in_time(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    first = config.inbox / "wave/photo.yaml"
    first.parent.mkdir()
    first.write_text("steps: 7\n")
    intake.round(0.0)
    intake.round(19.0)
    drop("wave/photo.jpg")
    for now_s in (60.0, 60.0 + SETTLE_S):  # nobody looked meanwhile: it was not seen alone
        intake.round(now_s)
    assert [job.recipe["steps"] for job in queued(ledger)] == [7]


def test_sidecar_that_is_saved_anew_counts_again(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    left = config.inbox / "wave/photo.yaml"
    left.parent.mkdir()
    left.write_text("steps: 7\n")
    for now_s in (0.0, 20.0):
        intake.round(now_s)
    drop("wave/photo.jpg")
    intake.round(30.0)
    left.write_text("steps: 17\n")
    for now_s in (31.0, 31.0 + SETTLE_S):
        intake.round(now_s)
    assert [job.recipe["steps"] for job in queued(ledger)] == [17]


def rounds(intake: Intake, *times_s: float) -> list[str]:
    """Looks at these times; returns what was told of the surroundings."""
    told = []
    for now_s in times_s:
        try:
            intake.round(now_s)
        except SurroundingsError as error:
            told.append(str(error))
    return told


def test_pictures_wait_while_the_presets_folder_is_away_and_then_go_on(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    intake.round(0.0)
    away = config.presets.rename(config.presets.with_name("away"))
    drop("wave/a.jpg")
    drop("b.jpg")
    told = rounds(intake, 1.0, 30.0, 600.0)
    assert len(told) == 2 and all(f"presets folder {config.presets}" in text for text in told)
    assert intake.pending and queued(ledger) == failed(ledger) == []
    away.rename(config.presets)
    assert rounds(intake, 601.0) == []
    assert [job.preset for job in queued(ledger)] == ["wave"]


def test_presets_that_are_away_are_no_trouble_while_nothing_needs_them(
    config: Config, intake: Intake
) -> None:
    config.presets.rename(config.presets.with_name("away"))
    (config.inbox / "note.txt").touch()
    assert rounds(intake, 0.0, 10.0) == []


def test_claim_that_a_crash_cut_off_waits_for_presets_that_are_away(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    path = drop()
    ledger.add_picture("p1", Path("wave/photo.jpg"))
    claimed = config.inbox / ".claimed" / "p1" / "wave" / "photo.jpg"
    claimed.parent.mkdir(parents=True)
    path.rename(claimed)
    away = config.presets.rename(config.presets.with_name("away"))
    assert len(rounds(intake, 0.0)) == 1 and claimed.exists()
    away.rename(config.presets)
    assert rounds(intake, 1.0) == []
    assert [job.picture_id for job in queued(ledger)] == ["p1"]


@pytest.mark.parametrize(
    ("name", "sidecar"), [("wave/a.jpg", None), ("a.jpg", "preset: Wave\n"), ("a.jpg", None)]
)
def test_picture_of_a_preset_that_vanished_waits_for_it_and_holds_no_other_up(
    config: Config, ledger: Ledger, decoder: Decoder, drop, name: str, sidecar: str | None
) -> None:
    """By its folder, its sidecar, or as the default preset: never painted with another."""
    Image.new("RGB", (32, 32), "red").save(config.presets / "other.png")
    default = None if sidecar else "other" if name != "a.jpg" else "wave"
    config = config.model_copy(update={"default_preset": default, "sidecar_wait_s": 0.0})
    intake = Intake(config, ledger, decoder, settle_s=SETTLE_S, give_up_s=GIVE_UP_S)  # type: ignore[arg-type]
    intake.round(0.0)
    image = config.presets / "wave.png"
    content = image.read_bytes()
    image.unlink()
    drop(name)
    drop("other/b.jpg")
    if sidecar:
        (config.inbox / name).with_suffix(".yaml").write_text(sidecar)
    told = rounds(intake, 1.0, 10.0)
    assert len(told) == 1 and "wave.png is not in" in told[0]
    assert [job.preset for job in queued(ledger)] == ["other"] and failed(ledger) == []
    image.write_bytes(content)
    assert rounds(intake, 20.0, 20.0 + SETTLE_S) == []
    assert [job.preset for job in queued(ledger)] == ["other", "wave"]


def test_picture_of_a_preset_that_stays_away_fails_after_a_minute(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    Image.new("RGB", (32, 32), "red").save(config.presets / "other.png")
    intake.round(0.0)
    (config.presets / "wave.png").unlink()
    drop("wave/a.jpg")
    assert len(rounds(intake, 1.0, 30.0, 61.0, 70.0)) == 1
    assert "Drop it into one of these folders: other." in failed(ledger)[0].reason


def test_job_made_from_a_last_good_version_says_so_and_carries_its_styles(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    intake.round(0.0)
    image = config.presets / "wave.png"
    content = image.read_bytes()
    image.write_bytes(content[:40])
    drop()
    assert rounds(intake, 1.0, 10.0) == []
    (job,) = queued(ledger)
    assert job.preset == "wave" and "its last good version is used" in job.warnings[0]
    assert Spool(config.state).style(job.styles[0].sha256).read_bytes() == content


def test_sidecar_may_write_a_presets_name_nearly_right(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop("photo.jpg")
    (config.inbox / "photo.yaml").write_text("presets: [Wave, WAVE]\n")
    assert rounds(intake, 0.0, SETTLE_S) == []
    assert [job.preset for job in queued(ledger)] == ["wave"]


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount whose inodes and times are others at every look."""
    looks = itertools.count()

    def signature_of(info: os.stat_result) -> Signature:
        look = next(looks)
        return Signature(look, info.st_size, look, look)

    for room in (scan, claim):
        monkeypatch.setattr(room, "signature_of", signature_of)


@pytest.mark.usefixtures("odd")
def test_picture_whose_inode_and_times_differ_at_every_look_is_claimed_once(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop("wave/photo.jpg")
    drop("photo.jpg")
    (config.inbox / "photo.yaml").write_text("preset: wave\nbeta: 7\n")
    claimed = [intake.round(float(now_s)) for now_s in range(60)]
    assert sum(claimed) == 2
    assert sorted(job.recipe["beta"] for job in queued(ledger)) == [7.0, Recipe().beta]
    assert not intake.pending and intake.reports.due(60.0) == ()


@pytest.mark.usefixtures("odd")
def test_cut_picture_is_given_up_in_time_where_times_change_by_themselves(
    ledger: Ledger, intake: Intake, drop
) -> None:
    path = drop()
    path.write_bytes(path.read_bytes()[:-100])
    for now_s in range(40 + int(GIVE_UP_S)):
        intake.round(float(now_s))
    (job,) = failed(ledger)
    assert "decoded to the end" in job.reason


@pytest.mark.usefixtures("odd")
def test_picture_that_changed_after_its_content_was_read_is_claimed_as_it_is_then(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    # The queue is full meanwhile; nothing but its content tells that another came to its place.
    path = drop("wave/photo.bmp")
    Image.new("RGB", (64, 64), "orange").save(path, "BMP")
    with pytest.MonkeyPatch.context() as full:
        full.setattr(ledger, "waiting", lambda: config.limits.waiting)
        for now_s in range(30):
            with contextlib.suppress(SurroundingsError):
                intake.round(float(now_s))
    Image.new("RGB", (64, 64), "purple").save(path, "BMP")
    content = path.read_bytes()
    assert sum(intake.round(float(now_s)) for now_s in range(30, 90)) == 1
    (job,) = queued(ledger)
    assert Spool(config.state).picture(job.picture_id).read_bytes() == content


@pytest.mark.usefixtures("odd")
def test_files_that_only_their_content_shows_settled_are_not_read_all_at_once(
    intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation, "READS", 2)
    for number in range(5):
        drop(f"wave/{number}.jpg")
    read: list[Path] = []
    sha256_of = files.sha256_of
    monkeypatch.setattr(files, "sha256_of", lambda path: (read.append(path), sha256_of(path))[1])
    claimed, reads = 0, []
    for now_s in range(60):
        claimed += intake.round(float(now_s))
        reads.append(len(read))
    assert claimed == 5
    assert max(after - before for before, after in itertools.pairwise(reads)) == 2


def test_full_state_disk_is_known_before_any_picture_is_decoded(
    config: Config, intake: Intake, decoder: Decoder, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg"):
        drop(f"wave/{name}")
    usage = shutil.disk_usage(config.state)._replace(free=config.limits.free_bytes - 1)
    intake.round(0.0)
    asked = len(decoder.asked)
    with monkeypatch.context() as full, pytest.raises(SurroundingsError, match="nearly full"):
        full.setattr("shutil.disk_usage", lambda folder: usage)
        intake.round(SETTLE_S)
    assert len(decoder.asked) == asked
    assert told(intake, SETTLE_S).keys() == {"wave/a.jpg", "wave/b.jpg"}
    assert intake.round(SETTLE_S + 1.0) == 2


def half_black(path: Path) -> None:
    """A sound picture whose file ends in zeros, as one whose rest has not come."""
    image = Image.new("RGB", (64, 64), "black")
    image.paste("orange", (0, 0, 64, 40))
    image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path, "BMP")  # which begins at the bottom


def test_picture_that_ends_in_zeros_waits_and_is_painted_with_a_warning(
    ledger: Ledger, intake: Intake, drop
) -> None:
    half_black(drop("wave/photo.bmp"))
    rounds = {now_s: intake.round(float(now_s)) for now_s in range(80)}
    assert [now_s for now_s, count in rounds.items() if count] == [5 + int(GIVE_UP_S)]
    (job,) = queued(ledger)
    assert "empty bytes" in job.warnings[0]


def test_picture_whose_reserved_end_comes_is_painted_without_a_warning(
    ledger: Ledger, intake: Intake, drop
) -> None:
    path = drop("wave/photo.bmp")
    Image.new("RGB", (64, 64), "orange").save(path, "BMP")
    whole = path.read_bytes()
    path.write_bytes(whole[:4000] + bytes(len(whole) - 4000))
    for now_s in (0.0, 5.0, 10.0):
        assert intake.round(now_s) == 0
    path.write_bytes(whole)
    intake.round(11.0)
    assert intake.round(16.0) == 1
    assert queued(ledger)[0].warnings == ()


def test_claim_cut_off_by_a_crash_is_not_trusted_if_its_end_is_missing(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    path = drop("wave/photo.bmp")
    half_black(path)
    ledger.add_picture("p1", Path("wave/photo.bmp"))
    claim.take(config.inbox, "p1", Path("wave/photo.bmp"))
    assert intake.round(0.0) == 0
    assert path.exists() and ledger.claiming() == [] and claims(config.inbox) == []


class Killed(BaseException):
    """The service is killed here."""


def cut_off_across(crash: pytest.MonkeyPatch, kept: str) -> None:
    """Every folder is a mount of its own, and the service is killed before `kept` is removed."""
    rename, still = os.rename, claim.is_still

    def across(source: Path, target: Path) -> None:
        if CLAIMED_FOLDER in str(target) and CLAIMED_FOLDER not in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    def killed(path: Path, *more) -> bool:
        if path.name == kept:
            raise Killed
        return still(path, *more)

    crash.setattr("os.rename", across)
    crash.setattr(claim, "is_still", killed)


@pytest.mark.parametrize("kept", ["photo.jpg", "photo.yaml"])
def test_copy_that_was_made_before_a_crash_is_no_second_job(
    config: Config, ledger: Ledger, decoder, intake, drop, kept: str, monkeypatch
) -> None:
    # Where the folder is another file system the picture is at both places for a moment.
    path = drop("wave/photo.jpg")
    (config.inbox / "wave/photo.yaml").write_text("beta: 7\n")
    intake.round(0.0)
    with monkeypatch.context() as crash, pytest.raises(Killed):
        cut_off_across(crash, kept)
        intake.round(SETTLE_S)
    assert (config.inbox / "wave" / kept).exists()
    intake = Intake(config, ledger, decoder, settle_s=SETTLE_S, give_up_s=GIVE_UP_S)
    for now_s in (10.0, 20.0, 100.0):
        intake.round(now_s)
    assert [job.recipe["beta"] for job in queued(ledger)] == [7.0]
    assert not path.exists() and not (config.inbox / "wave/photo.yaml").exists()


def test_picture_of_a_mount_within_the_inbox_is_copied_out_once(
    ledger: Ledger, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(drop("wave/photo.jpg"), (1e9, 1e9))
    cut_off_across(monkeypatch, "no file")
    assert [intake.round(now_s) for now_s in (0.0, SETTLE_S)] == [0, 1]


def test_same_picture_dropped_again_while_its_claim_is_half_done_is_painted_too(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    photo, sidecar = Path("wave/photo.jpg"), Path("wave/photo.yaml")
    content = drop("wave/photo.jpg").read_bytes()
    (config.inbox / sidecar).write_text("beta: 7\n")
    ledger.add_picture("p1", photo, [sidecar])
    for path in (photo, sidecar):
        claim.take(config.inbox, "p1", path)
    (config.inbox / photo).write_bytes(content)
    (config.inbox / sidecar).write_text("beta: 8\n")
    for now_s in (0.0, 10.0, 20.0):
        intake.round(now_s)
    assert sorted(job.recipe["beta"] for job in queued(ledger)) == [7.0, 8.0]


def told(intake: Intake, now_s: float) -> dict[str, str]:
    return {str(wait.path): wait.why for wait in intake.reports.due(now_s)}


def test_every_wait_is_told_of_by_name_once_it_is_long(
    config: Config, intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop("wave/growing.jpg")
    cut = drop("wave/cut.jpg")
    cut.write_bytes(cut.read_bytes()[:-100])
    (config.inbox / "wave/empty.jpg").touch()
    drop("wave/told.jpg")
    (config.inbox / "wave/told.yaml").touch()
    (config.inbox / "wave/notes.txt").touch()
    (config.inbox / "wave/link.jpg").symlink_to("cut.jpg")
    (config.inbox / "wave/alone.yaml").write_text("beta: 7\n")
    for now_s in range(50):
        with (config.inbox / "wave/growing.jpg").open("ab") as file:
            file.write(b"more")
        intake.round(float(now_s))
    found = told(intake, 50.0)
    expected = {
        "wave/growing.jpg": "still changing",
        "wave/cut.jpg": "decoded to the end",
        "wave/empty.jpg": "is empty",
        "wave/told.jpg": "waits for its sidecar told.yaml",
        "wave/link.jpg": "is a link",
        "wave/alone.yaml": "without its picture",
    }
    assert found.keys() == expected.keys()
    assert all(words in found[path] for path, words in expected.items())
    assert told(intake, 20.0) == {}
    assert intake.reports.foreign == (Path("wave/notes.txt"),)  # counted: nobody has to act


def test_picture_that_waits_for_its_turn_or_its_sidecar_is_told_of(
    config: Config, ledger: Ledger, decoder: Decoder, drop
) -> None:
    limits = config.limits.model_copy(update={"waiting": 1})
    slow = config.model_copy(update={"limits": limits, "sidecar_wait_s": 500.0})
    intake = Intake(slow, ledger, decoder, settle_s=0.0, give_up_s=0.0)  # type: ignore[arg-type]
    drop("photo.jpg")
    for now_s in (0.0, 50.0):
        intake.round(now_s)
    assert "waits for its sidecar" in told(intake, 50.0)["photo.jpg"]
    drop("wave/a.jpg")
    drop("wave/b.jpg")
    for now_s in (60.0, 110.0):
        with pytest.raises(SurroundingsError, match="1 jobs wait"):
            intake.round(now_s)
    assert "limits: waiting" in told(intake, 110.0)["wave/b.jpg"]


def test_each_picture_that_may_not_be_taken_is_named_at_once(
    intake: Intake, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first.jpg", "second.jpg"):
        drop(f"wave/{name}")
    monkeypatch.setattr("os.access", lambda *_: False)
    intake.round(0.0)
    with pytest.raises(SurroundingsError):
        intake.round(SETTLE_S)
    assert told(intake, SETTLE_S).keys() == {"wave/first.jpg", "wave/second.jpg"}


def test_claim_of_another_service_is_told_of_while_it_is_undecided(
    config: Config, intake: Intake
) -> None:
    elsewhere = Owner("nas-box", 7, "/srv/state", kernel="another", process="x")
    stray = config.inbox / CLAIMED_FOLDER / ("0badcafe" + "0" * 24) / "wave" / "photo.jpg"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"a picture")
    owner_file(config.inbox, "0badcafe").write_bytes(encode(elsewhere))
    for now_s in range(0, 100, 5):
        intake.round(float(now_s))
        assert intake.pending and intake.next_look_s(float(now_s)) is not None
    (why,) = told(intake, 100.0).values()
    assert "1 claimed by /srv/state on nas-box (perhaps running)" in why
    for now_s in (300.0, 310.0):
        intake.round(now_s)
    assert (config.inbox / "wave/photo.jpg").exists() and not intake.strays.holdings


def test_look_with_nothing_to_claim_starts_no_threads(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("idle looks must cost nothing")

    monkeypatch.setattr(admission, "ThreadPoolExecutor", refuse)
    assert intake.round(0.0) == 0


def test_mark_is_held_through_a_look_that_failed(
    config: Config, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.round(0.0)
    file = owner_file(config.inbox, Spool(config.state).mark())

    def refused(_: Path) -> Scan:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken, pytest.raises(SurroundingsError, match="unavailable"):
        broken.setattr(scan, "scan", refused)
        intake.round(1.0)
    assert is_locked(file)


def test_each_picture_that_was_decoded_is_a_piece_of_progress(
    config: Config, ledger: Ledger, decoder: Decoder, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[Path] = []
    intake = Intake(
        config,
        ledger,
        decoder,  # type: ignore[arg-type]
        settle_s=SETTLE_S,
        give_up_s=GIVE_UP_S,
        on_piece=pieces.append,
    )
    names = [f"wave/{number}.jpg" for number in range(3)]
    for name in names:
        drop(name)
    decoded: list[int] = []
    monkeypatch.setattr(claim, "take", lambda *_, **__: decoded.append(len(pieces)))
    intake.round(0.0)
    intake.round(SETTLE_S)
    assert decoded[0] == len(names) and {str(path) for path in pieces} == set(names)


def test_copies_are_looked_for_once_until_the_inbox_comes_back(
    config: Config, ledger: Ledger, intake: Intake, drop
) -> None:
    drop()
    intake.round(0.0)
    assert intake.restored and intake.round(SETTLE_S) == 1
    (job,) = queued(ledger)
    copy = Spool(config.state).picture(job.picture_id)
    copy.unlink()
    intake.round(10.0)
    assert not copy.exists()
    config.inbox.rename(config.inbox.with_name("away"))
    with pytest.raises(SurroundingsError):
        intake.round(15.0)
    assert not intake.restored
    config.inbox.with_name("away").rename(config.inbox)
    intake.round(20.0)
    assert copy.exists() and intake.restored


def test_cells_of_a_sweep_count_among_the_jobs_that_may_wait(
    config: Config, ledger: Ledger, decoder: Decoder, drop
) -> None:
    limits = config.limits.model_copy(update={"waiting": 3})
    small = config.model_copy(update={"limits": limits})
    intake = Intake(small, ledger, decoder, settle_s=0.0, give_up_s=0.0)  # type: ignore[arg-type]
    for name in ("wave/a.jpg", "wave/b.jpg", "wave/c.jpg"):
        drop(name)
    (config.inbox / "wave/a.yaml").write_text("sweep: {beta: [5, 20]}\n")
    for now_s in (0.0, 50.0):
        with pytest.raises(SurroundingsError, match="3 jobs wait"):
            intake.round(now_s)
    labels = sorted((job.below.name, job.label) for job in queued(ledger))
    assert labels == [("a.jpg", "beta 20"), ("a.jpg", "beta 5"), ("b.jpg", "")]
    assert "limits: waiting" in told(intake, 50.0)["wave/c.jpg"]


def test_cells_of_a_sweep_are_told_apart_in_the_ledger_by_label_recipe_and_fingerprint(
    ledger: Ledger, intake: Intake, drop, config: Config
) -> None:
    drop("bulk/wave/a.jpg")
    (config.inbox / "bulk/wave/a.jpg.yaml").write_text("sweep: {beta: [5, 20]}\nsteps: 3\n")
    intake.round(0.0)
    assert intake.round(50.0) == 1
    cells = queued(ledger)
    assert [(job.label, job.recipe["beta"], job.recipe["steps"]) for job in cells] == [
        ("beta 5", 5.0, 3),
        ("beta 20", 20.0, 3),
    ]
    assert {job.priority for job in cells} == {BULK} and "sweep" not in cells[0].recipe
    rows = ledger.database.rows("jobs_of_picture", id=cells[0].picture_id)
    assert len({row["fingerprint"] for row in rows}) == 2
