"""How patiently pictures are taken in."""

from pathlib import Path

import pytest

from daemon.config import Config
from daemon.intake.loop import Pace, pace_of

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
