"""Pictures of all kinds, dropped at random moments while everything goes wrong that can.

Run as `python -m tests.torture [--seed N] [--pictures N] [--kinds N] [--minutes M] [--kills K]
[--troubles N] [--plain] [--puppet]`. A real service, real kill -9, disks that are really full. What
is dropped and what happens is chosen by the seed alone. At the end everything is accounted for by
its bytes; ends with 1 if anything is lost, there twice, or otherwise wrong.
"""

import argparse
import heapq
import itertools
import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.atelier import COMMAND, WITH_PUPPETS
from tests.support.habits import HABITS, NAMES
from tests.torture.account import Account, is_own, settle
from tests.torture.disturbances import (
    ENDINGS,
    KILL_SERVICE,
    KILLS,
    TROUBLES,
    Disturbance,
    Odd,
    Stage,
    stage,
    why_not,
)
from tests.torture.drops import KINDS, Drop, Hand, Kind, add_presets, ordinary

OPEN = "state IN ('ready', 'running', 'publishing')"
PAUSE_S = 0.05
STANDSTILL_S = 20.0
"""A disturbance waits no longer than this for the jobs it is to come after."""
PATIENCE_S = 90.0
"""How long nothing may move at the end before the service has missed something."""
DROP_PATIENCE_S = 240.0
"""Every start and reload begins anew with the time a file that does not decode is given."""


@dataclass(frozen=True)
class Plan:
    """Everything that will be done: drops with their kind and moment (s), and disturbances.

    odd: which side, if any, lies on an odd file system.
    """

    drops: list[tuple[float, str, Drop]]
    disturbances: list[Disturbance]
    odd: Odd | None = None

    @property
    def jobs(self) -> int:
        return sum(len(seen.presets) for _, _, drop in self.drops for seen in drop.pictures)


def make_plan(
    seed: int, *, pictures: int, kinds: int, seconds: float, kills: int, troubles: int, plain: bool
) -> Plan:
    """The plan of a seed. plain: only small photographs, and kill -9."""
    chance = random.Random(seed)
    chosen: dict[str, Kind] = {"ordinary": ordinary}
    if not plain:
        chosen = dict(chance.sample(sorted(KINDS.items()), min(kinds, len(KINDS))))
    drops: list[tuple[float, str, Drop]] = []
    dropped = 0
    for number in itertools.count():
        if dropped >= pictures:
            break
        # Every kind once, then any.
        name = list(chosen)[number] if number < len(chosen) else chance.choice(list(chosen))
        drop = chosen[name](Hand(number, random.Random(f"{seed}:{number}")))
        dropped += max(1, len(drop.pictures))
        drops.append((chance.uniform(0.0, seconds), name, drop))
    what = [chance.choice(KILLS) if chance.random() < 0.6 else KILL_SERVICE for _ in range(kills)]
    others = [kind for kind in (*ENDINGS, *TROUBLES) if kind not in KILLS]
    chance.shuffle(others)
    what += [others[number % len(others)] for number in range(0 if plain else troubles)]
    chance.shuffle(what)
    shares = sorted(chance.uniform(0.0, 0.95) for _ in what)
    if plain:  # evenly, so that something is finished between any two
        shares = [0.95 * (number + chance.random()) / len(what) for number in range(len(what))]
    disturbances = [
        Disturbance(
            kind,
            share,
            chance.uniform(0.0, 1.5),
            chance.uniform(0.3, 2.5),
            chance.random() < 0.3,
            chance.random(),
        )
        for kind, share in zip(what, shares, strict=True)
    ]
    odd = None if plain else choose_odd(chance)
    return Plan(sorted(drops, key=lambda planned: planned[0]), disturbances, odd)


