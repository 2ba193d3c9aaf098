"""The puppet that stands for a worker says and leaves what the real one does, as recorded."""

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.messages import RunOrder, order_data
from tests.integration.test_golden import GOLDEN, STEPS, STOPPED_AFTER, Wire, said, transcript
from tests.support.puppet_worker import PuppetWorker


class OrderedPuppet(PuppetWorker):
    """A puppet that takes orders as the real worker does."""

    def run(self, run_id: str, order: RunOrder) -> None:  # type: ignore[override]
        super().run(run_id, order_data(order))


@pytest.fixture(autouse=True)
def puppet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The golden painting is a puppet's from now on."""

    def make(*arguments: object, **named: object) -> PuppetWorker:
        (wire,) = (one for one in (*arguments, *named.values()) if isinstance(one, Wire))
        return OrderedPuppet("cpu", "classic", 1000.0, wire)

    monkeypatch.setattr("tests.integration.test_golden.Worker", make)


def kinds(line: str) -> dict[str, Any]:
    """A message without the weights and warnings, which only a painting has."""
    message: dict[str, Any] = json.loads(line)
    if "result" in message:
        message["result"] |= {"weights": sorted(message["result"]["weights"]), "warnings": []}
    return message


def test_puppet_says_what_the_worker_says(tmp_path: Path) -> None:
    golden = (GOLDEN / "wire.jsonl").read_text().splitlines()
    assert [kinds(line) for line in transcript(tmp_path)] == [kinds(line) for line in golden]


def test_puppet_goes_on_from_its_checkpoint_to_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    assert said(tmp_path / "whole")[-1]["result"]["ok"]
    assert said(tmp_path, STOPPED_AFTER)[-1]["event"] == "cancelled"
    *before, last = said(tmp_path)
    assert last["result"]["ok"]
    steps = [one["number"] for one in before if one["event"] == "progress"]
    assert steps == list(range(STOPPED_AFTER + 1, STEPS + 1))
    assert (tmp_path / "result").read_bytes() == (tmp_path / "whole" / "result").read_bytes()


def test_puppet_begins_anew_where_its_checkpoint_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_bytes(b"{")
    *before, last = said(tmp_path)
    assert last["result"]["ok"]
    assert any("begins anew" in one["text"] for one in before if one["event"] == "log")
    assert next(one["number"] for one in before if one["event"] == "progress") == 1
