"""What is wrong now, by part; said when it begins and when it ends, and not at every turn."""

import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loguru import logger

from daemon.errors import MOST_TOLD, AtelierError, SeveralError, in_short

QUIET_S = 600.0
"""What ends and begins again within this time is news only once it lasts that long."""

OPTIONAL_PARTS = frozenset({"metrics", "gallery"})
"""Parts that nothing is painted, taken in or delivered by."""


@dataclass(frozen=True)
class Trouble:
    """One trouble that a part has, or had not long ago.

    since_s: since when it is as it is now, there or gone.  logged: whether the log's last word
    about it is that it is there.
    """

    here: bool
    since_s: float
    logged: bool


@dataclass
class PartHealth:
    """A part's troubles, in the order they were first seen, and when it was last said to be well.

    well_since_s: None while it has a trouble.  logged_well: whether that was the log's last word.
    """

    troubles: dict[str, Trouble] = field(default_factory=dict)
    well_since_s: float | None = None
    well_told_s: float | None = None
    logged_well: bool = True

    def now(self) -> list[str]:
        """What is wrong at the moment."""
        return [text for text, trouble in self.troubles.items() if trouble.here]


class Health:
    """Every part's troubles of now. May be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._parts: dict[str, PartHealth] = {}
        self._lock = threading.Lock()

    @property
    def troubles(self) -> dict[str, str]:
        """By part, in words; where there are many, the first by name and how many more."""
        with self._lock:
            by_part = {name: part.now() for name, part in self._parts.items()}
        return {name: in_short(texts, "; ") for name, texts in by_part.items() if texts}

    @property
    def essential(self) -> dict[str, str]:
        """The troubles that keep pictures from being painted or delivered."""
        return {part: text for part, text in self.troubles.items() if part not in OPTIONAL_PARTS}

    def bad(self, part: str, *errors: Exception) -> None:
        """Notes what is wrong with a part now: these troubles, and no others any more.

        A bug is a trouble too: its trace is in the log, once.
        """
        texts = {in_words(error): error for error in each_of(errors)}
        now_s = self._clock()
        with self._lock:
            known = self._parts.setdefault(part, PartHealth())
            known.troubles = dict.fromkeys(texts, Trouble(True, now_s - QUIET_S, logged=False)) | (
                seen_now(known.troubles, texts, now_s)
            )
            known.well_since_s = None
            news = [text for text in texts if is_news(known.troubles[text], now_s)]
            for text in news:
                known.troubles[text] = replace(known.troubles[text], logged=True)
                known.logged_well = False
        for text in news[:MOST_TOLD]:
            trace = texts[text] if is_bug(texts[text]) else None
            logger.opt(exception=trace).error("{}: {}", part, text)
        if len(news) > MOST_TOLD:
            logger.error("{}: and {} more troubles", part, len(news) - MOST_TOLD)

    def good(self, part: str) -> None:
        """Notes that a part works."""
        now_s = self._clock()
        with self._lock:
            known = self._parts.get(part)
            if known is None:
                return
            known.troubles = seen_now(known.troubles, (), now_s)
            if known.well_since_s is None:
                known.well_since_s = now_s
            told_s = known.well_told_s
            fresh = told_s is None or now_s - told_s >= QUIET_S
            if known.logged_well or not (fresh or now_s - known.well_since_s >= QUIET_S):
                return
            known.logged_well, known.well_told_s = True, now_s
            known.troubles = {
                text: replace(trouble, logged=False) for text, trouble in known.troubles.items()
            }
        logger.info("{}: works again", part)


def each_of(errors: Sequence[Exception]) -> list[Exception]:
    """The errors one by one, those that carry several taken apart."""
    each: list[Exception] = []
    for error in errors:
        each += each_of(error.errors) if isinstance(error, SeveralError) else [error]
    return each


def is_bug(error: Exception) -> bool:
    """Whether nobody reported it on purpose, and no file or device is at fault."""
    return not isinstance(error, (AtelierError, OSError))


def in_words(error: Exception) -> str:
    """What a trouble is called in log and status."""
    return f"stumbled over a bug and goes on: {error!r}" if is_bug(error) else str(error)


def seen_now(
    before: Mapping[str, Trouble], texts: Container[str], now_s: float
) -> dict[str, Trouble]:
    """The troubles after a look that found `texts`; those gone for long are forgotten."""
    after: dict[str, Trouble] = {}
    for text, trouble in before.items():
        if not trouble.here and now_s - trouble.since_s >= QUIET_S:
            continue
        changed = trouble.here != (text in texts)
        after[text] = replace(trouble, here=text in texts, since_s=now_s) if changed else trouble
    return after


def is_news(trouble: Trouble, now_s: float) -> bool:
    """Whether the log is to say it: it is new, or has come again and stays."""
    return not trouble.logged and now_s - trouble.since_s >= QUIET_S
