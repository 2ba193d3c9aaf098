"""Checks of everything the service needs, really tried, with what to mend."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from daemon.config import Config, check_guarded
from daemon.engine.errors import WeightsError
from daemon.engine.weights import checked_sha256, locate
from daemon.errors import ConfigError, SurroundingsError
from daemon.intake.scan import CLAIMED_FOLDER
from daemon.ledger.store import Ledger
from daemon.lock import is_held
from daemon.presets import load_presets
from daemon.status.report import Finding
from daemon.worker.devices import resolve_devices


def examine(config: Config, config_path: Path) -> list[Finding]:
    """Runs every check; nothing is left behind."""
    return [
        Finding("config", True, str(config_path)),
        *check_rights(config, config_path),
        *(check_folder(name, folder) for name, folder in folders(config)),
        check_filing(config),
        *check_presets(config),
        *check_hooks(config),
        check_weights(config),
        check_devices(config, config_path),
        check_ledger(config),
        *(check_space(name, folder, config.limits.free_bytes) for name, folder in folders(config)),
    ]


def check_rights(config: Config, config_path: Path) -> list[Finding]:
    """What anybody may change and the service would obey; `run` refuses to start with it."""
    try:
        check_guarded(config, config_path)
    except ConfigError as error:
        return [Finding("config", False, str(fault)) for fault in error.faults]
    return []


def folders(config: Config) -> Iterator[tuple[str, Path]]:
    """The folders the service writes in."""
    yield "inbox", config.inbox
    yield "outbox", config.outbox
    yield "state", config.state


def check_folder(name: str, folder: Path) -> Finding:
    """Creates, renames and deletes a file there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".atelierd-{uuid.uuid4().hex}.tmp"
        trial.write_bytes(b"trial")
        renamed = trial.rename(trial.with_suffix(".renamed"))
        renamed.unlink()
    except OSError as error:
        mend = f"{error.strerror}; let user {os.getuid()} write there (chown, chmod, mount options)"
        return Finding(name, False, f"{folder}: {mend}")
    return Finding(name, True, f"{folder}: can create, rename and delete")


def check_filing(config: Config) -> Finding:
    """Whether a claimed picture can be moved to the outbox without copying."""
    try:
        same = config.inbox.stat().st_dev == config.outbox.stat().st_dev
    except OSError as error:
        return Finding("filing", False, f"{error.filename}: {error.strerror}")
    how = "by renaming" if same else "by copying, since the outbox is on another file system"
    return Finding("filing", True, f"originals move from inbox/{CLAIMED_FOLDER} {how}")


def check_presets(config: Config) -> list[Finding]:
    """One finding for the good ones, one for each fault."""
    shelf = load_presets(config.presets, config.schedule.bulk_folder)
    faults = [
        Finding("presets", False, str(fault))
        for faults in shelf.faulty.values()
        for fault in faults
    ]
    names = ", ".join(sorted(shelf.good))
    summary = Finding("presets", bool(names), names or f"no usable preset in {config.presets}")
    if config.default_preset is not None and config.default_preset not in shelf.good:
        faults.append(
            Finding(
                "presets", False, f"default_preset {config.default_preset!r} is not one of them"
            )
        )
    return [summary, *faults]


def check_hooks(config: Config) -> list[Finding]:
    """Whether the programs of hooks are there; addresses are not asked, which would tell them."""
    return [
        Finding(f"hooks: {key}", True, hook.name)
        if hook.command is None or shutil.which(hook.command[0])
        else Finding(f"hooks: {key}", False, f"{hook.name} is no program that can be run here")
        for key, hook in config.hooks.all()
    ]


def check_weights(config: Config) -> Finding:
    """Whether the weights are there and are the right ones."""
    try:
        path = locate(config.weights, config.engine_folder)
        return Finding("weights", True, f"{config.weights}: {checked_sha256(config.weights, path)}")
    except WeightsError as error:
        return Finding("weights", False, str(error))


def check_devices(config: Config, config_path: Path) -> Finding:
    """Whether the configured devices are there."""
    try:
        return Finding(
            "devices", True, ", ".join(resolve_devices(config.devices, str(config_path)))
        )
    except ConfigError as error:
        return Finding("devices", False, str(error))


def check_ledger(config: Config) -> Finding:
    """Whether the ledger can be opened, and whether a service works with it."""
    held = "a service is running" if is_held(config.state) else "no service is running"
    if not config.ledger_path.exists():
        return Finding("ledger", True, f"not there yet; {held}")
    try:
        with contextlib.closing(Ledger(config.ledger_path, read_only=True)) as ledger:
            ledger.counts()  # opening alone reads nothing of the file
    except SurroundingsError as error:
        return Finding("ledger", False, str(error))
    return Finding("ledger", True, f"{config.ledger_path}; {held}")


def check_space(name: str, folder: Path, keep_bytes: int) -> Finding:
    """Whether there is more room than what is to be kept free."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(f"{name} space", False, f"{folder}: {error.strerror}")
    text = f"{free / 1e9:.1f} GB free"
    if free < keep_bytes:
        lack = f"{text} on {folder}; make room (limits: free_bytes)"
        return Finding(f"{name} space", False, lack)
    return Finding(f"{name} space", True, text)
