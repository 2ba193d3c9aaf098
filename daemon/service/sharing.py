"""Which free seats of devices that several jobs share may take a job now.

A small picture leaves most of a large GPU idle, and half of its time is none of the GPU's; and the
threads of a CPU wait for one another at every layer. So several are painted at once. A large one
has its device to itself, and all of the memory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loguru import logger

from daemon.messages import Done, Failed, Outcome, OutOfMemory
from daemon.pool.face import Seat, kind_of
from daemon.pool.seat_names import card_of, device_of, number_of
from daemon.service.run import Run
from daemon.service.sharing_trial import SharingTrial, kind_of_job

BESIDE_PX = {"cpu": 1_000_000, "cuda": 4_000_000}
"""Of each kind of device: heuristics. Of an H200 at 3 megapixels a quarter of a job's time is none
of the GPU's, at 0.2 half of it. Two threads of a CPU make 1.13 times as many pictures of 0.04
megapixels apart as together, and 1.11 times as many of 0.17. Larger ones keep the device busy by
themselves."""

CONTEXT_BYTES = 1_000_000_000
PIXEL_BYTES = 4_000
"""More than a pixel takes in float32 (3.8 at 0.2 megapixels, 1.8 above one; bfloat16: half)."""

SHARE_OF_DEVICE = 0.8
"""As a worker reckons its own share (`engine/fit/memory.py`)."""


@dataclass(frozen=True)
class Guest:
    """A run as its device sees it. beside: whether others may run there, too.

    began_with: how many ran there when it had begun, itself one of them.
    """

    seat: str
    pixels: int
    beside: bool
    began_with: int


class Sharing:
    """Keeps which runs share a device, and what trials have found. One thread's."""

    def __init__(self) -> None:
        self._guests: dict[str, dict[str, Guest]] = {}  # by device, then by run
        self._trials: dict[str, SharingTrial] = {}
        self._total_bytes: dict[str, int | None] = {}

    def look(self, seats: Iterable[Seat]) -> None:
        """Takes in which devices are shared now; a node's that has gone is forgotten."""
        shared = {card_of(seat.device): seat for seat in seats if seat.sharers > 1}
        self._total_bytes = {card: seat.total_bytes for card, seat in shared.items()}
        for card in self._trials.keys() - shared.keys():
            del self._trials[card]
        for card, seat in shared.items():
            known = self._trials.get(card)
            if known is None or known.most != seat.sharers:  # a node may come back with others
                fixed = not seat.on_trial
                level = seat.sharers if fixed else 1
                self._trials[card] = SharingTrial(seat.sharers, level, settled=fixed, fixed=fixed)

    @property
    def is_needed(self) -> bool:
        """Whether any device is shared at all."""
        return bool(self._trials)

    def fits_beside(self, card: str, pixels: int) -> bool:
        """Whether a picture of so many pixels leaves its device room for others.

        One whose pixels are not known does not. Where the driver does not tell the device's memory
        the pixels decide; the worker keeps to its share anyway.
        """
        total, most = self._total_bytes.get(card), BESIDE_PX[kind_of(device_of(card))]
        if total is not None:
            share = int(total * SHARE_OF_DEVICE) // self._trials[card].most
            most = min(most, (share - CONTEXT_BYTES) // PIXEL_BYTES)
        return 0 < pixels <= most

    def sharers(self, seat: Seat, pixels: int) -> int:
        """Among how many the memory of a seat's device is divided while such a picture is painted.

        0 if the device is not shared.  Where more may be tried beside it, as many as ever may be.
        """
        card = card_of(seat.device)
        trial = self._trials.get(card)
        if trial is None:
            return 0
        if trial.level == 1 or not self.fits_beside(card, pixels):
            return 1
        return trial.level if trial.settled else trial.most

    def beside(self, seat: Seat) -> int:
        """How many others the device has beside the run of a seat, which has begun."""
        return max(0, len(self._guests.get(card_of(seat.device), {})) - 1)

    def open_to(self, pixels: int, free: Sequence[Seat]) -> list[Seat]:
        """Those of some free seats on which a picture of so many pixels may begin now."""
        by_card: dict[str, list[Seat]] = {}
        for seat in free:
            by_card.setdefault(card_of(seat.device), []).append(seat)
        opened = [self._open(card, seats, pixels) for card, seats in by_card.items()]
        names = {seat.device for seats in opened for seat in seats}
        return [seat for seat in free if seat.device in names]

    def _open(self, card: str, free: Sequence[Seat], pixels: int) -> Sequence[Seat]:
        """Those of a device's free seats; the rest wait, so that a large picture finds it empty."""
        if card not in self._trials:
            return free
        guests = self._guests.get(card, {}).values()
        if not self.fits_beside(card, pixels):
            return () if guests else free[:1]
        if not all(guest.beside for guest in guests):
            return ()
        taken = {guest.seat for guest in guests}
        left = max(0, self._trials[card].level - len(taken))
        return [seat for seat in free if seat.device not in taken][:left]

    def spare(self, seat: Seat) -> bool:
        """Whether a seat is not used, by what was found out so far."""
        trial = self._trials.get(card_of(seat.device))
        return trial is not None and number_of(seat.device) > trial.level

    def begin(self, run: Run) -> None:
        """Notes that a run begins."""
        seat, pixels = run.shown.device, run.pixels
        card = card_of(seat)
        if card in self._trials:
            guests = self._guests.setdefault(card, {})
            beside = self.fits_beside(card, pixels)
            guests[run.job.id] = Guest(seat, pixels, beside, len(guests) + 1)

    def end(self, run: Run, outcome: Outcome) -> None:
        """Notes that a run is over, and what became of it."""
        card = card_of(run.shown.device)
        guests = self._guests.get(card, {})
        guest, ends_with = guests.get(run.job.id), len(guests)
        guests.pop(run.job.id, None)
        trial = self._trials.get(card)
        if guest is None or trial is None or not guest.beside:
            return
        found = None
        match outcome:
            # One that was now alone and now not tells nothing.
            case Done(seconds=float(painted_s)) if guest.began_with == ends_with:
                kind = kind_of_job(run.job.preset, guest.pixels)
                found = trial.note(kind, ends_with, painted_s)
            case OutOfMemory() | Failed("device") if max(guest.began_with, ends_with) > 1:
                found = trial.retreat()
        if found:
            logger.info("{} (per_device: auto): {}", card, found)

    def forget(self) -> None:
        """Begins anew with another pool."""
        self._guests.clear()
        self._trials.clear()
