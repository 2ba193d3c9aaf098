"""After a run that did not end by itself."""

import pytest

from daemon.worker.retry import LONGEST_BACKOFF_S, Again, GiveUp, after_loss


@pytest.mark.parametrize(("starts", "wait_s"), [(1, 2.0), (2, 4.0)])
def test_lost_job_goes_back_into_the_line_after_a_growing_rest(starts: int, wait_s: float) -> None:
    assert after_loss(starts, "was ended by SIGKILL") == Again(wait_s)


def test_rest_has_a_limit() -> None:
    assert LONGEST_BACKOFF_S == 300.0
    assert all(
        isinstance(what, GiveUp) or what.wait_s <= LONGEST_BACKOFF_S
        for what in (after_loss(starts, "") for starts in range(100))
    )


@pytest.mark.parametrize("starts", [3, 4])
def test_third_loss_in_a_row_fails_the_job_and_says_how_it_ended(starts: int) -> None:
    found = after_loss(starts, "was ended by SIGKILL")
    assert isinstance(found, GiveUp)
    assert f"lost {starts} times" in found.reason and "was ended by SIGKILL" in found.reason
    assert "atelierd retry" in found.reason
