"""Hooks that are commands, hooks that are addresses, and the thread that runs them."""

import hashlib
import hmac
import http.server
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from daemon.hooks import command as command_module
from daemon.hooks import runner as runner_module
from daemon.hooks.attempt import Attempt, CutShortError
from daemon.hooks.command import OUTPUT_BYTES, run_command
from daemon.hooks.request import headers_of, post
from daemon.hooks.runner import MOST_IN_FLIGHT, HookRunner
from daemon.settings.hooks import Event, Hooks
from tests.support.atelier import is_alive, wait_for

RECORD = {"id": "0123456789abcdef", "state": "done", "picture": {"name": "a\nb\udce4.jpg"}}
ENDLESS_S = 1000
NEVER = threading.Event()


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The log as `LEVEL message`, its exceptions too."""
    said: list[str] = []
    number = logger.add(said.append, format="{level} {message}", level="DEBUG")
    yield said
    logger.remove(number)


@pytest.fixture
def sleeper() -> Iterator[Callable[[str], int]]:
    """Reads the process id a script printed, and ends that process after the test."""
    pids: list[int] = []

    def note(text: str) -> int:
        pids.append(int(text))
        return pids[-1]

    yield note
    for pid in pids:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def run(
    *arguments: str,
    document: bytes = b"",
    timeout_s: float = 20.0,
    cut: threading.Event = NEVER,
    **environment: str | Path,
) -> Attempt:
    return run_command(arguments, document, environment, timeout_s=timeout_s, cut=cut)


def script(text: str, **options: Any) -> Attempt:
    return run("/bin/sh", "-c", text, **options)


# Commands


def test_command_reads_the_record_and_knows_the_job_by_variables() -> None:
    ended = script('cat; echo " $ATELIERD_EVENT"', document=b'{"id": 1}', ATELIERD_EVENT="done")
    assert ended == Attempt(output=b'{"id": 1} done\n')


def test_no_shell_reads_the_arguments() -> None:
    assert run("/bin/echo", "$HOME; exit 3 *").output == b"$HOME; exit 3 *\n"


def test_command_is_looked_for_in_the_path_and_runs_where_nothing_can_be_littered() -> None:
    assert run("pwd").output == b"/\n"


def test_command_does_not_speak_to_systemd_in_the_services_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "JOURNAL_STREAM", "ATELIERD_RESULT"):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("ATELIERD_CONFIG", "/etc/atelierd/config.yaml")
    said = run("env", ATELIERD_JOB="j1").output.decode().splitlines()
    assert "leaked" not in " ".join(said)
    assert {"ATELIERD_JOB=j1", "ATELIERD_CONFIG=/etc/atelierd/config.yaml"} <= set(said)


def test_path_at_which_nothing_is_is_left_out_and_others_are_kept_to_the_byte(
    tmp_path: Path,
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/k\xff\n.jpg"))
    odd.touch()
    said = run("env", "-0", ATELIERD_RESULT=odd, ATELIERD_LOG=tmp_path / "gone").output.split(b"\0")
    assert b"ATELIERD_RESULT=" + os.fsencode(odd) in said
    assert not any(one.startswith(b"ATELIERD_LOG") for one in said)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("exit 3", "ended with exit code 3"),
        ("kill -9 $$", "was ended by signal 9 (Killed)"),
        ("kill -40 $$", "was ended by signal 40"),
    ],
)
def test_command_that_fails_says_how_and_keeps_what_it_said(text: str, fault: str) -> None:
    ended = script(f"echo out; echo err >&2; {text}")
    assert ended.fault.startswith(fault) and not ended.again
    assert ended.output == b"out\nerr\n"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["/gone/notify"], "No such file"),
        (["/etc/passwd"], "Permission denied"),
        (["echo", "a\0b"], "null byte"),
    ],
)
def test_command_that_cannot_be_started_is_a_failure(arguments: list[str], fault: str) -> None:
    assert fault in run(*arguments).fault


class Clock:
    """In the place of `time`: begins at 0, and is far on once a file has been written."""

    def __init__(self, awaited: Path) -> None:
        self.awaited = awaited
        self._begun = False

    def monotonic(self) -> float:
        written = self.awaited.exists() and self.awaited.stat().st_size > 0
        begun, self._begun = self._begun, True
        return 1e6 if begun and written else 0.0


def test_command_that_hangs_is_ended_with_all_it_started(
    sleeper: Callable[[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(tmp_path / "pid")
    monkeypatch.setattr(command_module, "time", clock)
    ended = script(f"sleep {ENDLESS_S} & echo $! | tee {clock.awaited}; wait", timeout_s=20.0)
    assert ended.fault == "did not end within 20 s and was ended"
    pid = sleeper(ended.output.decode())
    wait_for("its child to end", lambda: not is_alive(pid))


def test_command_that_hangs_silently_is_ended_all_the_same() -> None:
    assert "0.1 s" in script(f"exec >&- 2>&-; exec sleep {ENDLESS_S}", timeout_s=0.1).fault


@pytest.mark.skipif(not shutil.which("setsid"), reason="needs setsid of util-linux")
def test_grandchild_that_keeps_the_output_open_holds_nobody_up(
    sleeper: Callable[[str], int],
) -> None:
    ended = script(f"setsid sleep {ENDLESS_S} & echo $!")
    sleeper(ended.output.decode())
    assert ended.fault == ""


def test_command_that_reads_nothing_is_not_waited_for() -> None:
    assert script("exit 0", document=bytes(1 << 20)) == Attempt()


def test_flood_of_output_is_read_to_its_end_and_its_beginning_kept() -> None:
    ended = script("head -c 1000000 /dev/zero; echo end >&2")
    assert ended == Attempt(output=bytes(OUTPUT_BYTES))


def test_command_that_is_cut_short_has_no_outcome() -> None:
    cut = threading.Event()
    cut.set()
    with pytest.raises(CutShortError):
        script(f"exec sleep {ENDLESS_S}", cut=cut)


# Addresses


class Receiver:
    """A web server of the test's own. answers: the statuses it gives in turn, then 204."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((self.path, dict(self.headers), body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Location", f"{receiver.url}/elsewhere")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def encrypt(self, certificate: Path) -> None:
        """From now on speaks TLS; who does not trust it ends the handshake, which is no error."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes a connection and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def send(url: str, body: bytes = b"{}", timeout_s: float = 20.0) -> Attempt:
    return post(url, headers_of("done", "j1", body, None), body, timeout_s=timeout_s, cut=NEVER)


def test_record_is_posted_as_json_with_the_event_and_the_job(receiver: Receiver) -> None:
    assert send(f"{receiver.url}/hook?token=a%20b", b'{"id": 1}') == Attempt()
    ((path, headers, body),) = receiver.requests
    assert (path, body) == ("/hook?token=a%20b", b'{"id": 1}')
    assert headers["Content-Type"] == "application/json"
    assert (headers["X-Atelierd-Event"], headers["X-Atelierd-Delivery"]) == ("done", "j1")
    assert abs(int(headers["X-Atelierd-Timestamp"]) - time.time()) < 60
    assert "X-Atelierd-Signature" not in headers


def test_address_without_a_path_is_asked_for_its_root(receiver: Receiver) -> None:
    assert send(receiver.url) == Attempt()
    assert receiver.requests[0][0] == "/"


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (302, True),
        (400, False),
        (404, False),
        (408, True),
        (410, False),
        (429, True),
        (500, True),
        (503, True),
    ],
)
def test_answer_that_is_no_success_tells_whether_to_try_again(
    receiver: Receiver, status: int, again: bool
) -> None:
    receiver.answers = [status]
    ended = send(receiver.url)
    assert ended.fault.startswith(f"answered {status}") and ended.again is again


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    assert "redirects are not followed" in send(f"{receiver.url}/hook").fault
    assert [path for path, _, _ in receiver.requests] == ["/hook"]


def test_address_where_nobody_listens_is_tried_again(port: int) -> None:
    assert send(f"http://127.0.0.1:{port}/") == Attempt(
        "[Errno 111] Connection refused", again=True
    )


@pytest.mark.parametrize("host", ["a..b", "gone.invalid"])
def test_host_that_cannot_be_found_is_a_failure(host: str) -> None:
    ended = send(f"http://{host}/")
    assert ended.fault and ended.again


def test_address_that_never_answers_is_given_up_in_time(silent: str) -> None:
    assert send(silent, timeout_s=0.2) == Attempt("did not answer within 0.2 s", again=True)


def test_answer_that_drips_is_given_up_in_time_too() -> None:
    done = threading.Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            while not done.wait(0.02):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip)
        thread.start()
        ended = send(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout_s=0.3)
        done.set()
        thread.join()
    assert ended.fault == "did not answer within 0.3 s"


def test_answer_in_no_known_tongue_is_told_in_one_line() -> None:
    def babble() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"\x1b[2J no HTTP\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=babble)
        thread.start()
        ended = send(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert "no HTTP" in ended.fault and ended.fault.isprintable()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, and its key in the same file."""
    if not shutil.which("openssl"):
        pytest.skip("needs the program openssl")
    path = tmp_path / "certificate.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            path.with_suffix(".key"),
            "-out",
            path,
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + path.with_suffix(".key").read_bytes())
    return path


