"""How patiently pictures are taken in."""

import threading
from pathlib import Path
from types import SimpleNamespace

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
from tests.support.atelier import PATIENCE_S

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


def test_inbox_that_does_not_answer_is_known_by_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = threading.Event(), threading.Event()
    clock = [100.0]

    def scan(inbox: Path) -> Scan:
        asked.set()
        answer.wait(PATIENCE_S)
        return Scan((), (), (), ())

    monkeypatch.setattr("daemon.intake.scan.scan", scan)
    monkeypatch.setattr("daemon.intake.loop.time", SimpleNamespace(monotonic=lambda: clock[0]))
    folders = {name: tmp_path / name for name in ("inbox", "presets", "state")}
    for folder in folders.values():
        folder.mkdir()
    config = Config().model_copy(update=folders)
    loop = IntakeLoop(config, Pace(5.0, 60.0, 600.0), Health(), threading.Event())
    assert loop.hangs_s() == 0.0
    loop.start()
    assert asked.wait(PATIENCE_S)
    clock[0] += 130.0
    assert loop.hangs_s() == 130.0
    loop.stop()
    answer.set()
    loop.join(PATIENCE_S)
    assert loop.hangs_s() == 0.0


def test_loop_that_is_asked_to_look_again_is_not_quiet_before_it_has(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("inbox", "presets", "state")}
    for folder in folders.values():
        folder.mkdir()
    config = Config().model_copy(update=folders)
    loop = IntakeLoop(config, Pace(5.0, 60.0, 600.0), Health(), threading.Event())
    ledger = Ledger(config.ledger_path)
    intake = Intake(config, ledger, Decoder(1, 1.0), settle_s=5.0, give_up_s=5.0)
    loop._round(intake)
    assert loop.quiet
    loop.look_again()
    assert not loop.quiet
    loop._round(intake)
    assert loop.quiet
    intake.close()
    ledger.close()


def test_mark_is_held_while_other_settings_are_taken_up_and_let_go_at_the_end(
    tmp_path: Path,
) -> None:
    folders = {name: tmp_path / name for name in ("inbox", "presets", "state")}
    for folder in folders.values():
        folder.mkdir()
    config = Config().model_copy(update=folders)
    loop = IntakeLoop(config, Pace(5.0, 60.0, 600.0), Health(), threading.Event())
    ledger = Ledger(config.ledger_path)
    held = loop._own(config)
    file = owner_file(config.inbox, held.hold())
    intake = Intake(config, ledger, Decoder(1, 1.0), settle_s=5.0, give_up_s=5.0, ownership=held)
    loop.change(config.model_copy(update={"settle_s": 1.0}), Pace(1.0, 60.0, 600.0))
    loop._close(intake, config)
    assert is_locked(file) and loop._own(config) is held
    loop.stop()
    loop._close(intake, config)
    assert not is_locked(file)
    ledger.close()
