"""Bytes that the service writes for a picture, process by process, and while it idles.

    python bench/disk.py [PICTURES] [--size 64] [--steps 20] [--side 1024] [--idle-s 60]

A real `atelierd run` on folders of its own. Of each process: what it gave to be written, less what
was removed before the disk had it (/proc/PID/io). Of the disk: what was really written there, with
the file system's own journal, and by everybody else too.
"""

import argparse
import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml
from PIL import Image
from table import print_row

from daemon.job import State
from daemon.ledger.store import Ledger
from daemon.outbox.gallery import places

ROOT = Path(__file__).parent.parent
NIGHT_S = 8 * 3600
SECTOR_BYTES = 512
MODULES = {
    "daemon.worker.child": "worker",
    "daemon.intake.decode": "decoder",
    "daemon.outbox.gallery.child": "gallery",
}
PATIENCE_S = 3600.0


@contextlib.contextmanager
def service(folder: Path, size: int, steps: int) -> Iterator[int]:
    """A running service on folders of its own; its process id."""
    presets = folder / "presets"
    presets.mkdir()
    shutil.copy(ROOT / "presets" / "starry.jpg", presets)
    recipe = {"styles": [{"image": "starry.jpg"}], "size": size, "steps": steps}
    (presets / "starry.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "config.yaml").write_text("settle_s: 0.5\n")
    kept = ROOT / "state" / "engine" / "arithmetic.json"  # or the trial's file is counted, too
    if kept.exists():
        (folder / "state" / "engine").mkdir(parents=True)
        shutil.copy(kept, folder / "state" / "engine")
    command = [sys.executable, "-m", "daemon", "--config", str(folder / "config.yaml"), "run"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: (folder / "inbox" / "starry").is_dir())
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)


def until(look: Callable[[], object]) -> None:
    """Returns once `look` is true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not look():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"nothing has come of it in {PATIENCE_S:.0f} s")
        time.sleep(0.2)


def children(pid: int) -> Iterator[str]:
    """The ids of a process's children; each is told of by the thread that started it."""
    for told in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended
            yield from told.read_text().split()


def family(pid: int) -> dict[str, list[int]]:
    """The service and its children by what they do."""
    found = {"service": [pid]}
    for child in children(pid):
        words: list[str] = []
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        for module, name in MODULES.items():
            if module in words:
                found.setdefault(name, []).append(int(child))
    return found


def written_by(pid: int) -> int:
    """Bytes that a process has had written, less what was removed before."""
    told = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(told["write_bytes"]) - int(told["cancelled_write_bytes"])


class Account:
    """What the service and its children have had written, those that have ended too.

    It has to be looked at again and again: what a child writes in its last fifth of a second is
    not counted.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen: dict[tuple[str, int], int] = {}

    def look(self) -> None:
        """Notes what each has had written until now."""
        for name, pids in family(self._pid).items():
            for pid in pids:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    self._seen[name, pid] = written_by(pid)

    def totals(self) -> dict[str, int]:
        """The bytes by what the processes do."""
        self.look()
        found: dict[str, int] = {}
        for (name, _), count in self._seen.items():
            found[name] = found.get(name, 0) + count
        return found


def disk_bytes(folder: Path) -> int | None:
    """Bytes that were written to the disk of a folder, by everybody; None where it has none."""
    os.sync()
    device = folder.stat().st_dev
    stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    return int(stat.read_text().split()[6]) * SECTOR_BYTES if stat.exists() else None


def drop(inbox: Path, numbers: range, side: int) -> int:
    """Drops photographs of one size that all differ; their bytes."""
    total = 0
    for number in numbers:
        image = Image.open(ROOT / "docs" / "images" / ("rocket.jpg", "chelsea.jpg")[number % 2])
        image = image.crop((number, number, image.width, image.height)).resize(
            (side, side * 3 // 4)
        )
        target = io.BytesIO()
        image.save(target, "JPEG", quality=90)
        waiting = inbox / f".picture-{number}"
        waiting.write_bytes(target.getvalue())
        waiting.rename(inbox / "starry" / name_of(number))
        total += target.tell()
    return total


def name_of(number: int) -> str:
    return f"picture-{number:05}.jpg"


def paint(folder: Path, numbers: range, side: int, account: Account) -> tuple[int, int]:
    """Has pictures painted to their end; the bytes of the photographs and of the results."""
    dropped = drop(folder / "inbox", numbers, side)
    ledger_path, pages = folder / "state" / "ledger.sqlite3", folder / "outbox" / places.PICTURES
    with contextlib.closing(Ledger(ledger_path, read_only=True)) as ledger:

        def all_there() -> bool:
            account.look()
            done = ledger.counts()[State.DONE] >= numbers.stop and not ledger.open_pictures()
            return done and len(list(pages.glob("*/*.html"))) >= numbers.stop

        until(all_there)
    time.sleep(2.0)  # the last of the gallery's pages leads to the one before
    results = (folder / "outbox" / "starry" / name_of(number) for number in numbers)
    return dropped, sum(one.stat().st_size for one in results)


def difference(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """What has come, by what it is of."""
    return {name: value - before.get(name, 0) for name, value in after.items()}


def in_words(kilobytes: float) -> str:
    return f"{kilobytes:.0f} kB" if kilobytes < 10_000 else f"{kilobytes / 1000:.1f} MB"


def report(folder: Path, pid: int, count: int, side: int) -> None:
    """Paints, and prints what was written for it."""
    account = Account(pid)
    paint(folder, range(1), side, account)  # what is written once: styles, the gallery's frame
    before, disk = account.totals(), disk_bytes(folder)
    dropped, results = paint(folder, range(1, count + 1), side, account)
    came, whole = difference(account.totals(), before), disk_bytes(folder)
    for name, value in came.items():
        print(f"{name:<12}{in_words(value / count / 1000):>10} a picture")
    least = (
        f"photograph {in_words(dropped / count / 1000)}, result {in_words(results / count / 1000)}"
    )
    print(f"{'in all':<12}{in_words(sum(came.values()) / count / 1000):>10} a picture; {least}")
    on_disk = ""
    if disk is not None and whole is not None:
        on_disk = f"; on the disk, with others, {in_words((whole - disk) / count / 1000)}"
        print(f"{'the disk':<12}{in_words((whole - disk) / count / 1000):>10} a picture")
    what = "written for a picture"
    print_row(what, in_words(sum(came.values()) / count / 1000), f"{least}{on_disk}")


def idle(pid: int, seconds: float) -> None:
    """Lets the service idle, and prints what it writes in a night so."""
    time.sleep(25.0)  # until the process that writes the gallery has gone
    account = Account(pid)
    before = account.totals()
    time.sleep(seconds)
    came = sum(difference(account.totals(), before).values())
    night = in_words(came / seconds * NIGHT_S / 1000)
    print(f"idle        {in_words(came / 1000)} in {seconds:.0f} s")
    print_row("written by an idle service in a night of 8 h", night)


def main() -> None:
    """Prints both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="?", type=int, default=20)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--side", type=int, default=1024, help="of the photographs, in px")
    parser.add_argument("--idle-s", type=float, default=60.0)
    options = parser.parse_args()
    (ROOT / "state").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "state") as name:  # a disk, which /tmp may not be
        folder = Path(name)
        with service(folder, options.size, options.steps) as pid:
            report(folder, pid, options.pictures, options.side)
            if options.idle_s:
                idle(pid, options.idle_s)


if __name__ == "__main__":
    main()
