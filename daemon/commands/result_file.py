"""Where the result of one picture goes: looked at and tried before anything is painted.

Nothing is ever replaced in silence, and what cannot be written in the end is kept elsewhere.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from daemon.errors import BadInputError, SurroundingsError
from daemon.host import files
from daemon.host.access import explain, refusals
from daemon.host.files import printable
from daemon.pictures.formats import FORMAT_OF_SUFFIX, output_format, output_name, suffix_format
from daemon.settings.config import Config

UNKNOWN_TO_FALLOCATE = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV)
TRIAL_BYTES = 4096
WORK_FOLDER = "atelierd-{mark}-{pid}-"


@dataclass(frozen=True)
class ResultFile:
    """A result's file.

    replace: whoever typed its name said that it may replace what is there.  another: chooses anew
    where the name has been taken meanwhile; None if it was typed.
    """

    path: Path
    replace: bool = False
    another: Callable[[], "ResultFile"] | None = None


def named_target(
    out: Path, *, force: bool, precious: Mapping[Path, str], config: Config
) -> ResultFile:
    """The file that was asked for, links seen through; raises AtelierError if it may not be.

    precious: files that are never replaced, and what they are.
    """
    name = f"--out {printable(out)}"
    there = None
    with refusals(name, words=explain), contextlib.suppress(FileNotFoundError):
        there = out.stat()
    if there is not None:
        check_replaceable(out, there, force=force, precious=precious)
    if output_format(out.name) != suffix_format(out.name):
        known = ", ".join(one for one in FORMAT_OF_SUFFIX if output_format(f"a{one}") != "JPEG")
        raise BadInputError(f"{name}: let its name end in .jpg, .jpeg, {known}")
    try:
        path = Path(os.path.realpath(out))
    except OSError as error:
        raise SurroundingsError(
            f"{name}: the folder you are in is gone; name an absolute path"
        ) from error
    check_place(path, config)
    return ResultFile(path, force)


def check_replaceable(
    out: Path, there: os.stat_result, *, force: bool, precious: Mapping[Path, str]
) -> None:
    """Raises BadInputError unless the file at `out` may be replaced."""
    name = f"--out {printable(out)}"
    if stat.S_ISDIR(there.st_mode):
        raise BadInputError(f"{name}: is a folder; name a file in it")
    if not stat.S_ISREG(there.st_mode):
        raise BadInputError(f"{name}: is no ordinary file; name one")
    for path, what in precious.items():
        if is_same(path, out, there):
            raise BadInputError(f"{name}: is {what}, which is never replaced; name another")
    if not force:
        raise BadInputError(f"{name}: is there already; name another, or replace it with --force")


def is_same(path: Path, other: Path, of_other: os.stat_result) -> bool:
    """Whether two paths lead to one file, by any link; some file systems number files anew."""
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return os.path.samestat(path.stat(), of_other)
    except OSError:
        return False


def default_target(picture: Path, ending: str, config: Config, suffix: str = "") -> ResultFile:
    """A free name in the working directory; raises SurroundingsError if that is gone."""
    try:
        folder = Path.cwd()
    except OSError as error:
        raise SurroundingsError("the folder you are in is gone; say where to with --out") from error
    path = free_name(folder, picture, ending, suffix)
    check_place(path, config)
    return ResultFile(path, another=lambda: default_target(picture, ending, config, suffix))


def check_place(path: Path, config: Config) -> None:
    """Raises BadInputError for a folder where the service would take the result for something."""
    takers = {
        config.inbox: "where it would be taken for a picture to paint",
        config.presets: "where it would be taken for a preset",
        config.state: "which is the service's own",
    }
    for folder, why in takers.items():
        if Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents:
            raise BadInputError(
                f"{printable(path)} would lie in {printable(folder)}, {why}; name another place "
                "with --out"
            )


def free_name(folder: Path, picture: Path, ending: str, suffix: str = "") -> Path:
    """`photo-starry.jpg`, or `photo-starry-2.jpg` if that is taken; `starry` being the ending."""
    name = Path(output_name(picture.name, suffix))
    target = folder / files.with_ending(name.stem, f"-{ending}{name.suffix}")
    number = 2
    while os.path.lexists(target):
        target = folder / files.with_ending(name.stem, f"-{ending}-{number}{name.suffix}")
        number += 1
    return target


def try_room(target: Path, size_bytes: int) -> None:
    """Makes a file of that size beside `target` and removes it; SurroundingsError if it cannot."""
    trial = files.temporary_beside(target)
    what = f"nothing can be written to {printable(target)}"
    with refusals(what, words=partial(explain, path=target.parent)):
        try:
            with trial.open("xb", buffering=0) as file:
                reserve(file.fileno(), max(size_bytes, TRIAL_BYTES))
        finally:
            trial.unlink(missing_ok=True)


def reserve(handle: int, size_bytes: int) -> None:
    """Takes room on the disk for an open file; raises OSError if there is too little."""
    try:
        os.posix_fallocate(handle, 0, size_bytes)
    except OSError as error:
        if error.errno not in UNKNOWN_TO_FALLOCATE:
            raise
        os.write(handle, bytes(TRIAL_BYTES))


def deliver(result: Path, target: ResultFile) -> Path:
    """Copies a result to its place; returns where it is.

    result: in a work folder. Where the place does not take it, the work folder is renamed to one
    that no sweep removes, and SurroundingsError says so.
    """
    try:
        with result.open("rb") as source:
            files.write_whole(
                target.path, lambda file: shutil.copyfileobj(source, file), replace=target.replace
            )
    except OSError as error:
        if isinstance(error, FileExistsError) and target.another is not None:
            return deliver(result, target.another())
        kept = keep(result, target.path.name)
        raise SurroundingsError(
            f"the result cannot be written: {explain(error, target.path)}. It is kept as "
            f"{printable(kept)}; move it from there yourself"
        ) from error
    return target.path


def keep(result: Path, name: str) -> Path:
    """Gives a result its name where it lies, and its folder one that is not swept."""
    result.rename(result.with_name(name))
    kept = Path(tempfile.mkdtemp(prefix="atelierd-kept-", dir=result.parent.parent))
    return result.parent.rename(kept) / name  # over the empty folder


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A private folder for the worker's result, removed in the end; after a crash by a sweep."""
    prefix = WORK_FOLDER.format(mark=files.machine_mark(), pid=os.getpid())
    sweep_work_folders()
    remedy = "; let TMPDIR name a folder that can be written"
    with refusals("no temporary folder can be made", remedy, words=explain):
        folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        files.remove_tree(folder)


def sweep_work_folders() -> None:
    """Removes the work folders of this user's processes that are gone.

    To be called before this process has one itself: in a container the next has the same number.
    """
    marked = re.escape(WORK_FOLDER.format(mark=files.machine_mark(), pid="PID"))
    ours = re.compile(marked.replace("PID", r"(\d+)") + r"\w+")
    with contextlib.suppress(OSError):  # no harm but lost room
        for entry in os.scandir(tempfile.gettempdir()):
            found = ours.fullmatch(entry.name)
            if found is None or not entry.is_dir(follow_symlinks=False):
                continue
            owner = entry.stat(follow_symlinks=False).st_uid
            maker = int(found[1])
            if owner == os.geteuid() and (maker == os.getpid() or not files.lives(maker)):
                files.remove_tree(Path(entry.path))
