"""A small atelier of its own for each test: folders, presets, and the real command.

Everything runs for real: the installed command, its children, the ledger, the network at a
size where a step takes milliseconds. Waiting is always for a condition, with a deadline.
"""

import contextlib
import errno
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import skimage.data
import yaml
from PIL import Image, ImageDraw

from daemon.config import Config, load_config
from daemon.errors import SurroundingsError
from daemon.health import Health
from daemon.intake.loop import IntakeLoop, Pace
from daemon.intake.owner import OWNER_PREFIX
from daemon.job import Job, State
from daemon.ledger.store import Ledger

Found = TypeVar("Found")

COMMAND = Path(sys.executable).with_name("atelierd")
ENDLESS_STEPS = 100_000
PATIENCE_S = 90.0
TIMINGS: Path | None = None
"""Where the trial of arithmetic is kept from one state folder to the next, if anywhere."""

SETTINGS: dict[str, Any] = {
    "inbox": "inbox",
    "outbox": "outbox",
    "presets": "presets",
    "state": "state",
    "settle_s": 0.2,
    "settle_give_up_s": 0.5,
    "sidecar_wait_s": 0.3,
    "scan_s": 1.0,
    "devices": "cpu",
    "dedupe": False,  # most tests drop the same photograph again and again
    "limits": {"free_bytes": 0},  # some lay folders on very small disks
}


def wait_for(what: str, look: Callable[[], Found], timeout_s: float = PATIENCE_S) -> Found:
    """What `look` finds as soon as it is true; fails naming `what` after the deadline."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(0.05)


def photograph(size_px: tuple[int, int] = (96, 72)) -> Image.Image:
    """A real photograph of the given width and height."""
    return Image.fromarray(skimage.data.astronaut()).resize(size_px)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    target = io.BytesIO()
    image.save(target, format=form, **options)
    return target.getvalue()


def draw_style(target: Path) -> None:
    """A style image: a few strong strokes."""
    image = Image.new("RGB", (64, 64), "navy")
    pen = ImageDraw.Draw(image)
    for offset in range(0, 128, 12):
        pen.line([(offset, 0), (offset - 64, 64)], fill="orange", width=4)
    image.save(target)


class Studio:
    """Folders, a configuration and presets below `root`."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.config_file = root / "config.yaml"
        self.inbox, self.outbox = root / "inbox", root / "outbox"
        self.presets, self.state = root / "presets", root / "state"
        self.presets.mkdir(parents=True)
        self.configure(**settings)
        self.add_preset("quick")

    def configure(self, **settings: Any) -> None:
        """Writes config.yaml: the usual settings, with some others."""
        self.config_file.write_text(yaml.safe_dump(SETTINGS | settings))

    @property
    def config(self) -> Config:
        return load_config(self.config_file)

    def add_preset(self, name: str, **fields: Any) -> None:
        """A preset that paints in well under a second, unless `fields` say otherwise."""
        draw_style(self.presets / f"{name}.png")
        recipe: dict[str, Any] = {"styles": [{"image": f"{name}.png"}], "size": 64, "steps": 2}
        (self.presets / f"{name}.yaml").write_text(yaml.safe_dump(recipe | fields))

    def drop(self, path: str | Path, content: bytes | None = None) -> Path:
        """Puts a whole file into the inbox at once; a photograph unless content is given."""
        target = self.inbox / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / ".dropping"
        temporary.write_bytes(encoded(photograph()) if content is None else content)
        temporary.rename(target)
        return target

    def run(
        self, *arguments: str | Path, timeout_s: float = 120.0
    ) -> "subprocess.CompletedProcess[str]":
        """One command on this configuration, to its end."""
        if arguments[0] in ("run", "stylize"):
            lend_timings(self.state / "engine")
        answer = subprocess.run(
            [COMMAND, "--config", self.config_file, *arguments],
            capture_output=True, text=True, timeout=timeout_s, cwd=self.root,
            env=environment(),
        )  # fmt: skip
        keep_timings(self.state / "engine")
        return answer

    def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        answer = self.run("status", "--json")
        assert answer.returncode == 0, answer.stderr
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def jobs(self, *states: State) -> list[Job]:
        """The ledger's jobs in these states, or in any."""
        if not self.config.ledger_path.exists():
            return []
        try:
            ledger = Ledger(self.config.ledger_path, read_only=True)
        except SurroundingsError:
            return []  # being made at this moment
        try:
            return [job for state in states or State for job in ledger.jobs_in(state)]
        except SurroundingsError:
            return []
        finally:
            ledger.close()

    def job_of(self, below: str | Path, *states: State) -> Job | None:
        """The newest job of a picture, by its path below the preset's folder."""
        found = [job for job in self.jobs(*states) if job.below == Path(below)]
        return max(found, key=lambda job: job.queued_at) if found else None

    def record(self, path: str | Path) -> dict[str, Any]:
        """A record of the outbox."""
        found: dict[str, Any] = json.loads((self.outbox / path).read_bytes())
        return found

    def published(self, preset: str, name: str) -> Path:
        """A result, once it is there."""
        result = self.outbox / preset / name
        wait_for(f"the result {result}", result.exists)
        return result

    def failure(self, preset: str, name: str) -> str:
        """The reason a picture failed for, once it and the picture are there."""
        folder = self.outbox / "failed" / preset
        wait_for(f"{name} in {folder}", (folder / name).exists)
        return (folder / f"{name}.reason.txt").read_text()

    def files(self, folder: Path) -> set[str]:
        """Every file below a folder, relative to it, but those that say whose the claims are."""
        return {
            str((Path(inner) / name).relative_to(folder))
            for inner, _, names in os.walk(folder)  # which bears folders that vanish meanwhile
            for name in names
            if not name.startswith(OWNER_PREFIX) and (Path(inner) / name).is_file()
        }

    @contextlib.contextmanager
    def service(self, *arguments: str, **variables: str) -> Iterator["Service"]:
        """A running `atelierd run`, killed at the end if it is still there.

        variables: of its environment, beside the usual ones.
        """
        service = Service(self, *arguments, **variables)
        try:
            yield service
        finally:
            service.kill()

    @contextlib.contextmanager
    def intake(self, *, settle_s: float = 0.1, give_up_s: float = 0.5) -> Iterator[IntakeLoop]:
        """The service's intake alone: the ledger fills and nothing is painted."""
        import threading

        self.inbox.mkdir(exist_ok=True)
        self.state.mkdir(exist_ok=True)
        Ledger(self.config.ledger_path).close()
        pace = Pace(settle_s=settle_s, scan_s=0.5, give_up_s=give_up_s)
        loop = IntakeLoop(self.config, pace, Health(), threading.Event())
        loop.start()
        try:
            yield loop
        finally:
            loop.stop()
            wait_for("the end of the intake", lambda: not loop.alive)


