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
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import skimage.data
import yaml
from PIL import Image, ImageDraw

from daemon.engine.vgg.timings import Trial, keep_trial, kept_trials, timings_file
from daemon.errors import SurroundingsError
from daemon.host import files
from daemon.intake.loop import IntakeLoop, Pace
from daemon.job import Job, State
from daemon.ledger.store import Ledger
from daemon.settings.config import Config, load_config
from daemon.state.claimed import OWNER_PREFIX
from daemon.status.health import Health
from tests.support.prefork import Forked, prefork

Found = TypeVar("Found")

COMMAND = Path(sys.executable).with_name("atelierd")
PUPPET_SERVICE = Path(__file__).with_name("puppet_service.py")
WITH_PUPPETS = "workers that do not paint: for what has nothing to do with pictures"
ENDLESS_STEPS = 100_000
PATIENCE_S = 180.0
"""Only a test that fails takes so long: what is waited for is looked for all the time."""
STOP_S = 60.0
"""A service that has not ended by then hangs; its unit gives it five minutes."""
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
    "gallery": False,  # its pages in every outbox would be looked at by no test
    "dedupe": False,  # most tests drop the same photograph again and again
    "limits": {"free_bytes": 0},  # some lay folders on very small disks
}


def wait_for(
    what: str,
    look: Callable[[], Found],
    timeout_s: float = PATIENCE_S,
    *,
    seen: Callable[[], str] = str,
) -> Found:
    """What `look` finds as soon as it is true.

    After the deadline it fails, naming `what`, what the last look found, and what `seen` tells.
    Wait for what can only be true afterwards: what an earlier state satisfies is no wait at all.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline_s:
            message = f"waited {timeout_s:.0f} s in vain for {what}; last seen: {found!r}"
            raise AssertionError("\n".join(filter(None, (message, seen()))))
        time.sleep(0.05)


def photograph(size_px: tuple[int, int] = (96, 72)) -> Image.Image:
    """A real photograph of the given width and height."""
    return Image.fromarray(skimage.data.astronaut()).resize(size_px)


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    target = io.BytesIO()
    image.save(target, format=form, **options)
    return target.getvalue()


def decoded(content: bytes) -> Image.Image:
    """The picture of a file's bytes, in RGB."""
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB")


def draw_style(target: Path) -> None:
    """A style image: a few strong strokes."""
    image = Image.new("RGB", (64, 64), "navy")
    pen = ImageDraw.Draw(image)
    for offset in range(0, 128, 12):
        pen.line([(offset, 0), (offset - 64, 64)], fill="orange", width=4)
    image.save(target)


