"""A step beside other programs: with all threads as before, and with as many as a worker takes.

Run as `python bench/beside.py [LONGEST_PX] [--busy N] [--rounds N] [--steps N]`. In turns, in one
process: quiet and beside N programs that compute all the time, each with all threads and with the
worker's own choice, which begins anew every time. Medians of the steps, and their ratios to a
quiet one with all threads; `settled` are the later half of the steps, `all` has the first ones,
before others were noticed. The threads wait for one another as a worker's would, by the trial of
arithmetic that is kept. What others compute meanwhile is told: more than a few per cent makes a
quiet step none.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from surroundings import ROOT, as_worker, machine, objective_between, photograph
from table import print_row
from torch import Tensor

from daemon.engine.fit.plan import usual_history
from daemon.engine.fit.scratch import Scratch
from daemon.engine.optimise.steps import Step, make_optimiser
from daemon.engine.paint import Stepped
from daemon.engine.palette import Palette
from daemon.engine.recipe import Recipe
from daemon.engine.schedule import Pass, fit
from daemon.engine.tensors import to_pixels
from daemon.engine.vgg.arithmetic import choose_arithmetic
from daemon.engine.vgg.kernels import load_kernels
from daemon.engine.vgg.network import Network
from daemon.engine.vgg.processors import processor_times, share_of_others
from daemon.engine.vgg.timings import Precision
from daemon.worker.threads import ThreadKeeper

ENGINE = ROOT / "state" / "engine"
CPU = torch.device("cpu")
SPIN = "while True: pass"


@dataclass
class Arm:
    """One of the ways that are compared, and what its steps took in every round."""

    name: str
    busy: int
    is_adaptive: bool
    step_s: list[float] = field(default_factory=list)
    settled_s: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)


@contextlib.contextmanager
def computing(programs: int) -> Iterator[None]:
    """So many programs compute meanwhile."""
    running = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(programs)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def make_step(longest: int, precision: Precision) -> tuple[Callable[[], None], Pass, Tensor]:
    """A step of the default recipe at that size, its pass and its picture."""
    width, height = fit(4, 3, longest)
    way = choose_arithmetic(CPU, precision, ENGINE)
    network = Network(load_kernels("classic", ROOT), CPU, way.dtype, way.winograd)
    recipe = Recipe()
    picture = photograph("docs/images/rocket.jpg", width, height)
    style = photograph("presets/starry.jpg", width, height)
    evaluate = objective_between(network, recipe, picture, style).evaluate
    history = usual_history(width * height)
    optimiser = make_optimiser(recipe, picture.shape, Scratch(CPU), history)
    print(f"{width}x{height} px, {way}")

    def step() -> None:
        optimiser.advance(picture, evaluate(picture).gradient)

    return step, Pass(width, height, 1_000_000), picture


def measure(arm: Arm, step: Callable[[], None], size: Pass, picture: Tensor, *, steps: int) -> None:
    """One round of an arm: so many steps, with a look around after each as in a painting."""
    threads = torch.get_num_threads()
    keeper = ThreadKeeper(threads, on_cpu=True, is_adaptive=arm.is_adaptive)
    palette = Palette(to_pixels(picture), "style")
    taken: list[float] = []
    before = processor_times()
    with computing(arm.busy):
        keeper.prepare()
        for number in range(1, steps + 1):
            began = time.perf_counter()
            step()
            taken.append(time.perf_counter() - began)
            done = Step(number, 0.0, {}, taken[-1])
            keeper.note(Stepped(1, (size,), done, picture, palette))
            keeper.rest()
        arm.others.append(share_of_others(before, processor_times(), threads))
    arm.threads.append(torch.get_num_threads())
    torch.set_num_threads(threads)
    arm.step_s += taken
    arm.settled_s += taken[steps // 2 :]


def report(arms: list[Arm]) -> None:
    """Prints a line for each arm."""
    quiet_s = statistics.median(arms[0].step_s)
    print(f"{'':34}{'all':>8}{'settled':>10}  ratios        others   threads at the end")
    for arm in arms:
        all_s, settled_s = statistics.median(arm.step_s), statistics.median(arm.settled_s)
        print(
            f"{arm.name:34}{all_s:8.3f}{settled_s:10.3f}  {all_s / quiet_s:4.2f}  "
            f"{settled_s / quiet_s:4.2f}  {statistics.mean(arm.others):8.0%}   {arm.threads}"
        )
    ratios = [f"{statistics.median(arm.settled_s) / quiet_s:.2f}" for arm in arms]
    print_row(
        f"a step {arms[-1].name}, to a quiet one; at rest {ratios[1]}",
        ratios[-1],
        f"with all threads {ratios[-2]}",
    )


def main() -> None:
    """Prints the steps of each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("longest_px", nargs="?", type=int, default=512)
    parser.add_argument("--busy", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    policy = os.environ.get("OMP_WAIT_POLICY", "ACTIVE").lower()
    print(f"{machine(CPU)}, whose waiting is {policy} (OMP_WAIT_POLICY)")
    step, size, picture = make_step(options.longest_px, options.precision)
    beside = f"beside {options.busy} busy"
    arms = [
        Arm("quiet, all threads", 0, False),
        Arm("quiet, the worker's choice", 0, True),
        Arm(f"{beside}, all threads", options.busy, False),
        Arm(f"{beside}, the worker's choice", options.busy, True),
    ]
    for _ in range(3):
        step()
    for _ in range(options.rounds):
        for arm in arms:
            measure(arm, step, size, picture, steps=options.steps)
    report(arms)


if __name__ == "__main__":
    as_worker()
    main()
