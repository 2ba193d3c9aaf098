"""Inbox and outbox, made ready without ever waiting for a share that does not answer."""

from collections.abc import Callable, Collection
from pathlib import Path

from loguru import logger

from daemon.errors import SurroundingsError
from daemon.host.bounded import ANSWER_S, NoAnswerError, within
from daemon.intake.preset_folders import folders_of, make_folders
from daemon.settings import presets
from daemon.settings.config import Config
from daemon.settings.last_good import read_last_good
from daemon.state.mounts import Mounts


def prepare_folders(config: Config) -> None:
    """Makes inbox and outbox, and shows the presets as folders of the inbox.

    Raises SurroundingsError if one cannot be made; one that does not answer is logged.
    """
    names: list[str] = []
    in_time(config.presets, lambda: names.extend(shelved(config)))
    in_time(config.outbox, lambda: make_ready(config, config.outbox, ()))
    in_time(config.inbox, lambda: make_ready(config, config.inbox, names))


def in_time(folder: Path, work: Callable[[], None]) -> None:
    """Does what may hang; says so if it does."""
    try:
        within(ANSWER_S, work)
    except NoAnswerError:
        logger.error("{} does not answer; what needs it waits", folder)


def shelved(config: Config) -> list[str]:
    """The presets' folders, and that of them all, wherever they belong; what is wrong is logged.

    While their folder is away, of those that are known to have been good.
    """
    folders = config.inbox_folders
    try:
        shelf = presets.shelf_in_use(config.presets, folders, config.state)
        names = shelf.usable
        for name, faults in shelf.faulty.items():
            for fault in faults:
                logger.error("preset {} cannot be used: {}", name, fault)
    except SurroundingsError as error:  # pictures wait, the rest goes on
        logger.error("{}", error)
        names = sorted(read_last_good(config.state, config.presets))
    return folders_of([folders.every, *names] if names else [], folders)


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
    try:
        mounts.remember(folder)
    except SurroundingsError as error:  # a guard, without which all else works
        logger.error("{}", error)
