"""A node's process for one seat, and what it hears of signals that are not for it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.fleet import painter
from daemon.fleet.node import facts_of
from daemon.fleet.seat_settings import SeatSettings
from daemon.fleet.supervisor import seats_of
from daemon.messages import known, plain
from daemon.pool.memory import DeviceMemory
from daemon.settings.fleet import NodeSettings

TELLS_ALL = """
import os, signal, subprocess, sys
from daemon.fleet import node

async def serve(settings):
    os.kill(os.getpid(), signal.SIGTERM)
    asked = "import signal; print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)"
    subprocess.run([sys.executable, "-c", asked], check=True)

node.check_scheduler = lambda *told: None
node.serve = serve
node.main()
"""


@pytest.mark.parametrize(("threads", "adaptive"), [("auto", True), (2, False)])
def test_only_a_number_of_threads_that_nobody_set_follows_what_others_use(
    threads: object, adaptive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    told = {"scheduler": "tls://studio:8786", "name": "desk2", "threads": threads}
    (seat,) = seats_of(NodeSettings.model_validate(told), ["cpu"])
    assert (seat.threads is not None, seat.adaptive_threads) == (True, adaptive)


def test_sigterm_to_all_of_a_job_is_for_the_supervisor_alone() -> None:
    """Slurm's scancel: the run at hand is drained, not killed, nor is the child that paints it."""
    settings = NodeSettings.model_validate({"scheduler": "tls://studio:8786", "name": "desk2"})
    (seat,) = seats_of(settings, ["cpu"])
    ended = subprocess.run(
        [sys.executable, "-c", TELLS_ALL, json.dumps(plain(seat))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr


def test_gpu_that_several_jobs_share_has_a_process_a_port_and_a_folder_for_each() -> None:
    told = {"scheduler": "tls://studio:8786", "name": "desk2", "address": "desk2:9000"}
    settings = NodeSettings.model_validate(told | {"per_device": 2})
    seats = seats_of(settings, ["cuda:0", "cuda:1"])
    assert [(seat.seat, seat.port) for seat in seats] == [
        ("desk2/cuda:0", 9000),
        ("desk2/cuda:1", 9001),
        ("desk2/cuda:0/2", 9002),
        ("desk2/cuda:1/2", 9003),
    ]
    assert len({seat.own_folder for seat in seats}) == 4
    assert {seat.own_folder.parent for seat in seats} == {settings.folder / "runs"}
    assert facts_of(seats[2])["sharers"] == 2
    assert known(SeatSettings, json.loads(json.dumps(plain(seats[2]))), tags=()) == seats[2]


def test_workers_of_a_nodes_other_seats_are_no_others_on_its_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, list[int]] = {}

    def look(devices: list[str], own_pids: dict[str, list[int]]) -> list[DeviceMemory]:
        asked.update(own_pids)
        return [DeviceMemory("cuda:0", 5, 5, 9, others_bytes=0)]

    tree = {os.getppid(): [10, 20], 10: [11], 20: [21, 22]}
    monkeypatch.setattr(painter, "children_of", lambda pid: tree.get(pid, []))
    monkeypatch.setattr(painter, "device_memory", look)
    settings = NodeSettings.model_validate({"scheduler": "tls://studio:8786", "name": "desk2"})
    seat = replace(seats_of(settings, ["cuda:0"])[0], sharers=2, folder=tmp_path)
    found = painter.Painter(seat, lambda topic, message: None, lambda key: True, lambda: False)
    assert found.state()["memory"] is None
    found._pool_with({"weights": "classic", "precision": "auto", "checkpoint_s": 60.0})
    assert found.state()["memory"]["others_bytes"] == 0
    assert asked == {"cuda:0": [11, 21, 22]}
