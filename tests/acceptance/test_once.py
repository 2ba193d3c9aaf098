"""`atelierd run --once`: takes what is in the inbox, finishes it, and exits."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from daemon.host.files import sha256_of
from tests.support.atelier import Studio, encoded, photograph

ORIENTATION = 0x0112
QUARTER_TURN = 6


def turned_photograph() -> bytes:
    """A landscape as a phone held upright stores it: to be shown 72 px wide and 96 px high."""
    exif = Image.Exif()
    exif[ORIENTATION] = QUARTER_TURN
    return encoded(photograph((96, 72)), exif=exif.tobytes())


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """An inbox full of everything that can be dropped, before the one run."""
    studio = Studio(tmp_path_factory.mktemp("once"), paints=False, default_preset="second")
    studio.add_preset("second", beta=5.0)
    studio.drop("quick/plain.jpg")
    studio.drop("quick/deep/er/photo.png", encoded(photograph(), "PNG"))
    studio.drop("quick/turned.jpg", turned_photograph())
    studio.drop("nobody.jpg")
    studio.drop("holiday/beach.jpg")
    folder = studio.root / "folder"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(encoded(photograph()))
    folder.rename(studio.inbox / "quick/folder")
    studio.drop("quick/long.jpg")
    studio.drop("quick/long.jpg.yaml", b"steps: 3\n")
    studio.drop("quick/long.yaml", b"steps: 4\n")
    studio.drop("quick/short.jpg")
    studio.drop("quick/short.yaml", b"{preset: second, steps: 1}\n")
    studio.drop("both.jpg")
    studio.drop("both.jpg.yaml", b"presets: [quick, second]\n")
    studio.drop("quick/alone.yaml", b"steps: 3\n")
    studio.drop("quick/wrong.jpg", b"no picture at all")
    studio.drop("quick/masked.jpg")
    studio.drop("quick/masked.mask.png", encoded(Image.new("L", (96, 72), 128), "PNG"))
    return studio


@pytest.fixture(scope="module")
def ended(studio: Studio) -> "subprocess.CompletedProcess[str]":
    return studio.run("run", "--once")


def test_run_once_ends_with_1_when_a_picture_failed(
    ended: "subprocess.CompletedProcess[str]",
) -> None:
    assert ended.returncode == 1, ended.stderr


def test_everything_dropped_is_painted_where_its_folder_says(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    painted = {name for name in studio.files(studio.outbox) if ".jobs" not in name}
    assert {name for name in painted if name.split("/")[0] in ("quick", "second")} == {
        "quick/plain.jpg",
        "quick/deep/er/photo.png",
        "quick/turned.jpg",
        "quick/folder/a.jpg",
        "quick/folder/b.jpg",
        "quick/long.jpg",
        "quick/masked.jpg",
        "second/short.jpg",
        "quick/both.jpg",
        "second/both.jpg",
        "second/nobody.jpg",
        "second/holiday/beach.jpg",
    }


def test_only_what_is_no_picture_stays_in_the_inbox(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    # The longer name wins, so that long.yaml is a sidecar without a picture of its own.
    assert studio.files(studio.inbox) == {"quick/alone.yaml", "quick/long.yaml"}
    assert not list((studio.inbox / ".claimed").iterdir())


def test_every_record_names_files_that_exist(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    records = [name for name in studio.files(studio.outbox) if name.endswith(".json")]
    assert len(records) == 13
    missing = {
        (name, kind)
        for name in records
        for kind, path in studio.record(name)["outputs"].items()
        if not (studio.outbox / path).exists()
    }
    assert missing == set()


def test_sidecar_overrides_the_preset(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    assert studio.record("quick/.jobs/plain.jpg.json")["recipe"]["steps"] == 2
    assert studio.record("quick/.jobs/long.jpg.json")["recipe"]["steps"] == 3


def test_sidecar_names_another_preset(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    record = studio.record("second/.jobs/short.jpg.json")
    assert (record["preset"], record["recipe"]["steps"], record["recipe"]["beta"]) == (
        "second",
        1,
        5.0,
    )


def test_sidecar_with_two_presets_makes_two_jobs_of_one_picture(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    first = studio.record("quick/.jobs/both.jpg.json")
    second = studio.record("second/.jobs/both.jpg.json")
    assert first["id"] != second["id"]
    assert first["picture"] == second["picture"]


def test_turned_photograph_comes_out_upright(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    with Image.open(studio.outbox / "quick/turned.jpg") as result:
        assert result.size == (48, 64)
        assert result.getexif().get(ORIENTATION, 1) == 1


def test_sidecars_are_filed_beside_their_originals(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    assert (studio.outbox / "originals/quick/long.jpg.yaml").read_bytes() == b"steps: 3\n"


def test_mask_is_filed_beside_its_original_and_told_in_the_record(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    filed = studio.outbox / "originals/quick/masked.jpg.mask.png"
    told = studio.record("quick/.jobs/masked.jpg.json")["regions"]
    assert (told["name"], told["own"]) == ("masked.mask.png", True)
    assert told["sha256"] == sha256_of(filed)


def test_spool_is_empty_after_the_run(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    assert studio.files(studio.state / "spool") == set()


def test_run_once_ends_with_0_when_all_is_well(
    studio: Studio, ended: "subprocess.CompletedProcess[str]"
) -> None:
    answer = studio.run("run", "--once")
    assert answer.returncode == 0, answer.stderr


@contextlib.contextmanager
def growing(path: Path) -> Iterator[None]:
    """A file that somebody goes on writing meanwhile, wherever it is moved."""
    over = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            while not over.wait(0.02):
                file.write(b"more")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def test_run_once_ends_beside_what_never_ends_and_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUPPET_GIVE_UP_S", "1")
    studio = Studio(tmp_path, paints=False)
    grows = studio.drop("quick/grows.jpg", encoded(photograph()))
    studio.drop("quick/empty.jpg", b"")
    studio.drop("quick/asks.jpg.yaml", b"runs_on: desk9\n")
    studio.drop("quick/asks.jpg", encoded(photograph()))
    with growing(grows):
        answer = studio.run("run", "--once", timeout_s=60)
    assert answer.returncode == 1, answer.stderr
    assert "it ends, since nothing has got further for" in answer.stderr
    assert "jobs ask for desk9, which no device offers (runs_on)" in answer.stderr
    assert "asks.jpg (ready)" in answer.stderr
    assert "quick/empty.jpg (in the inbox: it is empty)" in answer.stderr
    assert "quick/grows.jpg (in the inbox: it is still being written)" in answer.stderr


def test_no_picture_is_left_whatever_it_is_called_and_nothing_else_is_taken(tmp_path: Path) -> None:
    studio = Studio(tmp_path, paints=False)
    studio.drop("quick/IMG_1.JPG_large")
    studio.drop("quick/photo", encoded(photograph(), "PNG"))
    studio.drop("quick/saved.jfif")
    studio.drop("quick/cut.heic", transparent_heic())
    studio.drop("quick/logo.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>')
    studio.drop("quick/notes.txt", b"The sea was grey that day.\n")
    assert studio.run("run", "--once").returncode == 1
    assert studio.files(studio.inbox) == {"quick/notes.txt"}
    results = {path for path in studio.files(studio.outbox) if path.startswith("quick/")}
    assert {path for path in results if ".jobs" not in path} == {
        "quick/IMG_1.JPG_large.jpg",
        "quick/photo.png",
        "quick/saved.jfif",
        "quick/cut.png",
    }
    told = studio.failure("quick", "logo.svg")
    assert told.startswith("logo.svg is an SVG drawing") and "export it as PNG" in told
    assert "quick/notes.txt" in studio.run("doctor").stdout


def transparent_heic() -> bytes:
    """A photograph of a phone, of which a part was cut out."""
    register_heif_opener()
    image = photograph().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return encoded(image, "HEIF")
