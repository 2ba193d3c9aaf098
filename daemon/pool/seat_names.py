"""What seats are called: `cuda:0`, and where several share it `cuda:0/2`, `desk2/cuda:0/2`."""


def seat_name(device: str, number: int) -> str:
    """The name of a device's seat by its number, from 1; the first has the device's own."""
    return device if number == 1 else f"{device}/{number}"


def card_of(seat: str) -> str:
    """The name of the device that a seat is of, with its node's before it as in the seat's."""
    device, _, number = seat.rpartition("/")
    return device if number.isdecimal() else seat


def device_of(seat: str) -> str:
    """The name that the device of a seat has on its own machine."""
    return card_of(seat).rpartition("/")[2]


def number_of(seat: str) -> int:
    """The number of a seat among those of its device, from 1."""
    number = seat.rpartition("/")[2]
    return int(number) if number.isdecimal() else 1
