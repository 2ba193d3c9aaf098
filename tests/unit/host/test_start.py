"""What a process inherits from whoever starts it, and makes good before it does anything."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.host import process

SCRIPT = """
import json, os, resource, signal, sys
from daemon.host.start import prepare_process
prepare_process()
mask = os.umask(0)
print(json.dumps({
    "umask": oct(mask), "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "child": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
    "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "encoding": sys.getfilesystemencoding(),
}))
"""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def after(inherits: Callable[[], object], **environment: str) -> dict[str, object]:
    """What a process has after `prepare_process` that was started so."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **environment},
        check=True,
        preexec_fn=inherits,
        capture_output=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("mask", "kept"), [(0o777, "0o77"), (0o077, "0o77"), (0o007, "0o7"), (0o022, "0o22")]
)
def test_what_we_make_we_can_read_whatever_the_umask(mask: int, kept: str) -> None:
    assert after(lambda: os.umask(mask))["umask"] == kept


def test_ignored_and_blocked_signals_are_heeded_again() -> None:
    def inherit() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])

    found = after(inherit)
    assert found["child"] is True
    assert found["blocked"] == 0


def test_few_open_files_become_as_many_as_are_allowed() -> None:
    found = after(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 200)))
    assert found["files"] == [200, 200]


def test_locale_that_is_not_utf8_is_left() -> None:
    assert after(lambda: None, **ASCII)["encoding"] == "utf-8"


def test_folders_with_names_that_a_locale_has_not_are_found(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("inbox: Für Druck\noutbox: Gemälde\n", "utf-8")
    done = subprocess.run(
        process.python("daemon", "--config", str(config), "status", "--json"),
        env={**os.environ, **ASCII},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["inbox"] == str(tmp_path / "Für Druck")


def test_children_speak_utf8_whatever_the_locale() -> None:
    environment = process.python_environment(ASCII)
    assert environment["PYTHONUTF8"] == "1" and "PYTHONIOENCODING" not in environment


@pytest.mark.parametrize("given", [":{0}", "{0}:", "{0}::", ".:{0}", "w:{0}", "../here:{0}"])
def test_what_pythonpath_says_of_the_working_directory_is_not_obeyed(
    tmp_path: Path, given: str
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, here / "w", elsewhere):
        folder.mkdir()
        (folder / "random.py").write_text("raise SystemExit('planted code has run')")
    (elsewhere / "random.py").unlink()
    (elsewhere / "wanted.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import daemon, random, wanted; print(random.__file__)"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": given.format(elsewhere)},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout.startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("word", "number", "code"),
    [
        ("status", signal.SIGINT, -signal.SIGINT),
        ("run", signal.SIGINT, 0),
        ("run", signal.SIGTERM, 0),
    ],
)
def test_command_that_is_stopped_while_it_loads_leaves_no_trace(
    word: str, number: signal.Signals, code: int
) -> None:
    loading = (
        "import os, signal, sys, types\n"
        # Who runs the tests in the background of a shell hands an ignored SIGINT down.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from daemon import launch\n"
        "stand_in = types.ModuleType('daemon.cli')\n"
        f"stand_in.main = lambda: os.kill(os.getpid(), {int(number)})\n"
        f"sys.modules['daemon.cli'] = stand_in; sys.argv = ['atelierd', '{word}']; launch.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", loading], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, "")