class Service:
    """A real `atelierd run` beside the test."""

    def __init__(self, studio: Studio, *arguments: str, **variables: str) -> None:
        self.studio = studio
        lend_timings(studio.state / "engine")
        self._log = studio.root / f"service-{time.monotonic_ns()}.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [COMMAND, "--config", studio.config_file, "run", *arguments],
                stdout=log, stderr=log, cwd=studio.root, env=environment() | variables,
            )  # fmt: skip
        wait_for("the service to watch", lambda: "watching" in self.log or self.ended)
        assert not self.ended, self.log

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def workers(self) -> list[int]:
        """The process ids of the children that paint."""
        return children(self.process.pid, "daemon.worker.child")

    def decoders(self) -> list[int]:
        """The process ids of the children that decode."""
        return children(self.process.pid, "daemon.intake.decode")

    def worker(self) -> int:
        """The process id of the child that paints, once there is one."""
        return wait_for("a worker", self.workers)[0]

    def live(self) -> dict[str, Any]:
        """What the service says of itself now."""
        try:
            found: dict[str, Any] = json.loads((self.studio.state / "live.json").read_text())
        except (OSError, ValueError):
            return {"running": [], "health": {}}
        return found

    def step(self, job_id: str) -> int:
        """The step of a job as the service shows it, 0 if it does not run."""
        running = [row for row in self.live()["running"] if row["id"] == job_id]
        return running[0]["step"] if running else 0

    def wait_for_step(self) -> None:
        """Returns at once when a job has taken its first step, by the log that it keeps."""
        logs = self.studio.state / "spool" / "jobs"

        def begun() -> bool:
            with contextlib.suppress(FileNotFoundError):
                return any(" step 1/" in log.read_text() for log in logs.glob("*/log"))
            return False

        wait_for("a step", begun)

    def reload(self, **settings: Any) -> None:
        """Changes config.yaml and sends SIGHUP."""
        before = self.log.count("was read anew")
        self.studio.configure(**settings)
        self.process.send_signal(signal.SIGHUP)
        wait_for("the reload", lambda: self.log.count("was read anew") > before)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """Kill -9, and waits until its children have seen it."""
        orphans = [*self.workers(), *self.decoders()]
        self.process.kill()
        self.process.wait()
        wait_for("the children to end", lambda: not any(map(is_alive, orphans)))
        keep_timings(self.studio.state / "engine")


