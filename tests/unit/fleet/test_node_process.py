"""A node's process for one device, and what it hears of signals that are not for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.fleet.supervisor import seats_of
from daemon.messages import plain
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
