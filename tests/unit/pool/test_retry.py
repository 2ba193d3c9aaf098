"""After a run that did not end by itself."""

from dataclasses import replace

import pytest

from daemon.messages import PassPlan
from daemon.pool.retry import (
    LONGEST_BACKOFF_S,
    Again,
    GiveUp,
    Smaller,
    after_loss,
    after_out_of_memory,
)

PLAN = PassPlan("4000x3000 px", "one tile", 6_100_000_000, 1_100_000_000, 8_000_000_000)


@pytest.mark.parametrize(("starts", "wait_s"), [(1, 0.0), (2, 4.0)])
def test_lost_job_goes_back_into_the_line_at_once_and_then_after_a_growing_rest(
    starts: int, wait_s: float
) -> None:
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


@pytest.mark.parametrize("shortages", [0, 1, 2])
def test_memory_that_ran_out_means_half_the_plan_and_a_warning(shortages: int) -> None:
    assert after_out_of_memory(shortages, None, PLAN) == Smaller(
        3_600_000_000,
        "memory ran out at 4000x3000 px (one tile, 6.1 GB expected); went on with at most 3.6 GB",
        2.0**shortages,
    )


def test_half_is_taken_of_what_a_run_was_held_to_and_of_what_can_be_halved() -> None:
    held_to_less = replace(PLAN, budget_bytes=3_100_000_000)
    found = after_out_of_memory(0, None, held_to_less)
    assert isinstance(found, Smaller) and found.memory_bytes == 2_100_000_000
    found = after_out_of_memory(0, None, replace(PLAN, budget_bytes=1_000_000_000))
    assert isinstance(found, Smaller) and found.memory_bytes == PLAN.held_bytes


@pytest.mark.parametrize(("before", "after"), [(2 * 10**9, 2 * 10**9), (5 * 10**9, 3_600_000_000)])
def test_run_never_gets_more_than_the_one_before(before: int, after: int) -> None:
    # The smallest tiles may be expected to take more than twice what they were to be held to.
    found = after_out_of_memory(1, before, PLAN)
    assert isinstance(found, Smaller) and found.memory_bytes == after


@pytest.mark.parametrize("memory_bytes", [None, 10**9])
def test_memory_that_ran_out_before_any_plan_means_only_a_fresh_worker(
    memory_bytes: int | None,
) -> None:
    assert after_out_of_memory(0, memory_bytes, None) == Smaller(
        memory_bytes,
        "memory ran out before the first pass was planned; began again in a fresh worker",
        1.0,
    )


@pytest.mark.parametrize("plan", [PLAN, None])
def test_fourth_want_of_memory_fails_the_job_and_says_what_to_do(plan: PassPlan | None) -> None:
    found = after_out_of_memory(3, 10**9, plan)
    assert isinstance(found, GiveUp) and "ran out 4 times" in found.reason
    if plan:
        assert "`size`" in found.reason and "`memory` in config.yaml" in found.reason
    else:
        assert "end other programs" in found.reason and "`size`" not in found.reason
    assert ("4000x3000 px (one tile" in found.reason) == (plan is not None)
