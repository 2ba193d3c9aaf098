"""The torture run, short: everything at once, and nothing is lost, nor there twice."""

from pathlib import Path

from tests.torture.disturbances import stage
from tests.torture.run import make_plan, torture


def test_whatever_happens_everything_dropped_comes_out_once(tmp_path: Path) -> None:
    plan = make_plan(12, pictures=28, kinds=26, seconds=10.0, kills=3, troubles=3, plain=False)
    with stage(tmp_path / "atelier", plan.odd, paints=False) as made:
        account, happened = torture(made, plan, print)
    print(account.table())
    assert account.faults == []
    assert happened.total() == 6
