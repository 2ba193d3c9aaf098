"""A service on small disks of its own, and what can happen to it while people drop pictures."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from daemon.job import Job, State
from tests.support import past
from tests.support.atelier import (
    Service,
    Studio,
    children,
    is_alive,
    may_mount,
    mounted,
    wait_for,
)
from tests.support.mounts import odd_mount, why_no_fuse

Choice = TypeVar("Choice")
SMALL_DISK = "size=96m"
AT_FDCWD, RENAME_EXCHANGE = -100, 2
PATIENT: Mapping[str, object] = {
    "settle_give_up_s": 6.0,
    "sidecar_wait_s": 4.0,
    "checkpoint_every": 0.5,
    "dedupe": True,
}
HARMLESS: Sequence[Mapping[str, object]] = (
    {"settle_s": 0.4, "scan_s": 0.5},
    {"checkpoint_every": 1.0},  # the workers are replaced
    {"log_level": "DEBUG", "settle_give_up_s": 5.0},
    {"limits": {"free_bytes": 0, "waiting": 5}},
    {},
)
REFUSAL = "the configuration is wrong, the old one stays"
WRONG = ("settel_s: 1\n", "inbox: [\n", "checkpoint_every: often\n")


HOURS = (-72, -26, -1, 1, 25, 24 * 40)
COMPILER = shutil.which("cc")


@dataclass(frozen=True)
class Odd:
    """Which side lies on an odd file system, `inbox` or `outbox`, and its habits."""

    side: str
    habits: tuple[str, ...]


@dataclass(frozen=True)
class Disturbance:
    """Something that happens once.

    after: the share of all jobs that are over by then.  delay_s: how long after that moment.
    lasts_s: how long, where it lasts.  killed: whether the service is killed meanwhile.
    pick: 0 to 1, which of several.
    """

    kind: str
    after: float
    delay_s: float
    lasts_s: float
    killed: bool
    pick: float


class Stage:
    """A studio whose service can be disturbed. `inbox_there` is held while its inbox is not.

    second: one that shares inbox, outbox and presets, and has a state folder of its own.  places:
    settings where the services see inbox and outbox elsewhere than those who drop and look.
    """

    def __init__(
        self, studio: Studio, second: Studio, *, mounts: bool, places: Mapping[str, object]
    ) -> None:
        self.studio = studio
        self.mounts = mounts
        self.disk = studio.root / "disk"
        """Where the outbox's disk is mounted."""
        self.places = places
        self.clock = studio.root / "clock"
        self.variables = clock_variables(self.clock)
        self.inbox_there = threading.Lock()
        self.faults: list[str] = []
        self.second = Second(second, self.faults)
        self.refused = 0
        self.past = past.Past()
        self.service: Service | None = None

    # Starts and ends

    def start(self, *, refusal: bool = False) -> None:
        """Starts the service; with `refusal` it may refuse for what is wrong with its folders."""
        try:
            self.service = Service(self.studio, **self.variables)
        except AssertionError as error:
            if not refusal:
                raise
            assert not str(error).startswith("waited"), "neither refused nor watched"
            self.refused += 1

    def look_after(self, *, refusal: bool = False) -> None:
        """Starts a service that is not there; one that ended by itself is a fault."""
        if self.service is not None and self.service.ended:
            code = self.service.process.returncode
            self.faults.append(f"the service ended by itself with {code}:\n{self.service.log}")
            self.service = None
        if self.service is None:
            self.start(refusal=refusal)
        self.second.look_after(self.variables, refusal=refusal)

    def studios(self) -> list[Studio]:
        """Those whose services have had something to do."""
        return [self.studio, *([self.second.studio] if self.second.used else [])]

    def kill_service(self) -> None:
        """Kill -9."""
        if self.service is not None:
            self.service.kill()
            self.service = None

    def stop(self) -> None:
        """SIGTERM, which must end it well."""
        if self.service is not None:
            self.faults += terminated(self.service)
            self.service = None

    def end(self) -> None:
        """Leaves no process behind, whatever has happened."""
        self.kill_service()
        self.second.kill()
        for pid in children(os.getpid(), str(self.studio.program)):
            os.kill(pid, signal.SIGKILL)

    # What happens

    def disturb(self, what: Disturbance) -> str:
        """Lets it happen, and returns what happened in words."""
        self.look_after()
        if what.kind in TROUBLES:
            with TROUBLES[what.kind](self, what):
                time.sleep(what.lasts_s / 2)
                if what.killed:
                    self.kill_service()
                self.look_after(refusal=True)
                time.sleep(what.lasts_s / 2)
            self.look_after()
            return f"{what.lasts_s:.1f} s" + (", service killed meanwhile" if what.killed else "")
        return ENDINGS[what.kind](self, what)

    def end_service(self, what: Disturbance) -> str:
        """Kill -9 of the service, which is started again after a while, or at once."""
        self.kill_service()
        pause_s = what.lasts_s if what.killed else 0.0
        time.sleep(pause_s)
        self.start()
        return f"started again after {pause_s:.1f} s"

    def end_child(self, what: Disturbance) -> str:
        """Kill -9 of a child; of the service, if it has no such child now."""
        assert self.service is not None
        pids = self.service.workers() if what.kind == KILL_WORKER else self.service.decoders()
        if not pids:
            return "no such child now; the service: " + self.end_service(what)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[0], signal.SIGKILL)
        wait_for("the end of the child", lambda: not is_alive(pids[0]))
        return f"process {pids[0]}"

    def restart(self, what: Disturbance) -> str:
        """SIGTERM, and a start."""
        self.stop()
        self.start()
        return "started again"

    def use_second(self, what: Disturbance) -> str:
        """The second service's first start; later a kill -9 or SIGTERM of it, and a start."""
        first, self.second.used = not self.second.used, True
        if not first:
            self.second.kill() if what.killed else self.second.stop()
        self.second.look_after(self.variables)
        return "started" if first else f"{'killed' if what.killed else 'stopped'}, started again"

    def jump(self, what: Disturbance) -> str:
        """The clock of all that the services start is another from now on."""
        hours = chosen(HOURS, what.pick)
        staged = self.clock.with_name("clock-next")
        staged.write_text(f"{hours * 3600}\n")
        staged.replace(self.clock)
        return f"{hours:+} hours of the true time"

    def reload(self, what: Disturbance) -> str:
        """SIGHUP after an edit that changes nothing about what is to come of anything."""
        assert self.service is not None
        settings = chosen(HARMLESS, what.pick)
        self.service.reload(**{**PATIENT, **self.places, **settings})
        return f"{settings}"

    def lose_ledger(self, what: Disturbance) -> str:
        """The ledger deleted or damaged between two starts."""
        self.kill_service() if what.killed else self.stop()
        path = self.studio.ledger_path
        ended, aside = past.ended_jobs(self.studio, path), past.damaged(path)
        way = past.lose(path, what.pick)
        self.start()
        if way not in past.DELETIONS and past.damaged(path) == aside:
            way += ", but whole again by the file beside it"
        else:
            self.past.lost += ended
        return f"{way}, service {'killed' if what.killed else 'stopped'} before"

    def cancel(self, what: Disturbance) -> str:
        """Some jobs that wait or run cancelled."""
        ids = some(self.studio.jobs(State.READY, State.RUNNING), what.pick, 3)
        self.past.asked |= set(ids)
        return self.command("cancel", *ids) if ids else "no job waits or runs"

    def retry(self, what: Disturbance) -> str:
        """Some jobs that failed or were cancelled put back; sometimes all that failed."""
        if what.killed:
            return self.command("retry", "--failed")
        ids = some(self.studio.jobs(State.FAILED, State.CANCELLED), what.pick, 3)
        return self.command("retry", *ids) if ids else "none has failed or was cancelled"

    def command(self, *words: str) -> str:
        """One command to its end; what it says. It may refuse, for a job may just have ended."""
        answer = self.studio.run(*words)
        said = (answer.stdout + answer.stderr).strip()
        if answer.returncode not in (0, 1) or "Traceback" in said:
            self.faults.append(f"{words} ended with {answer.returncode}: {said}")
        return "; ".join(said.splitlines())

    @contextlib.contextmanager
    def paused(self, what: Disturbance) -> Iterator[None]:
        """Painting paused and resumed."""
        self.command("pause")
        yield
        self.command("resume")

    @contextlib.contextmanager
    def settings_wrong(self, what: Disturbance) -> Iterator[None]:
        """SIGHUP after an edit that is wrong, which is refused, and mended later."""
        assert self.service is not None
        before = self.studio.config_file.read_text()
        service, refusals = self.service, self.service.log.count(REFUSAL)
        self.studio.config_file.write_text(before + chosen(WRONG, what.pick))
        service.process.send_signal(signal.SIGHUP)
        wait_for("the refusal", lambda: service.log.count(REFUSAL) > refusals)
        yield
        self.studio.config_file.write_text(before)

    @property
    def store(self) -> Path:
        """The same disk, mounted where it stays."""
        return self.studio.root / "store"

    @contextlib.contextmanager
    def outbox_away(self, what: Disturbance) -> Iterator[None]:
        """The outbox under another name and a file in its place, at one stroke."""
        outbox = self.store / "outbox" if self.mounts else self.studio.outbox
        other = outbox.with_name("away")
        other.write_text("in the way")
        exchange(outbox, other)
        yield
        exchange(outbox, other)
        other.unlink()

    @contextlib.contextmanager
    def outbox_read_only(self, what: Disturbance) -> Iterator[None]:
        """The outbox's disk mounted read-only, as soon as nobody writes."""

        def remounted() -> bool:
            command = ["mount", "-o", "remount,bind,ro", str(self.disk)]
            return subprocess.run(command, capture_output=True).returncode == 0

        wait_for("a moment in which nobody writes", remounted)
        yield
        subprocess.run(["mount", "-o", "remount,bind,rw", self.disk], check=True)

    @contextlib.contextmanager
    def outbox_unmounted(self, what: Disturbance) -> Iterator[None]:
        """The outbox's disk unmounted; what lies below it is empty and read-only."""
        subprocess.run(["umount", "-l", self.disk], check=True)
        yield
        subprocess.run(["mount", "--bind", self.store, self.disk], check=True)

    @contextlib.contextmanager
    def outbox_full(self, what: Disturbance) -> Iterator[None]:
        """No room on the outbox's disk."""
        with full(self.store):
            yield

    @contextlib.contextmanager
    def state_full(self, what: Disturbance) -> Iterator[None]:
        """No room on the state folder's disk."""
        with full(self.studio.state):
            yield

    @contextlib.contextmanager
    def inbox_away(self, what: Disturbance) -> Iterator[None]:
        """The inbox under another name, and nothing in its place."""
        away = self.studio.root / "inbox-away"
        with self.inbox_there:
            for emptied in sorted(away.rglob("*"), reverse=True):  # left by `_bring_back`
                emptied.rmdir()
            self.studio.inbox.rename(away)
            try:
                yield
            finally:
                self._bring_back(away)

    def _bring_back(self, away: Path) -> None:
        try:
            os.rename(away, self.studio.inbox)
        except OSError:
            # The service made a new one: a person would move the old content into it.
            for path in sorted(away.rglob("*")):
                target = self.studio.inbox / path.relative_to(away)
                if path.is_dir() and not path.is_symlink():
                    target.mkdir(exist_ok=True)
                else:
                    path.rename(target)


