"""How many jobs at once a GPU gets: as many as give more pictures, found out while it paints."""

from daemon.service.sharing_trial import JOBS, MOST_KINDS, SharingTrial, kind_of_job

KIND = kind_of_job("starry", 512 * 384)


def paint(trial: SharingTrial, seconds: float, jobs: int = JOBS) -> list[str]:
    """Jobs are painted at the level of the trial; what it says of them."""
    level = trial.level
    told = [trial.note(KIND, level, seconds) for _ in range(jobs)]
    return [one for one in told if one is not None]


def test_device_begins_with_one_job_and_gets_more_as_long_as_that_gives_more_pictures() -> None:
    trial = SharingTrial(3)
    assert paint(trial, 10.0) == ["tries 2 at once"]
    assert paint(trial, 12.0) == ["2 at once give 1.67 times the pictures of 1; tries 3 at once"]
    assert paint(trial, 18.0) == [
        "3 at once give 1.00 times the pictures of 2; stays with 2 at once"
    ]
    assert (trial.level, trial.settled) == (2, True)
    assert paint(trial, 1.0) == []


def test_device_whose_jobs_take_twice_as_long_side_by_side_stays_with_one() -> None:
    trial = SharingTrial(2)
    paint(trial, 10.0)
    assert paint(trial, 19.5) == [
        "2 at once give 1.03 times the pictures of 1; stays with 1 at once"
    ]
    assert (trial.level, trial.settled) == (1, True)


def test_device_is_never_given_more_than_it_has_room_for() -> None:
    trial = SharingTrial(2)
    paint(trial, 10.0)
    assert paint(trial, 10.0) == [
        "2 at once give 2.00 times the pictures of 1; stays with 2 at once"
    ]


def test_cold_worker_does_not_decide() -> None:
    trial = SharingTrial(2)
    paint(trial, 10.0)
    trial.note(KIND, 2, 60.0)
    assert paint(trial, 12.0, JOBS - 1) == [
        "2 at once give 1.67 times the pictures of 1; stays with 2 at once"
    ]


def test_jobs_of_other_kinds_are_not_compared() -> None:
    trial = SharingTrial(2)
    paint(trial, 10.0)
    large = kind_of_job("starry", 2048 * 1536)
    assert [trial.note(large, 2, 100.0) for _ in range(JOBS)] == [None] * JOBS
    assert (trial.level, trial.settled) == (2, False)


def test_jobs_of_another_level_tell_nothing() -> None:
    trial = SharingTrial(2)
    assert [trial.note(KIND, 2, 1.0) for _ in range(JOBS)] == [None] * JOBS
    assert trial.level == 1


def test_trial_of_ever_new_kinds_does_not_grow() -> None:
    trial = SharingTrial(2)
    for number in range(3 * MOST_KINDS):
        trial.note(kind_of_job(f"preset {number}", 1), 1, 1.0)
    assert len(trial._seconds) == MOST_KINDS
    assert trial.level == 1


def test_job_that_had_no_room_beside_others_ends_the_trial_one_lower() -> None:
    trial = SharingTrial(3)
    assert trial.retreat() is None
    paint(trial, 10.0)
    assert trial.retreat() == "a job had no room beside others; stays with 1 at once"
    assert (trial.level, trial.settled) == (1, True)
    assert trial.retreat() is None


def test_number_that_somebody_has_said_stays_though_a_job_had_no_room() -> None:
    trial = SharingTrial(2, 2, settled=True, fixed=True)
    assert trial.retreat() is None
    assert trial.level == 2