def test_https_is_spoken_with_those_whose_certificate_is_trusted_only(
    receiver: Receiver, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.encrypt(certificate)
    address = receiver.url.replace("http:", "https:")
    refused = send(f"{address}/hook")
    assert "certificate verify failed" in refused.fault and refused.again
    assert receiver.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert send(f"{address}/hook", b'{"id": 1}') == Attempt()
    assert [body for _, _, body in receiver.requests] == [b'{"id": 1}']


def test_signature_is_the_hmac_of_time_and_body(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"  between us \n")
    headers = headers_of("done", "j1", b"{}", tmp_path / "secret")
    signed = headers["X-Atelierd-Timestamp"].encode() + b".{}"
    expected = hmac.new(b"between us", signed, hashlib.sha256).hexdigest()
    assert headers["X-Atelierd-Signature"] == f"sha256={expected}"


def test_check_that_the_reference_shows_takes_our_signature_and_no_other(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs/reference.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?def is_genuine.*?)```", text, re.DOTALL)
    shown: dict[str, Any] = {}
    exec(snippet, shown)
    (tmp_path / "secret").write_bytes(b"s3cret\n")
    headers = headers_of("done", "j1", b"{}", tmp_path / "secret")
    assert shown["is_genuine"](headers, b"{}", b"s3cret")
    assert not shown["is_genuine"](headers, b"{ }", b"s3cret")
    assert not shown["is_genuine"](headers, b"{}", b"another")
    old = headers | {"X-Atelierd-Timestamp": str(int(time.time()) - 3600)}
    assert not shown["is_genuine"](old, b"{}", b"s3cret")


# The thread


def hooks_of(*on_done: dict[str, Any]) -> Hooks:
    return Hooks.model_validate({"on_done": list(on_done)})


def end(runner: HookRunner, grace_s: float) -> None:
    """Stops a runner, whose hook at hand may end within that time."""
    runner.stop()
    runner.join(grace_s)


@pytest.fixture
def started() -> Iterator[Callable[..., HookRunner]]:
    """Starts runners on the given hooks, and stops them after the test."""
    runners: list[HookRunner] = []

    def start(*on_done: dict[str, Any]) -> HookRunner:
        runners.append(HookRunner(hooks_of(*on_done)))
        runners[-1].start()
        return runners[-1]

    yield start
    for runner in runners:
        end(runner, 0.0)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "FIRST_PAUSE_S", 0.001)


def offer(runner: HookRunner, notice_id: str = "j1", event: Event = Event.DONE) -> bool:
    return runner.offer(event, notice_id, RECORD, {"ATELIERD_JOB": notice_id})


def ended(runner: HookRunner, *ids: str) -> None:
    """Waits until these have ended."""
    wait_for("the hooks", lambda: [one.id for one in runner.finished()] == list(ids))


def shell(text: str, **keys: Any) -> dict[str, Any]:
    return {"command": ["/bin/sh", "-c", text], **keys}


def test_what_is_offered_is_told_in_order_and_lies_ready_until_it_is_forgotten(
    started: Callable[..., HookRunner], tmp_path: Path, lines: list[str]
) -> None:
    runner = started(shell(f"cat >> {tmp_path}/said; echo $ATELIERD_JOB"))
    assert not runner.busy and runner.finished() == []
    assert offer(runner, "j1") and offer(runner, "j2")
    ended(runner, "j1", "j2")
    assert (tmp_path / "said").read_text() == 2 * json.dumps(RECORD)
    assert runner.busy and runner.holds("j1")
    runner.forget("j1")
    assert not runner.holds("j1")
    assert [one.id for one in runner.finished()] == ["j2"]
    runner.forget("j2")
    assert not runner.busy
    assert "INFO hook /bin/sh (done j1): j1\n" in lines
    assert sum("told in" in line for line in lines) == 2


def test_what_is_held_is_not_taken_a_second_time(
    started: Callable[..., HookRunner], tmp_path: Path
) -> None:
    runner = started(shell(f"echo told >> {tmp_path}/said"))
    assert offer(runner) and offer(runner)
    ended(runner, "j1")
    assert offer(runner)
    assert (tmp_path / "said").read_text() == "told\n"
    runner.forget("j1")
    assert offer(runner)
    ended(runner, "j1")
    assert (tmp_path / "said").read_text() == "told\ntold\n"


def test_only_so_much_is_taken_at_once(started: Callable[..., HookRunner]) -> None:
    runner = started(shell(f"exec sleep {ENDLESS_S}"))
    assert all(offer(runner, f"j{number}") for number in range(MOST_IN_FLIGHT))
    assert not offer(runner, "one more")
    assert offer(runner, "j0") and not runner.holds("one more")


def test_hook_that_fails_is_a_warning_and_the_next_hook_has_its_turn(
    started: Callable[..., HookRunner], tmp_path: Path, lines: list[str]
) -> None:
    runner = started(shell("exit 3"), shell(f"echo $ATELIERD_JOB >> {tmp_path}/said"))
    offer(runner, "0123456789abcdef")
    offer(runner, "j2")
    ended(runner, "0123456789abcdef", "j2")
    assert (tmp_path / "said").read_text() == "0123456789abcdef\nj2\n"
    assert "WARNING hook /bin/sh (done 01234567): failed: ended with exit code 3\n" in lines


def test_what_a_command_says_cannot_break_the_log(
    started: Callable[..., HookRunner], lines: list[str]
) -> None:
    runner = started(shell(r"printf '\033[2J{0}<red>\a\n\n \377\0end'"))
    offer(runner)
    ended(runner, "j1")
    said = [line for line in lines if "told in" not in line]
    assert said == [
        "INFO hook /bin/sh (done j1): \\x1b[2J{0}<red>\\x07\n",
        "INFO hook /bin/sh (done j1):  \ufffd\\x00end\n",
    ]


def test_output_that_was_cut_is_said_to_be(
    started: Callable[..., HookRunner], lines: list[str]
) -> None:
    runner = started(shell("head -c 100000 /dev/zero"))
    offer(runner)
    ended(runner, "j1")
    assert any("said more than the 65536 bytes" in line for line in lines)


@pytest.mark.usefixtures("hasty")
def test_address_is_tried_again_after_growing_pauses(
    started: Callable[..., HookRunner], receiver: Receiver, lines: list[str]
) -> None:
    receiver.answers = [500, 429, 302]
    runner = started({"url": f"{receiver.url}/hook?token=secret"})
    offer(runner)
    ended(runner, "j1")
    assert [body for _, _, body in receiver.requests] == 4 * [json.dumps(RECORD).encode()]
    pauses = [line.split("again in ")[1] for line in lines if "again in" in line]
    assert pauses == ["0.001 s\n", "0.002 s\n", "0.004 s\n"]
    assert lines[-1].startswith(f"INFO hook {receiver.url}/hook (done j1): told in")
    assert "secret" not in "".join(lines)


@pytest.mark.usefixtures("hasty")
def test_address_that_refuses_for_good_is_asked_once_and_one_that_fails_as_often_as_said(
    started: Callable[..., HookRunner], receiver: Receiver, lines: list[str]
) -> None:
    receiver.answers = [404, 500, 500, 500]
    runner = started({"url": f"{receiver.url}/gone"}, {"url": f"{receiver.url}/ill", "retries": 2})
    offer(runner)
    ended(runner, "j1")
    assert [path for path, _, _ in receiver.requests] == ["/gone", "/ill", "/ill", "/ill"]
    warnings = [line.partition(": ")[2] for line in lines if line.startswith("WARNING")]
    assert warnings == ["failed: answered 404\n", "failed: answered 500\n"]


def test_record_is_signed_with_the_secret_as_it_is_now(
    started: Callable[..., HookRunner], receiver: Receiver, tmp_path: Path, lines: list[str]
) -> None:
    secret = tmp_path / "secret"
    runner = started({"url": receiver.url, "secret_file": str(secret)})
    offer(runner, "without")
    ended(runner, "without")
    assert receiver.requests == []  # unsigned it is not sent at all
    assert f"its secret {secret} cannot be used: No such file or directory" in lines[-1]
    secret.touch()
    offer(runner, "empty")
    ended(runner, "without", "empty")
    assert receiver.requests == [] and "is empty" in lines[-1]
    secret.write_text("now")
    offer(runner, "with")
    ended(runner, "without", "empty", "with")
    ((_, headers, body),) = receiver.requests
    signed = headers["X-Atelierd-Timestamp"].encode() + b"." + body
    expected = hmac.new(b"now", signed, hashlib.sha256).hexdigest()
    assert headers["X-Atelierd-Signature"] == f"sha256={expected}"


def test_stopping_leaves_what_has_not_begun(
    started: Callable[..., HookRunner], tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    runner = started(shell(f"echo $ATELIERD_JOB >> {tmp_path}/said; cat {fifo}"))
    for job in ("j1", "j2"):
        offer(runner, job)
    wait_for("the first hook", (tmp_path / "said").exists)
    runner.stop()
    with fifo.open("w"):  # the command ends within its grace
        pass
    runner.join(60.0)
    assert [one.id for one in runner.finished()] == ["j1"]
    assert (tmp_path / "said").read_text() == "j1\n"
    assert not offer(runner, "j3")


def test_stopping_ends_a_command_that_takes_longer_and_it_counts_as_untold(
    started: Callable[..., HookRunner], tmp_path: Path
) -> None:
    runner = started(
        shell(
            f"echo $$ > {tmp_path}/making; mv {tmp_path}/making {tmp_path}/pid; "
            f"exec sleep {ENDLESS_S}"
        )
    )
    offer(runner)
    wait_for("the command", (tmp_path / "pid").exists)
    end(runner, 0.0)
    assert runner.finished() == [] and runner.holds("j1")
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_stopping_does_not_wait_for_an_address_that_is_silent(
    started: Callable[..., HookRunner], silent: str
) -> None:
    runner = started({"url": silent, "timeout_s": ENDLESS_S})
    offer(runner)
    end(runner, 0.05)  # else it would wait for a quarter of an hour
    assert runner.finished() == []


def test_stopping_does_not_wait_for_the_next_try(
    started: Callable[..., HookRunner],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
) -> None:
    monkeypatch.setattr(runner_module, "FIRST_PAUSE_S", float(ENDLESS_S))
    receiver.answers = [500]
    runner = started({"url": receiver.url})
    offer(runner)
    wait_for("the pause", lambda: any("again in" in line for line in lines))
    end(runner, 60.0)
    assert runner.finished() == [] and len(receiver.requests) == 1


def test_changed_hooks_are_obeyed_from_the_next_notice_on(
    started: Callable[..., HookRunner], tmp_path: Path
) -> None:
    runner = started(shell(f"echo old >> {tmp_path}/said"))
    offer(runner, "j1")
    ended(runner, "j1")
    runner.change(hooks_of(shell(f"echo new >> {tmp_path}/said")))
    offer(runner, "j2")
    ended(runner, "j1", "j2")
    assert (tmp_path / "said").read_text() == "old\nnew\n"


def test_bug_in_a_hook_does_not_end_the_thread(
    started: Callable[..., HookRunner], monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    def stumble(*_: object, **__: object) -> Attempt:
        raise RuntimeError("a bug")

    monkeypatch.setattr(runner_module, "run_command", stumble)
    runner = started(shell("exit 0"))
    offer(runner, "j1")
    offer(runner, "j2")
    ended(runner, "j1", "j2")
    assert "ERROR the hooks stumbled; they go on" in lines[0] and "a bug" in lines[0]


def test_hook_that_stumbles_keeps_no_other_from_its_turn(
    monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    tried: list[str] = []

    def stumble(arguments: list[str], *_: object, **__: object) -> Attempt:
        tried.append(arguments[0])
        if arguments[0] == "first":
            raise RuntimeError("can't start new thread")
        return Attempt()

    monkeypatch.setattr(runner_module, "run_command", stumble)
    hooks = Hooks.model_validate({"on_done": [{"command": ["first"]}, {"command": ["second"]}]})
    counted: list[str] = []
    runner = HookRunner(hooks, lambda event, outcome: counted.append(outcome))
    runner._deliver(runner_module.Notice(Event.DONE, "j1", b"{}", {}))
    assert tried == ["first", "second"]
    assert counted == ["failed", "fine"]
    assert any("can't start new thread" in line for line in lines)


def test_hooks_that_no_thread_can_be_had_for_wait_until_there_is_one(no_threads: None) -> None:
    runner = HookRunner(Hooks())
    runner.start()
    assert not runner.offer(Event.DONE, "j1", {}, {})
    end(runner, 0.0)
