"""SIGTERM at random moments of a service that paints: it ends in time, and nothing is lost.

python -m tests.torture.terminations --times 50 [--seed N]
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from daemon.job import State
from tests.support.atelier import WITH_PUPPETS, Service, Studio, encoded, photograph, wait_for

IN_TIME_S = 10.0
LONGEST_LIFE_S = 8.0


@dataclass(frozen=True)
class Ending:
    """One SIGTERM: how long the service had run, what it was at, and how it ended."""

    after_s: float
    at: str
    code: int
    took_s: float

    @property
    def well(self) -> bool:
        return self.code == 0 and self.took_s <= IN_TIME_S


def terminate(studio: Studio, after_s: float) -> Ending:
    """Starts a service, lets it run, and sends SIGTERM."""
    service = Service(studio)
    try:
        time.sleep(after_s)
        running = studio.jobs(State.RUNNING)
        at = f"{len(running)} running, {len(studio.jobs(State.READY))} waiting"
        began_s = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        code = service.process.wait(60)
        return Ending(after_s, at, code, time.monotonic() - began_s)
    finally:
        service.kill()


def terminate_often(
    root: Path,
    times: int,
    dice: random.Random,
    *,
    longest_life_s: float = LONGEST_LIFE_S,
    paints: bool = True,
) -> list[Ending]:
    """SIGTERMs at random moments while pictures come, then all that was dropped is finished.

    Raises AssertionError if a picture is not done exactly once.
    """
    studio = Studio(root / "atelier", paints=paints, checkpoint_every=1)
    studio.add_preset("slow", steps=40, size=160)
    endings, dropped = [], []
    for number in range(times):
        preset = dice.choice(("quick", "slow"))
        name = f"{number}.jpg"
        studio.drop(f"{preset}/{name}", encoded(photograph((90 + number % 60, 72 + number // 60))))
        dropped.append((preset, name))
        endings.append(terminate(studio, dice.uniform(0.0, longest_life_s)))
    answer = studio.run("run", "--once", timeout_s=3600)
    assert answer.returncode == 0, answer.stderr
    for preset, name in dropped:
        assert (studio.outbox / preset / name).exists(), (preset, name)
        assert (studio.outbox / "originals" / preset / name).exists(), (preset, name)
    assert len(studio.jobs()) == len(studio.jobs(State.DONE)) == times
    wait_for("an empty inbox", lambda: not studio.files(studio.inbox))
    return endings


def main() -> None:
    """Prints a line for each SIGTERM and what came of all; exit code 1 if one was too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(1000))
    parser.add_argument("--puppet", action="store_true", help=WITH_PUPPETS)
    options = parser.parse_args()
    dice, paints = random.Random(options.seed), not options.puppet
    with tempfile.TemporaryDirectory() as root:
        endings = terminate_often(Path(root), options.times, dice, paints=paints)
    for ending in endings:
        mark = "" if ending.well else "  TOO LATE" if ending.code == 0 else "  WRONG"
        print(
            f"after {ending.after_s:4.1f} s, {ending.at}: exit {ending.code} "
            f"in {ending.took_s:.1f} s{mark}"
        )
    slowest = max(ending.took_s for ending in endings)
    well = sum(ending.well for ending in endings)
    print(
        f"seed {options.seed}: {well} of {len(endings)} ended well, the slowest in "
        f"{slowest:.1f} s; every picture is done once"
    )
    sys.exit(well < len(endings))


if __name__ == "__main__":
    main()
