"""docs/operations.md knows every message that asks a person to act."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = " ".join((ROOT / "docs" / "operations.md").read_text().split())
TOLD = {"SurroundingsError", "AlreadyRunningError", "WeightsError", "DeviceError"}


def messages(path: Path) -> Iterator[str]:
    """The longest constant part of every message of an error that is raised."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in TOLD and node.args:
            parts = [
                one.value
                for one in ast.walk(node.args[0])
                if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            longest = max(parts, key=len, default="").strip(" :;,.()'")
            if len(longest) > 8:  # not those that hand on another's words
                yield longest


FOUND = sorted({text for path in (ROOT / "daemon").rglob("*.py") for text in messages(path)})


def test_there_are_messages_to_know() -> None:
    assert len(FOUND) > 25


@pytest.mark.parametrize("message", FOUND)
def test_message_stands_with_its_remedy(message: str) -> None:
    assert message in TEXT
