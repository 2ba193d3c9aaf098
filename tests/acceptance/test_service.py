"""What a person sees who drops pictures into the folder of a running service."""

import io
import json
import os
import struct
import subprocess
import unicodedata
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage.data
from PIL import Image, ImageCms

from daemon.job import State
from tests.support.atelier import (
    ENDLESS_STEPS,
    Service,
    Studio,
    encoded,
    is_alive,
    peak_memory_bytes,
    photograph,
    wait_for,
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    studio = Studio(tmp_path_factory.mktemp("shop"), paints=False)
    studio.add_preset("endless", steps=ENDLESS_STEPS)
    (studio.presets / "broken.yaml").write_text("styles:\n  - image: quick.png\nstepz: 3\n")
    (studio.presets / "bare.yaml").write_text("styles:\n  - image: nowhere.png\n")
    return studio


@pytest.fixture(scope="module")
def service(shop: Studio) -> Iterator[Service]:
    """One service for every test here; it must still be up when the last one is done."""
    with shop.service() as running:
        yield running
        assert not running.ended, running.log
        assert "stumbled" not in running.log
        assert running.stop() == 0


def large_png(width_px: int, height_px: int) -> bytes:
    """A small, sound PNG file whose header promises a very large picture."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width_px, height_px, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(height_px * (width_px // 8 + 1)), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


# Beside the pictures


@pytest.fixture(scope="module")
def done(shop: Studio, service: Service) -> str:
    """The id of a job that is done."""
    shop.drop("quick/astronaut.jpg", encoded(photograph((128, 96))))
    shop.published("quick", "astronaut.jpg")
    return str(shop.record("quick/.jobs/astronaut.jpg.json")["id"])


def test_inbox_shows_a_folder_for_each_good_preset(shop: Studio, service: Service) -> None:
    folders = {path.name for path in shop.inbox.iterdir() if not path.name.startswith(".")}
    assert {"quick", "endless"} <= folders
    assert "broken" not in folders


# Kinds of pictures


def sixteen_bits() -> Image.Image:
    grey = photograph().convert("L")
    return Image.frombytes("I;16", grey.size, bytes(b for v in grey.tobytes() for b in (v, v)))


KINDS = {
    "cmyk.jpg": lambda: encoded(photograph().convert("CMYK")),
    "sixteen.png": lambda: encoded(sixteen_bits(), "PNG"),
    "palette.gif": lambda: encoded(photograph().quantize(32), "GIF"),
    "grey.jpg": lambda: encoded(photograph().convert("L")),
    "clear.png": lambda: encoded(photograph().convert("RGBA"), "PNG"),
    "web.webp": lambda: encoded(photograph(), "WEBP"),
    "scan.tiff": lambda: encoded(photograph(), "TIFF"),
    "UPPER.JPG": lambda: encoded(photograph()),
    "profile.jpg": lambda: encoded(
        photograph(), icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    ),
}


@pytest.fixture(scope="module")
def kinds(shop: Studio, service: Service) -> Studio:
    """All kinds of pictures dropped at once."""
    for name, make in KINDS.items():
        shop.drop(f"quick/kinds/{name}", make())
    return shop


@pytest.mark.parametrize("name", KINDS)
def test_kind_of_picture_is_painted_in_its_own_format_but_for_few_colours(
    kinds: Studio, name: str
) -> None:
    with Image.open(io.BytesIO(KINDS[name]())) as dropped:
        form = "PNG" if dropped.format == "GIF" else dropped.format
    with Image.open(kinds.published("quick/kinds", name.replace(".gif", ".png"))) as result:
        result.load()
        assert (result.format, result.size) == (form, (64, 48))


# Bad input


def test_truncated_jpeg_fails_with_the_decoders_word(shop: Studio, service: Service) -> None:
    whole = encoded(photograph((256, 256)), quality=95)
    shop.drop("quick/cut.jpg", whole[: len(whole) * 6 // 10])
    reason = shop.failure("quick", "cut.jpg")
    assert "could not be decoded to the end" in reason
    assert "truncated" in reason
    assert (shop.outbox / "failed/quick/cut.jpg").read_bytes() == whole[: len(whole) * 6 // 10]


def test_text_named_png_fails_with_what_can_be_read(shop: Studio, service: Service) -> None:
    shop.drop("quick/page.png", b"<html>not found</html>")
    assert "page.png is not a picture that can be read" in shop.failure("quick", "page.png")


def test_one_pixel_fails_with_the_least_size(shop: Studio, service: Service) -> None:
    shop.drop("quick/dot.png", encoded(Image.new("RGB", (1, 1)), "PNG"))
    assert "at least 16 px" in shop.failure("quick", "dot.png")


def test_empty_file_is_left_until_it_has_content(shop: Studio, service: Service) -> None:
    empty = shop.drop("quick/empty.jpg", b"")
    shop.drop("quick/after-empty.jpg")
    shop.published("quick", "after-empty.jpg")
    assert empty.exists() and shop.job_of("empty.jpg") is None
    empty.write_bytes(encoded(photograph()))
    shop.published("quick", "empty.jpg")


def test_enormous_picture_is_refused_from_its_header(shop: Studio, service: Service) -> None:
    shop.drop("quick/before-bomb.jpg")
    shop.published("quick", "before-bomb.jpg")
    (decoder,) = service.decoders()
    before = peak_memory_bytes(service.process.pid), peak_memory_bytes(decoder)
    shop.drop("quick/bomb.png", large_png(20_000, 20_000))
    reason = shop.failure("quick", "bomb.png")
    after = peak_memory_bytes(service.process.pid), peak_memory_bytes(decoder)
    assert "20000x20000" in reason and "picture_pixels" in reason
    # Decoded it would take 400 MB and more; what else goes on meanwhile takes some, too.
    assert all(late - early < 100 << 20 for early, late in zip(before, after, strict=True))


SIDECARS = {
    "unknown preset": ("preset: monet\n", ["no preset 'monet'", "quick"]),
    "not YAML": ("steps: [1,\n", ["sidecar is wrong", ":2:"]),
    "unknown field": ("stepz: 3\n", [":1: stepz", "`steps`"]),
    "wrong value": ("size: 8\n", [":1: size"]),
    "both namings": ("preset: quick\npresets: [quick]\n", ["`preset` or `presets`"]),
    "alias bomb": ("a: &a [x, x]\nb: [*a, *a]\n", ["aliases"]),
    "stray surrogate": ('style_layers: {"\\ud800": 1}\n', [":1: style_layers"]),
    "only a list": ("- quick\n", ["key: value"]),
}


def folder_of(fault: str) -> str:
    return f"quick/sidecars/{fault.replace(' ', '-')}"


@pytest.fixture(scope="module")
def with_sidecars(shop: Studio, service: Service) -> Studio:
    """Pictures with all the wrong sidecars dropped at once."""
    for fault, (text, _) in SIDECARS.items():
        shop.drop(f"{folder_of(fault)}/{fault[0]}.jpg.yaml", text.encode())
        shop.drop(f"{folder_of(fault)}/{fault[0]}.jpg")
    return shop


@pytest.mark.parametrize("fault", SIDECARS)
def test_wrong_sidecar_fails_its_picture_with_line_and_key(
    with_sidecars: Studio, fault: str
) -> None:
    folder, name = folder_of(fault), f"{fault[0]}.jpg"
    reason = with_sidecars.failure(folder, name)
    assert all(words in reason for words in SIDECARS[fault][1]), reason
    assert (with_sidecars.outbox / "failed" / folder / f"{name}.yaml").exists()


def test_broken_preset_fails_its_own_pictures_only(shop: Studio, service: Service) -> None:
    shop.drop("broken/one.jpg")
    shop.drop("quick/beside-broken.jpg")
    reason = shop.failure("broken", "one.jpg")
    assert "broken.yaml:3: stepz" in reason and "`steps`" in reason
    shop.published("quick", "beside-broken.jpg")


def test_preset_without_its_style_image_says_which_is_missing(
    shop: Studio, service: Service
) -> None:
    shop.drop("bare/one.jpg")
    assert "nowhere.png is missing" in shop.failure("bare", "one.jpg")


def test_picture_outside_every_preset_says_where_to_drop_it(shop: Studio, service: Service) -> None:
    shop.drop("lonely.jpg")
    reason = shop.failure("", "lonely.jpg")
    assert "Drop it into one of these folders: endless, quick" in reason


def test_failed_record_and_log_lie_beside_the_reason(shop: Studio, service: Service) -> None:
    shop.drop("quick/beside.png", b"no picture")
    reason = shop.failure("quick", "beside.png")
    record = shop.record("failed/quick/beside.png.json")
    assert (record["state"], record["starts"], record["passes"]) == ("failed", 0, [])
    assert record["reason"] in reason
    assert f"atelierd retry {record['id'][:8]}" in reason
    assert record["reason"] in (shop.outbox / "failed/quick/beside.png.log").read_text()


# Names

NAMES = {
    "newline": "two\nlines.jpg",
    "not UTF-8": os.fsdecode(b"caf\xe9.jpg"),
    "255 bytes": "n" * 251 + ".jpg",
    "255 bytes of umlauts": "ü" * 125 + "x.jpg",
    "decomposed": unicodedata.normalize("NFD", "Müßiggang ä.jpg"),
    "markup": "[bold]{job} <b>% \\d.jpg",
    "leading dash": "-rf.jpg",
    "spaces": " a  b .jpg",
}


@pytest.fixture(scope="module")
def named(shop: Studio, service: Service) -> Studio:
    """Pictures with all the names dropped at once."""
    for name in NAMES.values():
        shop.drop(Path("quick/names") / name)
    return shop


@pytest.mark.parametrize("kind", NAMES)
def test_name_survives_to_the_byte(named: Studio, kind: str) -> None:
    name = NAMES[kind]
    named.published("quick/names", name)
    wait_for("the original", (named.outbox / "originals/quick/names" / name).exists)
    for folder in ("quick/names", "originals/quick/names"):
        found = [os.fsencode(path.name) for path in (named.outbox / folder).iterdir()]
        assert os.fsencode(name) in found


def test_status_shows_every_name_in_one_line(named: Studio) -> None:
    for name in NAMES.values():
        named.published("quick/names", name)
    shown = named.run("status")
    assert shown.returncode == 0, shown.stderr
    assert "caf\\udce9.jpg" in shown.stdout
    assert "two\\nlines.jpg" in shown.stdout
    assert named.run("status", "--json").returncode == 0


def test_same_name_with_other_content_overwrites_nothing(shop: Studio, service: Service) -> None:
    first, second = encoded(photograph()), encoded(photograph((72, 96)))
    shop.drop("quick/twin.jpg", first)
    earlier = shop.published("quick", "twin.jpg").read_bytes()
    wait_for("the first to be filed", (shop.outbox / "originals/quick/twin.jpg").exists)
    shop.drop("quick/twin.jpg", second)
    marked = wait_for("a second result", lambda: [*(shop.outbox / "quick").glob("twin-*.jpg")])
    record = shop.record(f"quick/.jobs/{marked[0].name}.json")
    assert [path.name for path in marked] == [f"twin-{record['id'][:8]}.jpg"]
    assert (shop.outbox / "quick/twin.jpg").read_bytes() == earlier
    assert (shop.outbox / "originals/quick/twin.jpg").read_bytes() == first
    original = shop.outbox / record["outputs"]["original"]
    wait_for("the second original where the record says", original.exists)
    assert original.name == marked[0].name
    assert original.read_bytes() == second


# Commands beside the service


def test_second_service_on_the_state_folder_names_the_first(shop: Studio, service: Service) -> None:
    answer = shop.run("run")
    assert answer.returncode == 75
    assert str(service.process.pid) in answer.stderr
    assert str(shop.state) in answer.stderr


def test_status_names_service_and_recent_results(shop: Studio, done: str) -> None:
    report = shop.status()
    assert report["service"]["running"] is True
    assert report["service"]["devices"] == ["cpu"]
    assert report["jobs"]["done"] >= 1
    assert report["recent"][0]["state"] in ("done", "failed", "cancelled")


def test_health_is_clean_after_all_bad_input(shop: Studio, done: str) -> None:
    assert shop.status()["health"] == {}


@pytest.fixture
def endless(shop: Studio, service: Service) -> Iterator[str]:
    """The id of a job that runs until somebody stops it, in the middle of its steps."""
    shop.drop("endless/long.jpg", encoded(photograph((160, 120))))
    job = wait_for("the job to start", lambda: shop.job_of("long.jpg", State.RUNNING))
    wait_for("its steps", lambda: service.step(job.id))
    yield job.id
    if job.id in [one.id for one in shop.jobs(State.RUNNING)]:
        shop.run("cancel", job.id)
    wait_for("its end", lambda: job.id in [one.id for one in shop.jobs(State.CANCELLED)])
    wait_for("its picture to be filed", lambda: not shop.unfiled("long.jpg"))


def test_cancelled_running_job_gives_its_picture_back(shop: Studio, endless: str) -> None:
    answer = shop.run("cancel", endless[:8])
    assert answer.returncode == 0, answer.stderr
    (job,) = wait_for("its end", lambda: [j for j in shop.jobs(State.CANCELLED) if j.id == endless])
    wait_for("the picture", (shop.outbox / job.outputs.original).exists)
    record = shop.record(job.outputs.record)
    assert record["state"] == "cancelled"
    assert "Cancelled on request" in record["reason"]
    assert (shop.outbox / record["outputs"]["reason"]).exists()


def test_cancelled_waiting_job_is_never_started(
    shop: Studio, service: Service, endless: str
) -> None:
    shop.drop("quick/waits.jpg")
    waiting = wait_for("the job", lambda: shop.job_of("waits.jpg", State.READY))
    assert shop.run("cancel", waiting.id).returncode == 0
    assert "Cancelled on request" in shop.failure("quick", "waits.jpg")
    record = shop.record("failed/quick/waits.jpg.json")
    assert (record["state"], record["starts"]) == ("cancelled", 0)
    assert [job.id for job in shop.jobs(State.RUNNING)] == [endless]


def test_finished_job_cannot_be_cancelled(shop: Studio, done: str) -> None:
    answer = shop.run("cancel", done)
    assert answer.returncode == 1
    assert "is done" in answer.stderr


def test_unknown_job_is_refused(shop: Studio, service: Service) -> None:
    for command in ("cancel", "retry"):
        answer = shop.run(command, "zzzzzz")
        assert answer.returncode == 1
        assert "no job begins with 'zzzzzz'" in answer.stderr


def test_retried_picture_is_painted_once_its_sidecar_is_mended(
    shop: Studio, service: Service
) -> None:
    (shop.inbox / "quick/again.jpg.yaml").write_text("steps: many\n")
    shop.drop("quick/again.jpg")
    shop.failure("quick", "again.jpg")
    failed = shop.outbox / "failed/quick"
    (failed / "again.jpg.yaml").write_text("steps: 3\n")
    job_id = shop.record("failed/quick/again.jpg.json")["id"]
    answer = shop.run("retry", job_id[:8])
    assert answer.returncode == 0, answer.stderr
    shop.published("quick", "again.jpg")
    assert shop.record("quick/.jobs/again.jpg.json")["recipe"]["steps"] == 3
    assert not [name for name in shop.files(failed) if name.startswith("again")]


def test_service_is_still_up_and_painting_after_all_that(shop: Studio, service: Service) -> None:
    subprocess.run(
        ["cp", skimage.data.__path__[0] + "/coffee.png", shop.inbox / "quick"], check=True
    )
    with Image.open(shop.published("quick", "coffee.png")) as result:
        assert result.format == "PNG"
    assert is_alive(service.process.pid)
    assert json.loads((shop.state / "live.json").read_text())["pid"] == service.process.pid