def choose_odd(chance: random.Random) -> Odd | None:
    """Two times of three one side lies on a file system with some odd habits.

    In the inbox names are not refused: they would not lie there.
    """
    side = chance.choice(("inbox", "outbox", None))
    habits = [name for name in HABITS if side == "outbox" or name not in NAMES]
    return Odd(side, tuple(chance.sample(habits, len(habits) // 2))) if side else None


@dataclass(order=True)
class Due:
    """The next act of a drop, and when it is due."""

    at_s: float
    number: int
    step: int = field(compare=False)
    drop: Drop = field(compare=False)
    kind: str = field(compare=False)
    since_s: float = field(compare=False)


class Dropper(threading.Thread):
    """Drops what is planned at its moments, whatever happens to the service meanwhile."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        super().__init__(name="dropper", daemon=True)
        self._stage = stage
        self._plan = plan
        self.stopped = threading.Event()
        self.faults: list[str] = []

    def run(self) -> None:
        began_s = time.monotonic()
        line = [
            Due(began_s + at_s, number, 0, drop, kind, began_s + at_s)
            for number, (at_s, kind, drop) in enumerate(self._plan.drops)
        ]
        heapq.heapify(line)
        while line and not self.stopped.wait(max(0.0, line[0].at_s - time.monotonic())):
            following = self._take(heapq.heappop(line))
            if following is not None:
                heapq.heappush(line, following)

    def _take(self, due: Due) -> Due | None:
        """Does an act, and returns the next, or the same again if it was not possible yet."""
        _, act = due.drop.steps[due.step]
        try:
            with self._stage.inbox_there:
                done = act(self._stage.studio)
        except OSError as error:
            self.faults.append(f"{due.kind} could not be dropped: {error!r}")
            return None
        now_s = time.monotonic()
        if not done:
            if now_s - due.since_s > DROP_PATIENCE_S:
                self.faults.append(f"{due.kind}: what was dropped before is never taken: {due}")
                return None
            return Due(now_s + PAUSE_S, due.number, due.step, due.drop, due.kind, due.since_s)
        if due.step + 1 == len(due.drop.steps):
            return None
        at_s = now_s + due.drop.steps[due.step + 1][0]
        return Due(at_s, due.number, due.step + 1, due.drop, due.kind, at_s)


class Watcher:
    """What the ledger and the inbox tell of how far it all is."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self._stage = stage
        self._stays = {path for _, _, drop in plan.drops for path in drop.stays}
        self._over = 0

    def over(self) -> int:
        """How many jobs are over; as before while the ledger cannot be read."""
        found = self._asked(f"SELECT count(*) FROM job WHERE NOT {OPEN} AND state <> 'retried'")
        self._over = found + self._stage.past.over if found is not None else self._over
        return self._over

    def nothing_left(self) -> bool:
        """Whether every picture has been claimed, painted and filed, and none is still claimed."""
        open_jobs = self._asked(f"SELECT count(*) FROM job WHERE {OPEN}")
        unfiled = self._asked("SELECT count(*) FROM picture WHERE state <> 'filed'")
        inbox = self._stage.studio.inbox
        lying = any(
            (Path(folder) / name).relative_to(inbox) not in self._stays
            for folder, _, names in os.walk(inbox)
            for name in names
            if not name.endswith(".yaml")  # without its picture it waits for ever
            if not is_own(Path(folder) / name, inbox)
        )
        return (open_jobs, unfiled, lying) == (0, 0, False)

    def _asked(self, query: str) -> int | None:
        """The sum of what the ledgers answer; None while one of them cannot be read."""
        total = 0
        with suppress(sqlite3.Error):
            for studio in self._stage.studios():
                uri = f"{studio.ledger_path.as_uri()}?mode=ro"
                with closing(sqlite3.connect(uri, uri=True)) as ledger:
                    total += int(ledger.execute(query).fetchone()[0])
            return total
        return None


def torture(stage: Stage, plan: Plan, say: Callable[[str], None]) -> tuple[Account, Counter[str]]:
    """Carries a plan out and accounts for everything; how often each disturbance happened."""
    began_s = time.monotonic()
    studio = stage.studio
    add_presets(studio)
    stage.start()
    dropper, watcher = Dropper(stage, plan), Watcher(stage, plan)
    dropper.start()
    happened: Counter[str] = Counter()
    try:
        for what in plan.disturbances:
            if reason := why_not(what.kind, stage):
                happened[f"{what.kind} (left out: {reason})"] += 1
                continue
            over = wait_until_over(what.after * plan.jobs, stage, watcher)
            time.sleep(what.delay_s)
            told = stage.disturb(what)
            happened[what.kind] += 1
            now_s = time.monotonic() - began_s
            say(f"{now_s:6.1f} s  after {over:3} jobs  {what.kind}: {told}")
        wait_for_the_end(dropper, stage, watcher)
    finally:
        dropper.stopped.set()
        dropper.join()
    for _ in range(2):  # once more, so that every ledger has been opened anew
        stage.stop()
        stage.second.stop()
        stage.look_after()
    stage.stop()
    stage.second.stop()
    say(f"{time.monotonic() - began_s:6.1f} s  nothing left; {stage.refused} starts refused")
    account = settle(stage.studios(), by_kind(plan), stage.past)
    account.faults += dropper.faults + stage.faults + traces(stage)
    return account, happened


def wait_until_over(jobs: float, stage: Stage, watcher: Watcher) -> int:
    """Waits until so many jobs are over, or nothing moves any more."""
    moved_s, before = time.monotonic(), watcher.over()
    while (over := watcher.over()) < jobs and time.monotonic() - moved_s < STANDSTILL_S:
        if over > before:
            moved_s, before = time.monotonic(), over
        stage.look_after()
        time.sleep(PAUSE_S)
    return over


def wait_for_the_end(dropper: Dropper, stage: Stage, watcher: Watcher) -> None:
    """Waits until all is dropped and nothing is left of it, or nothing moves any more."""
    moved_s, before = time.monotonic(), -1
    while time.monotonic() - moved_s < PATIENCE_S:
        stage.look_after()
        over = watcher.over()
        if over > before or dropper.is_alive():
            moved_s, before = time.monotonic(), over
        if not dropper.is_alive() and watcher.nothing_left():
            return
        time.sleep(4 * PAUSE_S)


def by_kind(plan: Plan) -> dict[str, list[Drop]]:
    """The drops of a plan by their kind."""
    found: dict[str, list[Drop]] = defaultdict(list)
    for _, kind, drop in plan.drops:
        found[kind].append(drop)
    return found


def traces(stage: Stage) -> list[str]:
    """What the services' logs tell of bugs."""
    faults = []
    for log in sorted(stage.studio.root.rglob("service-*.log")):
        text = log.read_text()
        at = min(
            (text.find(sign) for sign in ("stumbled", "Traceback") if sign in text), default=-1
        )
        if at >= 0:
            faults.append(f"{log.name}: {text[max(0, at - 200) : at + 3000]}")
    return faults


def main() -> int:
    """Prints the plan's seed, what happens, and the account."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--kinds", type=int, default=40)
    parser.add_argument("--minutes", type=float, help="how long pictures are dropped")
    parser.add_argument("--kills", type=int, help="how often something is killed with -9")
    parser.add_argument("--troubles", type=int, help="how often anything else happens")
    parser.add_argument("--plain", action="store_true", help="only photographs, and kill -9")
    parser.add_argument("--keep", type=Path, help="a new folder to work in, which stays")
    parser.add_argument("--puppet", action="store_true", help=WITH_PUPPETS)
    options = parser.parse_args()
    minutes = options.minutes if options.minutes is not None else options.pictures / 60
    troubles = options.troubles if options.troubles is not None else options.pictures // 6
    kills = options.kills if options.kills is not None else options.pictures // 10
    print(f"seed {options.seed}; {COMMAND}", flush=True)
    plan = make_plan(
        options.seed,
        pictures=options.pictures,
        kinds=options.kinds,
        seconds=60 * minutes,
        kills=kills,
        troubles=troubles,
        plain=options.plain,
    )
    root = options.keep or Path(tempfile.mkdtemp(prefix="atelierd-torture-")) / "atelier"
    print(f"odd file system: {plan.odd or 'none'}", flush=True)
    with stage(root, plan.odd, paints=not options.puppet) as made:
        account, happened = torture(made, plan, lambda line: print(line, flush=True))
        if not account.fine:  # what lies on the small disks goes with them
            for name in ("state", "disk"):
                shutil.copytree(root / name, root / f"{name}-kept", symlinks=True)
    print(account.table())
    print("; ".join(f"{count} x {kind}" for kind, count in sorted(happened.items())))
    print(
        f"{account.given_up} given up after three lost workers in a row, as designed; "
        f"{account.sidecars_back} sidecars back in the inbox; {account.retried} jobs retried; "
        f"{account.again} published jobs painted again after a lost ledger, as told in faults.md"
    )
    for fault in account.faults:
        print(f"WRONG {fault}")
    print(f"seed {options.seed}: {'all is accounted for' if account.fine else f'see {root}'}")
    if account.fine and options.keep is None:
        shutil.rmtree(root.parent)
    return 0 if account.fine else 1
