"""Settled files that may not be whole: since when, when to look again, and when to give up."""

import dataclasses
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from daemon.host import files
from daemon.intake.decode import Verdict
from daemon.intake.settle import Proof

LONGEST_BACKOFF_S = 60.0


@dataclass(frozen=True)
class Doubt:
    """A settled file that may not be whole: since when, how often tried, when to try again."""

    proof: Proof
    since_s: float
    tries: int
    again_s: float
    fault: str


def after_try(doubt: Doubt, now_s: float, *, settle_s: float, give_up_s: float) -> Doubt:
    """The doubt after one more try: the next comes later and later, and one at the very end."""
    backoff_s = min(LONGEST_BACKOFF_S, max(settle_s, 1.0) * 2**doubt.tries)
    again_s = min(now_s + backoff_s, doubt.since_s + give_up_s)
    return dataclasses.replace(doubt, tries=doubt.tries + 1, again_s=again_s)


class Doubts:
    """The doubts about the files of one inbox. One thread's; the clock comes in."""

    def __init__(self, *, settle_s: float, give_up_s: float) -> None:
        self._settle_s = settle_s
        self._give_up_s = give_up_s
        self._doubts: dict[Path, Doubt] = {}

    def keep(self, paths: Container[Path]) -> None:
        """Forgets the files that are gone."""
        self._doubts = {path: doubt for path, doubt in self._doubts.items() if path in paths}

    def resting(self, path: Path, proof: Proof, now_s: float) -> Doubt | None:
        """The doubt about a file that is still the same and is not to be tried again yet."""
        doubt = self._doubts.get(path)
        return doubt if doubt and doubt.proof == proof and now_s < doubt.again_s else None

    def waits(self, path: Path, proof: Proof, verdict: Verdict, now_s: float) -> bool:
        """Whether a file that may not be whole is tried again; False if it has had its time."""
        doubt = self._doubts.get(path)
        if doubt is None or doubt.proof != proof:
            doubt = Doubt(proof, now_s, 0, now_s, verdict.fault or verdict.doubt)
            what = "does not decode yet" if verdict.unfinished else "may not be whole yet"
            logger.info("{} {}; waiting for the rest: {}", files.printable(path), what, doubt.fault)
        if now_s - doubt.since_s >= self._give_up_s:
            return False
        self._doubts[path] = after_try(
            doubt, now_s, settle_s=self._settle_s, give_up_s=self._give_up_s
        )
        return True

    def next_looks_s(self, now_s: float) -> list[float]:
        """Seconds until each of the files is to be tried again."""
        return [doubt.again_s - now_s for doubt in self._doubts.values()]
