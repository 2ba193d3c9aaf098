"""How long a file that may not be whole is waited for."""

from pathlib import Path

from daemon.intake.decode import Verdict
from daemon.intake.doubts import LONGEST_BACKOFF_S, Doubt, Doubts, after_try

PATH, CUT = Path("photo.jpg"), Verdict(fault="it is cut", unfinished=True)


def test_doubtful_file_is_tried_later_and_later_and_at_the_very_end() -> None:
    doubt, again_s = Doubt("proof", 0.0, 0, 0.0, "it is cut"), []
    while doubt.again_s < 200.0:
        doubt = after_try(doubt, doubt.again_s, settle_s=5.0, give_up_s=200.0)
        again_s.append(doubt.again_s)
    assert again_s == [5.0, 15.0, 35.0, 75.0, 75.0 + LONGEST_BACKOFF_S, 195.0, 200.0]


def test_doubtful_file_that_changes_has_all_its_time_again() -> None:
    doubts = Doubts(settle_s=5.0, give_up_s=60.0)
    assert doubts.waits(PATH, "before", CUT, 0.0)
    assert doubts.resting(PATH, "before", 4.0) and not doubts.resting(PATH, "after", 4.0)
    assert doubts.waits(PATH, "after", CUT, 59.0)
    assert doubts.waits(PATH, "after", CUT, 118.0) and not doubts.waits(PATH, "after", CUT, 119.0)


def test_doubtful_file_that_is_gone_is_not_looked_for() -> None:
    doubts = Doubts(settle_s=5.0, give_up_s=60.0)
    doubts.waits(PATH, "proof", CUT, 0.0)
    assert doubts.next_looks_s(1.0) == [4.0]
    doubts.keep([])
    assert doubts.next_looks_s(1.0) == []
