"""What is shown of presets."""

from pathlib import Path

import pytest

from daemon.engine.recipe import Recipe
from daemon.errors import Fault
from daemon.presets import Preset, Shelf
from daemon.status.show import print_presets, shelf_report

WARNING = "preset it is faulty since yesterday: its last good version is used"
SHELF = Shelf(
    Path("presets"), {}, {"it": (Fault("it.yaml", 3, "beta", "is wrong"),)},
    {"it": Preset("it", Path("it.yaml"), Recipe(), (), WARNING)},
)  # fmt: skip


def test_faulty_preset_is_shown_with_what_is_used_in_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = shelf_report(SHELF)
    assert report["faulty"] == {"it": ["it.yaml:3: beta: is wrong"]}
    assert report["last_good_used"] == {"it": WARNING}
    print_presets(SHELF)
    shown = capsys.readouterr().out
    assert "it.yaml:3: beta: is wrong" in shown and WARNING in shown