class Studio:
    """Folders, a configuration and presets below `root`.

    paints: whether its workers really do; those of tests that look at files and states are puppets.
    """

    def __init__(self, root: Path, *, paints: bool = True, **settings: Any) -> None:
        self.root = root
        self.paints = paints
        self.config_file = root / "config.yaml"
        self.inbox, self.outbox = root / "inbox", root / "outbox"
        self.presets, self.state = root / "presets", root / "state"
        self.ledger_path = self.state / "ledger.sqlite3"
        self.presets.mkdir(parents=True)
        self.configure(**settings)
        self.add_preset("quick")

    def configure(self, **settings: Any) -> None:
        """Writes config.yaml: the usual settings, with some others."""
        self.config_file.write_text(yaml.safe_dump(SETTINGS | settings))

    @property
    def config(self) -> Config:
        return load_config(self.config_file)

    @property
    def program(self) -> Path:
        """The file that is run as a command."""
        return COMMAND if self.paints else PUPPET_SERVICE

    def command(self, *arguments: str | Path) -> list[str | Path]:
        """The words of a command on this configuration."""
        safely = [] if self.paints else [sys.executable, "-P"]
        return [*safely, self.program, "--config", self.config_file, *arguments]

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
        self, *arguments: str | Path, timeout_s: float = 2 * PATIENCE_S
    ) -> "subprocess.CompletedProcess[str]":
        """One command on this configuration, to its end."""
        if self.paints and arguments[0] in ("run", "stylize"):
            lend_timings(self.state / "engine")
        with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
            started = self.start(arguments, said, errors)
            try:
                code = started.wait(timeout_s)
            except subprocess.TimeoutExpired as error:
                started.kill()
                errors.seek(0)
                error.add_note(errors.read()[-4000:])
                raise
            finally:
                keep_timings(self.state / "engine")
            texts = []
            for file in (said, errors):
                file.seek(0)
                texts.append(file.read())
            return subprocess.CompletedProcess(arguments, code, *texts)

    def start(
        self, arguments: Sequence[str | Path], said: IO[str], errors: IO[str], **variables: str
    ) -> "subprocess.Popen[bytes] | Forked":
        """One command on this configuration. variables: of its environment, beside the usual."""
        own = environment() | variables
        if not self.paints and (forking := prefork()).suits(own):
            words = ["--config", self.config_file, *arguments]
            return forking.start(words, cwd=self.root, environment=own, said=said, errors=errors)
        return subprocess.Popen(
            self.command(*arguments), stdout=said, stderr=errors, cwd=self.root, env=own
        )

    def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        answer = self.run("status", "--json")
        assert answer.returncode == 0, answer.stderr
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def jobs(self, *states: State) -> list[Job]:
        """The ledger's jobs in these states, or in any; none where there is no ledger.

        A ledger that cannot be read now, as while it is being made, is waited for: taken for an
        empty one it would satisfy whoever waits for a job to be gone.
        """

        def look() -> list[list[Job]]:
            with contextlib.suppress(SurroundingsError):
                with contextlib.closing(Ledger(self.ledger_path, read_only=True)) as ledger:
                    return [ledger.jobs_in(state) for state in states or State]
            return []

        if not self.ledger_path.exists():
            return []
        return [job for found in wait_for("a ledger that can be read", look) for job in found]

    def job_of(self, below: str | Path, *states: State) -> Job | None:
        """The newest job of a picture, by its path below the preset's folder."""
        found = [job for job in self.jobs(*states) if job.below == Path(below)]
        return max(found, key=lambda job: job.queued_at) if found else None

    def record(self, path: str | Path) -> dict[str, Any]:
        """A record of the outbox."""
        found: dict[str, Any] = json.loads((self.outbox / path).read_bytes())
        return found

    def published(self, preset: str, name: str) -> Path:
        """A result, once the ledger knows it is there; the original comes later."""
        result = self.outbox / preset / name
        outputs = {f"{preset}/{name}", files.printable(f"{preset}/{name}")}

        def done() -> bool:
            done = self.jobs(State.DONE) if result.exists() else []
            return any(job.outputs.result in outputs for job in done)

        wait_for(f"the result {result}", done, seen=self.seen)
        return result

    def failure(self, preset: str, name: str) -> str:
        """The reason a picture failed for, once that and the picture are filed for good."""
        folder = self.outbox / "failed" / preset
        wait_for(f"{name} in {folder}", (folder / name).exists, seen=self.seen)
        wait_for(f"{name} to be filed", lambda: not self.unfiled(name), seen=self.seen)
        return (folder / f"{name}.reason.txt").read_text()

    def unfiled(self, name: str = "") -> list[Path]:
        """The pictures, of that name or any, that are claimed and not filed yet."""
        with contextlib.closing(sqlite3.connect(self.ledger_path)) as ledger:
            rows = ledger.execute("SELECT path FROM picture WHERE state <> 'filed'").fetchall()
        paths = [Path(os.fsdecode(path)) for (path,) in rows]
        return [path for path in paths if name in ("", path.name)]

    def seen(self) -> str:
        """What there is to be seen of a service, for a test that has waited in vain."""
        logs = sorted(self.root.glob("service-*.log"), key=lambda log: log.stat().st_mtime)
        said = logs[-1].read_text()[-4000:] if logs else "nothing"
        live = self.state / "live.json"
        shown = live.read_text() if live.exists() else "nothing"
        listed = ", ".join(f"{job.below} {job.state}" for job in self.jobs())
        return f"jobs: {listed or 'none'}\nlive: {shown}\nthe last service said: {said}"

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
        except BaseException as error:
            error.add_note(self.seen())
            raise
        finally:
            service.kill()

    @contextlib.contextmanager
    def intake(
        self,
        *,
        settle_s: float = 0.1,
        give_up_s: float = 0.5,
        on_scan: Callable[[float], object] = lambda _: None,
    ) -> Iterator[IntakeLoop]:
        """The service's intake alone: the ledger fills and nothing is painted.

        on_scan: told of every look at the inbox that nothing stood in the way of.
        """
        import threading

        self.inbox.mkdir(exist_ok=True)
        self.state.mkdir(exist_ok=True)
        Ledger(self.ledger_path).close()
        pace = Pace(settle_s=settle_s, scan_s=0.5, give_up_s=give_up_s)
        intake = IntakeLoop(
            self.config, lambda _: pace, Health(), threading.Event(), on_scan=on_scan
        )
        intake.start()
        try:
            yield intake
        finally:
            intake.stop()
            wait_for("the end of the intake", lambda: not intake.loop.alive)


