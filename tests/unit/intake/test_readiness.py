"""Whether a picture is ready, where what its sidecar says cannot be read."""

from pathlib import Path
from typing import Any

import pytest

from daemon.errors import SurroundingsError
from daemon.intake import readiness
from daemon.intake.readiness import Patience, Readiness
from daemon.settings.config import Config
from daemon.settings.presets import Shelf


def test_sidecar_that_cannot_be_read_while_presets_are_away_is_named(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, sidecar: Path | None) -> bytes:
        raise PermissionError(13, "Permission denied", str(sidecar))

    monkeypatch.setattr(readiness, "sidecar_content", refuse)
    nothing: Any = None
    room = Readiness(
        config,
        nothing,
        nothing,
        nothing,
        Patience(),
        nothing,
        settle_s=0.0,
        give_up_s=0.0,
        on_picture=lambda _: None,
        on_piece=lambda _: None,
    )
    shelf = Shelf(config.presets, {}, {}, waiting={"wave": "wave is away"})
    with pytest.raises(SurroundingsError, match=r"photo\.yaml cannot be read: Permission denied"):
        room.waits_for_presets(config.inbox, Path("photo.jpg"), [Path("photo.yaml")], shelf)
