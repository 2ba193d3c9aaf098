"""One job whose worker is killed (SIGKILL) again and again at random moments.

Run as `python bench/kills.py [KILLS] [--size N] [--steps N] [--seed N]`. Tells whether it ended
with the bytes of an undisturbed run, and how much was computed twice. Ends with 1 if the bytes
differ.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from surroundings import ROOT, make_order

from daemon.engine.fit.cgroups import threads_of_each
from daemon.messages import Done, Event, Lost, Progress, WorkerSettings
from daemon.pool.local import LocalPool

CHECKPOINT_S = 1.0


class Watched:
    """A pool of one child whose steps are counted."""

    def __init__(self) -> None:
        self.steps: list[tuple[tuple[int, int], float]] = []
        engine = ROOT / "state" / "engine"
        settings = WorkerSettings(
            "cpu", "classic", engine, checkpoint_s=CHECKPOINT_S, threads=threads_of_each(1)
        )  # a number, since another one rounds otherwise
        self.pool = LocalPool([settings], self._hear)

    def _hear(self, run_id: str, event: Event) -> None:
        if isinstance(event, Progress):
            self.steps.append(((event.pass_number, event.number), event.seconds))


def main() -> int:
    """Prints what was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", nargs="?", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    print(f"seed {options.seed}")
    # Raw losses hardly ever stop falling, so that the job takes all its steps.
    recipe = {"size": options.size, "steps": options.steps, "normalise": "raw"}
    photo = ROOT / "docs" / "images" / "rocket.jpg"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = make_order(folder, photo, recipe)
        quiet = Watched()
        began = time.perf_counter()
        unkept = replace(work, checkpoint=None)
        assert isinstance(quiet.pool.submit("cpu", "quiet", unkept).result(), Done)
        quiet_s = time.perf_counter() - began
        quiet.pool.close(grace_s=2.0)
        wanted = (folder / "result").read_bytes()
        (folder / "result").unlink()

        hunted = Watched()
        began = time.perf_counter()
        moments = sorted(chance.uniform(0.0, quiet_s) for _ in range(options.kills))
        gaps = [now - before for before, now in zip([0.0, *moments], moments, strict=False)]
        killed = 0
        while True:
            future = hunted.pool.submit("cpu", f"start {killed + 1}", work)
            # The moments are of the job's own time, which begins with the child's first word.
            seen = len(hunted.steps)
            while len(hunted.steps) == seen and not future.done():
                time.sleep(0.01)
            try:
                outcome = future.result(gaps[killed] if killed < len(gaps) else None)
                break
            except TimeoutError:
                os.kill(hunted.pool.pids()["cpu"], signal.SIGKILL)
                assert isinstance(future.result(), Lost)
                killed += 1
                print(f"kill {killed} at {hunted.steps[-1][0]}", flush=True)
        hunted_s = time.perf_counter() - began
        hunted.pool.close(grace_s=2.0)
        assert isinstance(outcome, Done), outcome
        same = (folder / "result").read_bytes() == wanted
    counted = dict(hunted.steps)
    once_s = sum(counted.values())
    twice_s = sum(seconds for _, seconds in hunted.steps) - once_s
    assert counted.keys() == dict(quiet.steps).keys()
    print(
        f"{killed} kills; {len(hunted.steps)} steps for {len(counted)}, computed again "
        f"{twice_s / once_s:.1%} of the time of a step; {quiet_s:.0f} s undisturbed, "
        f"{hunted_s:.0f} s with {killed} new children; "
        f"bytes {'equal' if same else 'NOT equal'}; warnings {outcome.warnings}"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