def lend_timings(folder: Path) -> None:
    """Puts the trial that another test has made into a new state's engine folder."""
    if TIMINGS is not None and TIMINGS.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(TIMINGS, folder / "arithmetic.json")


def keep_timings(folder: Path) -> None:
    """Keeps a trial for the tests to come."""
    made = folder / "arithmetic.json"
    if TIMINGS is not None and not TIMINGS.exists() and made.exists():
        ours = TIMINGS.with_name(f"arithmetic-{os.getpid()}.json")
        shutil.copy(made, ours)
        ours.replace(TIMINGS)


def environment() -> dict[str, str]:
    """The test's environment without what would change the command; one thread a process."""
    left_out = ("ATELIERD_CONFIG", "JOURNAL_STREAM", "NOTIFY_SOCKET")
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    return kept | {"OMP_NUM_THREADS": "1"}


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children(parent: int, module: str) -> list[int]:
    """The running children of a process that were started as `python -m module`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            named = module.encode() in (entry / "cmdline").read_bytes().split(b"\0")
            if named and int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


def peak_memory_bytes(pid: int) -> int:
    """The most memory a process ever had."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


def memory_bytes(pid: int) -> int:
    """The memory a process has now."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) * 1024


def give_no_more_memory(pid: int) -> None:
    """From now on the process gets no new memory from the system: it is told so when it asks."""
    size = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert size is not None
    _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (int(size.group(1)) * 1024, hard))


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Iterator[Callable[[int], None]]:
    """Moves processes where the kernel ends whoever takes so much new memory.

    Raises OSError where control groups cannot be made: not root, or read-only in a container.
    """
    root = Path("/sys/fs/cgroup")
    first = (root / "memory").is_dir()  # version 1
    group = root / ("memory" if first else "") / f"atelierd-test-{os.getpid()}"
    if not first and "memory" not in (root / "cgroup.subtree_control").read_text().split():
        raise OSError(errno.ENOTSUP, "no memory controller", str(root))
    members = group / "cgroup.procs"

    def move(pid: int) -> None:
        members.write_text(str(pid))

    group.mkdir()
    try:
        limit = group / ("memory.limit_in_bytes" if first else "memory.max")
        limit.write_text(str(limit_bytes))
        yield move
    finally:
        wait_for("the group to be empty", lambda: not members.read_text())
        group.rmdir()


@contextlib.contextmanager
def stopped_process(pid: int) -> Iterator[None]:
    """A process that does not move, by SIGSTOP."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def shared(folder: Path, share: Path) -> Iterator[Callable[[], None]]:
    """`share`, a disk of its own, mounted on `folder` too; gives what takes it away again."""
    with mounted(share, "size=16m"), contextlib.ExitStack() as later:
        folder.mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", share, folder], check=True)
        later.callback(subprocess.run, ["umount", "-l", folder], check=False)
        yield lambda: subprocess.run(["umount", "-l", folder], check=True) and None


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A tmpfs on `folder`, where the tests may mount."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def may_mount() -> bool:
    """Whether this user may mount here (root outside of a locked container)."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "tmpfs", folder]
        try:
            done = subprocess.run(command, capture_output=True)
        except FileNotFoundError:
            return False
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0
