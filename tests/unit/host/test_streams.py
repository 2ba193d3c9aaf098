"""Standard output and error that are closed, full, or cannot say a name."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.host import streams
from daemon.host.streams import KEEP_BYTES, Complaints, Output, OutputError

STRAY = os.fsdecode(b"caf\xe9.jpg")


class Refusing(io.RawIOBase):
    """A device that takes nothing, like a full disk or a terminal that is gone."""

    def __init__(self, number: int, handle: int = -1) -> None:
        self.number = number
        self.handle = handle

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.handle

    def write(self, content: object) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EBADF, errno.EPIPE])
def test_output_that_is_refused_is_an_error_that_names_it_and_is_led_nowhere(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = os.open(tmp_path / "stdout", os.O_CREAT | os.O_WRONLY)
    device = Refusing(number, handle)
    output = Output(io.BufferedWriter(device), encoding="utf-8")
    with pytest.raises(OutputError, match=f"standard output cannot .* {os.strerror(number)}"):
        print("x", file=output, flush=True)
    assert Path(f"/proc/self/fd/{handle}").readlink() == Path(os.devnull)
    monkeypatch.setattr(Refusing, "write", lambda self, content: len(content))
    output.close()
    os.close(handle)


def test_complaint_that_is_refused_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints = Complaints(io.BufferedWriter(Refusing(errno.EIO)), line_buffering=True)
    print("nobody hears this", file=complaints, flush=True)
    monkeypatch.setattr(Refusing, "write", lambda self, content: len(content))
    complaints.close()


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("utf-8", STRAY, b"caf\xe9.jpg"),
        ("ascii", STRAY, b"caf\xe9.jpg"),
        ("ascii", "café → x", b"caf\\xe9 \\u2192 x"),
        ("latin-1", "café → x", b"caf\xe9 \\u2192 x"),
        ("utf-8", "\ud800", b"\\ud800"),
    ],
)
def test_every_text_can_be_printed_and_stray_bytes_come_back(
    encoding: str, text: str, written: bytes
) -> None:
    streams.codecs.register_error(KEEP_BYTES, streams.keep_bytes)
    target = io.BytesIO()
    output = Output(target, encoding=encoding, errors=KEEP_BYTES)
    print(text, file=output, end="", flush=True)
    assert target.getvalue() == written


def test_path_is_printed_with_its_own_bytes_whatever_the_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Output(target, encoding="latin-1"))
    streams.print_path(Path("café") / STRAY)
    assert target.getvalue() == "café/".encode() + b"caf\xe9.jpg\n"


def test_path_commands_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    target = io.BytesIO()
    output = Output(target, encoding="utf-8")
    monkeypatch.setattr(output, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", output)
    streams.print_path(Path("\x1b[2J"))
    output.flush()
    assert target.getvalue() == b"\\x1b[2J\n"


@pytest.mark.parametrize("closed", [[0, 1, 2], [1], [2]])
def test_streams_that_were_closed_are_never_lent_to_a_file(
    tmp_path: Path, closed: list[int]
) -> None:
    """Else the next file to be opened, the ledger perhaps, would get what is printed."""
    script = (
        "import sys\nfrom daemon.host import streams\nstreams.prepare()\n"
        "file = open(sys.argv[1], 'w')\nassert file.fileno() > 2\n"
        "print('a complaint', file=sys.stderr, flush=True)\n"
        "try: print('x', flush=True)\n"
        "except streams.OutputError: code = 3\nelse: code = 4\nfile.close()\nsys.exit(code)"
    )
    path = tmp_path / "ledger"
    shut = " ".join(f"{number}>&-" for number in closed)
    command = ["sh", "-c", f'exec "$@" {shut}', "sh", sys.executable, "-c", script, path]
    ended = subprocess.run(command, check=False, capture_output=True)
    assert ended.returncode == (3 if 1 in closed else 4)
    assert path.read_bytes() == b""
    assert b"Traceback" not in ended.stderr