class Service:
    """A real `atelierd run` beside the test."""

    def __init__(self, studio: Studio, *arguments: str, **variables: str) -> None:
        self.studio = studio
        if studio.paints:
            lend_timings(studio.state / "engine")
        self._log = studio.root / f"service-{time.monotonic_ns()}.log"
        with self._log.open("w") as log:
            self.process = studio.start(["run", *arguments], log, log, **variables)
        try:
            wait_for("the service to watch", lambda: "watching" in self.log or self.ended)
            assert not self.ended, self.log
        except BaseException:
            self.kill()
            raise

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
        """What this service, and none before it, says of itself now; nothing before its first word.

        So whoever waits for the end of a trouble does not take silence for it.
        """
        nothing = {"pid": None, "running": [], "health": {"live.json": "not written yet"}}
        try:
            found: dict[str, Any] = json.loads((self.studio.state / "live.json").read_text())
        except (OSError, ValueError):
            return nothing
        return found if found["pid"] == self.process.pid else nothing

    def wait_for_health(self) -> None:
        """Returns when the service tells of no trouble."""
        wait_for("health", lambda: self.live()["health"] == {}, seen=self.studio.seen)

    def wait_for_trouble(self, part: str) -> str:
        """What the service says is wrong with that part, as soon as it does."""
        told = lambda: self.live()["health"].get(part)  # noqa: E731
        return str(wait_for(f"a trouble of {part}", told, seen=self.studio.seen))

    def step(self, job_id: str) -> int:
        """The step of a job as the service shows it, 0 if it does not run."""
        running = [row for row in self.live()["running"] if row["id"] == job_id]
        return running[0]["step"] if running else 0

    def wait_for_step(self, *, start: int = 1) -> str:
        """The text of a job's log as soon as it has taken a step in its `start`th start.

        Of jobs of one pass each of whose starts left a checkpoint, where it is not the first.
        """
        logs = self.studio.state / "spool" / "jobs"

        def begun() -> str:
            with contextlib.suppress(FileNotFoundError):
                for log in logs.glob("*/log"):
                    if self._has_stepped(log.parent.name, text := log.read_text(), start):
                        return text
            return ""

        return wait_for(f"a step of start {start}", begun, seen=self.studio.seen)

    def _has_stepped(self, job_id: str, text: str, start: int) -> bool:
        """Whether a job has taken a step in that start. text: its log.

        What the worker says may stand before the service's own word on the start.
        """
        if start == 1:
            return " step 1/" in text
        resumed = re.findall(r"goes on after step (\d+) of pass", text)
        return len(resumed) >= start - 1 and self.step(job_id) > int(resumed[-1])

    def reload(self, **settings: Any) -> None:
        """Changes config.yaml and sends SIGHUP."""
        before = self.log.count("was read anew")
        self.studio.configure(**settings)
        self.process.send_signal(signal.SIGHUP)
        count = lambda: self.log.count("was read anew")  # noqa: E731
        wait_for("the reload", lambda: count() > before, seen=self.studio.seen)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_S)

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
    """Keeps a trial for the tests to come, and as if it had been undisturbed, which it was not."""
    if TIMINGS is None or TIMINGS.exists():
        return
    for machine, trial in kept_trials(folder).items():
        ours = TIMINGS.with_name(f"arithmetic-{os.getpid()}")
        keep_trial(ours, machine, Trial(trial.seconds, others=0.0))
        timings_file(ours).replace(TIMINGS)


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


def has_open(pids: Iterable[int], name: str) -> bool:
    """Whether one of these processes has a file of that name open."""
    for pid in pids:
        with contextlib.suppress(OSError):  # it, or the file, is gone
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                if handle.readlink().name == name:
                    return True
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
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "tmpfs", folder]
        try:
            done = subprocess.run(command, capture_output=True)
        except FileNotFoundError:
            return False
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0
