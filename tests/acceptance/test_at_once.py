"""Small pictures are painted several at once on the CPU, each with its part of the threads."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from daemon.engine.fit.cgroups import processors
from daemon.engine.vgg.arithmetic import machine_key, ways
from daemon.engine.vgg.timings import Trial, keep_trial, way
from tests.support import atelier
from tests.support.atelier import Studio, decoded, encoded, photograph, wait_for

PICTURES = 3
PROCESSORS = processors()


def drop_all(studio: Studio) -> None:
    """The same pictures, of which each takes a second or so."""
    studio.add_preset("slow", size=96, steps=40)
    for number in range(PICTURES):
        studio.drop(f"slow/{number}.jpg", encoded(photograph((256 + 8 * number, 192))))


def know_arithmetic(studio: Studio, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a trial: what two would find fastest beside each other is another thing."""
    seconds = dict.fromkeys(ways(), 1.0) | {way("float32", "winograd", 512): 0.5}
    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        keep_trial(studio.state / "engine", machine_key(), Trial(seconds, others=0.0))


def pixels(path: Path) -> bytes:
    """A result's, without what its file tells of its making."""
    return decoded(path.read_bytes()).tobytes()


@pytest.mark.skipif(PROCESSORS < 2, reason="one processor is not shared")
def test_pictures_are_painted_two_at_once_as_each_would_be_by_so_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atelier, "TIMINGS", None)  # these studios have their own
    two, one = Studio(tmp_path / "two", per_device=2), Studio(tmp_path / "one")
    half = PROCESSORS // 2
    know_arithmetic(two, PROCESSORS, monkeypatch)
    know_arithmetic(one, half, monkeypatch)
    drop_all(two)
    with two.service(OMP_NUM_THREADS="") as service:  # nobody has said how many
        wait_for("two to be painted", lambda: len(service.live()["running"]) == 2)
        results = [two.published("slow", f"{number}.jpg") for number in range(PICTURES)]
        assert len(service.workers()) == 2
        assert service.stop() == 0
    records = [two.record(f"slow/.jobs/{number}.jpg.json") for number in range(PICTURES)]
    times = sorted((record["started_at"], record["finished_at"]) for record in records)
    assert any(later[0] < earlier[1] for earlier, later in pairwise(times))
    threads = [[each["threads"] for each in record["threads"]] for record in records]
    assert sum(found[0] == half for found in threads) >= 2
    # Where there are more than two, others on the machine may have some of them taken back.
    divided = [number for number in range(PICTURES) if threads[number] == [half]]
    assert len(divided) >= 2 or PROCESSORS > 2

    one.configure(threads=half, per_device=1)
    drop_all(one)
    assert one.run("run", "--once").returncode == 0
    for number in divided:
        alone = one.outbox / "slow" / f"{number}.jpg"
        assert pixels(results[number]) == pixels(alone)
