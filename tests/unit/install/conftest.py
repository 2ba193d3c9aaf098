"""An order to install, of a program that is not there."""

from pathlib import Path

import pytest

from daemon.install.render import Order, Program, Scope
from daemon.settings.config import Config


@pytest.fixture
def order() -> Order:
    config = Config().model_copy(
        update={
            "inbox": Path("/data/in"),
            "outbox": Path("/data/out"),
            "presets": Path("/data/presets"),
            "state": Path("/data/state"),
        }
    )
    program = Program((Path("/opt/a/bin/atelierd"),), (Path("/opt/a"), Path("/usr")))
    return Order(Scope.SYSTEM, False, config, Path("/data/config.yaml"), program)
