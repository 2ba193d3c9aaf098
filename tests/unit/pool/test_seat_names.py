"""What seats are called, and which device each is of."""

import pytest

from daemon.pool.seat_names import card_of, number_of, seat_name


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:0", "desk2/cuda:0", "5/cpu"])
@pytest.mark.parametrize("number", [1, 2, 16])
def test_seat_of_a_device_is_known_by_its_name(device: str, number: int) -> None:
    name = seat_name(device, number)
    assert (card_of(name), number_of(name)) == (device, number)
    assert (name == device) is (number == 1)
