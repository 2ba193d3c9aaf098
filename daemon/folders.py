"""Inbox and outbox, made ready without ever waiting for a share that does not answer."""

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from loguru import logger

from daemon import presets
from daemon.config import Config
from daemon.errors import SurroundingsError
from daemon.intake.admit import make_folders
from daemon.mounts import Mounts

ANSWER_S = 10.0
"""How long the start may wait for a folder; its own thread goes on with it."""


def prepare_folders(config: Config) -> None:
    """Makes inbox and outbox, and shows the presets as folders of the inbox.

    Raises SurroundingsError if one cannot be made; one that does not answer is logged.
    """
    names: list[str] = []
    in_time(config.presets, lambda: names.extend(shelved(config)))
    in_time(config.outbox, lambda: make_ready(config, config.outbox, ()))
    in_time(config.inbox, lambda: make_ready(config, config.inbox, names))


def in_time(folder: Path, work: Callable[[], None]) -> None:
    """Does what may hang in a thread of its own; what it raises is raised here."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, name=f"prepare {folder}", daemon=True)
    thread.start()
    thread.join(ANSWER_S)
    if thread.is_alive():
        logger.error("{} does not answer; what needs it waits", folder)
    for error in raised:
        raise error


def shelved(config: Config) -> list[str]:
    """The names of the presets, for both queues; what is wrong with others is logged."""
    bulk = config.schedule.bulk_folder
    shelf = presets.load_presets(config.presets, bulk)
    for name, faults in shelf.faulty.items():
        for fault in faults:
            logger.error("preset {} cannot be used: {}", name, fault)
    return [*shelf.good, *(f"{bulk}/{name}" for name in shelf.good)]


def make_ready(config: Config, folder: Path, inside: Collection[str]) -> None:
    """Makes a folder with others in it, unless what is mounted there is away."""
    mounts = Mounts(config.state)
    try:
        mounts.check(folder)
    except SurroundingsError as error:  # what needs it waits, the rest goes on
        logger.error("{}", error)
        return
    try:
        make_folders(folder, inside)
    except OSError as error:
        raise SurroundingsError(
            f"{error.filename} cannot be made: {error.strerror}; make it, or change config.yaml"
        ) from error
    mounts.remember(folder)
