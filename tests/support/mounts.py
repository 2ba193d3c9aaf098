"""Mounts that only the tests' own see: odd file systems by FUSE, and namespaces."""

import contextlib
import ctypes.util
import importlib.util
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.atelier import PATIENCE_S, Studio, environment, wait_for

ROOT = Path(__file__).parents[2]


def why_no_fuse() -> str:
    """What keeps this machine from FUSE file systems of the tests' own; empty if nothing does."""
    if not Path("/dev/fuse").exists():
        return "FUSE needs /dev/fuse, which this machine or container has not"
    if os.getuid() != 0:
        return "only root is sure to be let mount by FUSE"
    if ctypes.util.find_library("fuse") is None:
        return "FUSE needs libfuse 2 (Debian: apt-get install libfuse2)"
    if importlib.util.find_spec("fuse") is None:
        return "FUSE needs fusepy (pip install fusepy)"
    with tempfile.TemporaryDirectory() as root:
        source, mount = Path(root, "source"), Path(root, "mount")
        try:
            with odd_mount(source, mount, ()):
                return ""
        except AssertionError as error:
            return f"FUSE does not mount here: {error}"


@contextlib.contextmanager
def odd_mount(source: Path, mount: Path, habits: Sequence[str]) -> Iterator[None]:
    """`source`, seen at `mount` through a file system with these habits of `habits.HABITS`."""
    source.mkdir(parents=True, exist_ok=True)
    mount.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.oddfs", source, mount, *habits],
            stderr=said,
            env=environment(),
            cwd=ROOT,
        )
        try:
            wait_for("the mount", lambda: mount.is_mount() or child.poll() is not None)
            said.seek(0)
            assert mount.is_mount(), said.read()
            yield
        finally:
            subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
            try:
                child.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def may_unshare() -> bool:
    """Whether this user may have mounts that nobody else sees."""
    try:
        return not unshared("true").returncode
    except FileNotFoundError:
        return False


def unshared(script: str) -> "subprocess.CompletedProcess[str]":
    """A shell's script in a mount namespace of its own: what it mounts goes when it ends."""
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        env=environment(),
        check=False,
    )


def run_with_mounts(
    studio: Studio, mounts: Sequence[Sequence[str | Path]], *arguments: str
) -> "subprocess.CompletedProcess[str]":
    """One command that sees these mounts (arguments of `mount`), as a container would."""
    words = [["mount", *map(str, one)] for one in mounts]
    words.append(["exec", *map(str, studio.command(*arguments))])
    return unshared("\n".join(map(shlex.join, words)))
