"""When a service that is to end by itself gives up."""

from daemon.host.standstill import Furthest, Standstill


class Clock:
    """Seconds that pass when told to."""

    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def idle_s(looks: list[tuple[float, object, bool]]) -> float:
    """What a standstill says at the last of some looks: seconds since the one before, reached,
    whether anything was active.
    """
    clock = Clock()
    standstill = Standstill(clock)
    found = 0.0
    for passed_s, reached, active in looks:
        clock.now_s += passed_s
        found = standstill.lasts_s(reached, active=active)
    return found


def test_time_without_progress_adds_up() -> None:
    assert idle_s([(0, 1, False), (10, 1, False), (20, 1, False)]) == 30


def test_progress_begins_it_anew() -> None:
    assert idle_s([(0, 1, False), (10, 1, False), (20, 2, False), (5, 2, False)]) == 5


def test_time_of_a_run_does_not_count_and_that_between_two_fruitless_ones_does() -> None:
    rests = [(300.0, 1, True), (5.0, 1, False)] * 7
    assert idle_s([(0, 1, False), *rests]) == 35


def test_what_is_begun_again_is_no_progress_until_it_is_further_than_ever() -> None:
    furthest = Furthest()
    for _ in range(3):
        furthest.begin("a")
        furthest.step("a")
        furthest.step("a")
        assert furthest.total == 2
    furthest.step("a")
    furthest.reach("b", 7)
    furthest.reach("b", 4)
    assert furthest.total == 10


def test_furthest_remembers_so_many_names_and_the_total_of_all() -> None:
    furthest = Furthest(most=2)
    for name in ("a", "b", "c"):
        furthest.begin(name)
        furthest.step(name)
    assert furthest.total == 3 and len(furthest._steps) == 2
    furthest.begin("c")
    furthest.step("c")
    assert furthest.total == 3
