"""What may run: windows, the pause, and devices that others need."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.errors import SurroundingsError
from daemon.job import BULK, ORDINARY
from daemon.service.permit import permit
from daemon.settings.config import Schedule
from daemon.state.pause import PAUSE_FILE, pause, paused_since, resume

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NIGHT = ("22:00-06:00",)
DAY = ("06:00-22:00",)


def allowed(priority: int, *, bulk: tuple[str, ...] = (), ordinary: tuple[str, ...] = ()) -> bool:
    schedule = Schedule(time_zone="UTC", bulk=bulk, ordinary=ordinary)
    found = permit(schedule, NOON, paused=False)
    inside = found.line is not None and found.line[0] <= priority <= found.line[1]
    assert (found.forbids(priority, "cpu") is None) is inside
    return inside


def test_queue_without_windows_is_open() -> None:
    assert allowed(ORDINARY)
    assert allowed(BULK)


@pytest.mark.parametrize("ordinary", [NIGHT, DAY, ()])
@pytest.mark.parametrize("bulk", [NIGHT, DAY, ()])
def test_each_queue_has_its_own_windows(bulk: tuple[str, ...], ordinary: tuple[str, ...]) -> None:
    assert allowed(BULK, bulk=bulk, ordinary=ordinary) is (bulk != NIGHT)
    assert allowed(ORDINARY, bulk=bulk, ordinary=ordinary) is (ordinary != NIGHT)


def test_nothing_runs_where_painting_is_paused_or_on_what_others_need() -> None:
    paused = permit(Schedule(), NOON, paused=True)
    assert paused.line is None
    assert paused.forbids(ORDINARY, "cpu") == "painting is paused"
    left = permit(Schedule(), NOON, paused=False, left=["cuda:1"])
    assert left.forbids(ORDINARY, "cuda:1") == "another program needs cuda:1"
    assert left.forbids(ORDINARY, "cuda:0") is None


def test_pause_is_kept_until_it_is_resumed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert paused_since(state) is None
    pause(state, "2026-05-01T12:00:00Z")
    assert paused_since(state) == "2026-05-01T12:00:00Z"
    assert resume(state)
    assert not resume(state)
    assert paused_since(state) is None


def test_pause_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(SurroundingsError, match=f"{PAUSE_FILE} cannot be written"):
        pause(tmp_path / "state", "now")


def test_pause_file_made_by_hand_counts(tmp_path: Path) -> None:
    (tmp_path / PAUSE_FILE).touch()
    assert paused_since(tmp_path) == "unknown"


def test_pause_file_full_of_anything_is_a_short_line(tmp_path: Path) -> None:
    (tmp_path / PAUSE_FILE).write_bytes(b"\xff\x1b[2J\n" * 10_000)
    since = paused_since(tmp_path)
    assert since is not None and since.isprintable() and len(since) < 400


def test_pause_that_cannot_be_read_is_a_pause(tmp_path: Path) -> None:
    (tmp_path / PAUSE_FILE).mkdir()  # stands for one that only root may read
    assert paused_since(tmp_path) == "unknown"


def test_gpu_that_others_need_is_left_by_all_who_share_it() -> None:
    found = permit(Schedule(), NOON, paused=False, left=["cuda:0"])
    for seat in ("cuda:0", "cuda:0/2"):
        assert not found.lets_start_on(seat)
        assert found.forbids(ORDINARY, seat) == "another program needs cuda:0"
    assert found.lets_start_on("cuda:1/2") and found.forbids(ORDINARY, "cuda:1/2") is None
    assert found.lets_start_on("desk2/cuda:0/2")  # a node sees to that itself