class Second:
    """The second service, which runs from its first use on."""

    def __init__(self, studio: Studio, faults: list[str]) -> None:
        self.studio = studio
        self.faults = faults
        self.used = False
        self.service: Service | None = None

    def look_after(self, variables: Mapping[str, str], *, refusal: bool = False) -> None:
        """Starts it if it is in use and not there; with `refusal` it may refuse."""
        if self.service is not None and self.service.ended:
            self.faults.append(f"the second service ended by itself:\n{self.service.log}")
            self.service = None
        if not self.used or self.service is not None:
            return
        try:
            self.service = Service(self.studio, **variables)
        except AssertionError as error:
            if not refusal or str(error).startswith("waited"):
                raise

    def kill(self) -> None:
        """Kill -9."""
        if self.service is not None:
            self.service.kill()
            self.service = None

    def stop(self) -> None:
        """SIGTERM, which must end it well."""
        if self.service is not None:
            self.faults += terminated(self.service)
            self.service = None


def terminated(service: Service) -> list[str]:
    """What was wrong with how a service ended on SIGTERM."""
    faults = []
    try:
        code = service.stop()
        if code != 0:
            faults.append(f"SIGTERM ended the service with {code}:\n{service.log}")
    except subprocess.TimeoutExpired:
        faults.append(f"SIGTERM did not end the service:\n{service.log}")
        service.kill()
    if running := service.studio.jobs(State.RUNNING):
        faults.append(f"SIGTERM left running: {running}")
    return faults


