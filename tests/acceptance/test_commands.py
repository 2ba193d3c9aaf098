"""The commands that need no running service, and what they answer to the shell."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from daemon.pictures.note import read_note
from tests.support.atelier import (
    COMMAND,
    PATIENCE_S,
    Studio,
    children,
    encoded,
    environment,
    give_no_more_memory,
    may_mount,
    mounted,
    photograph,
    wait_for,
)

SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


def test_wrong_configuration_ends_with_78_and_names_every_fault(studio: Studio) -> None:
    studio.config_file.write_text(
        "inbox: inbox\n"
        "outbux: outbox\n"
        "settle_s: soon\n"
        "devices: gpu\n"
        "inbox: other\n"
        "limits: {decode_s: 0}\n"
    )
    answer = studio.run("run")
    assert answer.returncode == 78
    for promised in (
        ":2: outbux: unknown key; did you mean `outbox`",
        ":3: settle_s",
        ":4: devices",
        ":5: inbox: stands twice",
        ":6: limits.decode_s",
    ):
        assert promised in answer.stderr
    assert not studio.state.exists()


def test_folders_inside_each_other_are_refused(studio: Studio) -> None:
    studio.configure(outbox="inbox/done")
    answer = studio.run("run", "--once")
    assert answer.returncode == 78
    assert "lies in inbox" in answer.stderr


def test_missing_configuration_ends_with_78_and_says_where_it_looked(tmp_path: Path) -> None:
    answer = subprocess.run(
        [COMMAND, "status"], cwd=tmp_path, capture_output=True, text=True, env=environment()
    )
    assert answer.returncode == 78
    assert "config.yaml" in answer.stderr and "/etc/atelierd/config.yaml" in answer.stderr


def test_missing_gpu_is_never_replaced_in_silence(studio: Studio) -> None:
    studio.configure(devices="cuda:31")
    answer = studio.run("run", "--once")
    assert answer.returncode == 78
    assert "cuda:31" in answer.stderr


@pytest.mark.parametrize("arguments", [["paint"], ["run", "--twice"], ["stylize"], ["retry"]])
def test_wrong_usage_ends_with_2(studio: Studio, arguments: list[str]) -> None:
    answer = studio.run(*arguments)
    assert answer.returncode == 2
    assert "usage: atelierd" in answer.stderr


def test_command_without_words_tells_what_there_is(studio: Studio) -> None:
    answer = subprocess.run([COMMAND], capture_output=True, text=True, env=environment())
    assert answer.returncode == 2
    assert all(name in answer.stderr for name in ("run", "status", "stylize", "weights"))


def test_reader_that_had_enough_is_no_trouble(studio: Studio) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [COMMAND, "--config", studio.config_file, "presets"]
    answer = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment())
    os.close(writer)
    assert (answer.returncode, answer.stderr) == (1, b"")


def test_module_is_the_same_command(studio: Studio) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "daemon", "--config", studio.config_file, "presets", "--json"],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == studio.run("presets", "--json").stdout


def test_presets_lists_good_and_faulty(studio: Studio) -> None:
    (studio.presets / "broken.yaml").write_text("styles: []\nsize: big\n")
    answer = studio.run("presets", "--json")
    report = json.loads(answer.stdout)
    assert answer.returncode == 0
    assert list(report["good"]) == ["quick"]
    assert report["good"]["quick"]["recipe"]["size"] == 64
    assert {fault.split(": ")[1] for fault in report["faulty"]["broken"]} == {"styles", "size"}
    shown = studio.run("presets").stdout
    assert "quick" in shown and "broken cannot be used" in shown


def test_bare_picture_is_a_preset(studio: Studio) -> None:
    (studio.presets / "sunset.jpg").write_bytes(encoded(photograph()))
    assert "sunset" in json.loads(studio.run("presets", "--json").stdout)["good"]


def test_status_answers_without_a_service_and_without_a_ledger(studio: Studio) -> None:
    report = studio.status()
    assert report["service"]["running"] is False
    assert set(report["jobs"].values()) == {0}
    assert not studio.state.exists()


def test_weights_prints_their_sha256(studio: Studio) -> None:
    answer = studio.run("weights")
    assert answer.returncode == 0
    (used,) = [line for line in answer.stdout.splitlines() if " used " in line]
    assert used.startswith("classic") and SHA256.search(used)
    assert "weights fetch torchvision" in answer.stdout


def test_unknown_weights_cannot_be_fetched(studio: Studio) -> None:
    assert studio.run("weights", "fetch", "alexnet").returncode == 2


# The doctor


def test_doctor_finds_a_good_installation_well_and_leaves_nothing(studio: Studio) -> None:
    answer = studio.run("doctor")
    assert answer.returncode == 0, answer.stdout
    assert "mend" not in answer.stdout
    assert not any(studio.files(folder) for folder in (studio.inbox, studio.outbox, studio.state))


def test_doctor_reports_an_outbox_that_is_no_folder(studio: Studio) -> None:
    studio.outbox.write_text("in the way")
    answer = studio.run("doctor")
    assert answer.returncode == 1
    assert re.search(r"mend\s+outbox\s", answer.stdout)


def test_doctor_reports_an_outbox_it_may_not_write(studio: Studio) -> None:
    if os.getuid() != 0:
        studio.outbox.mkdir(mode=0o555)
        answer = studio.run("doctor")
    elif may_mount():
        with mounted(studio.outbox, "ro"):
            answer = studio.run("doctor")
    else:
        pytest.skip("root may write everywhere, and may not mount a read-only folder here")
    assert answer.returncode == 1
    assert re.search(r"mend\s+outbox\s", answer.stdout)


def test_doctor_reports_missing_weights_and_how_to_get_them(studio: Studio) -> None:
    studio.configure(weights="torchvision")
    answer = studio.run("doctor")
    assert answer.returncode == 1
    assert re.search(r"mend\s+weights\s", answer.stdout)
    assert "atelierd weights fetch torchvision" in answer.stdout


def test_doctor_reports_a_default_preset_that_does_not_exist(studio: Studio) -> None:
    studio.configure(default_preset="monet")
    answer = studio.run("doctor")
    assert answer.returncode == 1
    assert "'monet'" in answer.stdout


# One picture without the queue


def test_stylize_paints_one_picture_and_prints_where(painting_studio: Studio) -> None:
    studio = painting_studio
    picture = studio.root / os.fsdecode(b"caf\xe9.jpg")
    picture.write_bytes(encoded(photograph()))
    size = ("--set", "size=80", "--set", "steps=1")
    command = studio.command("stylize", picture, "--preset", "quick", *size)
    answer = subprocess.run(command, cwd=studio.root, capture_output=True, env=environment())
    result = studio.root / os.fsdecode(b"caf\xe9-quick.jpg")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.rstrip(b"\n") == os.fsencode(result)
    with Image.open(result) as opened:
        assert opened.size == (80, 60)
    note = read_note(result)
    assert note is not None and note["recipe"]["steps"] == 1
    assert picture.exists()
    assert not studio.config.ledger_path.exists()


def test_result_has_the_format_of_its_name_and_its_path_comes_back_in_any_encoding(
    studio: Studio,
) -> None:
    (studio.root / "photo.jpg").write_bytes(encoded(photograph()))
    name = b"caf\xe9 \xc3\xa9.png"
    out = ("--out", os.fsdecode(name))
    command = studio.command("stylize", "photo.jpg", "--preset", "quick", *out)
    answer = subprocess.run(
        command,
        cwd=studio.root,
        capture_output=True,
        env=environment() | {"PYTHONIOENCODING": "ascii:strict"},
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == os.fsencode(studio.root) + b"/" + name + b"\n"
    with Image.open(studio.root / os.fsdecode(name)) as opened:
        assert opened.format == "PNG"


def test_service_whose_output_and_errors_nobody_takes_does_its_work_all_the_same(
    studio: Studio,
) -> None:
    studio.drop("quick/photo.jpg")
    command = studio.command("run", "--once")
    with Path("/dev/full").open("w") as full:
        shell = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
        ended = subprocess.run(shell, stderr=full, env=environment(), check=False)
    assert ended.returncode == 0
    assert (studio.outbox / "quick/photo.jpg").exists()


def test_stylize_begins_anew_with_less_when_memory_runs_out(studio: Studio) -> None:
    (studio.root / "photo.jpg").write_bytes(encoded(photograph()))
    size = ("--set", "size=320", "--set", "steps=30")
    command = studio.command("stylize", "photo.jpg", "--preset", "quick", *size)
    told = studio.root / "told"
    with told.open("w") as stderr:
        painting = subprocess.Popen(command, cwd=studio.root, stderr=stderr, env=environment())
    wait_for("a step", lambda: "step 1/" in told.read_text())
    (worker,) = children(painting.pid, "daemon.worker.child")
    give_no_more_memory(worker)
    assert painting.wait(PATIENCE_S) == 0
    assert "memory ran out at" in told.read_text()
    with Image.open(studio.root / "photo-quick.jpg") as result:
        assert result.size == (320, 240)


def test_proof_is_the_small_picture_and_says_how_long_the_full_one_takes(studio: Studio) -> None:
    (studio.root / "photo.jpg").write_bytes(encoded(photograph((1000, 500))))
    answer = studio.run(
        "stylize",
        "photo.jpg",
        "--preset",
        "quick",
        "--proof",
        "--set",
        "size=original",
        "--set",
        "steps=1",
    )
    assert answer.returncode == 0, answer.stderr
    result = studio.root / "photo-quick-proof.jpg"
    path, forecast = answer.stdout.splitlines()
    assert path == str(result)
    assert re.fullmatch(r"the full picture, 1000x500 px: about (\d+ min )?\d+ s on cpu", forecast)
    with Image.open(result) as opened:
        assert opened.size == (512, 256)
    note = read_note(result)
    assert note is not None and note["proof"] and note["recipe"]["size"] == "original"


def test_proof_of_a_small_picture_is_the_picture_itself_and_says_so(studio: Studio) -> None:
    (studio.root / "photo.png").write_bytes(encoded(photograph(), "PNG"))
    for more in ((), ("--proof",)):
        answer = studio.run("stylize", "photo.png", "--preset", "quick", *more)
        assert answer.returncode == 0, answer.stderr
    assert answer.stdout.endswith("the full picture is no larger: this is it, 64x48 px\n")
    with Image.open(studio.root / "photo-quick.png") as full:
        with Image.open(studio.root / "photo-quick-proof.png") as proof:
            assert proof.tobytes() == full.tobytes()


def test_stylize_of_a_bad_picture_ends_with_1_and_writes_nothing(studio: Studio) -> None:
    (studio.root / "bad.jpg").write_bytes(b"no picture")
    answer = studio.run("stylize", "bad.jpg", "--preset", "quick", "--out", "new.jpg")
    assert answer.returncode == 1
    assert "bad.jpg is not a picture that can be read" in answer.stderr
    assert not (studio.root / "new.jpg").exists()


@pytest.mark.parametrize(
    ("arguments", "promised"),
    [
        (["nowhere.jpg", "--preset", "quick"], "no picture nowhere.jpg"),
        (["config.yaml", "--preset", "monet"], "no preset 'monet'"),
        (["config.yaml", "--preset", "quick", "--set", "steps"], "KEY=VALUE"),
        (["config.yaml", "--preset", "quick", "--set", "stepz=3"], "`steps`"),
        (["config.yaml", "--preset", "quick"], "config.yaml is not a picture"),
        (["presets/quick.png", "--preset", "quick", "--out", "presets"], "is a folder"),
        (["presets/quick.png", "--preset", "quick", "--out", "gone/x.png"], "gone: No such file"),
        (["presets/quick.png", "--preset", "quick", "--out", "/dev/full"], "no ordinary file"),
    ],
)
def test_stylize_refuses_before_anything_is_started(
    studio: Studio, arguments: list[str], promised: str
) -> None:
    answer = studio.run("stylize", *arguments)
    assert answer.returncode == 1
    assert promised in answer.stderr
    assert "network ready" not in answer.stderr
