"""The rule by which devices are left to other programs."""

from daemon.pool.crowding import Crowding


def test_device_is_left_for_as_long_as_others_need_it_and_a_while_after() -> None:
    now_s = [1000.0]
    crowding = Crowding(5, 60.0, clock=lambda: now_s[0])
    assert not crowding.look("cuda:0", 5) and crowding.left() == frozenset()
    assert crowding.look("cuda:0", 6) and crowding.left() == {"cuda:0"}
    assert not crowding.look("cuda:1", 0)
    now_s[0] += 59.0
    assert not crowding.look("cuda:0", 0) and crowding.left() == {"cuda:0"}
    now_s[0] += 1.0
    assert crowding.left() == frozenset()


def test_without_a_limit_nothing_is_left_to_others() -> None:
    crowding = Crowding(None, 60.0)
    assert not crowding.look("cuda:0", 1 << 60)
    assert crowding.left() == frozenset()
