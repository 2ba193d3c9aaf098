"""Checks of everything the service needs, really tried, with what to mend. A check yields findings
and changes nothing; what one of them finds wrong keeps none of the others from being tried.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from daemon.doctor.finding import found, tried
from daemon.doctor.fleet import examine_fleet
from daemon.doctor.folders import check_folders
from daemon.doctor.inbox import check_inbox
from daemon.doctor.machine import check_machine
from daemon.doctor.page import examine_page
from daemon.doctor.queues import examine_queues
from daemon.doctor.service import check_service
from daemon.engine.vgg.weights import checked_sha256, locate
from daemon.errors import ConfigError
from daemon.host import files
from daemon.intake.scan import mount_table
from daemon.settings.config import Config, check_guarded
from daemon.settings.presets import shelf_in_use
from daemon.status.report import Finding


def examine(config: Config, config_path: Path) -> list[Finding]:
    """Runs every check; nothing is made, and nothing left behind."""
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("config", lambda: check_rights(config, config_path)),
        ("folders", lambda: check_folders(config, mount_table())),
        ("waits", lambda: check_inbox(config, mount_table())),
        ("presets", lambda: check_presets(config)),
        ("hooks", lambda: check_hooks(config)),
        ("weights", lambda: [found("weights", check_weights, config)]),
        ("machine", lambda: check_machine(config, config_path)),
        ("service", lambda: check_service(config, config_path)),
        ("queues", lambda: examine_queues(config)),
        ("page", lambda: examine_page(config)),
        ("fleet", lambda: examine_fleet(config, config_path)),
    ]
    findings = [Finding("config", True, files.printable(config_path))]
    for what, check in checks:
        findings += tried(what, check)
    return findings


def check_rights(config: Config, config_path: Path) -> list[Finding]:
    """What anybody may change and the service would obey; `run` refuses to start with it."""
    try:
        check_guarded(config, config_path)
    except ConfigError as error:
        return [Finding("config", False, str(fault)) for fault in error.faults]
    return []


def check_presets(config: Config) -> list[Finding]:
    """One finding for the good ones, one for each fault."""
    shelf = shelf_in_use(config.presets, config.inbox_folders, config.state)
    faults = [
        Finding("presets", False, str(fault))
        for faults in shelf.faulty.values()
        for fault in faults
    ]
    faults += [Finding("presets", False, one.warning) for one in shelf.last_good.values()]
    names = ", ".join(shelf.usable)
    summary = Finding("presets", bool(names), names or f"no usable preset in {config.presets}")
    if config.default_preset is not None and shelf.known(config.default_preset) not in shelf.usable:
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


def check_weights(config: Config) -> str:
    """Whether the weights are there and are the right ones."""
    path = locate(config.weights, config.engine_folder)
    return f"{config.weights}: {checked_sha256(config.weights, path)}"
