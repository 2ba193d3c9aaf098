"""Children that speak, what they say where nobody expects it, and where they find their code."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.host import process
from daemon.host.process import Child, python_environment
from daemon.pool import devices
from tests.support.atelier import PATIENCE_S
from tests.support.planted import plant, was_run

GRUMBLER = """
import os, sys
for _ in range(4):
    os.write(2, b"\\xff" * 40_000 + b"\\n")  # a C library's words need not be text
for line in sys.stdin:
    print("{}", flush=True)
"""

CHATTERER = """
import os, sys
os.write(1, b'{"n": 1}\\n{"n": 2}\\nnull\\n5\\nno message\\n\\xff\\n{"n": 3}\\n{"n": ')
sys.stdin.readline()
os.write(1, b'4}\\n{"half": ')
sys.stdin.readline()
"""

TELLER = """
import json, os, random, sys
import daemon.host.files
for line in sys.stdin:
    found = {"stands": os.getcwd(), "path": sys.path, "daemon": daemon.host.files.__file__}
    print(json.dumps(found), flush=True)
"""


def test_child_whose_complaints_are_no_text_goes_on_and_is_heard(tmp_path: Path) -> None:
    (tmp_path / "grumbler.py").write_text(GRUMBLER)
    heard: list[str] = []
    child = Child("grumbler", [], on_stderr=heard.append, environment={"PYTHONPATH": str(tmp_path)})
    child.send({})
    answer = child.receive_within(PATIENCE_S)
    child.close(PATIENCE_S)
    assert answer == {}
    assert [len(line) for line in heard] == [160_000] * 4  # \\xff, escaped


def test_messages_that_come_together_are_each_heard_at_once(tmp_path: Path) -> None:
    (tmp_path / "chatterer.py").write_text(CHATTERER)
    child = Child("chatterer", [], on_stderr=print, environment={"PYTHONPATH": str(tmp_path)})
    heard = [child.receive_within(PATIENCE_S) for _ in range(3)]
    child.send({})  # the fourth has begun to come, and ends now
    assert [*heard, child.receive_within(PATIENCE_S)] == [{"n": n} for n in (1, 2, 3, 4)]
    assert not child.killed_here
    child.close(PATIENCE_S)


def test_child_that_stops_within_a_message_is_ended(tmp_path: Path) -> None:
    (tmp_path / "chatterer.py").write_text(CHATTERER)
    child = Child("chatterer", [], on_stderr=print, environment={"PYTHONPATH": str(tmp_path)})
    child.send({})
    assert [child.receive_within(PATIENCE_S) for _ in range(4)][-1] == {"n": 4}
    assert child.receive_within(0.01) is None
    assert child.killed_here
    child.close(PATIENCE_S)


def test_child_runs_nothing_of_the_folder_that_its_service_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules, here = tmp_path / "modules", tmp_path / "here"
    modules.mkdir()
    (modules / "teller.py").write_text(TELLER)
    plant(here)
    monkeypatch.chdir(here)
    child = Child(
        "teller", [], on_stderr=lambda _: None, environment={"PYTHONPATH": f":.:{modules}:../here:"}
    )
    child.send({})
    answer = child.receive_within(PATIENCE_S)
    child.close(PATIENCE_S)
    assert answer is not None
    assert not was_run(here)
    assert answer["stands"] == "/"
    assert str(here) not in answer["path"] and str(modules) in answer["path"]
    assert answer["daemon"] == str(Path(process.__file__).with_name("files.py"))


def test_devices_are_looked_for_without_code_of_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted torch would tell of a device."""
    plant(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(devices, "DRIVER_FILES", ("/",))
    assert "cuda:7" not in devices.cuda_devices()
    assert not was_run(tmp_path)


def test_program_that_is_not_installed_runs_from_its_folder_alone(tmp_path: Path) -> None:
    """As `install-service` writes it where there is no command `atelierd`."""
    plant(tmp_path)
    done = subprocess.run(
        [*process.python("daemon"), "--version"], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout.startswith(b"atelierd ")
    assert not was_run(tmp_path)


def test_module_daemon_runs_nothing_of_the_folder_one_stands_in(tmp_path: Path) -> None:
    plant(tmp_path, without={"daemon"})  # that one is what Python was asked for
    command = [sys.executable, "-m", "daemon", "presets"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert b"the configuration is wrong" in done.stderr
    assert not was_run(tmp_path)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", None), (":", None), (".", None), ("lib:/opt/lib", "/opt/lib"), ("/a::/b", "/a:/b")],
)
def test_of_pythonpath_only_what_is_absolute_is_handed_on(given: str, kept: str | None) -> None:
    environment = python_environment({"PYTHONPATH": given, "PYTHONWARNINGS": "error", "LANG": "C"})
    assert environment.get("PYTHONPATH") == kept
    assert environment["LANG"] == "C" and "PYTHONWARNINGS" not in environment


def test_number_of_open_files_does_not_keep_an_answer_from_being_waited_for(
    tmp_path: Path,
) -> None:
    """`select` cannot look at handles above 1023."""
    (tmp_path / "grumbler.py").write_text("print('{}', flush=True)")
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 1200:
        pytest.skip("fewer than 1200 files may be open here")
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        child = Child("grumbler", [], on_stderr=print, environment={"PYTHONPATH": str(tmp_path)})
        assert child.receive_within(PATIENCE_S) == json.loads("{}")
        child.close(PATIENCE_S)
    finally:
        for handle in taken:
            os.close(handle)


def test_child_that_nobody_can_listen_to_is_ended_as_one_that_cannot_be_started(
    no_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def start(*arguments: object, **options: object) -> "subprocess.Popen[str]":
        made.append(real(*arguments, **options))  # type: ignore[call-overload]
        return made[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(OSError, match="no thread can be started"):
        Child("daemon.intake.decode", [], on_stderr=print)
    assert made[0].poll() is not None
    for stream in (made[0].stdin, made[0].stdout, made[0].stderr):
        assert stream is not None and stream.closed


def test_children_of_a_process_are_those_it_started_and_that_live() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in process.children_of(os.getpid())
        assert process.children_of(child.pid) == []
        child.communicate(b"\n")
    assert child.pid not in process.children_of(os.getpid())
    assert process.children_of(child.pid) == []
