"""The page's own process: what it listens to, and what keeps it from starting."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import uvicorn
from uvicorn.server import ServerState

from daemon import cli
from daemon.errors import ExitCode, SurroundingsError
from daemon.page import main
from daemon.page.main import Protocol, listen
from daemon.settings.address import Address


async def hello(scope: dict[str, object], receive: object, send: Callable[..., object]) -> None:
    """An application that answers everything."""
    await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": b"hello"})  # type: ignore[misc]


async def talk(*pieces: bytes) -> bytes:
    """What a server of ours answers to these pieces, until it closes."""
    config = uvicorn.Config(hello, http=Protocol, lifespan="off", log_config=None)  # type: ignore[arg-type]
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Protocol(config=config, server_state=ServerState(), app_state={}), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await reader.read()
    writer.close()
    server.close()
    return answer


@pytest.mark.parametrize(
    "pieces", [(), (b"GET / HTTP/1.1\r\nHo",), (b"GET / HTTP/1.1\r\n", b"A: b")]
)
def test_caller_that_does_not_say_what_it_wants_is_let_go(
    monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(main, "HEAD_S", 0.01)
    assert asyncio.run(talk(*pieces)) == b""


def test_caller_that_says_it_is_answered_and_its_second_half_request_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(main, "HEAD_S", 0.2)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert asyncio.run(talk(request, b"GET / HT")).endswith(b"hello\r\n0\r\n\r\n")


def test_address_that_is_taken_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SurroundingsError, match=f"127.0.0.1:{port}: Address already in use"):
            listen(Address("127.0.0.1", port))
    listen(Address("localhost", port)).close()


def test_page_refuses_to_start_with_a_secret_that_others_may_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "password"
    secret.write_text("a long enough password")
    secret.chmod(0o644)
    config = tmp_path / "config.yaml"
    config.write_text("page: {password_file: password}\n")
    assert cli.answer(["--config", str(config), "page"]) == ExitCode.CONFIG
    said = capsys.readouterr().err
    assert str(secret) in said and "chmod o-rw" in said


def test_page_loads_neither_torch_nor_numpy() -> None:
    import subprocess
    import sys

    script = (
        "import sys, daemon.page.main\n"
        "sys.exit(' '.join({'torch', 'numpy', 'cv2'} & set(sys.modules)) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert ended.returncode == 0, ended.stderr.decode()