def clock_variables(clock: Path) -> dict[str, str]:
    """What lets a process and its children see the clock that a file tells; nothing without it.

    Not libfaketime: with a true monotonic clock Debian's 0.9.10 refuses every `time.sleep`.
    """
    if COMPILER is None:
        return {}
    clock.write_text("0\n")
    shim = clock.with_name("clock.so")
    source = Path(__file__).with_name("clock.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O2", "-o", shim, source], check=True)
    return {"LD_PRELOAD": str(shim), "ATELIERD_TEST_CLOCK": str(clock)}


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """A disk without room, for as long as nobody else frees some."""
    ballast = disk / ".ballast"
    with ballast.open("wb", buffering=0) as file:
        for block in (1 << 20, 1 << 12, 1 << 9):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(block))
    yield
    ballast.unlink()


def exchange(one: Path, other: Path) -> None:
    """Two names change places at one stroke."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(one), None, str(other))


def chosen(several: Sequence[Choice], pick: float) -> Choice:
    """One of several. pick: 0 to 1."""
    return several[int(pick * len(several))]


def some(jobs: Sequence[Job], pick: float, most: int) -> list[str]:
    """The ids of a few jobs that follow each other. pick: 0 to 1."""
    first = int(pick * len(jobs))
    return [job.id for job in jobs[first : first + most]]


CLOCK_JUMPS = "clock jumps"
KILL_SERVICE, KILL_WORKER, KILL_DECODER = "kill -9 service", "kill -9 worker", "kill -9 decoder"
KILLS = (KILL_SERVICE, KILL_WORKER, KILL_DECODER)
ENDINGS: dict[str, Callable[[Stage, Disturbance], str]] = {
    KILL_SERVICE: Stage.end_service,
    KILL_WORKER: Stage.end_child,
    KILL_DECODER: Stage.end_child,
    "SIGTERM": Stage.restart,
    "reload": Stage.reload,
    "cancel": Stage.cancel,
    "retry": Stage.retry,
    "ledger lost": Stage.lose_ledger,
    "second service": Stage.use_second,
    CLOCK_JUMPS: Stage.jump,
}
TROUBLES: dict[str, Callable[[Stage, Disturbance], AbstractContextManager[None]]] = {
    "paused": Stage.paused,
    "settings wrong": Stage.settings_wrong,
    "outbox away": Stage.outbox_away,
    "inbox away": Stage.inbox_away,
    "outbox read-only": Stage.outbox_read_only,
    "outbox unmounted": Stage.outbox_unmounted,
    "outbox full": Stage.outbox_full,
    "state full": Stage.state_full,
}
NEED_MOUNTS = ("outbox read-only", "outbox unmounted", "outbox full", "state full")
MAY_NOT_MOUNT = "may not mount"


def why_not(kind: str, stage: Stage) -> str:
    """What keeps a disturbance from happening on this machine; empty if nothing does."""
    if kind in NEED_MOUNTS and not stage.mounts:
        return MAY_NOT_MOUNT
    if kind == CLOCK_JUMPS and COMPILER is None:
        return "needs a C compiler; Debian: apt-get install gcc"
    return ""


@contextlib.contextmanager
def stage(root: Path, odd: Odd | None = None, *, paints: bool = True) -> Iterator[Stage]:
    """Folders on small disks of their own where mounting is allowed, and no service yet.

    odd: left out where it cannot be. Only the services see its habits: who drops pictures and who
    looks for results is, as with a share, at the other end.
    """
    studio, second = Studio(root, paints=paints), Studio(root / "second", paints=paints)
    with contextlib.ExitStack() as stack:
        mounts = may_mount()
        if odd is not None and (not mounts or why_no_fuse()):
            odd = None
        disk = root / "store"
        if odd is not None and odd.side == "outbox":
            disk = root / "odd"
        if mounts:
            stack.enter_context(mounted(root / "store", SMALL_DISK))
            if disk != root / "store":
                stack.enter_context(odd_mount(root / "store", disk, odd.habits if odd else ()))
            stack.enter_context(mounted(root / "disk", "ro"))
            subprocess.run(["mount", "--bind", disk, root / "disk"], check=True)
            stack.callback(subprocess.check_call, ["umount", "-l", str(root / "disk")])
            stack.enter_context(mounted(studio.state, SMALL_DISK))
        places = {"inbox": "inbox", "outbox": "disk/outbox"}
        if odd is not None and odd.side == "inbox":
            studio.inbox = root / "dropped" / "inbox"
            stack.enter_context(odd_mount(root / "dropped", root / "seen", odd.habits))
            places["inbox"] = "seen/inbox"
        studio.outbox = root / ("store" if mounts else "disk") / "outbox"
        studio.outbox.mkdir(parents=True)
        studio.inbox.mkdir()
        studio.configure(**PATIENT | places)
        shared = {name: f"../{place}" for name, place in places.items()}
        second.configure(**PATIENT | shared | {"presets": "../presets"})
        second.inbox, second.outbox = studio.inbox, studio.outbox
        made = Stage(studio, second, mounts=mounts, places=places)
        stack.callback(made.end)
        yield made
