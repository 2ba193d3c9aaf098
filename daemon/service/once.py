"""When a service that is to end by itself gives up."""

from collections.abc import Mapping, Sequence

from daemon.errors import SurroundingsError
from daemon.host.loop import Loop
from daemon.host.standstill import HANGING_S, ONCE_GIVE_UP_S
from daemon.status.health import Health

Loops = Mapping[str, Loop]
"""Of intake, delivery and gallery, by the part of the health that they work for."""


def are_at_work(loops: Loops, decode_s: float) -> bool:
    """Whether a loop has something at hand, and not for longer than that may take."""
    longest_s = {"inbox": 2 * decode_s}  # what took too long to decode is tried once more
    return any(
        0 < loop.hangs_s() < max(HANGING_S, longest_s.get(part, 0.0))
        for part, loop in loops.items()
    )


def why_give_up(
    idle_s: float, health: Health, left: list[str], loops: Loops, lacking: Sequence[str] = ()
) -> SurroundingsError:
    """Why nothing has got further for so long.

    left: devices that are left to others.  lacking: what jobs ask for that no seat offers.
    """
    why = [f"{part}: {what}" for part, what in health.essential.items()]
    why += [f"jobs ask for {name}, which no device offers (runs_on)" for name in lacking]
    why += [f"{device} is left to others (yield_gpu_when)" for device in left]
    for part, loop in loops.items():
        if loop.hangs_s() > ONCE_GIVE_UP_S:
            why.append(f"{part}: {loop.at or 'a look around'} takes {loop.hangs_s():.0f} s")
    text = "; ".join(why) or "no reason is known"
    return SurroundingsError(f"it ends, since nothing has got further for {idle_s:.0f} s: {text}")
