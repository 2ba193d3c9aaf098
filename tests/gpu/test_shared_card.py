"""Two jobs at once on one card: both are painted, each in its share, and neither is the other's."""

import queue
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from daemon.host.files import sha256_of
from daemon.messages import (
    Blob,
    Done,
    Event,
    Lost,
    OrderedStyle,
    Outcome,
    RunOrder,
    WorkerSettings,
)
from daemon.pool.devices import shares_of
from daemon.pool.local import LocalPool
from daemon.settings.config import Config

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]

PATIENCE_S = 60.0
STYLE = Path(__file__).parents[2] / "presets" / "starry.jpg"


class SharedCard:
    """A pool of two real workers on the first card, and what they say."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.heard: queue.SimpleQueue[tuple[str, Event]] = queue.SimpleQueue()
        settings = WorkerSettings("cuda:0", "classic", folder / "engine")
        workers = [
            replace(settings, **asdict(one)) for one in shares_of(["cuda:0"], Config(per_device=2))
        ]
        self.pool = LocalPool(workers, lambda run_id, event: self.heard.put((run_id, event)))

    def paint(self, seat: str, run_id: str, *, sharers: int = 0, **recipe: Any) -> Future[Outcome]:
        """Begins a run of the photograph."""
        own = self._folder / run_id
        own.mkdir()
        order = RunOrder(
            name="photo.png",
            picture=Blob("", self._folder / "photo.png"),
            max_pixels=10_000_000,
            recipe=recipe,
            styles=(OrderedStyle("starry.jpg", Blob(sha256_of(STYLE), STYLE), 1.0),),
            result=own / "result",
            checkpoint=None,
            preview=None,
            memory_bytes=None,
            note={"id": run_id},
            sharers=sharers,
        )
        return self.pool.submit(seat, run_id, order)


def most_bytes(outcome: Outcome) -> int:
    """What a run might take at most in any pass, by its record."""
    assert isinstance(outcome, Done), outcome
    return max(int(one.plan["budget_bytes"]) for one in outcome.passes)


@pytest.fixture
def card(tmp_path: Path, photograph: Image.Image) -> Iterator[SharedCard]:
    photograph.save(tmp_path / "photo.png")
    found = SharedCard(tmp_path)
    yield found
    found.pool.close(grace_s=2.0)


def test_two_jobs_at_once_are_painted_and_each_plans_with_its_share(card: SharedCard) -> None:
    runs = [card.paint(seat, run_id, size=256, steps=20) for seat, run_id in
            (("cuda:0", "a"), ("cuda:0/2", "b"))]  # fmt: skip
    _, total = torch.cuda.mem_get_info("cuda:0")
    assert max(most_bytes(run.result(PATIENCE_S)) for run in runs) <= 0.4 * total


def test_run_that_has_the_card_to_itself_plans_with_all_that_is_free(card: SharedCard) -> None:
    free, total = torch.cuda.mem_get_info("cuda:0")
    if free < 0.7 * total:
        pytest.skip("others hold much of the card")
    painted = card.paint("cuda:0", "a", sharers=1, size=128, steps=2).result(PATIENCE_S)
    assert most_bytes(painted) > 0.4 * total


def test_worker_that_is_killed_on_the_card_costs_its_neighbour_nothing(card: SharedCard) -> None:
    lost = card.paint("cuda:0", "a", size=256, steps=5000, optimizer="adam")
    painted = card.paint("cuda:0/2", "b", size=256, steps=20)
    while card.heard.get(timeout=PATIENCE_S)[0] != "a":
        pass
    card.pool.kill("a")
    assert isinstance(lost.result(PATIENCE_S), Lost)
    assert isinstance(painted.result(PATIENCE_S), Done)
