"""Workers whose memory really runs out: the system refuses it, or the kernel ends them."""

import contextlib
import re
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from tests.support.atelier import Studio, give_no_more_memory, memory_group, wait_for

LITTLE_BYTES = 4 << 20
WARNING = (
    r"memory ran out at \d+x\d+ px \(one tile, \d\.\d GB expected\); "
    r"went on with at most \d\.\d GB"
)


@pytest.fixture(params=["refused", "killed"])
def exhaust(request: pytest.FixtureRequest) -> Iterator[Callable[[int], None]]:
    """Leaves a process, by its id, without more memory: it is told so, or the kernel ends it."""
    if request.param == "refused":
        yield give_no_more_memory
        return
    with contextlib.ExitStack() as stack:
        try:
            move = stack.enter_context(memory_group(LITTLE_BYTES))
        except OSError as error:
            pytest.skip(f"control groups cannot be made here: {error}")
        yield move


def test_job_whose_memory_runs_out_goes_on_with_less_to_its_full_size(
    studio: Studio, exhaust: Callable[[int], None]
) -> None:
    """That the worker that paints does likewise is told in `tests/integration/test_worker.py`."""
    studio.configure(checkpoint_every=0, precision="float32")
    studio.add_preset("wide", size=320, steps=30)
    studio.drop("wide/photo.jpg")
    jobs = studio.state / "spool" / "jobs"
    with studio.service() as service:
        wait_for("a checkpoint", lambda: list(jobs.glob("*/checkpoint.safetensors")))
        exhaust(service.worker())
        with Image.open(studio.published("wide", "photo.jpg")) as result:
            assert result.size == (320, 240)
    record = studio.record("wide/.jobs/photo.jpg.json")
    assert (record["state"], record["starts"]) == ("done", 2)
    assert re.fullmatch(WARNING, record["warnings"][0])
    log = (studio.outbox / "wide/.jobs/photo.jpg.log").read_text()
    assert "goes on after step" in log


def test_job_whose_memory_runs_out_a_fourth_time_fails_with_what_to_do(studio: Studio) -> None:
    studio.configure(precision="float32")
    studio.add_preset("wide", size=320, steps=30)
    studio.drop("wide/photo.jpg")
    logs = studio.state / "spool" / "jobs"

    def first_steps() -> int:
        return sum(log.read_text().count("pass 1/2 (128x96) step 1/") for log in logs.glob("*/log"))

    with studio.service() as service:
        for start in range(1, 5):
            wait_for(f"step 1 of start {start}", lambda start=start: first_steps() >= start)
            give_no_more_memory(service.worker())
        reason = studio.failure("wide", "photo.jpg")
        assert "Memory ran out 4 times" in reason and "`memory` in config.yaml" in reason
        record = studio.record("failed/wide/photo.jpg.json")
        assert (record["starts"], len(record["warnings"])) == (4, 3)
        studio.drop("quick/innocent.jpg")
        studio.published("quick", "innocent.jpg")
