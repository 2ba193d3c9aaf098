"""How patiently pictures are taken in."""

import threading
from pathlib import Path

import pytest

from daemon.intake.decode import Decoder
from daemon.intake.loop import IntakeLoop, Pace, pace_of
from daemon.intake.others import is_locked
from daemon.intake.round import Intake
from daemon.intake.scan import Scan
from daemon.ledger.store import Ledger
from daemon.settings.config import Config
from daemon.state.claimed import owner_file
from daemon.status.health import Health
from tests.support.atelier import PATIENCE_S, draw_style, wait_for

LOCAL = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
NETWORK = LOCAL + "40 22 0:45 / /srv rw - nfs4 nas:/export rw\n"


def pace(mounts: str = LOCAL, *, once: bool = False, **settings: float) -> Pace:
    config = Config().model_copy(update={"inbox": Path("/srv/inbox"), **settings})
    return pace_of(config, once=once, mounts=mounts)


@pytest.mark.parametrize(
    ("mounts", "expected"), [(LOCAL, Pace(5.0, 60.0, 600.0)), (NETWORK, Pace(15.0, 5.0, 600.0))]
)
def test_network_mounts_settle_longer_and_are_looked_at_more_often(
    mounts: str, expected: Pace
) -> None:
    assert pace(mounts) == expected


def test_configured_times_win_over_the_usual_ones() -> None:
    assert pace(NETWORK, settle_s=0.0, scan_s=9.0, settle_give_up_s=7.0) == Pace(0.0, 9.0, 7.0)


def test_with_once_a_file_that_does_not_decode_gets_less_time() -> None:
    assert pace(once=True).give_up_s == 30.0
    assert pace(once=True, settle_give_up_s=7.0).give_up_s == 7.0


PACE = Pace(5.0, 60.0, 600.0)


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    folders = {name: tmp_path / name for name in ("inbox", "presets", "state")}
    for folder in folders.values():
        folder.mkdir()
    return Config().model_copy(update=folders)


def test_inbox_that_does_not_answer_is_known_by_how_long(
    settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()
    clock = [100.0]

    def scan(inbox: Path) -> Scan:
        asked.set()
        answer.wait(PATIENCE_S)
        return Scan((), (), (), ())

    monkeypatch.setattr("daemon.intake.scan.scan", scan)
    intake = IntakeLoop(
        settings, lambda _: PACE, Health(), threading.Event(), clock=lambda: clock[0]
    )
    assert intake.loop.hangs_s() == 0.0
    intake.start()
    assert asked.wait(PATIENCE_S)
    clock[0] += 130.0
    assert intake.loop.hangs_s() == 130.0
    intake.stop()
    answer.set()
    intake.join(PATIENCE_S)
    assert intake.loop.hangs_s() == 0.0


def test_intake_that_is_asked_to_look_again_is_not_quiet_before_it_has(settings: Config) -> None:
    intake = IntakeLoop(settings, lambda _: PACE, Health(), threading.Event())
    ledger = Ledger(settings.ledger_path)
    looks = Intake(settings, ledger, Decoder(1, 1.0), settle_s=5.0, give_up_s=5.0)
    intake._round(looks, PACE)
    assert intake.quiet
    intake.look_again()
    assert not intake.quiet
    intake._round(looks, PACE)
    assert intake.quiet
    looks.strays.close()
    ledger.close()


def test_mark_is_held_while_other_settings_are_taken_up_and_let_go_at_the_end(
    settings: Config,
) -> None:
    paces: list[Pace] = []

    def pace_for(config: Config) -> Pace:
        paces.append(Pace(config.settle_s or 5.0, 60.0, 600.0))
        return paces[-1]

    intake = IntakeLoop(settings, pace_for, Health(), threading.Event())
    file = owner_file(settings.inbox, intake._ownership.hold())
    held: list[bool] = []
    close = intake._close

    def note(looks: Intake) -> None:
        close(looks)
        held.append(file.exists() and is_locked(file))

    intake._close = note  # type: ignore[method-assign]
    intake.start()
    wait_for("the first look", lambda: intake.looked)
    intake.change(settings.model_copy(update={"settle_s": 1.0}))
    wait_for("other settings", lambda: len(paces) == 2)
    assert [pace.settle_s for pace in paces] == [5.0, 1.0] and held == [True]
    intake.stop()
    intake.join(PATIENCE_S)
    assert held == [True, False]


def test_preset_that_appears_while_nothing_else_happens_gets_its_folder_at_once(
    config: Config,
) -> None:
    """Not at the next look, which is an hour away."""
    Ledger(config.ledger_path).close()
    pace = Pace(settle_s=0.1, scan_s=3600.0, give_up_s=600.0)
    intake = IntakeLoop(config, lambda _: pace, Health(), threading.Event())
    intake.start()
    wait_for("the first look", lambda: intake.looked)
    draw_style(config.presets / "wave.png")
    wait_for("its folder", (config.inbox / "wave").is_dir)
    wait_for("its folder for bulk work, made after it", (config.inbox / "bulk/wave").is_dir)
    intake.stop()
    intake.join(PATIENCE_S)
